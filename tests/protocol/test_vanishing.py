"""Clients that vanish at the worst moment."""

import os
import signal
import sys

import pytest

from tests.protocol.clients import CLOSE, RawConnection, frame, http
from tests.support.fixtures import StartServer


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be held still there")
def test_a_client_that_closes_everything_behind_its_close_frame(start_server: StartServer):
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
