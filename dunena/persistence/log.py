"""The interface between a server and a log that it shares with other servers ("nodes").

The log decides, and memory follows: a server proposes changes, and makes them when they come back
in the order of the log, which is the same at all nodes. Nothing else changes its values. So there
is nothing to undo, and reads go on from memory whatever the state of the log.

A log is called, and calls back, only in the thread of the server's loop. It never calls back while
it is being called.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from dunena.store.entry import Entry


class OpKind(Enum):
    """What an operation of a log does.

    SET stores a value; REMOVE deletes a key, also one that is not there; EXPIRE removes a key whose
    time has ended; CLEAR removes all keys. NOTE stores something that is no value and that only
    nodes read, or removes it.
    """

    SET = "set"
    REMOVE = "remove"
    EXPIRE = "expire"
    CLEAR = "clear"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Op:
    """One operation on one key, or of a CLEAR on all.

    ``value`` is the JSON of a SET, and the bytes of a NOTE, whose name is ``key``; an empty one
    removes the note. The key ends ``ttl_ms`` after the log's time of this operation, or at
    ``expires_at`` (Unix ms, the log's time), or never if both are None; ``then`` is merged into the
    value at that time. ``owner`` is the id of the session that an ephemeral key belongs to.
    ``is_conditional``: the key, or the note, must not have been changed by an operation that this
    node had not been told of when it proposed this one.
    """

    kind: OpKind
    ns: str = ""
    key: str = ""
    value: bytes = b""
    ttl_ms: int | None = None
    expires_at: int | None = None
    then: bytes | None = None
    owner: str | None = None
    is_conditional: bool = False


OpGroup = tuple[Op, ...]
"""The operations of one request, which watches are told of as a whole."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a node asks a log to store, all or nothing; ``number`` is the node's own, growing by 1.

    Without operations it is a question for the present end of the log: once it was delivered, this
    node knows all that was acknowledged anywhere before it was proposed.
    """

    number: int
    groups: tuple[OpGroup, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """A stored operation. ``revision`` is its place in the log.

    ``ends_at`` is when the key's time ends, in Unix ms of the log's time; None for never.
    """

    op: Op
    revision: int
    ends_at: int | None


@dataclass(frozen=True, slots=True)
class LogBatch:
    """Records that are made as a whole; ``timestamp`` is the log's time in Unix ms.

    ``revision`` is the place of the last record, or of the proposal itself if it has none.
    ``number`` is that of the proposal if it is of this node and this run, else None; also None if
    it was refused as UNKNOWN before it was found to be made.
    """

    node: str
    number: int | None
    revision: int
    timestamp: int
    groups: tuple[tuple[Record, ...], ...]


@dataclass(frozen=True, slots=True)
class Contents:
    """All that the log has at a revision: entries with their revisions, and notes by name.

    ``epoch`` names the run of revisions: it is another one for another log of the same name.
    ``removed`` are the removals of keys after ``floor``, in their order; ``floor`` is the oldest
    revision after which none is missing, None for the present one.
    """

    epoch: str
    revision: int
    timestamp: int
    entries: list[Entry] = field(default_factory=list)
    notes: dict[str, Record] = field(default_factory=dict)
    removed: list[Record] = field(default_factory=list)
    floor: int | None = None


class RefusalKind(Enum):
    """Why a proposal was not stored, or may not have been.

    CONFLICT: a condition does not hold; the changes that it was about are delivered before this is
    told. UNAVAILABLE: the log does not answer; nothing was stored. FULL: nothing was stored.
    INVALID: the log will never store it. UNKNOWN: it was sent and not answered in time; it was made
    already, or is made before this node can write again, or never will be.
    """

    CONFLICT = "conflict"
    UNAVAILABLE = "unavailable"
    FULL = "full"
    INVALID = "invalid"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The refusal of a proposal; ``reason`` is a text for people."""

    kind: RefusalKind
    reason: str


class LogState(Enum):
    """STARTING: not everything is loaded yet. READY: the log answers. STALE: it does not."""

    STARTING = "starting"
    READY = "ready"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class LogStatus:
    """The state of a log, as this node sees it.

    ``stale_ms`` is how long the log has not answered, 0 if it does; ``reason`` says why, or why
    nothing is loaded yet. ``behind`` is the number of records that are known to be missing here.
    ``is_writable``: a proposal would be sent at once. ``nodes`` are the live ones, this one
    included, the longest known first. ``refusal`` is why the log, though it answers, stores no
    change at present, as when it is full; None if it does, as far as is known. ``warning`` is what
    endangers the values, or will keep the node from something, though changes are stored.
    """

    state: LogState
    is_connected: bool = False
    is_writable: bool = False
    stale_ms: int = 0
    behind: int = 0
    reason: str | None = None
    nodes: tuple[str, ...] = ()
    refusal: str | None = None
    warning: str | None = None


@dataclass(slots=True)
class LogFigures:
    """What a log has counted since its start.

    ``commit_ms_total`` is the time of all proposals that were stored, from sending to delivery.
    """

    batches: int = 0
    changes: int = 0
    retries: int = 0
    conflicts: int = 0
    gaps: int = 0
    fetched_entries: int = 0
    loads: int = 0
    commit_ms_total: float = 0.0
    commits: int = 0


class LogFollower(Protocol):
    """What a log tells its node; each is called in the order of the log."""

    def load(self, contents: Contents, own: LogBatch | None = None) -> None:
        """Take over everything, at the start, after a long absence, or from another log.

        ``own`` is the node's own proposal if it was stored, and never delivered. What it changed is
        in ``contents``, but for what was overtaken; what came before it was not delivered either.
        """

    def apply(self, batches: Sequence[LogBatch]) -> None:
        """Make changes, in their order, each batch as a whole.

        Every node is told of every batch, also of one without records: what a client knows ends at
        such a place too, and another node that it goes to must come to it.
        """

    def repair(
        self, entries: Contents, removed: Sequence[Record], own: LogBatch | None = None
    ) -> None:
        """Take over the newest state of what was changed while deliveries were lost, at once.

        ``entries`` has the changed keys and notes alone; ``removed`` those that are gone, and a
        CLEAR before all others if there was one. Changes that were overtaken are left out. ``own``
        is the node's own proposal if it was among them: its records are in ``entries`` and
        ``removed`` as well, but for those that were overtaken.
        """

    def refuse(self, number: int, refusal: Refusal) -> None:
        """Learn that a proposal of this node was refused."""

    def message(self, channel: str, data: bytes) -> None:
        """Learn of a message that a node, also this one, has told (`Log.tell`)."""

    def change_state(self) -> None:
        """Learn that `Log.status` has another state, or other nodes, than before."""


class Log(Protocol):
    """A log that several nodes share. One proposal is under way at a time."""

    @property
    def node(self) -> str:
        """The id of this node, another one for each start."""

    @property
    def status(self) -> LogStatus:
        """The present state."""

    @property
    def figures(self) -> LogFigures:
        """The counters."""

    @property
    def value_bytes_max(self) -> int:
        """The largest JSON text of a value that the log stores, with its ``then``, in bytes."""

    @property
    def now(self) -> int:
        """The log's time as this node estimates it, Unix ms; it never goes back."""

    def start(self, follower: LogFollower) -> None:
        """Connect and load, without end if need be, and then follow."""

    def propose(self, proposal: Proposal) -> None:
        """Store a proposal; `LogFollower.apply` or `refuse` is called with its number."""

    def last_sign_of(self, node: str) -> int | None:
        """The log's time of the last sign of life of a node, Unix ms; None for an unknown one."""

    def tell(self, channel: str, data: bytes) -> str | None:
        """Send a message to all nodes that listen, at most once, stored nowhere.

        Return why it was not sent, a text for people; None if it was.
        """

    def listen(self, channel: str, *, wanted: bool) -> None:
        """Begin or end to receive the messages of a channel."""

    async def close(self) -> None:
        """Say that this node has gone, and disconnect."""


OpenLog = Callable[[], Log]
"""Makes the log of a server that is about to start."""


LEASE_MS = 10_000
"""How long a node is taken to be alive after its last sign of life. After that others may end the
sessions that it holds.
"""

GROUP_OPS_MAX = 998
"""Operations of a proposal: a batch of JetStream has 1,000 messages, and the node's own marker."""

PROPOSAL_BYTES_MAX = 4 * 1024 * 1024
"""Bytes of a proposal's names and values but for the largest op, as large as a value may be."""
