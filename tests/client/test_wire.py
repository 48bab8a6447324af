"""The HTTP client over a socket: every form of response that servers and proxies send."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from dunena.client.address import Address
from dunena.client.errors import (
    ConnectError,
    Error,
    NoAnswerError,
    RequestError,
    WrongAddressError,
)
from dunena.client.http import Http
from dunena.client.options import Options

SECONDS_MAX = 10.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

Answering = Callable[..., Http]


class Canned:
    """A server of fixed answers: a list for each connection, one answer for each request."""

    def __init__(self, *connections: list[bytes]) -> None:
        self.requests: list[bytes] = []
        self._connections = connections
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(SECONDS_MAX)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for answers in self._connections:
            with suppress(OSError), self._listener.accept()[0] as peer:
                peer.settimeout(SECONDS_MAX)
                for answer in answers:
                    self.requests.append(peer.recv(65_536))
                    peer.sendall(answer)
                if answers and answers[-1] == b"":
                    peer.recv(1)  # silent until the client goes

    def close(self) -> None:
        self._thread.join()
        self._listener.close()


@pytest.fixture
def servers() -> Iterator[list[Canned]]:
    made: list[Canned] = []
    yield made
    for server in made:
        server.close()


@pytest.fixture
def answering(servers: list[Canned]) -> Answering:
    """A client of a server that answers in a fixed way."""

    def start(*connections: list[bytes], timeout: float = SECONDS_MAX, **said: str) -> Http:
        server = Canned(*connections)
        servers.append(server)
        address = Address(said.get("host", "127.0.0.1"), server.port)
        return Http(Options(address, said.get("token"), "", timeout, wait=False, tls=None))

    return start


@pytest.mark.parametrize(
    "answer",
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}',
        b'HTTP/1.1 200\r\ncontent-LENGTH:7\r\n\r\n{"a":1}',
        (
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a\r\n{"a\r\n4\r\n":1}'
            b"\r\n0\r\n\r\n"
        ),
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n7\r\n{"a":1}\r\n0\r\nEnd: x\r\n\r\n',
        b'HTTP/1.1 102 Wait\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}',
        b'HTTP/1.1 200 OK\r\n\r\n{"a":1}',
        b'HTTP/1.0 200 OK\r\n\r\n{"a":1}',
    ],
    ids=["length", "terse", "chunks", "trailer", "meanwhile", "until its end", "old"],
)
def test_a_response_is_read_with_every_kind_of_body_framing(answering: Answering, answer: bytes):
    with answering([answer]) as server:
        assert server.ask("GET", "/x") == {"a": 1}


@pytest.mark.parametrize(
    "first",
    [
        OK,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nEnd: x\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=["length", "chunks", "old"],
)
def test_a_connection_is_reused_for_several_requests(answering: Answering, first: bytes):
    with answering([first, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2"]) as server:
        assert server.ask("GET", "/x") == {}
        assert server.ask("GET", "/x") == 2


@pytest.mark.parametrize(
    "last",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
    ],
    ids=["said", "old", "until its end"],
)
def test_a_new_connection_is_opened_after_a_closing_response(answering: Answering, last: bytes):
    with answering([last], [OK]) as server:
        assert server.ask("GET", "/x") == {}
        assert server.ask("GET", "/x") == {}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "Expected HTTP/"),
        (b"HTTP/1.1 ok\r\n\r\n", "Invalid status code"),
        (b"HTTP/2 200\r\n\r\n", "Expected dot"),
        (b"\r\n", "the connection ended before the answer did"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
            "the connection ended before the answer did",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n?\r\n",
            "Invalid character in chunk size",
        ),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 40_000, "more than 131072 bytes before the body"),
        (b"HTTP/1.1 200 " + b"x" * 240_000, "more than 131072 bytes before the body"),
    ],
    ids=["other", "no status", "newer", "empty", "short", "chunk", "headers", "line"],
)
def test_an_invalid_response_raises_connect_error(answering: Answering, answer: bytes, reason: str):
    with answering([answer]) as server, pytest.raises(ConnectError) as failure:
        server.ask("GET", "/x")
    assert "No server answers at http://127.0.0.1:" in str(failure.value)
    assert reason in str(failure.value)


def test_a_connection_that_ends_without_a_response_raises_connect_error(answering: Answering):
    with answering([OK]) as server:
        assert server.ask("GET", "/x") == {}
        with pytest.raises(ConnectError, match=r"the connection ended|reset by peer"):
            server.ask("GET", "/x")


def test_a_missing_response_raises_no_answer_error_after_the_timeout(answering: Answering):
    with (
        answering([b""], timeout=0.05) as server,
        pytest.raises(NoAnswerError, match=r"in 0\.05 s"),
    ):
        server.ask("GET", "/x")


def test_requests_have_the_expected_bytes(answering: Answering, servers: list[Canned]):
    with answering([OK, OK, OK], host="localhost", token="secret") as server:
        server.ask("GET", "/x", {"a": 1})
        server.ask("POST", "/flush")
        server.ask("POST", "/set", body=b"1")
    usual = (
        f"Host: localhost:{servers[0].port}\r\nAccept-Encoding: identity\r\n"
        "Authorization: Bearer secret\r\n"
    )
    assert [request.decode() for request in servers[0].requests] == [
        f"GET /x?a=1 HTTP/1.1\r\n{usual}\r\n",
        f"POST /flush HTTP/1.1\r\n{usual}Content-Length: 0\r\n\r\n",
        f"POST /set HTTP/1.1\r\n{usual}Content-Length: 1\r\n\r\n1",
    ]


def test_a_token_with_a_line_break_raises_value_error(answering: Answering, servers: list[Canned]):
    with (
        pytest.raises(ValueError, match=r"^a client can only send a token of printable ASCII$"),
        answering([OK], token="x\r\nA: b") as server,
    ):
        server.ask("GET", "/x")
    assert not servers or servers[0].requests in ([], [b""])


def test_a_download_yields_the_body_in_pieces(answering: Answering):
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    with answering([answer, OK]) as server:
        assert list(server.download("/x", {})) == [b"ab", b"c"]
        assert server.ask("GET", "/x") == {}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b'HTTP/1.1 503 Busy\r\nContent-Length: 14\r\n\r\n{"error":"no"}', RequestError),
        (b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n{}", WrongAddressError),
        (b"HTTP/1.1 302 Found\r\nContent-Length: 2\r\n\r\n{}", WrongAddressError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", ConnectError),
    ],
    ids=["refused", "missing", "moved", "short"],
)
def test_a_download_raises_the_error_of_the_server(
    answering: Answering, answer: bytes, error: type[Exception]
):
    with answering([answer]) as server, pytest.raises(error):
        list(server.download("/x", {}))


def test_an_error_of_who_takes_a_download_is_none_of_the_server(answering: Answering):
    def write(_piece: bytes) -> None:
        raise OSError("full")

    with answering([OK]) as server, pytest.raises(OSError, match=r"^full$") as failure:
        list(map(write, server.download("/x", {})))
    assert not isinstance(failure.value, Error)
