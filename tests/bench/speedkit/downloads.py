"""What people download, made of this checkout: the executable, and the installed wheel.

Made when it is first asked for, in the cache folder, and anew when the sources have changed. Both
are made as a release makes them: `build/executable.py` and `devkit.compiled` do it, with the
pinned packages of ``.venv-executable``.
"""

import functools
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from .programs import ROOT, NotHereError, cache_folder

MAKE_SECONDS_MAX = 1800

SOURCES = ("dunena", "build", "packaging", "pyproject.toml")
"""What the files are made of."""

BUILD_WHEEL = """
import sys
from pathlib import Path
from devkit.compiled import build_wheel
from devkit.environment import BUILDING, EXECUTABLE
python = BUILDING.prepare(EXECUTABLE)
build_wheel(python, Path(sys.argv[1]), Path(sys.argv[2]), is_pure=False)
"""


@functools.cache
def executable() -> str:
    """The executable of this checkout. Raises `NotHereError`."""

    def make(folder: Path) -> None:
        _run([sys.executable, ROOT / "build" / "executable.py", "--output", folder], "executable")

    made = _made("executable", make)  # its archives lie beside it
    return _only([path for path in made.glob("dunena-*") if not path.suffix], "executable")


@functools.cache
def wheel(extra: str) -> str:
    """The Python of an environment with the wheel of this checkout; ``extra``: ``[fast]`` or
    nothing, as `pip install` is told. Raises `NotHereError`.
    """

    def make(folder: Path) -> None:
        file = _only(list(_wheel_file().glob("*.whl")), "wheel")
        _run([sys.executable, "-m", "venv", folder], "environment")
        _run([folder / "bin" / "python", "-m", "pip", "install", "-q", f"{file}{extra}"], "wheel")

    return str(_made(f"installed{extra}", make) / "bin" / "python")


def _wheel_file() -> Path:
    def make(folder: Path) -> None:
        log = folder.with_suffix(".log")
        _run([sys.executable, "-c", BUILD_WHEEL, folder, log], "wheel", ROOT / "build")

    return _made("wheel", make)


def digest(root: Path, names: Iterable[str], python: str) -> str:
    """Of files and all that is in folders, with their places, and of the Python that makes them."""
    found = hashlib.sha256(python.encode())
    for name in names:
        place = root / name
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file() and "__pycache__" not in path.parts:
                content = path.read_bytes()
                head = f"\0{path.relative_to(root).as_posix()}\0{len(content)}\0"
                found.update(head.encode() + content)
    return found.hexdigest()


@functools.cache
def _sources() -> str:
    return digest(ROOT, SOURCES, f"{platform.python_version()} {sys.base_prefix}")


def _made(kind: str, make: Callable[[Path], None]) -> Path:
    """The folder with what ``make`` makes, which is kept as long as the sources are the same."""
    checkout = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
    folder = cache_folder() / "made" / checkout / kind
    stamp = folder.with_name(f"{kind}.json")
    if is_kept(stamp, _sources()) and folder.is_dir():
        return folder
    stamp.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sys.stderr.write(f"making the {kind} of this checkout, which takes some minutes\n")
    make(folder)
    stamp.write_text(json.dumps({"sources": _sources(), "checkout": str(ROOT)}) + "\n")
    return folder


def is_kept(stamp: Path, sources: str) -> bool:
    """Whether what a stamp is of was made of these sources."""
    try:
        return bool(json.loads(stamp.read_text())["sources"] == sources)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _only(found: list[Path], what: str) -> str:
    if len(found) != 1:
        raise NotHereError(f"{len(found)} files were made where one {what} was asked for")
    return str(found[0])


def _run(command: list[str | Path], what: str, path: Path | None = None) -> None:
    """Raises `NotHereError` with the last line that it says when it fails."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    try:
        subprocess.run(
            [str(word) for word in command],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=MAKE_SECONDS_MAX,
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise NotHereError(f"the {what} cannot be made: {said[-1]}") from None
