"""The dunenas that can be measured: this checkout, another one, or an installed one."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import programs

DESCRIBE = """
import dunena, platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
try:
    loop = "uvloop " + version("uvloop")
except PackageNotFoundError:
    loop = "no uvloop"
kind = "compiled" if find_spec("dunena.native__mypyc") else "pure"
print(dunena.__version__, kind + ", Python", platform.python_version() + ",", loop)
"""


@dataclass(frozen=True, slots=True)
class Build:
    """A dunena: the Python that runs it, and the variables that its processes get."""

    name: str
    python: str
    environment: Mapping[str, str]

    def find(self) -> str:
        """Its Python. Raises `programs.NotHereError`."""
        return programs.named(self.python)

    def serve(self, program: str, port: int, *options: str) -> list[str]:
        """The command that starts its server."""
        return [program, "-m", "dunena", *serve_words(port, *options)]

    def version(self, program: str) -> str:
        """Versions of it and of its Python, its event loop, and its settings.

        Raises `programs.NotHereError`.
        """
        answer = subprocess.run(
            [program, "-c", DESCRIBE],
            env={**os.environ, **self.environment},
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode:
            last = (answer.stderr.strip().splitlines() or ["it does not start"])[-1]
            raise programs.NotHereError(last)
        settings = [f"{key}={value}" for key, value in self.environment.items()]
        shown = [setting for setting in settings if not setting.startswith("PYTHONPATH=")]
        return ", ".join([answer.stdout.strip(), *shown])


def serve_words(port: int, *options: str) -> list[str]:
    """Arguments of dunena that start its server."""
    return ["serve", "--log-level", "error", "--port", str(port), *options]


def own_build() -> Build:
    """The tree that this file is part of."""
    return Build("dunena", sys.executable, {"PYTHONPATH": str(programs.ROOT)})


def other_build(text: str) -> Build:
    """Another dunena, from ``NAME=PYTHON[,VARIABLE=VALUE...]``.

    PYTHON runs the dunena that it has installed; ``PYTHONPATH=FOLDER`` names a checkout instead.
    Every setting of `dunena serve` has a variable. Raises `ValueError`.
    """
    name, _, rest = text.partition("=")
    python, *settings = rest.split(",")
    pairs = [setting.partition("=") for setting in settings]
    if not name or not python or not all(key and equals for key, equals, _ in pairs):
        raise ValueError("a variant is NAME=PYTHON[,VARIABLE=VALUE...]")
    environment = {key: value for key, _, value in pairs}
    if folders := environment.get("PYTHONPATH"):
        # The server starts in a folder of its own.
        absolute = [str(Path(folder).absolute()) for folder in folders.split(os.pathsep)]
        environment["PYTHONPATH"] = os.pathsep.join(absolute)
    return Build(name, python, environment)
