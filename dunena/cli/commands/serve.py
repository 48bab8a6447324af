"""`dunena serve`."""

import logging
import os
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated

from typer import BadParameter, Context, Option

from dunena.cli.start_mode import TYPED, StartMode
from dunena.dialects.dialect import Dialect
from dunena.persistence.policy import Fsync, Watch
from dunena.server.limits import CONNECTIONS_PER_ADDRESS_MAX
from dunena.settings import DEFAULT_HOST, DEFAULT_PORT, EventLoop, LogFormat, LogLevel, Settings
from dunena.store.limits import VALUE_BYTES_MAX, Eviction, Limits

_log = logging.getLogger(__name__)

Flag = partial(Option, show_envvar=False)
"""An option whose variable goes by the rule that the help gives, so that the help fits a screen."""


def serve(
    context: Context,
    host: Annotated[
        str,
        Flag(envvar="DUNENA_HOST", help="Address to listen on; :: for all."),
    ] = DEFAULT_HOST,
    port: Annotated[
        int, Flag(envvar="DUNENA_PORT", min=0, max=65535, help="Port; 0 takes a free one.")
    ] = DEFAULT_PORT,
    cache_dir: Annotated[
        Path | None,
        Flag(envvar="CACHE_DIR", file_okay=False, help="Folder for the values.  [default: .cache]"),
    ] = None,
    protocol: Annotated[
        Dialect, Flag(envvar="DUNENA_PROTOCOL", help="What /ws speaks without a hint.")
    ] = Dialect.AUTO,
    token: Annotated[
        str | None,
        Flag(envvar="DUNENA_AUTH_TOKEN", help="Let in only who knows this token."),
    ] = None,
    tokens: Annotated[
        Path | None,
        Flag(envvar="DUNENA_TOKENS", dir_okay=False, help="File of tokens with their rights."),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        Flag(
            envvar="DUNENA_ALLOW_ORIGIN",
            help="Let in pages of this origin too; may be repeated. null: pages opened from disk.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        Flag(
            envvar="DUNENA_ALLOW_HOST",
            help="Answer to this name too; may be repeated. *: to all names.",
        ),
    ] = None,
    fsync: Annotated[
        Fsync, Flag(envvar="DUNENA_FSYNC", help="When writes are forced to the device.")
    ] = Fsync.EVERYSEC,
    watch: Annotated[
        Watch, Flag(envvar="DUNENA_WATCH", help="How files edited by hand are learnt of.")
    ] = Watch.AUTO,
    no_watch: Annotated[
        bool,
        Flag("--no-watch", envvar="DUNENA_NO_WATCH", help="The same as --watch off."),
    ] = False,
    max_value: Annotated[
        int, Flag(envvar="DUNENA_MAX_VALUE", min=1, help="Largest value, bytes.")
    ] = VALUE_BYTES_MAX,
    max_entries: Annotated[
        int, Flag(envvar="DUNENA_MAX_ENTRIES", min=0, help="Most keys; 0: any.")
    ] = 0,
    max_memory: Annotated[
        int,
        Flag(envvar="DUNENA_MAX_MEMORY", min=0, help="Most bytes stored; 0: any."),
    ] = 0,
    eviction: Annotated[
        Eviction,
        Flag(
            envvar="DUNENA_EVICTION", help="A full store refuses, or deletes what is unused (lru)."
        ),
    ] = Eviction.NONE,
    default_ttl: Annotated[
        int,
        Flag(envvar="DUNENA_DEFAULT_TTL", min=0, help="Expiry if none is set, ms."),
    ] = 0,
    no_persist: Annotated[
        bool, Flag("--no-persist", envvar="DUNENA_NO_PERSIST", help="Keep nothing on disk.")
    ] = False,
    rate: Annotated[
        int,
        Flag(envvar="DUNENA_RATE", min=0, help="Messages a second per connection; 0: any."),
    ] = 0,
    max_connections_per_address: Annotated[
        int,
        Flag(
            envvar="DUNENA_MAX_CONNECTIONS_PER_ADDRESS",
            min=0,
            help="Connections of one other machine; 0: any.",
        ),
    ] = CONNECTIONS_PER_ADDRESS_MAX,
    proxy_header: Annotated[
        str | None,
        Flag(
            envvar="DUNENA_PROXY_HEADER",
            metavar="ADDRESSES",
            help="Believe X-Forwarded-For from these addresses or networks.",
        ),
    ] = None,
    compression: Annotated[
        bool,
        Flag("--compression", envvar="DUNENA_COMPRESSION", help="Compress messages (WebSocket)."),
    ] = False,
    event_loop: Annotated[
        EventLoop, Flag(envvar="DUNENA_EVENT_LOOP", help="auto: uvloop where it is installed.")
    ] = EventLoop.AUTO,
    www: Annotated[
        Path | None,
        Flag(
            envvar="DUNENA_WWW",
            exists=True,
            file_okay=False,
            help="Folder of your own pages, served at /www/.",
        ),
    ] = None,
    log_level: Annotated[
        LogLevel, Flag(envvar="DUNENA_LOG_LEVEL", help="Log this and worse.")
    ] = LogLevel.INFO,
    log_format: Annotated[
        LogFormat, Flag(envvar="DUNENA_LOG_FORMAT", help="Form of log lines.")
    ] = LogFormat.TEXT,
    tls_cert: Annotated[
        Path | None,
        Flag(envvar="DUNENA_TLS_CERT", dir_okay=False, help="Certificate chain, PEM."),
    ] = None,
    tls_key: Annotated[
        Path | None, Flag(envvar="DUNENA_TLS_KEY", dir_okay=False, help="Its private key, PEM.")
    ] = None,
) -> None:
    """Run the server.

    Each option has a variable: --max-value is DUNENA_MAX_VALUE. The two whose name
    differs are CACHE_DIR and DUNENA_AUTH_TOKEN.

    Example: dunena serve --port 8080 --cache-dir ./values
    """
    from dunena.cli.original import advice
    from dunena.cli.running import run_server
    from dunena.desktop.folder import DataFolder, default_folder, own_pages
    from dunena.logs import set_up_logging

    if token == "":
        raise BadParameter("an empty token lets everybody in; leave it out", param_hint="--token")
    if (tls_cert is None) != (tls_key is None):
        raise BadParameter("--tls-cert and --tls-key go together", param_hint="--tls-cert")
    set_up_logging(log_level, log_format)
    for line in advice(os.environ, says_eviction=_is_chosen(context, "eviction")):
        _log.warning(line)
    if no_persist:
        folder = None
    elif cache_dir is not None:
        folder = DataFolder(cache_dir)
    else:
        folder = default_folder()
    settings = Settings(
        host=host,
        port=port,
        cache_dir=None if folder is None else folder.path,
        dialect=protocol,
        token=token,
        tokens=tokens,
        allow_hosts=_hosts(allow_host or []),
        allow_origins=_origins(allow_origin or []),
        fsync=fsync,
        watch=Watch.OFF if no_watch else watch,
        limits=Limits(
            value_bytes_max=max_value,
            entries_max=max_entries,
            memory_bytes_max=max_memory,
            eviction=eviction,
        ),
        default_ttl_ms=default_ttl,
        rate_per_second=rate,
        connections_per_address_max=max_connections_per_address,
        proxies=_networks(proxy_header or ""),
        compression=compression,
        event_loop=event_loop,
        www=own_pages() if www is None else www,
        tls_cert=tls_cert,
        tls_key=tls_key,
    )
    start_mode = context.obj if isinstance(context.obj, StartMode) else TYPED
    run_server(settings, start_mode, [folder.note] if folder is not None and folder.note else [])


def _is_chosen(context: Context, name: str) -> bool:
    """Whether an option is on the command line or in the environment."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _origins(values: list[str]) -> frozenset[str]:
    """Origins as they are sent; commas may stand between.

    Each as it was typed, and without the slash at its end that an address in a browser has and its
    origin has not. In `file://` the slashes are no such end.
    """
    typed = {name.strip() for value in values for name in value.split(",")} - {""}
    bare = {name.removesuffix("/") for name in typed if not name.endswith("//")}
    return frozenset(typed | bare) - {""}


def _hosts(values: list[str]) -> frozenset[str]:
    """Host names without their port; commas may stand between."""
    names = (name.strip() for value in values for name in value.split(","))
    return frozenset(name.rstrip(".").lower() for name in names if name)


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(part, strict=False) for part in text.replace(",", " ").split())
    except ValueError as error:
        raise BadParameter(str(error), param_hint="--proxy-header") from None
