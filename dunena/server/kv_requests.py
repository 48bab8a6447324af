"""HTTP around the requests for keys: headers into conditions, and answers into responses.

It is imported with the first such request: a start does not need it.
"""

from collections.abc import Callable

from dunena.dialects import kv
from dunena.dialects.kv import KvAnswer, KvRequest
from dunena.dialects.preconditions import parse_preconditions
from dunena.dialects.services import Services
from dunena.server.http.message import Request, Response, decode_component

KvFunction = Callable[[Services, KvRequest, int], KvAnswer]
"""A function of `dunena.dialects.kv`."""

_FUNCTIONS: dict[tuple[str, str], KvFunction] = {
    ("/kv/", "GET"): kv.read,
    ("/kv/", "HEAD"): kv.read,
    ("/kv/", "PUT"): kv.put,
    ("/kv/", "PATCH"): kv.patch,
    ("/kv/", "POST"): kv.post,
    ("/kv/", "DELETE"): kv.delete,
    ("/history/", "GET"): kv.history,
    ("/history/", "HEAD"): kv.history,
    ("/txn", "POST"): kv.transact,
}


def respond(services: Services, prefix: str, request: Request, now: int) -> Response:
    """KvAnswer a request for a path that begins with ``prefix``, after which a key may follow."""
    answer = _FUNCTIONS[prefix, request.method](services, read_request(request, prefix), now)
    return as_response(answer)


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
