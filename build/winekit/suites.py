"""Tests run under Wine, one process after another until each test has been run."""

import subprocess
import threading
import time
from pathlib import Path
from typing import IO

from devkit.console import say
from devkit.requirements import ROOT

from winekit.bench import Bench, as_windows
from winekit.results import ENDED, RESULTS_VARIABLE, Result, read_results

TEST_SECONDS_MAX = 240
"""How long one test may last: pytest then ends the process, and the next one goes on behind it."""

# And where pytest itself can do nothing any more, or is still looking for tests.
_SILENT_SECONDS_MAX = 1800
_LOOK_SECONDS = 0.5
_SAY_SECONDS = 60

PATIENCE = "6"
"""How many times as long as elsewhere tests wait for other processes."""

_OPTIONS = ("-p", "winekit.pytest_wine", "-p", "no:cacheprovider", "-q", "--tb=short")


def run_tests(bench: Bench, path: str, log: Path, **extra: str) -> list[Result]:
    """Run the tests in a path of the checkout; what came of each.

    All they print goes to `log`. A process that ends within a test is followed by another one,
    which begins with the next test. `extra` are variables for them.
    """
    results = log.with_suffix(".results")
    for file in (log, results):
        file.unlink(missing_ok=True)
    while True:
        before = read_results(results)
        with bench.running():
            copying = _run_process(bench, path, log, results, extra)
        # Servers that a test leaves behind hold the pipe; now they are ended.
        copying.join()
        known = read_results(results)
        # Without a new result there will be none the next time either.
        if ENDED in (outcome for _, outcome in known) or known == before:
            return [(name, outcome) for name, outcome in known if outcome != ENDED]
        say(f"{path}: a process ended within {known[-1][0]}; going on behind it")


def _run_process(
    bench: Bench, path: str, log: Path, results: Path, extra: dict[str, str]
) -> threading.Thread:
    """Run pytest to its end, and return the thread that writes its output to the log."""
    options = (*_OPTIONS, f"--timeout={TEST_SECONDS_MAX}", "-o", "tmp_path_retention_policy=none")
    own = {RESULTS_VARIABLE: as_windows(results), "DUNENA_TEST_PATIENCE": PATIENCE}
    environ = bench.environ(ROOT, ROOT / "build", **own, **extra)
    process = subprocess.Popen(
        bench.command("-m", "pytest", *options, path),
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        # Always a pipe: Wine's files lack what Python asks of them.
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    copying = threading.Thread(target=_copy, args=(process.stdout, log), daemon=True)
    copying.start()
    _watch(process, path, results)
    return copying


def _watch(process: "subprocess.Popen[bytes]", path: str, results: Path) -> None:
    """Wait for the end of a process, and end it when it writes no results any more."""
    size, heard, said = -1, time.monotonic(), time.monotonic()
    while process.poll() is None:
        now = time.monotonic()
        if results.exists() and results.stat().st_size != size:
            size, heard = results.stat().st_size, now
        if now - heard > _SILENT_SECONDS_MAX:
            process.kill()
        if now - said > _SAY_SECONDS:
            said = now
            say(f"{path}: {len({name for name, _ in read_results(results)})} tests so far")
        time.sleep(_LOOK_SECONDS)


def _copy(source: IO[bytes], log: Path) -> None:
    with source, log.open("ab") as file:
        for line in source:
            file.write(line)
            file.flush()
