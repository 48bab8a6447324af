"""What this machine cannot do of a release, and what is done instead.

Nothing of it is silent: each has a reason, which the transcript shows, and the command ends with an
exit code of its own.
"""

import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from packkit.choice import host_label
from releasekit.errors import ReleaseError
from releasekit.targets import TARGETS, Target

SYSTEM_NAMES = {"linux": "Linux", "darwin": "macOS", "win32": "Windows"}
"""What GitHub calls the systems."""

_NO_ENGINE = "there is no container engine here (`docker info` fails)"
_OLD_LINUX = "Build in an old Linux"
_TESTS = "Test the single file"
_OF_COMPILED = "tests/binary/test_serving.py::test_the_hot_modules_of_the_executable_are_compiled"
_MANIFESTS = "Write the manifests for winget, Homebrew and Scoop"


@dataclass(frozen=True, slots=True)
class StandIn:
    """What is run instead of a step's own script, or nothing at all; and why.

    `is_usual` is what no single machine could do in another way: it is no lack of this one.
    """

    reason: str
    script: str = ""
    is_usual: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """What is done in another way here: steps by the key of their job and their name, and jobs
    that are left out as a whole, by their key. `forced` are steps whose condition is not asked."""

    label: str
    system: str
    steps: dict[tuple[str, str], StandIn] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    # The licences are collected on one Windows, of whose packages those of others are a part.
    forced: frozenset[str] = frozenset({"Collect the licences"})


def look_at(*, is_pure: bool, existing: Path | None, checkout: Path, version: str) -> Machine:
    """What this machine lacks. `existing` is a folder with an executable that is to be taken, made
    in `checkout`. Raises ReleaseError where no release is made, or nothing is in that folder.
    """
    label = host_label(sys.platform, platform.machine())
    target = next((one for one in TARGETS if one.label == label), None)
    if target is None:
        raise ReleaseError(f"there is no release for {label}")
    machine = Machine(label, SYSTEM_NAMES[sys.platform])
    machine.steps["assemble", _MANIFESTS] = _fill_in_others(label)
    if not has_engine():
        _do_without_engine(machine, "--pure" if is_pure else "")
    elif is_pure:
        raise ReleaseError("--pure is for machines without a container engine; this one has one")
    if sys.platform != "linux":
        machine.jobs["wheels"] = "cibuildwheel would install Pythons into this system"
        machine.jobs["image"] = "an image is made on Linux"
    if existing is not None:
        _take_existing(machine, target, existing.resolve(), checkout, version)
    return machine


def _fill_in_others(label: str) -> StandIn:
    """The manifests name the files of all systems, of which one machine makes its own."""
    others = [target for target in TARGETS if target.label != label]
    names = " ".join(name for one in others for name in (one.executable, one.archive))
    script = (
        "mkdir sums\ncp dist/SHA2-256SUMS sums/\n"
        f'for name in {names}; do\n  printf "%064d  %s\\n" 0 "$name" >> sums/SHA2-256SUMS\ndone\n'
        'python build/release.py manifests "$TAG" sums manifests'
    )
    return StandIn("with checksums of zeros for the files of other systems", script, is_usual=True)


def has_engine() -> bool:
    """Whether containers can be run."""
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def _do_without_engine(machine: Machine, options: str) -> None:
    """Plan what can be done on this system itself, which is no old Linux and no clean one."""
    pure = "; and --pure: the hot modules are not compiled" if options else ""
    script = f'PYTHON=python bash packaging/docker/build-executable.sh "$TARGET" {options}'.strip()
    built_here = StandIn(f"{_NO_ENGINE}: built on this system{pure}", script)
    machine.steps["build", _OLD_LINUX] = built_here
    machine.steps["reproduce", _OLD_LINUX] = built_here
    if options:
        machine.steps["verify", _TESTS] = StandIn(
            "--pure: all tests but the one that looks for compiled modules",
            f"python build/dev.py test tests/binary --deselect {_OF_COMPILED}",
        )
    clean_room = (
        'for program in "$NAME/$NAME" "$NAME-folder/dunena"; do\n'
        '  bash packaging/docker/clean-room.sh "unpacked/$program"\n'
        "done"
    )
    machine.steps["verify", "Start it on systems with nothing on them"] = StandIn(
        f"{_NO_ENGINE}: started on this system", clean_room
    )
    machine.steps["verify", "Start it on a system without glibc"] = StandIn(
        f"{_NO_ENGINE}; as root the tests of the single file start it where there is no C library"
    )
    machine.jobs["image"] = _NO_ENGINE
    machine.jobs["wheels"] = f"{_NO_ENGINE}, which cibuildwheel needs"
    name, newest = platform.libc_ver()
    if sys.platform == "linux" and name == "glibc":
        machine.environment["DUNENA_RELEASE_GLIBC"] = newest
        machine.steps["assemble", "Check which Linux they run on"] = StandIn(
            f"what was built here may need the glibc of this system, {newest}",
            "python build/release.py glibc dist",
        )


def _take_existing(
    machine: Machine, target: Target, folder: Path, checkout: Path, version: str
) -> None:
    """Plan to use an executable that is there."""
    missing = [name for name in target.files if not (folder / name).is_file()]
    if missing:
        raise ReleaseError(f"{folder} lacks {missing[0]}; `build/executable.py` makes it")
    done = subprocess.run(
        [folder / target.executable, "version"], capture_output=True, text=True, check=False
    )
    found = done.stdout.strip().removeprefix("dunena ")
    copied = " ".join(f"'{folder / name}'" for name in target.files)
    script = (
        f"mkdir -p dist\ncp {copied} dist/\nln -s '{checkout / '.venv-executable'}' .\n"
        "python build/release.py sbom executable dist"
    )
    words = f"taken from {folder}, of version {found}"
    name = _OLD_LINUX if target.system == "linux" else "Build"
    machine.steps["build", name] = StandIn(words, script)
    machine.jobs["reproduce"] = f"the executable was {words}"
    if found != version:
        machine.steps["verify", _TESTS] = StandIn(
            f"it is version {found}, and the tests are those of {version}"
        )
