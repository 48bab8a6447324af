"""How hand edits are learnt of, and what becomes of it when that fails."""

import errno
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dunena.persistence.disk import watching
from dunena.persistence.disk.hand_edits import HandEdits
from dunena.persistence.disk.paths import file_system_of
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


def test_missed_events_cause_a_scan(
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


def test_polling_replaces_a_watcher_that_ends(
    made: list[FakeWatcher], edits: HandEdits, tmp_path: Path
) -> None:
    watch = begun(edits, tmp_path)
    made[0].told.ended("out of luck")
    assert watch.status.state is WatchState.CATCHING_UP
    for _ in range(3):
        edits.step(1e12)
    assert watch.status.state is WatchState.POLLING
    assert watch.status.reason == "out of luck"


def test_polling_is_used_when_the_watcher_cannot_start(
    edits: HandEdits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_root: str, _told: Told) -> FakeWatcher:
        raise OSError(errno.EMFILE, "too many instances")

    monkeypatch.setattr(watching, "begin_to_watch", refuse)
    watch = begun(edits, tmp_path, WatchMode.NOTIFY)
    assert watch.status.state is WatchState.POLLING
    assert watch.status.reason == "too many instances"


@pytest.mark.parametrize("mode", [WatchMode.AUTO, WatchMode.NOTIFY, WatchMode.POLL, WatchMode.OFF])
def test_polling_is_used_on_a_silent_file_system_unless_set_to_notify(
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


def test_network_file_systems_are_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, is_silent in {"nfs4": True, "fuse.sshfs": True, "ext4": False, "": False}.items():
        monkeypatch.setattr(watching, "file_system_of", lambda _path, kind=kind: kind)
        monkeypatch.setattr(watching.platform, "uname", lambda: watching.platform)
        monkeypatch.setattr(watching.platform, "release", "6.1", raising=False)
        assert (watching.why_silent("/values") is not None) == is_silent


def test_file_system_of_returns_the_innermost_mount(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "21 1 8:1 / / rw - ext4 /dev/sda rw\n"
        "22 21 0:5 / /my\\040values rw shared:1 - nfs4 host:/v rw\n"
        "nonsense\n"
    )
    monkeypatch.setattr(Path, "read_text", lambda *_arguments: text)
    assert file_system_of("/my values/k") == "nfs4"
    assert file_system_of("/my values 2") == "ext4"


def test_the_kernel_version_is_not_read_on_windows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On Windows the question goes to a service that takes seconds, or hangs."""
    monkeypatch.setattr(platform, "uname", lambda: pytest.fail("asked"))
    monkeypatch.setattr(sys, "platform", "win32")
    assert watching.why_silent(str(tmp_path)) is None


def test_windows_files_under_wsl_are_silent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kernel = platform.uname()._replace(release="6.6.87.2-microsoft-standard-WSL2")
    monkeypatch.setattr(platform, "uname", lambda: kernel)
    monkeypatch.setattr(sys, "platform", "linux")
    assert watching.why_silent(str(tmp_path)) == "WSL tells nothing of Windows' files"
