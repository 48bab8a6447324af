"""The pins resolved anew, from the ranges in pyproject.toml.

uv does the work: it resolves for every Python and system at once and writes the markers, where pip
knows only the machine it runs on. Each pin has the checksums of all files of that version, for
every system, so that an installation takes what was there when the pins were made and nothing else.
"""

import re
import tempfile
from pathlib import Path
from typing import Any

from devkit import environment
from devkit.console import run_quietly, say
from devkit.requirements import FOLDER, compile_hook, read_project

# What is installed beside other packages, and what has an environment or folder of its own.
_FITTING = ("audit", "cluster", "mutation", "release", "workflows")
_APART = ("docs", "lock", "nginx", "node", "wheels", "windows")


def refresh() -> None:
    """Write all files of build/requirements/ anew, with the newest versions that fit together."""
    python = environment.DEVELOPMENT.prepare(environment.LOCK)
    project = read_project()
    groups = project["dependency-groups"]
    run, develop, package = wanted(project)
    compilers: list[str] = compile_hook(project)["requires"]
    together = _resolve(python, [*run, *develop, *package, *compilers], [])
    serve = _resolve(python, run, together)
    store = _resolve(python, [*run, *project["project"]["optional-dependencies"]["nats"]], together)
    test = _resolve(python, [*run, *develop], together)
    installs = _resolve(python, package, together)
    compiles = _resolve(python, compilers, together)
    _write("package", installs)
    _write("serve", serve)
    _write("nats", ["-r serve.txt", *(line for line in store if line not in serve)])
    _write("test", ["-r serve.txt", *(line for line in test if line not in serve)])
    own = [line for line in compiles if line not in {*installs, *serve}]
    _write("compile", ["-r package.txt", "-r serve.txt", *own])
    # The project's own package is made with the backend, and nothing is installed to be edited.
    build = [*run, *project["build-system"]["requires"], *compilers, *groups["executable"]]
    _write("executable", _resolve(python, build, together))
    for name in (*_FITTING, *_APART):
        _write(name, _resolve(python, groups[name], together if name in _FITTING else []))


def wanted(project: dict[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """What pyproject.toml asks for: to run, to develop on top, to install the package."""
    table = project["project"]
    extras = table["optional-dependencies"]
    # What benchmarks compare with is fetched by them.
    lines = [line for name in ("cert", "fast", "nats", "test", "dev") for line in extras[name]]
    develop = [line for line in lines if not line.startswith(f"{table['name']}[")]
    # hatchling asks for editables by itself when a package is installed in place.
    return table["dependencies"], develop, [*project["build-system"]["requires"], "editables"]


def _resolve(python: Path, ranges: list[str], fitting: list[str]) -> list[str]:
    """The pins of `ranges` and all they need, each with the lines of its checksums.

    `fitting` are pins already decided on.
    """
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        versions = [pin.partition(" \\\n")[0] for pin in fitting]
        constraints.write_text("\n".join(versions), encoding="utf-8")
        command: list[str | Path] = [python, "-m", "uv", "pip", "compile", "-", "--universal"]
        command += ["--python-version", "3.11", "--constraint", constraints]
        command += ["--quiet", "--no-header", "--no-annotate", "--generate-hashes"]
        log = environment.DEVELOPMENT.log
        output = run_quietly(command, "resolving", log, stdin="\n".join(ranges))
    return split_pins(output)


def split_pins(text: str) -> list[str]:
    """The pins in a requirements file, each with the lines that continue it."""
    # A line that is indented continues the one before it.
    return [pin.rstrip() for pin in re.split(r"\n(?=\S)", text) if pin.strip()]


def _write(name: str, lines: list[str]) -> None:
    say(f"writing {name}.txt ({len(lines)} pins)")
    head = "# Written by `python3 build/dev.py lock` from pyproject.toml; do not edit."
    path = FOLDER / f"{name}.txt"
    path.write_text("\n".join([head, *lines, ""]), encoding="utf-8", newline="\n")
