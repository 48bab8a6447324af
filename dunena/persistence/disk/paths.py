"""The absolute path of the folder, and the properties of its file system."""

import os
import sys
from pathlib import Path

PRIVATE_FOLDER = ".dunena"
"""Name of the folder for everything that is not a value."""


def extended(path: Path) -> Path:
    r"""Return the absolute path without links, on Windows with the prefix for long paths.

    On Windows only a path that begins with ``\\?\`` may be longer than MAX_PATH, 260 characters;
    the file name of a key alone may have 255.
    """
    absolute = path.resolve()
    if sys.platform == "win32" and not str(absolute).startswith("\\\\"):
        return Path(f"\\\\?\\{absolute}")
    return absolute


def folds_case(folder: Path) -> bool:
    """Return whether the file system of a writable folder takes ``A`` and ``a`` for one name."""
    probe = folder / f"Case-{os.getpid()}"
    probe.touch()
    try:
        return probe.with_name(probe.name.lower()).exists()
    finally:
        probe.unlink(missing_ok=True)


def file_system_of(path: str) -> str:
    """Return Linux's name for the type of file system that a path is on; "" if unknown."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except OSError:
        return ""
    best, kind = "", ""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        if len(fields) < 5 or not right:  # proc(5): the fifth field is the mount point
            continue
        point = fields[4].replace("\\040", " ")
        is_above = path == point or path.startswith(point.rstrip("/") + "/")
        if is_above and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return kind
