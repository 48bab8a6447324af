"""The rows of the table, what all rounds came to, and the table itself."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.bench.speedkit.report import NOTHING, number, table

RAW = "raw `kv.put`"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a figure that is told with ``places``."""

    title: str
    places: int = 1


@dataclass(frozen=True, slots=True)
class Shape:
    """So many connections with so many requests in flight on each."""

    connections: int
    depth: int

    @property
    def text(self) -> str:
        """As tables name it."""
        return f"{self.connections} x {self.depth}"


SHAPES = (Shape(1, 1), Shape(64, 1), Shape(64, 16))

PACED_P50 = Row("50 writes a second, one at a time: ms to the answer, p50")
PACED_P99 = Row("the same, p99")
SEEN_P50 = Row("the same, until a client of another node sees it: ms, p50")
SEEN_P99 = Row("the same, p99 ")
GETS = Row("`get` of the object store, 64 x 1: us of CPU", 2)
DUNENA_GETS = Row("`get` of the dunena dialect, 64 x 1: us of CPU", 2)
READY = Row("a new node is ready after, s", 2)
LOAD_CPU = Row("the same, s of CPU", 2)
PEAK = Row("its memory while it loads, MB at most", 0)
AFTER = Row("its memory after that, MB", 0)
GAP = Row("the stream's leader is killed: s without an acknowledged write", 2)


@dataclass(frozen=True, slots=True)
class WriteRows:
    """The rows of one shape: a write's rate and times, and the CPU us that it costs everywhere."""

    rate: Row
    p50: Row
    p99: Row
    origin: Row
    others: Row
    leader: Row
    followers: Row


def write_rows(shape: Shape) -> WriteRows:
    """The rows of a shape."""
    text = shape.text
    return WriteRows(
        Row(f"writes a second, {text}", 0),
        Row(f"{text}: ms to the answer, p50"),
        Row(f"{text}: ms to the answer, p99"),
        Row(f"{text}: us of CPU, where it is asked for", 0),
        Row(f"{text}: us of CPU, at each other node", 0),
        Row(f"{text}: us of CPU, NATS server that leads", 0),
        Row(f"{text}: us of CPU, each other NATS server", 0),
    )


WRITES = {shape: write_rows(shape) for shape in SHAPES}


def shared(name: str) -> str:
    """The column of a dunena with the shared store."""
    return f"{name}, shared store"


def folder(name: str) -> str:
    """The column of a dunena with a folder."""
    return f"{name}, a folder"


class Readings:
    """What was measured: a figure for each row and column in each round."""

    def __init__(self) -> None:
        self._values: dict[Row, dict[str, list[float]]] = {}

    def add(self, row: Row, column: str, value: float) -> None:
        """Note the figure of one more round."""
        self._values.setdefault(row, {}).setdefault(column, []).append(value)

    def of(self, row: Row, column: str) -> Sequence[float]:
        """The figures of all rounds, none if it was not measured."""
        return self._values.get(row, {}).get(column, [])

    def ratio(self, over: tuple[Row, str], under: tuple[Row, str]) -> float | None:
        """The median of one figure over another, round by round; None without rounds.

        Rounds are compared in pairs because a busy machine slows both of one round.
        """
        pairs = [pair for pair in zip(self.of(*over), self.of(*under), strict=False) if pair[1]]
        return statistics.median(one / other for one, other in pairs) if pairs else None

    def plain(self) -> Mapping[str, Mapping[str, Sequence[float]]]:
        """All of it, by titles."""
        return {row.title.strip(): columns for row, columns in self._values.items()}

    def table(self, columns: Sequence[str]) -> str:
        """The medians of all rounds; in brackets the smallest and the largest."""
        rows = [
            [row.title.strip(), *(spread(self.of(row, column), row.places) for column in columns)]
            for row in self._values
        ]
        return table(["", *columns], rows)


def spread(values: Sequence[float], places: int) -> str:
    """The median of rounds, and in brackets the smallest and the largest, if they are several."""
    if not values:
        return NOTHING
    middle = number(statistics.median(values), places)
    if len(values) == 1:
        return middle
    return f"{middle} ({number(min(values), places)} to {number(max(values), places)})"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that no more than a share of 1 - ``share`` is above (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def longest_gap(times: Sequence[float]) -> float:
    """The longest time between two that follow each other; 0 if they are fewer."""
    return max((later - before for before, later in pairwise(times)), default=0)


@dataclass(frozen=True, slots=True)
class Aim:
    """What a figure of a dunena should be at most; ``find`` takes its name."""

    title: str
    most: float
    places: int
    find: Callable[[Readings, str], float | None]


def _median_of(row: Row) -> Callable[[Readings, str], float | None]:
    def find(readings: Readings, name: str) -> float | None:
        values = readings.of(row, shared(name))
        return statistics.median(values) if values else None

    return find


def _of_the_folder(row: Row) -> Callable[[Readings, str], float | None]:
    return lambda readings, name: readings.ratio((row, shared(name)), (row, folder(name)))


AIMS = (
    Aim(
        f"p50 at 50 writes a second, of that of {RAW}",
        1.5,
        2,
        lambda readings, name: readings.ratio((PACED_P50, shared(name)), (PACED_P50, RAW)),
    ),
    Aim(
        "us of CPU of a change at each other node, 64 x 16",
        45,
        0,
        _median_of(WRITES[SHAPES[-1]].others),
    ),
    Aim("s until a new node with all keys is ready", 5, 2, _median_of(READY)),
    Aim(
        "its memory while it loads, of that after",
        1.5,
        2,
        lambda readings, name: readings.ratio((PEAK, shared(name)), (AFTER, shared(name))),
    ),
    Aim(
        "us of CPU of a `get` of the object store, of that with a folder",
        1.05,
        2,
        _of_the_folder(GETS),
    ),
    Aim(
        "us of CPU of a `get` of the dunena dialect, of that with a folder",
        1.05,
        2,
        _of_the_folder(DUNENA_GETS),
    ),
)


def aims_table(readings: Readings, names: Sequence[str]) -> str:
    """What was to be reached, and what was; without aims of which nothing was measured.

    Empty if no aim is left.
    """
    rows = []
    for aim in AIMS:
        found = [aim.find(readings, name) for name in names]
        if any(value is not None for value in found):
            rows.append(
                [aim.title, f"{aim.most:g}", *(number(value, aim.places) for value in found)]
            )
    return table(["", "at most", *names], rows) if rows else ""
