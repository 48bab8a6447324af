"""Taking turns: whatever else the machine does meets all contenders alike."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from . import load, machine
from .contenders import CannotError, Contender
from .machine import connections_max
from .workloads import BESIDE, Result, Workload


@dataclass(slots=True)
class Measured:
    """What one contender came to in one workload: a result each round, or why there is none."""

    results: list[Result] = field(default_factory=list)
    reason: str = ""


_Item = TypeVar("_Item")

Outcome = dict[str, Measured]
"""By contender's name."""


def rotated(items: Sequence[_Item], turn: int) -> list[_Item]:
    """``items`` with another one first each turn."""
    first = turn % len(items) if items else 0
    return [*items[first:], *items[:first]]


def measure(program: Path, contender: Contender, workload: Workload, seconds: float) -> Result:
    """One run against a fresh server, after one of the workload that it stands beside.

    Raises `CannotError`, `load.LoadError` and, when the server does not start, `RuntimeError`.
    """
    if workload.beside is None:
        return _run(program, contender, workload, seconds)
    contender.talk(workload)  # if it cannot, the other need not run
    field = workload.figures[0].field
    other = _run(program, contender, workload.beside, seconds)
    result = _run(program, contender, workload, seconds)
    return {**result, BESIDE: result[field] / other[field]}


def _run(program: Path, contender: Contender, workload: Workload, seconds: float) -> Result:
    talk = contender.talk(workload)
    connections = connections_max(workload.connections)
    before = machine.moment()
    with contender.running(keeps=workload.keeps) as server:
        process = load.start(
            program, server, workload, talk, seconds=seconds, connections=connections
        )
        result = load.finish(process, seconds)
    besides = machine.moment().besides_since(before)
    return {**result, **besides, machine.LOAD_AVERAGE: machine.load_average()}


def take_turns(
    program: Path,
    contenders: Sequence[Contender],
    workload: Workload,
    *,
    rounds: int,
    seconds: float,
    tell: Callable[[str], None],
) -> Outcome:
    """All rounds of one workload. One that failed once is not asked again: its reason is told."""
    return take_turns_at(
        contenders,
        workload.name,
        lambda contender: measure(program, contender, workload, workload.seconds or seconds),
        rounds=workload.rounds or rounds,
        tell=tell,
    )


def take_turns_at(
    contenders: Sequence[Contender],
    what: str,
    measure_one: Callable[[Contender], Result],
    *,
    rounds: int,
    tell: Callable[[str], None],
) -> Outcome:
    """The same for anything that is measured; ``what`` names it where progress is told."""
    outcome = {contender.name: Measured() for contender in contenders}
    for turn, contender in _turns(contenders, rounds):
        measured = outcome[contender.name]
        if measured.reason:
            continue
        tell(f"{what}, round {turn + 1} of {rounds}: {contender.name}")
        try:
            measured.results.append(measure_one(contender))
        except CannotError as error:
            measured.reason = str(error)
        except (load.LoadError, RuntimeError) as error:
            measured.reason = f"failed: {error}"
    return outcome


def _turns(contenders: Sequence[Contender], rounds: int) -> Iterator[tuple[int, Contender]]:
    for turn in range(rounds):
        for contender in rotated(contenders, turn):
            yield turn, contender
