"""The one way a file of ours comes to be: written beside, then moved into place."""

import itertools
import os
import sys
from contextlib import suppress
from pathlib import Path

_numbers = itertools.count()


def extended(path: Path) -> Path:
    r"""An absolute path without links, that may be longer than 260 characters on Windows.

    There, only a path behind ``\\?\`` escapes MAX_PATH; a key's file name alone may have 255.
    """
    absolute = path.resolve()
    if sys.platform == "win32" and not str(absolute).startswith("\\\\"):
        return Path(f"\\\\?\\{absolute}")
    return absolute


def replace_file(path: Path, content: bytes, temporary: Path, *, force: bool = False) -> None:
    """Make ``path`` hold ``content``: a reader sees the old file or the new one, never a part.

    ``temporary`` is a folder on the same file system. With ``force`` the content and the name are
    on the device when it returns. Raises OSError, and then ``path`` is as it was.
    """
    draft = temporary / f"{os.getpid()}-{next(_numbers)}.tmp"
    try:
        with draft.open("wb") as file:
            file.write(content)
            if force:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    if force:
        force_folder(path.parent)


def force_folder(folder: Path) -> None:
    """Force the names in a folder to the device, where a system can (Windows does by itself)."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def folds_case(folder: Path) -> bool:
    """Whether the file system of a writable folder takes ``A`` and ``a`` for one name."""
    probe = folder / f"Case-{os.getpid()}"
    probe.touch()
    try:
        return probe.with_name(probe.name.lower()).exists()
    finally:
        probe.unlink(missing_ok=True)
