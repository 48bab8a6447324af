"""The messages of an attempt to store a proposal, and what a refusal of them means; no I/O."""

from enum import Enum
from typing import Final

from dunena.persistence.jetstream import headers as header
from dunena.persistence.jetstream.naming import SUBJECT_BYTES_MAX, SubjectNames
from dunena.persistence.jetstream.places import Places
from dunena.persistence.jetstream.records import data_of, headers_of, subject_of
from dunena.persistence.jetstream.stream_requests import (
    WRONG_LAST_SEQUENCE,
    WRONG_LAST_SEQUENCE_UNDER_WAY,
    ApiFault,
)
from dunena.persistence.jetstream.wire import Cancellable, Message
from dunena.persistence.log import GROUP_OPS_MAX, PROPOSAL_BYTES_MAX, OpKind, Proposal

BATCH_HEADER_BYTES: Final = 300
"""More than the headers of a batch, of a condition and of a line take."""


class Meaning(Enum):
    """What a refused attempt means; nothing of it was stored.

    CONFLICT: a condition does not hold; PENDING: or something under way may make it so. LATER: it
    may be stored at another time. FULL, INVALID, UNFIT: it will not be; UNFIT is the stream's
    fault.
    """

    CONFLICT = "conflict"
    PENDING = "pending"
    LATER = "later"
    FULL = "full"
    INVALID = "invalid"
    UNFIT = "unfit"


_MEANINGS: Final = {
    WRONG_LAST_SEQUENCE: Meaning.CONFLICT,
    WRONG_LAST_SEQUENCE_UNDER_WAY: Meaning.PENDING,
    10023: Meaning.FULL,  # insufficient resources
    10047: Meaning.FULL,  # insufficient storage resources available
    10054: Meaning.INVALID,  # message size exceeds maximum allowed
    10097: Meaning.INVALID,  # header size exceeds maximum allowed
    10165: Meaning.INVALID,  # invalid per-message TTL
    10166: Meaning.UNFIT,  # per-message TTL is disabled
    10174: Meaning.UNFIT,  # atomic publish is disabled
    10176: Meaning.LATER,  # atomic publish batch is incomplete: parts were lost
    10199: Meaning.INVALID,  # atomic publish batch is too large
}


def meaning_of(fault: ApiFault) -> Meaning:
    """Return what an error of JetStream means for the attempt that it answers."""
    meaning = _MEANINGS.get(fault.number)
    if meaning is not None:
        return meaning
    if fault.number == 10077 and "maximum" in fault.description:  # could not store the message
        return Meaning.FULL
    is_invalid = 400 <= fault.status < 500 and fault.status not in (404, 408, 429)
    return Meaning.INVALID if is_invalid else Meaning.LATER


class ProposalDraft:
    """A proposal as messages, without what differs between attempts.

    ``conditions`` is subject -> the sequence that this node was told of as its last one. A CLEAR
    changes all keys, so a condition on a key is one on the last CLEAR too.
    """

    __slots__ = ("_bodies", "_is_guarded", "_names", "conditions", "number", "subjects")

    def __init__(self, proposal: Proposal, names: SubjectNames, places: Places, now: int) -> None:
        self._names = names
        self.number = proposal.number
        self.subjects: list[str] = []
        self.conditions: dict[str, int] = {}
        self._bodies: list[tuple[dict[str, str], bytes, bool]] = []
        self._is_guarded = False
        written: set[str] = set()
        for group in proposal.groups:
            last = len(group) - 1
            for index, op in enumerate(group):
                subject = subject_of(op, names)
                headers = headers_of(op, now)
                if index < last:
                    headers[header.MORE] = "1"
                # JetStream refuses a condition on what the same batch has written already.
                has_condition = op.is_conditional and subject not in written
                if has_condition:
                    self.conditions[subject] = places.of(subject)
                    self._is_guarded |= op.kind is not OpKind.NOTE
                written.add(subject)
                self.subjects.append(subject)
                self._bodies.append((headers, data_of(op), has_condition))
        if self._is_guarded:
            self.conditions[names.clear] = places.of(names.clear)

    @property
    def size(self) -> int:
        """The bytes of its names and values."""
        bodies = sum([len(data) for _, data, _ in self._bodies])
        return bodies + sum(map(len, self.subjects))

    def refusal(self, max_payload: int) -> str | None:
        """Return why no server will ever store it; None if one may."""
        if len(self._bodies) > GROUP_OPS_MAX:
            return f"more than {GROUP_OPS_MAX} changes at once"
        total = largest = 0
        for subject, (headers, data, _) in zip(self.subjects, self._bodies, strict=True):
            if len(subject) > SUBJECT_BYTES_MAX:
                return "a name is too long"
            size = BATCH_HEADER_BYTES
            for name, value in headers.items():
                size += len(name) + len(value) + 4
            if size + len(data) > max_payload:
                return f"a value is larger than the servers take ({max_payload} bytes)"
            total += len(subject) + len(data)
            largest = max(largest, len(subject) + len(data))
        if total - largest > PROPOSAL_BYTES_MAX:
            return f"more than {PROPOSAL_BYTES_MAX} bytes at once"
        return None

    def messages(
        self, marker: Message, batch: str, expected: dict[str, int]
    ) -> tuple[list[Message], Message]:
        """Return the messages of an attempt: those before the last one, and the last one.

        ``marker`` comes first; once more if it is to carry the condition on the last CLEAR.
        ``expected`` has the conditions.
        """
        if not self._bodies:
            return [], marker
        written_to = self._names.written_to
        parts = [marker]
        if self._is_guarded:
            place = str(expected[self._names.clear])
            condition = {header.EXPECTED: place, header.EXPECTED_SUBJECT: self._names.clear}
            parts.append(marker._replace(headers={**marker.headers, **condition}))
        for index, subject in enumerate(self.subjects):
            headers, data, has_condition = self._bodies[index]
            if has_condition:
                headers = {**headers, header.EXPECTED: str(expected[subject])}
            parts.append(Message(written_to(subject), headers, data))
        parts = [
            part._replace(
                headers={**part.headers, header.BATCH: batch, header.BATCH_SEQUENCE: str(number)}
            )
            for number, part in enumerate(parts, 1)
        ]
        last = parts.pop()
        last.headers[header.COMMIT] = "1"
        return parts, last


class CurrentProposal:
    """The proposal that is under way.

    ``may_be_stored``: an attempt had no answer. ``is_given_up``: the node was told so, and now it
    is only to be found out what has become of it.
    """

    __slots__ = (
        "deadline", "draft", "expected", "groups", "is_given_up", "may_be_stored", "number",
        "proposal", "started_s",
    )  # fmt: skip

    def __init__(self, proposal: Proposal, draft: ProposalDraft, started_s: float) -> None:
        self.proposal = proposal
        self.number = proposal.number
        self.draft = draft
        self.expected = dict(draft.conditions)
        self.started_s = started_s
        self.deadline: Cancellable | None = None
        self.may_be_stored = False
        self.is_given_up = False
