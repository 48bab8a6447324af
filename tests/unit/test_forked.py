"""A forked program behaves like a started one."""

import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.processes import SECONDS_MAX, run_copy, run_program
from tests.support.forked import PROGRAM, ForkedProcess, can_fork

pytestmark = pytest.mark.skipif(not can_fork({}), reason="programs are forked on Linux alone")


@pytest.mark.parametrize(
    "arguments",
    [
        ("version",),
        ("--help",),
        ("get",),
        ("no-such-command",),
        ("get", "k", "--url", "localhost:1"),
    ],
    ids=" ".join,
)
def test_a_forked_program_prints_and_exits_like_a_started_one(arguments: tuple[str, ...]) -> None:
    started, copy = run_program(*arguments), run_copy(*arguments)
    assert (copy.returncode, copy.stdout, copy.stderr) == (
        started.returncode,
        started.stdout,
        started.stderr,
    )


def test_a_forked_program_that_cannot_print_ends_like_a_started_one(tmp_path: Path) -> None:
    ends: list[tuple[int, str]] = []
    for command in ((), PROGRAM):
        path = tmp_path / f"errors-{len(ends)}"
        with Path("/dev/full").open("w") as full, path.open("w") as errors:
            if command:
                code = subprocess.call([*command, "version"], stdout=full, stderr=errors)
            else:
                copy = ForkedProcess(["version"], {}, output=full, errors=errors)
                code = copy.wait(SECONDS_MAX)
        ends.append((code, path.read_text("utf-8")))
    assert ends[0] == ends[1]


# By name: this file is read on Windows too, which has no SIGKILL.
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 0), ("SIGTERM", 0), ("SIGKILL", -9)])
def test_a_forked_program_runs_in_its_folder_until_a_signal(
    tmp_path: Path, name: str, code: int
) -> None:
    process = ForkedProcess(["serve", "--port", "0"], {"CACHE_DIR": "below"}, folder=tmp_path)
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        assert any("Press Ctrl+C" in line for line in process.stdout)
        assert (tmp_path / "below" / ".dunena").is_dir()
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0)
        process.send_signal(getattr(signal, name))
        assert process.wait(SECONDS_MAX) == process.poll() == code
        assert process.stderr.read() == ""
    process.kill()  # does nothing any more


def test_can_fork_rejects_variables_read_at_interpreter_start() -> None:
    assert not can_fork({"PYTHONUTF8": "0"})
    assert not can_fork({"LD_PRELOAD": "clock.so"})
    assert can_fork({"DUNENA_PORT": "0"})
