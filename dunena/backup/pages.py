"""The files of a folder of pages, for a backup and from one."""

import filecmp
import os
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path
from typing import IO, Final

from dunena.backup.writing import Page
from dunena.backup.zip_stream import FILE_BYTES_MAX
from dunena.plain_files import open_plain
from dunena.readable_text import readable_text
from dunena.windows_names import is_plain_name

PAGES_MAX: Final = 100_000
"""Files of a folder of pages that a backup has; a folder with more is not one of pages."""

PIECE_BYTES: Final = 64 * 1024
"""Bytes read of a file at once: a thread that deflates them takes a millisecond or two."""

FOLDERS_DEEP_MAX: Final = 32

DRAFT_BEGINNING: Final = ".restoring-"
ASIDE_ENDING: Final = ".before-restore"


def read_pages(root: Path) -> Iterator[Page]:
    """Yield the files of a folder that its server shows: none that is hidden or behind a link.

    They are up to `PAGES_MAX`. The first file beyond these, a folder below
    `FOLDERS_DEEP_MAX` others and what has a name that is not UTF-8 are yielded as pages that cannot
    be read, so that the backup names them.
    """
    folders = [("", 0)]
    count = 0
    while folders:
        folder, depth = folders.pop(0)
        try:
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except OSError:
            continue  # of a folder that may not be read no file is shown either
        for entry in entries:
            if not is_plain_name(entry.name):
                readable = readable_text(entry.name)
                if is_plain_name(readable) and not entry.is_symlink():
                    yield Page(f"{folder}{readable}", _refused("the name is not valid UTF-8"))
                continue
            name = f"{folder}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if depth < FOLDERS_DEEP_MAX:
                    folders.append((f"{name}/", depth + 1))
                else:
                    yield Page(name, _refused(f"below {FOLDERS_DEEP_MAX} other folders"))
            elif entry.is_file(follow_symlinks=False):
                count += 1
                if count > PAGES_MAX:
                    reason = f"it and what follows are more than {PAGES_MAX:,} files"
                    yield Page(name, _refused(reason))
                    return
                yield Page(name, _pieces(root / name))


def write_page(root: Path, name: str, pieces: Iterable[bytes]) -> bool:
    """Write a page of a backup into a folder; return whether that changed anything.

    A file with another content that is there is kept beside it, under a name with `ASIDE_ENDING`
    that none has yet. Raise `OSError`; ``name`` has been checked.
    """
    path = root / name
    if not path.parent.resolve().is_relative_to(root.resolve()):
        raise OSError(None, "a link leads out of the folder", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    with _new_draft(path.parent) as file:
        draft = Path(file.name)
        try:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            file.close()  # Windows removes no open file
            draft.unlink(missing_ok=True)
            raise
    if path.is_file() and filecmp.cmp(path, draft, shallow=False):
        draft.unlink()
        return False
    if path.exists():
        path.replace(_free_aside(path))
    draft.replace(path)
    return True


def _new_draft(folder: Path) -> IO[bytes]:
    """Make a hidden file, which is in no backup and is not served; nothing that is there is it."""
    number = 1
    while True:
        name = f"{DRAFT_BEGINNING}{os.getpid()}-{number}"
        try:
            return (folder / name).open("xb")
        except FileExistsError:
            number += 1


def _free_aside(path: Path) -> Path:
    """Return the path under which a file is kept: from the second on with a number at its end."""
    aside, number = path.with_name(path.name + ASIDE_ENDING), 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.name}{ASIDE_ENDING}-{number}")
    return aside


def _refused(reason: str) -> Iterator[bytes]:
    raise OSError(None, reason)
    yield b""


def _pieces(path: Path) -> Iterator[bytes]:
    descriptor, status = open_plain(str(path), follow=False)
    with FileIO(descriptor) as file:
        if status.st_size > FILE_BYTES_MAX:
            raise OSError(None, f"more than {FILE_BYTES_MAX:,} bytes", str(path))
        left = status.st_size
        while left and (piece := file.read(min(PIECE_BYTES, left))):
            left -= len(piece)
            yield piece
