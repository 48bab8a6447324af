"""Clients that disconnect at an inconvenient moment."""

import os
import signal
import socket
import struct
import sys

import pytest

from tests.protocol.clients import CLOSE, RawConnection, frame, http
from tests.support.fixtures import StartServer

# On, for no time: closed, it is reset. Two numbers of 16 bits on Windows, of 32 elsewhere.
NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be held still there")
def test_a_client_that_closes_right_after_its_close_frame_causes_no_traceback(
    start_server: StartServer,
):
    server = start_server()
    raw = RawConnection(server)
    raw.open()
    # Held still, the server then finds the close frame and the end of the connection at once.
    os.kill(server.process.pid, signal.SIGSTOP)
    raw.send(frame(CLOSE, (1000).to_bytes(2)))
    raw.socket.close()
    os.kill(server.process.pid, signal.SIGCONT)
    while http(server, "GET", "/info").json["connections"]:
        pass  # it ends by the test's time limit
    assert "Traceback" not in server.log


def test_connections_reset_before_the_accept_cause_no_traceback(start_server: StartServer) -> None:
    server = start_server()
    for _ in range(200):
        gone = socket.create_connection(("127.0.0.1", server.port))
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        gone.close()
    assert http(server, "GET", "/health").status == 200
    assert "Traceback" not in server.log
