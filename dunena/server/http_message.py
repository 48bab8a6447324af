"""An HTTP request as it was parsed, and a response to send."""

from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

import orjson

from dunena import NAME

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"

_NO_BODY_STATUSES = frozenset({204, 304})


class BadTargetError(ValueError):
    """A request target that cannot be read."""


@dataclass(slots=True)
class Request:
    """One request; header names are lower-case, several lines of one name are joined by commas.

    ``path`` is as sent, still percent-encoded; ``has_body`` says whether one was announced.
    """

    method: str = "GET"
    target: str = "/"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    has_body: bool = False
    is_keep_alive: bool = True
    is_http_1_0: bool = False
    wants_upgrade: bool = False

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def query(self) -> dict[str, str]:
        """The query's fields, decoded; of one that comes twice the last, without empty ``ns``."""
        fields = {}
        for part in self.target.partition("?")[2].split("&"):
            name, _, value = part.partition("=")
            if name:
                fields[decode_component(name, plus=True)] = decode_component(value, plus=True)
        if fields.get("ns") == "":
            del fields["ns"]
        return fields


@dataclass(slots=True)
class Response:
    """One response; ``headers`` has what is special about it."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    closes: bool = False

    @classmethod
    def error(cls, status: int, text: str, headers: dict[str, str] | None = None) -> "Response":
        """`{"error": text}`"""
        return cls(status, orjson.dumps({"error": text}), headers=headers or {})


def serialize(request: Request, response: Response, date: str) -> bytes:
    """The response's bytes, head and body; a HEAD request gets the head alone."""
    body = response.body
    has_content = response.status not in _NO_BODY_STATUSES
    head = f"{_opening(response.status, response.content_type)}Date: {date}\r\n"
    if has_content:
        head += f"Content-Length: {len(body)}\r\n"
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
