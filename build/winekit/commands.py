"""`build/dev.py windows`: the tests under Wine, and what came of them in numbers."""

import time
from pathlib import Path

from devkit.console import CommandError, complain, say
from devkit.requirements import ROOT

from winekit.bench import Bench, as_windows, cache_folder
from winekit.beyond import BEYOND_WINE
from winekit.executable import build_executable
from winekit.report import Report, judge
from winekit.suites import run_tests

SUITES = ("tests/unit", "tests/protocol", "tests/client", "tests/binary")
"""What is run when no paths are given."""

_BINARY = "tests/binary"
_EXECUTABLE = "DUNENA_TEST_EXECUTABLE"


def run(arguments: list[str]) -> int:
    """Run the tests in the paths that the arguments are; 0 when all did what is expected."""
    for path in arguments:
        if not (ROOT / path).exists():
            raise CommandError(f"there is no {path} in this checkout")
    bench = Bench(cache_folder())
    with bench.open():
        reports = {path: _run_suite(bench, path.rstrip("/")) for path in arguments or SUITES}
    for path, report in reports.items():
        for line in report.complaints():
            complain(line)
        say(f"{path}: {report.counts()}")
    return 0 if all(report.is_good for report in reports.values()) else 1


def _run_suite(bench: Bench, path: str) -> Report:
    start = time.monotonic()
    bench.work.mkdir(exist_ok=True)
    extra = {}
    if path.startswith(_BINARY):
        extra[_EXECUTABLE] = as_windows(build_executable(bench))
    log = bench.work / f"{Path(path).name}.log"
    say(f"{path}: running under Wine (the output of pytest: {log})")
    report = judge(run_tests(bench, path, log, **extra), BEYOND_WINE)
    say(f"{path}: {report.counts()}, in {time.monotonic() - start:.0f} s")
    return report
