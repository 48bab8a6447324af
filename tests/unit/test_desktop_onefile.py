"""The unpacked folder of the executable: sweeping, orphans and inherited variables."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import pytest
from filelock import FileLock

from dunena.desktop import onefile
from dunena.desktop.onefile import (
    LOCK_NAME,
    UNLOCKED_SECONDS_MAX,
    OneFileLife,
    end_with_parent,
    sweep,
)

posix = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX system's way of doing it")


def unpack(temporary: Path, name: str, *, locked_before: bool = True) -> Path:
    """What a run that was killed leaves."""
    folder = temporary / name
    (folder / "dunena" / "web").mkdir(parents=True)
    if locked_before:
        (folder / LOCK_NAME).touch()
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return unpack(tmp_path, "_MEIown")


def test_sweep_removes_the_folder_of_a_killed_run(tmp_path: Path, own: Path) -> None:
    left = unpack(tmp_path, "_MEIleft")
    assert sweep(tmp_path, own) == [left]
    assert not left.exists()
    assert own.exists()


def test_sweep_keeps_the_folder_of_a_running_program(tmp_path: Path, own: Path) -> None:
    running = unpack(tmp_path, "_MEIrunning")
    with FileLock(running / LOCK_NAME):
        assert sweep(tmp_path, own) == []
    assert running.exists()


def test_sweep_keeps_a_folder_without_a_lock_until_unpacking_must_be_over(
    tmp_path: Path, own: Path
) -> None:
    fresh = unpack(tmp_path, "_MEIfresh", locked_before=False)
    assert sweep(tmp_path, own) == []
    assert sweep(tmp_path, own, lambda: time.time() + UNLOCKED_SECONDS_MAX + 60) == [fresh]


def test_sweep_keeps_folders_of_other_programs(tmp_path: Path, own: Path) -> None:
    other_program = tmp_path / "_MEIother"
    other_program.mkdir()
    (other_program / LOCK_NAME).touch()
    no_program = unpack(tmp_path, "MEIx")
    assert sweep(tmp_path, own, lambda: time.time() + 1e6) == []
    assert other_program.exists()
    assert no_program.exists()


@posix
def test_sweep_does_not_follow_links(tmp_path: Path, own: Path) -> None:
    target = unpack(tmp_path, "precious")
    (tmp_path / "_MEIlink").symlink_to(target)
    planted = unpack(tmp_path, "_MEIplanted", locked_before=False)
    precious = tmp_path / "precious.txt"
    precious.write_text("kept")
    (planted / LOCK_NAME).symlink_to(precious)
    assert sweep(tmp_path, own, lambda: time.time() + 1e6) == []
    assert target.exists()
    assert precious.read_text() == "kept"


@pytest.fixture
def parent_dies(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """The parent lives until something is put into the list."""
    gone: list[bool] = []

    def wait() -> None:
        while not gone:
            time.sleep(0.001)

    monkeypatch.setattr(onefile, "wait_for_parent", wait)
    yield gone
    gone.append(True)


@posix
def test_a_program_whose_parent_dies_ends_and_removes_its_folder(
    own: Path, parent_dies: list[bool]
) -> None:
    told: list[bool] = []
    life = OneFileLife(own, lambda: told.append(True))
    life.start()
    parent_dies.append(True)
    life._watcher.join(5)
    assert told == [True]
    life.end()
    assert not own.exists()


def test_an_orphan_on_windows_leaves_its_folder_for_the_next_start_to_sweep(
    tmp_path: Path, own: Path, parent_dies: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loaded libraries cannot be removed on Windows, and half a folder is never swept."""
    life = OneFileLife(own, lambda: None)
    life.start()
    life._sweeper.join(5)
    parent_dies.append(True)
    life._watcher.join(5)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "platform", "win32")
        life.end()
    other = tmp_path / "_MEIother"
    assert sweep(tmp_path, other) == [], "it runs still"
    # The end of the process frees the lock; there the library would remove the file too.
    life._lock.release()
    (own / LOCK_NAME).touch()
    assert sweep(tmp_path, other) == [own]


def test_a_long_running_command_ends_with_its_parent(
    own: Path, parent_dies: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: Queue[int] = Queue()
    monkeypatch.setattr(sys, "_MEIPASS", str(own), raising=False)
    monkeypatch.setattr(os, "_exit", ended.put)
    end_with_parent()
    assert ended.empty()
    parent_dies.append(True)
    assert ended.get(timeout=5) == 1
    assert own.exists() is (sys.platform == "win32"), "where it is loaded it cannot be removed"


def test_a_command_not_run_as_one_file_starts_no_parent_watcher(
    parent_dies: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "Thread", None)
    end_with_parent()


def test_a_program_with_a_living_parent_leaves_the_folder_to_it(
    own: Path, parent_dies: list[bool]
) -> None:
    life = OneFileLife(own, lambda: None)
    life.start()
    life.end()
    assert own.exists()
    assert not parent_dies


def test_unpacked_folder_is_recognized_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert onefile.unpacked_folder() is None
    monkeypatch.setattr(sys, "_MEIPASS", str(Path("tmp", "_MEIabc")), raising=False)
    assert onefile.unpacked_folder() == Path("tmp", "_MEIabc")
    monkeypatch.setattr(sys, "_MEIPASS", str(Path("opt", "_internal")))
    assert onefile.unpacked_folder() is None, "a folder that was not unpacked is not swept"


def test_is_apart_tells_an_unpacked_program_from_a_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert not onefile.is_apart(), "run from source"
    monkeypatch.setattr(sys, "executable", str(tmp_path / "dunena"))
    for unpacked, is_apart in (
        (tmp_path / "_internal", False),
        (tmp_path / ".cache" / "dunena" / "0123" / "_internal", True),
        (tmp_path.parent / "cache" / "_internal", True),
        (tmp_path / "_MEIabc", True),
    ):
        monkeypatch.setattr(sys, "_MEIPASS", str(unpacked), raising=False)
        assert onefile.is_apart() is is_apart, unpacked


@pytest.mark.parametrize(
    ("before", "frozen", "after"),
    [
        ({"LD_LIBRARY_PATH": "/unpacked", "LD_LIBRARY_PATH_ORIG": "/own"}, True, "/own"),
        ({"LD_LIBRARY_PATH": "/unpacked"}, True, None),
        ({"LD_LIBRARY_PATH": "/own"}, False, "/own"),
        ({}, True, None),
    ],
)
def test_child_programs_get_the_original_library_path(
    monkeypatch: pytest.MonkeyPatch, before: dict[str, str], frozen: bool, after: str | None
) -> None:
    for name in ("LD_LIBRARY_PATH", "LD_LIBRARY_PATH_ORIG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in before.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "frozen", frozen, raising=False)
    onefile.restore_library_path()
    assert os.environ.get("LD_LIBRARY_PATH") == after
    assert "LD_LIBRARY_PATH_ORIG" not in os.environ
