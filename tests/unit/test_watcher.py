"""File watchers: every change is reported while folders come and go."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from queue import Queue

import pytest

from dunena.persistence.disk.watcher import LibraryWatcher, begin_to_watch
from dunena.persistence.disk.watcher_events import Told

if sys.platform == "linux":
    from dunena.persistence.disk.inotify import OVERFLOW, InotifyEvent
    from dunena.persistence.disk.linux_watcher import LinuxWatcher

WAIT_SECONDS = 10


class Watched:
    """A folder under a `Watcher`; ``until`` waits for paths to be told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: Queue[set[str]] = Queue()
        self.misses: Queue[None] = Queue()
        self.ends: Queue[str] = Queue()
        told = Told(self.told.put, lambda: self.misses.put(None), self.ends.put)
        self.watcher = begin_to_watch(str(folder), told)

    def until(self, *names: str) -> None:
        missing = {str(self.folder / name) for name in names}
        while missing:
            missing -= self.told.get(timeout=WAIT_SECONDS)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    for name in (".dunena", "old"):
        (tmp_path / name).mkdir()
    watched = Watched(tmp_path)
    yield watched
    watched.watcher.close()


def test_created_changed_and_removed_files_are_reported(watched: Watched) -> None:
    (watched.folder / "k.json").write_text("1")
    (watched.folder / "old" / "k.json").write_text("1")
    watched.until("k.json", "old/k.json")
    (watched.folder / "k.json").unlink()
    watched.until("k.json")


def test_a_new_folder_is_watched_once_it_is_reported(watched: Watched) -> None:
    for number in range(3):
        name = f"new{number}"
        (watched.folder / name).mkdir()
        watched.until(name)
        (watched.folder / name / "k.json").write_text("1")
        watched.until(f"{name}/k.json")


def test_a_folder_replacing_another_is_watched(watched: Watched) -> None:
    (watched.folder / "old").rename(watched.folder / ".gone")
    (watched.folder / "old").mkdir()
    watched.until("old")
    (watched.folder / "old" / "k.json").write_text("1")
    watched.until("old/k.json")
    (watched.folder / "old" / "k.json").unlink()
    (watched.folder / "old").rmdir()
    watched.until("old")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere folders are watched as a whole")
def test_the_private_folder_is_not_watched(watched: Watched) -> None:
    found = set()
    for path in Path("/proc/self/fdinfo").iterdir():
        with suppress(FileNotFoundError):  # what this loop itself had open
            for line in path.read_text().splitlines():
                if line.startswith("inotify"):
                    found.add(int(line.partition("ino:")[2].split()[0], 16))
    assert (watched.folder / "old").stat().st_ino in found
    assert (watched.folder / ".dunena").stat().st_ino not in found


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="of what Linux tells")


@linux_only
def test_a_name_that_is_not_utf_8_is_reported_and_watching_continues(watched: Watched) -> None:
    raw = os.fsencode(watched.folder)
    with open(raw + b"/k\xff.json", "w"):  # noqa: PTH123 - not every path object can be this
        pass
    watched.until("k\udcff.json")
    os.mkdir(raw + b"/f\xff")  # noqa: PTH102
    watched.until("f\udcff")
    (watched.folder / "k.json").write_text("1")
    watched.until("k.json")


@linux_only
def test_links_are_reported_and_not_followed_and_watching_continues(watched: Watched) -> None:
    (watched.folder / "link").symlink_to("old", target_is_directory=True)
    watched.until("link")
    (watched.folder / "old" / "k.json").write_text("1")
    watched.until("old/k.json")


@linux_only
def test_an_overflow_of_the_event_queue_is_reported_as_missed(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(watched.watcher, LinuxWatcher)
    monkeypatch.setattr(
        watched.watcher._notify, "read", lambda: [InotifyEvent(-1, OVERFLOW, b"")], raising=False
    )
    (watched.folder / "k.json").write_text("1")
    watched.misses.get(timeout=WAIT_SECONDS)


@linux_only
def test_the_thread_is_woken_once_for_all_events_that_it_reports_together(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(watched.watcher, LinuxWatcher)
    notify = watched.watcher._notify
    waits = []
    wait = notify.wait

    def count_and_wait(timeout_ms: int) -> bool:
        waits.append(timeout_ms)
        return wait(timeout_ms)

    monkeypatch.setattr(notify, "wait", count_and_wait)
    names = [f"k{number}.json" for number in range(50)]
    for name in names:
        (watched.folder / name).write_text("1")
    reports = 0
    missing = {str(watched.folder / name) for name in names}
    while missing:
        missing -= watched.told.get(timeout=WAIT_SECONDS)
        reports += 1
    # The first wait began before they were counted, and another may have begun since.
    assert len(waits) <= reports


@linux_only
def test_a_folder_that_is_moved_away_and_back_is_still_watched(watched: Watched) -> None:
    elsewhere = watched.folder.with_name("elsewhere")
    watched.folder.rename(elsewhere)
    elsewhere.rename(watched.folder)
    (watched.folder / "k.json").write_text("1")
    watched.until("k.json")


@linux_only
def test_removing_the_folder_ends_the_watcher(watched: Watched) -> None:
    shutil.rmtree(watched.folder)
    assert watched.ends.get(timeout=WAIT_SECONDS) == "the folder was removed"


def test_the_library_watcher_reports_a_changed_file(tmp_path: Path) -> None:
    told: Queue[set[str]] = Queue()
    watcher = LibraryWatcher(str(tmp_path), Told(told.put, lambda: None, lambda _: None))
    (tmp_path / "k.json").write_text("1")
    assert told.get(timeout=WAIT_SECONDS) == {str(tmp_path / "k.json")}
    watcher.close()
