"""The command of build/executable.py."""

import argparse
import functools
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from devkit import console
from devkit.console import CommandError
from devkit.requirements import ROOT
from releasekit.targets import Target

from packkit import builder, choice

say = functools.partial(console.say, program="executable")
complain = functools.partial(console.complain, program="executable")


def main(arguments: Sequence[str]) -> int:
    """Make what is asked for. Exit codes: 0 made, 1 nothing could be made, 2 wrong usage."""
    asked = parser().parse_args(arguments)
    host = choice.host_label(sys.platform, platform.machine())
    targets = choice.asked_for(asked.target or "", host)
    here = [target for target in targets if target.label == host]
    for target in targets:
        if target not in here:
            complain(choice.not_here(target))
    if not here:
        if not targets:
            complain(f"there is no executable for {host}")
        return 1
    try:
        make(here[0], asked.output, asked.work, is_pure=asked.pure)
    except CommandError as failure:
        complain(str(failure))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """What can be typed."""
    words = argparse.ArgumentParser(
        prog="executable.py",
        description="Make the executable of this machine and its archives, in dist/.",
    )
    choices = [choice.ALL, *choice.WORDS]
    target = "default: the one that this machine can make"
    words.add_argument("target", nargs="?", choices=choices, metavar="|".join(choices), help=target)
    folder = functools.partial(words.add_argument, type=Path, metavar="FOLDER")
    folder("--output", default=ROOT / "dist", help="instead of dist/")
    work = "where everything in between goes and stays; must be empty or not there"
    folder("--work", help=work)
    pure = "leave the hot modules as Python: slower; needs no C compiler on Windows"
    words.add_argument("--pure", action="store_true", help=pure)
    return words


def make(target: Target, output: Path, work: Path | None, *, is_pure: bool = False) -> None:
    """Build, and say what was made. Without `work` what lies in between is removed at the end."""
    say(f"building {target.executable}")
    try:
        folder = work or Path(tempfile.mkdtemp(prefix="dunena-build-"))
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise CommandError(f"{folder} is not empty")
        # Absolute: programs are started in other folders.
        made = builder.build(target, output.resolve(), folder.resolve(), is_pure=is_pure)
    except OSError as error:
        raise CommandError(f"cannot build {target.executable}: {error}") from error
    for path in made:
        say(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
    # Not after a failure: the log that its line names is in there.
    if work is None:
        shutil.rmtree(folder, ignore_errors=True)
