"""The answer of `/server`, for the test page: addresses, connections and refused origins."""

from heapq import nlargest

import orjson

from dunena import NAME, __version__
from dunena.readable_text import readable_text
from dunena.server.access.admission import Admission
from dunena.server.access.null_origin import DISK_ORIGINS, NullOriginPolicy
from dunena.server.access.refusals import origin_option
from dunena.server.http.message import Request, Response
from dunena.server.registry import Registry
from dunena.server.sharing import Sharing
from dunena.server.status.figures import Figures
from dunena.server.status.moment import Moment
from dunena.settings import Settings

CONNECTIONS_SHOWN_MAX = 200
"""Connections in the answer: those with most unsent bytes come first, so slow ones are shown."""

CHANNELS_SHOWN_MAX = 200
"""Channels in the answer: those with most subscribers."""

_FIELD = "letIn"


class Overview:
    """Describes one server for the test page, and carries out the page's decision on disk pages."""

    def __init__(
        self,
        settings: Settings,
        port: int,
        addresses: tuple[str, ...],
        admission: Admission,
        registry: Registry,
        figures: Figures,
        sharing: Sharing,
    ) -> None:
        self._settings = settings
        self._port = port
        self._addresses = addresses
        self._admission = admission
        self._registry = registry
        self._figures = figures
        self._sharing = sharing

    def server(self, now: int) -> Response:
        """Answer ``GET /server``; ``now`` is in Unix ms."""
        folder = self._settings.cache_dir
        at = self._figures.at(now)
        return _json(
            {
                "name": NAME,
                "version": __version__,
                "folder": None if folder is None else readable_text(folder.absolute()),
                **self._store(at),
                "uptime": at.uptime_seconds,
                "host": self._settings.host,
                "port": self._port,
                "addresses": [*self._addresses, *self._sharing.addresses],
                "isLoopback": self._settings.is_loopback,
                "hasToken": self._settings.has_token,
                "networkUrls": self._sharing.urls(),
                "connections": self._connections(at),
                "channels": self._channels(),
                "pagesFromDisk": self._pages_from_disk(),
                "refusedOrigins": [
                    {
                        "origin": refused.origin,
                        "count": refused.count,
                        "lastAt": refused.last_at_ms,
                        "option": origin_option(refused.origin),
                    }
                    for refused in self._admission.refused_origins()
                ],
            }
        )

    def decide_on_disk_pages(self, request: Request, let_in: object) -> Response:
        """Answer ``POST /pages-from-disk``: admit or refuse pages opened from disk from now on."""
        refusal = self._admission.refusal_of_decision(request)
        if refusal is not None:
            return refusal
        if not isinstance(let_in, bool):
            return Response.error(400, f"{_FIELD} must be a boolean")
        pages = self._admission.disk_pages
        if pages.always:
            return Response.error(409, "Pages opened from disk are let in by --allow-origin")
        try:
            pages.choose(let_in=let_in)
        except OSError as error:
            return Response.error(507, f"The decision could not be kept: {error.strerror}")
        if not let_in:
            for origin in DISK_ORIGINS:
                if not self._admission.allows_origin(origin, None):
                    self._registry.abort_origin(origin)
        return _json(self._pages_from_disk())

    def _connections(self, at: Moment) -> dict[str, object]:
        facts = sorted(self._registry.facts(), key=lambda one: one.unsent_bytes, reverse=True)
        streams = at.value("connections", "event-stream")
        return {
            "webSocket": at.value("websocket_connections"),
            "eventStream": streams,
            "http": at.value("connections", "http"),
            "shown": [
                {
                    "address": one.address,
                    "origin": one.origin,
                    "program": one.program,
                    "dialect": one.dialect,
                    "token": one.token,
                    "subscriptions": one.subscriptions,
                    "session": one.session,
                    "sessionName": one.session_name,
                    "unsentBytes": one.unsent_bytes,
                }
                for one in facts[:CONNECTIONS_SHOWN_MAX]
            ],
        }

    def _store(self, at: Moment) -> dict[str, object]:
        """Describe the store that is shared with other servers; empty without one."""
        if at.shared is None:
            return {}
        return {"store": at.shared.describe(self._settings.bucket, at.value("revision"))}

    def _channels(self) -> dict[str, object]:
        hub = self._figures.services.hub
        shown = nlargest(CHANNELS_SHOWN_MAX, hub.channels(), key=len)
        return {
            "subscribed": hub.channel_count,
            "shown": [{"channel": one.name, "subscribers": len(one)} for one in shown],
        }

    def _pages_from_disk(self) -> dict[str, object]:
        pages: NullOriginPolicy = self._admission.disk_pages
        return {
            "letIn": pages.are_let_in,
            "always": pages.always,
            "remembered": pages.is_remembered,
            "refused": self._admission.refusals_from_disk(),
            "file": pages.shown_file,
        }


def _json(body: dict[str, object]) -> Response:
    return Response(200, orjson.dumps(body))
