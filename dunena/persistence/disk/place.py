"""The folder as a place on this machine: its whole path, and how its file system takes names."""

import os
import sys
from pathlib import Path

PRIVATE_FOLDER = ".dunena"
"""Everything in the folder that is not a value."""


def extended(path: Path) -> Path:
    r"""An absolute path without links, that may be longer than 260 characters on Windows.

    There, only a path behind ``\\?\`` escapes MAX_PATH; a key's file name alone may have 255.
    """
    absolute = path.resolve()
    if sys.platform == "win32" and not str(absolute).startswith("\\\\"):
        return Path(f"\\\\?\\{absolute}")
    return absolute


def folds_case(folder: Path) -> bool:
    """Whether the file system of a writable folder takes ``A`` and ``a`` for one name."""
    probe = folder / f"Case-{os.getpid()}"
    probe.touch()
    try:
        return probe.with_name(probe.name.lower()).exists()
    finally:
        probe.unlink(missing_ok=True)


def file_system_of(path: str) -> str:
    """The kind of file system a path is on, as Linux calls it; "" where nobody says."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except OSError:
        return ""
    best, kind = "", ""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        if len(fields) < 5 or not right:  # proc(5): the fifth is where it is mounted
            continue
        point = fields[4].replace("\\040", " ")
        is_above = path == point or path.startswith(point.rstrip("/") + "/")
        if is_above and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return kind
