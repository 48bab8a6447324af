"""The answers of requests with an idempotency key, which all nodes remember: as notes of the log.

A note is stored with the changes that its request made, all or nothing. So a request that comes
again gets its first answer, also at another node and whatever became of its connection.
"""

import base64
import hashlib
import re
from typing import Any, Final

import orjson

from dunena.dialects.remembered_answers import AnswerId, KnownAnswer, RememberedAnswers
from dunena.persistence.log import Op, OpKind, Record
from dunena.server.shared.planning import PLANNED_REVISION
from dunena.store.limits import ANSWER_MS_MAX

PREFIX: Final = "answer-"
"""What the names of these notes begin with."""

_TAG = re.compile(r'-(\d+)"$')


class SharedAnswers(RememberedAnswers):
    """What the log has of answers; what a request remembers here comes back as a note."""

    __slots__ = ()

    def find(self, answer_id: AnswerId, request: bytes, now: int) -> KnownAnswer | None:
        """Like `RememberedAnswers.find`."""
        return super().find((b"", name_of(answer_id)), request, now)

    def remember(
        self,
        answer_id: AnswerId,
        request: bytes,
        data: dict[str, Any],
        revision: int,
        now: int,
        owner: str | None = None,
    ) -> None:
        """Do nothing: the answer was planned, and its note is taken in with the changes."""

    def forget(self) -> None:
        """Forget all: the log is another one."""
        self._answers.clear()
        self.bytes = 0

    def take_in(self, note: Record, now: int) -> None:
        """Remember the answer of a note; ``now`` is the log's time, Unix ms.

        A note that cannot be read is of another release, and left out.
        """
        if not note.op.key.startswith(PREFIX):
            return
        try:
            content = orjson.loads(note.op.value)
            request, count = base64.b64decode(content["request"]), content["count"]
            data, owner = content["data"], content["owner"]
            _put_revisions(data, note.revision - count - PLANNED_REVISION - 1)
            if owner is None or isinstance(owner, str):
                super().remember((b"", note.op.key), request, data, note.revision, now, owner)
        except (ValueError, KeyError, TypeError, AttributeError):
            return


class PlannedAnswers(RememberedAnswers):
    """The answers of requests that are planned, besides those that the log has."""

    __slots__ = ("_contents", "_planned", "_stored")

    def __init__(self, stored: SharedAnswers) -> None:
        super().__init__()
        self._stored = stored
        self._planned = RememberedAnswers()
        self._contents: dict[str, dict[str, Any]] = {}

    def begin_proposal(self) -> None:
        """Forget what was planned."""
        self._planned = RememberedAnswers()

    def begin_request(self) -> None:
        """Record the notes of the next request."""
        self._contents = {}

    def notes(self, count: int) -> list[Op]:
        """Return the notes of the present request, which come after so many ops of its group."""
        return [
            Op(
                OpKind.NOTE,
                key=name,
                value=orjson.dumps({**content, "count": count}),
                ttl_ms=ANSWER_MS_MAX,
                is_conditional=True,
            )
            for name, content in self._contents.items()
        ]

    @property
    def has_notes(self) -> bool:
        """Whether the present request is to be remembered."""
        return bool(self._contents)

    def find(self, answer_id: AnswerId, request: bytes, now: int) -> KnownAnswer | None:
        """Like `RememberedAnswers.find`, with what was planned."""
        planned = self._planned.find(answer_id, request, now)
        return self._stored.find(answer_id, request, now) if planned is None else planned

    def remember(
        self,
        answer_id: AnswerId,
        request: bytes,
        data: dict[str, Any],
        revision: int,
        now: int,
        owner: str | None = None,
    ) -> None:
        """Plan to remember an answer."""
        self._planned.remember(answer_id, request, data, revision, now, owner)
        self._contents[name_of(answer_id)] = {
            "request": base64.b64encode(request).decode(),
            "data": data,
            "owner": owner,
        }


def name_of(answer_id: AnswerId) -> str:
    """Return the name of the note of an answer: neither scope nor key is to be read in it."""
    scope, key = answer_id
    digest = hashlib.blake2b(scope + b"\0" + key.encode(), digest_size=16)
    return PREFIX + digest.hexdigest()


def _put_revisions(data: dict[str, Any], shift: int) -> None:
    """Replace planned revisions by those of the log, wherever an answer has them.

    The ops of a group have consecutive places in the log. The one that a plan begins at stands for
    the place before them: an answer has it if nothing was changed.
    """
    parts = [data, data.get("data"), *(data.get("results") or ())]
    for part in parts:
        if isinstance(part, dict) and part.get("rev", 0) >= PLANNED_REVISION:
            part["rev"] += shift
    tag = data.get("tag")
    found = _TAG.search(tag) if isinstance(tag, str) else None
    if found is not None and int(found[1]) >= PLANNED_REVISION:
        data["tag"] = f'{data["tag"][: found.start()]}-{int(found[1]) + shift}"'
