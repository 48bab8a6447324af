"""Commits that are refused now and then, as by a disk that fails for a moment."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REFUSING_SECONDS = 0.1
"""A server notices within 50 ms that its folder is away."""


@contextmanager
def commits_refused(folder: Path) -> Iterator[None]:
    """Move a server's folder away and back all the time: first away, and back at the end.

    Not on Windows, where a folder in use cannot be moved.
    """
    elsewhere = folder.with_name(f"{folder.name}-elsewhere")
    is_over = threading.Event()

    def move() -> None:
        while not is_over.is_set():
            is_over.wait(REFUSING_SECONDS)
            elsewhere.rename(folder)
            if not is_over.wait(REFUSING_SECONDS):
                folder.rename(elsewhere)

    folder.rename(elsewhere)
    mover = threading.Thread(target=move)
    mover.start()
    try:
        yield
    finally:
        is_over.set()
        mover.join()
        if elsewhere.exists():
            elsewhere.rename(folder)
