"""The server: makes all of its parts, opens the port, and stops in order."""

import asyncio
import errno
import logging
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, cast

from dunena import DEFAULT_PORT, PORT_MAX
from dunena.dialects.conversation import Conversation
from dunena.dialects.remembered_answers import RememberedAnswers
from dunena.dialects.services import Services
from dunena.dialects.views import Views
from dunena.hub import Hub
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
from dunena.persistence.opening import open_engine, private_folder
from dunena.server.access.admission import Admission
from dunena.server.access.null_origin import NullOriginPolicy
from dunena.server.access.peers import Proxies
from dunena.server.access.refusals import Refusals
from dunena.server.access.tokens import Tokens, TokensError
from dunena.server.backups import Backups
from dunena.server.bulk import Bulk, letting_go
from dunena.server.certificate import Certificate
from dunena.server.clock import Clock
from dunena.server.compression import Compressors
from dunena.server.context import Context
from dunena.server.epoch import new_epoch
from dunena.server.event_loop import event_loop_name, poller_of
from dunena.server.expiry_timer import ExpiryTimer
from dunena.server.garbage import GarbageCollection
from dunena.server.http.connection import HttpConnection
from dunena.server.http.message import Response
from dunena.server.http_date import HttpDate
from dunena.server.limits import BODIES_BYTES_MAX, CONNECTIONS_MAX, MESSAGES_BYTES_MAX
from dunena.server.listeners import BindError, Listeners
from dunena.server.loading import LoadingCancelledError, load_in_thread
from dunena.server.loop_faults import LoopFaults, connections_max
from dunena.server.outside import Outside
from dunena.server.paced import Pacer
from dunena.server.quick_answers import QuickAnswers
from dunena.server.registry import Registry
from dunena.server.routes import Routes
from dunena.server.seconds import seconds_to_next
from dunena.server.sessions import Sessions
from dunena.server.sharing import Sharing
from dunena.server.shortage import Shortage
from dunena.server.static.client_files import ClientFiles
from dunena.server.static.pages import load_pages
from dunena.server.static.user_pages import UserPages
from dunena.server.status.figures import Figures
from dunena.server.status.introspection import Introspection
from dunena.server.status.metrics import Metrics
from dunena.server.status.overview import Overview
from dunena.server.taken import is_taken
from dunena.server.tick import Tick
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
    from dunena.server.access.sign_in import SignIn
    from dunena.server.shared.expiry import SharedExpiry
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

KEPT_PORTS = 100
"""Length of most ranges of ports that Windows reserves."""

Handled = tuple[
    Admission,
    Introspection,
    Metrics,
    Overview,
    dict[str, Response],
    ClientFiles,
    UserPages,
    Sharing,
    Callable[[], "SignIn"],
    Backups,
]
"""What `Routes` has besides the views."""

_log = logging.getLogger(__name__)


class StartError(Exception):
    """The server cannot start; the text is one line that says why and what to do."""


class StopError(Exception):
    """The server stopped and could not store all changes; the text is one line that says why."""


class PortBusyError(StartError):
    """Another program listens on the port at ``address``."""

    def __init__(self, reason: str, address: str) -> None:
        super().__init__(reason)
        self.address = address


class PortKeptError(PortBusyError):
    """The system has reserved the port at ``address``."""


