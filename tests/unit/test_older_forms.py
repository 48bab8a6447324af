"""Folders of every layout that dunena has written are opened with all that is in them.

Each file of `old_folders/` is such a folder: a program of that time wrote it, the name says what
its journal was like. Those that end in ``-crashed`` were left behind by a killed server; the files
of the last writes are not in them, as after a power cut. `format-1` is the first with a record of
the format.
"""

import logging
from pathlib import Path

import orjson
import pytest

from dunena.persistence.disk.check import check, read
from dunena.persistence.disk.engine import DiskEngine
from dunena.persistence.disk.paths import extended
from dunena.persistence.interface import Loaded
from dunena.persistence.policy import Fsync

FOLDERS = Path(__file__).parent / "old_folders"

VALUES = {
    ("", "score"): {"home": 3, "guest": 2.5},
    ("", "a/b"): {"list": [1, "zwei", None]},
    ("", "Foo"): "upper",
    ("", "below"): "lower",
    ("", "../x"): {"yes": True},
    ("", "con"): "device",
    ("", "café"): {"de": "ü \u2013 日本"},
    ("", "k" * 300): {"long": "name"},
    ("app", "session-42"): "ann",
    ("stage.json", "x"): "zero",
    ("", "lasting"): "until 2286",
}
AFTER_CRASH = {
    ("", "burst-1"): "one",
    ("", "burst-2"): "two",
    ("", "score"): {"home": 4, "guest": 2.5},
}
WITH_THEN = {"journal-3", "format-1"}
LAST_SECOND = 9_996_079_000_000
RENEWED = {"files-alone": 3, "journal-1": 4, "journal-1-crashed": 5}
"""How much is written anew; in all other layouts nothing is."""


def unpack(name: str, folder: Path) -> Path:
    root = extended(folder / "values")
    for path, text in orjson.loads((FOLDERS / f"{name}.json").read_bytes()).items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
    return root


def expect(name: str, loaded: Loaded) -> None:
    expected: dict[tuple[str, str], object] = dict(VALUES)
    lasting = {("", "lasting")}
    layout = name.removesuffix("-crashed")
    if layout in WITH_THEN:
        expected["", "later"] = "on"
        lasting.add(("", "later"))
    if layout != name:
        expected |= AFTER_CRASH
        del expected["", "con"]
        lasting.add(("", "burst-2"))
    found = {(entry.ns, entry.key): orjson.loads(entry.value) for entry in loaded.entries}
    assert found == expected
    ends = {(e.ns, e.key): e.expires_at for e in loaded.entries if e.expires_at is not None}
    assert ends.keys() == lasting
    assert all(9_996_078_000_000 < end < LAST_SECOND for end in ends.values())
    thens = {entry.key: entry.then for entry in loaded.entries if entry.then is not None}
    assert thens == ({"later": b'"off"'} if layout in WITH_THEN else {})
    assert loaded.revision >= (14 if layout == name else 18), "revisions never go back"


def names() -> list[str]:
    return sorted(file.stem for file in FOLDERS.glob("*.json"))


def test_there_is_a_folder_of_each_layout() -> None:
    assert len(names()) == 11


@pytest.mark.parametrize("name", names())
def test_a_folder_of_an_older_layout_is_opened_with_all_in_it(tmp_path: Path, name: str) -> None:
    root = unpack(name, tmp_path)
    for _ in range(2):  # what the first start wrote is read by the second
        engine = DiskEngine(root, Fsync.NO)
        expect(name, engine.open(None))
        engine.close()
    assert b'{"format":1,' in (root / ".dunena" / "format").read_bytes()
    assert not (root / ".dunena" / "quarantine").exists()
    assert check(root).is_in_order


@pytest.mark.parametrize("name", names())
def test_reading_an_older_folder_changes_nothing_and_finds_all(tmp_path: Path, name: str) -> None:
    root = unpack(name, tmp_path)
    before = {file: file.read_bytes() for file in root.rglob("*") if file.is_file()}
    expect(name, read(root)[0])
    findings = check(root)
    assert len(findings.older) == RENEWED.get(name, 0)
    assert findings.format == (1 if name.startswith("format-1") else 0)
    (root / ".dunena" / "lock").unlink()
    assert {file: file.read_bytes() for file in root.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("name", names())
def test_a_takeover_is_one_line_of_the_log_if_something_is_changed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    root = unpack(name, tmp_path)
    for _ in range(2):
        with caplog.at_level(logging.INFO):
            engine = DiskEngine(root, Fsync.NO)
            engine.open(None)
            engine.close()
    lines = [line for line in caplog.messages if "of an older dunena" in line]
    assert len(lines) == (1 if name in RENEWED else 0)
    assert all(f" {RENEWED[name]} of its files " in line for line in lines)


def test_a_damaged_line_of_the_first_journal_costs_what_follows_it_and_is_kept(
    tmp_path: Path,
) -> None:
    root = unpack("journal-1-crashed", tmp_path)
    (segment,) = (root / ".dunena" / "journal").iterdir()
    text = segment.read_bytes().replace(b'"two"', b'"too"')
    segment.write_bytes(text)
    engine = DiskEngine(root, Fsync.NO)
    found = {entry.key: entry.value for entry in engine.open(None).entries}
    engine.close()
    assert found["burst-1"] == b'"one"'
    assert "burst-2" not in found
    (copy,) = (root / ".dunena" / "quarantine").iterdir()
    assert text.partition(b"\n")[2] in copy.read_bytes()


def test_records_that_are_of_no_form_are_left_to_their_readers(tmp_path: Path) -> None:
    root = unpack("files-alone", tmp_path)
    private = root / ".dunena"
    (expiry,) = (private / "expiry").iterdir()
    for damaged in (b"", b"\xff", b"[]", b'{"file":7}', expiry.read_bytes().replace(b"2", b"x")):
        (private / "format").unlink(missing_ok=True)
        expiry.write_bytes(damaged)
        (private / "names" / "0123456789abcdef0123456789abcdef").write_bytes(b"\xff")
        engine = DiskEngine(root, Fsync.NO)
        engine.open(None)
        assert [Path(damage.path).name for damage in engine.damages()] == [expiry.name]
        engine.close()
        assert expiry.read_bytes() == damaged
