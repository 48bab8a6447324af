"""Taking over the folder of another program, whose file names are its keys."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from dunena.persistence.disk.check import check, repair
from tests.support.kept import Kept

RENAMED = {
    "a%20b": "a%2520b",  # the space stands for itself here
    "%61": "%2561",
    "caf%c3%a9": "caf%25c3%25a9",
    "50%25 off%21": "50%2525 off%2521",
}
"""Names that no dunena gives, without the suffix, and what their keys have."""

KEPT = {"a%0Ab", "%FF", "100%", "%zz", "%"}
"""What can be read as nothing but itself; such a file keeps its name until its key is set."""

DOUBTFUL = {"100%25": "100%", "a%2Fb": "a/b", "%41": "A", "caf%C3%A9": "caf\u00e9"}
"""What a dunena would write for another key, on some system."""

PLAIN = {"player-position", "Foo", "a b", "caf\u00e9 2", "a.b", "a+b"}


def fill(folder: Path, names: Iterator[str] | set[str] | dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.json").write_text(f'"{name}"', "utf-8")


def keys_of(kept: Kept) -> dict[str, object]:
    return {key: value for (_, key), value in kept.values().items()}


@pytest.mark.parametrize("ns", ["", "app"])
def test_file_names_of_another_program_become_its_keys(tmp_path: Path, ns: str) -> None:
    folder = tmp_path / ns
    fill(folder, RENAMED.keys() | KEPT | PLAIN)
    wanted = {(ns, name): name for name in RENAMED.keys() | KEPT | PLAIN}
    kept = Kept(tmp_path, folds=False)
    assert kept.values() == wanted
    for name, regular in RENAMED.items():
        assert not (folder / f"{name}.json").exists()
        assert (folder / f"{regular}.json").exists()
    for _ in range(2):
        kept = kept.again()
        assert kept.values() == wanted, "at every later start too"
    assert kept.storage.damages() == []
    kept.close()


def test_a_taken_over_key_can_be_set_and_deleted(tmp_path: Path) -> None:
    fill(tmp_path, RENAMED.keys() | KEPT)
    kept = Kept(tmp_path)
    for name in RENAMED.keys() | KEPT:
        kept.set(name, "new")
    kept.commit()
    assert keys_of(kept) == dict.fromkeys(RENAMED.keys() | KEPT, "new")
    kept = kept.again()
    assert keys_of(kept) == dict.fromkeys(RENAMED.keys() | KEPT, "new")
    for name in RENAMED.keys() | KEPT:
        kept.store.delete("", name)
    kept.commit()
    kept.close()
    assert list(tmp_path.glob("*.json")) == []


def test_ambiguous_file_names_are_decoded_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, DOUBTFUL)
    with caplog.at_level(logging.WARNING):
        kept = Kept(tmp_path, folds=False)
    assert keys_of(kept) == {key: name for name, key in DOUBTFUL.items()}
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("in the names of some files (4) %XX may stand for")
    for name, key in DOUBTFUL.items():
        assert f"{name}.json is the key {key}" in line
    caplog.clear()
    kept.again().close()
    assert caplog.records == [], "once is enough"


def test_renamed_files_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, {f"a%20{number}" for number in range(8)})
    with caplog.at_level(logging.WARNING):
        Kept(tmp_path).close()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("another program's files (8) have %XX in their names")
    assert line.count(" to a%2520") == 5
    assert line.endswith(" and 3 more")


def test_a_copy_without_the_records_keeps_its_keys(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "old")
    for key in ["a%20b", "a/b", "caf\u00e9", ".x", "end ", "con", "A", "%41", "k" * 400 + "%20"]:
        kept.set(key, key)
    kept.commit()
    before = kept.values()
    kept.close()
    (tmp_path / "copy").mkdir()
    for file in (tmp_path / "old").glob("*.json"):
        file.rename(tmp_path / "copy" / file.name)
    long = ("", "k" * 400 + "%20")  # whose full name was in the records
    copy = Kept(tmp_path / "copy")
    assert copy.values() == {place: value for place, value in before.items() if place != long}
    copy.close()


def test_a_name_too_long_after_escaping_is_shortened(tmp_path: Path) -> None:
    name = "%20" * 80
    fill(tmp_path, {name})
    kept = Kept(tmp_path)
    assert keys_of(kept) == {name: name}
    kept = kept.again()
    assert keys_of(kept) == {name: name}
    kept.close()


def test_a_regular_file_of_the_same_key_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a%20b.json").write_text("1")
    (tmp_path / "a%2520b.json").write_text("2")
    kept = Kept(tmp_path)
    assert keys_of(kept) == {"a b": 1, "a%20b": 2}
    kept.close()


def test_a_file_that_cannot_be_renamed_is_loaded_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, {"a%20b", "c%20d"})

    def fail(operation: str, path: Path) -> bool:
        return operation == "rename" and path.name == "a%20b.json"

    with caplog.at_level(logging.WARNING):
        kept = Kept(tmp_path, fail=fail)
    assert keys_of(kept) == {"a b": "a%20b", "c%20d": "c%20d"}
    assert any("a%20b.json is the key a b" in record.getMessage() for record in caplog.records)
    kept.close()


def test_files_in_a_folder_with_records_are_not_renamed(tmp_path: Path) -> None:
    Kept(tmp_path).close()
    fill(tmp_path, {"a%20b"})
    kept = Kept(tmp_path)
    assert keys_of(kept) == {"a b": "a%20b"}
    assert (tmp_path / "a%20b.json").exists()
    kept.close()


def test_an_invalid_key_name_is_reported_with_its_reason(tmp_path: Path) -> None:
    try:
        fill(tmp_path, {"a\nb"})
    except OSError:
        pytest.skip("this system has no such names")
    kept = Kept(tmp_path)
    (damage,) = kept.storage.damages()
    assert damage.display_path.endswith("a\\nb.json")
    assert damage.reason == "not a key's file name: keys have no control characters"
    kept.close()


def test_check_reports_the_renames_without_making_them(tmp_path: Path) -> None:
    fill(tmp_path, {"a%20b", "100%25"})
    findings = check(tmp_path)
    wanted = "rename a%20b.json to a%2520b.json, since its key has the %"
    assert findings.steps == [wanted]
    assert findings.doubts == ["100%25.json is read as the key 100%"]
    assert {file.name for file in tmp_path.iterdir()} == {"a%20b.json", "100%25.json"}
    assert repair(tmp_path).is_in_order
    assert (tmp_path / "a%2520b.json").exists()
