"""The command line of `tests.bench.curves`."""

import argparse
import datetime as dt
import functools
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.bench.speedkit import choice, load, machine, rounds
from tests.bench.speedkit.console import positive, refuse, say, tell
from tests.bench.speedkit.contenders import Contender
from tests.bench.speedkit.programs import NotHereError
from tests.bench.speedkit.rounds import Outcome

from . import charts, results, starting, tables
from .curves import CURVES, Curve, named, only_at
from .results import Results, ResultsError

MEASURED = ("dunena", "Bun")
"""The contenders that are measured when none are named."""


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; the exit code."""
    given = _parser().parse_args(arguments)
    try:
        curves = named(given.only)
        wanted = choice.chosen(given, MEASURED)
        if given.list:
            _list(wanted)
            return 0
        found = _joined(given.from_json) if given.from_json else _measured(curves, wanted, given)
    except KeyError as error:
        return refuse("curves", f"{error.args[0]} is unknown; --list names all")
    except (ValueError, NotHereError, ResultsError) as error:
        return refuse("curves", str(error))
    _keep(found, given)
    _tell_all(found, curves, given)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tests.bench.curves", description="Measure how costs grow, and draw it."
    )
    parser.add_argument("--rounds", type=positive, default=3, help="how often all take a turn")
    parser.add_argument("--seconds", type=float, default=0.5, help="of one measurement")
    parser.add_argument("--only", nargs="+", metavar="CURVE", help="these curves alone")
    parser.add_argument(
        "--at", nargs="+", type=positive, metavar="N", help="these points of the curves alone"
    )
    choice.add_options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all figures there")
    parser.add_argument(
        "--from-json",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="measure nothing, and join what was kept in these",
    )
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="draw pictures there")
    parser.add_argument("--list", action="store_true", help="name curves and servers")
    return parser


def _list(wanted: Sequence[Contender]) -> None:
    for curve in CURVES:
        say(f"{curve.name:12} {curve.xs[0]:,} to {curve.xs[-1]:,}: {curve.axis}")
    say("servers: " + ", ".join(contender.name for contender in wanted))


def _joined(files: Sequence[Path]) -> Results:
    parts = []
    for file in files:
        try:
            parts.append(results.parse(file.read_text(encoding="utf-8")))
        except (OSError, ResultsError) as error:
            raise ResultsError(f"{file}: {error}") from None
    return results.merged(parts)


def _measured(
    curves: Sequence[Curve], wanted: Sequence[Contender], given: argparse.Namespace
) -> Results:
    if not machine.has_two_cores():
        raise NotHereError("it needs Linux and two cores: one for the servers, one for the load")
    present, versions, absent = choice.found(wanted)
    found = Results([run_line(given.rounds, given.seconds, versions | absent)])
    with tempfile.TemporaryDirectory() as folder:
        program = load.build(Path(folder))
        for curve in (only_at(curve, given.at) for curve in curves):
            points = found.curves.setdefault(curve.name, {})
            measured = (
                _starts(present, curve, given)
                if curve.is_start
                else _points(program, present, curve, given)
            )
            for x, outcome in measured:
                points[x] = outcome
                _keep(found, given)  # a run that is ended before its end has measured for something
    return found


def run_line(rounds_count: int, seconds: float, servers: Mapping[str, str]) -> str:
    """When and on what a run measured, how long, and which servers or why they are not here."""
    today = dt.datetime.now(tz=dt.UTC).date()
    told = "; ".join(f"{name}: {what}" for name, what in servers.items())
    load_average = f"load average {machine.load_average():.1f} at the start"
    length = f"rounds: {rounds_count} of {seconds:g} s"
    return f"{today}, {machine.describe()}, {load_average}, {length}; {told}"


def _points(
    program: Path, present: Sequence[Contender], curve: Curve, given: argparse.Namespace
) -> Iterator[tuple[int, Outcome]]:
    for x in curve.reachable(machine.connections_max):
        workload = curve.point(x)
        yield (
            x,
            rounds.take_turns(
                program,
                present,
                workload,
                rounds=given.rounds,
                seconds=given.seconds,
                tell=tell,
            ),
        )


def _starts(
    present: Sequence[Contender], curve: Curve, given: argparse.Namespace
) -> Iterator[tuple[int, Outcome]]:
    # Nothing is told of servers that cannot start on such files.
    able = [contender for contender in present if starting.can_start(contender)]
    for x in curve.xs if able else ():
        with starting.folder_of(x) as folder:
            starting.measure(able[0], folder, x)  # it takes the files over, which no later one does
            yield (
                x,
                rounds.take_turns_at(
                    able,
                    curve.point(x).name,
                    functools.partial(starting.measure, folder=folder, keys=x),
                    rounds=given.rounds,
                    tell=tell,
                ),
            )


def _keep(found: Results, given: argparse.Namespace) -> None:
    if given.json:
        given.json.write_text(found.text(), encoding="utf-8")


def _tell_all(found: Results, curves: Sequence[Curve], given: argparse.Namespace) -> None:
    say("".join(f"- {run}\n" for run in found.runs))
    for curve in curves:
        points = found.curves.get(curve.name)
        if not points:
            continue
        for picture in curve.pictures:
            say(f"{tables.picture_table(curve, picture, points, given.compared_with)}\n")
            chart = tables.chart(curve, picture, points)
            if given.pictures and chart.lines:
                given.pictures.mkdir(parents=True, exist_ok=True)
                path = given.pictures / f"curve-{picture.name}.svg"
                path.write_text(charts.svg(chart), encoding="utf-8")
