"""Loads everything, or what is missing, and finds out whether the stream is still the same; no I/O.

Direct Get answers with the newest message of each subject, in pages, from any replica, which may
lag behind. So it is not known of what moment a page is. A page may lack a message that was replaced
by one after the page; only together with that one they are a state that the log really had. So

1. fetch pages until a replica has no more;
2. ask the leader for the last sequence: what was replaced was replaced by something up to there;
3. hold on to everything until all up to there is known, by pages or because it was delivered, and
   nothing of a batch is missing;
4. take it over in one step.
"""

from collections.abc import Callable
from typing import Final, Protocol

from dunena.persistence.jetstream import headers as header
from dunena.persistence.jetstream.follower import Flow
from dunena.persistence.jetstream.loading import StreamReading
from dunena.persistence.jetstream.stream_requests import (
    REPLICAS_NOT_SUPPORTED,
    STREAM_EXISTS_OTHERWISE,
    STREAM_NOT_FOUND,
    ApiFault,
    StreamFacts,
    StreamRequests,
    read_sequence,
)
from dunena.persistence.jetstream.wire import Cancellable, Link, LinkFault, Message, Scheduler

PAGE_MESSAGES: Final = 5000
PAGE_BYTES_MAX: Final = 8 * 1024 * 1024
PAGE_TIMEOUT_S: Final = 0.5
"""The longest wait for the next message of a page: the replica may hang, and another one not."""

REQUEST_TIMEOUT_S: Final = 1.0
PAUSE_S: Final = 0.1
"""Before a request is made again that was not answered."""

LAG_PAUSE_S: Final = 0.02
"""Before a page is asked for again that a replica did not have yet."""

MISMATCH_PAUSE_S: Final = 2.0
"""Before a stream is looked at again that cannot be a log, or is not there."""

AWAY_MS_MAX: Final = 10 * 60 * 1000
"""How long a node may have been away and still learn of all that is gone (`NOTE_FREED_S`). After
that it loads everything.
"""

LOWER_S: Final = 3.0
"""How long the stream's last sequence must be lower than the known one to be believed: a new leader
may not have made everything yet.
"""


class CatchUpHost(Protocol):
    """What happens with what was caught up with."""

    def begin_loading(self) -> StreamReading:
        """Return what takes all messages of a stream."""

    def take_loaded(self, reading: StreamReading, facts: StreamFacts, position: int) -> None:
        """Take over everything up to a position."""

    def take_batches(self) -> None:
        """Take what the flow has in its order."""

    def take_repaired(self, messages: list[Message], position: int) -> int:
        """Take over the newest state, up to a position, of what follows the flow's boundary.

        Returns the latest time of the messages.
        """

    def take_facts(self, facts: StreamFacts) -> None:
        """Learn what the leader said."""

    @property
    def confirmed_at(self) -> int:
        """When it was last known that nothing is missing, the log's time in Unix ms."""


