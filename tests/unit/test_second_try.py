"""build/dev.py test: a failed test is tried once more, alone."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "build"))
try:
    from devkit import second_try
finally:
    sys.path.remove(str(ROOT / "build"))

PYTEST = (sys.executable, "-m", "pytest", "-p", "xdist")

RUN = """
import os, sys, devkit.second_try
from pathlib import Path
command, arguments = sys.argv[1:6], sys.argv[6:]
sys.exit(devkit.second_try.run_pytest(command, arguments, dict(os.environ), Path()))
"""

UNSTEADY = """
from pathlib import Path
def test_steady(): pass
def test_unsteady():
    mark = Path("was-here")
    is_second = mark.exists()
    mark.touch()
    assert is_second
"""

BROKEN = """
def test_broken(): raise AssertionError("for good")
"""


def run_really(folder: Path, source: str) -> tuple[int, list[str]]:
    """The exit code and the lines of a run with a test file in a process of its own."""
    (folder / "test_it.py").write_text(source)
    # pytest-xdist tells the processes of this run that they are parts of it.
    others = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-c", RUN, *PYTEST, "test_it.py"],
        cwd=folder,
        env={
            **others,
            "PYTHONPATH": str(ROOT / "build"),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # which would take most of the time
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.rstrip().splitlines()


def test_a_test_that_passes_alone_passes_the_run_and_is_named_last(tmp_path: Path) -> None:
    code, lines = run_really(tmp_path, UNSTEADY)
    assert code == 0, lines
    named, closing = lines[-2:]
    assert named.startswith("dev: UNSTEADY: ")
    assert named.endswith(": test_it.py::test_unsteady")
    assert second_try.count_passed(closing) == 1
    assert any("1 failed, 1 passed" in line for line in lines), "the whole run's closing line"


def test_a_test_that_fails_twice_fails_the_run(tmp_path: Path) -> None:
    code, lines = run_really(tmp_path, UNSTEADY + BROKEN)
    assert code == 1, lines
    assert "1 failed, 1 passed in" in lines[-1]
    assert not any("UNSTEADY" in line for line in lines)


class Runs:
    """Made-up runs of pytest, each with an exit code, the tests that fail, and its closing line."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.folder = folder
        self.failures = folder / ".pytest_cache" / "v" / "cache" / "lastfailed"
        self.failures.parent.mkdir(parents=True)
        self.coming: list[tuple[int, list[str], str]] = []
        self.commands: list[list[object]] = []
        monkeypatch.setattr(second_try, "run_in_foreground", self._run)
        monkeypatch.setattr(second_try, "hand_over", self._hand_over)

    def add(self, code: int, failed: Sequence[str], closing: str = "") -> None:
        self.coming.append((code, list(failed), closing))

    def start(self, *arguments: str) -> int:
        return second_try.run_pytest(["pytest"], arguments, {}, self.folder)

    def _run(self, command: Sequence[object], environ: object, output: object = None) -> int:
        code, failed, closing = self.coming[len(self.commands)]
        self.commands.append([*command])
        known = json.loads(self.failures.read_text()) if self.failures.exists() else {}
        self.failures.write_text(json.dumps(known | dict.fromkeys(failed, True)))
        if output is not None:
            output.write(f"...\n{closing}\n".encode())  # type: ignore[attr-defined]
        return code

    def _hand_over(self, command: Sequence[object], environ: object) -> int:
        self.commands.append(["handed over", *command])
        return 7


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runs:
    return Runs(monkeypatch, tmp_path)


NAMES = ["test_a.py::test_a[a b]", "test_b.py::test_b", "test_c.py::test_c"]


def test_the_second_run_has_the_same_arguments_and_only_what_failed(runs: Runs) -> None:
    runs.add(1, NAMES)
    runs.add(0, [], "= 3 passed in 0.12s =")
    assert runs.start("tests/unit", "-k", "frames") == 0
    first, second = runs.commands
    assert first == ["pytest", "tests/unit", "-k", "frames"]
    assert second[: len(first)] == first
    assert "--last-failed" in second


def test_every_unsteady_test_is_named_between_the_output_and_the_closing_line(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.add(1, NAMES)
    runs.add(0, [], "= 3 passed in 0.12s =")
    runs.start()
    _, output, *named, closing = capsys.readouterr().out.splitlines()
    assert output == "..."
    assert [line.rpartition(": ")[2] for line in named] == NAMES
    assert closing == "= 3 passed in 0.12s ="


@pytest.mark.parametrize(
    ("code", "failed"),
    [(0, []), (1, [*NAMES, "test_d.py::test_d"]), (1, []), (2, NAMES), (-15, NAMES)],
    ids=["all passed", "too many failed", "unknown", "interrupted", "ended by a signal"],
)
def test_there_is_no_second_run_otherwise(runs: Runs, code: int, failed: list[str]) -> None:
    runs.add(code, failed)
    assert runs.start() == code
    assert len(runs.commands) == 1


def test_what_failed_in_an_earlier_run_is_not_counted(runs: Runs) -> None:
    runs.failures.write_text(json.dumps(dict.fromkeys(map(str, range(9)), True)))
    runs.add(1, NAMES[:1])
    runs.add(0, [], "= 1 passed in 0.12s =")
    assert runs.start() == 0


@pytest.mark.parametrize(
    "closing",
    ["= 2 passed in 0.12s =", "= 2 passed, 1 skipped in 0.12s =", "= 3 skipped in 0.12s =", ""],
)
def test_a_failed_test_that_does_not_run_again_fails_the_run(runs: Runs, closing: str) -> None:
    runs.add(1, NAMES)
    runs.add(0, [], closing)
    assert runs.start() == 1


@pytest.mark.parametrize("code", [1, 2, 5])
def test_the_exit_code_of_a_second_run_that_fails_is_that_of_all(runs: Runs, code: int) -> None:
    runs.add(1, NAMES)
    runs.add(code, NAMES[:1], "= 1 failed, 2 passed in 0.12s =")
    assert runs.start() == code


@pytest.mark.parametrize(
    "option",
    ["-x", "-vx", "--maxfail=1", "-n0", "-n", "--lf", "--last-failed", "--ff", "--sw", "--pdb"],
)
def test_who_steers_what_runs_gets_one_run_of_pytest(runs: Runs, option: str) -> None:
    runs.failures.write_text("{}")
    assert runs.start("tests/unit", option) == 7
    assert runs.commands == [["handed over", "pytest", "tests/unit", option]]
    assert runs.failures.exists(), "it is what --last-failed reads"


@pytest.mark.parametrize(
    ("closing", "passed"),
    [
        ("===== 1 failed, 9440 passed, 12 skipped in 520.01s (0:08:40) =====", 9440),
        ("2 passed, 3 subtests passed in 0.1s", 2),
        ("1 xpassed in 0.1s", 0),
        ("", 0),
    ],
)
def test_count_passed_reads_the_closing_line(closing: str, passed: int) -> None:
    assert second_try.count_passed(closing) == passed
