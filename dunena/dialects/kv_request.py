"""The parts of requests for keys and of their answers, without HTTP itself."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from dunena.dialects.dialect import Message
from dunena.dialects.errors import ClientError, InvalidFieldError, InvalidMessageError, NoPathError
from dunena.dialects.http_api import Query, whole_number
from dunena.dialects.ops.draft import Costs
from dunena.dialects.ops.pointer import NothingThereError, Pointer, parse_pointer, value_at
from dunena.dialects.preconditions import NO_PRECONDITIONS, Preconditions
from dunena.dialects.services import Services, namespace_of, unicode_name
from dunena.store.entry import Entry
from dunena.store.values import InvalidJsonError, JsonValue, decode, without_mark

JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
PATCHES = (MERGE_PATCH, JSON, JSON_PATCH)

QUERY_FIELDS = ("ns", "path", "ttl", "then", "durable")
"""Fields of an operation that may stand in the query."""

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


class Place(NamedTuple):
    """A key and a path in it."""

    ns: str
    key: str
    path: str
    pointer: Pointer


def tag_of(services: Services, entry: Entry) -> str:
    """Return the entity tag of a key: after a start all are others, as is the epoch."""
    return f'"{services.epoch}-{entry.revision}"'


def place_of(key: str, fields: Message) -> Place:
    """Return the place that a key and the fields ``ns`` and ``path`` name."""
    path = fields.get("path")
    pointer = () if path is None else parse_pointer(path)
    ns = namespace_of(fields, unicode_name)
    return Place(ns, unicode_name(key, "Key"), path or "", pointer)


def fields_of_query(request: KvRequest, names: Collection[str] = QUERY_FIELDS) -> Message:
    """Return the key and the other fields of an operation that a query has, if ``names`` has them.

    An idempotency key is in the header.
    """
    given = {name: request.query[name] for name in names if request.query.get(name)}
    fields: Message = {"key": request.key, **given}
    if "ttl" in given:
        fields["ttl"] = whole_number(given, "ttl", 0, "milliseconds")
    if "then" in given:
        try:
            fields["then"] = decode(given["then"].encode())
        except InvalidJsonError:
            raise InvalidFieldError("then must be JSON") from None
    if "durable" in given:
        if given["durable"] not in ("true", "false"):
            raise InvalidFieldError("durable must be true or false")
        fields["durable"] = given["durable"] == "true"
    if request.idempotency_key is not None:
        fields["idempotencyKey"] = request.idempotency_key
    return fields


def value_of_body(body: bytes | None, content_type: str) -> JsonValue:
    """Return the value that a body is: a text if it is text/plain, else JSON of any type.

    curl sends ``-d`` as a form, so the type says nothing else. Raise `ClientError` for a body that
    is neither, or is missing (None).
    """
    if body is None:
        raise LengthRequiredError
    if media_type_of(content_type) != "text/plain":
        return json_of(body)
    charset = _charset_of(content_type)
    if charset not in _UTF_8:
        raise UnsupportedTypeError("Charset must be UTF-8")
    try:
        return without_mark(body).decode()
    except UnicodeDecodeError:
        raise InvalidFieldError("Body is not UTF-8") from None


def media_type_of(content_type: str) -> str:
    """Return the type of a body in lower case, without parameters."""
    return content_type.partition(";")[0].strip().lower()


def _charset_of(content_type: str) -> str:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower()
    return "utf-8"


def json_of(body: bytes) -> JsonValue:
    """Decode a body; raise `InvalidMessageError` for what cannot be kept exactly."""
    try:
        return decode(without_mark(body))
    except InvalidJsonError as error:
        hint = "a text is sent in quotes, or as text/plain"
        raise InvalidMessageError(f"Invalid JSON body: {error}; {hint}") from None


def operation_of(body: bytes) -> Message:
    """Decode a body that is an operation; raise `InvalidMessageError` for anything else."""
    message = json_of(body)
    if not isinstance(message, dict) or "op" not in message:
        raise InvalidMessageError('Body must be an object with "op"; PUT stores a value')
    return message


def part_of(entry: Entry, pointer: Pointer) -> bytes | None:
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


def no_path(place: Place) -> NoPathError:
    """Make the error for a place of a key at which nothing is."""
    error = NoPathError(place.path, place.key)
    error.status = 404  # of what was asked for; in a write it is a conflict
    return error