class FolderInUseError(StartError):
    """Another server uses the data folder; ``url`` is its address, None if unknown."""

    def __init__(self, reason: str, url: str | None) -> None:
        super().__init__(reason)
        self.url = url


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
        self._context: Context
        self._services: Services
        self._sessions: Sessions
        self._listeners: Listeners
        self._sharing: Sharing
        self._expiry: ExpiryTimer | SharedExpiry
        self._outside: Outside | None = None
        self._notices: StoreNotices | None = None
        self._loaded = asyncio.Event()
        self._text_files: TextFiles | None = None
        self._tokens = Tokens()
        self._shortage = Shortage()
        self._certificate: Certificate | None = None
        self._probe_timer: asyncio.TimerHandle | None = None
        self._garbage: GarbageCollection | None = None
        self._date = HttpDate()

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
        self._tokens = self._load_tokens()
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
        self._take_get_secret()
        self._text_files = self._open_text_files()
        self._context = self._build(loop, pages, client_files)
        self._begin_text_files()
        if isinstance(self._expiry, ExpiryTimer):
            self._expiry.expire_due()
        if self.store.quota is not None and self.store.quota.evicts:
            self._context.tick.run(self._evict_excess, None)
        self._every_second()
        self._collect_outside()
        if self._text_files is not None and self._text_files.has_begun:
            await asyncio.to_thread(self._text_files.wait_for_first)
        await self._serve()
        self.engine.publish(self.url)
        if self._shared is None:
            self._context.tick.find_failure()
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
        registry, telemetry = self._context.registry, self.telemetry
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
        self._sharing.close()
        self._expiry.cancel()
        self._sessions.stop()
        if self._probe_timer is not None:
            self._probe_timer.cancel()
        self._context.tick.end()
        began_at = self._loop.time()
        close_seconds_max = STOP_SECONDS_MAX
        if self._shared is not None:
            await self._shared.drain(STOP_SECONDS_MAX / 2)
            close_seconds_max /= 2
        await self._context.registry.close(close_seconds_max)
        self._context.tick.end()
        if self._shared is not None:
            left = began_at + SHARED_STOP_SECONDS[0] - self._loop.time()
            await self._shared.end_sessions(min(SESSIONS_SECONDS_MAX, left))
        if self._text_files is not None:
            self._text_files.show_end(self._services)
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

    def _load_certificate(self) -> Certificate | None:
        chain, key = self.settings.tls_cert, self.settings.tls_key
        if chain is None:
            return None
        try:
            return Certificate(chain, key)
        except OSError as error:
            raise StartError(f"cannot use the certificate {chain}: {error}") from error

    def _load_tokens(self) -> Tokens:
        try:
            return Tokens(self.settings.token, self.settings.tokens)
        except TokensError as error:
            raise StartError(str(error)) from error

    def _take_get_secret(self) -> None:
        """Make or read the secret of GET writes, if there is to be one; raise `StartError`."""
        wanted = self.settings.get_writes
        if wanted is None:
            return
        if wanted != MAKE_SECRET:
            self._tokens.add_get_secret(wanted)
            return
        from dunena.server.access.get_secret import make_or_read_secret

        try:
            self.get_secret = make_or_read_secret(private_folder(self.settings.cache_dir))
        except OSError as error:
            self._listeners.close()
            self.engine.close()
            raise StartError(f"the secret of GET writes cannot be kept: {error}") from error
        self._tokens.add_get_secret(self.get_secret)

    def _open_text_files(self) -> "TextFiles | None":
        """Open the folder of text files, if there is to be one; raise `StartError`."""
        settings = self.settings
        if settings.text_dir is None:
            return None
        from dunena.server.text_files.opening import TextFolderError
        from dunena.server.text_files.text_files import TextFiles

        try:
            return TextFiles(
                settings.text_dir,
                settings.text_keys,
                settings.cache_dir,
                self.clock,
                are_values_kept=not settings.no_persist,
            )
        except TextFolderError as error:
            self._listeners.close()
            self.engine.close()
            raise StartError(str(error)) from error

    def _take_state(self) -> None:
        """Begin what needs all values, once they are loaded."""
        if self.is_loaded and not self._loaded.is_set():
            self._loaded.set()
            self._begin_text_files()

    def _begin_text_files(self) -> None:
        """Begin to write text files, if there are any and all values are loaded."""
        files = self._text_files
        if files is not None and self.is_loaded and not files.has_begun:
            files.begin(self._services, self._context.tick, self.telemetry)

    async def _bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Bind the port, without accepting connections yet; raise `StartError`."""
        settings = self.settings
        self._certificate = self._load_certificate()
        try:
            if await is_taken(settings.host, settings.port):
                raise BindError(settings.host, OSError(errno.EADDRINUSE, "somebody answers on it"))
            self._listeners = await Listeners.open(
                loop,
                lambda: cast("asyncio.Protocol", HttpConnection(self._context)),
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
            lambda: cast("asyncio.Protocol", HttpConnection(self._context, is_shared=True)),
            host,
            self.port,
            self._tls,
        )

    @property
    def _tls(self) -> "SSLContext | None":
        return None if self._certificate is None else self._certificate.context

    @cached_property
    def _sign_in(self) -> "SignIn":
        from dunena.server.access.sign_in import SignIn  # imported here: few servers have a use

        return SignIn(self._context.admission, self._tokens, self._sharing.urls)

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

    def _build(
        self,
        loop: asyncio.AbstractEventLoop,
        pages: dict[str, Response],
        client_files: ClientFiles,
    ) -> Context:
        """Make the context of all connections; engine and listeners must exist."""
        settings = self.settings
        shared = self._shared
        services = self._services = Services(
            self.store,
            self.store,
            Hub(),
            settings.limits,
            default_ttl_ms=settings.default_ttl_ms,
            answers=RememberedAnswers() if shared is None else shared.answers,
        )
        self.store.on_undo(services.answers.undo)
        views = Views(services)
        refusals = Refusals(settings, self.port, shortage=self._shortage)
        admission = self._build_admission(refusals)
        registry = self._build_registry(loop)
        self._sharing = Sharing(
            loop, settings, self.port, self._tokens, self._listen_also, self._apply_tokens
        )
        tick = self._build_tick(loop, services)
        self._sessions = self._build_sessions(loop, services, views, tick)
        status = self._build_status(loop, services, admission, registry)
        user_pages = UserPages.of(settings, refusals, registry)
        handled = (
            admission,
            *status,
            pages,
            client_files,
            user_pages,
            self._sharing,
            lambda: self._sign_in,
            Backups(self.store, user_pages.www, lambda: self.clock.step_ms),
        )
        return Context(
            loop=loop,
            settings=settings,
            views=views,
            tick=tick,
            sessions=self._sessions,
            bulk=self._build_bulk(loop, services, tick),
            admission=admission,
            routes=Routes(views, *handled) if shared is None else self._share(views, handled),
            registry=registry,
            refusals=refusals,
            proxies=Proxies(settings.proxies),
            telemetry=self.telemetry,
            compressors=Compressors(),
            pacer=Pacer(
                lambda: loop.time() * 1000,
                lambda at_ms, action: loop.call_at(at_ms / 1000, action),
            ),
            new_id=lambda: str(uuid.uuid4()),
            date=self._date.text,
            new_conversation=self._new_conversation,
            new_receiver=None if shared is None else shared.new_receiver,
            quick=QuickAnswers(views, admission, self._date) if shared is None else None,
        )

    def _build_sessions(
        self, loop: asyncio.AbstractEventLoop, services: Services, views: Views, tick: Tick
    ) -> Sessions:
        if self._shared is None:
            return Sessions(loop, services, views, tick, self.telemetry)
        from dunena.server.shared.sessions import SharedSessions

        return SharedSessions(
            loop,
            services,
            views,
            tick,
            self.telemetry,
            self._shared.session_table,
            self._tokens.grant_of_scope,
        )

    def _share(self, views: Views, handled: Handled) -> Routes:
        """Make the routes of a server with a log; all that changes something waits for it."""
        from dunena.server.shared.routes import SharedRoutes
        from dunena.server.shared.sessions import SharedSessions

        assert self._shared is not None
        assert isinstance(self._sessions, SharedSessions)
        routes = SharedRoutes(views, *handled)
        self._shared.attach(self._sessions, routes, Routes(self._shared.plan_views, *handled))
        return routes

    def _build_admission(self, refusals: Refusals) -> Admission:
        disk_pages = NullOriginPolicy(private_folder(self.settings.cache_dir))
        disk_pages.load()
        return Admission(
            self.settings,
            self.port,
            self.telemetry,
            disk_pages,
            tokens=self._tokens,
            refusals=refusals,
        )

    def _build_registry(self, loop: asyncio.AbstractEventLoop) -> Registry:
        message_bytes_max = self.settings.limits.message_bytes_max
        return Registry(
            loop,
            connections_max(CONNECTIONS_MAX),
            self.settings.connections_per_address_max,
            max(BODIES_BYTES_MAX, message_bytes_max),
            max(MESSAGES_BYTES_MAX, message_bytes_max),
        )

    def _build_status(
        self,
        loop: asyncio.AbstractEventLoop,
        services: Services,
        admission: Admission,
        registry: Registry,
    ) -> tuple[Introspection, Metrics, Overview]:
        """Make the parts that report the server's status."""
        settings, engine, addresses = self.settings, self.engine, self.addresses
        figures = Figures(
            services,
            engine,
            engine.disk_status,
            self.telemetry,
            self._sessions.table,
            None if self._text_files is None else self._text_files.writer,
            self.log,
            clock_ms=None if self._shared is None else self.clock,
        )
        introspection = Introspection(
            figures,
            settings,
            event_loop_name(loop),
            addresses,
            wall_step_ms=lambda: self.clock.step_ms,
            shortage=self._shortage,
            has_get_writes=lambda: self._tokens.have_get_secrets,
        )
        overview = Overview(
            settings, self.port, addresses, admission, registry, figures, self._sharing
        )
        return introspection, Metrics(figures), overview

    def _build_tick(self, loop: asyncio.AbstractEventLoop, services: Services) -> Tick:
        """Make the tick, and the timer that expires entries in it."""
        shared = self._shared
        poller = poller_of(loop)
        tick = Tick(
            services,
            self.engine,
            self.telemetry,
            call_soon=loop.call_soon,
            call_threadsafe=loop.call_soon_threadsafe,
            after_batch=None if poller is None else poller.after_batch,
            clock_ms=self.clock if shared is None else lambda: shared.log.now,
            timer_ms=lambda: time.perf_counter() * 1000,
        )
        if shared is not None:
            shared.connect(services, tick, loop.call_soon, loop.call_later, self.telemetry)
            self._expiry = shared.expiry
            return tick
        self._expiry = ExpiryTimer(loop, self.store, tick, self.telemetry)
        tick.on_commit(self._expiry.rearm)
        tick.on_undo(self._expiry.rearm)
        return tick

    def _build_bulk(self, loop: asyncio.AbstractEventLoop, services: Services, tick: Tick) -> Bulk:
        """Make the queue of long work, which is done in portions, and connect its users."""
        bulk = Bulk(loop.call_soon)
        services.hub.do_later = bulk.add
        tick.on_clear(lambda cleared: bulk.add(letting_go(cleared)))
        self._outside = Outside(self.store, self.engine, tick, bulk, self.telemetry)
        return bulk

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
        if self._services.watches.feed_count:
            self._context.tick.run(self._tell_quiet_watches, None)
        if self.telemetry.storage_failure is not None or self.engine.failure is not None:
            self._context.tick.probe()
        if self._outside is not None and self._outside.has_more:
            self._outside.collect()
        if self._notices is not None:
            self._notices.look(self._loop.time())
        if self._garbage is not None:
            self._garbage.collect_if_due()
        loop = self._context.loop
        self._probe_timer = loop.call_later(seconds_to_next(loop.time()), self._every_second)

    def _apply_tokens(self) -> None:
        """Give every connection and session the present rights of its token."""
        self._context.views.keep(self._tokens.grants)
        if self._shared is not None:
            self._shared.keep(self._tokens.grants)
        self._services.watches.forget_positions()
        self._context.registry.update_grant(self._tokens.current_grant)
        self._sessions.table.change_rights(self._tokens.current_grant, self._context.tick.now)

    def _wake(self) -> None:
        """Collect changes by others; called in the engine's thread, which may outlive the loop."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._collect_outside)

    def _collect_outside(self) -> None:
        """Collect changes by others, but not before `start` has loaded everything."""
        if self._outside is not None:
            self._outside.collect()

    def _tell_quiet_watches(self, _message: None, now: int) -> None:
        self._services.watches.tell_quiet(now)

    def _evict_excess(self, _message: None, _now: int) -> None:
        with suppress(WriteRefusedError):  # the next write tries again
            self.store.evict_excess()


def bind_failure(settings: Settings, failure: BindError) -> StartError:
    """Make the error for a port that cannot be bound: it says why and what to do."""
    error = failure.error
    where = f"port {settings.port} of {failure.address}"
    if error.errno == errno.EADDRINUSE:
        free = settings.port + (1 if settings.port < PORT_MAX else -1)
        return PortBusyError(
            f"{where} is already in use; stop what uses it, or start with --port {free}",
            failure.address,
        )
    if error.errno == errno.EACCES and sys.platform == "win32":
        away = KEPT_PORTS if settings.port + KEPT_PORTS <= PORT_MAX else -KEPT_PORTS
        return PortKeptError(
            f"{where} is kept by Windows, for Hyper-V or Docker, or by another program;"
            f" start with --port {settings.port + away}",
            failure.address,
        )
    if error.errno == errno.EACCES:
        return StartError(
            f"{where} may not be opened by this user; start with --port {DEFAULT_PORT}"
        )
    return StartError(f"cannot open {where}: {error.strerror or error}")
