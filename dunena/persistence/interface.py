"""The interface between the server and the engines that store its changes.

The server calls an engine only in its loop's thread, except for `Engine.open` and `Engine.close`,
which take long: these are called in other threads, while no other method is. An engine may find
changes made elsewhere (a file edited by hand, another machine) in a thread of its own: it calls
`wake`, and the server gets the changes by `collect` between two ticks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from dunena.histogram import Histogram
from dunena.store.entry import Change, Entry
from dunena.store.store import Store


class StorageError(Exception):
    """None of the changes of a commit was stored; ``reason`` is a text for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UntidyError(StorageError):
    """All changes are stored, but what an engine does at its end could not be done."""


class OpenError(Exception):
    """The engine cannot start; ``reason`` says why and what to do in one line."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class InUseError(OpenError):
    """The storage is used by another server; ``url`` is where that answers, None if unknown."""

    def __init__(self, reason: str, url: str | None) -> None:
        super().__init__(reason)
        self.url = url


class FormatError(OpenError):
    """The storage has a format that this program does not know; nothing in it was changed.

    ``advice`` says what to do; ``reason`` has it too.
    """

    def __init__(self, text: str, advice: str) -> None:
        super().__init__(f"{text}; {advice}")
        self.text = text
        self.advice = advice


def display_path_of(path: str) -> str:
    """Return a path as one line of text, with escapes for invalid UTF-8 and control characters."""
    text = path.removeprefix("\\\\?\\").encode("utf-8", "surrogateescape")
    decoded = text.decode("utf-8", "backslashreplace")
    if decoded.isprintable():
        return decoded
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in decoded)


class DamageKind(Enum):
    """The kinds of damage.

    The content, the size or the name of a file is wrong; another file has the same key; a record of
    the server is damaged; something is neither a plain file nor a folder; or it cannot be read.
    """

    CONTENT = "content"
    SIZE = "size"
    STRANGER = "stranger"
    UNREADABLE = "unreadable"
    NAME = "name"
    CLASH = "clash"
    RECORD = "record"


@dataclass(frozen=True, slots=True)
class Damage:
    """Something in the storage that could not be read; it was not changed."""

    path: str
    reason: str
    kind: DamageKind = DamageKind.CONTENT

    @property
    def display_path(self) -> str:
        """The path as text for people and JSON."""
        return display_path_of(self.path)


@dataclass(slots=True)
class Loaded:
    """The stored entries at the start, and the revision that later changes must exceed."""

    entries: list[Entry] = field(default_factory=list)
    revision: int = 0


class WatchState(Enum):
    """How changes made elsewhere are found at present.

    WATCHING: by notifications of the system. POLLING: by examining all files. CATCHING_UP: some
    were missed and are searched for. FAILING: they are not found. OFF: they are not looked for.
    """

    WATCHING = "watching"
    POLLING = "polling"
    CATCHING_UP = "catching up"
    FAILING = "failing"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Watching:
    """The state, the reason if it is not the wanted one, and how often changes were missed."""

    state: WatchState = WatchState.OFF
    reason: str | None = None
    misses: int = 0


Done = Callable[[str | None], None]
"""Is called when a commit ends, with None if it was stored, else with the reason."""


Progress = Callable[[int], None]
"""Is called regularly with the number of entries read so far; an exception ends the reading."""


@dataclass(frozen=True, slots=True)
class OutsideChange:
    """A change made elsewhere: a new value, or None for a deleted key.

    Some engines also know ``expires_at`` in Unix ms, the ``revision`` in the common order of all
    servers, and ``is_clear`` for a clear of everything, with an empty ``key``. For a file edited by
    hand none of these is known.
    """

    ns: str
    key: str
    value: bytes | None
    expires_at: int | None = None
    revision: int | None = None
    is_clear: bool = False


class Engine(Protocol):
    """A storage for changes, which the server opens once and commits every tick to."""

    def open(self, wake: Callable[[], None] | None, progress: Progress | None = None) -> Loaded:
        """Open the storage and return its content; raise `OpenError`, or what ``progress`` raises.

        From now on ``wake`` is called, in any thread, when `collect` may have changes; with None
        they are not collected.
        """

    def publish(self, url: str) -> None:
        """Record that the server answers at ``url``, for others that find the storage in use."""

    def commit(self, changes: Sequence[Change], done: Done, *, durable: bool) -> bool:
        """Store the changes of one tick, all or none; raise `StorageError`.

        Those of ephemeral entries are not to be found after a restart (`stored_changes`).
        Return True if they are stored as the durability setting demands. Return False if that is
        not decided yet: then ``done`` is called once, in any thread, with the result, and the
        server calls `finish_commit` before it commits again. ``durable`` demands that they are on
        the device, whatever the setting.
        """

    def finish_commit(self, changes: Sequence[Change], *, is_kept: bool) -> None:
        """Finish a commit after its ``done``: keep the changes, or remove all traces of them."""

    def probe(self) -> None:
        """Find out whether changes could be stored now; raise `StorageError` if not."""

    def check_folder(self) -> None:
        """Check that the storage is still there and set `failure`."""

    @property
    def failure(self) -> str | None:
        """The known reason why no change can be stored at present; None if they can."""

    def collect(self, store: Store) -> list[OutsideChange]:
        """Return the changes made elsewhere since the last call that differ from ``store``."""

    def put_back(self, changes: list[OutsideChange]) -> None:
        """Take back changes that could not be taken over; `collect` has to return them again."""

    @property
    def disk_status(self) -> "DiskStatus | None":
        """The status of the folder; None for an engine without a folder."""

    def close(self) -> None:
        """Close the storage; raise `StorageError` if some commits are not stored for good."""


class DiskStatus(Protocol):
    """The status of an engine that stores its changes in a folder.

    Only the thread of the server's loop calls it.
    """

    def damages(self) -> list[Damage]:
        """Return the files and records that cannot be read at present."""

    @property
    def watching(self) -> Watching:
        """How files edited by hand are found at present."""

    @property
    def files_behind(self) -> int:
        """The number of keys whose file does not show the latest change yet."""

    @property
    def files_failure(self) -> str | None:
        """The reason why files cannot be written at present; None if they can."""

    @property
    def journal_bytes(self) -> int:
        """The present size of the journal in bytes."""

    @property
    def sync_times(self) -> Histogram:
        """The durations of forcing changes to the device, in ms."""

    @property
    def slow_syncs(self) -> int:
        """The number of syncs that took so long that they were logged."""


class _NoDisk:
    """The `DiskStatus` of a server without a folder: nothing is behind, damaged or failing."""

    watching = Watching()
    files_behind = 0
    files_failure: str | None = None
    journal_bytes = 0
    slow_syncs = 0

    @property
    def sync_times(self) -> Histogram:
        """An empty histogram, as there are no syncs."""
        return Histogram()

    def damages(self) -> list[Damage]:
        """Return an empty list, as there are no files."""
        return []


NO_DISK: DiskStatus = _NoDisk()
"""The status for code that shows the same figures with a folder and without one."""
