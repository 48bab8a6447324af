"""Choosing and opening the engine that stores a server's changes."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from dunena.persistence.disk.paths import PRIVATE_FOLDER
from dunena.persistence.interface import Engine, Loaded, Progress
from dunena.persistence.memory import MemoryEngine
from dunena.persistence.policy import Fsync, WatchMode
from dunena.store.limits import Limits


class EngineSettings(Protocol):
    """The settings that engines need; ``cache_dir`` None stores nothing."""

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
    """Open the engine for the settings; return it and the stored entries; raise as `Engine.open`.

    ``wake`` is that of `Engine.open`; if hand edits are not watched it is never called.
    ``wall_step_ms`` returns how far the wall clock is ahead of the clock of expiries.
    """
    engine: Engine
    if settings.cache_dir is None:
        engine = MemoryEngine()
    else:
        from dunena.persistence.disk.engine import DiskEngine  # not needed without a folder

        engine = DiskEngine(
            settings.cache_dir,
            settings.fsync,
            settings.limits.value_bytes_max,
            settings.watch,
            wall_step_ms,
        )
    return engine, engine.open(None if settings.watch is WatchMode.OFF else wake, progress)


def private_folder(cache_dir: Path | None) -> Path | None:
    """Return the folder for everything that is not a value, inside ``cache_dir``; None for None."""
    return None if cache_dir is None else cache_dir / PRIVATE_FOLDER
