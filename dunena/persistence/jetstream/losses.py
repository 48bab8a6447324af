"""Finds out that a stream has lost messages that this node was told of; no I/O.

Nobody is told when messages are taken out of a stream, or an older copy is put in its place. But

- the leader says how many messages there are. What must be there is known: each message stays until
  another one of its subject replaces it, a CLEAR removes it, or its time ends (`Places.least`);
- a purge of all that is old removes the mark of the epoch too;
- whoever puts in place an older copy, or loads one, stores another mark, which was not delivered;
- a node's own marker is where it was delivered (`settling`, `proposals`).
"""

from collections.abc import Callable
from typing import Final

from dunena.persistence.jetstream.epochs import Epochs, Suspicion
from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.places import Places
from dunena.persistence.jetstream.stream_requests import (
    ApiFault,
    StreamFacts,
    StreamRequests,
    read_place,
)
from dunena.persistence.jetstream.wire import Cancellable, Link, LinkFault, Message, Scheduler

ANSWER_S: Final = 1.0


def is_possible(facts: StreamFacts, position: int, places: Places, now: int) -> bool:
    """Whether a stream can have what was delivered up to a position; ``now`` is Unix ms.

    All that the leader spoke of was delivered. Each message that it did not know of can be one
    more.
    """
    return facts.messages + position - facts.last_sequence >= places.least(now)


class LossDetector:
    """Looks at what the leader says of messages that were delivered.

    ``lose`` is called with what has happened, again and again until everything was loaded.
    """

    __slots__ = (
        "_epochs", "_handle", "_link", "_lose", "_names", "_other_mark", "_places", "_requests",
        "_scheduler", "_too_few",
    )  # fmt: skip

    def __init__(
        self,
        link: Link,
        scheduler: Scheduler,
        requests: StreamRequests,
        names: SubjectNames,
        places: Places,
        epochs: Epochs,
        lose: Callable[[str], None],
    ) -> None:
        self._link = link
        self._scheduler = scheduler
        self._requests = requests
        self._names = names
        self._places = places
        self._epochs = epochs
        self._lose = lose
        self._too_few = Suspicion()
        self._other_mark = Suspicion()
        self._handle: Cancellable | None = None

    def look(self, facts: StreamFacts, position: int, now: int) -> None:
        """Compare what the leader said with what was delivered up to a position, at Unix ms.

        All that it spoke of was delivered.
        """
        if facts.is_silent or facts.created != self._epochs.created:
            return
        mark = self._epochs.delivered.sequence
        is_whole = is_possible(facts, position, self._places, now)
        shows = not is_whole or 0 < mark < facts.first_sequence
        if self._too_few.look(shows, self._scheduler.now_s()):
            self._lose("has lost messages")

    def ask_for_mark(self, position: Callable[[], int | None]) -> None:
        """Ask the leader for the mark, and compare it with what was delivered up to ``position``.

        That is None while it cannot be told.
        """

        def take(answer: Message | LinkFault) -> None:
            self._handle = None
            found = None if isinstance(answer, LinkFault) else read_place(answer)
            delivered_to = position()
            if found is None or isinstance(found, ApiFault) or delivered_to is None:
                return
            mark = self._epochs.delivered
            shows = found[0] <= delivered_to and found != (mark.sequence, mark.time)
            if self._other_mark.look(shows, self._scheduler.now_s()):
                self._lose("is in another epoch than was delivered")

        if self._handle is None:
            request = self._requests.last_message(self._names.epoch)
            self._handle = self._link.request(request, ANSWER_S, take)

    def end(self) -> None:
        """Forget what was seen so far, as everything was loaded."""
        self._too_few.end()
        self._other_mark.end()
