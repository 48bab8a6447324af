"""The log lines about refused clients: each client once, with what a person can do about it.

The names come from clients: a name is cut, shown with escapes, and offered as an option to copy
only if the option accepts it and it is harmless in a shell. A name is logged once an hour, and of
each kind a limited number, so that made-up names cannot flood the log.
"""

import logging
import re
import time
from collections.abc import Callable

from dunena.server.access.null_origin import DISK_ORIGINS
from dunena.server.shortage import Shortage
from dunena.settings import Settings, local_host

PERIOD_SECONDS = 3600.0
NAMES_MAX = 100
"""Names of one kind that are logged in an hour: more than a person wants to admit."""

NAME_CHARS_MAX = 200
"""Length at which a shown name is cut: any real origin or host is shorter."""

# A scheme and an authority (RFC 6454, 6.2), which is empty for `file://` and the like.
_ORIGIN_OPTION = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[A-Za-z0-9._:\[\]-]*/?").fullmatch
_HOST_OPTION = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9._:-]*").fullmatch

_log = logging.getLogger(__name__)


class Refusals:
    """Writes the log lines of one server, which listens on ``port``; any thread may call it.

    ``shortage`` is told of connections above the limit of all together.
    """

    def __init__(
        self,
        settings: Settings,
        port: int,
        clock_seconds: Callable[[], float] = time.monotonic,
        shortage: Shortage | None = None,
    ) -> None:
        self._settings = settings
        self._port = port
        self._clock_seconds = clock_seconds
        self._shortage = shortage or Shortage(clock_seconds)
        self._told: dict[str, set[str]] = {}
        self._forgets_at = 0.0

    def tell_origin(self, origin: str) -> None:
        """Log that a page of an origin was refused."""
        if origin in DISK_ORIGINS:
            scheme = "https" if self._settings.is_encrypted else "http"
            url = f"{scheme}://{local_host(self._settings.host)}:{self._port}"
            self._tell(
                "page from disk",
                origin,
                f'a page opened from disk (origin "{origin}") was refused; to let such pages in:'
                f" the button on {url}/test, or {origin_option(origin)}",
            )
            return
        self._tell("origin", origin, f"a page of origin {_shown(origin)} was refused", _do(origin))

    def tell_host(self, host: str, name: str | None) -> None:
        """Log that a request was refused by its Host header; ``name`` is the host, if valid."""
        if name is not None and len(name) <= NAME_CHARS_MAX and _HOST_OPTION(name):
            remedy = f"to let it in: --allow-host {name}"
        else:
            remedy = "no option lets that in, which is no host name"
        self._tell("host", name or host, f"a request for host {_shown(name or host)} was refused",
                   remedy)  # fmt: skip

    def tell_cross_site(self, path: str) -> None:
        """Log that a page of another site requested a path without an Origin."""
        self._tell(
            "cross-site",
            path,
            f"a page of another site was refused {_shown(path)}, which it asked for without its"
            " origin",
            "to let it in: let it ask with fetch() or the attribute crossorigin, and name its"
            " origin with --allow-origin",
        )

    def tell_get_write_of_page(self, origin: str) -> None:
        """Log that a page sent a GET write; ``origin`` is its origin, or what site it is of."""
        self._tell(
            "get write",
            origin,
            f"a GET write of a page ({_shown(origin)}) was refused",
            "pages can write otherwise: with dunena.js, or with fetch() and another method",
        )

    def tell_guesser(self, group: str) -> None:
        """Log that an address presented too many wrong tokens."""
        self._tell(
            "guesser",
            group,
            f"{group} shows wrong tokens, and is slowed down",
            "if it is yours, give its programs the right one: it may try once a second",
        )

    def tell_crowd(self, group: str, connections_max: int) -> None:
        """Log that an address was refused a connection above its limit."""
        self._tell(
            "crowd",
            group,
            f"{group} has {connections_max} connections and is refused more",
            "to allow them: a larger --max-connections-per-address (0: any); if it is a proxy of"
            f" yours: --proxy-header {group}",
        )

    def tell_full(self, connections_max: int) -> None:
        """Report that a connection was refused because the server has its maximum of them."""
        self._shortage.tell(
            f"no more than {connections_max} connections: others are refused",
            "close some, or raise the limit on open files (ulimit -n) if that is what bounds them",
        )

    def tell_rate(self, group: str, rate: int) -> None:
        """Log that a client sends more messages a second than permitted."""
        self._tell(
            "rate",
            group,
            f"{group or 'a client'} sends more than {rate} messages a second, and they are refused",
            "to allow them: a larger --rate (0: any)",
        )

    def tell_slow_reader(self, host: str, what: str) -> None:
        """Log that a client was disconnected because it did not read ``what`` was sent to it."""
        text = f"a client at {_shown(host)} was disconnected: it does not read {what}"
        self._tell("slow reader", f"{host} {what}", text)

    def tell_file(self, path: str, fault: str, remedy: str) -> None:
        """Log that a path below the folder of pages was not served."""
        self._tell("file", path, f"{_shown(path)} {fault}", remedy)

    def _tell(self, kind: str, name: str, text: str, remedy: str = "") -> None:
        now = self._clock_seconds()
        if now >= self._forgets_at:
            self._told, self._forgets_at = {}, now + PERIOD_SECONDS
        told = self._told.setdefault(kind, set())
        name = name[:NAME_CHARS_MAX]
        if name in told or len(told) >= NAMES_MAX:
            return
        told.add(name)
        _log.warning("%s", f"{text}; {remedy}" if remedy else text)


def origin_option(origin: str) -> str | None:
    """Return the option that admits an origin; None if no option does that safely."""
    if origin in DISK_ORIGINS or (len(origin) <= NAME_CHARS_MAX and _ORIGIN_OPTION(origin)):
        return f"--allow-origin {origin}"
    return None


def _do(origin: str) -> str:
    option = origin_option(origin)
    return f"to let it in: {option}" if option else "no option lets that in, which is no origin"


def _shown(name: str) -> str:
    """Return a name in quotes, with escapes for unprintable characters."""
    return repr(name[:NAME_CHARS_MAX])
