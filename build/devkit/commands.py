"""The commands of build/dev.py, each a function from its arguments to an exit code."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from devkit import audit, compiled, environment, lock, mutation, programs, second_try, site
from devkit.console import CommandError, clean_environ, complain, hand_over, say
from devkit.requirements import ROOT

USAGE = """\
usage: python3 build/dev.py COMMAND [arguments]

  serve [arguments]  run the server from this checkout; the arguments are those of "dunena serve"
  cluster [--port N] [--nats-port N] [--keep FOLDER]
                     three NATS servers and three nodes that share their values, to try it
  test [arguments]   check the code, then run all tests; with arguments only pytest, with those
  test --compiled [arguments]
                     pytest on a copy with the hot modules compiled; by itself the suites for it
  windows [paths]    tests with a Windows Python under Wine, on Debian; by itself the suites for it
  arm64 [--pure] [paths]
                     the executable for Linux on ARM64 and its tests, emulated, on a PC with Debian
  mutate [modules]   change modules bit by bit and count the changes that no unit test notices
  check              check the code: ruff, formatting, types
  docs               make docs/cli.md and docs/settings.md from the commands and their options
  record-surface [--breaking]
                     record what users may rely on, in tests/surface; only with --breaking also
                     that something of it has gone
  pictures           make docs/images from the running program: the animation and the templates
  site               build the documentation as a web site, into site/
  lock               resolve the pinned packages in build/requirements anew
  audit              look the pinned packages up in the lists of known weaknesses

Everything they need is set up in .venv, the first time and whenever the pins change."""

# Types are checked for both families of systems everywhere: what differs between them is just what
# the machine at hand does not run. Each has its cache, as mypy keeps one for one system only.
_CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy", "--platform", "linux", "--cache-dir", ".mypy_cache/linux"),
    ("mypy", "--platform", "win32", "--cache-dir", ".mypy_cache/win32"),
)

# About half of the time a test waits, for a browser, a timeout or another process: with one process
# for each core, half of the machine is idle. Timing in the suite gains nothing from more than four.
_WORKERS_PER_CORE = 2
_WORKERS_MAX = 4


def main(arguments: Sequence[str]) -> int:
    """Run the command that the arguments name, and return the exit code."""
    name, *rest = arguments or [""]
    if name in ("-h", "--help", "help"):
        print(USAGE)
        return 0
    if name not in COMMANDS:
        print(USAGE, file=sys.stderr)
        return 2
    try:
        return COMMANDS[name](rest)
    except CommandError as failure:
        complain(str(failure))
        return 1
    except KeyboardInterrupt:
        return 130


def serve(arguments: list[str]) -> int:
    """Run the server of this checkout. Installs what it needs to run and nothing more."""
    python = environment.DEVELOPMENT.prepare(environment.RUN)
    # -P: the current folder may be another checkout, whose code must not win.
    command: list[str | Path] = [python, "-P", "-m", "dunena", "serve", *arguments]
    return hand_over(command, clean_environ())


def cluster(arguments: list[str]) -> int:
    """Run a cluster of this checkout's nodes."""
    groups = (environment.RUN, environment.NATS)
    python = environment.DEVELOPMENT.prepare(*groups)
    nats_server = programs.provide_nats_server()
    command: list[str | Path] = [python, "-P", "-m", "devkit.cluster", nats_server, *arguments]
    return hand_over(command, clean_environ({"PYTHONPATH": str(ROOT / "build")}))


def test(arguments: list[str]) -> int:
    """Check the code and run the whole suite; with arguments run pytest with them alone."""
    if arguments[:1] == ["--compiled"]:
        return _test_compiled(arguments[1:] or list(compiled.SUITES))
    python = environment.DEVELOPMENT.prepare(environment.RUN, environment.TEST)
    environ = clean_environ(find_programs(in_ci(os.environ.get("CI", ""))))
    if not arguments and not _passes_checks(python):
        complain("the checks failed, so the tests were not run")
        return 1
    return _pytest(python, arguments, environ, ROOT)


