"""Where values are kept, and pages found, when nobody says where."""

import sys
from dataclasses import dataclass
from pathlib import Path

from dunena import DEFAULT_FOLDER

PAGES_NAME = "www"


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A folder to keep values in; ``note`` says why it is not the expected one, or is empty."""

    path: Path
    note: str = ""


def default_folder(base: Path | None = None) -> DataFolder:
    """`.cache` beside the executable, or in the current folder when run from source or pip.

    If it cannot be written: a folder in the user's data folder.
    """
    expected = (base or _base()) / DEFAULT_FOLDER
    if _is_writable(expected):
        return DataFolder(expected)
    from platformdirs import user_data_path  # seldom needed, and every start would wait for it

    fallback = user_data_path("dunena", appauthor=False) / "cache"
    return DataFolder(fallback, f"{expected} cannot be written, so the data is kept here")


def expected_folder() -> Path:
    """Where `default_folder` would begin; nothing is made."""
    return _base() / DEFAULT_FOLDER


def own_pages(base: Path | None = None) -> Path | None:
    """The folder `www` beside the executable, if there is one.

    Not so when run from source or pip: the current folder may belong to anything, and what is in it
    is shown to nobody before somebody says so.
    """
    if base is None and not getattr(sys, "frozen", False):
        return None
    folder = (base or _base()) / PAGES_NAME
    return folder if folder.is_dir() else None


def _base() -> Path:
    if getattr(sys, "frozen", False):
        return Path(sys.executable).resolve().parent
    return Path.cwd()


def _is_writable(folder: Path) -> bool:
    """Whether files can be made in it; it is made if it is not there."""
    import tempfile

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
