"""The executable for Windows, made by PyInstaller under Wine.

Pure Python: what compiles modules for Windows is a program of Microsoft's.
"""

import shutil
import zipfile
from pathlib import Path

from devkit.compiled import build_wheel
from devkit.console import CommandError, run_quietly, say
from devkit.environment import DEVELOPMENT, RUN
from packkit.builder import SPEC
from releasekit.targets import Target

from winekit.bench import Bench, as_windows

_TARGET = Target("windows-x64", "")


def build_executable(bench: Bench) -> Path:
    """Make it anew, and return the file. Raises CommandError."""
    say("building the executable under Wine")
    work = bench.work / "executable"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    wheel = build_wheel(DEVELOPMENT.prepare(RUN), work / "wheel", bench.log, is_pure=True)
    site = work / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    options: list[str | Path] = ["--noconfirm", "--log-level", "WARN"]
    for name, folder in (("--workpath", "pyinstaller"), ("--distpath", "made")):
        options += [name, as_windows(work / folder)]
    command = bench.command(
        "-m", "PyInstaller", *options, as_windows(SPEC), python=bench.building_python
    )
    environ = bench.environ(site, PYINSTALLER_CONFIG_DIR=as_windows(work / "cache"))
    with bench.running():
        run_quietly(command, "PyInstaller under Wine", bench.log, environ, folder=work)
    made = work / "made" / _TARGET.executable
    if not made.is_file():
        raise CommandError(f"PyInstaller made no {made.name} (all of its output: {bench.log})")
    return made
