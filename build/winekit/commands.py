"""`build/dev.py windows`: the tests under Wine.

pytest-xdist runs them in a process of their own. A test that ends this process, or that
pytest-timeout ends it for, has failed; another process goes on behind it.
"""

import subprocess
import sys
import threading
from typing import IO

from devkit.console import CommandError, say
from devkit.requirements import ROOT

from winekit.bench import Bench, as_windows, cache_folder
from winekit.executable import build_executable

SUITES = ("tests/unit", "tests/protocol", "tests/client", "tests/binary")
"""What is run when no paths are given."""

PATIENCE = "6"
"""How many times as long as elsewhere tests wait for other processes."""

_BINARY = "tests/binary"

OPTIONS = (
    *("-p", "winekit.pytest_wine", "-p", "no:cacheprovider", "-q", "--tb=short", "-rfEX"),
    *("-n", "1", "--max-worker-restart", "100", "--timeout", "240"),
    *("-o", "tmp_path_retention_policy=none"),
)
"""What pytest is told under Wine."""


def run(arguments: list[str]) -> int:
    """Run the tests in the paths that the arguments are; 0 when all did what is expected."""
    for path in arguments:
        if not (ROOT / path).exists():
            raise CommandError(f"there is no {path} in this checkout")
    paths = arguments or list(SUITES)
    bench = Bench(cache_folder())
    variables = {"DUNENA_TEST_PATIENCE": PATIENCE}
    with bench.open():
        if any(path.startswith(_BINARY) for path in paths):
            variables["DUNENA_TEST_EXECUTABLE"] = as_windows(build_executable(bench))
        say(f"running {' '.join(paths)} under Wine")
        return _run_pytest(bench, paths, variables)


def _run_pytest(bench: Bench, paths: list[str], variables: dict[str, str]) -> int:
    with bench.running():
        process = subprocess.Popen(
            bench.command("-m", "pytest", *OPTIONS, *paths),
            cwd=ROOT,
            env=bench.environ(ROOT, ROOT / "build", **variables),
            stdin=subprocess.DEVNULL,
            # Always a pipe: Wine's files lack what Python asks of them.
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None
        copying = threading.Thread(target=_copy, args=(process.stdout,), daemon=True)
        copying.start()
        code = process.wait()
    # Servers that a test leaves behind hold the pipe; now they are ended.
    copying.join()
    return code


def _copy(source: IO[bytes]) -> None:
    with source:
        while data := source.read1():  # type: ignore[attr-defined]
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
