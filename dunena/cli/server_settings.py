"""`Settings` made from given values, whoever read them, and what contradicts in them.

Without typer: a plain start of a server does without it (`plain_serve`).
"""

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from dunena.persistence.policy import StoreSettings, WatchMode
from dunena.setting_table import (
    AUTO_LOOP,
    DEFAULTS,
    MAKE_SECRET,
    STANDARD_LOOP,
    GivenSettings,
    rows,
)
from dunena.settings import Settings
from dunena.store.limits import Limits


class SettingError(Exception):
    """A setting that cannot be; the text says why, and ``flag`` names its option."""

    def __init__(self, reason: str, *, flag: str) -> None:
        super().__init__(reason)
        self.flag = flag


def settings_of(
    given: GivenSettings,
    cache_dir: Path | None,
    www: Path | None,
    sources: Mapping[str, str | None] | None = None,
) -> Settings:
    """Make a server's settings; raise `SettingError` for settings that contradict each other.

    ``cache_dir`` and ``www`` are the folders to use, defaults applied; None is for none. With a
    store that is shared there is no folder for the values. ``sources`` has for the name of each
    setting the option or variable that gave it, or None; it is None for settings nobody typed.
    """
    if given.token == "":
        raise SettingError("an empty token lets everybody in; leave it out", flag="--token")
    if given.host == "":
        raise SettingError("an empty address is none; :: is for all", flag="--host")
    _check_get_writes(given)
    if (given.tls_cert is None) != (given.tls_key is None):
        raise SettingError("--tls-cert and --tls-key go together", flag="--tls-cert")
    store = _store(given, sources or {})
    return Settings(
        host=given.host,
        port=given.port,
        cache_dir=cache_dir if store is None else None,
        dialect=given.protocol,
        token=given.token,
        tokens=given.tokens,
        get_writes=given.get_writes,
        allow_hosts=_hosts(given.allow_host or []),
        allow_origins=_origins(given.allow_origin or []),
        fsync=given.fsync,
        watch=WatchMode.OFF if given.no_watch else given.watch,
        limits=Limits(
            value_bytes_max=given.max_value,
            entries_max=given.max_entries,
            memory_bytes_max=given.max_memory,
            eviction=given.eviction,
        ),
        default_ttl_ms=given.default_ttl,
        history_values_max=given.history,
        rate_per_second=given.rate,
        connections_per_address_max=given.max_connections_per_address,
        proxies=_networks(given.proxy_header or ""),
        compression=given.compression,
        event_loop=_event_loop(given.event_loop),
        www=www,
        text_dir=given.text_dir,
        text_keys=_text_keys(given),
        log_level=given.log_level,
        log_format=given.log_format,
        tls_cert=given.tls_cert,
        tls_key=given.tls_key,
        store=store,
    )


def _store(given: GivenSettings, sources: Mapping[str, str | None]) -> StoreSettings | None:
    """Make the settings of a shared store; None without one; raise `SettingError`."""
    names = [row.name for row in rows().values() if row.held_as.startswith("store.")]
    if all(getattr(given, name) == getattr(DEFAULTS, name) for name in names):
        return None
    from dunena.cli.store_options import store_of  # most servers have none

    return store_of(given, sources)


def _text_keys(given: GivenSettings) -> tuple[str, ...]:
    """Split patterns at commas; raise `SettingError` for wrong ones, or without a folder."""
    values = given.text_keys or []
    patterns = tuple(one.strip() for value in values for one in value.split(",") if one.strip())
    if (given.text_dir is None) != (not patterns):
        missing = "--text-dir" if patterns else "--text-keys"
        raise SettingError("--text-dir and --text-keys go together", flag=missing)
    if patterns:
        from dunena.server.text_files.selection import SelectionError, read_patterns

        try:
            read_patterns(patterns)
        except SelectionError as error:
            raise SettingError(str(error), flag="--text-keys") from None
    return patterns


def _event_loop(text: str) -> str:
    """Return the name of an event loop; raise `SettingError` for what cannot be one."""
    if text in (AUTO_LOOP, STANDARD_LOOP):
        return text
    module, colon, function = text.partition(":")
    if not (colon and function.isidentifier() and all(map(str.isidentifier, module.split(".")))):
        reason = f"{text} is not auto, standard or MODULE:FUNCTION, such as uvloop:new_event_loop"
        raise SettingError(reason, flag="--event-loop")
    return text


def _check_get_writes(given: GivenSettings) -> None:
    from dunena.server.access.get_secret import SECRET_FORM, is_get_secret

    secret = given.get_writes
    if secret is None or secret == MAKE_SECRET:
        return
    if not is_get_secret(secret):
        reason = f"a secret has {SECRET_FORM}; --get-writes alone makes one"
        raise SettingError(reason, flag="--get-writes")
    if secret == given.token:
        raise SettingError("the token must not stand in addresses", flag="--get-writes")


def _origins(values: list[str]) -> frozenset[str]:
    """Split origins at commas; return each as typed and without a slash at its end.

    A URL in a browser ends with a slash, its origin does not. `file://` keeps its slashes.
    """
    typed = {name.strip() for value in values for name in value.split(",")} - {""}
    bare = {name.removesuffix("/") for name in typed if not name.endswith("//")}
    return frozenset(typed | bare) - {""}


def _hosts(values: list[str]) -> frozenset[str]:
    """Split host names at commas; return them as `_host` does."""
    typed = {name.strip() for value in values for name in value.split(",")} - {""}
    return frozenset(map(_host, typed))


def _host(typed: str) -> str:
    """Return a host name in lower case without a final dot, or "*" as it is.

    Raise `SettingError` for what no name in a Host header is equal to, such as a URL.
    """
    from dunena.server.access.authority import read_host

    name = typed.rstrip(".").lower()
    if name == "*":
        return name
    bare = re.sub(r"^[a-z]+://", "", name)
    bare = re.split("[/?#]", bare, maxsplit=1)[0]
    authority = read_host(bare) or read_host(f"[{bare}]")
    host = "" if authority is None else authority.host.rstrip(".")
    if not host:
        reason = f"{typed} is no host name; one is like show.example, and * is every name"
        raise SettingError(reason, flag="--allow-host")
    if host != name:
        raise SettingError(f"{typed} is more than a name; write {host}", flag="--allow-host")
    return host


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(part, strict=False) for part in text.replace(",", " ").split())
    except ValueError as error:
        raise SettingError(str(error), flag="--proxy-header") from None
