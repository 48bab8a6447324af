"""Puts what the stream republishes into its order; no I/O.

A server sends each message that it stores to all who listen, at most once: one may be lost, or come
twice, or come from another stream of the same name. Sequences are without a hole in what is
republished, so a hole is a loss; `catching_up` fetches what is missing.
"""

from collections.abc import Callable
from typing import Final

from dunena.persistence.jetstream import headers as header
from dunena.persistence.jetstream.headers import milliseconds_of
from dunena.persistence.jetstream.wire import Message

HELD_BYTES_MAX: Final = 32 * 1024 * 1024
"""Of messages that wait for others before them. With more, all of them are fetched later."""

MESSAGE_BYTES: Final = 1200
"""About what a message takes in memory besides its data: its headers, mostly."""


class Flow:
    """The messages of a stream, in their order and in whole batches.

    ``ready`` is called when there is something for `cut`, ``missing`` when a message came whose
    predecessor did not, and ``replaced`` when one came that the known stream cannot have; it holds
    then. All three are called while a message is received, and only note it.

    While it holds (`hold`), messages are only collected: it is not known yet what comes next.
    """

    __slots__ = (
        "_held", "_held_bytes", "_is_ready", "_missing", "_newest", "_next", "_ready", "_replaced",
        "_taken", "boundary", "created", "has_overflowed", "is_holding", "taken_messages",
    )  # fmt: skip

    def __init__(
        self,
        ready: Callable[[], None],
        missing: Callable[[], None],
        replaced: Callable[[], None],
    ) -> None:
        self._ready = ready
        self._missing = missing
        self._replaced = replaced
        self._next = 1
        self._taken: list[Message] = []
        self._held: dict[int, Message] = {}
        self._held_bytes = 0
        self._is_ready = False
        self._newest = 0
        self.boundary = 0
        """The sequence up to which batches were cut."""
        self.created = ""
        """When the stream was created: older messages are another one's."""
        self.is_holding = True
        self.has_overflowed = False
        self.taken_messages = 0
        """How many messages were taken in their order."""

    @property
    def position(self) -> int:
        """The sequence of the last message that was taken in its order."""
        return self._next - 1

    @property
    def missing(self) -> int:
        """How many messages are known to be missing before those that are held."""
        if not self._held or self.is_holding:
            return 0
        return min(self._held) - self._next

    def take(self, message: Message) -> None:
        """Receive a message."""
        headers = message.headers
        try:
            sequence = int(headers[header.SEQUENCE])
            timestamp = headers[header.TIMESTAMP]
        except (KeyError, ValueError):
            return  # not by JetStream
        # Compared as texts, which is wrong only for a time without any decimals.
        if timestamp < self.created:
            return
        if sequence != self._next or self.is_holding:
            self._take_other(sequence, timestamp, message)
            return
        self._next = sequence + 1
        self._taken.append(message)
        self.taken_messages += 1
        if self._held:
            self.take_held()
        if not self._is_ready:
            self._is_ready = True
            self._ready()

    def cut(self) -> list[list[Message]]:
        """Return the whole batches that were taken since the last time."""
        self._is_ready = False
        taken = self._taken
        batches = []
        start = 0
        for index, message in enumerate(taken):
            headers = message.headers
            if header.BATCH in headers and header.COMMIT not in headers:
                continue
            batches.append(taken[start : index + 1])
            start = index + 1
        del taken[:start]
        if batches:
            self.boundary = self._next - 1 - len(taken)
            last = batches[-1][-1].headers[header.TIMESTAMP]
            self._newest = max(self._newest, milliseconds_of(last))
        return batches

    def hold(self) -> None:
        """Only collect messages from now on, until `release`; also those of a begun batch."""
        self.is_holding = True
        self._is_ready = False
        taken, self._taken = self._taken, []
        self._next = self.boundary + 1
        for sequence, message in enumerate(taken, self._next):
            self.keep(sequence, message)

    def keep(self, sequence: int, message: Message) -> None:
        """Hold a message until those before it are there."""
        if sequence < self._next or sequence in self._held:
            return
        self._held[sequence] = message
        self._held_bytes += len(message.data) + MESSAGE_BYTES
        if self._held_bytes > HELD_BYTES_MAX:
            self.drop_held()
            self.has_overflowed = True

    def drop_held(self) -> None:
        """Forget what is held."""
        self._held.clear()
        self._held_bytes = 0

    def held(self, sequence: int) -> Message | None:
        """Return a message that is held; None if it is not."""
        return self._held.get(sequence)

    def held_to(self, sequence: int) -> list[Message]:
        """Return all messages up to a sequence that were not cut, in their order."""
        held = [number for number in self._held if number <= sequence]
        return [*self._taken, *(self._held[number] for number in sorted(held))]

    def take_held(self) -> None:
        """Take what is held and follows what was taken."""
        while (message := self._held.pop(self._next, None)) is not None:
            self._held_bytes -= len(message.data) + MESSAGE_BYTES
            self._taken.append(message)
            self._next += 1
            self.taken_messages += 1

    def release(self, position: int, newest: int) -> None:
        """Go on after a position, up to which everything is known by other means.

        ``newest`` is the latest time of a message up to there, Unix ms.
        """
        self.is_holding = False
        self.has_overflowed = False
        self._newest = max(self._newest, newest)
        self.boundary = position
        self._next = position + 1
        self._taken.clear()
        for sequence in [number for number in self._held if number <= position]:
            self._held_bytes -= len(self._held.pop(sequence).data) + MESSAGE_BYTES
        self.go_on()

    def go_on(self) -> None:
        """End to hold, where messages were held for nothing."""
        self.is_holding = False
        self.take_held()
        if self._taken and not self._is_ready:
            self._is_ready = True
            self._ready()
        if self._held:
            self._missing()

    def restart(self, created: str) -> None:
        """Begin with another stream, and hold until `release`."""
        self.is_holding = True
        self._is_ready = False
        # Without the Z, it comes before the same time with more decimals.
        self.created = created.removesuffix("Z")
        self.boundary = 0
        self._newest = 0
        self._next = 1
        self._taken.clear()
        self.drop_held()

    def _take_other(self, sequence: int, timestamp: str, message: Message) -> None:
        if sequence < self._next:
            # A double, unless it is newer than all that is known.
            newest = self._newest
            if self._taken:
                last = self._taken[-1].headers[header.TIMESTAMP]
                newest = max(newest, milliseconds_of(last))
            if milliseconds_of(timestamp) > newest:
                self.hold()  # what follows is of another stream too
                self._replaced()
            return
        self.keep(sequence, message)
        if not self.is_holding:
            self._missing()
