"""What the server asks of a place where changes are kept.

The server calls an engine from its loop's thread only, but for `Engine.open` and `Engine.close`,
which take long: these are called in threads, while nothing else is. An engine that learns of
changes made elsewhere (a file edited by hand, another machine) may do so in a thread of its own: it
calls `wake`, and the server fetches what was learnt with `collect` between two ticks. That is also
how an engine shared by several machines delivers what the others wrote.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from dunena.histogram import Histogram
from dunena.store.entry import Change, Entry
from dunena.store.store import Store


class StorageError(Exception):
    """The changes of a commit were not kept, none of them; ``reason`` is for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class OpenError(Exception):
    """The engine cannot start; ``reason`` says why and what to do, in one line."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class InUseError(OpenError):
    """Another server has the place; ``url`` is where it answers, if it said so."""

    def __init__(self, reason: str, url: str | None) -> None:
        super().__init__(reason)
        self.url = url


def shown_path(path: str) -> str:
    """A path in one line of valid text: bytes that are no UTF-8 and control characters escaped."""
    text = path.removeprefix("\\\\?\\").encode("utf-8", "surrogateescape")
    decoded = text.decode("utf-8", "backslashreplace")
    if decoded.isprintable():
        return decoded
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in decoded)


class DamageKind(Enum):
    """What is wrong.

    The content, its size, the name, another of the same name, a record of ours; that it is no
    plain file or folder at all; or that the system does not let us look.
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
    """Something in the place of keeping that could not be read; it was left as it is."""

    path: str
    reason: str
    kind: DamageKind = DamageKind.CONTENT

    @property
    def shown(self) -> str:
        """The path for people and JSON."""
        return shown_path(self.path)


@dataclass(slots=True)
class Loaded:
    """What was kept before: entries, and the revision that no later change may go below."""

    entries: list[Entry] = field(default_factory=list)
    revision: int = 0


class WatchState(Enum):
    """How changes made elsewhere are learnt of at present.

    WATCHING: the system tells. POLLING: they are looked for. CATCHING_UP: some were missed and are
    looked for. FAILING: they are not seen. OFF: nobody wants to.
    """

    WATCHING = "watching"
    POLLING = "polling"
    CATCHING_UP = "catching up"
    FAILING = "failing"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Watching:
    """The state, why it is so if that is not what was wished, and how often some were missed."""

    state: WatchState = WatchState.OFF
    reason: str | None = None
    misses: int = 0


Done = Callable[[str | None], None]
"""Told how a commit ended: None for kept, else why not."""


Progress = Callable[[int], None]
"""Told now and then how many entries were read so far; what it raises ends the reading."""


@dataclass(frozen=True, slots=True)
class OutsideChange:
    """A change made elsewhere: a new value, or None for a key that went.

    What a change made here has besides, it has where the engine knows it: ``expires_at`` in Unix
    ms, the ``revision`` in the order of all who make changes, and ``is_clear`` for everything that
    went at once, with an empty ``key``. Of a file edited by hand none of them is known.
    """

    ns: str
    key: str
    value: bytes | None
    expires_at: int | None = None
    revision: int | None = None
    is_clear: bool = False


class Engine(Protocol):
    """A place where changes are kept."""

    def open(self, wake: Callable[[], None] | None, progress: Progress | None = None) -> Loaded:
        """Get ready and give back what was kept; raise `OpenError`, or what ``progress`` raises.

        From now on ``wake`` is called, from any thread, when `collect` may have something; with
        None nobody asks.
        """

    def publish(self, url: str) -> None:
        """Leave word for whoever finds the place in use: the server answers at ``url``."""

    def commit(self, changes: Sequence[Change], done: Done, *, durable: bool) -> bool:
        """Keep the changes of one tick, all or none; raise `StorageError`.

        True: they are kept as the engine's durability setting promises. False: they will be, or
        not, and ``done`` is called once, from any thread, with the reason if not. No other commit
        comes before the server has answered that with `finish_commit`. ``durable`` asks for more
        than the setting: that they are on the device.
        """

    def finish_commit(self, changes: Sequence[Change], *, is_kept: bool) -> None:
        """The server knows of a `done`: the changes stand, or must leave no trace."""

    def probe(self) -> None:
        """Find out whether changes could be kept now; raise `StorageError` if not."""

    def check_folder(self) -> None:
        """Find out whether the place is still there; `failure` says what came of it."""

    @property
    def failure(self) -> str | None:
        """Why no change can be kept at present, as far as is known; None while they can."""

    def collect(self, store: Store) -> list[OutsideChange]:
        """What was changed elsewhere and differs from ``store``."""

    def put_back(self, changes: list[OutsideChange]) -> None:
        """These could not be taken over now: `collect` is to give them again."""

    @property
    def disk_status(self) -> "DiskStatus | None":
        """What the folder says of itself; None for an engine that keeps its changes elsewhere."""

    def close(self) -> None:
        """Let go of everything; raise `StorageError` if some commits do not stay."""


class DiskStatus(Protocol):
    """What only an engine that keeps its changes in a folder has to say of itself.

    Called from the thread of the server's loop, like the engine.
    """

    def damages(self) -> list[Damage]:
        """Files and records that cannot be read at present."""

    @property
    def watching(self) -> Watching:
        """How files edited by hand are learnt of."""

    @property
    def files_behind(self) -> int:
        """Keys whose file does not show the latest change yet."""

    @property
    def files_failure(self) -> str | None:
        """Why files cannot be written at present; None while they can."""

    @property
    def journal_bytes(self) -> int:
        """The journal's size at present."""

    @property
    def sync_times(self) -> Histogram:
        """How many ms forcing changes to the device took."""

    @property
    def slow_syncs(self) -> int:
        """How often forcing changes to the device took so long that it was logged."""


class _NoDisk:
    """The `DiskStatus` of a server without a folder: nothing is behind, damaged or failing."""

    watching = Watching()
    files_behind = 0
    files_failure: str | None = None
    journal_bytes = 0
    slow_syncs = 0

    @property
    def sync_times(self) -> Histogram:
        """Of no syncs."""
        return Histogram()

    def damages(self) -> list[Damage]:
        """Never any."""
        return []


NO_DISK: DiskStatus = _NoDisk()
"""For those who show the same figures with a folder and without one."""
