"""Stores the proposals of a node, each at most once; no I/O.

All that a node writes begins with its marker, which must follow the marker before it. So of
everything that was sent after one marker, at most one is stored: a proposal can be sent again, and
a marker alone (a *fence*, and the sign that the node is alive) ends whatever was sent before. What
has happened is known from the markers that are delivered, and from nothing else.

A marker is kept for an hour. If it were let go of sooner, "there is none" would be true again after
a proposal was stored, and it could be stored twice.
"""

from typing import Final

from dunena.persistence.jetstream import headers as header
from dunena.persistence.jetstream.attempting import Attempting
from dunena.persistence.jetstream.attempts import (
    CurrentProposal,
    Meaning,
    ProposalDraft,
    meaning_of,
)
from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.nodes import marker_data
from dunena.persistence.jetstream.places import Places
from dunena.persistence.jetstream.proposal_host import ProposalHost
from dunena.persistence.jetstream.records import TOMBSTONE_S
from dunena.persistence.jetstream.refusing import Refusing
from dunena.persistence.jetstream.settling import Settled, Settling
from dunena.persistence.jetstream.stream_requests import Stored, StreamRequests, read_stored
from dunena.persistence.jetstream.terms import ONLY_READS, LogTerms
from dunena.persistence.jetstream.wire import Link, LinkFault, Message, Scheduler
from dunena.persistence.log import LogFigures, Proposal, Refusal, RefusalKind

DENIED_S: Final = 0.1
"""How long a server may take to deny all parts of an attempt."""

DELIVERY_S: Final = 0.25
"""How long what is stored may take to be delivered before it is fetched."""


