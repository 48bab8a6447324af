"""The Python package: its sources packed, the wheel made of these, and that wheel tried.

With hatchling in the environment of the Python that runs this, as an isolated build would fetch
another one. What the wheel needs comes from the pins, with their checksums.
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

from releasekit.errors import ReleaseError

_PIP_SETTINGS = ("--disable-pip-version-check", "--no-input")


def build(root: Path, dist: Path) -> list[Path]:
    """Pack the sources of a checkout into `dist`, and the wheel that is made of what was packed.

    Raises ReleaseError when the wheel that is made of the checkout itself is another one: then the
    source package lacks something, or what is made differs each time.
    """
    dist.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = _pack(root, "sdist", folder / "source")
        with tarfile.open(source) as packed:
            packed.extractall(folder / "unpacked", filter="data")
        (unpacked,) = (folder / "unpacked").iterdir()
        wheel = _pack(unpacked, "wheel", folder / "wheel")
        direct = _pack(root, "wheel", folder / "direct")
        if wheel.name != direct.name or wheel.read_bytes() != direct.read_bytes():
            raise ReleaseError(f"{wheel.name} is another one when made of {source.name}")
        return [Path(shutil.copy2(path, dist)) for path in (source, wheel)]


def try_wheel(wheel: Path, pins: Path, script: Path) -> str:
    """Install a wheel with what it needs where nothing else is, and start it; what that said.

    `pins` is a requirements file with checksums, `script` packaging/try_wheel.py.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "environment")
        venv.EnvBuilder(with_pip=True, symlinks=sys.platform != "win32").create(folder)
        python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        install = [str(python), "-m", "pip", "install", "--quiet", *_PIP_SETTINGS]
        _run([*install, "--require-hashes", "--requirement", str(pins)], folder)
        _run([*install, "--no-deps", "--no-index", str(wheel.resolve())], folder)
        _run([str(python), "-m", "pip", "check", *_PIP_SETTINGS], folder)
        return _run([str(python), "-P", str(script), "--pure"], folder).strip()


def _pack(folder: Path, target: str, out: Path) -> Path:
    words = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory"]
    _run([*words, str(out)], folder)
    (made,) = out.iterdir()
    return made


def _run(words: list[str], folder: Path) -> str:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()
        raise ReleaseError(f"{' '.join(words[1:5])} failed: {lines[-1]}")
    return done.stdout
