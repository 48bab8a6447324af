"""The command line of `tests.bench.cluster`."""

import argparse
import datetime as dt
import importlib.metadata
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.bench.speedkit import choice, load, machine, programs
from tests.bench.speedkit.builds import Build, other_build, own_build
from tests.bench.speedkit.console import positive, refuse, say, tell
from tests.bench.speedkit.programs import NotHereError

from . import catching_up, leader_death, paced, reading, writing
from .figures import RAW, Readings, aims_table, folder, shared
from .servers import MeasureError
from .world import Terms, World, running

SECTIONS: Mapping[str, Callable[[World, Readings], None]] = {
    "paced": paced.measure,
    "writes": writing.measure,
    "reads": reading.measure,
    "loading": catching_up.measure,
    "death": leader_death.measure,
}

DESCRIPTION = "Measure what a store shared on NATS costs, beside NATS alone and a folder."


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; the exit code."""
    given = _parser().parse_args(arguments)
    try:
        builds = _builds(given)
        versions = {build.name: build.version(build.find()) for build in builds}
        nats_server = programs.nats_server(given.nats)
    except (ValueError, NotHereError) as error:
        return refuse("tests.bench.cluster", str(error))
    if not machine.has_two_cores():
        return refuse("tests.bench.cluster", "it needs Linux and two cores")
    terms = Terms(
        given.rounds, given.seconds, given.servers, given.nodes, given.keys, given.sync_interval
    )
    wanted = [name for name in SECTIONS if name in (given.only or SECTIONS)]
    if terms.servers < leader_death.SERVERS_MIN and "death" in wanted:
        tell("nobody leads in place of the leader without three servers: no row of its death")
        wanted.remove("death")
    heading = _heading(terms, nats_server, versions)
    readings = Readings()
    # Beside the source: the system's folder for temporary files may be in memory.
    with tempfile.TemporaryDirectory(dir=programs.ROOT, prefix=".bench-") as name:
        try:
            program = load.build(Path(name))
            with running(builds, nats_server, program, Path(name), terms, tell) as world:
                for section in wanted:
                    SECTIONS[section](world, readings)
        except (NotHereError, MeasureError, load.LoadError) as error:
            return refuse("tests.bench.cluster", str(error))
    say(f"{heading}\n\n{_tables(readings, [build.name for build in builds])}")
    if given.json:
        given.json.write_text(json.dumps(readings.plain(), indent=1) + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests.bench.cluster", description=DESCRIPTION)
    parser.add_argument("--rounds", type=positive, default=5, help="how often all take a turn")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one measurement")
    parser.add_argument(
        "--only", nargs="+", choices=SECTIONS, metavar="ROWS", help=f"of {', '.join(SECTIONS)}"
    )
    parser.add_argument("--servers", type=positive, default=3, help="of NATS (%(default)s)")
    parser.add_argument("--nodes", type=positive, default=3, help="of each dunena (%(default)s)")
    parser.add_argument("--keys", type=positive, default=100_000, help="to load (%(default)s)")
    parser.add_argument(
        "--sync-interval",
        default="2m",
        metavar="always|TIME",
        help="when NATS servers force writes to the device (%(default)s, as NATS does itself)",
    )
    choice.add_variants(parser)
    parser.add_argument("--dunena", nargs="+", metavar="NAME", help="these dunenas alone")
    parser.add_argument("--nats", metavar="PATH", help="the nats-server to use")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    return parser


def _builds(given: argparse.Namespace) -> list[Build]:
    every = [own_build(), *map(other_build, given.variant)]
    names = [build.name for build in every]
    if unknown := set(given.dunena or ()) - set(names):
        raise ValueError(f"{min(unknown)} is unknown; there are {', '.join(names)}")
    return [build for build in every if build.name in (given.dunena or names)]


def _heading(terms: Terms, nats_server: str, versions: Mapping[str, str]) -> str:
    today = dt.datetime.now(tz=dt.UTC).date()
    server = programs.first_line(nats_server, "--version").removeprefix("nats-server: ")
    client = importlib.metadata.version("nats-py")
    lines = [
        f"{today}, {machine.describe()}, load average {machine.load_average():.1f} at the start;",
        f"{terms.servers} NATS servers with sync_interval {terms.sync}, {terms.nodes} nodes and",
        "the load on this machine and its one disk. Medians, in brackets the smallest and the",
        f"largest, of {terms.rounds} rounds of {terms.seconds:g} s; {terms.keys:,} keys to load.",
        "",
        *(f"- {name}: {version}" for name, version in versions.items()),
        f"- nats-server {server}, nats-py {client}",
    ]
    return "\n".join(lines)


def _tables(readings: Readings, names: Sequence[str]) -> str:
    columns = [*map(shared, names), RAW, *map(folder, names)]
    tables = [readings.table(columns), aims_table(readings, names)]
    return "\n\n".join(filter(None, tables))
