"""GET writes: `GET /do/{secret}/{op}/{key}`, for buttons that can only open an address.

A GET that changes something is what no other route has, since a web page can make a browser send
one without asking anybody: as an image, a script, a frame, a form or a link. So

- the address must have a secret, which no page knows. Not every browser can be told from a page's
  request otherwise: none sends Sec-Fetch-Site to an address that it does not trust, such as
  `http://192.168.1.5`;
- what a page of another site sends is refused even with the secret, wherever the browser says so;
- what is sent before a person asks for it (HEAD, OPTIONS, a prefetch) does nothing.

The secret is no token: it opens nothing else. It is never logged (`Request.shown_path`).
"""

import orjson

from dunena.dialects.errors import ClientError, ConflictError, StorageFailedError
from dunena.dialects.get_writes import answer_get_write
from dunena.dialects.message_stats import MessageStats
from dunena.dialects.views import Views
from dunena.server.access.admission import Admission
from dunena.server.http.message import (
    GET_WRITES_PREFIX,
    TEXT,
    BadTargetError,
    Request,
    Response,
    decode_component,
)
from dunena.store.errors import WriteRefusedError

_METHODS = "GET, OPTIONS"

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # a link in a value must not pass the address on
    "Cross-Origin-Resource-Policy": "same-origin",
}

_PREFETCH_HEADERS = ("sec-purpose", "purpose", "x-purpose", "x-moz")
"""Headers by which a browser says that nobody has asked for the page yet."""

_PREFETCHES = ("prefetch", "prerender", "preview", "instant")


class GetWrites:
    """Answers the requests of one server below `/do/`; each of its answers is text."""

    def __init__(self, views: Views, admission: Admission, stats: MessageStats) -> None:
        self._views = views
        self._admission = admission
        self._stats = stats

    def respond(self, request: Request, now: int) -> Response:
        """Carry out the operation of an address, or refuse it; ``now`` is Unix ms."""
        response = self._refusal(request)
        if response is None:
            response = self._carry_out(request, now)
        response.headers = _HEADERS | response.headers
        return response

    def _refusal(self, request: Request) -> Response | None:
        """Return the response to a request that must not do anything; None if it may go on."""
        refusal = self._admission.refusal_of_page(request)
        if refusal is not None:
            return _text(refusal.status, _reason_of(refusal))
        if request.method == "OPTIONS":
            return Response(204, headers={"Allow": _METHODS})
        if request.method != "GET":
            return _text(405, "Method not allowed: only GET does something", {"Allow": _METHODS})
        if _is_prefetch(request):
            return _text(403, "A prefetch does nothing")
        if not self._admission.has_get_secrets:
            return _text(404, "GET writes are off: --get-writes turns them on")
        return None

    def _carry_out(self, request: Request, now: int) -> Response:
        secret, *rest = request.path.removeprefix(GET_WRITES_PREFIX).split("/", 2)
        refusal = self._admission.refusal_of_get_secret(request, secret.encode("latin-1"))
        if refusal is not None:
            return _text(refusal.status, _reason_of(refusal), refusal.headers)
        if len(rest) < 2:
            return _text(404, "Not found: a GET write is /do/{secret}/{op}/{key}")
        try:
            op, key = map(decode_component, rest)
            services = self._views.of(request.grant)
            return _text(200, answer_get_write(services, op, key, request.query(), now))
        except BadTargetError:
            return _text(400, "Bad request target")
        except ClientError as error:
            self._stats.count(error)
            # Precondition Failed (RFC 9110, 13.1): what `ifRev` asked for does not hold.
            return _text(412 if isinstance(error, ConflictError) else error.status, error.text)
        except WriteRefusedError as refused:
            failed = StorageFailedError(refused.reason)
            return _text(failed.status, failed.text)


def _is_prefetch(request: Request) -> bool:
    return any(
        word in request.headers.get(name, "").lower()
        for name in _PREFETCH_HEADERS
        for word in _PREFETCHES
    )


def _reason_of(refusal: Response) -> str:
    """Return the text of a response that another part of the server has made."""
    reason: str = orjson.loads(refusal.body)["error"]
    return reason


def _text(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return Response(status, text.encode(), TEXT, dict(headers or {}))
