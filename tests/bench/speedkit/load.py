"""The load generator: built once, run on a core of its own."""

import json
import subprocess
from pathlib import Path

from .contenders import Running
from .machine import LOAD_CORE, started_on
from .past import PastError, make_past, resumed_from
from .phrases import Talk
from .programs import NotHereError, compiler
from .workloads import Result, Workload

SOURCE = Path(__file__).resolve().parents[1] / "wsload.c"

MEASURING = "measuring\n"

SECONDS_MORE_MAX = 240
"""What a run may take beside its measurement: opening connections, storing keys."""


class LoadError(Exception):
    """A run came to no figures; the text is the reason that `wsload` gives."""


def build(folder: Path) -> Path:
    """Compile it into ``folder``. Raises `NotHereError` when there is no compiler that can.

    Without zlib's header it takes no compressed messages.
    """
    program = folder / "wsload"
    command = [compiler(), "-O2", "-Wall", "-Wextra", "-o", str(program), str(SOURCE)]
    for options in (["-DWSLOAD_ZLIB", "-lz"], []):
        built = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        if not built.returncode:
            break
    if built.returncode:
        first = (built.stderr.strip().splitlines() or ["no reason given"])[0]
        raise NotHereError(f"the C compiler refuses {SOURCE.name}: {first}")
    return program


def parse(output: str) -> Result:
    """The figures of one run. Raises `LoadError` for anything that is not wsload's."""
    try:
        result = json.loads(output)
    except ValueError:
        raise LoadError(f"no figures: {output[:200]!r}") from None
    if not isinstance(result, dict) or "cpu_us" not in result:
        raise LoadError(f"no figures: {output[:200]!r}")
    return {name: float(value) for name, value in result.items() if not isinstance(value, str)}


def start(
    program: Path,
    server: Running,
    workload: Workload,
    talk: Talk,
    *,
    seconds: float,
    connections: int,
) -> "subprocess.Popen[str]":
    """Start one measurement; `MEASURING` is the first line of its standard error.

    What a workload resumes from is stored before. Raises `LoadError` if it cannot be.
    """
    if workload.missed is not None:
        try:
            position = make_past(server.port, workload.keys, workload.missed)
        except (PastError, ImportError) as error:
            raise LoadError(str(error)) from None
        talk = resumed_from(position, talk)
    command = [str(program), "-p", str(server.port), "-P", str(server.pid), "-t", str(seconds)]
    command += workload.options(talk, connections)
    with started_on(LOAD_CORE):
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]", seconds: float) -> Result:
    """The figures of a measurement that was started. Raises `LoadError`."""
    try:
        output, errors = process.communicate(timeout=seconds + SECONDS_MORE_MAX)
    except subprocess.TimeoutExpired:
        raise LoadError("it took too long") from None
    finally:
        stop(process)
    if process.returncode:
        raise LoadError(reason(errors))
    return parse(output)


def stop(process: "subprocess.Popen[str]") -> None:
    """End a measurement that nobody waits for any more."""
    if process.poll() is None:
        process.kill()
        process.communicate()


def reason(errors: str) -> str:
    """Why a run failed: the last line of what it said."""
    last = (errors.strip().splitlines() or ["no reason given"])[-1]
    return last.removeprefix("wsload: ")[:200]
