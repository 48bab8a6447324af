"""The server: opens the port, has its parts put together, and stops in order."""

import asyncio
import errno
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from dunena.dialects.conversation import Conversation
from dunena.persistence.interface import (
    Engine,
    InUseError,
    Loaded,
    OpenError,
    Progress,
    StorageError,
    UntidyError,
)
from dunena.persistence.memory import MemoryEngine
from dunena.persistence.opening import open_engine
from dunena.server.access.tokens import Tokens
from dunena.server.certificate import Certificate
from dunena.server.clock import Clock
from dunena.server.epoch import new_epoch
from dunena.server.expiry_timer import ExpiryTimer
from dunena.server.garbage import GarbageCollection
from dunena.server.http.connection import HttpConnection
from dunena.server.http.message import Response
from dunena.server.listeners import BindError, Listeners
from dunena.server.loading import LoadingCancelledError, load_in_thread
from dunena.server.loop_faults import LoopFaults
from dunena.server.outside import Outside
from dunena.server.parts import ServerParts
from dunena.server.seconds import seconds_to_next
from dunena.server.shortage import Shortage
from dunena.server.start_errors import FolderInUseError, StartError, bind_failure
from dunena.server.start_files import (
    load_certificate,
    load_tokens,
    make_or_read_get_secret,
    open_text_files,
)
from dunena.server.static.client_files import ClientFiles
from dunena.server.static.pages import load_pages
from dunena.server.taken import is_taken
from dunena.setting_table import MAKE_SECRET
from dunena.settings import Settings
from dunena.store.errors import WriteRefusedError
from dunena.store.history import History
from dunena.store.quota import quota_of
from dunena.store.store import Store
from dunena.telemetry import Telemetry

if TYPE_CHECKING:
    from ssl import SSLContext

    from dunena.persistence.log import Log, OpenLog
    from dunena.server.shared.opening import SharedParts
    from dunena.server.status.store_notices import StoreNotices
    from dunena.server.text_files.text_files import TextFiles

STOP_SECONDS_MAX = 3.0
"""Time that clients have to close when the server stops: a stop takes less than five seconds."""

SESSIONS_SECONDS_MAX = 1.0
"""Time for the ends of sessions when a node of a shared store stops; otherwise others end them."""

SHARED_STOP_SECONDS = (3.5, 4.2)
"""After how much of the stop of such a node its sessions wait no more, and its link is cut: what it
waits for may be gone with the servers of the store.
"""

_log = logging.getLogger(__name__)


class StopError(Exception):
    """The server stopped and could not store all changes; the text is one line that says why."""


