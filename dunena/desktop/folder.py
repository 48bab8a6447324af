"""The default folders for values and for pages."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from dunena import DEFAULT_FOLDER
from dunena.templates import OWN_PAGES

PAGES_NAME = "www"


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A folder for values; ``note`` says why it is not the expected one, or is empty."""

    path: Path
    note: str = ""


def default_folder(base: Path | None = None) -> DataFolder:
    """Return `.cache` beside the executable, or in the current folder when run from source or pip.

    That folder is made if it does not exist. If it cannot be written, return a folder in the user's
    data folder instead.
    """
    expected = (base or _base()) / DEFAULT_FOLDER
    return DataFolder(expected) if _is_writable(expected) else _fallback(expected)


def foreseen_folder(base: Path | None = None) -> DataFolder:
    """Return what `default_folder` would, without making a folder."""
    expected = (base or _base()) / DEFAULT_FOLDER
    is_writable = _takes_files(existing(expected))
    return DataFolder(expected) if is_writable else _fallback(expected)


def existing(folder: Path) -> Path:
    """Return the folder, or its nearest parent that exists."""
    for one in (folder.absolute(), *folder.absolute().parents):
        if os.path.exists(one):  # noqa: PTH110 - `Path.exists` raises where it may not look
            return one
    return Path.cwd()


def own_pages(folder: Path | None, base: Path | None = None) -> Path | None:
    """Return the folder `www` that is shown without being asked for; None if there is none.

    It is the one beside the executable, or one that dunena has made beside ``folder``, that of the
    values. When run from source or pip, no other is: the current folder may be anything, and its
    content is not published unless the user asks for it.
    """
    made = place_of_pages(folder)
    if made is not None and made.joinpath(OWN_PAGES).is_file():
        return made
    if base is None and not _is_frozen():
        return None
    pages = (base or _base()) / PAGES_NAME
    return pages if pages.is_dir() else None


def place_of_pages(folder: Path | None) -> Path | None:
    """Return where a folder of pages is made for values in ``folder``; None for nowhere."""
    return None if folder is None else folder.absolute().parent / PAGES_NAME


def expected_pages() -> Path:
    """Return where a folder of pages is made: beside the executable, or in the current folder."""
    return (_base() if _is_frozen() else Path()) / PAGES_NAME


def is_served_by_itself(pages: Path) -> bool:
    """Return whether `dunena serve` shows this folder without being told to."""
    return _is_frozen() and pages == expected_pages()


def _is_frozen() -> bool:
    return bool(getattr(sys, "frozen", False))


def _base() -> Path:
    if _is_frozen():
        return Path(sys.executable).resolve().parent
    return Path.cwd()


def _fallback(expected: Path) -> DataFolder:
    from platformdirs import user_data_path  # imported here, as it is seldom needed

    path = user_data_path("dunena", appauthor=False) / "cache"
    return DataFolder(path, f"{expected} cannot be written, so the data is kept in {path}")


def _is_writable(folder: Path) -> bool:
    """Return whether files can be created in the folder, which is made if it does not exist."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return _takes_files(folder)


def _takes_files(folder: Path) -> bool:
    import tempfile

    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
