"""The requests for one key at ``/kv/{key}``, for transactions and history, without HTTP itself.

Every function takes the parts of a request and returns the parts of the answer; ``now`` is in Unix
ms. It raises `ClientError`. What changes something is an operation, as over the WebSocket
(`dunena.dialects.operations`); a request may be carried out twice.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from dunena.dialects import operations
from dunena.dialects.dialect import Message
from dunena.dialects.errors import (
    ClientError,
    ConflictError,
    ForbiddenError,
    InvalidFieldError,
    InvalidMessageError,
    NoPathError,
    TooLargeError,
)
from dunena.dialects.formats import Table, changes_by_itself, csv_head, csv_lines, text_of
from dunena.dialects.http_api import Query, body_object, whole_number
from dunena.dialects.ops.draft import Costs
from dunena.dialects.ops.pointer import NothingThereError, Pointer, parse_pointer, value_at
from dunena.dialects.preconditions import (
    NO_PRECONDITIONS,
    PreconditionError,
    Preconditions,
    Verdict,
)
from dunena.dialects.services import Services, namespace_of, unicode_name
from dunena.store.entry import Entry
from dunena.store.limits import LISTED_BYTES_MAX, PARTIAL_BYTES_MAX
from dunena.store.values import InvalidJsonError, JsonValue, decode, without_mark

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
CSV = "text/csv; charset=utf-8; header=present"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
PATCHES = (MERGE_PATCH, JSON, JSON_PATCH)

_FORMATS = ("json", "text", "rows", "csv")
_UTF_8 = ("utf-8", "utf8", "us-ascii")


class KvAnswer(NamedTuple):
    """The parts of an answer; ``tag`` is its entity tag, "" for none, as is ``content_type``."""

    status: int
    body: bytes = b""
    tag: str = ""
    content_type: str = ""


class MissingKeyError(ClientError):
    """There is no such key."""

    status = 404
    code = "no_key"

    def __init__(self, key: str) -> None:
        super().__init__("Key not found", key=key)


class LengthRequiredError(ClientError):
    """The request has no body, not even an empty one."""

    status = 411

    def __init__(self) -> None:
        super().__init__("Length Required")


class UnsupportedTypeError(ClientError):
    """The body is of a type that the request cannot have."""

    status = 415


class UnsupportedPatchError(UnsupportedTypeError):
    """The body of a PATCH is no patch; the header says what one is (RFC 5789, 2.2)."""

    def __init__(self) -> None:
        super().__init__(f"Content-Type must be one of: {', '.join(PATCHES)}")
        self.headers = {"Accept-Patch": ", ".join(PATCHES)}


@dataclass(frozen=True, slots=True)
class KvRequest:
    """The parts of a request. ``body`` is None if it has none, and ``content_type`` "".

    ``conditions_text`` are the headers that ``conditions`` were read from.
    """

    method: str
    key: str
    query: Query
    conditions: Preconditions = NO_PRECONDITIONS
    conditions_text: tuple[str | None, str | None] = (None, None)
    body: bytes | None = None
    content_type: str = ""
    idempotency_key: str | None = None


class _Place(NamedTuple):
    """A key and a path in it."""

    ns: str
    key: str
    path: str
    pointer: Pointer


class _Done(NamedTuple):
    """What came of an operation.

    ``is_new``: nothing was there before. ``tag`` is that of the key now, and ``part`` what is at
    the path, None for nothing.
    """

    data: operations.Data
    is_new: bool
    tag: str
    part: Any


# --- reading ---


def read(services: Services, request: KvRequest, now: int) -> KvAnswer:
    """KvAnswer ``GET /kv/{key}`` with the value, or the part at ``path``, in a ``format``."""
    place = _place_of(request.key, request.query)
    shown_as = request.query.get("format") or "json"
    if shown_as not in _FORMATS:
        raise InvalidFieldError(f"format must be one of: {', '.join(_FORMATS)}")
    entry = services.store.get(place.ns, place.key, now)
    if entry is None:
        raise MissingKeyError(place.key)
    part = _part_of(entry, place.pointer)
    if part is None:
        raise _no_path(place)
    # A running timer is shown otherwise a second later, without a new revision.
    tag = tag_of(services, entry)
    if shown_as != "json" and changes_by_itself(part):
        tag = ""
    outcome = request.conditions.evaluate(tag or None, exists=True, is_read=True)
    if outcome is Verdict.FAILED:
        raise ConflictError(place.key, entry.revision)
    if outcome is Verdict.NOT_MODIFIED:
        return KvAnswer(304, tag=tag)
    body, content_type = _shown(part, shown_as, now)
    return KvAnswer(200, body, tag, content_type)


def history(services: Services, request: KvRequest, now: int) -> KvAnswer:
    """KvAnswer ``GET /history/{key}`` with the values of a key, the newest first."""
    query = request.query
    message: Message = {"key": request.key, "ns": query.get("ns")}
    if query.get("limit"):
        message["limit"] = whole_number(query, "limit", 0)
    body = orjson.dumps(operations.answer_history(services, message, unicode_name, now))
    return hashed_answer(request.conditions, body, JSON)


def hashed_answer(conditions: Preconditions, body: bytes, content_type: str) -> KvAnswer:
    """KvAnswer with a body whose entity tag is a hash of it, if the conditions permit it."""
    tag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
    outcome = conditions.evaluate(tag, exists=True, is_read=True)
    if outcome is Verdict.FAILED:
        raise PreconditionError
    if outcome is Verdict.NOT_MODIFIED:
        return KvAnswer(304, tag=tag)
    return KvAnswer(200, body, tag, content_type)


def tag_of(services: Services, entry: Entry) -> str:
    """Return the entity tag of a key: after a start all are others, as is the epoch."""
    return f'"{services.epoch}-{entry.revision}"'


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
    table = Table(LISTED_BYTES_MAX)
    table.add(orjson.loads(part), now)
    if shown_as == "rows":
        return orjson.dumps(table.rows), JSON
    table.check_csv_size()
    columns = list(table.columns)
    return csv_head(columns) + csv_lines(columns, table.rows), CSV


# --- writing ---


def put(services: Services, request: KvRequest, now: int) -> KvAnswer:
    """KvAnswer ``PUT /kv/{key}``: 201 if there was nothing, else 204."""
    message = _fields_of_query(request) | {"value": _value_of_body(request)}
    done = _carry_out(services, request, "set", message, now)
    return KvAnswer(201 if done.is_new else 204, tag=done.tag)


def patch(services: Services, request: KvRequest, now: int) -> KvAnswer:
    """KvAnswer ``PATCH /kv/{key}`` with the new value; 204 if the token may not read it."""
    if request.body is None:
        raise LengthRequiredError
    media_type = _media_type_of(request)
    if media_type not in PATCHES:
        raise UnsupportedPatchError
    value, message = _json_of(request.body), _fields_of_query(request)
    if media_type == JSON_PATCH:
        done = _carry_out(services, request, "patch", message | {"patch": value}, now)
    else:
        done = _carry_out(services, request, "merge", message | {"value": value}, now)
    if done.part is None:
        return KvAnswer(204, tag=done.tag)
    return KvAnswer(200, orjson.dumps(done.part), done.tag, JSON)


def post(services: Services, request: KvRequest, now: int) -> KvAnswer:
    """KvAnswer ``POST /kv/{key}``, whose body is an operation, with what the operation answers.

    A field of the body overrides one of the query.
    """
    if request.body is None:
        raise LengthRequiredError
    message = _fields_of_query(request) | body_object(request.body)
    if "op" not in message:
        raise InvalidMessageError.missing("op")
    if message["key"] != request.key:
        raise InvalidFieldError("key must be that of the path, or left out")
    name = message.pop("op")
    done = _carry_out(services, request, name, message, now)
    return KvAnswer(200, orjson.dumps(done.data), done.tag, JSON)


def delete(services: Services, request: KvRequest, now: int) -> KvAnswer:
    """KvAnswer ``DELETE /kv/{key}`` with 204."""
    message = _fields_of_query(request, "ns", "path", "durable")
    done = _carry_out(services, request, "delete", message, now)
    return KvAnswer(204, tag=done.tag)


def transact(services: Services, request: KvRequest, now: int) -> KvAnswer:
    """KvAnswer ``POST /txn`` with the results of its ``ops``, all of which are done or none."""
    if request.body is None:
        raise LengthRequiredError
    # There is nothing at this path that could have a tag.
    if request.conditions.evaluate(None, exists=False, is_read=False) is Verdict.FAILED:
        raise PreconditionError
    message = _fields_of_query(request, "ns", "durable") | body_object(request.body)
    data = operations.answer_transaction(services, message, unicode_name, now)
    return KvAnswer(200, orjson.dumps(data), content_type=JSON)


def _carry_out(
    services: Services, request: KvRequest, name: Any, message: Message, now: int
) -> _Done:
    """Carry out an operation if the conditions permit it; raise `ClientError` if not."""
    place = _place_of(request.key, message)

    def answer() -> operations.Data:
        may_read = services.store.may_read(place.ns, place.key)
        existed = _check_conditions(services, request, place, now)
        is_removal = name in ("delete", "del")
        data = operations.operate(services, message, name, unicode_name, now)
        if is_removal and request.method == "DELETE" and not data["deleted"]:
            raise MissingKeyError(place.key)  # who may not read the key learns no more
        entry = services.unrestricted_store.peek(place.ns, place.key, now)
        has_tag = entry is not None and may_read
        shows_part = has_tag and request.method == "PATCH"
        part = _part_of(entry, place.pointer) if entry is not None and shows_part else None
        return {
            "data": data,
            "isNew": not existed,
            "tag": tag_of(services, entry) if entry is not None and may_read else "",
            "part": None if part is None else [orjson.Fragment(part)],
        }

    # The method and the conditions are part of what must be the same if it comes again.
    identity = {**message, "request": [request.method, name, *request.conditions_text]}
    done = operations.answer_once(services, identity, now, answer)
    part = done["part"]
    data = done["data"] | ({"duplicate": True} if done.get("duplicate") else {})
    return _Done(data, done["isNew"], done["tag"], None if part is None else part[0])


def _check_conditions(services: Services, request: KvRequest, place: _Place, now: int) -> bool:
    """Return whether something is at a place; raise `ClientError` if a condition is not met.

    A DELETE of nothing is answered with 404 whatever its conditions (RFC 9110, 13.2.1). For who may
    not read the key, something is always there.
    """
    ns, key = place.ns, place.key
    services.store.check_outcome({(ns, key): None})  # the right to write comes first
    if not services.store.may_read(ns, key):
        if request.conditions.are_given:
            raise ForbiddenError.to("read", ns, key)
        return True
    entry = services.unrestricted_store.peek(ns, key, now)
    exists = entry is not None and _part_of(entry, place.pointer) is not None
    if not exists and request.method == "DELETE":
        raise MissingKeyError(key) if entry is None else _no_path(place)
    tag = None if entry is None else tag_of(services, entry)
    if request.conditions.evaluate(tag, exists=exists, is_read=False) is Verdict.FAILED:
        raise ConflictError(key, operations.revision_of(entry))
    return exists


# --- the parts of a request ---


def _place_of(key: str, fields: Message) -> _Place:
    path = fields.get("path")
    pointer = () if path is None else parse_pointer(path)
    ns = namespace_of(fields, unicode_name)
    return _Place(ns, unicode_name(key, "Key"), path or "", pointer)


def _fields_of_query(request: KvRequest, *names: str) -> Message:
    """Return the fields of an operation that a query has, those with ``names`` or all."""
    query = request.query
    fields: Message = {"key": request.key}
    for name in ("ns", "path"):
        if query.get(name) and name in (names or (name,)):
            fields[name] = query[name]
    if query.get("ttl") and not names:
        fields["ttl"] = whole_number(query, "ttl", 0)
    if query.get("then") and not names:
        try:
            fields["then"] = decode(query["then"].encode())
        except InvalidJsonError:
            raise InvalidFieldError("then must be JSON") from None
    if query.get("durable"):
        if query["durable"] not in ("true", "false"):
            raise InvalidFieldError("durable must be true or false")
        fields["durable"] = query["durable"] == "true"
    if request.idempotency_key is not None:
        fields["idempotencyKey"] = request.idempotency_key
    return fields


def _value_of_body(request: KvRequest) -> JsonValue:
    """Return the value that a body is: a text if it is text/plain, else JSON of any type.

    curl sends ``-d`` as a form, so the type says nothing else.
    """
    if request.body is None:
        raise LengthRequiredError
    if _media_type_of(request) != "text/plain":
        return _json_of(request.body)
    charset = _charset_of(request.content_type)
    if charset not in _UTF_8:
        raise UnsupportedTypeError("Charset must be UTF-8")
    try:
        return without_mark(request.body).decode()
    except UnicodeDecodeError:
        raise InvalidFieldError("Body is not UTF-8") from None


def _media_type_of(request: KvRequest) -> str:
    return request.content_type.partition(";")[0].strip().lower()


def _charset_of(content_type: str) -> str:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower()
    return "utf-8"


def _json_of(body: bytes) -> JsonValue:
    try:
        return decode(without_mark(body))
    except InvalidJsonError:
        raise InvalidMessageError.body_not_json() from None


def _part_of(entry: Entry, pointer: Pointer) -> bytes | None:
    """Return what is at a path of a value, as JSON; None for nothing.

    Raise `TooLargeError` for a value that is too large to be decoded for that.
    """
    if not pointer:
        return entry.value
    Costs().add_decoded(entry.value)
    try:
        return orjson.dumps(value_at(orjson.loads(entry.value), pointer))
    except NothingThereError:
        return None


def _no_path(place: _Place) -> NoPathError:
    error = NoPathError(place.path, place.key)
    error.status = 404  # of what was asked for; in a write it is a conflict
    return error
