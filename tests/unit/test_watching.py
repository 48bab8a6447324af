"""How hand edits are learnt of, and what becomes of it when that fails."""

import errno
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dunena.persistence.disk import watching
from dunena.persistence.disk.hand_edits import HandEdits
from dunena.persistence.disk.place import file_system_of
from dunena.persistence.disk.watcher_events import Told
from dunena.persistence.disk.watching import FolderWatch
from dunena.persistence.interface import WatchState
from dunena.persistence.policy import WatchMode
from tests.support.kept import Kept


class FakeWatcher:
    """Says what a test wants."""

    def __init__(self, root: str, told: Told) -> None:
        self.root = root
        self.told = told

    def close(self) -> None:
        """Nothing to end."""


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakeWatcher]:
    made: list[FakeWatcher] = []

    def begin(root: str, told: Told) -> FakeWatcher:
        made.append(FakeWatcher(root, told))
        return made[-1]

    monkeypatch.setattr(watching, "begin_to_watch", begin)
    monkeypatch.setattr(watching, "why_silent", lambda _root: None)
    return made


@pytest.fixture
def edits(tmp_path: Path) -> Iterator[HandEdits]:
    kept = Kept(tmp_path)
    yield HandEdits(kept.disk, kept.storage, lambda: None)
    kept.close()


def begun(edits: HandEdits, tmp_path: Path, mode: WatchMode = WatchMode.AUTO) -> FolderWatch:
    watch = FolderWatch(str(tmp_path), mode, edits, lambda: None)
    watch.begin()
    return watch


def test_what_was_missed_is_looked_for(
    made: list[FakeWatcher], edits: HandEdits, tmp_path: Path
) -> None:
    watch = begun(edits, tmp_path)
    assert watch.status.state is WatchState.WATCHING
    made[0].told.missed()
    assert watch.status.state is WatchState.CATCHING_UP
    assert watch.status.misses == 1
    edits.step(float("inf"))
    edits.step(float("inf"))
    assert watch.status.state is WatchState.WATCHING


def test_a_watcher_that_ends_is_replaced_by_looking(
    made: list[FakeWatcher], edits: HandEdits, tmp_path: Path
) -> None:
    watch = begun(edits, tmp_path)
    made[0].told.ended("out of luck")
    assert watch.status.state is WatchState.CATCHING_UP
    for _ in range(3):
        edits.step(1e12)
    assert watch.status.state is WatchState.POLLING
    assert watch.status.reason == "out of luck"


def test_a_system_that_cannot_watch_is_looked_at(
    edits: HandEdits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_root: str, _told: Told) -> FakeWatcher:
        raise OSError(errno.EMFILE, "too many instances")

    monkeypatch.setattr(watching, "begin_to_watch", refuse)
    watch = begun(edits, tmp_path, WatchMode.NOTIFY)
    assert watch.status.state is WatchState.POLLING
    assert watch.status.reason == "too many instances"


@pytest.mark.parametrize("mode", [WatchMode.AUTO, WatchMode.NOTIFY, WatchMode.POLL, WatchMode.OFF])
def test_a_silent_system_is_looked_at_unless_told_otherwise(
    made: list[FakeWatcher],
    edits: HandEdits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: WatchMode,
) -> None:
    monkeypatch.setattr(watching, "why_silent", lambda _root: "it is silent")
    state = begun(edits, tmp_path, mode).status.state
    expected = {WatchMode.NOTIFY: WatchState.WATCHING, WatchMode.OFF: WatchState.OFF}
    assert state is expected.get(mode, WatchState.POLLING)
    assert len(made) == (mode is WatchMode.NOTIFY)


def test_file_systems_that_others_change_are_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, is_silent in {"nfs4": True, "fuse.sshfs": True, "ext4": False, "": False}.items():
        monkeypatch.setattr(watching, "file_system_of", lambda _path, kind=kind: kind)
        monkeypatch.setattr(watching.platform, "uname", lambda: watching.platform)
        monkeypatch.setattr(watching.platform, "release", "6.1", raising=False)
        assert (watching.why_silent("/values") is not None) == is_silent


def test_the_innermost_mount_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "21 1 8:1 / / rw - ext4 /dev/sda rw\n"
        "22 21 0:5 / /my\\040values rw shared:1 - nfs4 host:/v rw\n"
        "nonsense\n"
    )
    monkeypatch.setattr(Path, "read_text", lambda *_arguments: text)
    assert file_system_of("/my values/k") == "nfs4"
    assert file_system_of("/my values 2") == "ext4"


def test_only_linux_is_asked_for_its_kernel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On Windows the question goes to a service that takes seconds, or hangs."""
    monkeypatch.setattr(platform, "uname", lambda: pytest.fail("asked"))
    monkeypatch.setattr(sys, "platform", "win32")
    assert watching.why_silent(str(tmp_path)) is None


def test_the_kernel_of_windows_own_linux_tells_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kernel = platform.uname()._replace(release="6.6.87.2-microsoft-standard-WSL2")
    monkeypatch.setattr(platform, "uname", lambda: kernel)
    monkeypatch.setattr(sys, "platform", "linux")
    assert watching.why_silent(str(tmp_path)) == "WSL tells nothing of Windows' files"
