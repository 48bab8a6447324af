"""The file in which the tests under Wine say what came of them, written there and read here."""

import json
from pathlib import Path

Result = tuple[str, str]
"""A test's id and what came of it; the id of none is empty."""

RESULTS_VARIABLE = "DUNENA_WINE_RESULTS"
"""The environment variable that names the file."""

STARTED, PASSED, SKIPPED, FAILED = "started", "passed", "skipped", "failed"

ENDED = "ended"
"""Of no test: all of them have been run."""


def write_result(path: Path, test: str, outcome: str) -> None:
    """Add a line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps([test, outcome]) + "\n")


def read_results(path: Path) -> list[Result]:
    """What was written, in order; nothing where there is no file. A line
    that is still being written is left out.
    """
    if not path.exists():
        return []
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    return [(test, outcome) for test, outcome in map(json.loads, whole.splitlines())]
