"""What a client missed that comes back: keys, its position, and changes after that."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .phrases import NUMBER_WIDTH, POSITION, VALUE, Talk

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

CHANGED_KEYS = 100
"""How many keys change after the position, in turn."""

KEYS_PER_MESSAGE = 5000


class PastError(Exception):
    """The server does not tell what was missed as it must; the text says what it told."""


def make_past(port: int, keys: int, missed: int) -> str:
    """Store ``keys`` keys, make ``missed`` changes, and return the position before these, as JSON.

    Raises `PastError` if a client that resumes from it is told anything else than each key that
    changed, once.
    """
    from websockets.sync.client import connect  # the other workloads need no packages

    with connect(f"ws://127.0.0.1:{port}/ws", compression=None, max_size=None) as client:
        for first in range(0, keys, KEYS_PER_MESSAGE):
            store(client, range(first, min(keys, first + KEYS_PER_MESSAGE)))
        told = _watch(client, key="none")
        position = {"epoch": told["epoch"], "rev": told["rev"]}
        for first in range(0, missed, CHANGED_KEYS):
            store(client, range(min(CHANGED_KEYS, missed - first)))
        told = _watch(client, pattern="*", since=position)
    if told.get("reset") or len(told["changes"]) != min(CHANGED_KEYS, missed):
        raise PastError(f"after {missed} changes it tells {len(told['changes'])} keys")
    return json.dumps(position)


def resumed_from(position: str, talk: Talk) -> Talk:
    """What to say to resume from a position."""
    return replace(talk, message=talk.message.replace(json.dumps(POSITION), position))


def key_of(number: int) -> str:
    """The key of a number, as `wsload` names it."""
    return f"key:{number:0{NUMBER_WIDTH}}"


def store(client: "ClientConnection", numbers: range) -> None:
    """Set the keys of these numbers at once. Raises `PastError`."""
    entries = [{"key": key_of(number), "value": VALUE} for number in numbers]
    ask(client, type="mset", entries=entries)


def _watch(client: "ClientConnection", **selector: object) -> dict[str, Any]:
    told: dict[str, Any] = ask(client, type="watch", **selector)["data"]
    return told


def ask(client: "ClientConnection", **message: object) -> dict[str, Any]:
    """Send a request and return its answer; events and updates before it are passed over.

    Raises `PastError` when it is an error.
    """
    client.send(json.dumps(message | {"id": 1}))
    while (answer := json.loads(client.recv())).get("id") != 1:
        pass
    if answer["type"] == "error":
        raise PastError(str(answer["data"]))
    found: dict[str, Any] = answer
    return found
