"""The opening handshake of WebSocket: it is accepted with a dialect or refused."""

from collections.abc import Sequence
from dataclasses import dataclass

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake
from websockets.extensions import Extension
from websockets.http11 import Request as HandshakeRequest
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from dunena.dialects.dialect import Dialect
from dunena.dialects.grants import NOTHING, Grant
from dunena.server.compression import offered
from dunena.server.context import Context
from dunena.server.http.message import BadTargetError, Request, Response
from dunena.settings import Settings

VERSION = "13"
"""Version of the WebSocket protocol: RFC 6455, 4.1."""

_SWITCHING_PROTOCOLS = 101
_BOTH_DIALECTS_PATH = "/ws"
_OBJECT_STORE_PATH = "/"  # used by the example in the object store's document
_BY_NAME = {dialect.value: dialect for dialect in Dialect if dialect is not Dialect.AUTO}


@dataclass(frozen=True, slots=True)
class AcceptedHandshake:
    """An accepted handshake: the dialect, the negotiated extensions, the response's bytes.

    ``origin`` and ``program`` are the request's Origin and User-Agent, ``page`` is the path of the
    user's page that connects, as it says; "" for none. ``address`` is the client's, ``grant`` that
    of its token.
    """

    dialect: Dialect
    extensions: tuple[Extension, ...]
    response: bytes
    origin: str = ""
    program: str = ""
    page: str = ""
    address: str = ""
    grant: Grant = NOTHING


def handshake(context: Context, request: Request) -> AcceptedHandshake | Response:
    """Decide on a request to upgrade; return the accepted handshake or the refusal to send."""
    if request.path not in (_OBJECT_STORE_PATH, _BOTH_DIALECTS_PATH):
        return Response.error(404, "Not found")
    refusal = context.admission.refusal(request, needs_token=True)
    refusal = refusal or context.routes.refusal_of_upgrade()
    if refusal is not None:
        return refusal
    if request.headers.get("sec-websocket-version", VERSION) != VERSION:
        # RFC 6455, 4.4: the answer names the supported version.
        return Response.error(426, "Upgrade required", {"Sec-WebSocket-Version": VERSION})
    dialect = _wanted_dialect(request, context.settings.dialect)
    if isinstance(dialect, Response):
        return dialect
    return _accept(request, dialect, context.settings)


def _wanted_dialect(request: Request, default: Dialect) -> Dialect | Response:
    """Return the dialect of path and query, which a subprotocol may override, or a refusal."""
    if request.path == _OBJECT_STORE_PATH:
        return Dialect.OBJECT_STORE
    try:
        name = request.query().get("protocol")
    except BadTargetError:
        return Response.error(400, "Bad request target")
    if name is None:
        return default
    if name == Dialect.AUTO.value:
        return Dialect.AUTO  # both dialects, whatever --protocol says
    return _BY_NAME.get(name) or Response.error(400, f"Unknown protocol: {name}")


def _accept(request: Request, dialect: Dialect, settings: Settings) -> AcceptedHandshake | Response:
    spoken = set(_BY_NAME)
    if request.path == _OBJECT_STORE_PATH:
        spoken = {Dialect.OBJECT_STORE.value}
    protocol = ServerProtocol(
        state=State.OPEN,
        extensions=[offered()] if settings.compression else [],
        max_size=settings.limits.message_bytes_max,
        select_subprotocol=lambda _, names: _first_spoken(names, spoken),
    )
    headers = Headers()
    for name, value in request.headers.items():
        headers[name] = value
    answer = protocol.accept(HandshakeRequest(request.target, headers))
    if answer.status_code != _SWITCHING_PROTOCOLS:
        fault = protocol.handshake_exc
        text = str(fault) if isinstance(fault, InvalidHandshake) else "Bad handshake"
        return Response.error(answer.status_code, text)
    if protocol.subprotocol is not None:
        dialect = _BY_NAME[protocol.subprotocol]
    return AcceptedHandshake(
        dialect,
        tuple(protocol.extensions),
        answer.serialize(),
        origin=request.origin,
        address=request.address,
        grant=request.grant,
        program=request.program,
        page=request.page,
    )


def _first_spoken(names: Sequence[Subprotocol], spoken: set[str]) -> Subprotocol | None:
    """Return the first supported subprotocol of the client's list; None if there is none."""
    return next((name for name in names if name in spoken), None)
