"""The machine: its cores, its limits and its name."""

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SERVER_CORE, LOAD_CORE = 0, 1

DESCRIPTORS_RESERVED = 100
"""Files of a server that are no connections, generously."""


STEAL, OTHERS, LOAD_AVERAGE = "steal_percent", "others_percent", "load_average"
"""Fields of a result: what the machine did besides."""


@contextmanager
def started_on(core: int) -> Iterator[None]:
    """Processes started in here stay on one core, where there is such a one: they inherit it."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} & before or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def has_two_cores() -> bool:
    """Whether server and load get one each, on a system that lets us choose."""
    return sys.platform == "linux" and {SERVER_CORE, LOAD_CORE} <= os.sched_getaffinity(0)


def connections_max(wanted: int) -> int:
    """How many connections one process may have open, at most as many as wanted.

    The limit of open files is raised as far as the system lets us; servers and load inherit it.
    """
    import resource  # Windows has none, and the tests of the other functions run there

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + DESCRIPTORS_RESERVED
    if _allows(soft, needed):
        return wanted
    try:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (needed, hard if _allows(hard, needed) else needed)
        )
    except (OSError, ValueError):  # only a privileged process may go past the hard limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return hard - DESCRIPTORS_RESERVED
    return wanted


def _allows(limit: int, needed: int) -> bool:
    return limit >= needed or limit == -1  # RLIM_INFINITY


def describe() -> str:
    """CPU, cores, kernel and Python, in one line."""
    cores = os.cpu_count()
    return f"{_cpu_model()}, {cores} cores, {platform.system()} {platform.release()}"


def load_average() -> float:
    """Processes that wanted to run, on average of the last minute."""
    return os.getloadavg()[0]


@dataclass(frozen=True, slots=True)
class Moment:
    """Seconds of all processors until now: all of them, those that the host gave to other machines
    though we wanted them, those of programs, and those of our own programs that have ended.
    """

    whole: float
    stolen: float
    busy: float
    own: float

    def besides_since(self, before: "Moment") -> dict[str, float]:
        """In percent of the time since then: what was stolen, and what other programs used."""
        whole = self.whole - before.whole
        if not whole:
            return {STEAL: 0.0, OTHERS: 0.0}
        others = (self.busy - before.busy) - (self.own - before.own)
        stolen = self.stolen - before.stolen
        return {STEAL: 100 * stolen / whole, OTHERS: max(0.0, 100 * others / whole)}


def moment() -> Moment:
    """Now. Programs that still run are no programs of ours yet."""
    times = os.times()
    own = times.user + times.system + times.children_user + times.children_system
    return parse_moment(Path("/proc/stat").read_text(), os.sysconf("SC_CLK_TCK"), own)


def parse_moment(stat: str, ticks_per_second: int, own: float) -> Moment:
    """Out of the first line of /proc/stat, whose fields proc_stat(5) names."""
    fields = [int(field) / ticks_per_second for field in stat.partition("\n")[0].split()[1:]]
    # The time of guests, behind what was stolen, is the user's already. That of interrupts belongs
    # to whom they interrupt, but on kernels with IRQ_TIME_ACCOUNTING, where it counts as others'.
    user, nice, system, _idle, _waiting, interrupts, soft_interrupts, stolen = fields[:8]
    busy = user + nice + system + interrupts + soft_interrupts
    return Moment(sum(fields[:8]), stolen, busy, own)


def _cpu_model() -> str:
    return parse_cpu_model(Path("/proc/cpuinfo").read_text()) or platform.machine()


def parse_cpu_model(cpuinfo: str) -> str:
    """The processor's name; numbers too, as those of virtual machines have no other of their own.

    Nothing for a processor without a name: /proc/cpuinfo differs between architectures.
    """
    pairs = [line.partition(":") for line in cpuinfo.partition("\n\n")[0].splitlines()]
    fields = {name.strip(): value.strip() for name, _, value in pairs}
    if "model name" not in fields:
        return ""
    numbers = [f"{name} {fields[name]}" for name in ("cpu family", "model") if name in fields]
    return f"{fields['model name']} ({', '.join(numbers)})" if numbers else fields["model name"]
