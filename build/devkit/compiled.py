"""A copy of this checkout with its hot modules compiled, for running the tests on it.

A copy, because an extension module lies beside its source and is found first: in the checkout it
would be last month's code under today's source. It is made anew each time, from the wheel that a
release would have.
"""

import shutil
import zipfile
from pathlib import Path

from devkit.console import run_quietly, say
from devkit.environment import DEVELOPMENT
from devkit.requirements import ROOT, read_project

TREE = DEVELOPMENT.folder / "compiled"

SUITES = ("tests/unit", "tests/protocol", "tests/packaging/test_compiled.py")
"""What every change must pass compiled too: all that goes through the hot modules."""

NO_COMPILER = "; is there a C compiler? (Debian and Ubuntu: apt install gcc)"


def make_tree(python: Path) -> Path:
    """Make the copy, and return its folder. Raises CommandError where it cannot be compiled."""
    say("compiling the hot modules")
    shutil.rmtree(TREE, ignore_errors=True)
    wheel = build_wheel(python, TREE / "dist", DEVELOPMENT.log, is_pure=False)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(TREE)
    for name in files_beside_the_package():
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, TREE / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, TREE / name)
    return TREE


def build_wheel(python: Path, folder: Path, log: Path, *, is_pure: bool, hint: str = "") -> Path:
    """Make the wheel of this checkout in the empty `folder`, with what the environment of `python`
    holds. Raises CommandError, which where modules cannot be compiled ends in `hint`.
    """
    command: list[str | Path] = [python, "-m", "hatchling", "build", "--target", "wheel"]
    run_quietly(
        [*command, "--directory", folder],
        "packing dunena" if is_pure else "compiling the hot modules",
        log,
        {"DUNENA_COMPILE": "0" if is_pure else "1"},
        hint="" if is_pure else NO_COMPILER + hint,
        folder=ROOT,
    )
    (wheel,) = folder.iterdir()
    return wheel


def files_beside_the_package() -> list[str]:
    """What the source package holds, and so what tests may look at, without the package itself."""
    hatch = read_project()["tool"]["hatch"]
    packages = hatch["build"]["targets"]["wheel"]["packages"]
    included = [name.lstrip("/") for name in hatch["build"]["targets"]["sdist"]["include"]]
    return ["pyproject.toml", *(name for name in included if name not in packages)]
