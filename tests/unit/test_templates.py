"""The templates: what they are, and the copies that are written of them."""

import re
from pathlib import Path

import pytest

from dunena.store.names import is_name
from dunena.templates import catalogue
from dunena.templates.catalogue import (
    DESCRIPTION,
    TEMPLATES,
    BadNameError,
    UnknownTemplateError,
    read_template,
    read_templates,
    write_template,
)

BYTES_MAX = 150_000
_ADDRESS = re.compile(r"""(?:href|src)="([^"#:]+)"|(?:from|import) "(\./[^"]+)\"""")


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_all_templates_together_are_small() -> None:
    files = [path for path in Path(catalogue.__file__).parent.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files if path.suffix != ".pyc") < BYTES_MAX


def test_every_folder_of_a_template_is_listed() -> None:
    folder = Path(catalogue.__file__).parent
    found = {path.parent.name for path in folder.glob(f"*/{DESCRIPTION}")}
    assert found == set(TEMPLATES)
    assert [template.name for template in read_templates()] == list(TEMPLATES)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_copy_needs_nothing_outside_its_folder_but_the_client(name: str, tmp_path: Path) -> None:
    made = write_template(name, tmp_path / "www")
    assert made == tmp_path / "www" / name
    template = read_template(name)
    assert names_in(made) >= {template.overlay, template.panel, DESCRIPTION}
    assert not template.audience or template.audience in names_in(made)
    for page in made.glob("*.*"):
        for match in _ADDRESS.finditer(page.read_text("utf-8")):
            address = (match[1] or match[2]).removeprefix("./")
            assert address in names_in(made) | {"/dunena.js", "data:,"}, f"{page}: {address}"
    assert is_name(name), "it is a namespace"
    assert template.values


def test_a_second_copy_has_a_name_of_its_own(tmp_path: Path) -> None:
    write_template("poll", tmp_path)
    write_template("poll", tmp_path, "poll-2")
    assert names_in(tmp_path) == {"poll", "poll-2"}


def test_what_exists_is_left_alone(tmp_path: Path) -> None:
    mine = write_template("ticker", tmp_path) / "overlay.html"
    mine.write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError, match="ticker exists already"):
        write_template("ticker", tmp_path)
    assert mine.read_text("utf-8") == "mine"
    tmp_path.joinpath("poll").touch()
    with pytest.raises(FileExistsError):
        write_template("poll", tmp_path)
    assert names_in(tmp_path) == {"ticker", "poll"}


def test_a_copy_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: Path, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space left"):
        write_template("poll", tmp_path)
    assert names_in(tmp_path) == set()


@pytest.mark.parametrize("name", ["..", "a/b", "A", "poll 2", ".poll", "x" * 41, "ü", "nul"])
def test_names_that_are_not_possible_everywhere_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadNameError):
        write_template("poll", tmp_path, name)
    assert names_in(tmp_path) == set()


def test_an_unknown_template_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownTemplateError, match="'nothing': there are scoreboard, lower-third"):
        write_template("nothing", tmp_path)
    assert names_in(tmp_path) == set()
