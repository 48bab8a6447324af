"""Messages that carry nothing of what came later are answered byte for byte as they always were.

The conversations in `old_messages/` were held with the server as it was before operations on
values. A line with ``>`` is what a client sends, ``<`` what comes back; ids and times are "...".
After ``(later)`` some of it comes only after a while.
"""

import re
from pathlib import Path

import pytest

from tests.protocol.clients import Client, open_client
from tests.support.fixtures import StartServer

CONVERSATIONS = Path(__file__).parent / "old_messages"

LIMITS = ("--max-entries", "7", "--max-value", "64")
"""So that short messages meet them."""

CONNECTIONS = {
    "dunena": ("/ws?protocol=dunena", '{"type":"ping","id":"mark"}'),
    "dunena-learned": ("/ws", '{"type":"ping","id":"mark"}'),
    "object-store": ("/", '{"action":"get","key":"mark"}'),
    "object-store-learned": ("/ws", '{"action":"get","key":"mark"}'),
    "undecided": ("/ws", '{"id":"mark"}'),
}
"""Where each was held, and a message whose answer says that all before it was answered."""


@pytest.mark.parametrize("name", CONNECTIONS)
def test_old_messages_are_answered_byte_for_byte_as_before(
    start_server: StartServer, name: str
) -> None:
    written = (CONVERSATIONS / f"{name}.txt").read_text("utf-8")
    path, question = CONNECTIONS[name]
    with open_client(start_server(*LIMITS), path) as client:
        assert held_again(client, question, written) == written


def held_again(client: Client, question: str, written: str) -> str:
    """The same conversation, with what this server says in it."""
    lines: list[str] = []
    for part in re.split(r"^(?=[>(])", written, flags=re.MULTILINE)[1:]:
        sent, *answers = part.splitlines()
        lines.append(sent)
        mark, _, message = sent.partition(" ")
        if mark == "(later)":
            client.send(message)
        if mark == ">":
            client.send(message)
            client.send(question)
            while '"mark"' not in (text := heard(client)):
                lines.append(f"< {text}")
        else:
            lines += [f"< {heard(client)}" for _ in answers]
    return "\n".join(lines) + "\n"


def heard(client: Client) -> str:
    """The next message, with ... for ids of connections and times."""
    text = re.sub(r'"timestamp":\d+', '"timestamp":...', client.receive_text())
    return re.sub(r'"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"', '"..."', text)
