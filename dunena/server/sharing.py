"""Sharing a server that listens on this machine alone: more listeners, at addresses of the network.

They have the port of the server and last until it stops or a person ends it; no setting remembers
them. On a server without tokens, whoever comes in there needs the one that is made then, and
programs of this machine need none, as before.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine

import orjson

from dunena.server.access.tokens import Tokens
from dunena.server.addresses import lan_addresses, network_urls, url_of
from dunena.server.http.message import NOT_SHARED, Prepared, Request, Response
from dunena.server.listeners import BindError, Listeners
from dunena.settings import Settings

_ANSWER_SECONDS_MAX = 10.0
_TOKEN_BYTES = 12  # 96 bits, which nobody guesses at a try a second, and a person can still type

_log = logging.getLogger(__name__)

_Act = Callable[[], Coroutine[None, None, Response]]


class Sharing:
    """The listeners on the network of one server.

    ``open_at`` binds the server's port at a host; ``on_tokens`` is called after the tokens have
    changed. All but `answer_begin` and `answer_end` is called in the loop's thread.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: Settings,
        port: int,
        tokens: Tokens,
        open_at: Callable[[str], Awaitable[Listeners]],
        on_tokens: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._settings = settings
        self._port = port
        self._tokens = tokens
        self._open_at = open_at
        self._on_tokens = on_tokens
        self._listeners: list[Listeners] = []
        self._hosts: list[str] = []
        self._lock = asyncio.Lock()

    @property
    def is_on(self) -> bool:
        """Whether the server is shared at present."""
        return bool(self._listeners)

    @property
    def addresses(self) -> tuple[str, ...]:
        """The hosts and ports that are listened on besides the server's own, as in a URL."""
        return tuple(one for listeners in self._listeners for one in listeners.addresses)

    def urls(self) -> list[str]:
        """Return the base URLs for other machines at present, without a slash at the end."""
        if not self._settings.is_loopback:
            return network_urls(self._settings, self._port)
        return [url_of(self._settings, host, self._port) for host in self._hosts]

    def state(self) -> dict[str, object]:
        """Describe for an administrator what is shared, or would be."""
        settings = self._settings
        is_for_network = not settings.is_loopback
        hosts = self._hosts if self.is_on else lan_addresses()
        return {
            "isForNetwork": is_for_network,
            "isShared": self.is_on,
            "hasToken": settings.has_token,
            "token": self._tokens.shared_token,
            "urls": self.urls()
            if is_for_network
            else [url_of(settings, host, self._port) for host in hosts],
        }

    def refusal(self, request: Request) -> Response | None:
        """Return why a request may not change this: it came in where the server is shared."""
        if not request.is_shared or self._tokens.are_needed:
            return None
        return Response.error(403, "Only a page on the machine of the server may decide that")

    # --- in a worker thread ---

    def answer_begin(self) -> Prepared:
        """Share the server; answer with the state, or with why that is impossible."""
        return self._await(self._begin)

    def answer_end(self) -> Prepared:
        """Share the server no longer; answer with the state."""
        return self._await(self._end)

    def _await(self, act: _Act) -> Prepared:
        waiting = asyncio.run_coroutine_threadsafe(act(), self._loop)
        return Prepared(waiting.result(_ANSWER_SECONDS_MAX))

    # --- in the loop ---

    async def _begin(self) -> Response:
        async with self._lock:
            if not self.is_on and self._settings.is_loopback:
                hosts = lan_addresses()
                if not hosts:
                    return self._failure("this machine is in no network at present")
                for host in hosts:
                    try:
                        self._listeners.append(await self._open(host))
                    except BindError as error:
                        reason = error.error.strerror or str(error.error)
                        _log.warning("not shared at %s: %s", error.address, reason)
                        continue
                    self._hosts.append(host)
                if not self._hosts:
                    return self._failure(f"the system refused port {self._port}: {reason}")
                self._want_token(_new_token())
                _log.info("shared at %s", ", ".join(self.addresses))
            return self._answer()

    async def _open(self, host: str) -> Listeners:
        listeners = await self._open_at(host)
        try:
            await listeners.start_serving()
        except BindError:
            listeners.close()
            raise
        return listeners

    async def _end(self) -> Response:
        async with self._lock:
            if self.is_on:
                self.close()
                self._want_token(None)
                _log.info("not shared any more")
            return self._answer()

    def close(self) -> None:
        """Stop accepting connections from the network; open ones are not affected."""
        for listeners in self._listeners:
            listeners.close()
        self._listeners, self._hosts = [], []

    def _want_token(self, token: str | None) -> None:
        if not self._tokens.are_needed:
            self._tokens.share(token)
            self._on_tokens()

    def _answer(self) -> Response:
        return Response(200, orjson.dumps(self.state()))

    def _failure(self, reason: str) -> Response:
        from dunena.server.restart_command import restart_commands  # few servers have a use

        program = sys.executable if getattr(sys, "frozen", False) else "dunena"
        commands = restart_commands(program, self._settings, self._port, _new_token())
        fields: dict[str, object] = {"code": NOT_SHARED, "reason": reason}
        fields["commands"] = commands
        return Response.error(409, f"It cannot be shared while it runs: {reason}", fields=fields)


def _new_token() -> str:
    import secrets  # a start does not need it

    return secrets.token_urlsafe(_TOKEN_BYTES)
