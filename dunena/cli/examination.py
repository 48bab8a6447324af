"""The examination of `dunena doctor`: one function for each thing it examines."""

import asyncio
import errno
import os
import platform
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from dunena import __version__
from dunena.cli.finding import Finding, Level
from dunena.persistence.policy import WatchMode
from dunena.setting_table import Row, rows
from dunena.settings import Settings, describe_settings

SYNCS = 5
SLOW_SYNC_SECONDS = 0.1
FREE_BYTES_MIN = 100_000_000
CLOCK_MIN = 1_700_000_000  # a machine without a clock battery starts in 1970


def examine(settings: Settings, sources: Mapping[str, str | None]) -> list[Finding]:
    """Examine everything and return the findings in the order in which they are shown.

    ``sources`` maps the label of each setting to the flag or variable that gave it, or to None.
    """
    port = _port(settings)
    is_running = port.level is Level.BAD and _runs_there(settings)
    if is_running:
        port = Finding(Level.NOTE, "port", f"{settings.port} is that server's")
    return [
        Finding(Level.GOOD, "version", f"dunena {__version__}, Python {platform.python_version()}"),
        Finding(Level.GOOD, "platform", f"{_system()}, {os.cpu_count()} cores"),
        _given(settings, sources),
        *_values(settings, sources, is_running=is_running),
        port,
        _who(settings),
        *_get_writes(settings),
        *_certificate(settings),
        _origins(settings),
        *_text_files(settings),
        _clock(time.time()),
    ]


def _given(settings: Settings, sources: Mapping[str, str | None]) -> Finding:
    """List the settings that were given, with the flag or variable of each."""
    values = describe_settings(settings)
    said = [
        f"{row.label} {_for_people(row, values[row.label])} ({sources[row.label]})"
        for row in rows().values()
        if sources[row.label] is not None
    ]
    return Finding(Level.GOOD, "settings", ", ".join(said) or "all as by default")


def _for_people(row: Row, value: object) -> str:
    """Format a setting's value with its unit; for a secret, only say that it is set."""
    if row.setting.is_secret:
        return "set"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return " ".join(map(str, value))
    return f"{value} {row.setting.unit}".rstrip()


def _system() -> str:
    if sys.platform == "win32":
        # `platform` would ask a service (WMI) that takes seconds, or hangs.
        version = sys.getwindowsversion()
        return f"Windows {version.major}.{version.minor}.{version.build}"
    return platform.platform()


def _runs_there(settings: Settings) -> bool:
    """Return whether a server with this folder runs, at this host and port."""
    from dunena.persistence.folder import find_user
    from dunena.persistence.interface import OpenError

    try:
        user = None if settings.cache_dir is None else find_user(settings.cache_dir)
    except OpenError:
        return False
    return user is not None and user.url == settings.url_at(settings.port)


def _values(
    settings: Settings, sources: Mapping[str, str | None], *, is_running: bool
) -> list[Finding]:
    """Examine where the values are: the folder, or the store that is shared."""
    if settings.store is None:
        return _folder(settings, is_running=is_running)
    from dunena.cli.store_examination import examine_shared_store

    wanted = settings.limits.value_bytes_max if sources["max-value"] else 0
    return examine_shared_store(settings.store, wanted)


def _folder(settings: Settings, *, is_running: bool) -> list[Finding]:
    """Examine whether values can be stored in their folder, and how fast the disk syncs.

    ``is_running``: the very server that is asked about runs.
    """
    from dunena.persistence.folder import sync_seconds

    folder = settings.cache_dir
    if folder is None:
        return [Finding(Level.GOOD, "folder", "none: nothing is kept on disk")]
    at = _existing(folder)
    try:
        times = sync_seconds(at, SYNCS)
    except OSError as error:
        advice = "give another folder with --cache-dir, or let this user write there"
        text = f"{folder} cannot be written ({error.strerror})"
        return [Finding(Level.BAD, "folder", text, advice)]
    return [
        _use(folder, is_running=is_running),
        _disk(times),
        _space(at),
        _hand_edits(at, settings.watch),
    ]


def _use(folder: Path, *, is_running: bool) -> Finding:
    """Examine whether a server uses the folder, which can be written."""
    from dunena.persistence.folder import find_user
    from dunena.persistence.interface import OpenError

    advice = "give another folder with --cache-dir"
    try:
        user = find_user(folder)
    except OpenError as error:
        return Finding(Level.BAD, "folder", error.reason, advice)
    if user is None:
        how = "can be written" if folder.is_dir() else "will be made"
        return Finding(Level.GOOD, "folder", f"{folder} {how}")
    text = f"{folder} is used by {f'the dunena at {user.url}' if user.url else 'another dunena'}"
    if is_running:
        return Finding(Level.NOTE, "folder", text, "a start needs that server stopped")
    return Finding(Level.BAD, "folder", text, f"stop that one, or {advice}")


def _existing(folder: Path) -> Path:
    """Return the folder, or its nearest parent that exists."""
    for one in (folder.absolute(), *folder.absolute().parents):
        if one.exists():
            return one
    return Path.cwd()


