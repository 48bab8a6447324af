"""Which engine keeps a server's changes: a folder's, or none at all."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from dunena.persistence.disk.place import PRIVATE_FOLDER
from dunena.persistence.interface import Engine, Loaded, Progress
from dunena.persistence.memory import MemoryEngine
from dunena.persistence.policy import Fsync, WatchMode
from dunena.store.limits import Limits


class EngineSettings(Protocol):
    """The part of a server's settings that engines look at; ``cache_dir`` None keeps nothing."""

    @property
    def cache_dir(self) -> Path | None: ...
    @property
    def fsync(self) -> Fsync: ...
    @property
    def watch(self) -> WatchMode: ...
    @property
    def limits(self) -> Limits: ...


def open_engine(
    settings: EngineSettings,
    wake: Callable[[], None],
    progress: Progress | None = None,
    *,
    wall_step_ms: Callable[[], int] = lambda: 0,
) -> tuple[Engine, Loaded]:
    """The engine that the settings ask for, open, and what was kept; raise as `Engine.open`.

    ``wake`` is `Engine.open`'s; without a watch it is never called. ``wall_step_ms`` tells how far
    the wall clock is ahead of the one that expiries go by.
    """
    engine: Engine
    if settings.cache_dir is None:
        engine = MemoryEngine()
    else:
        from dunena.persistence.disk.engine import DiskEngine  # a start without a folder needs none

        engine = DiskEngine(
            settings.cache_dir,
            settings.fsync,
            settings.limits.value_bytes_max,
            settings.watch,
            wall_step_ms,
        )
    return engine, engine.open(None if settings.watch is WatchMode.OFF else wake, progress)


def private_folder(cache_dir: Path | None) -> Path | None:
    """Where a server keeps what is not a value, below the folder for the values; None for none."""
    return None if cache_dir is None else cache_dir / PRIVATE_FOLDER
