"""`dunena serve`."""

import asyncio
import logging
from pathlib import Path
from typing import Annotated

from typer import BadParameter, Option

from dunena.cli.failure import fail
from dunena.dialects.dialect import Dialect
from dunena.persistence.disk.policy import Fsync
from dunena.settings import DEFAULT_HOST, DEFAULT_PORT, LogFormat, LogLevel, Settings
from dunena.store.limits import VALUE_BYTES_MAX, Limits

_log = logging.getLogger(__name__)


def serve(
    host: Annotated[
        str, Option(envvar="DUNENA_HOST", help="Address to listen on; 0.0.0.0 for all.")
    ] = DEFAULT_HOST,
    port: Annotated[
        int, Option(envvar="DUNENA_PORT", min=0, max=65535, help="Port; 0 takes a free one.")
    ] = DEFAULT_PORT,
    cache_dir: Annotated[
        Path | None,
        Option(
            envvar="CACHE_DIR", file_okay=False, help="Folder for the values.  [default: .cache]"
        ),
    ] = None,
    protocol: Annotated[
        Dialect, Option(envvar="DUNENA_PROTOCOL", help="What /ws speaks without a hint.")
    ] = Dialect.AUTO,
    token: Annotated[
        str | None,
        Option(
            envvar="DUNENA_AUTH_TOKEN", show_envvar=True, help="Let in only who knows this token."
        ),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        Option(
            envvar="DUNENA_ALLOW_ORIGIN",
            help="Let in pages of this origin too; may be repeated. null: pages opened from disk.",
        ),
    ] = None,
    fsync: Annotated[
        Fsync, Option(envvar="DUNENA_FSYNC", help="When writes are forced to the device.")
    ] = Fsync.EVERYSEC,
    no_watch: Annotated[
        bool,
        Option("--no-watch", envvar="DUNENA_NO_WATCH", help="Leave files edited by hand alone."),
    ] = False,
    max_value: Annotated[
        int, Option(envvar="DUNENA_MAX_VALUE", min=1, help="Largest value, bytes.")
    ] = VALUE_BYTES_MAX,
    no_persist: Annotated[
        bool, Option("--no-persist", envvar="DUNENA_NO_PERSIST", help="Keep nothing on disk.")
    ] = False,
    rate: Annotated[
        int,
        Option(envvar="DUNENA_RATE", min=0, help="Messages a second per connection; 0: any."),
    ] = 0,
    log_level: Annotated[LogLevel, Option(envvar="DUNENA_LOG_LEVEL")] = LogLevel.INFO,
    log_format: Annotated[LogFormat, Option(envvar="DUNENA_LOG_FORMAT")] = LogFormat.TEXT,
    tls_cert: Annotated[
        Path | None,
        Option(envvar="DUNENA_TLS_CERT", dir_okay=False, help="Certificate chain, PEM."),
    ] = None,
    tls_key: Annotated[
        Path | None, Option(envvar="DUNENA_TLS_KEY", dir_okay=False, help="Its private key, PEM.")
    ] = None,
) -> None:
    """Run the server.

    Example: dunena serve --port 8080 --cache-dir ./values
    """
    from dunena.folder import DataFolder, default_folder
    from dunena.logs import set_up_logging

    if token == "":
        raise BadParameter("an empty token lets everybody in; leave it out", param_hint="--token")
    if (tls_cert is None) != (tls_key is None):
        raise BadParameter("--tls-cert and --tls-key go together", param_hint="--tls-cert")
    set_up_logging(log_level, log_format)
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
        allow_origins=_origins(allow_origin or []),
        fsync=fsync,
        watch=not no_watch,
        limits=Limits(value_bytes_max=max_value),
        rate_per_second=rate,
        tls_cert=tls_cert,
        tls_key=tls_key,
    )
    run_server(settings, [folder.note] if folder is not None and folder.note else [])


def run_server(settings: Settings, notes: list[str]) -> None:
    """Run until a signal; exit with 1 and one line if it cannot start."""
    from dunena.server.app import StartError

    try:
        asyncio.run(_serve(settings, notes))
    except StartError as error:
        fail(str(error))


def _origins(values: list[str]) -> frozenset[str]:
    """Origins as a browser sends them: without a slash at the end; commas may stand between."""
    return frozenset(
        origin.strip().rstrip("/")
        for value in values
        for origin in value.split(",")
        if origin.strip()
    )


async def _serve(settings: Settings, notes: list[str]) -> None:
    from dunena.cli.banner import banner
    from dunena.server.app import Server
    from dunena.server.signals import on_stop_signal

    server = Server(settings)
    await server.start()
    # From here on a second Ctrl+C is the same as the first: the stop is never cut short.
    on_stop_signal(asyncio.get_running_loop(), server.request_stop)
    print(banner(settings, server.port, server.store.entry_count, notes), flush=True)
    if not settings.is_loopback and settings.token is None:
        _log.warning("everyone who can reach %s can read and write: set --token", settings.host)
    await server.serve_until_stopped()
    print("Stopped.", flush=True)
