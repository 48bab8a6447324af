"""Running the prober: who waited for how long, and when."""

import json
import signal
import subprocess
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.speedkit.machine import started_on
from tests.bench.speedkit.programs import NotHereError, compiler

SOURCE = Path(__file__).with_name("prober.c")

STOP_SECONDS_MAX = 10


class Late(NamedTuple):
    """A wait of more than a millisecond: when it began (ns, monotonic) and how long it was."""

    began_ns: int
    us: float

    @property
    def ended_ns(self) -> float:
        """When it ended (ns, monotonic)."""
        return self.began_ns + self.us * 1000


class Waits(NamedTuple):
    """All waits of a prober: the late ones, and its own figures of all."""

    late: list[Late]
    figures: dict[str, Any]


class ProberError(Exception):
    """The prober failed; the text is the reason that it gives."""


def build(folder: Path) -> Path:
    """Compile the prober into ``folder``. Raises `NotHereError` without a compiler that can."""
    program = folder / "prober"
    command = [compiler(), "-O2", "-o", str(program), str(SOURCE)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        first = (built.stderr.strip().splitlines() or ["no reason given"])[0]
        raise NotHereError(f"the C compiler refuses {SOURCE.name}: {first}")
    return program


class Prober:
    """A prober that runs on ``core`` from now until `stop`. Raises `ProberError`."""

    def __init__(self, program: Path, core: int, arguments: Sequence[str]) -> None:
        with started_on(core):
            self._process = subprocess.Popen(
                [str(program), *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        assert self._process.stdout is not None, "it is a pipe"
        if self._process.stdout.readline() != "ready\n":
            raise ProberError(self._reason())
        # Read all the time: a full pipe would stop it.
        self._lines: list[str] = []
        self._reader = threading.Thread(
            target=self._lines.extend, args=[self._process.stdout], daemon=True
        )
        self._reader.start()

    def stop(self) -> Waits:
        """End it; return what it saw. Raises `ProberError`."""
        self._process.send_signal(signal.SIGTERM)
        self._reader.join(STOP_SECONDS_MAX)
        if self._process.wait(STOP_SECONDS_MAX):
            assert self._process.stderr is not None, "it is a pipe"
            raise ProberError(self._process.stderr.read().strip() or "it failed")
        return parse("".join(self._lines))

    def _reason(self) -> str:
        self._process.kill()
        _, errors = self._process.communicate()
        return errors.strip() or "it does not start"


def parse(output: str) -> Waits:
    """Read what the prober prints. Raises `ProberError`."""
    *lines, last = output.splitlines() or [""]
    try:
        late = [Late(int(began), float(us)) for _, began, us in map(str.split, lines)]
        return Waits(late, json.loads(last))
    except ValueError:
        raise ProberError(f"no figures: {output[-200:]!r}") from None


def without_stolen(late: Iterable[Late], witnessed: Iterable[Late]) -> list[Late]:
    """Leave out waits of which the machine itself took at least half, as witnesses saw."""
    # On a busy machine there are many of both in ten minutes: each is compared with its neighbours.
    ordered = sorted(witnessed, key=lambda one: one.began_ns)
    begins = [one.began_ns for one in ordered]
    longest = max((one.ended_ns - one.began_ns for one in ordered), default=0)
    left = []
    for one in late:
        first = bisect_left(begins, one.began_ns - longest)
        near = ordered[first : bisect_right(begins, one.ended_ns)]
        if _stolen_us(one, near) * 2 < one.us:
            left.append(one)
    return left


def _stolen_us(late: Late, witnessed: Iterable[Late]) -> float:
    overlaps = (
        min(late.ended_ns, other.ended_ns) - max(late.began_ns, other.began_ns)
        for other in witnessed
    )
    return max((overlap / 1000 for overlap in overlaps if overlap > 0), default=0.0)