class CatchUp:
    """Keeps a flow complete.

    ``may_create``: a stream that is not there at the start is made. ``reason`` says why nothing is
    loaded, for people; None if there is nothing to say. ``unanswered_since_s`` is when the leader
    was first asked for the facts and gave no answer; None if it has answered since.
    """

    __slots__ = (
        "_before", "_facts", "_flow", "_handle", "_host", "_is_asking", "_is_closed",
        "_link", "_lower_since_s", "_may_create", "_pending", "_reached", "_reading", "_requests",
        "_scheduler", "_waiting", "created", "fetched", "is_running", "reason",
        "unanswered_since_s",
    )  # fmt: skip

    def __init__(
        self,
        link: Link,
        scheduler: Scheduler,
        requests: StreamRequests,
        flow: Flow,
        host: CatchUpHost,
        *,
        may_create: bool,
    ) -> None:
        self._link = link
        self._scheduler = scheduler
        self._requests = requests
        self._flow = flow
        self._host = host
        self._may_create = may_create
        self._reading: StreamReading | None = None
        self._reached = 0
        self._before = "0"
        self._pending = 0
        self._handle: Cancellable | None = None
        self._lower_since_s: float | None = None
        self._waiting: list[tuple[int, Callable[[], None]]] = []
        self._facts: StreamFacts | None = None
        self._is_asking = False
        self._is_closed = False
        self.created: str | None = None
        self.is_running = False
        self.fetched = 0
        self.reason: str | None = None
        self.unanswered_since_s: float | None = None

    def load(self) -> None:
        """Load everything."""
        self._begin(self._host.begin_loading())

    def repair(self) -> None:
        """Fetch what is missing, unless this is being done."""
        if not self.is_running:
            self._begin(None)

    def check(self) -> None:
        """Ask whether the stream is the same and nothing is missing."""
        if not self.is_running and not self._is_asking:
            self._is_asking = True
            self._link.request(self._requests.info(), REQUEST_TIMEOUT_S, self._take_check)

    def catch_up(self, then: Callable[[], None]) -> None:
        """Call ``then`` when everything was delivered that the stream has at this moment."""
        if self._is_closed:
            return
        self._link.request(
            self._requests.info(), REQUEST_TIMEOUT_S, lambda answer: self._wait_for(answer, then)
        )

    def tell_waiting(self) -> None:
        """Call those who waited for what is delivered now."""
        if not self._waiting or self.is_running:
            return
        boundary = self._flow.boundary
        due = [then for sequence, then in self._waiting if sequence <= boundary]
        self._waiting = [wait for wait in self._waiting if wait[0] > boundary]
        for then in due:
            then()

    def close(self) -> None:
        """End what is under way."""
        if self._handle is not None:
            self._handle.cancel()
        self._waiting.clear()
        self._is_closed = True
        self.is_running = True  # nothing begins any more

    # --- one run ---

    def _begin(self, reading: StreamReading | None) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self.is_running = True
        self._reading = reading
        self._facts = None
        self._lower_since_s = None
        self._flow.hold()
        self._flow.has_overflowed = False
        self._reached = 0 if reading is not None else self._flow.boundary
        if reading is not None:
            self._ask_facts()
        else:
            self._fetch()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._handle = self._scheduler.call_later(seconds, action)

    def _fetch(self) -> None:
        self._before = "0"
        self._pending = 0
        page = self._requests.page(self._reached + 1, PAGE_MESSAGES, PAGE_BYTES_MAX)
        self._handle = self._link.request_many(
            page, PAGE_TIMEOUT_S, self._take_part, self._end_page
        )

    def _take_part(self, part: Message) -> bool:
        headers = part.headers
        if headers.get(header.SEQUENCE_BEFORE, self._before) != self._before:
            self._pending = -1  # parts are lost
            return True
        if header.STATUS in headers:
            status = headers[header.STATUS]
            self._pending = int(headers.get(header.PENDING, "0")) if status == "204" else 0
            if status not in ("204", "404"):
                self._pending = -1
            return True
        text = headers[header.SEQUENCE]
        self._before = text
        self._reached = sequence = int(text)
        self.fetched += 1
        if self._reading is not None:
            self._reading.add(part)
        else:
            self._flow.keep(sequence, part)
        return False

    def _end_page(self, fault: LinkFault | None) -> None:
        if fault is not None or self._pending < 0:
            self._later(PAUSE_S if fault is not LinkFault.TIMEOUT else 0.0, self._fetch)
        elif self._pending:
            self._fetch()
        else:
            self._ask_facts()

    def _ask_facts(self) -> None:
        self._handle = self._link.request(
            self._requests.info(), REQUEST_TIMEOUT_S, self._take_run_facts
        )

    def _take_run_facts(self, answer: Message | LinkFault) -> None:
        facts = self._read_facts(answer)
        if facts is None:
            if self.created is None and self.reason is not None and isinstance(answer, Message):
                return  # a stream is being made, or waited for
            self._later(PAUSE_S, self._ask_facts)
        elif not self._is_same(facts):
            return
        elif self._reading is not None and self._facts is None:
            self._facts = facts
            self._fetch()
        else:
            self._facts = facts
            self._finish(facts)

    def _finish(self, facts: StreamFacts) -> None:
        flow = self._flow
        if self._reading is None:
            if flow.has_overflowed:
                self.load()
                return
            flow.take_held()
            self._host.take_batches()
            if flow.position >= max(facts.last_sequence, self._reached):
                self._end()
                flow.go_on()
                self._host.take_facts(facts)
                return
        position = max(self._reached, flow.position if self._reading is None else 0)
        while flow.held(position + 1) is not None:
            position += 1
        if position < facts.last_sequence:
            self._handle = self._link.request(
                self._requests.next_message(position + 1), REQUEST_TIMEOUT_S, self._take_next
            )
        elif self._is_whole(position):
            self._take_over(facts, position)
        else:
            self._later(LAG_PAUSE_S, self._fetch)

    def _is_whole(self, position: int) -> bool:
        """Whether the message there ends a batch."""
        message = self._flow.held(position)
        if message is not None:
            return header.COMMIT in message.headers or header.BATCH not in message.headers
        if self._reading is not None:
            return self._reading.is_complete
        return position == self._flow.boundary

    def _take_next(self, answer: Message | LinkFault) -> None:
        facts = self._facts
        sequence = None if isinstance(answer, LinkFault) else read_sequence(answer)
        if sequence == 0 and facts is not None:
            # Nothing follows: what was up to there has been replaced or removed.
            self._take_over(facts, facts.last_sequence)
        else:
            self._later(LAG_PAUSE_S if isinstance(sequence, int) else PAUSE_S, self._fetch)

    def _take_over(self, facts: StreamFacts, position: int) -> None:
        flow = self._flow
        reading = self._reading
        if reading is None:
            newest = self._host.take_repaired(flow.held_to(position), position)
        else:
            for sequence in range(self._reached + 1, position + 1):
                message = flow.held(sequence)
                if message is not None:
                    reading.add(message)
            self._host.take_loaded(reading, facts, position)
            newest = reading.newest
        self._end()
        flow.release(position, newest)
        self._host.take_facts(facts)

    def _end(self) -> None:
        self.is_running = False
        self._reading = None
        self._handle = None
        self.reason = None

    # --- what the leader says ---

    def _read_facts(self, answer: Message | LinkFault) -> StreamFacts | None:
        if isinstance(answer, LinkFault):
            self.reason = f"the stream {self._requests.stream} does not answer ({answer.value})"
            if answer is LinkFault.TIMEOUT and self.unanswered_since_s is None:
                self.unanswered_since_s = self._scheduler.now_s() - REQUEST_TIMEOUT_S
            return None
        self.unanswered_since_s = None
        facts = self._requests.read_facts(answer)
        if isinstance(facts, StreamFacts):
            if facts.mismatch is None:
                return facts
            self.reason = facts.mismatch
            pause, action = MISMATCH_PAUSE_S, self._ask_facts
        elif facts.number == STREAM_NOT_FOUND and self._may_create and self.created is None:
            self.reason = f"the stream {self._requests.stream} is being made"
            pause, action = 0.0, self._create
        else:
            self.reason = facts.description or f"error {facts.number} of JetStream"
            pause, action = MISMATCH_PAUSE_S, self._ask_facts
            if facts.number == STREAM_NOT_FOUND and not self._flow.is_holding:
                # What comes next is another stream's.
                self._host.take_batches()
                self._flow.hold()
        if self.created is None:
            self._later(pause, action)
        return None

    def _create(self, *, without_cluster: bool = False) -> None:
        request = self._requests.create(without_cluster=without_cluster)

        def take(answer: Message | LinkFault) -> None:
            if isinstance(answer, Message):
                facts = self._requests.read_facts(answer)
                if isinstance(facts, ApiFault):
                    if facts.number == REPLICAS_NOT_SUPPORTED and not without_cluster:
                        self._later(0.0, lambda: self._create(without_cluster=True))
                        return
                    if facts.number != STREAM_EXISTS_OTHERWISE:
                        self.reason = facts.description or f"error {facts.number} of JetStream"
            self._later(PAUSE_S, self._ask_facts)

        self._handle = self._link.request(request, 2 * REQUEST_TIMEOUT_S, take)

    def _is_same(self, facts: StreamFacts) -> bool:
        """Whether it is the stream that is known, and not too much is missing; else load."""
        if self.created != facts.created:
            is_first = self.created is None
            self.created = facts.created
            self._flow.restart(facts.created)
            if is_first and self._reading is not None:
                return True
            self.load()
            return False
        if self._reading is not None:
            return True
        if facts.last_sequence < self._flow.boundary:
            now_s = self._scheduler.now_s()
            if self._lower_since_s is None:
                self._lower_since_s = now_s
            if now_s - self._lower_since_s >= LOWER_S:
                self._flow.restart(facts.created)
                self.load()
                return False
            if self.is_running:
                self._later(PAUSE_S, self._ask_facts)
                return False
            return True
        self._lower_since_s = None
        confirmed_at = self._host.confirmed_at
        if (
            facts.last_sequence > self._flow.boundary
            and facts.timestamp - confirmed_at > AWAY_MS_MAX
        ):
            self.load()
            return False
        return True

    def _take_check(self, answer: Message | LinkFault) -> None:
        self._is_asking = False
        if self.is_running:
            return
        facts = self._read_facts(answer)
        if facts is None or not self._is_same(facts):
            return
        if self._lower_since_s is not None:
            return  # held until it is clear which stream this is
        if self._flow.is_holding:
            self._flow.go_on()
            self._host.take_batches()
        if facts.last_sequence <= self._flow.boundary:
            self.reason = None
            self._host.take_facts(facts)
        else:
            self._later(PAUSE_S, lambda: self._repair_if_below(facts.last_sequence))

    def _wait_for(self, answer: Message | LinkFault, then: Callable[[], None]) -> None:
        facts = None if self.is_running else self._read_facts(answer)
        if facts is None or not self._is_same(facts):
            self._scheduler.call_later(PAUSE_S, lambda: self.catch_up(then))
            return
        self._waiting.append((facts.last_sequence, then))
        self.tell_waiting()
        if self._waiting:
            self._later(PAUSE_S, lambda: self._repair_if_below(facts.last_sequence))

    def _repair_if_below(self, sequence: int) -> None:
        if not self.is_running and self._flow.boundary < sequence:
            self.repair()
