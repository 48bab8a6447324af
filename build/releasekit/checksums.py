"""SHA2-256SUMS and SHA2-512SUMS, in the form that `sha256sum --check` reads."""

import hashlib
from pathlib import Path

from releasekit.errors import ReleaseError

SUM_FILES = {"SHA2-256SUMS": "sha256", "SHA2-512SUMS": "sha512"}


def write(folder: Path) -> list[Path]:
    """Write both files, over every other file in the folder; return their paths."""
    files = summed_files(folder)
    if not files:
        raise ReleaseError(f"{folder}: there is nothing to sum up")
    written = []
    for name, algorithm in SUM_FILES.items():
        lines = [f"{_digest(path, algorithm)}  {path.name}\n" for path in files]
        # Bytes: on Windows a text file would get line ends that the tool takes for names.
        (folder / name).write_bytes("".join(lines).encode())
        written.append(folder / name)
    return written


def read(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file, by its name."""
    path = folder / "SHA2-256SUMS"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ReleaseError(f"{path}: {error.strerror}; `checksums` makes it") from error
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def summed_files(folder: Path) -> list[Path]:
    """The files that are summed up, by name."""
    files = [path for path in folder.iterdir() if path.is_file() and path.name not in SUM_FILES]
    for path in files:
        if "\n" in path.name or "\\" in path.name:
            raise ReleaseError(f"{path.name!r} cannot stand in a list of checksums")
    return sorted(files, key=lambda path: path.name)


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
