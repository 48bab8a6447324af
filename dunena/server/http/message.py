"""An HTTP request as it was parsed, and a response to send."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import Protocol
from urllib.parse import unquote_to_bytes

import orjson

from dunena import NAME
from dunena.dialects.grants import NOTHING, Grant

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"

_NO_BODY_STATUSES = frozenset({204, 304})


class BadTargetError(ValueError):
    """A request target that cannot be read."""


@dataclass(slots=True)
class Request:
    """One request; header names are lower-case, several lines of one name are joined by commas.

    ``path`` is as sent, still percent-encoded; ``has_body`` says whether one was announced.
    ``address`` is the host it came from; ``grant`` what its token permits, once that was looked at.
    ``search`` is the work on its answer, once that turned out to take more than one turn.

    Of a request with a body the head alone decides: ``is_admitted`` says that its token was found
    good then, ``refusal`` is the answer it gets in place of another, and ``body_bytes_max`` is what
    its path takes, None for as much as any.
    """

    method: str = "GET"
    target: str = "/"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    has_body: bool = False
    is_keep_alive: bool = True
    is_http_1_0: bool = False
    wants_upgrade: bool = False
    address: str = ""
    grant: Grant = NOTHING
    search: "Search | None" = None
    is_admitted: bool = False
    refusal: "Response | None" = None
    body_bytes_max: int | None = None

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def query(self) -> dict[str, str]:
        """The query's fields, decoded; of one that comes twice the last."""
        fields = {}
        for part in self.target.partition("?")[2].split("&"):
            name, _, value = part.partition("=")
            if name:
                fields[decode_component(name, plus=True)] = decode_component(value, plus=True)
        return fields

    @property
    def with_slash(self) -> "Response":
        """The way to the same path with a slash at its end, where a folder's links lead right.

        Relative, for a proxy may show this server below a path that is not known here; behind a
        dot, so that a colon in the name makes no scheme of it (RFC 3986, 4.2).
        """
        _, mark, query = self.target.partition("?")
        name = self.path.rpartition("/")[2]
        return Response(302, headers={"Location": f"./{name}/{mark}{query}"})

    def knows(self, etag: str) -> bool:
        """Whether If-None-Match names this version: RFC 9110, 13.1.2, by weak comparison."""
        tags = [tag.strip() for tag in self.headers.get("if-none-match", "").split(",")]
        return tags == ["*"] or etag in (tag.removeprefix("W/") for tag in tags)


@dataclass(slots=True)
class Response:
    """One response; ``headers`` has what is special about it.

    ``length`` is the whole body's where ``body`` is only its beginning. With ``later`` the response
    is still to be made, by this work of another thread or in portions; of this one only the headers
    count.
    """

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    closes: bool = False
    length: int | None = None
    later: "Callable[[], Prepared] | Search | None" = None

    @classmethod
    def error(cls, status: int, text: str, headers: dict[str, str] | None = None) -> "Response":
        """`{"error": text}`"""
        return cls(status, orjson.dumps({"error": text}), headers=headers or {})


class Search:
    """Work on an answer in portions, each for one turn of the loop's thread.

    What it comes to is a response for the time at which it is sent, Unix ms; that must be
    repeatable.
    """

    __slots__ = ("_result", "_work")

    def __init__(self, work: "Generator[None, None, Callable[[int], Response]]") -> None:
        self._work = work
        self._result: Callable[[int], Response] | None = None

    def advance(self) -> "Callable[[int], Response] | None":
        """Do one more portion; what it comes to, or None while there is more to do."""
        if self._result is None:
            try:
                next(self._work)
            except StopIteration as end:
                self._result = end.value
        return self._result


class Body(Protocol):
    """The rest of a body, to be read by one thread at a time."""

    @property
    def is_empty(self) -> bool:
        """Whether all of it was read."""

    def read(self) -> bytes:
        """The next piece; raise `OSError` when it cannot be had."""

    def close(self) -> None:
        """It is not needed any more."""


@dataclass(slots=True)
class Prepared:
    """A response that was made later; ``rest`` follows its ``body``."""

    response: Response
    rest: Body | None = None


def serialize(request: Request, response: Response, date: str) -> bytes:
    """The response's bytes, head and body; a HEAD request gets the head alone."""
    body = response.body
    has_content = response.status not in _NO_BODY_STATUSES
    head = f"{_opening(response.status, response.content_type)}Date: {date}\r\n"
    if has_content:
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
def _opening(status: int, content_type: str) -> str:
    """What every response of this kind begins with."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    if status not in _NO_BODY_STATUSES:
        lines.append(f"Content-Type: {content_type}")
    lines += [f"Server: {NAME}", "X-Content-Type-Options: nosniff", ""]
    return "\r\n".join(lines)


def decode_component(text: str, *, plus: bool = False) -> str:
    """Percent-decode a part of a target, as UTF-8; raise `BadTargetError`.

    ``plus`` reads a plus sign as a space, as forms and queries mean it.
    """
    try:
        raw = text.replace("+", " ") if plus else text
        return unquote_to_bytes(raw.encode("latin-1")).decode()
    except UnicodeError:
        raise BadTargetError(f"not UTF-8: {text!r}") from None
