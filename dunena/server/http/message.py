"""Parsed HTTP requests and responses to send."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from sys import intern
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote_to_bytes

import orjson

from dunena import NAME
from dunena.dialects.errors import ClientError
from dunena.dialects.grants import NOTHING, Grant
from dunena.server.http.known_heads import KnownHead

if TYPE_CHECKING:
    from dunena.dialects.following import HttpFollowing
    from dunena.dialects.value_wait import ValueWait

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
EVENT_STREAM = "text/event-stream"

GET_WRITES_PREFIX = "/do/"
"""The path of GET writes, after which a secret stands."""

INVITE_PREFIX = "/invite/"
"""The path of invitations, after which a secret stands."""

_PROGRAM_CHARS_MAX = 300  # enough for any browser; each open connection holds this text
_PAGE_CHARS_MAX = 300  # and so does this
_ORIGIN_CHARS_MAX = 300  # the same: a host name has at most 253
_SHOWN_PATH_CHARS_MAX = 300
_NO_BODY_STATUSES = frozenset({204, 304})

CODES_BY_STATUS = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method",
    408: "timeout",
    413: "limit",
    414: "limit",
    426: "upgrade",
    429: "rate",
    431: "limit",
    500: "internal",
    503: "busy",
    507: "storage",
}
"""The codes of errors that no message can cause, by status; of all others "invalid"."""

EXISTS = "exists"
"""The code of 409 when something of that name is there already."""

NO_TOKENS = "no_tokens"
"""The same when the server has no tokens, so that nobody can be given the rights of one."""

NOT_SHARED = "not_shared"
"""The same when the server cannot be shared on the network."""

CODES_IN_CONFLICT = (EXISTS, NO_TOKENS, NOT_SHARED)


class BadTargetError(ValueError):
    """The request target cannot be decoded."""


class Request:
    """One request.

    Header names are lower-case; several lines of one name are joined by commas. They are shared
    with other requests and must not be changed; the Content-Length is not among them. ``path`` is
    as sent, still percent-encoded. ``has_body``: the head announces a body. ``address`` is the host
    of the client. ``grant`` is that of its token, once the token was checked. ``search`` is the
    work on its answer if that takes more than one turn. ``is_shared``: it came to an address at
    which the server is shared on the network (`dunena.server.sharing`). ``head`` is what is kept of
    its header block, None if that was not sent before.

    A request with a body is admitted by its head: ``is_admitted`` says that its token was right,
    ``refusal`` is the answer to send instead of another, and ``body_bytes_max`` is the limit of its
    path; None for the general limit.
    """

    __slots__ = (
        "_query",
        "address",
        "body",
        "body_bytes_max",
        "grant",
        "has_body",
        "head",
        "headers",
        "is_admitted",
        "is_http_1_0",
        "is_keep_alive",
        "is_shared",
        "method",
        "refusal",
        "search",
        "target",
        "wants_upgrade",
    )

    def __init__(
        self,
        method: str = "GET",
        target: str = "/",
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        has_body: bool = False,
        is_keep_alive: bool = True,
        is_http_1_0: bool = False,
        is_shared: bool = False,
        grant: Grant = NOTHING,
        address: str = "",
        head: KnownHead | None = None,
    ) -> None:
        self.method = method
        self.target = target
        self.headers: dict[str, str] = {} if headers is None else headers
        self.body = body
        self.has_body = has_body
        self.is_keep_alive = is_keep_alive
        self.is_http_1_0 = is_http_1_0
        self.wants_upgrade = False
        self.address = address
        self.grant = grant
        self.search: Search | None = None
        self.is_shared = is_shared
        self.head = head
        self.is_admitted = False
        self.refusal: Response | None = None
        self.body_bytes_max: int | None = None
        self._query: dict[str, list[str]] | None = None  # decoded

    @property
    def path(self) -> str:
        """The target without its query, still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def shown_path(self) -> str:
        """The path as it may be logged: short, in ASCII, without the secret that stands in it."""
        path = self.path
        for prefix in (GET_WRITES_PREFIX, INVITE_PREFIX):
            if path.startswith(prefix):
                return f"{prefix}..."
        return ascii(path[:_SHOWN_PATH_CHARS_MAX])[1:-1]

    @property
    def program(self) -> str:
        """The User-Agent, "" for none; the many clients of a show have the same, stored once."""
        return intern(self.headers.get("user-agent", "")[:_PROGRAM_CHARS_MAX])

    @property
    def origin(self) -> str:
        """The Origin, "" for none; the many pages of a show have the same, stored once."""
        return intern(self.headers.get("origin", "")[:_ORIGIN_CHARS_MAX])

    @property
    def page(self) -> str:
        """The path of the page that asks, without a slash before it; "" for none.

        The query names it, as a browser tells no page with a WebSocket; else it is the
        `referring_page`.
        """
        try:
            named = self.query().get("page")
        except BadTargetError:
            return ""
        return self.referring_page if named is None else intern(named[:_PAGE_CHARS_MAX])

    @property
    def referring_page(self) -> str:
        """The path of this server's page that the Referer names; "" for none."""
        host = self.headers.get("host", "")
        _, found, rest = self.headers.get("referer", "").partition(f"://{host}/")
        return intern(rest.partition("?")[0][:_PAGE_CHARS_MAX]) if host and found else ""

    def query(self) -> dict[str, str]:
        """Decode the query's fields; the last one counts if a field is repeated.

        Raise `BadTargetError` if one is no UTF-8.
        """
        return {name: values[-1] for name, values in self.query_lists().items()}

    def query_lists(self) -> dict[str, list[str]]:
        """Decode the query's fields; a repeated one has several values, in their order.

        Raise `BadTargetError` if one is no UTF-8.
        """
        if self._query is None:
            fields: dict[str, list[str]] = {}
            for part in self.target.partition("?")[2].split("&"):
                name, _, value = part.partition("=")
                if name:
                    values = fields.setdefault(decode_component(name, plus=True), [])
                    values.append(decode_component(value, plus=True))
            self._query = fields
        return self._query

    @property
    def with_slash(self) -> "Response":
        """A redirect to the same path with a slash at its end, on which a folder's links depend.

        The redirect is relative, as a proxy may show this server below another path. It begins with
        a dot, so that a colon in the name is not read as that of a scheme (RFC 3986, 4.2).
        """
        _, mark, query = self.target.partition("?")
        name = self.path.rpartition("/")[2]
        return Response(302, headers={"Location": f"./{name}/{mark}{query}"})

    @property
    def is_navigation(self) -> bool:
        """Whether a browser asks for a page that it shows to a person, not inside another page.

        Browsers that send no Sec-Fetch-Mode, as all do to an address of the network without TLS,
        are known by what they accept.
        """
        headers = self.headers
        return (
            self.method in ("GET", "HEAD")
            and "text/html" in headers.get("accept", "")
            and headers.get("sec-fetch-mode", "navigate") == "navigate"
            and headers.get("sec-fetch-dest", "document") == "document"
        )

    def knows(self, etag: str) -> bool:
        """Return whether If-None-Match has this tag (RFC 9110, 13.1.2, weak comparison)."""
        tags = [tag.strip() for tag in self.headers.get("if-none-match", "").split(",")]
        return tags == ["*"] or etag in [tag.removeprefix("W/") for tag in tags]


