"""Running a server from its start to its stop, typed as a command or started by a click."""

import asyncio
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from dunena import PORT_MAX
from dunena.cli.banner import banner
from dunena.cli.code import show_code
from dunena.cli.failure import EXIT_FAILED
from dunena.cli.late_modules import HTTP_API, import_late_modules
from dunena.cli.loading_progress import LoadingProgress
from dunena.cli.start_mode import StartMode
from dunena.desktop.onefile import OneFileLife, is_apart, unpacked_folder
from dunena.desktop.terminal import say, shows_codes, wait_for_key
from dunena.persistence.interface import OpenError
from dunena.server.addresses import network_urls
from dunena.server.app import Server, StopError
from dunena.server.event_loop import EventLoopError, event_loop_factory
from dunena.server.loading import LoadingCancelledError
from dunena.server.signals import StopSignals
from dunena.server.start_errors import (
    KEPT_PORTS,
    FolderInUseError,
    PortBusyError,
    PortKeptError,
    StartError,
)
from dunena.setting_table import DEFAULTS
from dunena.settings import Settings, local_host

if TYPE_CHECKING:
    from dunena.persistence.log import Log

PORTS_TRIED_MAX = 20
"""Ports that are tried one after another from the wanted one on."""

LOAD_SECONDS_MAX = 3.0
"""How long the banner waits for the values of a shared store, to say how many there are."""

STEPS_TRIED_MAX = 10
"""Ports that are tried past those, in steps of the blocks that Windows may reserve."""

SWITCH_SECONDS = 0.0005
"""How long a thread that computes keeps the interpreter while the event loop waits for it: Python's
own 5 ms would delay the requests of that time each time that a file is written or examined."""

_log = logging.getLogger(__name__)


class _RunningAlready(Exception):  # noqa: N818 - it is no error to the person who clicked
    """The start was given up because a dunena runs already; ``url`` is where it answers."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


def run_server(settings: Settings, start_mode: StartMode, notes: list[str]) -> None:
    """Run a server until it is told to stop.

    ``notes`` are lines for the banner. Print one line and exit with code 1 if the
    server cannot start, or cannot store everything when it stops.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        factory = event_loop_factory(settings.event_loop, is_encrypted=settings.is_encrypted)
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(_run(settings, start_mode, notes))
    except _RunningAlready as running:
        say(f"dunena is running already, at {running.url}/test\nThis page is opened now.")
        _open_page(running.url)
        wait_for_key()
    except (StartError, EventLoopError) as error:
        say(f"dunena: {error}", error=True)
        if start_mode.keeps_window:
            wait_for_key()
        sys.exit(EXIT_FAILED)
    except StopError as error:
        say(f"dunena: {error}", error=True)
        sys.exit(EXIT_FAILED)