def _disk(times: list[float]) -> Finding:
    middle = sorted(times)[len(times) // 2]
    text = f"a sync takes {middle * 1000:.1f} ms"
    if middle < SLOW_SYNC_SECONDS:
        return Finding(Level.GOOD, "disk speed", text)
    advice = "--fsync always would be slow here; the default syncs in the background"
    return Finding(Level.NOTE, "disk speed", text, advice)


def _space(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e9:,.1f} GB free"
    if free >= FREE_BYTES_MIN:
        return Finding(Level.GOOD, "disk space", text)
    return Finding(Level.BAD, "disk space", text, "make room: a full disk refuses every write")


def _hand_edits(folder: Path, watch: WatchMode) -> Finding:
    """Examine how the server would notice files that others change in the folder."""
    from dunena.persistence.folder import watch_failure

    if watch is WatchMode.OFF:
        return Finding(Level.GOOD, "hand edits", "they are left alone")
    if watch is WatchMode.POLL:
        return Finding(Level.GOOD, "hand edits", "they are looked for")
    reason = watch_failure(folder, trusts_system=watch is WatchMode.NOTIFY)
    if reason is None:
        return Finding(Level.GOOD, "hand edits", "the system tells of them")
    advice = "--watch notify trusts the system all the same, --watch off leaves them alone"
    return Finding(Level.NOTE, "hand edits", f"they are looked for: {reason}", advice)


def _port(settings: Settings) -> Finding:
    from dunena.server.listeners import BindError, open_sockets
    from dunena.server.taken import is_taken

    try:
        if asyncio.run(is_taken(settings.host, settings.port)):
            raise BindError(settings.host, OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)))
        for probe in open_sockets(settings.host, settings.port):
            probe.close()
    except BindError as failure:
        return _refused_port(settings, failure.address, failure.error)
    return Finding(Level.GOOD, "port", f"{settings.port} is free at {settings.host}")


def _refused_port(settings: Settings, address: str, error: OSError) -> Finding:
    from dunena.client.is_dunena import is_dunena

    if settings.port and is_dunena(address, settings.port):
        advice = "use that one, stop it, or start another one with --port 0"
        return Finding(Level.BAD, "port", f"a dunena runs at {settings.port} already", advice)
    text = f"{settings.port} cannot be had at {address} ({error.strerror})"
    return Finding(Level.BAD, "port", text, "stop what uses it, or give another one with --port")


def _who(settings: Settings) -> Finding:
    from dunena.server.access.tokens import Tokens, TokensError

    try:
        Tokens(settings.token, settings.tokens)
    except TokensError as error:
        return Finding(Level.BAD, "who gets in", str(error), "put the file of --tokens right")
    if settings.is_loopback:
        return Finding(Level.GOOD, "who gets in", "programs of this machine")
    if settings.has_token:
        return Finding(Level.GOOD, "who gets in", f"who reaches {settings.host} and has the token")
    text = f"everyone who can reach {settings.host} can read and write"
    return Finding(Level.NOTE, "who gets in", text, "give a token with --token")


def _get_writes(settings: Settings) -> list[Finding]:
    """Examine who can learn the secret of GET writes, if they are on."""
    if settings.get_writes is None:
        return []
    if settings.is_loopback or settings.is_encrypted:
        return [Finding(Level.GOOD, "GET writes", "who has an address with the secret can write")]
    text = "who can listen to the network learns the secret in an address"
    advice = "encrypt with --tls-cert and --tls-key, or trust everyone in this network"
    return [Finding(Level.NOTE, "GET writes", text, advice)]


def _certificate(settings: Settings) -> list[Finding]:
    """Examine whether the certificate can be used, if one is given."""
    if settings.tls_cert is None:
        return []
    from dunena.server.certificate import Certificate

    try:
        Certificate(settings.tls_cert, settings.tls_key)
    except OSError as error:
        text = f"{settings.tls_cert} cannot be used: {error}"
        advice = "give a chain and its key (PEM) with --tls-cert and --tls-key"
        return [Finding(Level.BAD, "certificate", text, advice)]
    return [Finding(Level.GOOD, "certificate", f"{settings.tls_cert} can be used")]


def _origins(settings: Settings) -> Finding:
    """List the origins of web pages that are let in besides those of docs/protocols.md."""
    from dunena.server.access.refusals import origin_option

    own = "pages of this machine, of the server, and OBS's local files"
    named = [
        one
        for one in sorted(settings.allow_origins)
        # An origin that was typed with a slash at its end is in the set without it as well.
        if not (one.endswith("/") and one.removesuffix("/") in settings.allow_origins)
    ]
    wrong = [one for one in named if one not in ("null", "*") and origin_option(one) is None]
    if wrong:
        advice = "an origin is like https://example.com, without a path"
        return Finding(Level.BAD, "origins", f"no origin: {', '.join(wrong)}", advice)
    if "null" in named:
        text = f"{own}; and null, which any web site can be in a sandboxed frame"
        return Finding(Level.NOTE, "origins", text, "serve pages with --www instead of from disk")
    return Finding(Level.GOOD, "origins", ", ".join([own, *named]))


def _text_files(settings: Settings) -> list[Finding]:
    """Examine whether text files can be written, if there are to be any."""
    if settings.text_dir is None:
        return []
    from dunena.persistence.folder import sync_seconds
    from dunena.server.text_files.opening import TextFolderError, check_apart

    folder, about = settings.text_dir, "text files"
    try:
        check_apart(folder, settings.cache_dir)
        sync_seconds(_existing(folder), 1)
    except TextFolderError as error:
        return [Finding(Level.BAD, about, str(error))]
    except OSError as error:
        advice = "give another folder with --text-dir, or let this user write there"
        text = f"{folder} cannot be written ({error.strerror})"
        return [Finding(Level.BAD, about, text, advice)]
    how = "can be written" if folder.is_dir() else "will be made"
    return [Finding(Level.GOOD, about, f"{folder} {how}")]


def _clock(now: float) -> Finding:
    shown = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(now))
    if now >= CLOCK_MIN:
        return Finding(Level.GOOD, "clock", shown)
    return Finding(Level.BAD, "clock", shown, "set it: keys expire by this clock")
