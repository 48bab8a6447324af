"""Which epoch a stream is in, and whether another one has to begin; no I/O.

Theory of operation. What nodes and clients know of a stream is good as long as nobody takes
messages out of it, or puts an older copy in its place. Neither changes when the stream was created,
so an epoch is named by more: by the newest message of one subject, the *mark*. Each message there
begins another epoch, which all nodes load at its place in the order. A node that sees that the
stream has lost something loads everything, and stores a mark before it takes it over, unless one
was stored meanwhile. The mark is the first message of a stream, so a purge takes it along, and
whoever loads then stores another one.

While no node runs, nobody sees a loss. But running nodes write all the time. So a node that starts
where nothing was written for long stores a mark too.

A node that cannot store one uses an epoch of its own until there is one.
"""

import json
from hashlib import sha256
from typing import Final, NamedTuple

from dunena.persistence.jetstream import headers as header
from dunena.persistence.jetstream.headers import milliseconds_of
from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.stream_requests import (
    WRONG_LAST_SEQUENCE,
    WRONG_LAST_SEQUENCE_UNDER_WAY,
    Stored,
    read_stored,
)
from dunena.persistence.jetstream.wire import LinkFault, Message

QUIET_MS: Final = 10 * 60 * 1000
"""How long nobody may have written for a starting node to believe that nodes ran all the time."""

TRIES_MAX: Final = 3
"""Of a load, to store a mark without an answer."""

BELIEVED_S: Final = 3.0
"""How long a loss must show to be believed: a new leader may not have made everything yet."""


class EpochMark(NamedTuple):
    """The message that began an epoch; ``time`` is Unix ms. All 0 and empty: there is none."""

    sequence: int = 0
    time: int = 0
    data: bytes = b""


def mark_of(message: Message) -> EpochMark:
    """Return the mark that a stored message is."""
    headers = message.headers
    time = milliseconds_of(headers[header.TIMESTAMP])
    return EpochMark(int(headers[header.SEQUENCE]), time, message.data)


def epoch_of(stream: str, created: str, mark: EpochMark, own: str = "") -> str:
    """Return the name of an epoch; ``own`` makes one that nobody else has."""
    text = f"{stream}\n{created}\n{mark.sequence} {mark.time}\n{own}\n".encode()
    return sha256(text + mark.data).hexdigest()[:16]


class Suspicion:
    """Something that is believed when it has shown for long enough."""

    __slots__ = ("_since_s",)

    def __init__(self) -> None:
        self._since_s: float | None = None

    def look(self, shows: object, now_s: float) -> bool:
        """Learn whether it shows at a time; return whether it is to be believed."""
        if not shows:
            self._since_s = None
            return False
        if self._since_s is None:
            self._since_s = now_s
        return now_s - self._since_s >= BELIEVED_S

    def end(self) -> None:
        """Forget what has shown so far."""
        self._since_s = None


class Epochs:
    """The epochs of a stream, as one node knows them.

    ``current`` is the name of that whose values the node has, "" before the first; ``loaded`` is
    its mark, and ``delivered`` the newest one that the node was told of. ``is_own``: the node
    could not store a mark, so nobody else is in this epoch.
    """

    __slots__ = (
        "_count", "_has_lost", "_has_marked", "_is_reader", "_names", "_node", "_stream", "_tries",
        "created", "current", "delivered", "is_own", "loaded",
    )  # fmt: skip

    def __init__(self, stream: str, names: SubjectNames, node: str, *, is_reader: bool) -> None:
        self._stream = stream
        self._names = names
        self._node = node
        self._is_reader = is_reader
        self._count = 0
        self._tries = 0
        self._has_marked = False
        self._has_lost = False
        self.created = ""
        self.current = ""
        self.loaded = self.delivered = EpochMark()
        self.is_own = False

    def lose(self) -> bool:
        """Learn that the stream has lost something; return whether that is new."""
        is_new = not self._has_lost
        self._has_lost = True
        return is_new

    def begin_loading(self) -> None:
        """Learn that everything is about to be loaded."""
        self._tries = 0
        self._has_marked = False

    def needs_mark(self, mark: EpochMark, newest: int, created: str, now: int) -> bool:
        """Whether a mark is to be stored before what was loaded is taken over.

        ``mark`` is the newest one of that, ``newest`` (Unix ms) the time of its newest message, and
        ``created`` when the stream was created.
        """
        is_possible = not self._is_reader and self._tries < TRIES_MAX
        return is_possible and self._is_due(mark, newest, created, now)

    def message(self, mark: EpochMark) -> Message:
        """Return a mark that is stored only after another one, or the first."""
        subject = self._names.written_to(self._names.epoch)
        data = json.dumps({"node": self._node}).encode()
        return Message(subject, {header.EXPECTED: str(mark.sequence)}, data)

    def take_answer(self, answer: Message | LinkFault) -> None:
        """Learn what has become of a mark of this node that was needed."""
        stored = answer if isinstance(answer, LinkFault) else read_stored(answer)
        if isinstance(stored, Stored):
            self._has_marked = True
        elif isinstance(stored, LinkFault):
            self._tries += 1
        elif stored.number not in (WRONG_LAST_SEQUENCE, WRONG_LAST_SEQUENCE_UNDER_WAY):
            self._tries = TRIES_MAX
        # Else somebody was quicker.

    def take_loaded(self, mark: EpochMark, newest: int, created: str, now: int) -> None:
        """Learn that everything was loaded; the arguments are those of `needs_mark`."""
        self.is_own = self._is_due(mark, newest, created, now)
        self._count += 1
        own = f"{self._node} {self._count}" if self.is_own else ""
        self.current = epoch_of(self._stream, created, mark, own)
        self.loaded = self.delivered = mark
        self.created = created
        self._has_lost = False

    def _is_due(self, mark: EpochMark, newest: int, created: str, now: int) -> bool:
        if not mark.sequence:
            return True
        if self._has_marked:
            return False
        if not self.created:
            return now - newest > QUIET_MS
        # A younger one is of somebody who has seen the loss too; an older one is of an older copy.
        is_same = created == self.created
        return self._has_lost and is_same and mark.time <= self.loaded.time
