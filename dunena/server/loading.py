"""Loading what was kept, in a thread of its own: the loop hears of signals meanwhile."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from dunena.persistence.interface import Progress

PROGRESS_SECONDS = 0.1
"""Between two words on how far it is: each wakes the loop."""

T = TypeVar("T")


class LoadingCancelledError(Exception):
    """The server was asked to stop before everything was loaded."""


async def load_in_thread(
    load: Callable[[Progress], T], progress: Progress | None, is_cancelled: Callable[[], bool]
) -> T:
    """What ``load`` returns, or raises, in a thread; ``progress`` is called in the loop.

    ``load`` is given a `Progress` to call. While it does, ``is_cancelled`` is asked, in the thread
    too: once it is true the call raises `LoadingCancelledError`, and ``load`` lets go of what it
    has. A load that is through by then counts.
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
