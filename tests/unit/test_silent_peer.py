"""The system ends a connection whose peer takes nothing."""

import asyncio
import socket
import sys

import pytest

from dunena.server.silent_peer import end_after_silence


class Transport(asyncio.BaseTransport):
    """A transport of a socket, or of none."""

    def __init__(self, connection: socket.socket | None) -> None:
        super().__init__({"socket": connection})


def send_on(connection: socket.socket) -> None:
    while True:
        connection.sendall(bytes(1 << 20))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the option of Linux is read")
def test_a_connection_gets_the_time_for_which_its_peer_may_take_nothing() -> None:
    with socket.socket() as connection:
        end_after_silence(Transport(connection), 25)
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 25_000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it takes Linux's rule for it")
def test_a_peer_that_takes_nothing_is_gone_after_the_time() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()),
    ):
        connection, _ = listener.accept()
        with connection:
            end_after_silence(Transport(connection), 1)
            connection.settimeout(20)
            with pytest.raises(TimeoutError) as ended:  # ETIMEDOUT, not that of settimeout
                send_on(connection)
            assert ended.value.errno is not None


def test_what_is_no_tcp_or_lost_is_left_alone() -> None:
    end_after_silence(Transport(None), 25)
    connection = socket.socket()
    connection.close()
    end_after_silence(Transport(connection), 25)
