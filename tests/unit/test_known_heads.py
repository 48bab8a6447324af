"""Header blocks that were sent before: both ways of reading a request give the same requests."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.server.http.known_heads import BLOCK_BYTES_MAX, HEADS_MAX, KnownHeads
from dunena.server.http.message import Request, Response
from dunena.server.http.parser import RequestParser

BODY_MAX = 50

HOST = b"Host: h\r\n"
GET = b"GET /get/a HTTP/1.1\r\n" + HOST + b"\r\n"
BARE = b"GET / HTTP/1.1\r\n\r\n"
POST = b"POST /set HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nA: b\r\n\r\nbody"
LOWER = b"PUT /kv/a HTTP/1.1\r\ncontent-length: 2\r\nhost: h\r\n\r\n17"
EMPTY = b"POST /set HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
CLOSE = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\nHost: h\r\n\r\n"
CHUNKED = b"POST /set HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n0\r\n\r\n"
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
EXPECT = b"POST /set HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody"
WHOLE_URL = b"GET http://other/ HTTP/1.1\r\nHost: h\r\n\r\n"

KNOWN = [GET, BARE, POST, LOWER, EMPTY]
NEVER_KNOWN = [CLOSE, OLD, CHUNKED, UPGRADE, EXPECT, WHOLE_URL]


def wants_body(request: Request) -> bool:
    """Refuse bodies for one path, and have another limit for another one."""
    request.body_bytes_max = 3 if request.target == "/short" else None
    if request.target == "/refused":
        request.refusal = Response.error(401, "Unauthorized")
    return request.refusal is None and request.method != "GET"


def new_parser(heads: KnownHeads | None = None) -> RequestParser:
    return RequestParser(BODY_MAX, wants_body, heads)


def learnt(*streams: bytes) -> KnownHeads:
    """What is known after some requests, each on a connection of its own."""
    heads = KnownHeads()
    for stream in streams:
        new_parser(heads).feed(stream)
    return heads


def shown(parser: RequestParser, requests: list[Request]) -> dict[str, Any]:
    """All that a connection learns of what was parsed, whatever the cuts were."""
    fault = parser.fault
    goes_on = fault is None and all(request.is_keep_alive for request in requests)
    return {
        "requests": [
            (
                request.method,
                request.target,
                request.headers,
                request.body,
                request.has_body,
                request.is_keep_alive,
                request.is_http_1_0,
                request.wants_upgrade,
                request.is_admitted,
                request.refusal is None,
                request.body_bytes_max,
            )
            for request in requests
        ],
        "fault": None if fault is None else (fault.status, fault.body),
        "rest": parser.rest,
        "is_over": parser.is_over,
        "is_in_request": parser.is_in_request if goes_on else None,
        "let_in": None if parser.let_in is None else parser.let_in.target,
        "awaits_continue": parser.awaits_continue,
    }


def read_by_httptools(stream: bytes) -> dict[str, Any]:
    """Feed byte by byte, so that no request is ever there in whole when its first byte comes."""
    parser = new_parser()
    return shown(parser, [one for byte in stream for one in parser.feed(bytes([byte]))])


def read(heads: KnownHeads, *parts: bytes) -> dict[str, Any]:
    parser = new_parser(heads)
    return shown(parser, [one for part in parts for one in parser.feed(part)])


def how_many_known(heads: KnownHeads, stream: bytes) -> int:
    """The number of requests at the beginning of a stream that httptools does not have to read."""
    count = position = 0
    while (found := heads.find(stream, position)) is not None:
        count, position = count + 1, found.end
    return count


@pytest.mark.parametrize("stream", KNOWN)
def test_the_same_block_is_read_without_httptools_the_second_time(stream: bytes) -> None:
    heads = learnt(stream)
    assert how_many_known(heads, stream * 3) == 3
    assert read(heads, stream * 3) == read_by_httptools(stream * 3)


@pytest.mark.parametrize("stream", NEVER_KNOWN)
def test_what_decides_how_a_connection_goes_on_is_always_read_by_httptools(stream: bytes) -> None:
    heads = learnt(stream)
    assert len(heads) == 0
    assert read(heads, stream + GET) == read_by_httptools(stream + GET)


@pytest.mark.parametrize("behind", [b"", *KNOWN, *NEVER_KNOWN, b"nonsense\r\n\r\n", b"\r\n", b"G"])
@pytest.mark.parametrize("stream", KNOWN)
def test_both_ways_read_the_same_from_any_cut(stream: bytes, behind: bytes) -> None:
    whole = stream + GET + stream + behind
    expected = read_by_httptools(whole)
    for cut in range(len(whole) + 1):
        assert read(learnt(*KNOWN), whole[:cut], whole[cut:]) == expected, cut


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "get", "CONNECT", "PRI", "SOURCE", ""])
@pytest.mark.parametrize("target", ["/", "/a?b", "/a#b", "*", "a", "", "//a", "/ä", "http://a/"])
@pytest.mark.parametrize(
    "version", ["HTTP/1.1", "HTTP/1.0", "HTTP/1.1 ", "HTTP/2.0", "http/1.1", ""]
)
def test_both_ways_read_the_same_from_any_request_line(
    method: str, target: str, version: str
) -> None:
    line = f"{method} {target} {version}\r\n".encode()
    for block in (HOST + b"\r\n", b"\r\n", b"Host: h\r\nContent-Length: 2\r\n\r\nab"):
        heads = learnt(b"GET / HTTP/1.1\r\n" + block, b"PUT / HTTP/1.1\r\n" + block)
        assert read(heads, line + block + GET) == read_by_httptools(line + block + GET)


@pytest.mark.parametrize("place", range(len(GET)))
def test_both_ways_read_the_same_with_any_other_byte(place: int) -> None:
    heads = learnt(*KNOWN)
    for byte in {*range(0, 256, 7), *b"\0\t\n\r #/:%\x7f\x80\xff"}:
        for stream in (
            GET[:place] + bytes([byte]) + GET[place + 1 :],
            GET[:place] + bytes([byte]) + GET[place:],
        ):
            assert read(heads, stream + GET) == read_by_httptools(stream + GET), stream


@pytest.mark.parametrize(
    "length",
    [b"", b"0", b"00", b"3", b"04", b"+4", b" 4", b"4 ", b"4, 4", b"-1", b"99999999", b"51"],
)
def test_both_ways_read_the_same_for_any_length(length: bytes) -> None:
    head, _, body = POST.partition(b"\r\n\r\n")
    stream = head.replace(b" 4", b" " + length) + b"\r\n\r\n" + body + GET
    assert read(learnt(POST, EMPTY), stream) == read_by_httptools(stream)


def test_a_second_length_is_no_way_around_the_first() -> None:
    for second in (b"Content-Length: 3\r\n", b"content-length: 0\r\n", b"Content-length: 4\r\n"):
        stream = POST.replace(b"A: b\r\n", second) + GET
        heads = learnt(POST, stream)
        assert read(heads, stream) == read_by_httptools(stream)
        assert read(heads, stream)["fault"] is not None


def test_bodies_of_another_length_have_the_same_block() -> None:
    heads = learnt(POST)
    assert how_many_known(heads, POST.replace(b"4\r\n", b"11\r\n") + b" longer") == 1
    assert len(heads) == 1


@pytest.mark.parametrize("target", [b"/refused", b"/short"])
def test_a_body_that_is_not_wanted_is_refused_the_same(target: bytes) -> None:
    stream = POST.replace(b"/set", target) + GET
    assert how_many_known(learnt(POST), stream) == 1
    assert read(learnt(POST, GET), stream) == read_by_httptools(stream)


def test_a_body_above_the_limit_is_refused_the_same() -> None:
    body = bytes(BODY_MAX + 1)
    stream = b"POST /set HTTP/1.1\r\nHost: h\r\nContent-Length: 51\r\nA: b\r\n\r\n" + body
    assert read(learnt(POST), stream)["fault"] == read_by_httptools(stream)["fault"]


def test_only_so_many_blocks_are_known_and_none_that_is_long() -> None:
    heads = KnownHeads()
    for number in range(HEADS_MAX + 10):
        new_parser(heads).feed(b"GET / HTTP/1.1\r\nA: %d\r\n\r\n" % number)
    assert len(heads) == HEADS_MAX
    assert how_many_known(heads, b"GET / HTTP/1.1\r\nA: 0\r\n\r\n") == 0
    assert len(learnt(b"GET / HTTP/1.1\r\nA: " + b"a" * BLOCK_BYTES_MAX + b"\r\n\r\n")) == 0


NAMES = st.sampled_from(
    [
        *(b"Host", b"host", b"A", b"Content-Length", b"content-length", b"Content-length"),
        *(b"Connection", b"Transfer-Encoding", b"Expect", b"Upgrade", b"Proxy-Connection"),
        *(b"Cookie", b"Authorization", b"", b"A ", b" A", b"\x80", b"Content-Length "),
    ]
)
VALUES = st.sampled_from(
    [
        *(b"h", b"", b"0", b"2", b"4", b"4, 4", b"close", b"keep-alive", b"Keep-Alive, close"),
        *(b"chunked", b"gzip, chunked", b"100-continue", b"upgrade", b"h2c", b"websocket"),
        *(b"a\r\n b", b"a\rb", b"a\nb", b"a\0b", b"\xff", b"2\r\n\r\nab", b"4\n\nbody"),
    ]
) | st.binary(max_size=6)
LINES = st.tuples(NAMES, st.sampled_from([b": ", b":", b":\t", b" : "]), VALUES).map(b"".join)
ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"])
BLOCKS = st.lists(st.tuples(LINES, ENDS).map(b"".join), max_size=4).map(b"".join)
FIRST_LINES = st.sampled_from(
    [b"GET / HTTP/1.1", b"POST /set HTTP/1.1", b"PUT /kv/a HTTP/1.1", b"POST /short HTTP/1.1"]
) | st.binary(max_size=12)
STREAMS = st.tuples(
    FIRST_LINES, ENDS, BLOCKS, ENDS, st.sampled_from([b"", b"ab", b"body", b"body" + GET])
).map(b"".join)


def cut(stream: bytes, cuts: list[int]) -> Iterator[bytes]:
    places = sorted({0, len(stream), *(place for place in cuts if place < len(stream))})
    for start, end in pairwise(places):
        yield stream[start:end]


@given(
    st.lists(STREAMS, max_size=4),
    st.lists(STREAMS | st.sampled_from(KNOWN), min_size=1, max_size=4),
    st.lists(st.integers(0, 300), max_size=3),
)
def test_both_ways_read_the_same_from_anything(
    before: list[bytes], streams: list[bytes], cuts: list[int]
) -> None:
    heads = learnt(*KNOWN, *before, *streams)
    stream = b"".join(streams)
    assert read(heads, *cut(stream, cuts)) == read_by_httptools(stream)