class Response:
    """One response; ``headers`` are those besides the ones that every response has.

    ``content_type`` is "" for one without a body.

    ``length`` is the length of the whole body if ``body`` is only its beginning. ``later`` is the
    work, in a worker thread or in portions, that makes the actual response; only the headers of
    this one are then used. ``follows`` is what the client follows: updates are the body of this
    response, or something that it waits for is that of another with its headers; or what holds the
    request until its change is stored. The length of a body that ``is_stream`` is not known before
    it ends.
    """

    __slots__ = (
        "body",
        "closes",
        "content_type",
        "follows",
        "headers",
        "is_stream",
        "later",
        "length",
        "status",
    )

    def __init__(
        self,
        status: int,
        body: bytes = b"",
        content_type: str = JSON,
        headers: dict[str, str] | None = None,
        closes: bool = False,
        length: int | None = None,
        later: "Callable[[], Prepared] | Cut | Search | None" = None,
        follows: "HttpFollowing | ValueWait | Parking | None" = None,
        is_stream: bool = False,
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers: dict[str, str] = {} if headers is None else headers
        self.closes = closes
        self.length = length
        self.later = later
        self.follows = follows
        self.is_stream = is_stream

    @classmethod
    def error(
        cls,
        status: int,
        text: str,
        headers: dict[str, str] | None = None,
        fields: dict[str, object] | None = None,
    ) -> "Response":
        """Make a response with the body `{"error": text}` and more fields, by default a code."""
        if fields is None:
            fields = {"code": CODES_BY_STATUS.get(status, "invalid")}
        return cls(status, orjson.dumps({"error": text, **fields}), headers=headers or {})

    @classmethod
    def refusal(cls, error: ClientError, *, has_fields: bool) -> "Response":
        """Make the response of an error; ``has_fields`` adds what is for programs."""
        fields = {"code": error.code, **error.fields} if has_fields else {}
        return cls.error(error.status, error.text, dict(error.headers), fields)


class HeldInState(Protocol):
    """What answers the request of a connection in the state WAITING."""

    def start(self) -> None:
        """Begin; the connection is told of the answer."""

    def cancel(self) -> None:
        """Answer nothing: the connection is lost or ends."""

    def end_early(self, *, closes: bool = False) -> None:
        """Answer at once if there need be no wait; with ``closes`` the connection ends then."""

    def update_grant(self, current_grant: Callable[[Grant], Grant | None], /) -> None:
        """Learn that tokens have changed."""


AnswerRequest = Callable[[Request, Response | None], None]
"""Ends the state WAITING of a connection with the response to its request."""


class Parking:
    """Where requests wait until what they change is stored; ``hold`` holds one until then."""

    __slots__ = ("hold",)

    def __init__(self, hold: Callable[[Request, AnswerRequest], HeldInState]) -> None:
        self.hold = hold


class Search:
    """Work on an answer in portions, each in one turn of the event loop.

    Its result is a function that makes the response for the time of sending, Unix ms. It may be
    called more than once.
    """

    __slots__ = ("_result", "_work")

    def __init__(self, work: "Generator[None, None, Callable[[int], Response]]") -> None:
        self._work = work
        self._result: Callable[[int], Response] | None = None

    def advance(self) -> "Callable[[int], Response] | None":
        """Do one more portion; return the result, or None while there is more to do."""
        if self._result is None:
            try:
                next(self._work)
            except StopIteration as end:
                self._result = end.value
        return self._result


@dataclass(frozen=True, slots=True)
class Cut:
    """Work of a worker thread on what is stored at one moment, between two ticks.

    ``take`` is called in the loop with Unix ms; it looks at the store and returns the work. If the
    changes that it saw are refused, it is called again: the work is done on the last result, once
    all that it saw is stored.
    """

    take: "Callable[[int], Callable[[], Prepared]]"


class Body(Protocol):
    """The rest of a body, which one thread at a time may read."""

    @property
    def is_empty(self) -> bool:
        """Whether all of the body was read."""

    def read(self) -> bytes:
        """Return the next piece; raise `OSError` if it cannot be read."""

    def close(self) -> None:
        """Release the file or other source of the body."""


@dataclass(slots=True)
class Prepared:
    """A response made by a worker thread; ``rest`` is the part of the body after ``body``."""

    response: Response
    rest: Body | None = None


def serialize(request: Request, response: Response, date: str) -> bytes:
    """Return the response's bytes: head and body, for a HEAD request the head only.

    ``date`` is the value of the Date header.
    """
    body = response.body
    has_content = response.status not in _NO_BODY_STATUSES
    head = f"{opening(response.status, response.content_type)}Date: {date}\r\n"
    if has_content and not response.is_stream:
        length = len(body) if response.length is None else response.length
        head += f"Content-Length: {length}\r\n"
    for name, value in response.headers.items():
        head += f"{name}: {value}\r\n"
    if response.closes or not request.is_keep_alive:
        head += "Connection: close\r\n"
    elif request.is_http_1_0:
        head += "Connection: keep-alive\r\n"
    start = f"{head}\r\n".encode("latin-1")
    return start if request.method == "HEAD" or not has_content else start + body


@cache
def opening(status: int, content_type: str) -> str:
    """Return the status line and the headers that all responses of a kind have, but for Date."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    if content_type and status not in _NO_BODY_STATUSES:
        lines.append(f"Content-Type: {content_type}")
    lines += [f"Server: {NAME}", "X-Content-Type-Options: nosniff", ""]
    return "\r\n".join(lines)


def decode_component(text: str, *, plus: bool = False) -> str:
    """Percent-decode a part of a target; raise `BadTargetError` if it is no UTF-8.

    ``plus`` decodes a plus sign as a space, as in forms and queries.
    """
    try:
        raw = text.replace("+", " ") if plus else text
        return unquote_to_bytes(raw.encode("latin-1")).decode()
    except UnicodeError:
        raise BadTargetError(f"not UTF-8: {text!r}") from None
