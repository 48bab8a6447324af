"""The command line of `speed.py`."""

import argparse
import datetime as dt
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import choice, load, machine, profiling, report
from .console import positive, refuse, say, tell
from .contenders import Contender
from .programs import NotHereError
from .rounds import Outcome, take_turns
from .workloads import WORKLOADS, Workload, named


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; the exit code."""
    given = _parser().parse_args(arguments)
    try:
        workloads = named(given.only)
        wanted = choice.chosen(given)
    except KeyError as error:
        return refuse("speed.py", f"{error.args[0]} is unknown; --list names all")
    except ValueError as error:
        return refuse("speed.py", str(error))
    if given.list:
        _list(wanted)
        return 0
    if not machine.has_two_cores():
        return refuse(
            "speed.py", "it needs Linux and two cores: one for the servers, one for the load"
        )
    with tempfile.TemporaryDirectory() as folder:
        try:
            program = load.build(Path(folder))
        except NotHereError as error:
            return refuse("speed.py", str(error))
        if given.profile:
            return _profile(program, given)
        return _compare(program, workloads, wanted, given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="speed.py", description="Compare dunena's speed.")
    parser.add_argument("--rounds", type=positive, default=5, help="how often all take a turn")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one measurement")
    parser.add_argument("--only", nargs="+", metavar="WORKLOAD", help="these workloads alone")
    choice.add_options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    parser.add_argument("--list", action="store_true", help="name workloads and servers")
    parser.add_argument("--profile", metavar="WORKLOAD", help="where dunena's time goes in it")
    parser.add_argument(
        "--profile-to", type=Path, metavar="FILE", help="also write a profile for speedscope"
    )
    return parser


def _list(wanted: Sequence[Contender]) -> None:
    for workload in WORKLOADS:
        say(f"{workload.name:16} {workload.title}")
    say("servers: " + ", ".join(contender.name for contender in wanted))


def _compare(
    program: Path,
    workloads: Sequence[Workload],
    wanted: Sequence[Contender],
    given: argparse.Namespace,
) -> int:
    present, versions, absent = choice.found(wanted)
    say(_heading(given, versions, absent))
    outcomes: dict[Workload, Outcome] = {}
    for workload in workloads:
        outcomes[workload] = take_turns(
            program, present, workload, rounds=given.rounds, seconds=given.seconds, tell=tell
        )
        outcome = outcomes[workload]
        say(f"\n{report.workload_table(workload, outcome, absent, given.compared_with)}")
    say(f"\n### All\n\n{report.summary_table(outcomes, absent, given.compared_with)}")
    if given.json:
        given.json.write_text(json.dumps(_plain(outcomes), indent=1) + "\n", encoding="utf-8")
    return 0


def _heading(
    given: argparse.Namespace, versions: Mapping[str, str], absent: Mapping[str, str]
) -> str:
    today = dt.datetime.now(tz=dt.UTC).date()
    lines = [
        f"{today}, {machine.describe()}, load average {machine.load_average():.1f} at the start;",
        f"medians of {given.rounds} rounds of {given.seconds:g} s, ratios of the same rounds.",
        "",
        *(f"- {name}: {version}" for name, version in versions.items()),
        *(f"- {name}: not here: {why}" for name, why in absent.items()),
    ]
    return "\n".join(lines)


def _plain(outcomes: Mapping[Workload, Outcome]) -> dict[str, dict[str, object]]:
    return {
        workload.name: {
            name: measured.reason or [dict(result) for result in measured.results]
            for name, measured in outcome.items()
        }
        for workload, outcome in outcomes.items()
    }


def _profile(program: Path, given: argparse.Namespace) -> int:
    try:
        (workload,) = named([given.profile])
        say(profiling.profile(program, workload, given.seconds, given.profile_to))
    except KeyError as error:
        return refuse("speed.py", f"{error.args[0]} is unknown; --list names all")
    except (NotHereError, load.LoadError, RuntimeError) as error:
        return refuse("speed.py", str(error))
    return 0
