"""HTTP around the requests for keys: headers into conditions, and answers into responses.

It is imported with the first such request: a start does not need it.
"""

from collections.abc import Callable
from functools import partial

from dunena.dialects import kv_reading, kv_writing
from dunena.dialects.errors import ClientError
from dunena.dialects.key_search import Work
from dunena.dialects.kv_list import LateAnswer, ValueList
from dunena.dialects.kv_request import KvAnswer, KvRequest
from dunena.dialects.preconditions import parse_preconditions
from dunena.dialects.services import Services
from dunena.dialects.value_wait import ValueWait
from dunena.server.http.message import Request, Response, decode_component

KvFunction = Callable[[Services, KvRequest, int], KvAnswer]
"""A function of `dunena.dialects.kv_reading` or `kv_writing`."""

_FUNCTIONS: dict[tuple[str, str], KvFunction] = {
    ("/kv/", "GET"): kv_reading.read,
    ("/kv/", "HEAD"): kv_reading.read,
    ("/kv/", "PUT"): kv_writing.put,
    ("/kv/", "PATCH"): kv_writing.patch,
    ("/kv/", "POST"): kv_writing.post,
    ("/kv/", "DELETE"): kv_writing.delete,
    ("/history/", "GET"): kv_reading.history,
    ("/history/", "HEAD"): kv_reading.history,
    ("/txn", "POST"): kv_writing.transact,
}


def respond(services: Services, prefix: str, request: Request, now: int) -> Response:
    """Answer a request for a path that begins with ``prefix``, after which a key may follow."""
    parts = read_request(request, prefix)
    if parts.query.get("wait") and (prefix, request.method) == ("/kv/", "GET"):
        return Response(200, follows=ValueWait(parts))
    return as_response(_FUNCTIONS[prefix, request.method](services, parts, now))


def list_values(services: Services, request: Request) -> Work[Callable[[int], Response]]:
    """Answer ``GET /kv``, in portions. Raise `ClientError` or `BadTargetError` for a wrong request.

    Limits may be exceeded when the answer is no longer that of a call: then it is the error.
    """
    parts = read_request(request, "/kv")
    return _listing(services, ValueList(services, parts.query, parts.conditions))


def _listing(services: Services, values: ValueList) -> Work[Callable[[int], Response]]:
    try:
        late = yield from values.work()
    except ClientError as error:
        refusal = error
        return lambda _now: _refuse(services, refusal)
    return partial(_answer_late, services, late)


def _answer_late(services: Services, late: LateAnswer, now: int) -> Response:
    try:
        return as_response(late(now))
    except ClientError as error:
        return _refuse(services, error)


def _refuse(services: Services, error: ClientError) -> Response:
    services.stats.count(error)
    return Response.refusal(error, has_fields=True)


def read_request(request: Request, prefix: str) -> KvRequest:
    """Return the parts of a request; raise `ClientError` or `BadTargetError` for wrong ones."""
    headers = request.headers
    conditions_text = headers.get("if-match"), headers.get("if-none-match")
    return KvRequest(
        request.method,
        decode_component(request.path.removeprefix(prefix)),
        request.query(),
        parse_preconditions(*conditions_text),
        conditions_text,
        request.body if request.has_body else None,
        headers.get("content-type", ""),
        headers.get("idempotency-key"),
    )


def as_response(answer: KvAnswer) -> Response:
    """Make the response of an answer."""
    headers = {"ETag": answer.tag} if answer.tag else {}
    return Response(answer.status, answer.body, answer.content_type, headers)
