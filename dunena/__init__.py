"""dunena: a realtime JSON store, followed key by key over WebSocket and HTTP."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dunena import sync
    from dunena.client.asynchronous import Feed, Store, Transaction, connect
    from dunena.client.errors import (
        ClosedError,
        ConflictError,
        ConnectError,
        Error,
        NoAnswerError,
        RefusedError,
        RequestError,
        TooSlowError,
        WrongAddressError,
    )
    from dunena.client.feeds import (
        ChannelMessage,
        Event,
        HistoryEntry,
        KeyChange,
        StateUpdate,
        Update,
    )
    from dunena.client.presence import Session

__all__ = [
    "ChannelMessage",
    "ClosedError",
    "ConflictError",
    "ConnectError",
    "Error",
    "Event",
    "Feed",
    "HistoryEntry",
    "KeyChange",
    "NoAnswerError",
    "RefusedError",
    "RequestError",
    "Session",
    "StateUpdate",
    "Store",
    "TooSlowError",
    "Transaction",
    "Update",
    "WrongAddressError",
    "connect",
    "sync",
]

__version__ = "0.1.0"

NAME = "dunena"
"""The program's name, in `/info`, in the Server header and in the user's data folder."""

DEFAULT_FOLDER = ".cache"
"""The folder for the values, named as in the object-store document."""

DEFAULT_HOST = "localhost"
DEFAULT_PORT = 3000
"""The default address, which a server listens on and a client connects to."""

PORT_MAX = 65_535

TOKEN_VARIABLE = "DUNENA_AUTH_TOKEN"
"""The environment variable with the token, for servers and for clients."""

TOKEN_RULE = "a client can only send a token of printable ASCII"
"""What is said of any other one: its header would be encoded differently by each client."""

_ROOMS = {
    "Feed": "asynchronous",
    "Store": "asynchronous",
    "Transaction": "asynchronous",
    "connect": "asynchronous",
    "ChannelMessage": "feeds",
    "KeyChange": "feeds",
    "Event": "feeds",
    "HistoryEntry": "feeds",
    "Session": "presence",
    "StateUpdate": "feeds",
    "Update": "feeds",
}


def is_token(text: str) -> bool:
    """Return whether a text can be a token; see `TOKEN_RULE`."""
    return text.isascii() and text.isprintable()


def __dir__() -> list[str]:
    """Return the public names, including those that are not imported yet."""
    return sorted([*__all__, "__version__"])


def __getattr__(name: str) -> Any:
    """Import a name of the client at its first use, so that a server does not load the client."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name == "sync":
        return import_module("dunena.sync")
    return getattr(import_module(f"dunena.client.{_ROOMS.get(name, 'errors')}"), name)
