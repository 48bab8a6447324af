"""Parsing HTTP requests, and refusing malformed ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.server.http.message import (
    BadTargetError,
    Request,
    Response,
    decode_component,
    serialize,
)
from dunena.server.http.parser import RequestParser
from dunena.server.limits import HEAD_BYTES_MAX, HEADERS_MAX, SKIPPED_BODY_BYTES_MAX

BODY_MAX = 1000

GET = b"GET /get/a?ns=b HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /set HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"
CHUNKED = (
    b"POST /set HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nbo\r\n2;x=y\r\ndy\r\n0\r\nTrailer: t\r\n\r\n"
)
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
CLOSE = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


def feed_in_pieces(parser: RequestParser, stream: bytes, cuts: list[int]) -> list[Request]:
    requests = []
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(stream)], strict=True):
        requests += parser.feed(stream[start:end])
    return requests


def parts_of(request: Request) -> tuple[object, ...]:
    return request.method, request.target, request.headers, request.body, request.has_body


@given(st.lists(st.sampled_from([GET, POST, CHUNKED]), max_size=4), st.booleans(), st.data())
def test_requests_are_parsed_the_same_from_any_chunks(
    parts: list[bytes], upgrades: bool, data: st.DataObject
) -> None:
    behind = b"\x81\x85frame" if upgrades else b""
    stream = b"".join(parts) + (UPGRADE + behind if upgrades else b"")
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=10))
    whole, cut = RequestParser(BODY_MAX), RequestParser(BODY_MAX)
    expected = whole.feed(stream)
    assert [*map(parts_of, feed_in_pieces(cut, stream, cuts))] == [*map(parts_of, expected)]
    assert len(expected) == len(parts) + upgrades
    assert whole.rest == cut.rest == (behind if upgrades else None)
    assert whole.fault is None
    for request, part in zip(expected, parts, strict=False):
        assert request.body == (b"" if part is GET else b"body")
        assert request.has_body == (part is not GET)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_arbitrary_bytes_give_requests_or_one_fault(stream: bytes, cuts: list[int]) -> None:
    parser = RequestParser(BODY_MAX)
    feed_in_pieces(parser, stream, [cut for cut in cuts if cut <= len(stream)])
    assert parser.fault is None or parser.fault.status in (400, 413, 431)
    if parser.fault is not None:
        assert parser.feed(GET) == []


@pytest.mark.parametrize(
    ("stream", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + bytes(1001), 413),
        (b"GET /" + b"a" * HEAD_BYTES_MAX + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (HEADERS_MAX + 1) + b"\r\n", 431),
        (UPGRADE.replace(b"Host: h", b"Content-Length: 5"), 400),
    ],
)
def test_a_malformed_request_is_one_fault_with_its_status(stream: bytes, status: int) -> None:
    parser = RequestParser(BODY_MAX)
    assert parser.feed(stream) == []
    assert parser.fault is not None
    assert parser.fault.status == status
    assert parser.feed(GET) == [], "nothing behind it can be read"


def test_requests_before_a_fault_are_parsed() -> None:
    parser = RequestParser(BODY_MAX)
    assert len(parser.feed(GET + POST + b"nonsense\r\n\r\n")) == 2
    assert parser.fault is not None


def test_body_and_head_of_exactly_the_limit_are_accepted() -> None:
    parser = RequestParser(BODY_MAX)
    head = b"POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n"
    assert len(parser.feed(head + bytes(1000))) == 1
    assert len(parser.feed(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * HEADERS_MAX + b"\r\n")) == 1
    target = b"/" + b"a" * (HEAD_BYTES_MAX - 1)
    assert len(parser.feed(b"GET " + target + b" HTTP/1.1\r\n\r\n")) == 1
    assert parser.fault is None


@pytest.mark.parametrize(
    "line", [b"GET /aaaa", b"GET / HTTP/1.1\r\nA: bbbb", b"GET / HTTP/1.1\r\nAAA"]
)
def test_an_endless_line_fed_in_pieces_is_a_431_fault(line: bytes) -> None:
    parser = RequestParser(BODY_MAX)
    parser.feed(line)
    for _ in range(HEAD_BYTES_MAX // 1000 + 1):
        assert parser.fault is None
        parser.feed(b"a" * 1000)
    assert parser.fault is not None
    assert parser.fault.status == 431


def test_an_endless_line_fed_at_once_is_a_431_fault() -> None:
    for before in (b"", POST):
        parser = RequestParser(BODY_MAX)
        parser.feed(before)
        parser.feed(b"GET / HTTP/1.1\r\nA: " + b"a" * HEAD_BYTES_MAX)
        assert parser.fault is not None
        assert parser.fault.status == 431


def test_bytes_after_a_request_with_connection_close_are_ignored() -> None:
    parser = RequestParser(BODY_MAX)
    (request,) = parser.feed(CLOSE + GET + b"nonsense")
    assert not request.is_keep_alive
    assert parser.fault is None


def test_an_unsupported_upgrade_is_parsed_as_an_ordinary_request() -> None:
    offer = (
        b"Host: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n"
    )
    with_body = POST.replace(b"Host: h\r\n", offer)
    for stream in (
        UPGRADE.replace(b"websocket", b"h2c") + POST,
        with_body + GET,
        with_body + UPGRADE.replace(b"GET", b"POST"),
    ):
        for cut in range(len(stream)):
            parser = RequestParser(BODY_MAX)
            requests = parser.feed(stream[:cut]) + parser.feed(stream[cut:])
            assert len(requests) == 2
            assert not any(request.wants_upgrade for request in requests)
            assert parser.fault is parser.rest is None
            assert [r.body for r in requests] == [b"body" if r.has_body else b"" for r in requests]
            assert [after.method for after in parser.feed(GET)] == ["GET"]


def test_a_connect_request_is_a_400_fault() -> None:
    parser = RequestParser(BODY_MAX)
    assert parser.feed(b"CONNECT a.example:80 HTTP/1.1\r\nHost: a.example:80\r\n\r\n") == []
    assert parser.fault is not None
    assert parser.fault.status == 400


def test_awaits_continue_is_set_until_the_body_arrives() -> None:
    parser = RequestParser(BODY_MAX)
    head, _, body = POST.replace(b"Host: h", b"Expect: 100-continue").partition(b"\r\n\r\n")
    parser.feed(head + b"\r\n\r\n")
    assert parser.awaits_continue
    assert len(parser.feed(body)) == 1
    assert not parser.awaits_continue


def test_a_query_is_decoded() -> None:
    request = Request(target="/keys?pattern=a%20b+%2B&ns=&cursor=1&cursor=2&&x")
    assert request.path == "/keys"
    assert request.query() == {"pattern": "a b +", "ns": "", "cursor": "2", "x": ""}


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        ("http://a.example:3000/get/k?ns=n", "/get/k?ns=n", "a.example:3000"),
        ("HTTPS://a.example", "/", "a.example"),
        ("http://a.example?x", "/?x", "a.example"),
        ("/http://a.example/", "/http://a.example/", "h"),
    ],
)
def test_the_host_of_an_absolute_target_replaces_the_host_header(
    target: str, path: str, host: str
) -> None:
    (request,) = RequestParser(BODY_MAX).feed(f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    assert (request.target, request.headers["host"]) == (path, host)


@pytest.mark.parametrize("text", ["%FF", "%C3", "\u00ff", "%ED%A0%80"])
def test_decode_component_rejects_invalid_utf_8(text: str) -> None:
    with pytest.raises(BadTargetError):
        decode_component(text)


def test_serialize_adds_the_headers_the_request_needs() -> None:
    response = Response.error(405, "no", {"Allow": "GET"})
    full = serialize(Request("GET"), response, "now").decode()
    assert full == (
        "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: application/json\r\n"
        "Server: dunena\r\nX-Content-Type-Options: nosniff\r\nDate: now\r\n"
        'Content-Length: 30\r\nAllow: GET\r\n\r\n{"error":"no","code":"method"}'
    )
    assert serialize(Request("HEAD"), response, "now").decode() == full.partition("{")[0]
    old = Request("GET", is_keep_alive=False, is_http_1_0=True)
    assert b"Connection: close\r\n" in serialize(old, response, "now")
    kept = Request("GET", is_keep_alive=True, is_http_1_0=True)
    assert b"Connection: keep-alive\r\n" in serialize(kept, response, "now")
    assert b"\r\nContent-" not in serialize(Request(), Response(204), "now")


# --- what the head decides ---

SECRET = b"Authorization: Bearer x\r\nX-Forwarded-For: 192.0.2.1\r\n"


def head(fields: bytes) -> bytes:
    return b"POST /set HTTP/1.1\r\nHost: h\r\n" + fields + b"\r\n"


def refusing(request: Request) -> bool:
    request.refusal = Response.error(401, "Unauthorized")
    return False


def test_trailers_are_not_added_to_the_headers() -> None:
    parser = RequestParser(BODY_MAX)
    stream = head(b"Transfer-Encoding: chunked\r\nX-A: 1\r\n") + b"1\r\nb\r\n0\r\n"
    (request,) = parser.feed(stream + SECRET + b"X-A: 2\r\nHost: i\r\n\r\n")
    assert request.headers == {"host": "h", "transfer-encoding": "chunked", "x-a": "1"}
    assert request.body == b"b"
    assert parser.fault is None


@pytest.mark.parametrize("line", [b"A: b\r\n", b"A" * 100, b"A: " + b"b" * 100])
def test_too_many_trailers_are_a_431_fault(line: bytes) -> None:
    parser = RequestParser(BODY_MAX)
    parser.feed(head(b"Transfer-Encoding: chunked\r\n") + b"1\r\nb\r\n0\r\n")
    fed = 0
    while parser.fault is None and fed < 4 * HEAD_BYTES_MAX:
        parser.feed(line)
        fed += len(line)
    assert parser.fault is not None
    assert parser.fault.status == 431


def test_an_endless_chunk_extension_is_a_431_fault() -> None:
    parser = RequestParser(BODY_MAX)
    parser.feed(head(b"Transfer-Encoding: chunked\r\n") + b"1;")
    for _ in range(HEAD_BYTES_MAX // 1000 + 1):
        parser.feed(b"x" * 1000)
    assert parser.fault is not None
    assert parser.fault.status == 431


@pytest.mark.parametrize("fields", [b"Content-Length: 900\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_refused_request_is_complete_at_the_end_of_its_head(fields: bytes) -> None:
    parser = RequestParser(BODY_MAX, refusing)
    (request,) = parser.feed(head(fields))
    assert request.refusal is not None
    for _ in range(100):
        assert parser.feed(b"2\r\nbb\r\n") == []
        assert len(parser._body) == 0, "nobody's body is kept"


def test_the_request_after_a_short_refused_body_is_parsed() -> None:
    parser = RequestParser(BODY_MAX, refusing)
    refused, other = parser.feed(head(b"Content-Length: 4\r\n") + b"body" + GET)
    assert (refused.body, refused.is_keep_alive) == (b"", True)
    assert other.target == "/get/a?ns=b"


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: %d\r\n" % (SKIPPED_BODY_BYTES_MAX + 1),
        b"Content-Length: 4\r\nExpect: 100-continue\r\n",
        b"Content-Length: 4\r\nConnection: close\r\n",
    ],
)
def test_bytes_after_a_refused_body_that_cannot_be_skipped_are_ignored(fields: bytes) -> None:
    parser = RequestParser(SKIPPED_BODY_BYTES_MAX * 2, refusing)
    (refused,) = parser.feed(head(fields) + b"body" + GET)
    assert not refused.is_keep_alive
    assert not parser.awaits_continue
    assert parser.feed(GET) == []


def test_chunks_of_a_refused_body_are_skipped_up_to_a_limit() -> None:
    chunked = head(b"Transfer-Encoding: chunked\r\n")
    parser = RequestParser(BODY_MAX, refusing)
    assert len(parser.feed(chunked + b"4\r\nbody\r\n0\r\n\r\n" + GET)) == 2
    assert len(parser.feed(chunked)) == 1
    for _ in range(SKIPPED_BODY_BYTES_MAX // 1000 + 1):
        assert not parser.is_over
        parser.feed(b"3e8\r\n" + bytes(1000) + b"\r\n")
    assert parser.is_over
    assert parser.feed(b"0\r\n\r\n" + GET) == []


def test_a_request_may_have_its_own_body_limit() -> None:
    def wants(request: Request) -> bool:
        request.body_bytes_max = 10 if request.target == "/set" else None
        return True

    parser = RequestParser(BODY_MAX, wants)
    parser.feed(head(b"Content-Length: 11\r\n"))
    assert parser.fault is not None
    assert parser.fault.status == 413


def test_a_chunked_body_is_collected_in_one_buffer() -> None:
    parser = RequestParser(BODY_MAX)
    parser.feed(head(b"Transfer-Encoding: chunked\r\n"))
    for number in range(1, 400):
        parser.feed(b"2\r\nbb\r\n")
        assert isinstance(parser._body, bytearray)
        assert len(parser._body) == 2 * number
        assert parser.held_bytes >= 2 * number
    (request,) = parser.feed(b"0\r\n\r\n")
    assert request.body == b"b" * 798
    assert parser.held_bytes == 0


def test_pipelined_requests_with_unsupported_upgrades_are_all_parsed() -> None:
    offer = b"GET /%d HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    count = 3_000
    parser = RequestParser(BODY_MAX)
    requests = parser.feed(b"".join(offer % number for number in range(count)))
    assert [request.target for request in requests] == [f"/{number}" for number in range(count)]
    assert parser.fault is None


def test_a_request_with_an_unsupported_upgrade_is_decided_on_once() -> None:
    asked: list[str] = []

    def wants(request: Request) -> bool:
        asked.append(request.target)
        return True

    parser = RequestParser(BODY_MAX, wants)
    fields = b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 4\r\n"
    (request,) = parser.feed(head(fields) + b"body")
    assert (asked, request.body) == (["/set"], b"body")
