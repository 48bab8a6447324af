"""The settings of a server as one frozen object.

The command line makes it (`dunena.cli.setting_options`); its defaults are those of the table of
settings (`dunena.setting_table`). An option overrides its environment variable, which overrides the
default.
"""

from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from operator import attrgetter
from pathlib import Path
from typing import Any

from dunena import DEFAULT_HOST
from dunena.dialects.dialect import Dialect
from dunena.persistence.policy import Fsync, StoreSettings, WatchMode
from dunena.readable_text import readable_text
from dunena.setting_table import DEFAULTS, LogFormat, LogLevel, Row, rows
from dunena.store.limits import Limits


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one server.

    ``host``: "localhost" for both loopback addresses, "::" for every address.
    ``port``: 0 lets the system choose one.
    ``cache_dir``: the folder for the values; None stores nothing on disk.
    ``tokens``: a file of tokens besides ``token`` (`dunena.server.access.tokens`).
    ``get_writes``: the secret in the addresses of GET writes; "auto" makes one, None has none.
    ``allow_origins``: origins as browsers send them, "null" and "*" among them.
    ``allow_hosts``: lower-case names that a request's Host may have, or "*".
    ``default_ttl_ms``: for writes without a ttl; 0 for no expiry.
    ``history_values_max``: earlier values kept of each key, in memory; 0 for none.
    ``rate_per_second``: messages of one connection; 0 for no limit.
    ``connections_per_address_max``: connections of one other machine; 0 for no limit.
    ``proxies``: networks whose X-Forwarded-For headers are trusted.
    ``compression``: whether the WebSocket extension permessage-deflate is offered.
    ``event_loop``: "auto", "standard", or ``MODULE:FUNCTION`` that makes one.
    ``www``: a folder of pages to serve; None for none yet.
    ``new_www``: where a folder of pages may be made if there is none; None for nowhere. It is no
    setting of its own.
    ``text_dir``: a folder for text files of ``text_keys``
    (`dunena.server.text_files.selection`); None for none.
    ``store``: the store that the server shares with others, ``cache_dir`` being None then; None for
    a server of its own.
    """

    host: str = DEFAULTS.host
    port: int = DEFAULTS.port
    cache_dir: Path | None = DEFAULTS.cache_dir
    dialect: Dialect = DEFAULTS.protocol
    token: str | None = DEFAULTS.token
    tokens: Path | None = DEFAULTS.tokens
    get_writes: str | None = DEFAULTS.get_writes
    allow_hosts: frozenset[str] = frozenset()
    allow_origins: frozenset[str] = frozenset()
    fsync: Fsync = DEFAULTS.fsync
    watch: WatchMode = DEFAULTS.watch
    limits: Limits = field(default_factory=Limits)
    default_ttl_ms: int = DEFAULTS.default_ttl
    history_values_max: int = DEFAULTS.history
    rate_per_second: int = DEFAULTS.rate
    connections_per_address_max: int = DEFAULTS.max_connections_per_address
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    compression: bool = DEFAULTS.compression
    event_loop: str = DEFAULTS.event_loop
    www: Path | None = DEFAULTS.www
    new_www: Path | None = None
    text_dir: Path | None = DEFAULTS.text_dir
    text_keys: tuple[str, ...] = ()
    log_level: LogLevel = DEFAULTS.log_level
    log_format: LogFormat = DEFAULTS.log_format
    tls_cert: Path | None = DEFAULTS.tls_cert
    tls_key: Path | None = DEFAULTS.tls_key
    store: StoreSettings | None = None

    @property
    def no_persist(self) -> bool:
        """Whether nothing is kept: neither on disk nor in a store."""
        return self.cache_dir is None and self.store is None

    @property
    def bucket(self) -> str | None:
        """The bucket of the shared store; None without one."""
        return None if self.store is None else self.store.bucket

    @property
    def no_watch(self) -> bool:
        """Whether files edited by hand are ignored."""
        return self.watch is WatchMode.OFF

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can reach the server."""
        return is_loopback_host(self.host)

    @property
    def has_token(self) -> bool:
        """Whether every client needs a token."""
        return self.token is not None or self.tokens is not None

    @property
    def is_encrypted(self) -> bool:
        """Whether the server speaks TLS."""
        return self.tls_cert is not None

    def url_at(self, port: int) -> str:
        """Where a program on this machine reaches a server at ``port``, without a final slash."""
        scheme = "https" if self.is_encrypted else "http"
        return f"{scheme}://{local_host(self.host)}:{port}"


def describe_settings(settings: Settings) -> dict[str, object]:
    """Return the value of every setting as JSON types, by the name of its option without dashes.

    A secret's value is whether it is set.
    """
    return {row.label: _described(row, held_value(settings, row)) for row in rows().values()}


def held_value(settings: Settings, row: Row) -> Any:
    """Return the value of a setting; its default if it is about a store and there is none."""
    part, dot, _ = row.held_as.partition(".")
    if dot and getattr(settings, part) is None:
        return row.default
    return attrgetter(row.held_as)(settings)


def _described(row: Row, value: object) -> object:
    if row.setting.is_secret:
        return value is not None
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [readable_text(one) for one in value]
    return readable_text(value) if isinstance(value, Path) else value


ANY_HOSTS = frozenset({"0.0.0.0", "::", ""})


def local_host(host: str) -> str:
    """Return the host part of a URL that reaches a server bound to ``host`` from this machine.

    It is "localhost" only if the server listens on IPv4 and IPv6 (`dunena.server.listeners`), as
    the name stands for both.
    """
    if host == "0.0.0.0":
        return "127.0.0.1"
    if host in ANY_HOSTS:
        return DEFAULT_HOST
    return f"[{host}]" if ":" in host else host


@lru_cache(maxsize=256)
def is_loopback_host(host: str) -> bool:
    """Return whether a host name or address, without port, stands for this machine.

    Names below ``localhost`` are loopback names too (RFC 6761, 6.3).
    """
    name = host.removeprefix("[").removesuffix("]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
