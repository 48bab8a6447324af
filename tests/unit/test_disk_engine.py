"""The disk engine: its lock, its threads, and disk failures."""

import errno
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

import pytest

from dunena.persistence.disk import value_files
from dunena.persistence.disk.engine import DiskEngine
from dunena.persistence.disk.paths import extended
from dunena.persistence.interface import InUseError, OpenError, OutsideChange, StorageError
from dunena.persistence.policy import Fsync
from dunena.store.entry import Change
from dunena.store.store import Store

pytestmark = pytest.mark.usefixtures("ordered_locks")

WAIT_SECONDS = 10


class Engine:
    """An open engine with a store; files that follow and syncs are waited for."""

    def __init__(self, folder: Path, fsync: Fsync = Fsync.NO) -> None:
        self.folder = folder
        self.woken: Queue[None] = Queue()
        self.engine = DiskEngine(folder, fsync)
        self.changes: list[Change] = []
        self.store = Store(self.changes.append)
        loaded = self.engine.open(lambda: self.woken.put(None))
        self.store.load(loaded.entries, loaded.revision)

    def commit(self, *, durable: bool = False) -> str | None:
        """Keep what was changed; why not."""
        changes, self.changes[:] = list(self.changes), []
        outcome: Queue[str | None] = Queue()
        try:
            if self.engine.commit(changes, outcome.put, durable=durable):
                return None
        except StorageError as error:
            self.store.undo(changes)
            return error.reason
        reason = outcome.get(timeout=WAIT_SECONDS)
        self.finish_commit(changes, reason)
        return reason

    def finish_commit(self, changes: Sequence[Change], reason: str | None) -> None:
        self.engine.finish_commit(changes, is_kept=reason is None)
        if reason is not None:
            self.store.undo(changes)

    def collected(self) -> list[OutsideChange]:
        """What other hands did, as soon as there is something."""
        while True:
            self.woken.get(timeout=WAIT_SECONDS)
            found = self.engine.collect(self.store)
            if found:
                return found


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    engines: list[Engine] = []

    def open_(fsync: Fsync = Fsync.NO) -> Engine:
        engines.append(Engine(tmp_path / "values", fsync))
        return engines[-1]

    yield open_
    for engine in engines:
        engine.engine.close()


def fail(monkeypatch: pytest.MonkeyPatch, engine: Engine, name: str, number: int) -> None:
    def failing(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(engine.engine._disk, name, failing)


@pytest.mark.parametrize("fsync", Fsync)
@pytest.mark.parametrize("durable", [False, True])
def test_committed_values_are_loaded_after_a_stop(
    tmp_path: Path, fsync: Fsync, durable: bool
) -> None:
    engine = Engine(tmp_path, fsync)
    engine.store.set("n", "k", b'{"a":1}')
    assert engine.commit(durable=durable) is None
    engine.engine.close()
    assert (tmp_path / "n" / "k.json").read_text() == '{\n  "a": 1\n}'
    assert list((tmp_path / ".dunena" / "journal").iterdir()) == []
    again = Engine(tmp_path, fsync)
    assert [(e.ns, e.key, e.value) for e in again.store.entries()] == [("n", "k", b'{"a":1}')]
    assert again.store.revision == 2, "a start counts as a change"
    again.engine.close()


def test_a_second_engine_is_refused_with_the_url_of_the_first(opened) -> None:
    first = opened()
    first.engine.publish("http://127.0.0.1:3000")
    with pytest.raises(InUseError, match=r"another dunena .*3000") as caught:
        DiskEngine(first.folder, Fsync.NO).open(None)
    assert caught.value.url == "http://127.0.0.1:3000"


def test_open_refuses_a_folder_that_cannot_be_created(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OpenError, match="cannot use the folder"):
        DiskEngine(tmp_path / "file" / "below", Fsync.NO).open(None)


def test_an_aborted_open_unlocks_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(value_files, "ENTRIES_PER_PROGRESS", 1)
    (tmp_path / "k.json").write_text("1")

    def end(_count: int) -> None:
        raise KeyError

    ended = DiskEngine(tmp_path, Fsync.NO)
    with pytest.raises(KeyError):
        ended.open(None, end)
    again = DiskEngine(tmp_path, Fsync.NO)
    assert [entry.key for entry in again.open(None).entries] == ["k"]
    again.close()


def test_close_unlocks_the_folder_from_any_thread(tmp_path: Path) -> None:
    first, second = DiskEngine(tmp_path, Fsync.NO), DiskEngine(tmp_path, Fsync.NO)
    with ThreadPoolExecutor(1) as opening, ThreadPoolExecutor(1) as closing:
        opening.submit(first.open, None).result()
        with pytest.raises(InUseError):
            second.open(None)
        closing.submit(first.close).result()
    second.open(None)
    second.close()


@pytest.mark.parametrize("name", [".dunena", ".dunena/journal", ".dunena/tmp"])
def test_open_names_the_file_in_place_of_a_private_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    with pytest.raises(OpenError, match=re.escape(f": {Path(name)}: ")):
        DiskEngine(tmp_path, Fsync.NO).open(None)


def test_collect_reads_hand_edits_and_not_own_writes(opened, monkeypatch) -> None:
    engine = opened()
    disk, read = engine.engine._disk, []
    read_stamped = disk.read_stamped
    monkeypatch.setattr(
        disk, "read_stamped", lambda path, *rest: (read.append(path), read_stamped(path, *rest))[1]
    )
    engine.store.set("", "own", b"1")
    assert engine.commit() is None
    own, other = engine.folder / "own.json", engine.folder / "k.json"
    deadline = time.monotonic() + WAIT_SECONDS
    while engine.engine.files_behind:  # what is told of own.json comes before k.json
        assert time.monotonic() < deadline
        time.sleep(0)
    other.write_text("2")
    assert engine.collected() == [OutsideChange("", "k", b"2")]
    assert own.read_text() == "1"
    assert set(read) == {str(extended(other))}


def test_a_full_disk_refuses_the_commit_and_leaves_memory_unchanged(opened, monkeypatch) -> None:
    engine = opened()
    engine.store.set("", "k", b"1")
    with monkeypatch.context() as patch:
        fail(patch, engine, "append_to", errno.ENOSPC)
        assert engine.commit() == "no space left on device"
        fail(patch, engine, "replace_file", errno.ENOSPC)
        with pytest.raises(StorageError, match="no space left"):
            engine.engine.probe()
    assert engine.store.entry_count == engine.store.revision == 0
    engine.engine.probe()
    engine.store.set("", "k", b"2")
    assert engine.commit() is None


def test_a_failed_sync_refuses_commits_until_a_sync_succeeds(opened, monkeypatch) -> None:
    engine = opened(Fsync.ALWAYS)
    engine.store.set("", "k", b"1")
    with monkeypatch.context() as patch:
        fail(patch, engine, "sync", errno.EIO)
        assert engine.commit() == "input/output error"
        assert engine.store.entry_count == 0
        engine.store.set("", "k", b"1")
        assert engine.commit() == "input/output error"
    for _ in range(100):
        try:
            engine.engine.probe()  # asks for a sync; the next one knows how it went
        except StorageError:
            engine.engine._syncer.request(lambda _failure: engine.woken.put(None))
            engine.woken.get(timeout=WAIT_SECONDS)
        else:
            break
    engine.store.set("", "k", b"2")
    assert engine.commit() is None
