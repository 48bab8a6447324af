"""Writing a file that has its name only when it is complete."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from dunena.cli.failure import fail
from dunena.client.errors import NoAnswerError
from dunena.plain_files import FileKind, kind_at


def refuse_existing(path: Path, *, force: bool) -> None:
    """End the program if there is a file already, unless it may be replaced."""
    kind = kind_at(str(path))
    if kind is None or (force and kind is FileKind.FILE):
        return
    if kind is FileKind.FILE:
        fail(f"{path} exists already; --force replaces it")
    fail(f"{path} is {kind}, not a plain file")


@contextmanager
def write_new(path: Path) -> Iterator[IO[bytes]]:
    """Open a file beside ``path`` for writing and reading; give it that name at the end.

    It is on the device then. What is raised meanwhile removes it; a kill leaves it with `.part` at
    the end of its name. End the program if it cannot be written.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with draft.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        _remove(draft)
        if isinstance(error, NoAnswerError):  # of the server that the content comes from
            raise
        fail(f"{path} cannot be written: {error.strerror or error}")
    except BaseException:
        _remove(draft)
        raise


def _remove(draft: Path) -> None:
    with suppress(OSError):
        draft.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Force the folder's list of names to the device, where the system has a way."""
    if sys.platform == "win32":
        return
    with suppress(OSError):  # some file systems do not permit it
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
