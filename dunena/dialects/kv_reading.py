"""Reading at ``/kv/{key}`` and ``/history/{key}``: what is there, in a format, if it is new."""

import hashlib

import orjson

from dunena.dialects import operations
from dunena.dialects.dialect import Message
from dunena.dialects.errors import ConflictError, InvalidFieldError, TooLargeError
from dunena.dialects.formats import ValueTable, changes_by_itself, csv_head, csv_lines, text_of
from dunena.dialects.http_api import whole_number
from dunena.dialects.kv_request import (
    JSON,
    KvAnswer,
    KvRequest,
    MissingKeyError,
    no_path,
    part_of,
    place_of,
    tag_of,
)
from dunena.dialects.preconditions import PreconditionError, Preconditions, Verdict
from dunena.dialects.services import Services, unicode_name
from dunena.store.limits import LISTED_BYTES_MAX, PARTIAL_BYTES_MAX

TEXT = "text/plain; charset=utf-8"
CSV = "text/csv; charset=utf-8; header=present"

_FORMATS = ("json", "text", "rows", "csv")


def read(services: Services, request: KvRequest, now: int, *, is_awaited: bool = False) -> KvAnswer:
    """Answer ``GET /kv/{key}`` with the value, or the part at ``path``, in a ``format``.

    With ``is_awaited`` the conditions are about the revision alone, whatever it is shown as.
    """
    place = place_of(request.key, request.query)
    shown_as = request.query.get("format") or "json"
    if shown_as not in _FORMATS:
        raise InvalidFieldError(f"format must be one of: {', '.join(_FORMATS)}")
    entry = services.store.get(place.ns, place.key, now)
    if entry is None:
        raise MissingKeyError(place.key)
    part = part_of(entry, place.pointer)
    if part is None:
        raise no_path(place)
    # A running timer is shown otherwise a second later, without a new revision.
    tag = tag_of(services, entry)
    if shown_as != "json" and not is_awaited and changes_by_itself(part):
        tag = ""
    outcome = request.conditions.evaluate(tag or None, exists=True, is_read=True)
    if outcome is Verdict.FAILED:
        raise ConflictError(place.key, entry.revision)
    if outcome is Verdict.NOT_MODIFIED:
        return KvAnswer(304, tag=tag)
    body, content_type = _shown(part, shown_as, now)
    return KvAnswer(200, body, tag, content_type)


def history(services: Services, request: KvRequest, now: int) -> KvAnswer:
    """Answer ``GET /history/{key}`` with the values of a key, the newest first."""
    query = request.query
    message: Message = {"key": request.key, "ns": query.get("ns")}
    if query.get("limit"):
        message["limit"] = whole_number(query, "limit", 0)
    body = orjson.dumps(operations.answer_history(services, message, unicode_name, now))
    return hashed_answer(request.conditions, body, JSON)


def hashed_answer(conditions: Preconditions, body: bytes, content_type: str) -> KvAnswer:
    """Answer with a body whose entity tag is a hash of it, if the conditions permit it."""
    tag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    outcome = conditions.evaluate(tag, exists=True, is_read=True)
    if outcome is Verdict.FAILED:
        raise PreconditionError
    if outcome is Verdict.NOT_MODIFIED:
        return KvAnswer(304, tag=tag)
    return KvAnswer(200, body, tag, content_type)


def check_rows_size(encoded: bytes) -> None:
    """Raise `TooLargeError` for a value that is too large to be decoded for its rows."""
    if len(encoded) > PARTIAL_BYTES_MAX:
        raise TooLargeError(f"Value exceeds max size for rows ({PARTIAL_BYTES_MAX} bytes)")


def _shown(part: bytes, shown_as: str, now: int) -> tuple[bytes, str]:
    """Return a value (JSON) in a format, and its media type."""
    if shown_as == "json":
        return part, JSON
    if shown_as == "text":
        return text_of(part, now).encode(), TEXT
    check_rows_size(part)
    table = ValueTable(LISTED_BYTES_MAX)
    table.add(orjson.loads(part), now)
    if shown_as == "rows":
        return orjson.dumps(table.rows), JSON
    table.check_csv_size()
    columns = list(table.columns)
    return csv_head(columns) + csv_lines(columns, table.rows), CSV