class Server:
    """One server, from `start` to `stop`; ``new_conversation`` makes that of a WebSocket.

    ``epoch`` names the run of revisions from this start on; None for a random name. With
    ``open_log`` the values are those of a log that several servers share, and nothing is on disk.
    ``get_secret`` is the secret of GET writes that the server has made itself, None if it has made
    none.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        new_conversation: Callable[..., Conversation] = Conversation,
        epoch: str | None = None,
        open_log: "OpenLog | None" = None,
    ) -> None:
        self.settings = settings
        self._new_conversation = new_conversation
        self.clock = Clock()
        history = History(settings.history_values_max)
        self._shared: SharedParts | None = None
        self.store: Store
        if open_log is None:
            epoch = new_epoch() if epoch is None else epoch
            self.store = Store(quota=quota_of(settings.limits), history=history, epoch=epoch)
        else:
            from dunena.server.shared import opening  # most servers need none of it

            try:
                log = open_log()
            except OpenError as error:
                raise StartError(error.reason) from error
            self._shared = opening.SharedParts(log, settings.limits, history)
            self.store = self._shared.store
        self.engine: Engine
        self.telemetry = Telemetry(started_at_ms=self.clock())
        self.port = settings.port
        self.get_secret: str | None = None
        self._loop: asyncio.AbstractEventLoop
        self._listeners: Listeners
        self._parts: ServerParts
        self._outside: Outside | None = None
        self._notices: StoreNotices | None = None
        self._loaded = asyncio.Event()
        self._text_files: TextFiles | None = None
        self._tokens = Tokens()
        self._shortage = Shortage()
        self._certificate: Certificate | None = None
        self._probe_timer: asyncio.TimerHandle | None = None
        self._garbage: GarbageCollection | None = None

    async def start(
        self, progress: Progress | None = None, is_cancelled: Callable[[], bool] = lambda: False
    ) -> None:
        """Load the stored entries and open the port; raise `StartError` if that is impossible.

        ``progress`` and ``is_cancelled`` are passed to `load_in_thread`. Raise
        `LoadingCancelledError` if loading was cancelled; the port is closed then.
        """
        self._loop = loop = asyncio.get_running_loop()
        loop.set_exception_handler(LoopFaults(self._shortage))
        pages = load_pages()
        client_files = ClientFiles(is_encrypted=self.settings.is_encrypted)
        self._tokens = load_tokens(self.settings)
        await self._bind(loop)
        try:
            self.engine, loaded = await load_in_thread(self._open_engine, progress, is_cancelled)
        except InUseError as error:
            self._listeners.close()
            raise FolderInUseError(error.reason, error.url) from error
        except OpenError as error:
            self._listeners.close()
            raise StartError(error.reason) from error
        except LoadingCancelledError:
            self._listeners.close()
            raise
        if self._shared is None:
            self.store.now = self.clock()
            self.store.load(loaded.entries, loaded.revision)
        disk = self.engine.disk_status
        for damage in [] if disk is None else disk.damages():
            _log.warning("%s was left alone: %s", damage.display_path, damage.reason)
        try:
            self._take_get_secret()
            self._text_files = open_text_files(self.settings, self.clock)
        except StartError:
            self._listeners.close()
            self.engine.close()
            raise
        self._parts = self._put_together(loop, pages, client_files)
        self._outside = self._parts.outside
        self._begin_text_files()
        if isinstance(self._parts.expiry, ExpiryTimer):
            self._parts.expiry.expire_due()
        if self.store.quota is not None and self.store.quota.evicts:
            self._parts.context.tick.run(self._evict_excess, None)
        self._every_second()
        self._collect_outside()
        if self._text_files is not None and self._text_files.has_begun:
            await asyncio.to_thread(self._text_files.wait_for_first)
        await self._serve()
        self.engine.publish(self.url)
        if self._shared is None:
            self._parts.context.tick.find_failure()
        else:
            from dunena.server.status.store_notices import StoreNotices

            self._shared.coordinator.on_change(self._take_state)
            self._shared.log.start(self._shared.coordinator)
            self._notices = StoreNotices(self._shared.log, loop.time())
        self._take_state()

    @property
    def log(self) -> "Log | None":
        """The log that the server shares with others; None for a server of its own."""
        return None if self._shared is None else self._shared.log

    @property
    def storage_failure(self) -> str | None:
        """Why changes are refused at present; None if they are stored, as far as is known."""
        return self.telemetry.storage_failure

    @property
    def is_loaded(self) -> bool:
        """Whether all values are loaded, as they are after `start` in a server of its own."""
        return self._shared is None or self._shared.coordinator.is_loaded

    async def wait_until_loaded(self) -> None:
        """Wait until all values are loaded, without end if need be; call it after `start`."""
        await self._loaded.wait()

    def time_collections(self) -> None:
        """Choose from now on when garbage is collected, in a process that only serves."""
        registry, telemetry = self._parts.context.registry, self.telemetry
        self._garbage = GarbageCollection(
            lambda: registry.closed_count, lambda: telemetry.messages + telemetry.http_requests
        )

    @property
    def addresses(self) -> tuple[str, ...]:
        """The hosts and ports that the server listens on, as in a URL."""
        return self._listeners.addresses

    @property
    def url(self) -> str:
        """The URL at which a program on this machine reaches the server, without a final slash."""
        return self.settings.url_at(self.port)

    async def stop(self) -> None:
        """Close the port and all connections, store all changes and unlock the folder.

        Raise `StopError` if not all changes could be stored, or the storage not put in order.
        """
        self._listeners.close()
        self._parts.sharing.close()
        self._parts.expiry.cancel()
        self._parts.sessions.stop()
        if self._probe_timer is not None:
            self._probe_timer.cancel()
        self._parts.context.tick.end()
        began_at = self._loop.time()
        close_seconds_max = STOP_SECONDS_MAX
        if self._shared is not None:
            await self._shared.drain(STOP_SECONDS_MAX / 2)
            close_seconds_max /= 2
        await self._parts.context.registry.close(close_seconds_max)
        self._parts.context.tick.end()
        if self._shared is not None:
            left = began_at + SHARED_STOP_SECONDS[0] - self._loop.time()
            await self._shared.end_sessions(min(SESSIONS_SECONDS_MAX, left))
        if self._text_files is not None:
            self._text_files.show_end(self._parts.services)
            await asyncio.to_thread(self._text_files.close)
        if self._shared is not None:
            await self._shared.close(began_at + SHARED_STOP_SECONDS[1])
        try:
            await asyncio.to_thread(self.engine.close)
        except UntidyError as error:
            raise StopError(
                f"everything is stored, but the journal could not be emptied: {error.reason};"
                " the next start does it"
            ) from error
        except StorageError as error:
            raise StopError(f"not everything could be stored: {error.reason}") from error

    # --- start ---

    def _take_get_secret(self) -> None:
        """Make or read the secret of GET writes, if there is to be one."""
        wanted = self.settings.get_writes
        if wanted == MAKE_SECRET:
            wanted = self.get_secret = make_or_read_get_secret(self.settings)
        if wanted is not None:
            self._tokens.add_get_secret(wanted)

    def _take_state(self) -> None:
        """Begin what needs all values, once they are loaded."""
        if self.is_loaded and not self._loaded.is_set():
            self._loaded.set()
            self._begin_text_files()

    def _begin_text_files(self) -> None:
        """Begin to write text files, if there are any and all values are loaded."""
        files = self._text_files
        if files is not None and self.is_loaded and not files.has_begun:
            files.begin(self._parts.services, self._parts.context.tick, self.telemetry)

    async def _bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Bind the port, without accepting connections yet; raise `StartError`."""
        settings = self.settings
        self._certificate = load_certificate(settings)
        try:
            if await is_taken(settings.host, settings.port):
                raise BindError(settings.host, OSError(errno.EADDRINUSE, "somebody answers on it"))
            self._listeners = await Listeners.open(
                loop,
                lambda: cast("asyncio.Protocol", HttpConnection(self._parts.context)),
                settings.host,
                settings.port,
                self._tls,
            )
        except BindError as failure:
            raise bind_failure(settings, failure) from failure
        self.port = self._listeners.port

    async def _listen_also(self, host: str) -> Listeners:
        """Bind the port at an address of the network, where the server is to be shared."""
        return await Listeners.open(
            self._loop,
            lambda: cast("asyncio.Protocol", HttpConnection(self._parts.context, is_shared=True)),
            host,
            self.port,
            self._tls,
        )

    @property
    def _tls(self) -> "SSLContext | None":
        return None if self._certificate is None else self._certificate.context

    def _open_engine(self, progress: Progress) -> tuple[Engine, Loaded]:
        if self._shared is not None:
            return MemoryEngine(), Loaded()  # everything comes from the log
        return open_engine(
            self.settings, self._wake, progress, wall_step_ms=lambda: self.clock.step_ms
        )

    async def _serve(self) -> None:
        """Accept connections; raise `StartError` if another program took the port meanwhile."""
        try:
            await self._listeners.start_serving()
        except BindError as failure:
            await self.stop()
            raise bind_failure(self.settings, failure) from failure

    def _put_together(
        self,
        loop: asyncio.AbstractEventLoop,
        pages: dict[str, Response],
        client_files: ClientFiles,
    ) -> ServerParts:
        return ServerParts(
            loop,
            self.settings,
            self.store,
            self.engine,
            self._listeners,
            tokens=self._tokens,
            clock=self.clock,
            telemetry=self.telemetry,
            shortage=self._shortage,
            pages=pages,
            client_files=client_files,
            shared=self._shared,
            text_files=self._text_files,
            new_conversation=self._new_conversation,
            listen_also=self._listen_also,
            apply_tokens=self._apply_tokens,
        )

    # --- while it runs ---

    def _every_second(self) -> None:
        """Check the clock, the tokens, the certificate, the folder and the storage, each second."""
        step_ms = self.clock.detect_step()
        if step_ms:
            _log.info("the clock was set by %+.1f s; keys keep their time to live", step_ms / 1000)
        if self._tokens.reload_if_changed():
            self._apply_tokens()
        if self._certificate is not None:
            self._certificate.reload_if_changed()
        self.engine.check_folder()
        if self._parts.services.watches.feed_count:
            self._parts.context.tick.run(self._tell_quiet_watches, None)
        if self.telemetry.storage_failure is not None or self.engine.failure is not None:
            self._parts.context.tick.probe()
        if self._parts.outside.has_more:
            self._parts.outside.collect()
        if self._notices is not None:
            self._notices.look(self._loop.time())
        if self._garbage is not None:
            self._garbage.collect_if_due()
        loop = self._parts.context.loop
        self._probe_timer = loop.call_later(seconds_to_next(loop.time()), self._every_second)

    def _apply_tokens(self) -> None:
        """Give every connection and session the present rights of its token."""
        self._parts.context.views.keep(self._tokens.grants)
        if self._shared is not None:
            self._shared.keep(self._tokens.grants)
        self._parts.services.watches.forget_positions()
        self._parts.context.registry.update_grant(self._tokens.current_grant)
        self._parts.sessions.table.change_rights(
            self._tokens.current_grant, self._parts.context.tick.now
        )

    def _wake(self) -> None:
        """Collect changes by others; called in the engine's thread, which may outlive the loop."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._collect_outside)

    def _collect_outside(self) -> None:
        """Collect changes by others, but not before `start` has loaded everything."""
        if self._outside is not None:
            self._outside.collect()

    def _tell_quiet_watches(self, _message: None, now: int) -> None:
        self._parts.services.watches.tell_quiet(now)

    def _evict_excess(self, _message: None, _now: int) -> None:
        with suppress(WriteRefusedError):  # the next write tries again
            self.store.evict_excess()
