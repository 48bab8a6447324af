"""The answers of requests that may come twice, by their idempotency key; no I/O.

Rule (the contract, "Ops"): a client that lost its connection before the answer sends the request
again with the same key, and gets the first answer instead of a second change.
"""

from collections import OrderedDict
from typing import Any, NamedTuple

import orjson

from dunena.dialects.errors import InvalidFieldError
from dunena.store.limits import ANSWER_MS_MAX, ANSWERS_BYTES_MAX, ANSWERS_MAX

AnswerId = tuple[bytes, str]
"""The scope of a grant and the idempotency key."""


class KnownAnswer(NamedTuple):
    """An answer that was given; ``owner`` as in `RememberedAnswers.remember`."""

    data: dict[str, Any]
    owner: str | None


class _Remembered(NamedTuple):
    request: bytes
    data: bytes  # as JSON: an answer may hold values, which are not to be kept as objects
    revision: int
    at: int
    owner: str | None


class RememberedAnswers:
    """The newest answers. ``undo`` forgets those of changes that were taken back.

    ``bytes`` is the size of all of them as JSON.
    """

    __slots__ = ("_answers", "bytes")

    def __init__(self) -> None:
        self._answers: OrderedDict[AnswerId, _Remembered] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        """Return the number of answers."""
        return len(self._answers)

    def find(self, answer_id: AnswerId, request: bytes, now: int) -> KnownAnswer | None:
        """Return the first answer; None if it is unknown or too old at ``now``.

        Raise `InvalidFieldError` if it answered another request than the one with this digest.
        """
        known = self._answers.get(answer_id)
        if known is None or now - known.at > ANSWER_MS_MAX:
            return None
        if known.request != request:
            raise InvalidFieldError("idempotencyKey was used for another request")
        return KnownAnswer(orjson.loads(known.data), known.owner)

    def remember(
        self,
        answer_id: AnswerId,
        request: bytes,
        data: dict[str, Any],
        revision: int,
        now: int,
        owner: str | None = None,
    ) -> None:
        """Remember an answer that was given when the store was at a revision.

        ``request`` is the digest of what it answered, ``owner`` the id of the session whose
        ephemeral keys it made, None if it made none. One that is too old takes no place, nor do
        the oldest past `ANSWERS_MAX` and `ANSWERS_BYTES_MAX`; the newest is always kept.
        """
        answers = self._answers
        replaced = answers.pop(answer_id, None)
        if replaced is not None:
            self.bytes -= len(replaced.data)
        encoded = orjson.dumps(data)
        answers[answer_id] = _Remembered(request, encoded, revision, now, owner)
        self.bytes += len(encoded)
        while len(answers) > 1 and self._has_too_many(now):
            self.bytes -= len(answers.popitem(last=False)[1].data)

    def undo(self, revision: int) -> None:
        """Forget the answers of all changes after a revision."""
        answers = self._answers
        while answers and next(reversed(answers.values())).revision > revision:
            self.bytes -= len(answers.popitem()[1].data)

    def _has_too_many(self, now: int) -> bool:
        oldest = next(iter(self._answers.values()))
        return (
            len(self._answers) > ANSWERS_MAX
            or self.bytes > ANSWERS_BYTES_MAX
            or now - oldest.at > ANSWER_MS_MAX
        )
