"""`build/dev.py arm64`: the tests of the executable for Linux on ARM64, on a PC."""

import os
from collections.abc import Mapping
from pathlib import Path

from devkit.console import CommandError, clean_environ, run_in_foreground, say
from devkit.environment import DEVELOPMENT, RUN, TEST
from devkit.requirements import ROOT

from armkit.bench import Bench, cache_folder
from armkit.executable import build_executable

SUITE = "tests/binary"
"""What is run when no paths are given; those that are given are in it."""

PURE = "--pure"
PATIENCE = "10"
"""How many times as long as elsewhere tests wait for other processes."""

OPTIONS = (
    *("-p", "armkit.pytest_arm", "-p", "no:cacheprovider", "-q", "--tb=short", "-rfEsxX"),
    *("-n", "1", "--timeout", "600"),
)
"""What pytest is told."""


def run(arguments: list[str], programs: Mapping[str, str]) -> int:
    """Build the executable and run the tests in the paths that the arguments are.

    With `--pure` among them the hot modules are not compiled, which is the longer half of a build.
    `programs` are the variables that tell tests where other programs are. Returns 0 when all tests
    did what is expected.
    """
    is_pure = PURE in arguments
    paths = [word for word in arguments if word != PURE] or [SUITE]
    for path in paths:
        if not (ROOT / path).exists() or not (ROOT / path).is_relative_to(ROOT / SUITE):
            raise CommandError(f"there is no {path} in {SUITE}, the tests of the executable")
    bench = Bench(cache_folder())
    python = DEVELOPMENT.prepare(RUN, TEST)
    with bench.open():
        executable = build_executable(bench, is_pure=is_pure)
        say(f"running {' '.join(paths)} with the executable under qemu")
        command = bench.command_beside(python, "-m", "pytest", *OPTIONS, *paths)
        return run_in_foreground(command, environ(executable, programs, is_pure=is_pure))


def environ(executable: Path, programs: Mapping[str, str], *, is_pure: bool) -> dict[str, str]:
    """The variables that the tests are run with."""
    own = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "build")]),
        "DUNENA_TEST_EXECUTABLE": str(executable),
        "DUNENA_TEST_PATIENCE": PATIENCE,
        "DUNENA_TEST_ARM_PURE": "1" if is_pure else "",
    }
    return clean_environ({**programs, **own})
