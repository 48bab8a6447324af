"""What `dunena doctor` looks at, one thing after another."""

import asyncio
import errno
import os
import platform
import shutil
import sys
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dunena import __version__
from dunena.settings import is_loopback_host

SYNCS = 5
SLOW_SYNC_SECONDS = 0.1
FREE_BYTES_MIN = 100_000_000
CLOCK_MIN = 1_700_000_000  # a machine without a battery begins in 1970


class Level(StrEnum):
    """How a thing is: as it should be, worth knowing, or in the way."""

    GOOD = "ok"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing; ``advice`` says what to do about it, if anything."""

    level: Level
    about: str
    text: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a server would be started."""

    folder: Path
    host: str
    port: int
    allow_origins: tuple[str, ...]
    token: str | None


def examine(plan: Plan) -> list[Finding]:
    """Everything, in the order in which it is shown."""
    return [
        Finding(Level.GOOD, "version", f"dunena {__version__}, Python {platform.python_version()}"),
        Finding(Level.GOOD, "platform", f"{_system()}, {os.cpu_count()} cores"),
        *_folder(plan.folder),
        _port(plan),
        _who(plan),
        _origins(plan),
        _clock(time.time()),
    ]


def _system() -> str:
    if sys.platform == "win32":
        # `platform` would ask a service (WMI) that takes seconds, or hangs.
        version = sys.getwindowsversion()
        return f"Windows {version.major}.{version.minor}.{version.build}"
    return platform.platform()


def _folder(folder: Path) -> list[Finding]:
    """Whether values can be kept there, and how quickly the disk is."""
    from dunena.persistence.folder import sync_seconds

    at = _existing(folder)
    try:
        times = sync_seconds(at, SYNCS)
    except OSError as error:
        advice = "give another folder with --cache-dir, or let this user write there"
        text = f"{folder} cannot be written ({error.strerror})"
        return [Finding(Level.BAD, "folder", text, advice)]
    how = "can be written" if folder.is_dir() else "will be made"
    return [
        Finding(Level.GOOD, "folder", f"{folder} {how}"),
        _disk(times),
        _space(at),
        _hand_edits(at),
    ]


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
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


def _hand_edits(folder: Path) -> Finding:
    """Whether the system tells of files that others change in the folder."""
    from dunena.persistence.folder import watch_failure

    reason = watch_failure(folder)
    if reason is None:
        return Finding(Level.GOOD, "hand edits", "the system tells of them")
    advice = "--watch notify trusts the system all the same, --watch off leaves them alone"
    return Finding(Level.NOTE, "hand edits", f"they are looked for: {reason}", advice)


def _port(plan: Plan) -> Finding:
    from dunena.server.listeners import BindError, open_sockets
    from dunena.server.taken import is_taken

    try:
        if asyncio.run(is_taken(plan.host, plan.port)):
            raise BindError(plan.host, OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)))
        for probe in open_sockets(plan.host, plan.port):
            probe.close()
    except BindError as failure:
        return _refused_port(plan, failure.address, failure.error)
    return Finding(Level.GOOD, "port", f"{plan.port} is free at {plan.host}")


def _refused_port(plan: Plan, address: str, error: OSError) -> Finding:
    from dunena.client.is_dunena import is_dunena

    if plan.port and is_dunena(address, plan.port):
        advice = "use that one, stop it, or start another one with --port 0"
        return Finding(Level.NOTE, "port", f"a dunena runs at {plan.port} already", advice)
    text = f"{plan.port} cannot be had at {address} ({error.strerror})"
    return Finding(Level.BAD, "port", text, "stop what uses it, or give another one with --port")


def _who(plan: Plan) -> Finding:
    if is_loopback_host(plan.host):
        return Finding(Level.GOOD, "who gets in", "programs of this machine")
    if plan.token is not None:
        return Finding(Level.GOOD, "who gets in", f"who reaches {plan.host} and has the token")
    text = f"everyone who can reach {plan.host} can read and write"
    return Finding(Level.NOTE, "who gets in", text, "give a token with --token")


def _origins(plan: Plan) -> Finding:
    """Web pages; what is let in anyway is in docs/protocols.md, "Who gets in"."""
    from dunena.server.access.refusals import origin_option

    own = "pages of this machine, of the server, and OBS's local files"
    wrong = [
        one for one in plan.allow_origins if one not in ("null", "*") and origin_option(one) is None
    ]
    if wrong:
        advice = "an origin is like https://example.com, without a path"
        return Finding(Level.BAD, "origins", f"no origin: {', '.join(wrong)}", advice)
    if "null" in plan.allow_origins:
        text = f"{own}; and null, which any web site can be in a sandboxed frame"
        return Finding(Level.NOTE, "origins", text, "serve pages with --www instead of from disk")
    return Finding(Level.GOOD, "origins", ", ".join([own, *plan.allow_origins]))


def _clock(now: float) -> Finding:
    shown = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(now))
    if now >= CLOCK_MIN:
        return Finding(Level.GOOD, "clock", shown)
    return Finding(Level.BAD, "clock", shown, "set it: keys expire by this clock")
