"""The programs that the benchmark needs and dunena does not: found, or installed in a cache folder.

Never in the checkout: `npm` and `pip` write below ``~/.cache/dunena-bench`` (``XDG_CACHE_HOME`` is
respected), and each is asked for the few packages named here and in pyproject.toml's `bench`.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

INSTALL_SECONDS_MAX = 300
ANSWER_SECONDS_MAX = 20


class NotHereError(Exception):
    """A program is not there and cannot be installed; the text says why, in one line."""


def cache_folder() -> Path:
    """Where programs are kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dunena-bench"


def compiler() -> str:
    """The C compiler: of the system, or the one that the tests were told of."""
    return (
        os.environ.get("DUNENA_TEST_CC")
        or _on_path("cc")
        or _on_path("gcc")
        or _missing("no C compiler (cc, gcc)")
    )


def redis_server() -> str:
    """Redis' server, of the system: it is not installed for this."""
    return _on_path("redis-server") or _missing("no redis-server on the PATH")


def bun(path: str | None) -> str:
    """Bun: the one given, on the PATH, or npm's package."""
    if path is not None:
        return named(path)
    if found := _on_path("bun"):
        return found
    folder = cache_folder() / "bun"
    if not (programs := _bun_programs(folder)):
        npm = _on_path("npm") or _missing("no bun on the PATH, and no npm to install it")
        folder.mkdir(parents=True, exist_ok=True)
        # Without its script: the program itself comes in a package of this system.
        command = [npm, "install", "--prefix", str(folder), "--no-save", "--ignore-scripts", "bun"]
        _install(command, "bun")
        programs = _bun_programs(folder)
    for program in programs:  # several when the package does not know the CPU: some then fail
        if _answers(program):
            return program
    return _missing("npm's bun has no program that runs on this CPU")


def nats_server(path: str | None) -> str:
    """NATS' server: the one given, on the PATH, or a wheel of it."""
    if path is not None:
        return named(path)
    return _on_path("nats-server") or _python_program("nats-server")


def py_spy() -> str:
    """The sampling profiler."""
    return _on_path("py-spy") or _python_program("py-spy")


def named(path: str) -> str:
    """A program that was named, found and absolute. Raises `NotHereError` when it is none."""
    found = shutil.which(path) or _missing(f"{path} is no program")
    return str(Path(found).absolute())  # not resolved: a virtual environment's Python is a link


def first_line(*command: str) -> str:
    """What a program says of its version."""
    answer = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS_MAX
    )
    return (answer.stdout or answer.stderr).strip().partition("\n")[0]


def bench_requirements(pyproject: str) -> list[str]:
    """The packages of the extra `bench`."""
    wanted = tomllib.loads(pyproject)["project"]["optional-dependencies"]["bench"]
    return [str(requirement) for requirement in wanted]


# --- finding ---


def _on_path(name: str) -> str | None:
    beside_python = Path(sys.executable).parent  # a virtual environment that is not activated
    return shutil.which(name) or shutil.which(name, path=str(beside_python))


def _bun_programs(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.glob("node_modules/@oven/bun-*/bin/bun"))]


def _answers(program: str) -> bool:
    try:
        return bool(first_line(program, "--version")[:1].isdigit())
    except (OSError, subprocess.TimeoutExpired):
        return False


def _missing(why: str) -> str:
    raise NotHereError(why)


# --- installing ---


def _python_program(name: str) -> str:
    folder = cache_folder() / "python"
    program = folder / "bin" / name
    if not program.exists():
        wanted = bench_requirements((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade"]
        _install([*command, "--target", str(folder), *wanted], name)
    return str(program) if program.exists() else _missing(f"its package has no {name}")


def _install(command: list[str], name: str) -> None:
    try:
        subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX
        )
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "stderr", None) or str(error)
        _missing(f"{name} cannot be installed: {output.strip().splitlines()[-1]}")
