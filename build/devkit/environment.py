"""The virtual environments of this checkout, made from the pinned packages.

There are four: `.venv` for working on dunena, `.venv-executable` for building the executable,
which must not depend on what the first one holds, `.venv-release` for looking into what was built,
and `.venv-site` for building the site, whose packages nothing else needs.

Each holds a stamp, a small file that says which Python and which pins it was made from. The stamp
is taken away before anything is changed and written when all is done, so an environment without one
is half-made. An environment whose stamp does not match is made anew and never repaired: two
checkouts with the same pins always hold the same packages, without leftovers of last month.

They belong to these commands. Whatever else is put there goes with the next change of pins.
"""

import contextlib
import importlib.util
import json
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from devkit.console import CommandError, run_quietly, say
from devkit.requirements import FOLDER, ROOT, digest_pins, digest_project, read_project

# The advice for everything that is fetched.
ONLINE = "; is this computer online?"

# What a person's own pip settings may hold and what would break an install into an environment.
_PIP_ENVIRON = {"PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@dataclass(frozen=True, slots=True)
class Group:
    """Packages that are installed together: those of some requirement files, in this order.

    With `project` dunena itself as well, in place, so that an edit needs no new installation.
    """

    name: str
    files: tuple[str, ...]
    project: bool = False

    def paths(self) -> list[Path]:
        """The requirement files."""
        return [FOLDER / name for name in self.files]

    def digest(self) -> str:
        """A hash that changes when the group would install something else."""
        pins = digest_pins(self.paths())
        return f"{pins}/{digest_project(read_project())}" if self.project else pins


RUN = Group("run", ("package.txt", "serve.txt"), project=True)
TEST = Group("test", ("test.txt", "workflows.txt", "release.txt", "audit.txt"))
COMPILE = Group("compile", ("compile.txt",))
MUTATION = Group("mutation", ("mutation.txt",))
LOCK = Group("lock", ("lock.txt",))
EXECUTABLE = Group("executable", ("executable.txt",))
# Large, and only for machines that have no such program.
NODE = Group("node", ("node.txt",))
NGINX = Group("nginx", ("nginx.txt",))
NATS = Group("nats", ("nats.txt",))
CLUSTER = Group("cluster", ("cluster.txt",))
AUDIT = Group("audit", ("audit.txt",))
RELEASE = Group("release", ("release.txt",))
SITE = Group("site", ("docs.txt",))


@dataclass(slots=True)
class Stamp:
    """What an environment was made from: the Python and place, and each group's digest."""

    base: str
    groups: dict[str, str]

    def fits(self, base: str, wanted: list[Group]) -> bool:
        """Whether an environment with this stamp can be kept; a missing group can be added."""
        return self.base == base and all(
            self.groups.get(group.name, group.digest()) == group.digest() for group in wanted
        )


def describe_base() -> str:
    """The Python that runs this, and the place of the checkout.

    The place counts because scripts and the in-place installation hold it: a checkout that was
    copied with its `.venv` would otherwise run the code of the original.
    """
    version = f"{sys.implementation.name} {sys.version.split()[0]}"
    return f"{version}, {sysconfig.get_platform()}, {sys.base_prefix}, {ROOT}"


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment in a folder of its own."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")

    @property
    def packages(self) -> Path:
        """Where its packages are."""
        base = {"base": str(self.folder)}
        return Path(sysconfig.get_path("purelib", "venv", base))

    @property
    def log(self) -> Path:
        """Where the output of the programs goes that are run for it."""
        return self.folder / "dev.log"

    @property
    def _stamp(self) -> Path:
        return self.folder / "dev.json"

    @property
    def _lock(self) -> Path:
        # Beside it, as it must outlive what is in it.
        return self.folder.with_name(f"{self.folder.name}.lock")

    def prepare(self, *groups: Group) -> Path:
        """Make it hold these groups, and return its Python.

        Raises CommandError when it cannot be made.
        """
        try:
            self.folder.mkdir(exist_ok=True)
            with locked(self._lock):
                self._prepare(list(groups))
        except OSError as error:
            raise CommandError(f"cannot set up {self.folder}: {error}") from error
        return self.python

    def install(self, arguments: list[str | Path], what: str) -> None:
        """Run its pip."""
        command = [self.python, "-m", "pip", "install", "--quiet", *arguments]
        run_quietly(command, what, self.log, _PIP_ENVIRON, hint=ONLINE)

    def _prepare(self, groups: list[Group]) -> None:
        """`prepare`, with the lock held."""
        base = describe_base()
        stamp = read_stamp(self._stamp)
        if stamp is None or not stamp.fits(base, groups) or not self.python.exists():
            self.make_empty()
            stamp = Stamp(base, {})
        for group in groups:
            if group.name not in stamp.groups:
                self._stamp.unlink(missing_ok=True)
                self.install_group(group)
                stamp.groups[group.name] = group.digest()
                write_stamp(self._stamp, stamp)

    def make_empty(self) -> None:
        """A new environment with nothing but pip, in the place of what was there."""
        missing = [name for name in ("venv", "ensurepip") if not importlib.util.find_spec(name)]
        if missing:
            package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
            raise CommandError(
                f"this Python comes without {' and '.join(missing)}; install it first "
                f"(Debian and Ubuntu: apt install {package})."
            )
        # Only now: a Python may come without it.
        import venv

        say(f"making {self.folder.name} with Python {sys.version.split()[0]}")
        self._stamp.unlink(missing_ok=True)
        try:
            builder = venv.EnvBuilder(clear=True, with_pip=True, symlinks=sys.platform != "win32")
            builder.create(self.folder)
        except Exception as error:
            # ensurepip runs as a program of its own, whose failure is a CalledProcessError.
            raise CommandError(f"Python could not make a virtual environment: {error}") from error

    def install_group(self, group: Group) -> None:
        """Install the packages of a group."""
        names = " and ".join(group.files)
        say(f"installing the packages of {names} (only when they change)")
        arguments: list[str | Path] = ["--require-hashes"]
        for path in group.paths():
            arguments += ["-r", path]
        self.install(arguments, f"installing the packages of {names}")
        if group.project:
            # hatchling is among the pins: an isolated build would fetch whatever is newest today.
            in_place: list[str | Path] = ["--no-deps", "--no-build-isolation", "--editable", ROOT]
            self.install(in_place, "installing dunena itself")


DEVELOPMENT = Environment(ROOT / ".venv")
BUILDING = Environment(ROOT / ".venv-executable")
RELEASING = Environment(ROOT / ".venv-release")
PUBLISHING = Environment(ROOT / ".venv-site")


def read_stamp(path: Path) -> Stamp | None:
    """The stamp in a file, or None when there is none that can be understood."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Stamp(str(data["base"]), {str(k): str(v) for k, v in data["groups"].items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_stamp(path: Path, stamp: Stamp) -> None:
    """Write a stamp so that it is there whole or not at all."""
    draft = path.with_suffix(".tmp")
    draft.write_text(
        json.dumps({"base": stamp.base, "groups": stamp.groups}, indent=2), encoding="utf-8"
    )
    draft.replace(path)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that a file is; a second command waits here while the first one installs.

    The system drops the lock with the process, so no crash leaves it behind.
    """
    with path.open("a") as file:
        _wait_for_lock(file)
        yield


if sys.platform == "win32":
    import errno
    import msvcrt

    def _wait_for_lock(file: IO[str]) -> None:
        while True:
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
            except OSError as error:
                # Windows itself gives up after ten seconds, with this error.
                if error.errno != errno.EDEADLK:
                    raise
            else:
                return

else:
    import fcntl

    def _wait_for_lock(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)
