"""The curves: what grows, and what is measured at each point."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tests.bench.speedkit.workloads import CPU, DUNENA, RSS, Figure, Workload

WARM_UP_MS = 300
"""Shorter than for a single figure: there are some forty points."""

START = Figure("start_ms", "ms", 0)


@dataclass(frozen=True, slots=True)
class Picture:
    """One figure of a curve; ``axis`` says what it is."""

    name: str
    title: str
    axis: str
    figure: Figure


@dataclass(frozen=True, slots=True)
class Curve:
    """``point`` makes the workload at one of ``xs``; ``axis`` says what these are.

    ``is_start``: servers are not driven, but started on so many keys.
    """

    name: str
    axis: str
    xs: tuple[int, ...]
    point: Callable[[int], Workload]
    pictures: tuple[Picture, ...]
    is_bytes: bool = False
    is_start: bool = False

    def reachable(self, connections_max: Callable[[int], int]) -> list[int]:
        """Its ``xs`` on a machine that lets a process open as many connections as it says.

        Where that ends before the last of them, the most that is possible takes the place of those.
        """
        reached = 0
        xs: list[int] = []
        for x in self.xs:
            wanted = self.point(x).connections
            allowed = connections_max(wanted)
            if allowed < wanted:
                most = x - (wanted - allowed)
                return [*xs, most] if most > reached else xs
            reached = x
            xs.append(x)
        return xs


def _load(*options: str) -> tuple[str, ...]:
    return (*options, "-w", str(WARM_UP_MS))


def _connections(count: int) -> Workload:
    return Workload(
        f"connections-{count}",
        f"`get`, {count:,} connections x 1 in flight",
        lambda phrases: phrases.get(),
        count,
        _load("-d", "1"),
    )


def _subscribers(count: int) -> Workload:
    return Workload(
        f"subscribers-{count}",
        f"one update to {count:,} subscribers, 4 ahead, per delivery",
        lambda phrases: phrases.fan_out(),
        count + 1,
        _load("-d", "4"),
        keys=1,
    )


def _keys(count: int) -> Workload:
    return Workload(
        f"keys-{count}",
        f"`get` of {count:,} keys, 64 connections x 1 in flight",
        lambda phrases: phrases.get(),
        64,
        _load("-d", "1"),
        keys=count,
    )


def _value(size: int) -> Workload:
    return Workload(
        f"value-{size}",
        f"`set` of {size:,} bytes and its update, 16 connections x 1 in flight",
        lambda phrases: phrases.set_and_see(),
        16,
        _load("-d", "1"),
        fill=size,
    )


def _start(count: int) -> Workload:
    return Workload(
        f"start-{count}",
        f"a start on {count:,} keys in files",
        lambda phrases: phrases.get(),
        1,
        figures=(START, RSS),
        ways=(DUNENA,),
        keys=count,
        keeps=True,
    )


CURVES = (
    Curve(
        "connections",
        "connections, each with one `get` in flight",
        (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 20_000),
        _connections,
        (Picture("connections", "What a get costs, by connections", "CPU us for each get", CPU),),
    ),
    Curve(
        "subscribers",
        "subscribers of one key",
        (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000),
        _subscribers,
        (
            Picture(
                "subscribers",
                "What a delivery costs, by subscribers",
                "CPU us for each delivery",
                CPU,
            ),
        ),
    ),
    Curve(
        "keys",
        "keys with values of 64 bytes",
        (10, 100, 1000, 10_000, 100_000, 1_000_000),
        _keys,
        (
            Picture("keys", "What a get costs, by keys", "CPU us for each get", CPU),
            Picture("memory", "Memory of the server, by keys", "MB", RSS),
        ),
    ),
    Curve(
        "value",
        "size of the value",
        (16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304),
        _value,
        (
            Picture(
                "value",
                "What a set and its update cost, by the size of the value",
                "CPU us for each set with its update",
                CPU,
            ),
        ),
        is_bytes=True,
    ),
    Curve(
        "start",
        "keys with values of 64 bytes, in files",
        (1, 10, 100, 1000, 10_000, 100_000),
        _start,
        (
            Picture(
                "start",
                "From the start of the process to the first answer, by keys",
                "ms to the first answer",
                START,
            ),
        ),
        is_start=True,
    ),
)


def named(names: Sequence[str] | None) -> list[Curve]:
    """The curves of these names in their own order; all when there are none.

    Raises `KeyError` with a name that is none.
    """
    if not names:
        return list(CURVES)
    if unknown := set(names) - {curve.name for curve in CURVES}:
        raise KeyError(min(unknown))
    return [curve for curve in CURVES if curve.name in names]


def only_at(curve: Curve, xs: Sequence[int] | None) -> Curve:
    """The curve with those of its points that are among ``xs``; with all when there are none."""
    if not xs:
        return curve
    return replace(curve, xs=tuple(x for x in curve.xs if x in xs))
