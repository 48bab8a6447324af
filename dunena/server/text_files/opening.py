"""Opening the folder of text files: it must be apart from the values, and no other server's."""

from pathlib import Path

from filelock import FileLock, Timeout

from dunena.persistence.file_system import RealDisk, extended, folds_case, join
from dunena.server.text_files.folder import OWN_FOLDER, TextFolder

_LOCK_FILE = "lock"


class TextFolderError(Exception):
    """The folder cannot be used; the text is one line that says why and what to do."""


def check_apart(folder: Path, cache_dir: Path | None) -> None:
    """Raise `TextFolderError` if a folder is, contains or is in that of the values."""
    if cache_dir is None:
        return
    one, other = extended(folder), extended(cache_dir)
    if one == other or one in other.parents or other in one.parents:
        raise TextFolderError(
            f"{folder} and the folder of the values, {cache_dir}, must not contain one another:"
            " give another one with --text-dir"
        )


def open_folder(folder: Path, cache_dir: Path | None) -> tuple[TextFolder, FileLock]:
    """Make and lock the folder; raise `TextFolderError`. Whoever is done releases the lock."""
    check_apart(folder, cache_dir)
    disk, root = RealDisk(), str(extended(folder))
    private = join(root, OWN_FOLDER)
    lock = FileLock(join(private, _LOCK_FILE), thread_local=False)
    try:
        disk.make_root(root)
        disk.make_folder(private)
        lock.acquire(blocking=False)
        opened = TextFolder(disk, root, folds_case=folds_case(Path(private)))
        opened.open()
    except Timeout:
        raise TextFolderError(
            f"another dunena writes text files into {folder}: give another folder with --text-dir"
        ) from None
    except OSError as error:
        lock.release()
        raise TextFolderError(
            f"text files cannot be written into {folder} ({error.strerror or error}):"
            " give another folder with --text-dir, or let this user write there"
        ) from error
    return opened, lock
