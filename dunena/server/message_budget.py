"""The memory of the messages of channels that wait for all slow readers of a server; no I/O."""

import heapq
from typing import Protocol

from dunena.server.limits import MESSAGE_PLACE_BYTES, WAITING_MESSAGES_BYTES_MAX


class MessageQueue(Protocol):
    """The messages that wait for one reader."""

    @property
    def message_cost(self) -> int:
        """Their bytes, with those of their places; 0 without messages."""

    def drop_older_half(self, now: int) -> None:
        """Drop the oldest messages, until at most half of the cost is left."""


class MessageBudget:
    """Limits the messages of all queues together; above the limit the largest queue drops its
    older half, and again, until an eighth of the limit is free.

    A message counts once, however many queues it is in, as all have the same bytes of it; and each
    of its places in a queue counts `MESSAGE_PLACE_BYTES`. ``missed`` counts what was dropped from
    any queue, for this limit or for another one.
    """

    __slots__ = ("_bytes_max", "_places", "_queues", "bytes", "missed")

    def __init__(self, bytes_max: int = WAITING_MESSAGES_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._places: dict[int, int] = {}  # of each frame, by its id while it is in a queue
        self._queues: set[MessageQueue] = set()
        self.bytes = 0
        self.missed = 0

    def enter(self, queue: MessageQueue) -> None:
        """Let a queue drop messages from now on."""
        self._queues.add(queue)

    def leave(self, queue: MessageQueue) -> None:
        """Forget a queue, whose messages were all released."""
        self._queues.discard(queue)

    def hold(self, frame: bytes) -> None:
        """Count a place of a message in a queue."""
        places = self._places
        count = places.get(id(frame), 0)
        places[id(frame)] = count + 1
        self.bytes += MESSAGE_PLACE_BYTES if count else MESSAGE_PLACE_BYTES + len(frame)

    def release(self, frame: bytes) -> None:
        """Count a place no more: the message was sent or dropped, or its reader is gone."""
        places = self._places
        count = places.pop(id(frame))
        if count > 1:
            places[id(frame)] = count - 1
            self.bytes -= MESSAGE_PLACE_BYTES
        else:
            self.bytes -= MESSAGE_PLACE_BYTES + len(frame)

    def keep(self, now: int) -> None:
        """Let queues drop messages if all are above the limit; ``now`` is in Unix ms."""
        if self.bytes > self._bytes_max:
            self._drop(now)

    def _drop(self, now: int) -> None:
        # The second number is never equal, so no queues are compared.
        largest = [(-queue.message_cost, place, queue) for place, queue in enumerate(self._queues)]
        heapq.heapify(largest)
        while self.bytes > self._bytes_max * 7 // 8 and largest:
            _, place, queue = largest[0]
            queue.drop_older_half(now)
            if queue.message_cost:
                heapq.heapreplace(largest, (-queue.message_cost, place, queue))
            else:
                heapq.heappop(largest)
