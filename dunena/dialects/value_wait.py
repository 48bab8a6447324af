"""Waiting at ``/kv/{key}`` until the value, or the part at a path, is another than a client has."""

import hashlib
import re
from dataclasses import replace

from dunena.dialects.errors import InvalidFieldError, NoPathError
from dunena.dialects.following import wait_seconds_of
from dunena.dialects.kv_reading import read
from dunena.dialects.kv_request import KvAnswer, KvRequest, MissingKeyError, place_of
from dunena.dialects.preconditions import NO_PRECONDITIONS, EntityTags
from dunena.dialects.services import Services
from dunena.watches.selector import Selector

_TAG = re.compile(r"[^-\"]+-\d{1,15}", re.ASCII).fullmatch
_MISSING = "0"


class ValueWait:
    """A request that is held while its client knows what there is.

    The client says by If-None-Match or the field ``rev`` of the query what it knows; the header
    counts if both are there. ``rev`` 0 means that there was nothing. A client that says nothing is
    answered at once. Raise `ClientError` for wrong fields.
    """

    __slots__ = ("_knows_nothing", "_request", "_seen", "selector", "wait_seconds")

    def __init__(self, request: KvRequest) -> None:
        wait_seconds = wait_seconds_of(request.query["wait"])
        assert wait_seconds is not None
        self.wait_seconds = wait_seconds
        place = place_of(request.key, request.query)
        self.selector = Selector(place.ns, key=place.key, path=place.path or None)
        rev = request.query.get("rev")
        conditions = request.conditions
        if conditions.if_none_match is not None or not rev:
            rev = None
        elif rev != _MISSING:
            if not _TAG(rev):
                raise InvalidFieldError("rev must be 0 or <epoch>-<rev>")
            tags = EntityTags(is_any=False, strong=frozenset((f'"{rev}"',)))
            conditions = replace(conditions, if_none_match=tags)
        self._knows_nothing = rev == _MISSING
        self._request = replace(request, conditions=conditions)
        # Of the part at a path, while the client has it: the key's tag changes with other parts.
        self._seen: bytes | None = None

    def look(self, services: Services, now: int) -> KvAnswer | None:
        """Return the answer if there is another thing than the client knows; else None.

        Raise `ClientError`: that nothing is there is an answer too.
        """
        answer = self._answer(services, now)
        if answer.status != 304:
            return answer
        if self.selector.path is not None and answer.tag:
            self._seen = _digest_of(self._read_all(services, now))
        return None

    def end(self, services: Services, now: int) -> KvAnswer:
        """Return the answer at the end of the time: 304 for what the client knows.

        Its tag is the present one, also if the key changed outside of the path.
        """
        answer = self._answer(services, now)
        if self._seen is None or answer.status != 200:
            return answer
        if self._seen == _digest_of(self._read_all(services, now)):
            return KvAnswer(304, tag=answer.tag)
        return answer

    def _read_all(self, services: Services, now: int) -> KvAnswer:
        """Read what is there as JSON: a running timer is shown otherwise a second later."""
        query = self._request.query | {"format": "json"}
        return read(services, replace(self._request, query=query, conditions=NO_PRECONDITIONS), now)

    def _answer(self, services: Services, now: int) -> KvAnswer:
        try:
            return read(services, self._request, now, is_awaited=True)
        except (MissingKeyError, NoPathError):
            if self._knows_nothing:
                return KvAnswer(304)
            raise


def _digest_of(answer: KvAnswer) -> bytes:
    return hashlib.blake2b(answer.body, digest_size=16).digest()
