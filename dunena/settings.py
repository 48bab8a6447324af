"""What the server runs with: flags and environment made into one frozen object.

The command line fills it (`dunena.cli.commands.serve`); defaults stand here once. A flag beats its
environment variable, which beats the default.
"""

from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path

from dunena.dialects.dialect import Dialect
from dunena.persistence.policy import Fsync, Watch
from dunena.store.limits import Limits

DEFAULT_HOST = "localhost"
DEFAULT_PORT = 3000


class LogLevel(Enum):
    """The least important lines that are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    WARN = "warn"
    """The same; the original dunena spells it so."""
    ERROR = "error"


class LogFormat(Enum):
    """How a log line is written."""

    TEXT = "text"
    JSON = "json"


class EventLoop(Enum):
    """What the server runs on; AUTO takes uvloop where it is installed."""

    AUTO = "auto"
    STANDARD = "standard"


@dataclass(frozen=True, slots=True)
class Settings:
    """One server's settings.

    ``host`` "localhost" is both loopback addresses, "::" every address; ``port`` 0 lets the system
    choose; ``cache_dir`` None keeps nothing; ``allow_hosts`` are lower-case names that requests may
    be meant for, or "*"; ``allow_origins`` are origins as browsers send them, "null" and "*" among
    them; ``tokens`` is a file of more of them (`dunena.server.access.tokens`); ``default_ttl_ms``
    is for what is set without a ttl, 0 for no expiry; ``rate_per_second`` is messages per
    connection, 0 for no limit; ``connections_per_address_max`` likewise; ``proxies`` are believed
    about whom they speak for; ``compression`` is WebSocket's permessage-deflate; ``www`` is a
    folder of pages to serve, None for none.
    """

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    cache_dir: Path | None = None
    dialect: Dialect = Dialect.AUTO
    token: str | None = None
    tokens: Path | None = None
    allow_hosts: frozenset[str] = frozenset()
    allow_origins: frozenset[str] = frozenset()
    fsync: Fsync = Fsync.EVERYSEC
    watch: Watch = Watch.AUTO
    limits: Limits = field(default_factory=Limits)
    default_ttl_ms: int = 0
    rate_per_second: int = 0
    connections_per_address_max: int = 0
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    compression: bool = False
    event_loop: EventLoop = EventLoop.AUTO
    www: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can reach the server."""
        return is_loopback_host(self.host)

    @property
    def has_token(self) -> bool:
        """Whether nobody is let in without one."""
        return self.token is not None or self.tokens is not None

    @property
    def is_encrypted(self) -> bool:
        """Whether it speaks TLS."""
        return self.tls_cert is not None


ANY_HOSTS = frozenset({"0.0.0.0", "::", ""})


def local_host(host: str) -> str:
    """The host part of a URL that reaches a server bound to ``host`` from this machine.

    A name for both kinds of addresses only where both are listened on (`dunena.server.listeners`).
    """
    if host == "0.0.0.0":
        return "127.0.0.1"
    if host in ANY_HOSTS:
        return DEFAULT_HOST
    return f"[{host}]" if ":" in host else host


@lru_cache(maxsize=256)
def is_loopback_host(host: str) -> bool:
    """Whether a host name or address, without port, means this machine.

    Names below ``localhost`` are loopback too (RFC 6761, 6.3).
    """
    name = host.removeprefix("[").removesuffix("]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
