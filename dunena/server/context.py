"""The objects of a server that each of its connections uses."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dunena.dialects.conversation import Conversation
from dunena.dialects.output import Output
from dunena.dialects.views import Views
from dunena.server.access.admission import Admission
from dunena.server.access.peers import Proxies
from dunena.server.access.refusals import Refusals
from dunena.server.bulk import Bulk
from dunena.server.compression import Compressors
from dunena.server.http.known_heads import KnownHeads
from dunena.server.outbox import Outbox
from dunena.server.paced import PacedOutbox, Pacer
from dunena.server.quick_answers import QuickAnswers
from dunena.server.registry import Registry
from dunena.server.routes import Routes
from dunena.server.sessions import Sessions
from dunena.server.tick import Tick
from dunena.settings import Settings
from dunena.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Context:
    """The objects of one server that its connections use.

    ``new_id`` makes a client's id; ``date`` returns the present value of the Date header;
    ``new_conversation`` makes the conversation of a WebSocket, ``new_receiver`` what receives its
    messages; None for a receiver that answers each at once. ``heads`` are the header blocks that
    were sent before. ``quick`` answers the requests of HTTP that are asked most; None to let the
    routes answer all.
    """

    loop: asyncio.AbstractEventLoop
    settings: Settings
    views: Views
    tick: Tick
    sessions: Sessions
    bulk: Bulk
    admission: Admission
    routes: Routes
    registry: Registry
    refusals: Refusals
    proxies: Proxies
    telemetry: Telemetry
    compressors: Compressors
    pacer: Pacer
    new_id: Callable[[], str]
    date: Callable[[], str]
    new_conversation: Callable[..., Conversation] = Conversation
    new_receiver: Callable[..., Any] | None = None
    heads: KnownHeads = field(default_factory=KnownHeads)
    quick: QuickAnswers | None = None

    def pace(self, output: Output, interval_ms: float) -> PacedOutbox:
        """Make the subscriber of a connection's watch that wants so many ms between updates."""
        assert isinstance(output, Outbox), "what connections give to their subscriptions"
        return PacedOutbox(
            output, self.tick.schedule_flush, self.telemetry, self.pacer, interval_ms
        )
