"""Writing at ``/kv/{key}`` and ``/txn``: each request is one operation or several.

They are the operations of the WebSocket (`dunena.dialects.operations`). Every function takes the
parts of a request and Unix ms, and returns the parts of the answer; it raises `ClientError`. A
request may be carried out twice.
"""

from typing import Any, NamedTuple

import orjson

from dunena.dialects import operations
from dunena.dialects.dialect import Message
from dunena.dialects.errors import (
    ConflictError,
    ForbiddenError,
    InvalidFieldError,
)
from dunena.dialects.http_api import body_object
from dunena.dialects.kv_request import (
    JSON,
    JSON_PATCH,
    PATCHES,
    KvAnswer,
    KvRequest,
    LengthRequiredError,
    MissingKeyError,
    Place,
    UnsupportedPatchError,
    fields_of_query,
    json_of,
    media_type_of,
    no_path,
    operation_of,
    part_of,
    place_of,
    tag_of,
    value_of_body,
)
from dunena.dialects.ops.operation import check_fields
from dunena.dialects.preconditions import PreconditionError, Verdict
from dunena.dialects.services import Services, unicode_name


class _Done(NamedTuple):
    """What came of an operation.

    ``is_new``: nothing was there before. ``tag`` is that of the key now, and ``part`` what is at
    the path, None for nothing.
    """

    data: operations.Data
    is_new: bool
    tag: str
    part: Any


def put(services: Services, request: KvRequest, now: int) -> KvAnswer:
    """Answer ``PUT /kv/{key}``: 201 if there was nothing, else 204."""
    value = value_of_body(request.body, request.content_type)
    message = fields_of_query(request) | {"value": value}
    done = _carry_out(services, request, "set", message, now)
    return KvAnswer(201 if done.is_new else 204, tag=done.tag)


def patch(services: Services, request: KvRequest, now: int) -> KvAnswer:
    """Answer ``PATCH /kv/{key}`` with the new value; 204 if the token may not read it."""
    if request.body is None:
        raise LengthRequiredError
    media_type = media_type_of(request.content_type)
    if media_type not in PATCHES:
        raise UnsupportedPatchError
    value, message = json_of(request.body), fields_of_query(request)
    if media_type == JSON_PATCH:
        done = _carry_out(services, request, "patch", message | {"patch": value}, now)
    else:
        done = _carry_out(services, request, "merge", message | {"value": value}, now)
    if done.part is None:
        return KvAnswer(204, tag=done.tag)
    return KvAnswer(200, orjson.dumps(done.part), done.tag, JSON)


def post(services: Services, request: KvRequest, now: int) -> KvAnswer:
    """Answer ``POST /kv/{key}``, whose body is an operation, with what the operation answers.

    A field of the body overrides one of the query.
    """
    if request.body is None:
        raise LengthRequiredError
    operation = operation_of(request.body)
    check_fields(operation, operation["op"])
    message = fields_of_query(request) | operation
    if message["key"] != request.key:
        raise InvalidFieldError("key must be that of the path, or left out")
    name = message.pop("op")
    done = _carry_out(services, request, name, message, now)
    return KvAnswer(200, orjson.dumps(done.data), done.tag, JSON)


def delete(services: Services, request: KvRequest, now: int) -> KvAnswer:
    """Answer ``DELETE /kv/{key}`` with 204."""
    message = fields_of_query(request, ("ns", "path", "durable"))
    done = _carry_out(services, request, "delete", message, now)
    return KvAnswer(204, tag=done.tag)


def transact(services: Services, request: KvRequest, now: int) -> KvAnswer:
    """Answer ``POST /txn`` with the results of its ``ops``, all of which are done or none."""
    if request.body is None:
        raise LengthRequiredError
    # There is nothing at this path that could have a tag.
    if request.conditions.evaluate(None, exists=False, is_read=False) is Verdict.FAILED:
        raise PreconditionError
    message = fields_of_query(request, ("ns", "durable"))
    del message["key"]  # it has none
    message |= body_object(request.body)
    data = operations.answer_transaction(services, message, unicode_name, now)
    return KvAnswer(200, orjson.dumps(data), content_type=JSON)


def _carry_out(
    services: Services, request: KvRequest, name: Any, message: Message, now: int
) -> _Done:
    """Carry out an operation if the conditions permit it; raise `ClientError` if not."""
    place = place_of(request.key, message)
    now = services.unrestricted_store.time_of_request(now)

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
        part = part_of(entry, place.pointer) if entry is not None and shows_part else None
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


def _check_conditions(services: Services, request: KvRequest, place: Place, now: int) -> bool:
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
    exists = entry is not None and part_of(entry, place.pointer) is not None
    if not exists and request.method == "DELETE":
        raise MissingKeyError(key) if entry is None else no_path(place)
    tag = None if entry is None else tag_of(services, entry)
    if request.conditions.evaluate(tag, exists=exists, is_read=False) is Verdict.FAILED:
        raise ConflictError(key, operations.revision_of(entry))
    return exists
