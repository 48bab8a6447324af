"""Loads everything, or what is missing, and finds out whether the stream is still the same; no I/O.

Direct Get answers with the newest message of each subject, in pages, from any replica, which may
lag behind. So it is not known of what moment a page is. A page may lack a message that was replaced
by one after the page; only together with that one they are a state that the log really had. So

1. fetch pages until a replica has no more;
2. ask the leader for the last sequence: what was replaced was replaced by something up to there;
3. hold on to everything until all up to there is known, by pages or because it was delivered, and
   nothing of a batch is missing;
4. if another epoch has to begin before it, store the mark of that, and go on with 1;
5. take it over in one step.
"""

from collections.abc import Callable
from typing import Final, Protocol

from dunena.persistence.jetstream import headers as header
from dunena.persistence.jetstream.epochs import Suspicion
from dunena.persistence.jetstream.follower import Flow
from dunena.persistence.jetstream.leader import (
    PAUSE_S,
    REQUEST_TIMEOUT_S,
    Continuity,
    StreamLeader,
)
from dunena.persistence.jetstream.loading import StreamReading
from dunena.persistence.jetstream.paging import Pages
from dunena.persistence.jetstream.stream_requests import (
    StreamFacts,
    StreamRequests,
    read_sequence,
)
from dunena.persistence.jetstream.wire import Cancellable, Link, LinkFault, Message, Scheduler

LAG_PAUSE_S: Final = 0.02
"""Before a page is asked for again that a replica did not have yet."""

LOADS_MAX: Final = 5
"""How often everything is loaded again that cannot be what the stream has."""

LOAD_PAUSE_S: Final = 1.0
"""Before that: replicas lag behind for less, as a rule."""


class CatchUpHost(Protocol):
    """What happens with what was caught up with."""

    def begin_loading(self) -> StreamReading:
        """Return what takes all messages of a stream."""

    def is_whole(self, reading: StreamReading, facts: StreamFacts, position: int) -> bool:
        """Whether what was loaded up to a position can be what the stream has."""

    def mark_before(self, reading: StreamReading, facts: StreamFacts) -> Message | None:
        """Return the mark of an epoch that has to begin before this is taken over, or None."""

    def take_marked(self, answer: Message | LinkFault) -> None:
        """Learn what has become of such a mark."""

    def take_loaded(self, reading: StreamReading, facts: StreamFacts, position: int) -> None:
        """Take over everything up to a position."""

    def take_batches(self) -> None:
        """Take what the flow has in its order."""

    def take_repaired(self, messages: list[Message], position: int) -> int:
        """Take over the newest state, up to a position, of what follows the flow's boundary.

        Returns the latest time of the messages.
        """

    def take_facts(self, facts: StreamFacts) -> None:
        """Learn what the leader said of messages that were all delivered."""

    def note_loss(self, what: str) -> None:
        """Learn that the stream has lost something; it is loaded anew already."""

    @property
    def confirmed_at(self) -> int:
        """When it was last known that nothing is missing, the log's time in Unix ms."""