async def _run(settings: Settings, start_mode: StartMode, notes: list[str]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = StopSignals(loop, stop.set)

    def parent_gone() -> None:
        with suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(stop.set)

    folder = unpacked_folder()
    life = None
    if folder is not None:
        life = OneFileLife(folder, parent_gone)
        life.start()
    try:
        server = await _start(settings, start_mode, notes, stop.is_set)
        server.time_collections()
        # Clients are served meanwhile. The banner comes after it: a person who reads it may remove
        # the file that the program was started from.
        await asyncio.to_thread(load_rest, is_everything=is_apart())
        if server.log is not None:
            await _check_store(server, server.log, stop)
        _greet(server, notes)
        if start_mode.opens_page:
            await asyncio.to_thread(_open_page, server.url)
        await asyncio.to_thread(load_http_api)
        await stop.wait()
        await server.stop()
        say("Stopped.")
    except LoadingCancelledError:
        say("Stopped.")
    finally:
        signals.ended()
        if life is not None:
            life.end()


async def _start(
    settings: Settings, start_mode: StartMode, notes: list[str], is_cancelled: Callable[[], bool]
) -> Server:
    """Start a server and return it; on another port if the start mode allows that.

    Raise `StartError` if it cannot start, `_RunningAlready` if another dunena serves already.
    """
    for port in ports_to_try(settings.port, start_mode):
        server = _make_server(replace(settings, port=port))
        try:
            with LoadingProgress() as progress:
                await server.start(progress, is_cancelled)
        except PortBusyError as error:
            if not start_mode.finds_port:
                raise
            is_kept = isinstance(error, PortKeptError)
            if not is_kept and await _is_dunena(error.address, port):
                raise _RunningAlready(f"http://{local_host(settings.host)}:{port}") from None
        except FolderInUseError as error:
            if start_mode.opens_page and error.url:
                raise _RunningAlready(error.url) from None
            raise
        else:
            if port != settings.port:
                notes.append(f"port {settings.port} is used by another program, so it is {port}")
            return server
    raise StartError(
        f"port {settings.port} and the {PORTS_TRIED_MAX - 1} after it are in use;"
        " stop what uses them, or start with: dunena serve --port 0"
    )


def _make_server(settings: Settings) -> Server:
    """Make a server; raise `StartError` if its store cannot be opened."""
    store = settings.store
    if store is None:
        return Server(settings)
    from dunena.persistence.jetstream.opening import open_log  # most servers have none

    try:
        return Server(settings, open_log=partial(open_log, store))
    except OpenError as error:
        raise StartError(error.reason) from error


async def _check_store(server: Server, log: "Log", stop: asyncio.Event) -> None:
    """Wait a moment for the values of a shared store; raise `StartError` if it is not fit.

    A server that is told to stop does not wait. One whose store does not answer runs, and waits for
    it in the background.
    """
    tasks = [asyncio.create_task(one) for one in (stop.wait(), server.wait_until_loaded())]
    await asyncio.wait(tasks, timeout=LOAD_SECONDS_MAX, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    wanted = server.settings.limits.value_bytes_max
    if server.is_loaded and DEFAULTS.max_value != wanted > log.value_bytes_max:
        await server.stop()
        raise StartError(
            f"--max-value {wanted} is more than the store takes, {log.value_bytes_max} bytes;"
            f" give a lower one, or set max_payload at the NATS servers"
        )


def ports_to_try(wanted: int, start_mode: StartMode) -> Iterator[int]:
    """Yield the wanted port, then the ports that the start mode allows instead of it."""
    yield wanted
    if start_mode.finds_port:
        nearby = range(1, PORTS_TRIED_MAX)
        steps = range(KEPT_PORTS, KEPT_PORTS * STEPS_TRIED_MAX + 1, KEPT_PORTS)
        yield from (wanted + away for away in (*nearby, *steps) if wanted + away <= PORT_MAX)


async def _is_dunena(host: str, port: int) -> bool:
    from dunena.client.is_dunena import is_dunena

    return await asyncio.to_thread(is_dunena, host, port)


def _greet(server: Server, notes: list[str]) -> None:
    settings = server.settings
    page = "www/" if settings.www else "test"
    phones = [f"{base}/{page}" for base in network_urls(settings, server.port)]
    refused = server.storage_failure
    if refused is not None:
        notes = [*notes, f"every change is refused for now: {refused}"]
    say(
        banner(
            settings,
            server.url,
            server.addresses,
            server.store.entry_count if server.is_loaded else None,
            notes,
            server.get_secret,
            phones,
            takes_changes=refused is None,
        )
    )
    if phones and shows_codes():
        show_code(phones[0])
    if not settings.is_loopback and not settings.has_token:
        _log.warning("everyone who can reach %s can read and write: set --token", settings.host)


def _open_page(url: str) -> None:
    from dunena.desktop.browser import open_page

    open_page(f"{url}/test")


def load_rest(*, is_everything: bool) -> None:
    """Import what the server needs for clients but not for listening.

    With ``is_everything``, import also what is otherwise imported when it is first needed
    (`late_modules`).
    """
    _try(partial(_import_rest, is_everything=is_everything))


def load_http_api() -> None:
    """Import what requests of ``/kv`` need: the first one would make all others wait for it."""
    _try(_import_http_api)


def _try(load: Callable[[], None]) -> None:
    try:
        load()
    except (OSError, ImportError) as error:
        # Clients that came at once may have taken all descriptors. It is tried again when needed.
        _log.warning("not everything could be loaded at the start: %s", error)


def _import_http_api() -> None:
    for name in HTTP_API:
        import_module(name)


def _import_rest(*, is_everything: bool) -> None:
    import dunena.server.http.upgrade  # noqa: F401

    if is_everything:
        import_late_modules()
