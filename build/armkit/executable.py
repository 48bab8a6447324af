"""The executable for Linux on ARM64, made by build/executable.py itself on the bench."""

import os
import shutil
from pathlib import Path

from devkit.compiled import files_beside_the_package
from devkit.console import CommandError, run_quietly, say
from devkit.dates import source_time
from devkit.requirements import ROOT
from releasekit.targets import Target

from armkit.bench import CHECKOUT, WHEELS, Bench

_TARGET = Target("linux-arm64", "")
_OUTPUT, _WORK = "made", "work"


def build_executable(bench: Bench, *, is_pure: bool) -> Path:
    """Make it anew, and return the file. Raises CommandError."""
    say(f"building {_TARGET.executable} under qemu (all of its output: {bench.log})")
    copy_checkout(bench.root / CHECKOUT)
    for name in (_OUTPUT, _WORK):
        shutil.rmtree(bench.root / name, ignore_errors=True)
    words = ["/bin/sh", "-c", f'cd /{CHECKOUT} && exec "$@"', "sh"]
    words += ["python3", "build/executable.py", _TARGET.label, "--output", f"/{_OUTPUT}"]
    words += ["--work", f"/{_WORK}", *(["--pure"] if is_pure else [])]
    command = bench.command_inside(
        *words,
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS=f"/{WHEELS}",
        SOURCE_DATE_EPOCH=str(source_time(os.environ)),
    )
    run_quietly(command, f"building {_TARGET.executable}", bench.log)
    made = bench.root / _OUTPUT / _TARGET.executable
    if not made.is_file():
        raise CommandError(f"there is no {made.name} (all of its output: {bench.log})")
    say(f"{made} ({made.stat().st_size / 1e6:.1f} MB)")
    return made


def copy_checkout(folder: Path) -> None:
    """Make a folder the sources of this checkout; environments of builds before stay in it."""
    folder.mkdir(exist_ok=True)
    for name in ("dunena", *files_beside_the_package()):
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
