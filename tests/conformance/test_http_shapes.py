"""Ambiguous HTTP requests are refused, or read as RFC 9112 says.

Each shape is sent with a request of its own behind it. What is refused ends the connection, so
that nothing behind it is taken for a request; what is answered leaves the next one where it is.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.protocol.clients import UPGRADE, RawConnection, http, request_bytes
from tests.support.server import ServerProcess

HOST = b"Host: localhost\r\n"
BODY = b'{"key":"shape","value":1}'
LENGTH = b"Content-Length: %d" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked"
IN_CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
SIZE = b"%x" % len(BODY)
HIDDEN = request_bytes(
    "POST", "/set", {"Host": "localhost"}, b'{"key":"hidden","value":"a body was a request"}'
)
NEXT = request_bytes("GET", "/get/next", {"Host": "localhost"})


def get(*lines: bytes, first: bytes = b"GET /get/shape HTTP/1.1", host: bytes = HOST) -> bytes:
    return b"\r\n".join([first, host + b"".join(line + b"\r\n" for line in lines), b""])


def post(*lines: bytes, body: bytes = BODY) -> bytes:
    return get(*lines, first=b"POST /set HTTP/1.1") + body


def chunks(body: bytes) -> bytes:
    return post(CHUNKED, body=body)


def target(first: bytes) -> bytes:
    return get(first=b"GET %s HTTP/1.1" % first)


LENGTH_OF_HIDDEN = b"Content-Length: %d" % len(HIDDEN)
HIDDEN_IN_CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
HANDSHAKE = [f"{name}: {value}".encode() for name, value in UPGRADE.items()]

REFUSED = {
    # RFC 9112, 6.3: a length that is none, or one too many
    "the same length twice": post(LENGTH, LENGTH),
    "two lengths": post(LENGTH, b"Content-Length: 3"),
    "a list of lengths": post(b"Content-Length: %d, %d" % (len(BODY), len(BODY))),
    "a length with a sign": post(b"Content-Length: +25"),
    "a negative length": post(b"Content-Length: -1"),
    "a hexadecimal length": post(b"Content-Length: 0x19"),
    "a length with an underscore": post(b"Content-Length: 2_5"),
    "a length with a space inside": post(b"Content-Length: 2 5"),
    "a length past 64 bits": post(b"Content-Length: 99999999999999999999999"),
    "an empty length": post(b"Content-Length:"),
    "length, then chunks": post(LENGTH, CHUNKED, body=IN_CHUNKS),
    "chunks, then length": post(CHUNKED, LENGTH, body=IN_CHUNKS),
    "length and chunks in a GET": get(b"Content-Length: 5", CHUNKED) + b"0\r\n\r\n" + HIDDEN,
    # RFC 9112, 6.1: a coding that is not understood, or does not come last and alone
    "chunked twice": post(CHUNKED, CHUNKED, body=IN_CHUNKS),
    "chunked twice in a list": post(b"Transfer-Encoding: chunked, chunked", body=IN_CHUNKS),
    "another coding": post(b"Transfer-Encoding: gzip", body=IN_CHUNKS),
    "another coding last": post(b"Transfer-Encoding: chunked, identity", body=IN_CHUNKS),
    "identity": post(b"Transfer-Encoding: identity", body=IN_CHUNKS),
    "a coding like chunked": post(b"Transfer-Encoding: xchunked", body=IN_CHUNKS),
    "a quoted coding": post(b'Transfer-Encoding: "chunked"', body=IN_CHUNKS),
    "a vertical tab": post(b"Transfer-Encoding:\x0bchunked", body=IN_CHUNKS),
    "no coding": post(b"Transfer-Encoding:", LENGTH),
    "chunks in HTTP/1.0": chunks(IN_CHUNKS).replace(b"HTTP/1.1", b"HTTP/1.0"),
    # RFC 9112, 2.2 and 5: lines
    "bare LF everywhere": b"GET /get/shape HTTP/1.1\nHost: localhost\n\n",
    "bare LF behind a header": get(b"X: 1\nY: 2"),
    "bare LF at the end": b"GET /get/shape HTTP/1.1\r\n" + HOST + b"\n",
    "bare CR in a value": get(b"X: a\rb"),
    "a CR too many": get(b"X: a\r"),
    "a folded line": get(b"X: a\r\n b"),
    "a line folded with a tab": get(b"X: a\r\n\tb"),
    "a folded coding": post(b"Transfer-Encoding:\r\n chunked", body=IN_CHUNKS),
    "a space before the first header": get(host=b" " + HOST),
    "a space before the colon": get(b"X : 1"),
    "a tab before the colon": get(b"X\t: 1"),
    "a space before the coding's colon": post(b"Transfer-Encoding : chunked", body=IN_CHUNKS),
    "a header without a name": get(b": 1"),
    "a header without a colon": get(b"X"),
    "NUL in a value": get(b"X: a\0b"),
    "NUL in a name": get(b"X\0: a"),
    "DEL in a value": get(b"X: a\x7fb"),
    # RFC 9112, 7.1: chunks
    "a chunk size with 0x": chunks(b"0x%s\r\n%s\r\n0\r\n\r\n" % (SIZE, BODY)),
    "a chunk size with a sign": chunks(b"+%s\r\n%s\r\n0\r\n\r\n" % (SIZE, BODY)),
    "a negative chunk size": chunks(b"-%s\r\n%s\r\n0\r\n\r\n" % (SIZE, BODY)),
    "no chunk size": chunks(b"\r\n%s\r\n0\r\n\r\n" % BODY),
    "a chunk size past 64 bits": chunks(b"fffffffffffffffff\r\n%s\r\n0\r\n\r\n" % BODY),
    "a space behind a chunk size": chunks(b"%s \r\n%s\r\n0\r\n\r\n" % (SIZE, BODY)),
    "bare LF behind a chunk size": chunks(b"%s\n%s\r\n0\r\n\r\n" % (SIZE, BODY)),
    "bare LF in a chunk's extension": chunks(b"%s;\n%s\r\n0\r\n\r\n" % (SIZE, BODY)),
    "bare LF behind a chunk": chunks(b"%s\r\n%s\n0\r\n\r\n" % (SIZE, BODY)),
    "bare LF at the end of chunks": chunks(b"%s\r\n%s\r\n0\n\n" % (SIZE, BODY)),
    "nothing behind a chunk": chunks(b"%s\r\n%s0\r\n\r\n" % (SIZE, BODY)),
    "a chunk longer than it says": chunks(b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY) - 1, BODY)),
    "NUL in a chunk's extension": chunks(b"%s;\0\r\n%s\r\n0\r\n\r\n" % (SIZE, BODY)),
    "a length in the trailers": chunks(b"%s\r\n%s\r\n0\r\n%s\r\n\r\n" % (SIZE, BODY, LENGTH)),
    "a coding in the trailers": chunks(b"%s\r\n%s\r\n0\r\n%s\r\n\r\n" % (SIZE, BODY, CHUNKED)),
    # RFC 9112, 3: the request line
    "two Hosts": get(HOST.strip()),
    "CONNECT": get(first=b"CONNECT localhost:80 HTTP/1.1") + HIDDEN,
    "an authority": target(b"localhost:80"),
    "a target without a slash": target(b"get/shape"),
    "a space in the target": target(b"/get/shape b"),
    "a fragment in the target": target(b"/get/shape#part"),
    "a tab for a space": get(first=b"GET\t/get/shape\tHTTP/1.1"),
    "a space at the end": get(first=b"GET /get/shape HTTP/1.1 "),
    "a space at the beginning": get(first=b" GET /get/shape HTTP/1.1"),
    "a method in lower case": get(first=b"get /get/shape HTTP/1.1"),
    "an unknown method": get(first=b"FROB /get/shape HTTP/1.1"),
    "a version in lower case": get(first=b"GET /get/shape http/1.1"),
    "HTTP/0.9": get(first=b"GET /get/shape HTTP/0.9"),
    "HTTP/1.2": get(first=b"GET /get/shape HTTP/1.2"),
    "HTTP/2.0": get(first=b"GET /get/shape HTTP/2.0"),
    # RFC 9110, 7.8; RFC 6455, 4.1
    "an upgrade with a body": get(*HANDSHAKE, LENGTH_OF_HIDDEN, first=b"GET /ws HTTP/1.1") + HIDDEN,
    "an upgrade with chunks": get(*HANDSHAKE, CHUNKED, first=b"GET /ws HTTP/1.1")
    + HIDDEN_IN_CHUNKS,
}
"""With 400."""

REFUSED_WITH_501 = {
    "a coding before chunked": post(b"Transfer-Encoding: gzip, chunked", body=IN_CHUNKS),
    "a coding in a line before chunked": post(
        b"Transfer-Encoding: identity", CHUNKED, body=IN_CHUNKS
    ),
}

ANSWERED = {
    "spaces around a length": (200, post(b"Content-Length:   25  ")),
    "chunked in upper case": (200, post(b"TRANSFER-ENCODING: CHUNKED", body=IN_CHUNKS)),
    "a tab behind the colon": (200, post(b"Transfer-Encoding:\tchunked", body=IN_CHUNKS)),
    "a chunk's extension": (200, chunks(b"%s;a=b\r\n%s\r\n0\r\n\r\n" % (SIZE, BODY))),
    "a quoted extension": (200, chunks(b'%s;a="b;c"\r\n%s\r\n0\r\n\r\n' % (SIZE, BODY))),
    "a trailer": (200, chunks(b"%s\r\n%s\r\n0\r\nX: 1\r\n\r\n" % (SIZE, BODY))),
    "bytes past ASCII in a value": (200, get(b"X: \xff\xfe")),
    "an empty line before it": (200, b"\r\n" + get()),
    "two spaces before the target": (200, get(first=b"GET  /get/shape HTTP/1.1")),
    "a whole URL": (200, target(b"http://localhost/get/shape")),
    "a whole URL without a path": (200, target(b"http://localhost")),
    "a whole URL beats Host": (
        200,
        get(first=b"GET http://localhost/get/shape HTTP/1.1", host=b"Host: example.com\r\n"),
    ),
    "a whole URL of another host": (403, target(b"http://example.com/get/shape")),
    "a whole URL with a name in it": (403, target(b"http://me@localhost/get/shape")),
    "a whole URL of another scheme": (404, target(b"ftp://localhost/get/shape")),
    "an asterisk": (404, target(b"*")),
    "two slashes": (404, target(b"//get/shape")),
    "dots": (404, target(b"/x/../get/shape")),
    "no Host": (400, get(host=b"")),
    "no Host with a whole URL": (
        400,
        get(first=b"GET http://localhost/get/a HTTP/1.1", host=b""),
    ),
    "a list of hosts": (403, get(host=b"Host: localhost, localhost\r\n")),
    "a host with a space": (403, get(host=b"Host: local host\r\n")),
    "an empty host": (403, get(host=b"Host:\r\n")),
    "a known method that fits nowhere": (405, get(first=b"PATCH /set HTTP/1.1")),
    "TRACE": (405, get(first=b"TRACE /info HTTP/1.1")),
    "a body of a GET": (200, get(LENGTH_OF_HIDDEN) + HIDDEN),
    "chunks of a GET": (200, get(CHUNKED) + HIDDEN_IN_CHUNKS),
    "a body of a DELETE": (
        200,
        get(LENGTH_OF_HIDDEN, first=b"DELETE /cache/shape HTTP/1.1") + HIDDEN,
    ),
    "a body of OPTIONS": (204, get(LENGTH_OF_HIDDEN, first=b"OPTIONS /set HTTP/1.1") + HIDDEN),
    "a body nobody asked for": (404, get(LENGTH_OF_HIDDEN, first=b"POST /no HTTP/1.1") + HIDDEN),
    "an expectation nobody knows": (200, post(LENGTH, b"Expect: the-unexpected")),
    "Connection names the length": (200, post(LENGTH, b"Connection: content-length")),
}


DOCUMENT = Path(__file__).parents[2] / "docs" / "robustness.md"


def answers() -> dict[str, int]:
    """Every shape with the status of its answer."""
    refused = dict.fromkeys(REFUSED, 400) | dict.fromkeys(REFUSED_WITH_501, 501)
    return refused | {shape: status for shape, (status, _) in ANSWERED.items()}


def test_the_document_lists_every_request_shape_with_its_status() -> None:
    rows = [f"| {shape} | {status} |" for shape, status in answers().items()]
    text = DOCUMENT.read_text("utf-8").partition("## Requests of every shape")[2]
    table = [line for line in text.splitlines() if line.startswith("| ")][1:]
    # After a change: put these rows into the document.
    assert [row for row in table if not row.startswith("| ---")] == rows, "\n".join(rows)


@pytest.fixture
def store(shared_server: ServerProcess) -> Iterator[ServerProcess]:
    """A server in which nothing that was hidden is set, before and after."""
    yield shared_server
    assert http(shared_server, "GET", "/get/hidden").json["value"] is None


def statuses(raw: RawConnection, shape: bytes) -> list[int]:
    """What a shape and the request behind it are answered with, until the server ends it."""
    raw.send(shape + NEXT)
    raw.end_writing()
    answers = []
    while True:
        try:
            answers.append(raw.read_reply().status)
        except (EOFError, ConnectionError):
            return answers


@pytest.mark.parametrize("shape", REFUSED)
def test_an_ambiguous_request_shape_is_400(store: ServerProcess, raw: RawConnection, shape: str):
    http(store, "DELETE", "/entries/shape")
    assert statuses(raw, REFUSED[shape]) == [400]
    assert http(store, "GET", "/get/shape").json["value"] is None, "it was carried out"


@pytest.mark.parametrize("shape", REFUSED_WITH_501)
def test_an_unknown_transfer_coding_is_501(store: ServerProcess, raw: RawConnection, shape: str):
    http(store, "DELETE", "/entries/shape")
    assert statuses(raw, REFUSED_WITH_501[shape]) == [501]
    assert http(store, "GET", "/get/shape").json["value"] is None, "it was carried out"


@pytest.mark.parametrize("shape", ANSWERED)
def test_an_accepted_request_shape_is_answered_and_the_next_request_too(
    store: ServerProcess, raw: RawConnection, shape: str
):
    status, data = ANSWERED[shape]
    assert statuses(raw, data) == [status, 200]


def test_an_http_1_0_request_cannot_upgrade(store: ServerProcess, raw: RawConnection):
    """RFC 9110, 7.8: an Upgrade field of HTTP/1.0 is ignored."""
    raw.send(get(*HANDSHAKE, first=b"GET /ws HTTP/1.0"))
    assert raw.read_reply().status == 426


def test_an_unsupported_upgrade_with_connection_close_is_answered_and_closed(
    store: ServerProcess, raw: RawConnection
):
    """The response is sent, and the connection is closed after it."""
    shape = get(b"Connection: close, Upgrade", b"Upgrade: h2c")
    assert statuses(raw, shape) == [200]


def test_a_chunked_get_may_come_byte_by_byte(store: ServerProcess, raw: RawConnection):
    http(store, "DELETE", "/entries/shape")
    for byte in ANSWERED["chunks of a GET"][1]:
        raw.send(bytes((byte,)))
    assert raw.read_reply().json == {"key": "shape", "value": None}
