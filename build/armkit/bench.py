"""A Debian for ARM64 in a cache folder, with what builds the executable, on a PC with Debian.

Its programs run under qemu, ten times slower. So the compiler in it is this machine's own, which
makes code for ARM64, and the packages of Python are downloaded outside. Debian's packages are
only unpacked: nothing in them has to be run for that. It is for tests: nothing of it is shipped.
"""

import contextlib
import hashlib
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from devkit.console import CommandError, run_quietly, say
from devkit.environment import DEVELOPMENT, ONLINE, RUN, locked
from devkit.programs import can_use_apt, install_with_apt
from devkit.requirements import FOLDER, digest_pins, read_lines
from packkit.launcher import LIBRARY

RELEASE = "bookworm"
VERSION = "3.11"
"""The Python of that release of Debian."""

PROGRAMS = {"mmdebstrap": "mmdebstrap", "qemu-aarch64-static": "qemu-user-static"}
"""What the machine must have, and the Debian package of each."""

INSIDE = "/usr/bin:/bin"
"""The PATH in it."""

CHECKOUT, WHEELS = "dunena", "wheels"
"""Folders in it: a copy of the checkout, and the packages for building."""

_PINS = FOLDER / "executable.txt"
_PACKAGES = [
    *("base-files", "base-passwd", "bash", "coreutils", "dash", "grep", "libc-bin", "sed"),
    *(f"{name}{VERSION}{end}" for name, end in (("python", ""), ("python", "-dev"))),
    *(f"python{VERSION}-venv", f"libpython{VERSION}", "zlib1g"),
]
_COMPILER = "aarch64-linux-gnu-gcc"
# strip is called by our own build, the others by PyInstaller.
_BINUTILS = ("strip", "objdump", "objcopy")
# Under the names by which they are looked for.
_LINKS = {
    "usr/bin/python3": f"python{VERSION}",
    "usr/bin/cc": _COMPILER,
    **{f"usr/bin/{name}": f"aarch64-linux-gnu-{name}" for name in _BINUTILS},
    "lib64": "usr/lib64",
}
_USERS = {"passwd": "passwd.master", "group": "group.master"}
_MOUNTED = ("proc", "dev")

# A wheel is made for one C library and runs with all newer ones: these are up to Debian's 2.36.
_PLATFORMS = ["manylinux2014_aarch64", *(f"manylinux_2_{one}_aarch64" for one in range(17, 37))]


