"""What clients of several nodes were told: plain data, written down while it happens.

Times are those of a clock that only grows, in seconds, the same for all clients. Revisions are of
one epoch, as the bucket is never made anew.
"""

import itertools
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

COUNTER = "counter"
ACCOUNT = "account-"
WILLS = "wills"
"""Counted up by the will of each session."""

OWN = "own-"
"""Keys that one writer alone sets, to 1, 2, 3..., as the member ``n`` of an object."""

RACE = "race-"
"""Keys that several writers set, each value another one: the writer ``w`` and its number ``n``."""

ONCE = "once-"
"""Keys that are set once each, and end soon."""

GUEST = "guest-"
"""Keys that belong to sessions."""

FLEETING = (ONCE, GUEST)
"""What the keys begin with that go again."""


class Outcome(Enum):
    """What a writer knows of a write. REFUSED: the server said that nothing was stored."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Write:
    """A `set` of a key to a value, of which ``number`` is the place among its writer's.

    ``told`` is the newest revision that the writer's own watch was told of before the answer.
    ``after`` is the revision that it was to follow directly (`ifRev`), if one was named; where it
    did not, it is REFUSED. ``ended_at`` is when the answer came.
    """

    key: str
    number: int
    value: Any
    outcome: Outcome
    began_at: float
    ended_at: float = 0.0
    rev: int = 0
    told: int = 0
    after: int | None = None


@dataclass(slots=True)
class Count:
    """An `incr`, sent until it was acknowledged, with the number that was answered."""

    number: int
    began_at: float
    ended_at: float
    attempts: int
    is_duplicate: bool


@dataclass(slots=True)
class Repeat:
    """Two answers to one request, the second of them at another node after the first."""

    first: dict[str, Any]
    second: dict[str, Any]


@dataclass(slots=True)
class Read:
    """A value read at a node; ``least`` is the newest revision of it acknowledged there before."""

    node: int
    key: str
    rev: int
    least: int


@dataclass(slots=True)
class Change:
    """A change that a follower was told of; ``value`` is None if the key went."""

    key: str
    rev: int
    value: Any


@dataclass(slots=True)
class Update:
    """The updates of a watch up to one without `more`; ``node`` is where they came from.

    ``is_first`` of its connection, ``is_resumed`` if a position was sent there.
    """

    node: int
    epoch: str
    rev: int
    is_reset: bool
    is_first: bool
    is_resumed: bool
    changes: list[Change]


@dataclass(slots=True)
class Stream:
    """What one connection was told: values of keys, events or messages, in their order.

    ``items`` are pairs: of a key and its value; of an event and its key; of a publisher's
    connection and the number of its message.
    """

    node: int
    items: list[tuple[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Life:
    """A session, with a key of its own; ``first`` to ``last`` it was certainly alive there."""

    key: str
    first: int = 0
    last: int = 0


@dataclass(slots=True)
class Resume:
    """A session that was asked for again; ``away`` is how long after the last word of its node."""

    away: float
    grace: float
    is_resumed: bool


@dataclass(slots=True)
class History:
    """All that clients were told.

    ``counted`` has what was answered to each idempotency key of an `incr`. ``resent`` requests had
    no answer at first and were sent again, ``duplicates`` of them were made already then. ``sums``
    are those of the accounts, as reads of all of them had them. ``begun`` sessions were
    acknowledged, ``unsure`` more may have been. ``published`` messages were acknowledged.
    ``final`` has what each node holds in the end.
    """

    writes: list[Write] = field(default_factory=list)
    counted: dict[str, Count] = field(default_factory=dict)
    repeats: list[Repeat] = field(default_factory=list)
    resent: int = 0
    duplicates: int = 0
    transfers: int = 0
    reads: list[Read] = field(default_factory=list)
    sums: list[int] = field(default_factory=list)
    followed: dict[str, list[Update]] = field(default_factory=dict)
    values: dict[str, list[Stream]] = field(default_factory=dict)
    events: dict[str, list[Stream]] = field(default_factory=dict)
    messages: dict[str, list[Stream]] = field(default_factory=dict)
    published: int = 0
    lives: list[Life] = field(default_factory=list)
    resumes: list[Resume] = field(default_factory=list)
    begun: int = 0
    unsure: int = 0
    final: dict[int, dict[str, Any]] = field(default_factory=dict)
    answered_at: list[float] = field(default_factory=list)


def longest_silence(history: History, start: float, end: float) -> float:
    """Return the longest time between acknowledgements from ``start`` to ``end``, in seconds."""
    times = [start, *sorted(one for one in history.answered_at if start < one < end), end]
    return max(later - earlier for earlier, later in itertools.pairwise(times))
