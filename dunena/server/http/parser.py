"""Parsing bytes to HTTP requests by httptools, with the checks it leaves to its caller; no I/O.

httptools does not limit the size of a head (for an endless line it calls no callback), the number
of headers and the size of a body. It reports trailers as headers, and takes the body of a request
that offers an upgrade for the next request.
"""

import logging
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import httptools

from dunena.server.http.known_heads import KnownHeads
from dunena.server.http.message import Request, Response
from dunena.server.limits import HEAD_BYTES_MAX, HEADERS_MAX, SKIPPED_BODY_BYTES_MAX

_WHOLE_URL = re.compile(r"https?://([^/?]*)(.*)", re.IGNORECASE | re.DOTALL)

_USED_UP = httptools.HttpRequestParser(object())

_log = logging.getLogger(__name__)


class RequestParser:
    """Parses the requests of one connection.

    ``wants_body`` is called at the end of a head that announces a body. If it returns False, the
    request is complete without the body, which is skipped or ends the connection. ``fault`` is the
    answer to a request that cannot be parsed; nothing after it is parsed. ``rest`` are the bytes
    after a request to upgrade, None if there was none. ``awaits_continue``: the client waits for
    100 (Continue) before it sends its body (RFC 9110, 10.1.1). ``let_in`` is the request whose body
    is being received, or was when the fault was found. Whole requests whose header block is in
    ``heads`` are read without httptools.
    """

    __slots__ = (
        "_all_body_bytes_max",
        "_body",
        "_body_bytes_max",
        "_head_bytes",
        "_header_count",
        "_heads",
        "_is_in_head",
        "_is_last",
        "_known_body_bytes_max",
        "_length",
        "_parser",
        "_request",
        "_skipped_bytes",
        "_unended_bytes",
        "_wants_body",
        "_was_heard",
        "_whole",
        "awaits_continue",
        "fault",
        "is_in_request",
        "is_over",
        "is_skipping",
        "let_in",
        "rest",
    )

    def __init__(
        self,
        body_bytes_max: int,
        wants_body: Callable[[Request], bool] | None = None,
        heads: KnownHeads | None = None,
    ) -> None:
        self._wants_body = _wants_everything if wants_body is None else wants_body
        self._heads = KnownHeads() if heads is None else heads
        self._all_body_bytes_max = self._body_bytes_max = body_bytes_max
        self._known_body_bytes_max = min(body_bytes_max, SKIPPED_BODY_BYTES_MAX)
        self._parser: Any = httptools.HttpRequestParser(self)
        self._length = ""  # the Content-Length
        self._whole: list[Request] = []
        self._request = Request(target="")
        self._is_in_head = False
        self._head_bytes = 0
        self._header_count = 0
        self._unended_bytes = 0
        self._was_heard = False  # a callback was called for the fed bytes
        self._body = bytearray()
        self._is_last = False
        self.is_in_request = False
        self.is_skipping = False  # a body that is not wanted
        self._skipped_bytes = 0
        self.is_over = False  # such a body is too long: nothing more is parsed
        self.awaits_continue = False
        self.let_in: Request | None = None
        self.fault: Response | None = None
        self.rest: bytes | None = None

    @property
    def held_bytes(self) -> int:
        """Bytes in memory of a request that is not complete."""
        if not self.is_in_request:
            return 0
        return max(self._head_bytes, self._unended_bytes) + len(self._body)

    @property
    def is_admitted(self) -> bool:
        """Whether the body that is being received belongs to an admitted request."""
        return self._request.is_admitted

    def feed(self, data: bytes) -> list[Request]:
        """Parse received bytes; return the requests that are complete now, in their order."""
        if self.rest is not None:
            self.rest += data
            return []
        is_between = not self.is_in_request
        position = 0
        if is_between and not self._is_last and self.fault is None:
            position = self._read_known(data)
        if position < len(data):
            left: bytes | None = data[position:] if position else data
            while left is not None and self.fault is None and not self._is_last:
                left = self._read(left)
            if is_between and not position and not self.is_in_request and len(self._whole) == 1:
                self._remember(data, self._whole[0])
        whole, self._whole = self._whole, []
        return whole

    def drop(self) -> None:
        """Release all memory; nothing more will be parsed."""
        self._is_last = True
        self._parser = _USED_UP  # the former parser refers to this object
        self._wants_body = _wants_nothing  # the former function refers to the connection
        self._request = Request(target="")
        self._body = bytearray()

    def _read_known(self, data: bytes) -> int:
        """Read requests whose header blocks are known; return where the first other one begins."""
        position = 0
        while position < len(data) and self.fault is None:
            found = self._heads.find(data, position)
            if found is None or found.end - found.body_at > self._known_body_bytes_max:
                break
            head = found.head
            self.let_in = None
            request = Request(found.method, found.target, head.headers)
            request.head = head
            request.has_body = head.has_length
            position = found.end
            if position == found.body_at:
                self._whole.append(request)
            else:
                self._take_body(request, data[found.body_at : position])
        return position

    def _take_body(self, request: Request, body: bytes) -> None:
        """Complete a request by its body, unless that is not wanted or larger than permitted."""
        if self._wants_body(request):
            limit = request.body_bytes_max
            if limit is not None and len(body) > limit:
                self.let_in = request
                self._body_bytes_max = limit
                self._fail_body()
                return
            request.body = body
        self._whole.append(request)

    def _remember(self, data: bytes, request: Request) -> None:
        """Let the header block of a request that is all of ``data`` be known from now on."""
        is_usual = request.is_keep_alive and self.fault is None and self.rest is None
        if is_usual and request.target.startswith("/"):
            line = f"{request.method} {request.target} HTTP/1.1\r\n"
            if data.startswith(line.encode("latin-1")):
                request.head = self._heads.remember(data, request.headers, len(request.body))

    def _read(self, data: bytes) -> bytes | None:
        """Feed httptools; return the bytes to feed next, None if there are none."""
        is_all_one_head = self._is_in_head or not self.is_in_request
        count, self._was_heard = len(self._whole), False
        left: bytes | None = None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            left = self._stop_at_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            if not self._is_last:
                _log.debug("bad request: %s", error, exc_info=error.__context__)
                self._fail(400, "Bad request")
        # An endless line reaches no callback: its bytes are counted as they arrive.
        if self._is_in_head:
            if is_all_one_head and len(self._whole) == count:
                self._unended_bytes += len(data)
                self._check_head(self._unended_bytes)
        elif self.is_in_request and left is None:  # the same for a line between or after chunks
            self._unended_bytes = 0 if self._was_heard else self._unended_bytes + len(data)
            self._check_head(self._unended_bytes)
        return left

    def _stop_at_upgrade(self, rest: bytes) -> bytes | None:
        """Handle a head that offers an upgrade, after which httptools stops.

        Return the bytes to feed next; None if there are none, or if the upgrade is to WebSocket.
        """
        if self.fault is not None:
            return None
        request = self._whole[-1]
        if request.wants_upgrade:
            self.rest = rest
            return None
        # RFC 9110, 7.8: an unknown offer is ignored. The parser cannot continue, and has not read
        # the body: a new one parses the same request without the offer.
        self._parser = httptools.HttpRequestParser(self)
        if not request.has_body:
            return rest or None
        self._whole.pop()
        self._is_last = False
        return _without_offer(request, self._length) + rest

    # --- httptools' callbacks ---

    def on_message_begin(self) -> None:
        """Begin to gather a new request."""
        self._request = Request(target="")
        self.let_in = None
        self._head_bytes = self._unended_bytes = self._header_count = 0
        self._is_in_head = self._was_heard = True
        self.is_in_request = True
        self.is_skipping = False

    def on_url(self, part: bytes) -> None:
        """Append a part of the target."""
        self._request.target += part.decode("latin-1")
        self._head_bytes += len(part)
        self._check_head(self._head_bytes)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add one header line to the request."""
        self._was_heard = True
        self._header_count += 1
        if self._header_count > HEADERS_MAX:
            self._fail(431, "Too many headers")
        self._head_bytes += len(name) + len(value)
        self._check_head(self._head_bytes)
        if not self._is_in_head:
            return  # a trailer, which may not affect the request: RFC 9110, 6.5.1
        headers = self._request.headers
        lower, text = _lower_name(name), value.decode("latin-1")
        if lower == "host" and lower in headers:
            self._fail(400, "More than one Host header")  # RFC 9112, 3.2
        headers[lower] = f"{headers[lower]}, {text}" if lower in headers else text

    def on_headers_complete(self) -> None:
        """Check the complete head and decide on the body."""
        self._is_in_head = False
        request, parser = self._request, self._parser
        request.method = parser.get_method().decode("latin-1")
        request.is_keep_alive = parser.should_keep_alive()
        request.is_http_1_0 = parser.get_http_version() == "1.0"
        fault = _fault_of_head(request, parser.get_http_version())
        _take_host_of_target(request)
        offer = request.headers.get("upgrade", "").lower()
        request.wants_upgrade = (
            parser.should_upgrade()
            and request.method == "GET"
            and offer == "websocket"
            and not request.is_http_1_0  # RFC 9110, 7.8
        )
        length = self._length = request.headers.pop("content-length", "")
        request.has_body = bool(length) or "transfer-encoding" in request.headers
        if fault is not None:
            self._fail(*fault)
        elif request.wants_upgrade and request.has_body and length != "0":
            self._fail(400, "An upgrade cannot have a body")
        elif request.has_body and length != "0" and not parser.should_upgrade():
            self._decide_on_body(request, int(length) if length.isdigit() else None)

    def _decide_on_body(self, request: Request, length: int | None) -> None:
        """Decide by the head whether to receive the body; ``length`` is None if it is chunked."""
        is_wanted = self._wants_body(request)
        self.let_in = request if is_wanted else None
        limit = request.body_bytes_max
        self._body_bytes_max = self._all_body_bytes_max
        if limit is not None:
            self._body_bytes_max = min(limit, self._all_body_bytes_max)
        awaits_continue = request.headers.get("expect", "").lower() == "100-continue"
        if not is_wanted:
            self.is_skipping = True
            self._skipped_bytes = 0
            if awaits_continue or (length or 0) > SKIPPED_BODY_BYTES_MAX:
                # The client may or may not send the body: the next request's start is unknown.
                request.is_keep_alive = False
            self._is_last = not request.is_keep_alive
            self._whole.append(request)
        elif length is not None and length > self._body_bytes_max:
            self._fail_body()
        else:
            self.awaits_continue = awaits_continue

    def on_body(self, part: bytes) -> None:
        """Append a part of the body, or skip it."""
        self._was_heard = True
        self.awaits_continue = False
        if self.is_skipping:
            self._skipped_bytes += len(part)
            if self._skipped_bytes > SKIPPED_BODY_BYTES_MAX:
                self._is_last = self.is_over = True
        if self.is_skipping or self.fault is not None:
            return
        self._body += part
        if len(self._body) > self._body_bytes_max:
            self._body = bytearray()
            self._fail_body()

    def on_message_complete(self) -> None:
        """Add the complete request to the result of `feed`."""
        self.is_in_request = self.awaits_continue = False
        if self.is_skipping:
            self.is_skipping = False
        elif self.fault is None and not self._is_last:
            self.let_in = None
            if self._body:
                self._request.body = bytes(self._body)
                self._body = bytearray()
            self._whole.append(self._request)
            # Bytes after "Connection: close" are ignored.
            self._is_last = not (self._request.is_keep_alive or self._request.wants_upgrade)

    # --- inside ---

    def _check_head(self, size: int) -> None:
        if size > HEAD_BYTES_MAX:
            self._fail(431, "Request head too large")

    def _fail_body(self) -> None:
        self._fail(413, f"Body exceeds max size ({self._body_bytes_max} bytes)")

    def _fail(self, status: int, text: str) -> None:
        if self.fault is None:
            self.fault = Response.error(status, text)


@lru_cache(maxsize=256)
def _lower_name(name: bytes) -> str:
    """Return a header's name in lower case; cached, as clients send the same few names."""
    return name.decode("latin-1").lower()


