"""The machine: its cores, its limits and its name."""

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SERVER_CORE, LOAD_CORE = 0, 1

DESCRIPTORS_RESERVED = 100
"""Files of a server that are no connections, generously."""


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


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
