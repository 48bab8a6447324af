"""The record of a folder's format: newer ones are refused, and damage loses nothing."""

import errno
import zlib
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from dunena import __version__
from dunena.persistence.disk.check import check, find_version, read, repair
from dunena.persistence.disk.engine import DiskEngine
from dunena.persistence.disk.folder_format import FORMAT
from dunena.persistence.interface import FormatError
from dunena.persistence.offline import open_offline
from dunena.persistence.policy import Fsync


def record(members: object, name: str = "format") -> bytes:
    content = orjson.dumps(members)
    seed = zlib.crc32(f"{name} {name}\n".encode())
    return b"%08x %s" % (zlib.crc32(content, seed), content)


def open_and_close(folder: Path) -> list[str]:
    """Return the names of what the engine reports as damaged."""
    engine = DiskEngine(folder, Fsync.NO)
    engine.open(None)
    damages = [Path(damage.path).name for damage in engine.damages()]
    engine.close()
    return damages


def content_of(folder: Path) -> dict[Path, bytes | None]:
    return {
        path: path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if path.name != "lock"
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one key that a server has used."""
    (tmp_path / "k.json").write_text("1")
    open_and_close(tmp_path)
    return tmp_path


def format_file(folder: Path) -> Path:
    return folder / ".dunena" / "format"


def test_a_start_records_the_format_and_later_ones_leave_it_alone(folder: Path) -> None:
    file = format_file(folder)
    assert file.read_bytes() == record({"format": FORMAT, "dunena": __version__})
    before = file.stat()
    open_and_close(folder)
    assert file.stat() == before
    assert find_version(folder) == FORMAT


def test_the_record_is_no_key_and_no_damage(folder: Path) -> None:
    findings = check(folder)
    assert (findings.keys, findings.format, findings.foreign) == (1, FORMAT, [])
    assert findings.is_in_order


def test_a_folder_that_no_server_used_has_no_version(tmp_path: Path) -> None:
    assert find_version(tmp_path) is None
    assert find_version(tmp_path / "missing") is None
    (tmp_path / "k.json").write_text("1")
    assert check(tmp_path).is_in_order
    assert not (tmp_path / ".dunena").exists()


NEWER = record({"format": FORMAT + 1, "dunena": "9.1.0", "more": [1]})


def change_offline(folder: Path) -> None:
    with open_offline(folder, 1000):
        pass


@pytest.mark.parametrize(
    "use",
    [open_and_close, change_offline, check, repair, read, find_version],
    ids=lambda use: str(use.__name__),
)
def test_a_newer_folder_is_refused_and_left_as_it_is(
    folder: Path, use: Callable[[Path], object]
) -> None:
    format_file(folder).write_bytes(NEWER)
    draft = folder / ".dunena" / "tmp" / "draft"
    draft.write_text("of the newer one")
    before = content_of(folder)
    with pytest.raises(FormatError) as caught:
        use(folder)
    reason = caught.value.reason
    assert f"{folder} was written by dunena 9.1.0 in format {FORMAT + 1}" in reason
    assert "use dunena 9.1.0 or a newer one" in reason
    assert "\n" not in reason
    assert content_of(folder) == before
    format_file(folder).write_bytes(record({"format": FORMAT, "dunena": "1.0.0"}))
    assert open_and_close(folder) == [], "the refusal has unlocked the folder"


def test_the_run_tells_of_a_newer_format_if_the_record_is_gone(folder: Path) -> None:
    run = folder / ".dunena" / "run"
    members = orjson.loads(run.read_bytes()[9:])
    assert members["format"] == FORMAT
    run.write_bytes(record({**members, "format": FORMAT + 1}, "run"))
    for damaged in (True, False):
        if damaged:
            format_file(folder).write_bytes(b"")
        else:
            format_file(folder).unlink()
        with pytest.raises(FormatError, match=f"in format {FORMAT + 1}.*use the newer dunena"):
            DiskEngine(folder, Fsync.NO).open(None)


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"00000000 {}",
        NEWER.replace(b"2", b"3"),
        record([]),
        record({"format": 0, "dunena": "1"}),
        record({"format": True, "dunena": "1"}),
        record({"format": 1}),
        record({"format": 1, "dunena": 1}),
        b"x" * 100_000,
    ],
)
def test_a_damaged_record_is_reported_and_mended_if_the_run_knows_it(
    folder: Path, damaged: bytes
) -> None:
    format_file(folder).write_bytes(damaged)
    assert find_version(folder) == FORMAT
    assert [damage.path for damage in check(folder).damaged] == [".dunena/format"]
    assert open_and_close(folder) == ["format"]
    assert open_and_close(folder) == []


def test_a_damaged_record_is_refused_if_nothing_else_knows_the_format(folder: Path) -> None:
    format_file(folder).write_bytes(b"?")
    (folder / ".dunena" / "run").write_bytes(b"?")
    before = content_of(folder)
    with pytest.raises(FormatError, match=r"is damaged .*format\).*remove that record") as caught:
        DiskEngine(folder, Fsync.NO).open(None)
    assert "\n" not in caught.value.reason
    assert content_of(folder) == before
    format_file(folder).unlink()
    open_and_close(folder)
    assert find_version(folder) == FORMAT


def test_a_record_that_cannot_be_written_does_not_prevent_a_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    format_file(folder).unlink()
    engine = DiskEngine(folder, Fsync.NO)
    write = engine._disk.replace_file

    def fail(path: str, *arguments: object, **more: object) -> object:
        if path.endswith("format"):
            raise OSError(errno.ENOSPC, "full")
        return write(path, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(engine._disk, "replace_file", fail)
    assert [entry.key for entry in engine.open(None).entries] == ["k"]
    engine.close()
    assert not format_file(folder).exists()
    open_and_close(folder)
    assert format_file(folder).exists()