def _fault_of_head(request: Request, version: str) -> tuple[int, str] | None:
    """Find faults that httptools accepts: return status and text of the refusal, or None."""
    coding = request.headers.get("transfer-encoding")
    if (
        version not in ("1.0", "1.1")
        or request.method == "CONNECT"  # there is no tunnel here, RFC 9110, 9.3.6
        or "#" in request.target  # not permitted in a target, RFC 9112, 3.2
        or (coding is not None and request.is_http_1_0)  # RFC 9112, 6.1
    ):
        return 400, "Bad request"
    if coding is not None and coding.lower() != "chunked":
        is_readable = coding.lower().rpartition(",")[2].strip() == "chunked"
        # RFC 9112, 6.1; 6.3 for a body whose end is unknown.
        return (501, "Transfer coding not supported") if is_readable else (400, "Bad request")
    return None


def _take_host_of_target(request: Request) -> None:
    """Split a target that is a whole URL; its host overrides the Host header (RFC 9112, 3.2.2).

    It does not replace a missing Host header (3.2).
    """
    match = _WHOLE_URL.match(request.target)
    if match and ("host" in request.headers or request.is_http_1_0):
        request.headers["host"], rest = match.groups()
        request.target = rest if rest.startswith("/") else f"/{rest}"


def _without_offer(request: Request, length: str) -> bytes:
    """Serialize a request's head without its offer to upgrade; ``length`` is "" for none."""
    headers = dict(request.headers)
    if length:
        headers["content-length"] = length
    del headers["upgrade"]
    options = headers.pop("connection", "").split(",")
    kept = [option.strip() for option in options if option.strip().lower() != "upgrade"]
    if kept:
        headers["connection"] = ", ".join(kept)
    version = "1.0" if request.is_http_1_0 else "1.1"
    lines = [f"{request.method} {request.target} HTTP/{version}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _wants_everything(_request: Request) -> bool:
    return True


def _wants_nothing(_request: Request) -> bool:
    return False