@dataclass(frozen=True, slots=True)
class Bench:
    """The folder that holds all of it."""

    folder: Path

    @property
    def log(self) -> Path:
        """Where the output of the programs goes that set it up."""
        return self.folder / "bench.log"

    @property
    def root(self) -> Path:
        """The root of the Debian for ARM64."""
        return self.folder / "root"

    @property
    def _libraries(self) -> Path:
        """The C library for ARM64 and its neighbours, as they are to lie below /usr/lib."""
        return self.folder / "libraries"

    @property
    def _stamp(self) -> Path:
        return self.folder / "made-from"

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Set it up unless it is, and keep other commands away for the time of the `with`.

        Raises CommandError when it cannot be had. A second command waits for the first one.
        """
        is_root = sys.platform == "linux" and os.geteuid() == 0
        check_machine(sys.platform, platform.machine(), is_root=is_root)
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / "bench.lock"):
            provide_programs()
            wanted = digest()
            if not self._stamp.is_file() or self._stamp.read_text("ascii") != wanted:
                self._make()
                self._stamp.write_text(wanted, encoding="ascii")
            yield

    def command_inside(self, *words: str | Path, **variables: str) -> list[str | Path]:
        """The command line that runs a program of it, with nothing but it and these variables."""
        binds = [f"--bind=/{name}={self.root / name}" for name in _MOUNTED]
        own = {"PATH": INSIDE, "HOME": "/root", "PYTHONUTF8": "1"} | variables
        clean = ["/usr/bin/env", "-i", *(f"{name}={value}" for name, value in own.items())]
        return [*_namespace(), *binds, f"--root={self.root}", *clean, *words]

    def command_beside(self, *words: str | Path) -> list[str | Path]:
        """The command line that runs one of this machine, from which programs for ARM64 start.

        They find their libraries where Debian has them, and `ldd` tells of those.
        """
        libraries = f"--overlay={self._libraries}=/usr/lib"
        return [
            *_namespace(),
            libraries,
            f"--bind={self.root / 'usr/bin/ldd'}=/usr/bin/ldd",
            *words,
        ]

    def _make(self) -> None:
        say(f"making a Debian for ARM64 in {self.folder} (only when its parts change)")
        self._stamp.unlink(missing_ok=True)
        for folder in (self.root, self._libraries):
            shutil.rmtree(folder, ignore_errors=True)
        self._unpack(self.root, "arm64", _PACKAGES)
        # Those of a compiler for another processor fit no Debian but that of their own processor.
        compiler = self.folder / "compiler"
        shutil.rmtree(compiler, ignore_errors=True)
        self._unpack(compiler, "amd64", [f"gcc-{_COMPILER.removesuffix('-gcc')}"])
        merging: list[str | Path] = ["cp", "--archive", "--no-clobber", compiler / "usr", self.root]
        run_quietly(merging, "putting the compiler into it", self.log)
        shutil.rmtree(compiler)
        self._finish()
        self._download()

    def _unpack(self, folder: Path, processor: str, packages: list[str]) -> None:
        command: list[str | Path] = ["mmdebstrap", "--mode=root", "--variant=extract"]
        command += [f"--architectures={processor}", f"--include={','.join(packages)}"]
        command += ["--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr", RELEASE, folder]
        run_quietly(command, f"unpacking Debian's packages for {processor}", self.log, hint=ONLINE)

    def _finish(self) -> None:
        """Do what installing the packages would have done and is needed."""
        for place, target in _LINKS.items():
            path = self.root / place
            path.unlink(missing_ok=True)
            path.symlink_to(target)
        for name, source in _USERS.items():
            shutil.copy(self.root / "usr/share/base-passwd" / source, self.root / "etc" / name)
        for name in (*_MOUNTED, "root"):
            (self.root / name).mkdir(exist_ok=True)
        library = self.root / "usr/lib"
        name = "aarch64-linux-gnu"
        # Nothing changes its files: they may be the same ones.
        shutil.copytree(library / name, self._libraries / name, True, copy_function=os.link)
        loader = "ld-linux-aarch64.so.1"
        shutil.copy(library / loader, self._libraries / loader, follow_symlinks=False)

    def _download(self) -> None:
        """The pinned packages as wheels for ARM64, and the sources that the launcher is made of."""
        python = DEVELOPMENT.prepare(RUN)
        wheels = self.root / WHEELS
        wheels.mkdir()
        base: list[str | Path] = [python, "-m", "pip", "download", "--quiet", "--require-hashes"]
        base += ["--no-deps", "--dest", wheels]
        chosen: list[str | Path] = ["--only-binary=:all:", "--python-version", VERSION]
        for platform_name in _PLATFORMS:
            chosen += ["--platform", platform_name]
        what = "downloading the packages for ARM64"
        run_quietly([*base, *chosen, "--requirement", _PINS], what, self.log, hint=ONLINE)
        pin = self.folder / "launcher.txt"
        (line,) = (line for line in read_lines(_PINS) if line.startswith(f"{LIBRARY}=="))
        pin.write_text(line.replace(" --hash", " \\\n    --hash") + "\n", encoding="utf-8")
        sources: list[str | Path] = ["--no-build-isolation", "--no-binary", LIBRARY]
        what = f"downloading the sources of {LIBRARY}"
        run_quietly([*base, *sources, "--requirement", pin], what, self.log, hint=ONLINE)


def cache_folder() -> Path:
    """Where it is kept between runs: never in the checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dunena-arm64"


def check_machine(system: str, processor: str, *, is_root: bool) -> None:
    """Raise CommandError on a machine that this is not for."""
    if (system, processor) == ("linux", "aarch64"):
        hint = "`python3 build/executable.py`, then `python3 build/dev.py test tests/binary`"
        raise CommandError(f"this machine is one for ARM64 and emulates nothing: {hint}")
    if (system, processor) != ("linux", "x86_64"):
        raise CommandError("this emulates ARM64 on a PC with Debian, and no other machine")
    if not is_root:
        raise CommandError("only root can unpack another Debian and start its programs")


def digest() -> str:
    """A hash that changes when another bench would be made."""
    parts = [digest_pins([_PINS]), Path(__file__).read_text("utf-8")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def provide_programs() -> None:
    """qemu, and what unpacks a Debian; installed where that needs no question."""
    missing = [package for name, package in PROGRAMS.items() if not shutil.which(name)]
    if missing and can_use_apt():
        install_with_apt(*missing)
        missing = [package for name, package in PROGRAMS.items() if not shutil.which(name)]
    if missing:
        raise CommandError(f"this needs programs of Debian: apt install {' '.join(missing)}")


def _namespace() -> list[str | Path]:
    return [sys.executable, "-P", Path(__file__).with_name("namespace.py")]
