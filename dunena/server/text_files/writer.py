"""The thread that writes text files, so that a slow disk holds up nobody."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping

from dunena.server.text_files.folder import TextFolder
from dunena.store.entry import Entry, EntryId
from dunena.watches.selector import Selector
from dunena.watches.updates import UpdatePart

STEP_SECONDS = 0.05
"""Time between two looks at what has changed: with many changes a second the thread would otherwise
take the interpreter from the server as often."""

CHECK_SECONDS = 1.0
"""Time between two looks at whether the folder is still there."""

STUCK_MS = 30_000
"""Time after which a disk that does not answer is a failure: the thread waits for it and reports
nothing itself. Writing all the files that there may be takes less."""

STOP_SECONDS_MAX = 2.0
"""Time that a stop waits for the last files: a disk that hangs must not hold it up."""

START_SECONDS_MAX = 2.0
"""Time that a start waits for the first files, for the same reason."""

_log = logging.getLogger(__name__)


class TextWriter:
    """Takes updates in the server's thread, and writes them in one of its own.

    ``clock_ms`` is the server's time, Unix ms. Of each key only the newest value waits.
    """

    def __init__(self, folder: TextFolder, clock_ms: Callable[[], int]) -> None:
        self._folder = folder
        self._clock_ms = clock_ms
        self._condition = threading.Condition()
        self._news: dict[EntryId, bytes | None] = {}
        self._forgotten: dict[Selector, None] = {}  # whose keys were all gone before the news
        self._is_closing = False
        self._has_begun = threading.Event()
        self._fault: str | None = None
        self._last_fault: str | None = None
        self._faults = 0
        self._busy_since: int | None = None  # while the thread writes, Unix ms
        self._thread = threading.Thread(target=self._run, name="text files", daemon=True)

    @property
    def failure(self) -> str | None:
        """What is not as it should be, in one line; None if all is well. Any thread may ask."""
        if not (self._thread.is_alive() or self._is_closing):
            return "no text files are written"
        since = self._busy_since
        if since is not None and self._clock_ms() - since >= STUCK_MS:
            return "text files are not written: the disk does not answer"
        return self._fault or self._folder.failure

    @property
    def written(self) -> int:
        """How many files were written since the start."""
        return self._folder.written

    @property
    def failures(self) -> int:
        """How often a file could not be written since the start."""
        return self._folder.failures + self._faults

    @property
    def last_error(self) -> str | None:
        """The reason of the last failure since the start, in one line; None if there was none."""
        return self._last_fault or self._folder.last_error

    def start(self, present: Mapping[EntryId, bytes | None]) -> None:
        """Begin to write, with the present values of all keys that have files."""
        self._news.update(present)
        self._thread.start()

    def wait_for_first(self) -> None:
        """Wait until every file shows what stands, as far as it can be written."""
        if not self._has_begun.wait(START_SECONDS_MAX):
            _log.warning("the first text files take long: some may show what is gone")

    def lose(self, entry_ids: Iterable[EntryId]) -> None:
        """Take it that keys are gone without an update, since the server stops."""
        with self._condition:
            self._news.update(dict.fromkeys(entry_ids))

    def take(self, selector: Selector, part: UpdatePart) -> None:
        """Take an update of what a selector selects; called in the server's thread."""
        if not (part.changes or part.is_reset):
            return  # it tells a position
        with self._condition:
            if part.is_reset:
                self._forget(selector)
            for told in part.changes:
                value = told.value if isinstance(told, Entry) else None
                self._news[told.ns, told.key] = value
            self._condition.notify()

    def close(self) -> None:
        """Write what is left, and end the thread."""
        with self._condition:
            self._is_closing = True
            self._condition.notify()
        self._thread.join(STOP_SECONDS_MAX)
        if self._thread.is_alive():
            _log.error("the last text files could not be written in time")

    # --- inside ---

    def _forget(self, selector: Selector) -> None:
        matches = selector.matcher()
        for ns, key in list(self._news):
            if ns == selector.ns and matches(key):
                del self._news[ns, key]
        self._forgotten[selector] = None

    def _run(self) -> None:
        is_first = True
        while True:
            with self._condition:
                is_closing = self._is_closing
                news, self._news = self._news, {}
                forgotten, self._forgotten = self._forgotten, {}
            self._busy_since = self._clock_ms()
            try:
                self._step(news, forgotten, is_first=is_first, is_last=is_closing)
                self._fault = None
            except Exception as error:  # noqa: BLE001 - a bug must not end the thread
                if self._fault is None:
                    _log.exception("text files could not be written")
                self._fault = self._last_fault = f"text files cannot be written: {error}"
                self._faults += 1
            self._busy_since = None
            is_first = False
            self._has_begun.set()
            if is_closing:
                return
            self._wait(is_resting=bool(news or forgotten))

    def _step(
        self,
        news: Mapping[EntryId, bytes | None],
        forgotten: Mapping[Selector, None],
        *,
        is_first: bool,
        is_last: bool,
    ) -> None:
        folder = self._folder
        for selector in forgotten:
            matches = selector.matcher()
            for entry_id in folder.entry_ids:
                if entry_id[0] == selector.ns and matches(entry_id[1]) and entry_id not in news:
                    folder.show(entry_id, None)
        for entry_id, value in news.items():
            folder.show(entry_id, value)
        now = self._clock_ms()
        if is_first:
            folder.empty_others()
        else:
            folder.check(now)
        folder.write(now, is_last=is_last)

    def _wait(self, *, is_resting: bool) -> None:
        """Wait until there is something to do, or the folder is to be looked at.

        ``is_resting``: not at once, as there was something to do in the last step.
        """
        with self._condition:
            if is_resting:
                self._condition.wait_for(lambda: self._is_closing, STEP_SECONDS)
            next_at = self._folder.next_at
            due = CHECK_SECONDS if next_at is None else (next_at - self._clock_ms()) / 1000
            seconds = min(max(due, 0.0 if is_resting else STEP_SECONDS), CHECK_SECONDS)
            self._condition.wait_for(
                lambda: self._is_closing or self._news or self._forgotten, seconds
            )
