"""Mutation testing: mutmut changes a module bit by bit, and a good test notices every change.

It is run on demand, for one module at a time and with the unit tests that are meant for it alone: a
mutant that only another room's test would notice is one that its own tests let live. mutmut works
in a copy of the checkout, below `.venv`, which keeps its results until the next run.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from devkit import environment
from devkit.console import CommandError, clean_environ, complain, say
from devkit.requirements import ROOT

FOLDER = environment.DEVELOPMENT.folder / "mutation"

_TESTS: dict[str, tuple[str, ...]] = {
    "dunena/dialects/dunena.py": ("dialects_dunena",),
    "dunena/dialects/errors.py": ("dialects_errors",),
    "dunena/dialects/grants.py": ("grants",),
    "dunena/dialects/guarded_store.py": ("guarded_store",),
    "dunena/dialects/http_api.py": ("http_api", "key_search"),
    "dunena/dialects/key_search.py": ("key_search", "listing"),
    "dunena/dialects/listing.py": ("listing", "grants"),
    "dunena/dialects/message_stats.py": ("message_stats",),
    "dunena/dialects/messages.py": ("messages",),
    "dunena/dialects/object_store.py": ("object_store",),
    "dunena/dialects/publish.py": ("publish",),
    "dunena/dialects/services.py": ("services",),
    "dunena/dialects/conversation.py": ("conversation", "grants"),
    "dunena/dialects/subscriptions.py": ("subscriptions",),
    "dunena/dialects/views.py": ("views",),
    "dunena/frames.py": ("frames",),
    "dunena/hub.py": ("hub",),
    "dunena/persistence/disk/checkpointer.py": ("checkpointer",),
    "dunena/persistence/disk/journal.py": ("journal",),
    "dunena/persistence/disk/journal_base.py": ("journal_base", "journal"),
    "dunena/persistence/disk/journal_format.py": ("journal_format",),
    "dunena/persistence/disk/journal_reader.py": ("journal_reader",),
    "dunena/persistence/disk/journal_segments.py": ("journal_segments", "journal"),
    "dunena/server/outbox.py": ("outbox",),
    "dunena/server/tick.py": ("tick",),
    "dunena/store/entry_table.py": ("entry_table",),
    "dunena/store/expiry.py": ("expiry", "store"),
    "dunena/store/key_order.py": ("key_order",),
    "dunena/store/quota.py": ("quota",),
    "dunena/store/store.py": ("store", "quota"),
    "dunena/store/values.py": ("values",),
}

SUITES = {
    module: tuple(f"tests/unit/test_{name}.py" for name in names)
    for module, names in _TESTS.items()
}
"""Each module that can be mutated, with the test files that are run for each of its mutants."""

# What mutmut writes of a mutant is the exit code of its tests. pytest's 0 says that all passed, 5
# that there were none, as does mutmut's 33, 2 that somebody pressed Ctrl-C; 34 is a mutant that was
# left out. All else was noticed:
# a failure, an error, a test that never ended and was stopped.
_SURVIVED = {0, 5, 33}
_LEFT_OUT = {34}
_NOT_RUN = {None, 2}


@dataclass(frozen=True, slots=True)
class Score:
    """How many mutants of a module there were, and how many of them its tests noticed."""

    module: str
    mutants: int
    killed: int

    @property
    def survived(self) -> int:
        """Those that no test noticed, tested or not."""
        return self.mutants - self.killed

    @property
    def percent(self) -> float:
        """The share that was killed; 100 for a module without mutants."""
        return 100 * self.killed / self.mutants if self.mutants else 100.0


def run(arguments: Sequence[str]) -> int:
    """Mutate the modules given, or all that can be, and print a table of their scores.

    Raises CommandError for a module without tests of its own, and where mutmut cannot do its work.
    """
    modules = choose_modules(arguments)
    if sys.platform == "win32":
        raise CommandError("mutmut needs a system that can fork, which Windows cannot; use WSL")
    groups = (environment.RUN, environment.TEST, environment.MUTATION)
    python = environment.DEVELOPMENT.prepare(*groups)
    scores = []
    for module in modules:
        say(f"mutating {module}")
        try:
            scores.append(_mutate(python, module))
        except CommandError as failure:
            complain(str(failure))
    print(make_table(scores))
    return 0 if len(scores) == len(modules) else 1


def choose_modules(arguments: Sequence[str]) -> list[str]:
    """The modules that the arguments name as paths from the checkout's root; all without any."""
    for name in arguments:
        if name not in SUITES:
            known = "\n  ".join(SUITES)
            raise CommandError(f"{name} cannot be mutated; these can:\n  {known}")
    return list(arguments) or list(SUITES)


def count_mutants(module: str, exit_codes: Iterable[int | None]) -> Score:
    """The score of a module from what mutmut writes of each of its mutants.

    Raises CommandError when it did not come to all of them.
    """
    codes = [code for code in exit_codes if code not in _LEFT_OUT]
    if _NOT_RUN.intersection(codes):
        raise CommandError(f"mutmut did not come to the end of {module}")
    return Score(module, len(codes), sum(code not in _SURVIVED for code in codes))


def make_table(scores: Iterable[Score]) -> str:
    """The scores as a table in Markdown."""
    lines = [
        "| module | mutants | killed | survived | score |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for score in scores:
        counts = f"{score.mutants} | {score.killed} | {score.survived}"
        lines.append(f"| `{score.module}` | {counts} | {score.percent:.1f} % |")
    return "\n".join(lines)


def folder_of(module: str) -> Path:
    """Where a module is mutated, and what came of it is kept."""
    return FOLDER / module.removesuffix(".py").replace("/", ".")


def _mutate(python: Path, module: str) -> Score:
    folder = folder_of(module)
    _make_copy(folder, module)
    command: list[str | Path] = [python, "-m", "mutmut", "run"]
    command += ["--max-children", str(os.cpu_count() or 1)]
    # The same examples for every mutant; bytecode as usual, since nothing is changed in place.
    environ = clean_environ({"HYPOTHESIS_PROFILE": "ci"})
    log = folder / "mutmut.log"
    with log.open("wb") as file:
        done = subprocess.run(
            command, cwd=folder, env=environ, stdout=file, stderr=file, check=False
        )
    results = folder / "mutants" / f"{module}.meta"
    if done.returncode or not results.exists():
        raise CommandError(f"mutmut could not mutate {module} (all of its output: {log})")
    found = json.loads(results.read_text(encoding="utf-8"))
    return count_mutants(module, found["exit_code_by_key"].values())


def _make_copy(folder: Path, module: str) -> None:
    """A copy of what the tests need, with settings that name the module and its tests."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("dunena", "tests"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    settings = make_settings(module)
    (folder / "pyproject.toml").write_text(f"{project}\n{settings}", encoding="utf-8")


def make_settings(module: str) -> str:
    """The table for pyproject.toml that tells mutmut what to change and which tests to run."""
    table = {
        "source_paths": ["dunena"],
        "only_mutate": [module],
        "pytest_add_cli_args": ["-p", "no:xdist", "-p", "no:cacheprovider"],
        "pytest_add_cli_args_test_selection": list(SUITES[module]),
        # A mutant gets five times as long as the tests take of the unchanged module, a few seconds
        # more: what runs on then never ends. By itself mutmut would wait thrice as long for each.
        "timeout_multiplier": 5,
        "timeout_constant": 5,
    }
    # Numbers and lists of strings are written alike in JSON and TOML.
    lines = [f"{name} = {json.dumps(value)}" for name, value in table.items()]
    return "\n".join(["[tool.mutmut]", *lines, ""])
