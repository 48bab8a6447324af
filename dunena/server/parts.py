"""The parts of a server, made and put together once its port is bound and its engine is open."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import TYPE_CHECKING

from dunena.dialects.conversation import Conversation
from dunena.dialects.remembered_answers import RememberedAnswers
from dunena.dialects.services import Services
from dunena.dialects.views import Views
from dunena.hub import Hub
from dunena.persistence.interface import Engine
from dunena.persistence.opening import private_folder
from dunena.server.access.admission import Admission
from dunena.server.access.null_origin import NullOriginPolicy
from dunena.server.access.peers import Proxies
from dunena.server.access.refusals import Refusals
from dunena.server.access.tokens import Tokens
from dunena.server.backups import Backups
from dunena.server.bulk import Bulk, letting_go
from dunena.server.clock import Clock
from dunena.server.compression import Compressors
from dunena.server.context import Context
from dunena.server.event_loop import event_loop_name, poller_of
from dunena.server.expiry_timer import ExpiryTimer
from dunena.server.http.message import Response
from dunena.server.http_date import HttpDate
from dunena.server.limits import BODIES_BYTES_MAX, CONNECTIONS_MAX, MESSAGES_BYTES_MAX
from dunena.server.listeners import Listeners
from dunena.server.loop_faults import connections_max
from dunena.server.outside import Outside
from dunena.server.paced import Pacer
from dunena.server.quick_answers import QuickAnswers
from dunena.server.registry import Registry
from dunena.server.routes import Routes
from dunena.server.sessions import Sessions
from dunena.server.sharing import Sharing
from dunena.server.shortage import Shortage
from dunena.server.static.client_files import ClientFiles
from dunena.server.static.user_pages import UserPages
from dunena.server.status.figures import Figures
from dunena.server.status.introspection import Introspection
from dunena.server.status.metrics import Metrics
from dunena.server.status.overview import Overview
from dunena.server.tick import Tick
from dunena.settings import Settings
from dunena.store.store import Store
from dunena.telemetry import Telemetry

if TYPE_CHECKING:
    from dunena.server.access.sign_in import SignIn
    from dunena.server.shared.expiry import SharedExpiry
    from dunena.server.shared.opening import SharedParts
    from dunena.server.text_files.text_files import TextFiles

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


class ServerParts:
    """What a server starts, runs and stops; ``context`` has what its connections use of it.

    ``shared`` has the parts of a server with a log, ``text_files`` those that write text files;
    None without. ``listen_also`` binds the port at another address, ``apply_tokens`` is called
    when tokens have changed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settings: Settings,
        store: Store,
        engine: Engine,
        listeners: Listeners,
        *,
        tokens: Tokens,
        clock: Clock,
        telemetry: Telemetry,
        shortage: Shortage,
        pages: dict[str, Response],
        client_files: ClientFiles,
        shared: "SharedParts | None",
        text_files: "TextFiles | None",
        new_conversation: Callable[..., Conversation],
        listen_also: Callable[[str], Awaitable[Listeners]],
        apply_tokens: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._settings = settings
        self._store = store
        self._engine = engine
        self._port = listeners.port
        self._addresses = listeners.addresses
        self._tokens = tokens
        self._clock = clock
        self._telemetry = telemetry
        self._shortage = shortage
        self._shared = shared
        self._text_files = text_files
        self.services = services = Services(
            store,
            store,
            Hub(),
            settings.limits,
            default_ttl_ms=settings.default_ttl_ms,
            answers=RememberedAnswers() if shared is None else shared.answers,
        )
        store.on_undo(services.answers.undo)
        views = Views(services)
        refusals = Refusals(settings, self._port, shortage=shortage)
        admission = self._make_admission(refusals)
        registry = self._make_registry()
        self.sharing = Sharing(loop, settings, self._port, tokens, listen_also, apply_tokens)
        tick = self._make_tick()
        self.expiry: ExpiryTimer | SharedExpiry = self._make_expiry(tick)
        self.sessions = self._make_sessions(views, tick)
        status = self._make_status(admission, registry)
        user_pages = UserPages.of(settings, refusals, registry)
        bulk = self._make_bulk(tick)
        self.outside = Outside(store, engine, tick, bulk, telemetry)
        handled = (
            admission,
            *status,
            pages,
            client_files,
            user_pages,
            self.sharing,
            lambda: self._sign_in,
            Backups(store, user_pages.www, lambda: clock.step_ms),
        )
        date = HttpDate()
        self.context = Context(
            loop=loop,
            settings=settings,
            views=views,
            tick=tick,
            sessions=self.sessions,
            bulk=bulk,
            admission=admission,
            routes=Routes(views, *handled) if shared is None else self._share(views, handled),
            registry=registry,
            refusals=refusals,
            proxies=Proxies(settings.proxies),
            telemetry=telemetry,
            compressors=Compressors(),
            pacer=Pacer(
                lambda: loop.time() * 1000,
                lambda at_ms, action: loop.call_at(at_ms / 1000, action),
            ),
            new_id=lambda: str(uuid.uuid4()),
            date=date.text,
            new_conversation=new_conversation,
            new_receiver=None if shared is None else shared.new_receiver,
            quick=QuickAnswers(views, admission, date) if shared is None else None,
        )

    @cached_property
    def _sign_in(self) -> "SignIn":
        from dunena.server.access.sign_in import SignIn  # imported here: few servers have a use

        return SignIn(self.context.admission, self._tokens, self.sharing.urls)

    def _make_sessions(self, views: Views, tick: Tick) -> Sessions:
        if self._shared is None:
            return Sessions(self._loop, self.services, views, tick, self._telemetry)
        from dunena.server.shared.sessions import SharedSessions

        return SharedSessions(
            self._loop,
            self.services,
            views,
            tick,
            self._telemetry,
            self._shared.session_table,
            self._tokens.grant_of_scope,
        )

    def _share(self, views: Views, handled: Handled) -> Routes:
        """Make the routes of a server with a log; all that changes something waits for it."""
        from dunena.server.shared.routes import SharedRoutes
        from dunena.server.shared.sessions import SharedSessions

        assert self._shared is not None
        assert isinstance(self.sessions, SharedSessions)
        routes = SharedRoutes(views, *handled)
        self._shared.attach(self.sessions, routes, Routes(self._shared.plan_views, *handled))
        return routes

    def _make_admission(self, refusals: Refusals) -> Admission:
        disk_pages = NullOriginPolicy(private_folder(self._settings.cache_dir))
        disk_pages.load()
        return Admission(
            self._settings,
            self._port,
            self._telemetry,
            disk_pages,
            tokens=self._tokens,
            refusals=refusals,
        )

    def _make_registry(self) -> Registry:
        message_bytes_max = self._settings.limits.message_bytes_max
        return Registry(
            self._loop,
            connections_max(CONNECTIONS_MAX),
            self._settings.connections_per_address_max,
            max(BODIES_BYTES_MAX, message_bytes_max),
            max(MESSAGES_BYTES_MAX, message_bytes_max),
        )

    def _make_status(
        self, admission: Admission, registry: Registry
    ) -> tuple[Introspection, Metrics, Overview]:
        """Make the parts that report the server's status."""
        settings, engine, shared = self._settings, self._engine, self._shared
        figures = Figures(
            self.services,
            engine,
            engine.disk_status,
            self._telemetry,
            self.sessions.table,
            None if self._text_files is None else self._text_files.writer,
            None if shared is None else shared.log,
            clock_ms=None if shared is None else self._clock,
        )
        introspection = Introspection(
            figures,
            settings,
            event_loop_name(self._loop),
            self._addresses,
            wall_step_ms=lambda: self._clock.step_ms,
            shortage=self._shortage,
            has_get_writes=lambda: self._tokens.have_get_secrets,
        )
        overview = Overview(
            settings, self._port, self._addresses, admission, registry, figures, self.sharing
        )
        return introspection, Metrics(figures), overview

    def _make_tick(self) -> Tick:
        loop, shared = self._loop, self._shared
        poller = poller_of(loop)
        return Tick(
            self.services,
            self._engine,
            self._telemetry,
            call_soon=loop.call_soon,
            call_threadsafe=loop.call_soon_threadsafe,
            after_batch=None if poller is None else poller.after_batch,
            clock_ms=self._clock if shared is None else lambda: shared.log.now,
            timer_ms=lambda: time.perf_counter() * 1000,
        )

    def _make_expiry(self, tick: Tick) -> "ExpiryTimer | SharedExpiry":
        """Make what expires entries in the tick; with a log, connect the tick with that first."""
        loop, shared = self._loop, self._shared
        if shared is not None:
            shared.connect(self.services, tick, loop.call_soon, loop.call_later, self._telemetry)
            return shared.expiry
        expiry = ExpiryTimer(loop, self._store, tick, self._telemetry)
        tick.on_commit(expiry.rearm)
        tick.on_undo(expiry.rearm)
        return expiry

    def _make_bulk(self, tick: Tick) -> Bulk:
        """Make the queue of long work, which is done in portions, and connect its users."""
        bulk = Bulk(self._loop.call_soon)
        self.services.hub.do_later = bulk.add
        tick.on_clear(lambda cleared: bulk.add(letting_go(cleared)))
        return bulk
