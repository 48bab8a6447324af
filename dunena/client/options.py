"""What `connect` was told, and what both shells make of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dunena.client.address import Address
from dunena.client.errors import (
    ConnectError,
    Error,
    NoAnswerError,
    RefusedError,
    WrongAddressError,
)

if TYPE_CHECKING:
    import ssl

TIMEOUT_SECONDS = 10.0
"""For a connection and for each call, where nothing else is said."""

CLOSE_SECONDS_MAX = 1.0
"""How long the server may take to say goodbye."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to connect.

    ``timeout``: seconds that a connection and each call may take; None is for ever.
    ``wait``: try on until there is a server, also the first time.
    """

    address: Address
    token: str | None
    ns: str
    timeout: float | None
    wait: bool
    tls: "ssl.SSLContext | None"

    @property
    def headers(self) -> dict[str, str]:
        """What lets this client in."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def for_websocket(self) -> dict[str, Any]:
        """Arguments of both `connect` of websockets."""
        arguments: dict[str, Any] = {
            "additional_headers": self.headers,
            "close_timeout": CLOSE_SECONDS_MAX,
            "max_size": None,  # the server has a limit for values, and this may be any
            "open_timeout": self.timeout,
            "ping_interval": None,  # `ClientProtocol.beat` asks in the server's own words
            "proxy": None,
        }
        if self.address.is_secure and self.tls is not None:
            arguments["ssl"] = self.tls
        return arguments


BUSY = frozenset({429, 503})
"""HTTP's statuses of a server that may let one in later: too many connections, wrong tokens."""

NOWHERE = 404
"""HTTP's status where dunena has nothing: of what a client asks for, it has all."""


def failure(error: Exception, address: Address) -> Error:
    """Why there is no connection, or none any more; in the server's words where it has some."""
    from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

    if isinstance(error, InvalidStatus):
        response = error.response
        text = error_text(response.body)
        if response.status_code in BUSY:
            return ConnectError(f"{address.url} takes no connection now ({text or 'busy'})")
        if text is None or response.status_code == NOWHERE:
            return not_dunena_error(address, f"HTTP {response.status_code}")
        return RefusedError(text, response.status_code)
    if isinstance(error, InvalidHandshake):
        return not_dunena_error(address, str(error))
    if isinstance(error, ConnectionClosed):
        return ConnectError(f"The connection to {address.url} was lost ({error})")
    return unreachable_error(address, error)


def unreachable_error(address: Address, error: BaseException) -> ConnectError:
    """Nobody answers."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ConnectError(f"No server answers at {address.url} ({reason})")


def no_answer_error(options: Options, reason: Error | None = None) -> NoAnswerError:
    """The timeout is over."""
    text = f"No answer from {options.address.url} in {options.timeout:g} s"
    return NoAnswerError(text if reason is None else f"{text}: {reason}")


def not_dunena_error(address: Address, reason: str) -> WrongAddressError:
    """Somebody else answers, or dunena at another path: that of its test page, for example."""
    text = f"What answers at {address.url} is no dunena ({reason})"
    if address.prefix:
        text += f", which may be at {address.root}, without the path"
    return WrongAddressError(text)


def error_text(body: "bytes | bytearray | memoryview | None") -> str | None:
    """The ``error`` of an HTTP answer; None if it has none."""
    import orjson

    try:
        answer = orjson.loads(body or b"null")
    except orjson.JSONDecodeError:
        return None
    text = answer.get("error") if isinstance(answer, Mapping) else None
    return text if isinstance(text, str) else None
