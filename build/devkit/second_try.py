"""pytest, where a failed test is tried once more, alone, before the run fails.

A suite of thousands of tests that use real sockets, disks and browsers fails now and then because
the machine was busy, which says nothing about the change. A test that passes alone is reported as
unsteady, as the last thing before the closing line, so that somebody makes it steady.
"""

import json
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from devkit.console import hand_over, run_in_foreground, say

TESTS_MAX = 3
"""With more failures than these it is not bad luck, and the run fails at once."""

_FAILED = 1  # pytest's exit code for tests that failed; others say that it could not run them

# With these options a run has not tried all tests, a person looks at it in a debugger, or it needs
# what pytest's cache knows of the run before.
_STEERED = re.compile(
    r"-n|-[a-z]*x$|"
    r"--(numprocesses|exitfirst|maxfail|lf|last-failed|ff|failed-first|sw|stepwise|pdb|trace)\b"
)

_SECOND = ("-n", "1", "--last-failed", "--last-failed-no-failures", "none")


def run_pytest(
    command: Sequence[str | Path],
    arguments: Sequence[str],
    environ: Mapping[str, str],
    folder: Path,
) -> int:
    """Run pytest in ``folder``, the current one, and those that failed once more; the exit code.

    With ``arguments`` that decide themselves what is run again, pytest runs once.
    """
    words = [*command, *arguments]
    if any(map(_STEERED.match, arguments)):
        return hand_over(words, environ)
    failures = folder / ".pytest_cache" / "v" / "cache" / "lastfailed"
    # It also names what failed in earlier runs and was not part of this one.
    failures.unlink(missing_ok=True)
    code = run_in_foreground(words, environ)
    failed = _read(failures)
    if code != _FAILED or not 1 <= len(failed) <= TESTS_MAX:
        return code
    say(f"tests failed, and are tried once more, alone: {', '.join(failed)}")
    with tempfile.TemporaryFile() as output:
        second = run_in_foreground([*words, *_SECOND], environ, output)
        output.seek(0)
        text = output.read().decode(errors="replace").rstrip()
    body, _, closing = text.rpartition("\n")
    has_passed = second == 0 and count_passed(closing) == len(failed)
    print(body)
    for test in failed if has_passed else ():
        say(f"UNSTEADY: failed, and passed when it was tried once more: {test}")
    print(closing)
    sys.stdout.flush()
    return 0 if has_passed else second or _FAILED


def count_passed(closing: str) -> int:
    """How many tests have passed, by the closing line of pytest."""
    found = re.search(r"\b(\d+) passed\b", closing)
    return int(found[1]) if found else 0


def _read(failures: Path) -> list[str]:
    """The names in the file in which pytest keeps what failed; none where there is no such file."""
    if not failures.is_file():
        return []
    return list(json.loads(failures.read_text(encoding="utf-8")))