def _test_compiled(arguments: list[str]) -> int:
    """Run pytest where the hot modules are compiled."""
    groups = (environment.RUN, environment.TEST, environment.COMPILE)
    python = environment.DEVELOPMENT.prepare(*groups)
    found = find_programs(in_ci(os.environ.get("CI", "")))
    tree = compiled.make_tree(python)
    # The path comes before the checkout that is installed in place, and reaches every process.
    path = {"PYTHONPATH": str(tree), "DUNENA_TEST_COMPILED": "1"}
    return _pytest(python, arguments, clean_environ(found | path), tree)


def _pytest(python: Path, arguments: list[str], environ: dict[str, str], folder: Path) -> int:
    workers = str(min(_WORKERS_PER_CORE * (os.cpu_count() or 1), _WORKERS_MAX))
    # loadfile: tests of one file share a process, and with it their server or browser. The files
    # with the most tests would come first; those that take longest do, by tests/conftest.py.
    sharing = ("-n", workers, "--dist", "loadfile", "--no-loadscope-reorder")
    command: list[str | Path] = [python, "-m", "pytest", *sharing]
    os.chdir(folder)
    return second_try.run_pytest(command, arguments, environ, folder)


def windows(arguments: list[str]) -> int:
    """Run tests with a Windows Python under Wine: those in the paths given, or all that can be."""
    # Only now: nothing else of dev.py needs it.
    from winekit.commands import run

    return run(arguments)


def arm64(arguments: list[str]) -> int:
    """Build the executable for another processor under qemu, and test it."""
    # Only now: nothing else of dev.py needs it.
    from armkit.commands import run

    return run(arguments, _provide_browser())


def check(arguments: list[str]) -> int:
    """Check the code without running it."""
    _refuse(arguments)
    python = environment.DEVELOPMENT.prepare(environment.RUN, environment.TEST)
    return 0 if _passes_checks(python) else 1


def docs(arguments: list[str]) -> int:
    """Make the pages that are made from the code."""
    _refuse(arguments)
    python = environment.DEVELOPMENT.prepare(environment.RUN)
    words: list[str | Path] = [python, "-P", "-m", "devkit.pages"]
    environ = clean_environ({"PYTHONPATH": str(ROOT / "build")})
    return subprocess.run(words, cwd=ROOT, env=environ, check=False).returncode


def record_surface(arguments: list[str]) -> int:
    """Record the public surface, which a test compares with the tree."""
    python = environment.DEVELOPMENT.prepare(environment.RUN, environment.TEST)
    words: list[str | Path] = [python, "-P", "-m", "surfacekit.recording", *arguments]
    environ = clean_environ({"PYTHONPATH": str(ROOT / "build")})
    return subprocess.run(words, cwd=ROOT, env=environ, check=False).returncode


def pictures(arguments: list[str]) -> int:
    """Make the pictures of the documentation from the running program."""
    _refuse(arguments)
    python = environment.DEVELOPMENT.prepare(environment.RUN, environment.TEST)
    words: list[str | Path] = [python, "-P", "-m", "picturekit.commands"]
    environ = clean_environ({"PYTHONPATH": str(ROOT / "build")} | _provide_browser())
    return subprocess.run(words, cwd=ROOT, env=environ, check=False).returncode


def build_site(arguments: list[str]) -> int:
    """Build the documentation as a web site."""
    _refuse(arguments)
    say(f"the site is in {site.build()}")
    return 0


def refresh_lock(arguments: list[str]) -> int:
    """Resolve the pins anew."""
    _refuse(arguments)
    lock.refresh()
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "serve": serve,
    "cluster": cluster,
    "test": test,
    "windows": windows,
    "arm64": arm64,
    "mutate": mutation.run,
    "check": check,
    "docs": docs,
    "record-surface": record_surface,
    "pictures": pictures,
    "site": build_site,
    "lock": refresh_lock,
    "audit": audit.run,
}


