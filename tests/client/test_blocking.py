"""The threads of the Python client that blocks."""

import threading
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

import dunena
from tests.support.server import ServerProcess

EARLY_SECONDS = 0.2


def test_nothing_is_sent_on_a_connection_before_it_was_entered(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The library warns of that. Where warnings are errors the thread that writes ended, and with it
    # all that the store would ever have sent.
    steps: list[str] = []
    is_sent = threading.Event()
    enter, send = ClientConnection.__enter__, ClientConnection.send

    def entered(connection: ClientConnection) -> ClientConnection:
        is_sent.wait(EARLY_SECONDS)
        steps.append("entered")
        return enter(connection)

    def sent(connection: ClientConnection, *words: Any, **named: Any) -> None:
        steps.append("sent")
        is_sent.set()
        send(connection, *words, **named)

    monkeypatch.setattr(ClientConnection, "__enter__", entered)
    monkeypatch.setattr(ClientConnection, "send", sent)
    with dunena.sync.connect(server.url) as store:
        store.set("k", 1)
        assert store.get("k") == 1
    assert steps[:2] == ["entered", "sent"]