class Proposals:
    """One proposal at a time, and the node's markers.

    ``place`` is the sequence of the node's last marker that was delivered. ``is_blocked``: the log
    has not answered in time, so nothing new is taken until it does. ``refusing`` tells whether it
    answers and stores nothing.
    """

    __slots__ = (
        "_attempting", "_current", "_figures", "_host", "_is_closed", "_is_sign_due", "_link",
        "_marker", "_names", "_places", "_scheduler", "_settling", "_terms", "is_blocked", "place",
        "refusing", "unanswered_since_s",
    )  # fmt: skip

    def __init__(
        self,
        link: Link,
        scheduler: Scheduler,
        terms: LogTerms,
        node: str,
        names: SubjectNames,
        places: Places,
        requests: StreamRequests,
        figures: LogFigures,
        host: ProposalHost,
    ) -> None:
        self._link = link
        self._scheduler = scheduler
        self._terms = terms
        self._names = names
        self._figures = figures
        self._host = host
        self._places = places
        self._marker = names.subject_of_node(node)
        self._current: CurrentProposal | None = None
        self._attempting = Attempting(link, scheduler, names, node, self._go_on, self._take_answer)
        self._settling = Settling(link, requests, places, self._marker, host)
        self._is_sign_due = False
        self._is_closed = False
        self.place = 0
        self.is_blocked = False
        self.refusing = Refusing()
        self.unanswered_since_s: float | None = None

    @property
    def is_idle(self) -> bool:
        """Whether a proposal would be sent at once."""
        return self._current is None and not self.is_blocked

    def propose(self, proposal: Proposal) -> Refusal | None:
        """Begin to store a proposal; return why not."""
        if self._terms.is_reader:
            return Refusal(RefusalKind.UNAVAILABLE, ONLY_READS)
        if self._current is not None or self.is_blocked:
            return Refusal(RefusalKind.UNAVAILABLE, self._silence)
        draft = ProposalDraft(proposal, self._names, self._places, self._host.now)
        reason = draft.refusal(self._link.max_payload)
        if reason is not None:
            return Refusal(RefusalKind.INVALID, reason)
        current = self._current = CurrentProposal(proposal, draft, self._scheduler.now_s())
        current.deadline = self._scheduler.call_later(self._terms.timeout_s, self._give_up)
        self.retry()  # it need not wait for the next marker
        self._go_on()
        return None

    def send_sign(self) -> None:
        """Write a marker unless something is under way."""
        if not self._terms.is_reader:
            self._is_sign_due = True
            self._go_on()

    def retry(self) -> None:
        """Try again at once what waits for its next attempt."""
        self._attempting.end_pause()

    def take_marker(self, sequence: int, number: int | None) -> Proposal | None:
        """Learn of a delivered marker of this node; return the proposal that it begins.

        A proposal that was given up is not returned: its node was told that it may have been made.
        """
        self.place = sequence
        self.is_blocked = False
        self._is_sign_due = False
        self.unanswered_since_s = None
        self._drop_attempt()
        current = self._current
        if current is None:
            self.refusing.note_stored(self._attempting.probe_size)
            return None
        is_stored = number == current.number
        self.refusing.note_stored(current.draft.size if is_stored else self._attempting.probe_size)
        if current.is_given_up or is_stored:
            self._drop_current()
            if current.is_given_up or not is_stored:
                return None
            self._figures.commits += 1
            spent_s = self._scheduler.now_s() - current.started_s
            self._figures.commit_ms_total += spent_s * 1000
            return current.proposal
        # Something else followed the marker before it, so all attempts have failed for good.
        current.may_be_stored = False
        self._attempting.wait(0, self._go_on)
        return None

    def take_loaded(self, place: int, number: int | None, *, is_other: bool) -> Proposal | None:
        """Learn of the node's marker in all that was loaded; like `take_marker`.

        ``place`` is 0 if there is none. ``is_other``: this is another epoch than before.
        """
        current = self._current
        is_stored = current is not None and place > self.place and number == current.number
        if is_other and current is not None and not is_stored:
            # It rests on what was there before, and what was stored of it may have gone.
            self._abandon(current, is_followed=place != self.place)
        if place == self.place:
            return None
        was_blocked = self.is_blocked
        stored = self.take_marker(place, number)
        # Without a marker it is not known that anything can be stored.
        self.is_blocked = was_blocked and place == 0
        return stored

    def close(self) -> None:
        """End what is under way."""
        self._drop_attempt()
        self._drop_current()
        self._is_closed = True

    # --- attempts ---

    def _go_on(self) -> None:
        """Send what is to be sent, unless an attempt is under way or waited for."""
        if self._attempting.is_active or self._settling.is_active or self._is_closed:
            return
        current = self._current
        if current is not None and not current.is_given_up:
            self._send(current)
        elif current is not None or self.is_blocked or self._is_sign_due:
            self._send(None)

    def _send(self, current: CurrentProposal | None) -> None:
        number = None if current is None else current.number
        marker = Message(
            self._names.written_to(self._marker),
            {header.EXPECTED: str(self.place), header.FREED_AFTER: str(TOMBSTONE_S)},
            marker_data(number, self._host.since, self._host.floor),
        )
        if self.unanswered_since_s is None:
            self.unanswered_since_s = self._scheduler.now_s()
        self._attempting.send(current, marker, self.refusing)

    def _drop_attempt(self) -> None:
        self._attempting.drop()
        self._settling.cancel()

    def _drop_current(self) -> None:
        current = self._current
        if current is not None and current.deadline is not None:
            current.deadline.cancel()
        self._current = None

    def _take_answer(self, sent: CurrentProposal | None, answer: Message | LinkFault) -> None:
        if isinstance(answer, LinkFault):
            if answer is LinkFault.TIMEOUT:
                if sent is not None:
                    sent.may_be_stored = True
                self._figures.retries += 1
                self._attempting.pause(0.0)
            elif answer is LinkFault.TOO_LARGE:
                self._take_meaning(sent, Meaning.INVALID, "it is larger than the servers take")
            elif answer is LinkFault.DENIED:
                # Not before all was said of its parts: it must not be taken for what is sent next.
                self._attempting.wait(DENIED_S, lambda: self._take_denied(sent))
            else:
                self._attempting.pause()
            return
        stored = read_stored(answer)
        if isinstance(stored, Stored):
            if sent is not None:
                sent.may_be_stored = True
            # Its marker tells. If that is lost, it is fetched.
            self._attempting.wait(DELIVERY_S, lambda: self._settle(asks=False))
        else:
            reason = stored.description or f"error {stored.number}"
            self._take_meaning(sent, meaning_of(stored), reason)

    def _take_denied(self, sent: CurrentProposal | None) -> None:
        self._take_meaning(sent, Meaning.UNFIT, self._host.denied or "the servers do not permit it")

    def _settle(self, *, asks: bool) -> None:
        self._settling.begin(self._current, self.place, self._take_settled, asks=asks)

    def _take_settled(self, settled: Settled) -> None:
        current = self._current
        if settled is Settled.CHANGED and current is not None:
            self._figures.conflicts += 1
            self._refuse(current, Refusal(RefusalKind.CONFLICT, "it was changed meanwhile"))
            return
        if settled is Settled.UNMARKED:
            self.place = 0
            if current is not None and (current.is_given_up or current.may_be_stored):
                # It may have gone with the marker that it was stored after.
                self._abandon(current, is_followed=True)
            self._host.miss_marker()
        self._attempting.pause()

    def _take_meaning(self, sent: CurrentProposal | None, meaning: Meaning, reason: str) -> None:
        current = self._current
        if meaning in (Meaning.FULL, Meaning.UNFIT):
            self.unanswered_since_s = None  # this is an answer
            size = self._attempting.probe_size if sent is None else sent.draft.size
            self.refusing.note_refusal(reason, size)
        if meaning is Meaning.CONFLICT:
            self._settle(asks=True)
        elif meaning is Meaning.PENDING:
            self._settle(asks=False)
        elif meaning is Meaning.LATER or current is None or current.is_given_up:
            self._attempting.pause()
        elif sent is not current:
            self._attempting.pause(0.0)  # a marker was refused, and this was not sent yet
        elif current.may_be_stored:
            self._attempting.pause()  # an attempt before it may still be stored; time tells
        else:
            kind = {
                Meaning.FULL: RefusalKind.FULL,
                Meaning.INVALID: RefusalKind.INVALID,
            }.get(meaning, RefusalKind.UNAVAILABLE)
            self._refuse(current, Refusal(kind, reason))

    # --- the end of a proposal ---

    @property
    def _silence(self) -> str:
        return self._link.reason or self._host.denied or "the store does not answer"

    def _give_up(self) -> None:
        current = self._current
        if current is None:
            return
        current.deadline = None
        refusal = self._refusal_of_unanswered(current)
        self.is_blocked = True
        current.is_given_up = True
        if not current.may_be_stored:
            self._current = None
        if not self._settling.is_active:
            self._drop_attempt()
            self._attempting.pause(0.0)
        self._host.refuse(current.number, refusal)

    def _abandon(self, current: CurrentProposal, *, is_followed: bool) -> None:
        """Refuse what is under way; nothing of it can be stored any more if it ``is_followed``."""
        refusal = self._refusal_of_unanswered(current)
        if not current.is_given_up:
            # Later, as the next proposal may follow at once.
            self._scheduler.call_later(0, lambda: self._host.refuse(current.number, refusal))
        self._drop_attempt()
        if is_followed or not current.may_be_stored:
            self._drop_current()
            return
        if current.deadline is not None:
            current.deadline.cancel()
            current.deadline = None
        self.is_blocked = True
        current.is_given_up = True
        self._attempting.pause(0.0)

    def _refusal_of_unanswered(self, current: CurrentProposal) -> Refusal:
        if self._attempting.sent is current:
            current.may_be_stored = True
        kind = RefusalKind.UNKNOWN if current.may_be_stored else RefusalKind.UNAVAILABLE
        return Refusal(kind, self._silence)

    def _refuse(self, current: CurrentProposal, refusal: Refusal) -> None:
        self._drop_attempt()
        self._drop_current()
        self.unanswered_since_s = None
        self._host.refuse(current.number, refusal)
