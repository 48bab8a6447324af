"""Which servers are compared: options of the command lines, and the contenders that they name."""

import argparse
from collections.abc import Sequence

from . import contenders, report
from .contenders import Contender
from .programs import NotHereError


def add_variants(parser: argparse.ArgumentParser) -> None:
    """An option for more dunenas, each as `builds.other_build` reads it."""
    parser.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="NAME=PYTHON[,VARIABLE=VALUE...]",
        help="one more dunena: the one that PYTHON has installed, or of PYTHONPATH=FOLDER",
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options from which `chosen` chooses."""
    parser.add_argument("--contender", nargs="+", metavar="NAME", help="these servers alone")
    add_variants(parser)
    parser.add_argument(
        "--executable",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="one more dunena: an executable",
    )
    parser.add_argument(
        "--downloads",
        action="store_true",
        help="what people download, too, made of this checkout: "
        + ", ".join(contender.name for contender in contenders.what_people_download()),
    )
    parser.add_argument(
        "--compared-with",
        metavar="NAME",
        default=report.REFERENCE,
        help="the server that ratios are of (%(default)s)",
    )
    parser.add_argument("--bun", metavar="PATH", help="the bun to use")
    parser.add_argument("--nats", metavar="PATH", help="the nats-server to use")


def chosen(given: argparse.Namespace, names: Sequence[str] = ()) -> list[Contender]:
    """The contenders that options ask for, those of ``names`` if they name none, or all.

    What people download has to be made, and is measured only if it is asked for. Raises `KeyError`
    with a name that is none, and `ValueError`.
    """
    own, others = _own(given), _others(given)
    downloaded = contenders.what_people_download()
    every = [*own, *downloaded, *others]
    all_names = [contender.name for contender in every]
    if twice := {name for name in all_names if all_names.count(name) > 1}:
        raise ValueError(f"two servers are called {min(twice)}")
    if unknown := {given.compared_with, *(given.contender or ())} - set(all_names):
        raise KeyError(min(unknown))
    wanted = set(given.contender or ())
    if not wanted:
        added = {contender.name for contender in own[1:]}
        wanted = {*names, *added} if names else {contender.name for contender in (*own, *others)}
    if given.downloads:
        wanted |= {contender.name for contender in downloaded}
    return [contender for contender in every if contender.name in wanted]


def found(
    wanted: Sequence[Contender],
) -> tuple[list[Contender], dict[str, str], dict[str, str]]:
    """Those that can run with their versions, and why the others cannot."""
    present, versions, absent = [], {}, {}
    for contender in wanted:
        try:
            versions[contender.name] = contender.version(contender.find())
        except NotHereError as error:
            absent[contender.name] = str(error)
        else:
            present.append(contender)
    return present, versions, absent


def _own(given: argparse.Namespace) -> list[Contender]:
    """This checkout, and the dunenas that were named."""
    return [
        contenders.dunena(),
        *map(contenders.variant, given.variant),
        *map(contenders.named_executable, given.executable),
    ]


def _others(given: argparse.Namespace) -> list[Contender]:
    return [
        contenders.bun(given.bun),
        contenders.stock(),
        contenders.redis(),
        contenders.nats(given.nats),
    ]
