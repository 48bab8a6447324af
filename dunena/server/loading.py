"""Loading the stored values in a thread, so that the loop can handle signals meanwhile."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from dunena.persistence.interface import Progress

PROGRESS_SECONDS = 0.1
"""Time between two reports of progress, each of which wakes the loop."""

T = TypeVar("T")


class LoadingCancelledError(Exception):
    """The server was told to stop before everything was loaded."""


async def load_in_thread(
    load: Callable[[Progress], T], progress: Progress | None, is_cancelled: Callable[[], bool]
) -> T:
    """Run ``load`` in a thread and return its result, or raise its exception.

    ``load`` gets a function to report the number of keys read, which calls ``progress`` in the
    loop. The function also calls ``is_cancelled``, in the thread, and raises
    `LoadingCancelledError` if that is true; ``load`` then has to release what it holds. A ``load``
    that has finished by then is not cancelled.
    """
    loop = asyncio.get_running_loop()
    next_at = 0.0

    def tell(count: int) -> None:
        nonlocal next_at
        if is_cancelled():
            raise LoadingCancelledError
        now = time.monotonic()
        if progress is not None and now >= next_at:
            next_at = now + PROGRESS_SECONDS
            loop.call_soon_threadsafe(progress, count)

    return await loop.run_in_executor(None, load, tell)
