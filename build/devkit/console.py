"""How a command speaks, fails and runs other programs.

One rule holds everywhere: a person sees either that it worked or one line that says why not and
what to do. The chatter of pip, npm and apt goes to a log file, which that line names.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

# The first line a tool marks as an error is the cause; those after it are consequences.
_ERROR_LINE = re.compile(r"^\s*(npm )?(error\b|err!|e: )[:\s]*", re.IGNORECASE)


class CommandError(Exception):
    """The command cannot go on; the text is the one line that a person sees."""


def say(text: str, program: str = "dev") -> None:
    """Print a line of progress, at once: the process may be replaced before buffers empty."""
    print(f"{program}: {text}", flush=True)


def complain(text: str, program: str = "dev") -> None:
    """Print a line to the standard error stream."""
    print(f"{program}: {text}", file=sys.stderr, flush=True)


_UNWANTED = frozenset({"PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE"})


def clean_environ(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment variables without those that mix another Python in.

    And without the one that has every program compile all it imports each time: the tests start
    some thousand. `extra` is laid over the result.
    """
    kept = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
    return {**kept, **(extra or {})}


def error_line(output: str) -> str:
    """The line of a failed program's output that says most: its first error, else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    for line in lines:
        marked = _ERROR_LINE.match(line)
        if marked and line[marked.end() :]:
            return line[marked.end() :]
    return lines[-1] if lines else "no output"


def run_quietly(
    command: Sequence[str | Path],
    what: str,
    log: Path,
    environ: Mapping[str, str] | None = None,
    stdin: str = "",
    hint: str = "",
    folder: Path | None = None,
) -> str:
    """Run a program to its end, in `folder` or here, and return its standard output.

    Everything it prints is added to `log`. Raises CommandError, with `what` as its subject and
    `hint` as advice, when the program cannot be started or does not exit with 0.
    """
    try:
        done = subprocess.run(
            [str(word) for word in command],
            input=stdin,
            env=clean_environ(environ),
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise CommandError(f"{what} failed: {error}") from error
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(map(str, command))}\n{done.stdout}{done.stderr}\n")
    if done.returncode != 0:
        # An error written to standard output (npm, playwright) still counts.
        reason = error_line(f"{done.stdout}\n{done.stderr}")
        raise CommandError(f"{what} failed: {reason}{hint} (all of its output: {log})")
    return done.stdout


def hand_over(  # noqa: RET503 - execve does not return
    command: Sequence[str | Path], environ: Mapping[str, str]
) -> int:
    """Let another program be the rest of this one: its signals, its terminal, its exit code.

    Does not return on POSIX, where it replaces this process. Windows has no such call (its `exec`
    lets the shell's prompt come back while the program runs), so there this one waits for it.
    """
    if sys.platform == "win32":
        return run_in_foreground(command, environ)
    words = [str(word) for word in command]
    os.execve(words[0], words, dict(environ))


def run_in_foreground(
    command: Sequence[str | Path], environ: Mapping[str, str], output: IO[bytes] | None = None
) -> int:
    """Wait for a program that shares this console, and return its exit code.

    What it prints goes to `output` instead, if that is given. A Ctrl-C reaches every process of the
    console. It is the program's to answer: were this process to die of it first, the prompt would
    return while the program is still stopping. A request to end is passed on.
    """
    if sys.platform == "win32":
        # Ctrl-Break too: left alone, it ends this process on the spot.
        signal.signal(signal.SIGBREAK, signal.default_int_handler)
    words = [str(word) for word in command]
    with subprocess.Popen(words, env=dict(environ), stdout=output) as child:
        before = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        try:
            return _wait(child)
        finally:
            signal.signal(signal.SIGTERM, before)


def _wait(child: "subprocess.Popen[bytes]") -> int:
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue
