"""All pinned packages, looked up in the public lists of known weaknesses (the Python Packaging
Advisory Database, at PyPI), with pip-audit.

Those for other systems too: the pins are given to it without the markers, by which it would leave
out what is not installed here.
"""

import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from devkit import environment
from devkit.console import CommandError, clean_environ
from devkit.requirements import FOLDER, read_lines


def run(arguments: Sequence[str]) -> int:
    """Look all pins up; arguments go to pip-audit. Exit codes: 0 nothing known, 1 something is."""
    python = environment.DEVELOPMENT.prepare(environment.AUDIT)
    with tempfile.TemporaryDirectory() as name:
        commands = [
            [*audit_command(python, path), *arguments]
            for path in write_lists(FOLDER.glob("*.txt"), Path(name))
        ]
        codes = [
            subprocess.run(command, env=clean_environ(), check=False).returncode
            for command in commands
        ]
    if not set(codes) <= {0, 1}:
        raise CommandError("pip-audit failed, for the reason above")
    return max(codes)


def audit_command(python: Path, pins: Path) -> list[str | Path]:
    """What looks up the packages of a requirements file, which must name all that is installed."""
    words: list[str | Path] = [python, "-m", "pip_audit", "--strict", "--progress-spinner", "off"]
    # Nothing is resolved or downloaded for it: the pins say it all.
    words += ["--disable-pip", "--require-hashes"]
    return [*words, "--requirement", pins]


def write_lists(files: Iterable[Path], folder: Path) -> list[Path]:
    """Write every pin of these files once; return the lists.

    Several, since pins of one package for different Pythons must not be in one list.
    """
    pins = sorted({_without_marker(line) for path in files for line in read_lines(path)})
    lists: list[dict[str, str]] = []
    for pin in pins:
        name = pin.partition("==")[0]
        found = next((one for one in lists if name not in one), None)
        if found is None:
            found = {}
            lists.append(found)
        found[name] = pin
    paths = [folder / f"pins-{number}.txt" for number, _ in enumerate(lists)]
    for path, one in zip(paths, lists, strict=True):
        path.write_text("\n".join([*one.values(), ""]), encoding="utf-8")
    return paths


def _without_marker(line: str) -> str:
    pin, _, hashes = line.partition(" --hash=")
    return f"{pin.partition(';')[0].strip()} --hash={hashes}"
