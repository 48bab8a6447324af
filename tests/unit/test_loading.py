"""Loading in a thread: progress in the loop, failures and cancellation."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dunena.persistence.disk.value_files import ValueFiles
from dunena.persistence.interface import Done, OpenError, OutsideChange, Progress
from dunena.persistence.memory import MemoryEngine
from dunena.server import app, loading
from dunena.server.app import Server
from dunena.server.loading import LoadingCancelledError, load_in_thread
from dunena.server.start_errors import StartError
from dunena.settings import Settings
from dunena.store.entry import Change

SECONDS_MAX = 10


def never() -> bool:
    return False


def test_progress_of_a_load_is_reported_in_the_loop_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "PROGRESS_SECONDS", 0.0)
    told: list[tuple[int, int]] = []

    def load(progress: Progress) -> str:
        for count in (1, 2):
            progress(count)
        return "loaded"

    def tell(count: int) -> None:
        told.append((count, threading.get_ident()))

    assert asyncio.run(load_in_thread(load, tell, never)) == "loaded"
    assert told == [(1, threading.get_ident()), (2, threading.get_ident())]


def test_progress_of_a_load_is_not_reported_for_every_entry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loading, "PROGRESS_SECONDS", float("inf"))
    told: list[int] = []

    def load(progress: Progress) -> None:
        for count in range(100):
            progress(count)

    asyncio.run(load_in_thread(load, told.append, never))
    assert told == [0]


def test_an_exception_in_the_load_thread_is_raised_to_the_caller() -> None:
    def load(_: Progress) -> None:
        raise OpenError("no")

    with pytest.raises(OpenError, match="no"):
        asyncio.run(load_in_thread(load, None, never))


def slowed_reading(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Set when a folder is being read; to be set when reading may go on."""
    began, may_go_on = threading.Event(), threading.Event()
    load = ValueFiles.load

    def load_slowly(files: ValueFiles, revision: int, progress: Progress | None = None) -> object:
        began.set()
        assert may_go_on.wait(SECONDS_MAX)
        assert progress is not None
        progress(1)
        return load(files, revision, progress)

    monkeypatch.setattr(ValueFiles, "load", load_slowly)
    return began, may_go_on


async def until_set(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, SECONDS_MAX)


def test_the_loop_runs_while_a_start_loads_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "k.json").write_text("1")
    began, may_go_on = slowed_reading(monkeypatch)
    told: list[int] = []

    async def run() -> None:
        server = Server(Settings(port=0, cache_dir=tmp_path))
        starting = asyncio.create_task(server.start(told.append))
        await until_set(began)
        assert not starting.done()
        may_go_on.set()  # which a blocked loop would never come to
        await starting
        assert (server.store.entry_count, told) == (1, [1])
        await server.stop()

    asyncio.run(run())


def test_a_cancelled_start_releases_the_port_and_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, may_go_on = slowed_reading(monkeypatch)
    stop = threading.Event()

    async def run() -> None:
        server = Server(Settings(port=0, cache_dir=tmp_path))
        starting = asyncio.create_task(server.start(None, stop.is_set))
        await until_set(began)
        stop.set()
        may_go_on.set()
        with pytest.raises(LoadingCancelledError):
            await starting
        again = Server(Settings(port=server.port, cache_dir=tmp_path))
        await again.start()
        await again.stop()

    asyncio.run(run())


def test_hand_edits_found_during_the_load_are_applied_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = asyncio.Event()

    class EditedEngine(MemoryEngine):
        edits = (OutsideChange("", "k", b"1"),)

        def commit(self, changes: Sequence[Change], done: Done, *, durable: bool) -> bool:
            kept.set()
            return super().commit(changes, done, durable=durable)

        def collect(self, _store: object) -> list[OutsideChange]:
            edits, self.edits = self.edits, ()
            return list(edits)

    def open_edited(
        _settings: object, wake: Callable[[], None], progress: Progress, **_: object
    ) -> object:
        wake()
        return EditedEngine(), EditedEngine().open(wake, progress)

    monkeypatch.setattr(app, "open_engine", open_edited)

    async def run() -> None:
        server = Server(Settings(port=0))
        await server.start()
        await asyncio.wait_for(kept.wait(), SECONDS_MAX)
        assert server.store.entry_count == 1
        await server.stop()

    asyncio.run(run())


def test_a_folder_that_cannot_be_opened_raises_start_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def run() -> None:
        server = Server(Settings(port=0, cache_dir=tmp_path / "file" / "below"))
        with pytest.raises(StartError, match="choose another with --cache-dir"):
            await server.start()

    asyncio.run(run())
