"""The options of `connect`, and the errors that both shells make of failed connections."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dunena import TOKEN_RULE, is_token
from dunena.client.address import DEFAULT_URL, Address
from dunena.client.errors import (
    ConnectError,
    Error,
    NoAnswerError,
    RefusedError,
    WrongAddressError,
)

if TYPE_CHECKING:
    import ssl

    from dunena.client.presence import Session

TIMEOUT_SECONDS = 10.0
"""Default timeout of a connection and of each call."""

CLOSE_SECONDS_MAX = 1.0
"""Time that the server has to answer a closing handshake."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to connect to a server, and to which. Raises ValueError for what cannot be a token.

    ``timeout``: seconds that a connection and each call may take; None is for ever.
    ``wait``: try again until a server answers, for the first connection too.
    ``session``: what the server shall know across lost connections; None for no session.
    """

    address: Address
    token: str | None
    ns: str
    timeout: float | None
    wait: bool
    tls: "ssl.SSLContext | None"
    session: "Session | None" = None

    def __post_init__(self) -> None:
        if self.token is not None and not is_token(self.token):
            raise ValueError(TOKEN_RULE)

    @property
    def headers(self) -> dict[str, str]:
        """Return the HTTP header with the token; nothing if there is no token."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def for_websocket(self) -> dict[str, Any]:
        """Return the keyword arguments for the `connect` functions of websockets."""
        arguments: dict[str, Any] = {
            "additional_headers": self.headers,
            "close_timeout": CLOSE_SECONDS_MAX,
            "max_size": None,  # the server limits the size of values, to any size
            "open_timeout": self.timeout,
            "ping_interval": None,  # `ClientProtocol.beat` sends pings of the dialect instead
            "proxy": None,
        }
        if self.address.is_secure and self.tls is not None:
            arguments["ssl"] = self.tls
        return arguments


BUSY = frozenset({429, 503})
"""HTTP statuses of a server that may accept the client later, as after too many connections."""

NOWHERE = 404
"""HTTP status for an unknown path: dunena has every path that a client requests."""


def failure(error: Exception, address: Address) -> Error:
    """Convert the exception of a connection that failed or ended; use the server's text if any."""
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
    """Make the error for an address at which no server answers; it says how to start one."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    text = f"No server answers at {address.url} ({reason})"
    if not address.is_secure:  # a certificate that is not trusted is no reason to start another
        text += f"; start a server with: {_start_of(address)}"
    return ConnectError(text)


def _start_of(address: Address) -> str:
    """Return the command that starts a server at ``address``, to be run on that machine."""
    default = Address.parse(DEFAULT_URL)
    return "dunena serve" + (f" --port {address.port}" if address.port != default.port else "")


def no_answer_error(options: Options, reason: Error | None = None) -> NoAnswerError:
    """Make the error for a timeout; ``reason`` is why there is no connection, if that is known."""
    text = f"No answer from {options.address.url} in {options.timeout:g} s"
    return NoAnswerError(text if reason is None else f"{text}: {reason}")


def not_dunena_error(address: Address, reason: str) -> WrongAddressError:
    """Make the error for another server, or for dunena at a wrong path such as its test page's."""
    text = f"What answers at {address.url} is no dunena ({reason})"
    if address.prefix:
        text += f", which may be at {address.root}, without the path"
    return WrongAddressError(text)


def error_text(body: "bytes | bytearray | memoryview | None") -> str | None:
    """Return the member ``error`` of an HTTP answer's JSON body; None if it has none."""
    import orjson

    try:
        answer = orjson.loads(body or b"null")
    except orjson.JSONDecodeError:
        return None
    text = answer.get("error") if isinstance(answer, Mapping) else None
    return text if isinstance(text, str) else None