def find_programs(required: bool) -> dict[str, str]:
    """The environment variables that tell the tests where Node, a browser and the others are.

    One that cannot be had is a warning, and its tests are skipped; when `required`, CommandError.
    """
    found: dict[str, str] = {}
    missing: list[str] = []
    for provide in _PROVIDERS:
        try:
            found |= provide()
        except CommandError as failure:
            missing.append(str(failure))
    if missing and required:
        raise CommandError("; ".join(missing))
    for reason in missing:
        complain(f"some tests will be skipped: {reason}")
    return found


def in_ci(value: str) -> bool:
    """Whether the value of the variable CI says that nobody is watching."""
    return value.lower() not in ("", "0", "false", "no")


def _provide_node() -> dict[str, str]:
    node = programs.provide_node()
    modules = programs.provide_node_modules(node)
    linter = programs.provide_node_modules(node, "workflows.json") / "@tktco" / "node-actionlint"
    return {
        "DUNENA_TEST_NODE": str(node.executable),
        "DUNENA_TEST_NODE_MODULES": str(modules),
        "DUNENA_TEST_ACTIONLINT": str(linter),
    }


def _provide_node_red() -> dict[str, str]:
    # One system is enough for a flow, which is the same on all of them.
    if sys.platform != "linux":
        return {}
    return {"DUNENA_TEST_NODE_RED": str(programs.provide_node_red(programs.provide_node()))}


def _provide_browser() -> dict[str, str]:
    browser = programs.provide_browser(
        os.environ.get("DUNENA_TEST_BROWSER_KIND") or programs.CHROMIUM
    )
    return {"DUNENA_TEST_BROWSER": str(browser)} if browser else {}


def _provide_curl() -> dict[str, str]:
    return {"DUNENA_TEST_CURL": str(programs.provide_curl())}


def _provide_wget() -> dict[str, str]:
    # Other systems do not come with it, and it does nothing there that it does not do here.
    return {"DUNENA_TEST_WGET": str(programs.provide_wget())} if sys.platform == "linux" else {}


def _provide_nginx() -> dict[str, str]:
    # The one for Windows takes over no socket, which the tests need; nor does it serve the public.
    return {} if sys.platform == "win32" else {"DUNENA_TEST_NGINX": str(programs.provide_nginx())}


def _provide_helm() -> dict[str, str]:
    # One system is enough for files that are the same on all of them.
    return {"DUNENA_TEST_HELM": str(programs.provide_helm())} if sys.platform == "linux" else {}


def _provide_site() -> dict[str, str]:
    # One system is enough for pages that are the same on all of them.
    if sys.platform != "linux":
        return {}
    return {"DUNENA_TEST_SITE": str(environment.PUBLISHING.prepare(environment.SITE))}


def _provide_machine_tools() -> dict[str, str]:
    # Nobody else may use them; the tests that would then do with less, or are skipped.
    if sys.platform == "linux" and os.geteuid() == 0:
        programs.provide_machine_tools()
    return {}


def _passes_checks(python: Path) -> bool:
    """Run every check, also after one has failed: a person wants all complaints at once."""
    passed = True
    for words in _CHECKS:
        say(" ".join(words))
        done = subprocess.run([python, "-m", *words], cwd=ROOT, env=clean_environ(), check=False)
        passed = passed and done.returncode == 0
    return passed


def _refuse(arguments: list[str]) -> None:
    if arguments:
        raise CommandError(f"unexpected argument: {arguments[0]}")


_PROVIDERS = (
    _provide_node,
    _provide_node_red,
    _provide_browser,
    _provide_curl,
    _provide_wget,
    _provide_nginx,
    _provide_helm,
    _provide_site,
    _provide_machine_tools,
)
