"""Hand edits: which paths in the folder were touched by anything."""

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

_QUIET_MS = 50  # an editor's save is several events: they are taken together
_LONGEST_MS = 400  # but never waited for longer than this

_log = logging.getLogger(__name__)


class Watcher:
    """A thread that calls ``touched`` with paths, again and again, until `close`."""

    def __init__(self, root: Path, touched: Callable[[set[Path]], None]) -> None:
        self._root = root
        # The system names paths without the prefix that lifts Windows' length limit.
        self._prefix = str(root).removeprefix("\\\\?\\") + os.sep
        self._touched = touched
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dunena-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        # The watcher brings a large extension module: it is loaded only where it is wanted.
        from watchfiles import watch

        try:
            for events in watch(
                self._prefix,
                watch_filter=self._is_wanted,
                debounce=_LONGEST_MS,
                step=_QUIET_MS,
                stop_event=self._stop,
                raise_interrupt=False,
            ):
                self._touched({self._root / path[len(self._prefix) :] for _, path in events})
        except (OSError, RuntimeError) as error:
            _log.error("files edited by hand are not seen from now on: %s", error)

    def _is_wanted(self, _kind: object, path: str) -> bool:
        return path.startswith(self._prefix) and path[len(self._prefix) :][:1] != "."
