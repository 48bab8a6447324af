"""Things that stand under a file's name and are no plain files."""

import os
import socket
from pathlib import Path


def make_sparse(path: Path, size: int = 2 << 30) -> None:
    """A file of any size that takes no room."""
    with path.open("wb") as file:
        file.truncate(size)


def make_socket(path: Path) -> None:
    """A socket; elsewhere than on Windows."""
    with socket.socket(socket.AF_UNIX) as one:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path has to be short
        try:
            one.bind(path.name)
        finally:
            os.chdir(here)