class CatchUp:
    """Keeps a flow complete."""

    __slots__ = (
        "_ahead", "_checked", "_facts", "_flow", "_handle", "_host", "_is_asking", "_is_closed",
        "_leader", "_link", "_pages", "_reading", "_requests", "_scheduler", "_tries", "_waiting",
        "is_running",
    )  # fmt: skip

    def __init__(
        self,
        link: Link,
        scheduler: Scheduler,
        requests: StreamRequests,
        leader: StreamLeader,
        flow: Flow,
        host: CatchUpHost,
    ) -> None:
        self._link = link
        self._scheduler = scheduler
        self._requests = requests
        self._leader = leader
        self._flow = flow
        self._host = host
        self._pages = Pages(link, scheduler, requests)
        self._reading: StreamReading | None = None
        self._handle: Cancellable | None = None
        self._waiting: list[tuple[int, Callable[[], None]]] = []
        self._facts: StreamFacts | None = None
        self._is_asking = False
        self._ahead = Suspicion()
        self._tries = 0
        self._checked: StreamFacts | None = None
        """What was said of messages that are not all delivered yet."""
        self._is_closed = False
        self.is_running = False

    @property
    def fetched(self) -> int:
        """How many messages were fetched."""
        return self._pages.fetched

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
            self._leader.ask(self._take_check)

    def catch_up(self, then: Callable[[], None]) -> None:
        """Call ``then`` when everything was delivered that the stream has at this moment."""
        if not self._is_closed:
            self._leader.ask(lambda facts: self._wait_for(facts, then))

    def tell_waiting(self) -> None:
        """Call those who waited for what is delivered now."""
        if self.is_running:
            return
        boundary = self._flow.boundary
        checked = self._checked
        if checked is not None and checked.last_sequence <= boundary:
            self._checked = None
            self._host.take_facts(checked)
        due = [then for sequence, then in self._waiting if sequence <= boundary]
        self._waiting = [wait for wait in self._waiting if wait[0] > boundary]
        for then in due:
            then()

    def close(self) -> None:
        """End what is under way."""
        self._pages.cancel()
        if self._handle is not None:
            self._handle.cancel()
        self._waiting.clear()
        self._is_closed = True
        self.is_running = True  # nothing begins any more

    # --- one run ---

    def _begin(self, reading: StreamReading | None) -> None:
        self._pages.cancel()
        if self._handle is not None:
            self._handle.cancel()
        self.is_running = True
        self._reading = reading
        self._facts = self._checked = None
        self._ahead.end()
        self._flow.hold()
        self._flow.has_overflowed = False
        self._pages.reached = 0 if reading is not None else self._flow.boundary
        if reading is not None:
            self._ask_facts()
        else:
            self._fetch()

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._handle = self._scheduler.call_later(seconds, action)

    def _fetch(self) -> None:
        self._pages.fetch(self._take_page, self._ask_facts)

    def _take_page(self, sequence: int, message: Message) -> None:
        if self._reading is not None:
            self._reading.add(message)
        else:
            self._flow.keep(sequence, message)

    def _ask_facts(self) -> None:
        self._handle = self._leader.ask(self._take_run_facts)

    def _take_run_facts(self, facts: StreamFacts | None) -> None:
        leader = self._leader
        if facts is None:
            if leader.may_make:
                self._handle = leader.make(lambda: self._later(PAUSE_S, self._ask_facts))
            else:
                self._later(leader.pause_s, self._ask_facts)
        elif not self._goes_on(facts):
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
            if flow.position >= max(facts.last_sequence, self._pages.reached):
                self._end()
                flow.go_on()
                self._host.take_facts(facts)
                return
        position = max(self._pages.reached, flow.position if self._reading is None else 0)
        while flow.held(position + 1) is not None:
            position += 1
        if position < facts.last_sequence:
            self._handle = self._link.request(
                self._requests.next_message(position + 1), REQUEST_TIMEOUT_S, self._take_next
            )
        elif self._is_whole(position):
            self._take_over(facts, position)
        elif self._is_ahead(facts, position):
            self.load()
        else:
            self._later(LAG_PAUSE_S, self._fetch)

    def _is_ahead(self, facts: StreamFacts, position: int) -> bool:
        """Whether what is loaded was taken from a replica that had what the stream has lost.

        The leader has everything first, unless it is a new one. Nothing comes after what it does
        not know of, so the rest of a batch would be waited for without end.
        """
        shows = self._reading is not None and position > facts.last_sequence
        return self._ahead.look(shows, self._scheduler.now_s())

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
            for sequence in range(self._pages.reached + 1, position + 1):
                message = flow.held(sequence)
                if message is not None:
                    reading.add(message)
            self._pages.reached = position
            if self._tries < LOADS_MAX and not self._host.is_whole(reading, facts, position):
                # A replica that lagged behind had what was taken out of the stream.
                self._tries += 1
                self._later(LOAD_PAUSE_S, self.load)
                return
            mark = self._host.mark_before(reading, facts)
            if mark is not None:
                self._handle = self._link.request(mark, REQUEST_TIMEOUT_S, self._take_marked)
                return
            self._host.take_loaded(reading, facts, position)
            newest = reading.newest
        self._end()
        flow.release(position, newest)
        self._host.take_facts(facts)

    def _take_marked(self, answer: Message | LinkFault) -> None:
        self._host.take_marked(answer)
        self._later(PAUSE_S if isinstance(answer, LinkFault) else LAG_PAUSE_S, self._fetch)

    def _end(self) -> None:
        self._tries = 0
        self.is_running = False
        self._reading = None
        self._handle = None

    # --- what the leader says ---

    def _goes_on(self, facts: StreamFacts) -> bool:
        """Whether what is known, and under way, is of this stream and near enough; else load."""
        leader, flow = self._leader, self._flow
        if leader.created != facts.created:
            is_first = leader.created is None
            leader.created = facts.created
            flow.restart(facts.created)
            if not is_first or self._reading is None:
                self.load()
                return False
            return True
        if self._reading is not None:
            return True
        continuity = leader.judge(facts, flow.boundary, self._host.confirmed_at)
        if continuity is Continuity.SAME:
            return True
        if continuity is Continuity.LOWER:
            if self.is_running:
                self._later(PAUSE_S, self._ask_facts)
            return False
        if continuity is Continuity.SHORTER:
            self._host.note_loss("ends before what was stored already")
            flow.restart(facts.created)
        self.load()
        return False

    def _take_check(self, facts: StreamFacts | None) -> None:
        self._is_asking = False
        if self.is_running:
            return
        flow = self._flow
        if facts is None:
            if self._leader.is_missing and not flow.is_holding:
                # What comes next is another stream's.
                self._host.take_batches()
                flow.hold()
        elif self._goes_on(facts):
            if flow.is_holding:
                flow.go_on()
                self._host.take_batches()
            if facts.last_sequence <= flow.boundary:
                self._host.take_facts(facts)
            else:
                self._checked = facts
                self._later(PAUSE_S, lambda: self._repair_if_below(facts.last_sequence))

    def _wait_for(self, facts: StreamFacts | None, then: Callable[[], None]) -> None:
        if self.is_running or facts is None or not self._goes_on(facts):
            self._scheduler.call_later(PAUSE_S, lambda: self.catch_up(then))
            return
        self._waiting.append((facts.last_sequence, then))
        self.tell_waiting()
        if self._waiting:
            self._later(PAUSE_S, lambda: self._repair_if_below(facts.last_sequence))

    def _repair_if_below(self, sequence: int) -> None:
        if not self.is_running and self._flow.boundary < sequence:
            self.repair()
