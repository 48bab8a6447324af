"""Doubles of the actions that the release's jobs use, on folders of this machine."""

import fnmatch
import os
import shutil
import subprocess
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from releasekit.errors import ReleaseError


def check_out(clone: Path) -> None:
    """`actions/checkout`: the clone as it was committed.

    Only the environments stay, which are made anew by themselves when their pins change: each job
    would install the same packages for minutes.
    """
    for words in ("checkout --force --quiet HEAD", "clean -ffdxq --exclude=.venv*"):
        subprocess.run(["git", "-C", str(clone), *words.split()], check=True)


def install_python(folder: Path) -> Path:
    """`actions/setup-python`: a Python in which a job may install; the folder of its programs.

    It is an environment of the Python that runs this, whatever version the workflow asks for.
    """
    venv.EnvBuilder(with_pip=True, symlinks=os.name != "nt").create(folder)
    return folder / ("Scripts" if os.name == "nt" else "bin")


class Artifacts:
    """`actions/upload-artifact` and `actions/download-artifact`: folders by name."""

    __slots__ = ("_absent", "_folder")

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._absent: set[str] = set()

    def leave_out(self, name: str) -> None:
        """Know that an artifact is not there since its job was left out."""
        self._absent.add(name)

    def upload(self, clone: Path, options: Mapping[str, Any]) -> None:
        """Keep files, below the folder that all the patterns of their paths have in common."""
        patterns = [line.strip() for line in str(options["path"]).splitlines() if line.strip()]
        found = {path for pattern in patterns for path in _matching(clone, pattern)}
        if not found:
            raise ReleaseError(f"no file is there for the artifact {options['name']}")
        root = clone / _common_folder(patterns)
        for path in sorted(found):
            kept = self.path(options["name"]) / path.relative_to(root)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, kept)  # an upload loses the right to be run

    def download(self, clone: Path, options: Mapping[str, Any]) -> bool:
        """Put one artifact, or all that fit a pattern, into a folder.

        False for one that is not there since its job was left out.
        """
        if "name" in options and options["name"] in self._absent:
            return False
        pattern = options.get("name") or options["pattern"]
        names = [entry.name for entry in self._folder.iterdir()] if self._folder.is_dir() else []
        wanted = sorted(fnmatch.filter(names, pattern))
        if not wanted:
            raise ReleaseError(f"there is no artifact {pattern}")
        for name in wanted:
            place = clone / options.get("path", ".")
            shutil.copytree(self._folder / name, place, dirs_exist_ok=True)
        return True

    def path(self, name: str) -> Path:
        """The folder of an artifact."""
        return self._folder / name


def _matching(clone: Path, pattern: str) -> Iterator[Path]:
    if pattern.endswith("/**"):
        pattern += "/*"
    return (path for path in clone.glob(pattern) if path.is_file())


def _common_folder(patterns: list[str]) -> str:
    folders = [_fixed_folder(pattern) for pattern in patterns]
    return os.path.commonpath(folders) if all(folders) else ""


def _fixed_folder(pattern: str) -> str:
    """The folders of a pattern before its first wildcard."""
    parts = PurePosixPath(pattern).parts[:-1]
    fixed = next((at for at, part in enumerate(parts) if "*" in part), len(parts))
    return "/".join(parts[:fixed])
