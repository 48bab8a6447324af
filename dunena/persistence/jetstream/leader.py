"""Asks the stream's leader for its facts, makes the stream, and tells it from others; no I/O."""

from collections.abc import Callable
from enum import Enum
from typing import Final

from dunena.persistence.jetstream.epochs import Suspicion
from dunena.persistence.jetstream.stream_requests import (
    REPLICAS_NOT_SUPPORTED,
    STREAM_EXISTS_OTHERWISE,
    STREAM_NOT_FOUND,
    UNAVAILABLE,
    ApiFault,
    StreamFacts,
    StreamRequests,
)
from dunena.persistence.jetstream.wire import Cancellable, Link, LinkFault, Message, Scheduler

REQUEST_TIMEOUT_S: Final = 1.0
PAUSE_S: Final = 0.1
"""Before a request is made again that was not answered."""

FLOW_S: Final = 4.0
"""How long after the last stored message a leader that may not be asked is taken for silent: each
node that writes stores one at least every 3 s.
"""

HEARD_S: Final = 1.0
"""How long before it was asked in vain the leader may have fallen silent: it is asked each second.
"""

MISMATCH_PAUSE_S: Final = 2.0
"""Before a stream is looked at again that cannot be a log, or is not there, or may not be asked."""

AWAY_MS_MAX: Final = 10 * 60 * 1000
"""How long a node may have been away and still learn of all that is gone (`NOTE_FREED_S`). After
that it loads everything.
"""


class Continuity(Enum):
    """Whether a stream goes on from what is known of it.

    LOWER: it seems to have less than is known, which is not believed yet. SHORTER: it has less.
    AWAY: what was removed meanwhile may not be in it any more.
    """

    SAME = "same"
    LOWER = "lower"
    SHORTER = "shorter"
    AWAY = "away"


class StreamLeader:
    """The leader of the stream, as its answers tell.

    ``created`` is when the known stream was created; None before the first one. ``reason`` says
    why there is none that can be used, for people. ``is_missing``: there is no stream.
    ``is_silent``: most servers were silent to the leader when it answered last.
    ``unanswered_since_s`` is since when the leader has not answered, or has been without the
    servers that it needs to store something; None if it does. ``unfit_since_s`` is since when it
    has answered that the known stream is not there, or that another one cannot be a log.
    ``mismatch`` is what is not as a log needs it at the known stream: it was changed since the
    start. Its messages are taken as before, and so is what is written.
    """

    __slots__ = (
        "_heard_s", "_is_denied", "_link", "_lower", "_may_create", "_requests", "_scheduler",
        "created", "is_missing", "is_silent", "mismatch", "reason", "unanswered_since_s",
        "unfit_since_s",
    )  # fmt: skip

    def __init__(
        self, link: Link, scheduler: Scheduler, requests: StreamRequests, *, may_create: bool
    ) -> None:
        self._link = link
        self._scheduler = scheduler
        self._requests = requests
        self._may_create = may_create
        self._lower = Suspicion()
        self._heard_s = 0.0
        self._is_denied = False
        self.created: str | None = None
        self.reason: str | None = None
        self.mismatch: str | None = None
        self.is_missing = False
        self.is_silent = False
        self.unanswered_since_s: float | None = None
        self.unfit_since_s: float | None = None

    @property
    def may_make(self) -> bool:
        """Whether the stream is to be made now: only at the start, as later its values are gone."""
        return self.is_missing and self._may_create and self.created is None

    @property
    def pause_s(self) -> float:
        """How long to wait after an answer without facts."""
        is_answer = self.created is None and self.unanswered_since_s is None
        return MISMATCH_PAUSE_S if is_answer or self._is_denied else PAUSE_S

    def ask(self, take: Callable[[StreamFacts | None], None]) -> Cancellable:
        """Ask for the facts; None is that there are none now."""
        asked_s = self._scheduler.now_s()

        def read(answer: Message | LinkFault) -> None:
            take(self._read(answer, asked_s))

        return self._link.request(self._requests.info(), REQUEST_TIMEOUT_S, read)

    def hear(self) -> None:
        """Learn that the stream stores something."""
        self.unanswered_since_s = None
        self._heard_s = self._scheduler.now_s()

    def make(self, then: Callable[[], None], *, without_cluster: bool = False) -> Cancellable:
        """Make the stream, and call ``then`` in any case."""

        def take(answer: Message | LinkFault) -> None:
            if isinstance(answer, Message):
                facts = self._requests.read_facts(answer)
                if isinstance(facts, ApiFault):
                    if facts.number == REPLICAS_NOT_SUPPORTED and not without_cluster:
                        self.make(then, without_cluster=True)
                        return
                    if facts.number != STREAM_EXISTS_OTHERWISE:
                        self.reason = _reason_of(facts)
            then()

        request = self._requests.create(without_cluster=without_cluster)
        return self._link.request(request, 2 * REQUEST_TIMEOUT_S, take)

    def judge(self, facts: StreamFacts, known: int, confirmed_at: int) -> Continuity:
        """Say whether the stream, which is the known one by ``created``, goes on from ``known``.

        ``known`` is the last sequence that is known; ``confirmed_at`` when it was known that there
        was no other, the log's time in Unix ms.
        """
        if facts.last_sequence >= known:
            self._lower.end()
            is_away = facts.timestamp - confirmed_at > AWAY_MS_MAX
            return Continuity.AWAY if is_away and facts.last_sequence > known else Continuity.SAME
        # A silent one may be cut off, and others have chosen another one.
        if not self._lower.look(not facts.is_silent, self._scheduler.now_s()):
            return Continuity.LOWER
        self._lower.end()
        return Continuity.SHORTER

    def _read(self, answer: Message | LinkFault, asked_s: float) -> StreamFacts | None:
        self.is_missing = False
        self._is_denied = answer is LinkFault.DENIED
        stream = self._requests.stream
        if isinstance(answer, LinkFault):
            self._note_silence(asked_s)
            self.reason = f"the stream {stream} does not answer ({answer.value})"
            return None
        facts = self._requests.read_facts(answer)
        if isinstance(facts, ApiFault):
            self.reason = _reason_of(facts)
            self.is_missing = facts.number == STREAM_NOT_FOUND
            if facts.status == UNAVAILABLE:
                self._note_silence(asked_s)
            else:
                self._note_answer(is_fit=False)
            return None
        is_known = self.created == facts.created
        is_fit = is_known or facts.mismatch is None
        self._note_answer(is_fit=is_fit)
        self.mismatch = facts.mismatch if is_known else None
        self.reason = facts.mismatch
        self.is_silent = facts.is_silent
        if facts.is_silent:
            self.unanswered_since_s = self._heard_s - facts.silent_s
            self.reason = "most of the servers that keep the stream are silent"
        return facts if is_fit else None

    def _note_silence(self, asked_s: float) -> None:
        """Note that the leader has not answered; it may be there, if the question is denied."""
        if self._is_denied and self._scheduler.now_s() - self._heard_s < FLOW_S:
            return
        if self.unanswered_since_s is None:
            self.unanswered_since_s = max(self._heard_s, asked_s - HEARD_S)

    def _note_answer(self, *, is_fit: bool) -> None:
        self.hear()
        if is_fit or self.created is None:
            self.unfit_since_s = None
        elif self.unfit_since_s is None:
            self.unfit_since_s = self._heard_s


def _reason_of(fault: ApiFault) -> str:
    return fault.description or f"error {fault.number} of JetStream"
