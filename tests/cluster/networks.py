"""Where the machines of a cluster are: all at this one's loopback, or each in a namespace.

Network namespaces are Linux's, and only root may make them. Each is a machine of its own, with an
address and a cable to a switch; so a network can be cut in two as it is outside.
"""

import itertools
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from tests.support.missing import report_missing
from tests.support.ports import find_row


@dataclass(frozen=True, slots=True)
class Place:
    """A machine: its address, and the words before a command that runs there."""

    name: str
    address: str
    prefix: tuple[str, ...] = ()


class Network(Protocol):
    """Machines that reach each other."""

    def make_place(self, name: str) -> Place:
        """Add a machine."""

    def find_port(self, wanted: int) -> int:
        """Return a port that is free at a new machine, this one if that can be."""

    def __enter__(self) -> Self:
        """Make it."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take it away."""


class Loopback:
    """All at one machine, with different ports."""

    def make_place(self, name: str) -> Place:
        return Place(name, "127.0.0.1")

    def find_port(self, wanted: int) -> int:
        return find_row(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def why_no_namespaces() -> str | None:
    """Why machines cannot have networks of their own; None if they can.

    A program that is not there is reported as missing; what the system does not permit is not.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        return "networks are cut as root on Linux alone"
    for program in ("ip", "nsenter"):
        if not shutil.which(program):
            report_missing(program)
    name = f"dn-try-{os.getpid()}"
    tries = (("ip", "netns", "add", name), ("nsenter", f"--net={FOLDER}/{name}", "true"))
    try:
        for words in tries:
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                return f"{' '.join(words[:2])}: {done.stderr.strip()}"
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return None


FOLDER = "/run/netns"
"""Where namespaces have names."""


class Namespaces:
    """A switch, and each machine in a network namespace with a cable to it.

    The names of interfaces, of 15 characters at most, have the number of this process in them.
    """

    _counts = itertools.count(1)

    def __init__(self) -> None:
        self._mark = f"{os.getpid() % 100_000}x{next(self._counts)}"
        self._switch = f"dnb{self._mark}"
        self._net = (
            f"10.{100 + os.getpid() % 100}.{os.getpid() // 100 % 200 + next(self._counts) % 50}"
        )
        self._places: list[Place] = []

    def __enter__(self) -> Self:
        _ip("link", "add", self._switch, "type", "bridge")
        _ip("addr", "add", f"{self._net}.1/24", "dev", self._switch)
        _ip("link", "set", self._switch, "up")
        return self

    def __exit__(self, *_: object) -> None:
        for place in self._places:
            # By itself it would go some time after the namespace.
            _ip("link", "del", self._cable(place.name))
            _ip("netns", "del", self._namespace(place.name))
        _ip("link", "del", self._switch)

    def make_place(self, name: str) -> Place:
        space, cable = self._namespace(name), self._cable(name)
        # Not `ip netns exec`: what runs there would keep mounts that are made anew outside.
        prefix = ("nsenter", f"--net={FOLDER}/{space}")
        place = Place(name, f"{self._net}.{len(self._places) + 10}", prefix)
        _ip("netns", "add", space)
        self._places.append(place)
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("link", "set", cable, "master", self._switch, "up")
        _ip("-n", space, "addr", "add", f"{place.address}/24", "dev", "eth0")
        _ip("-n", space, "link", "set", "eth0", "up")
        _ip("-n", space, "link", "set", "lo", "up")
        return place

    def find_port(self, wanted: int) -> int:
        return wanted

    def cut(self, place: Place) -> None:
        """Pull the cable of a machine."""
        _ip("link", "set", self._cable(place.name), "down")

    def mend(self, place: Place) -> None:
        """Put it in again."""
        _ip("link", "set", self._cable(place.name), "up")

    def split(self, one: Place, other: Place) -> None:
        """Let two machines no longer reach each other, and all others both of them."""
        _ip("-n", self._namespace(one.name), "route", "add", "blackhole", other.address)
        _ip("-n", self._namespace(other.name), "route", "add", "blackhole", one.address)

    def join(self, one: Place, other: Place) -> None:
        """End a split."""
        _ip("-n", self._namespace(one.name), "route", "del", "blackhole", other.address)
        _ip("-n", self._namespace(other.name), "route", "del", "blackhole", one.address)

    def _namespace(self, name: str) -> str:
        return f"dn-{self._mark}-{name}"

    def _cable(self, name: str) -> str:
        return f"dnv{self._mark}{name}"


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
