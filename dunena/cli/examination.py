"""The examination of `dunena doctor`: one function for each thing it examines."""

import asyncio
import errno
import os
import platform
import sys
import time
from collections.abc import Mapping

from dunena import __version__
from dunena.cli.finding import Finding, Level
from dunena.cli.folder_examination import examine_folder, write_advice
from dunena.desktop.folder import existing
from dunena.setting_table import Row, rows
from dunena.settings import Settings, describe_settings

CLOCK_MIN = 1_700_000_000  # a machine without a clock battery starts in 1970


def examine(
    settings: Settings, sources: Mapping[str, str | None], folder_note: str = ""
) -> list[Finding]:
    """Examine everything and return the findings in the order in which they are shown.

    ``sources`` maps the label of each setting to the flag or variable that gave it, or to None.
    ``folder_note`` says why the folder is not the expected one, or is empty.
    """
    port = _port(settings)
    is_running = port.level is Level.BAD and _runs_there(settings)
    if is_running:
        port = Finding(Level.NOTE, "port", f"{settings.port} is that server's")
    return [
        Finding(Level.GOOD, "version", f"dunena {__version__}, Python {platform.python_version()}"),
        Finding(Level.GOOD, "platform", f"{_system()}, {os.cpu_count()} cores"),
        _given(settings, sources),
        *([Finding(Level.NOTE, "default folder", folder_note)] if folder_note else []),
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
        return examine_folder(settings, is_running=is_running)
    from dunena.cli.store_examination import examine_shared_store

    wanted = settings.limits.value_bytes_max if sources["max-value"] else 0
    return examine_shared_store(settings.store, wanted)


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
        sync_seconds(existing(folder), 1)
    except TextFolderError as error:
        return [Finding(Level.BAD, about, str(error))]
    except OSError as error:
        advice = write_advice(error, "--text-dir")
        text = f"{folder} cannot be written ({error.strerror})"
        return [Finding(Level.BAD, about, text, advice)]
    how = "can be written" if folder.is_dir() else "will be made"
    return [Finding(Level.GOOD, about, f"{folder} {how}")]


def _clock(now: float) -> Finding:
    shown = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(now))
    if now >= CLOCK_MIN:
        return Finding(Level.GOOD, "clock", shown)
    return Finding(Level.BAD, "clock", shown, "set it: keys expire by this clock")
