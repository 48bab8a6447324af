"""The command of build/executable.py."""

import argparse
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from devkit.console import CommandError
from devkit.requirements import ROOT
from releasekit.targets import Target

from packkit import builder, choice

BYTES_PER_MB = 1_000_000


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
    words.add_argument(
        "target",
        nargs="?",
        choices=[choice.ALL, *choice.WORDS],
        metavar="|".join([choice.ALL, *choice.WORDS]),
        help="default: the one that this machine can make",
    )
    words.add_argument(
        "--output", type=Path, default=ROOT / "dist", metavar="FOLDER", help="instead of dist/"
    )
    words.add_argument(
        "--work",
        type=Path,
        metavar="FOLDER",
        help="where everything in between goes and stays; must be empty or not there",
    )
    words.add_argument(
        "--pure",
        action="store_true",
        help="leave the hot modules as Python: slower, and needs no C compiler",
    )
    return words


def make(target: Target, output: Path, work: Path | None, *, is_pure: bool = False) -> None:
    """Build, and say what was made. Without `work` what lies in between is removed at the end."""
    if work is not None:
        try:
            work.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(f"cannot use {work}: {error.strerror}") from error
        if any(work.iterdir()):
            raise CommandError(f"{work} is not empty")
        _build(target, output, work, is_pure)
        return
    folder = Path(tempfile.mkdtemp(prefix="dunena-build-"))
    _build(target, output, folder, is_pure)
    # Not after a failure: the log that its line names is in there.
    shutil.rmtree(folder, ignore_errors=True)


def _build(target: Target, output: Path, work: Path, is_pure: bool) -> None:
    say(f"building {target.executable}")
    # Absolute: programs are started in other folders.
    try:
        made = builder.build(target, output.resolve(), work.resolve(), is_pure=is_pure)
    except OSError as error:
        raise CommandError(f"cannot build {target.executable}: {error}") from error
    for file in made:
        say(f"{file.path} ({file.size / BYTES_PER_MB:.1f} MB)")


def say(text: str) -> None:
    """Print a line of progress."""
    print(f"executable: {text}", flush=True)


def complain(text: str) -> None:
    """Print a line to the standard error stream."""
    print(f"executable: {text}", file=sys.stderr, flush=True)
