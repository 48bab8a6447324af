"""The examination of `dunena doctor` of the folder of values, one function for each thing."""

import errno
import shutil
from pathlib import Path

from dunena.cli.finding import Finding, Level
from dunena.desktop.folder import existing
from dunena.persistence.policy import WatchMode
from dunena.settings import Settings

SYNCS = 5
SLOW_SYNC_SECONDS = 0.1
FREE_BYTES_MIN = 100_000_000


def examine_folder(settings: Settings, *, is_running: bool) -> list[Finding]:
    """Examine whether values can be stored in their folder, and how fast the disk syncs.

    ``is_running``: the very server that is asked about runs.
    """
    from dunena.persistence.folder import sync_seconds

    folder = settings.cache_dir
    if folder is None:
        return [Finding(Level.GOOD, "folder", "none: nothing is kept on disk")]
    at = existing(folder)
    try:
        times = sync_seconds(at, SYNCS)
    except OSError as error:
        advice = write_advice(error, "--cache-dir")
        text = f"{folder} cannot be written ({error.strerror})"
        return [Finding(Level.BAD, "folder", text, advice), *_format(folder)]
    return [
        _use(folder, is_running=is_running),
        *_format(folder),
        _disk(times),
        _space(at),
        _hand_edits(at, settings.watch),
    ]


def write_advice(error: OSError, flag: str) -> str:
    """Return what to do about a folder that cannot be written, which ``flag`` names."""
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return f"make room, or give a folder on another disk with {flag}"
    return f"give another folder with {flag}, or let this user write there"


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


def _format(folder: Path) -> list[Finding]:
    """Examine the format of the folder, if a server has used it."""
    from dunena.persistence.folder import find_version
    from dunena.persistence.interface import FormatError

    about = "folder format"
    try:
        version = find_version(folder)
    except FormatError as error:
        advice = f"{error.advice}, or give another folder with --cache-dir"
        return [Finding(Level.BAD, about, error.text, advice)]
    except OSError as error:
        return [Finding(Level.BAD, about, f"it cannot be read ({error.strerror})")]
    if version is None:
        return []
    if version == 0:
        return [Finding(Level.GOOD, about, "not recorded yet: the next start does it")]
    return [Finding(Level.GOOD, about, f"{version}, which this dunena knows")]


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
