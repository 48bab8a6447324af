"""PyInstaller, run so that the same sources give the same bytes.

Everything it writes but the result goes into a work folder outside of the checkout: `build/`, where
it would write by itself, holds our scripts.
"""

import os
import shutil
import sys
from pathlib import Path

from devkit.compiled import build_wheel
from devkit.console import CommandError, run_quietly
from devkit.dates import source_time
from devkit.environment import BUILDING, EXECUTABLE
from devkit.requirements import ROOT
from releasekit.targets import NAME, Target

from packkit import launcher
from packkit.archives import pack

SPEC = ROOT / "packaging" / "dunena.spec"
LICENSE = ROOT / "LICENSE"
BUNDLE_IDENTIFIER = "io.github.dunena.dunena"
"""By what macOS tells programs apart, in its firewall's rules and its questions for rights."""

PURE_HINT = "; --pure makes an executable without one, and a slower one"


def build(target: Target, output: Path, work: Path, *, is_pure: bool) -> list[Path]:
    """Make the executable of this machine and its archives in `output`.

    `work` is a folder for everything in between; it must be empty. With `is_pure` the hot modules
    are not compiled; where there is no launcher either, that needs no C compiler. Raises
    CommandError.
    """
    python = BUILDING.prepare(EXECUTABLE)
    _check_tools(shutil.which("strip"))
    seconds = source_time(os.environ)
    site, log = work / "site", work / "executable.log"
    hint = "" if sys.platform in launcher.SYSTEMS else PURE_HINT
    # A real installation, apart from the environment: builds at the same time do not meet in it.
    wheel = build_wheel(python, work / "wheel", log, is_pure=is_pure, hint=hint)
    options: list[str | Path] = ["--no-index", "--no-deps", "--no-compile", "--target", site]
    BUILDING.install([*options, wheel], "installing dunena itself")
    command: list[str | Path] = [python, "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN"]
    command += ["--workpath", work / "pyinstaller", "--distpath", work / "made", SPEC]
    run_quietly(command, "PyInstaller", log, build_environ(site, work, seconds), folder=work)
    executable = work / "made" / target.executable
    folder = work / "made" / "folder"
    if sys.platform in launcher.SYSTEMS and folder.exists():
        kit = launcher.prepare(python, work / "zstd", log)
        launcher.make(kit, folder, NAME, executable, work / "launcher")
    for needed in (executable, folder):
        if not needed.exists():
            raise CommandError(f"PyInstaller made no {needed.name} (all of its output: {log})")
    if sys.platform == "darwin":
        _sign(executable, log)
    return _deliver(target, executable, folder, output, seconds)


def build_environ(site: Path, work: Path, seconds: int) -> dict[str, str]:
    """The variables that PyInstaller runs with, on top of this process's own."""
    # A launcher's payload is compressed as a whole: a seventh smaller than with modules that were
    # compressed one by one before, and no start has to decompress them.
    packed_later = {"PYINSTALLER_ZLIB_COMPRESSION_LEVEL": "0"}
    return {
        **(packed_later if sys.platform in launcher.SYSTEMS else {}),
        "PYTHONPATH": str(site),
        # The order of sets decides the order in files.
        "PYTHONHASHSEED": "1",
        "SOURCE_DATE_EPOCH": str(seconds),
        "PYTHONDONTWRITEBYTECODE": "1",
        # Its cache is otherwise shared by all builds of this user, and not made for two at once.
        "PYINSTALLER_CONFIG_DIR": str(work / "cache"),
    }


def signing_command(executable: Path, identity: str) -> list[str | Path]:
    """What gives the executable its lasting name on macOS.

    Without an identity the signature says nothing about who made it; Apple's processors start no
    program that has none at all.
    """
    command: list[str | Path] = ["/usr/bin/codesign", "--force", "--sign", identity or "-"]
    command += ["--identifier", BUNDLE_IDENTIFIER]
    if identity:
        entitlements = ROOT / "packaging" / "entitlements.plist"
        command += ["--options", "runtime", "--timestamp", "--entitlements", entitlements]
    return [*command, executable]


def _sign(executable: Path, log: Path) -> None:
    command = signing_command(executable, os.environ.get("DUNENA_CODESIGN_IDENTITY", ""))
    run_quietly(command, "signing", log)


def _check_tools(strip: str | None) -> None:
    if sys.platform == "linux" and not strip:
        raise CommandError("there is no strip on PATH (Debian and Ubuntu: apt install binutils)")


def _deliver(
    target: Target, executable: Path, folder: Path, output: Path, seconds: int
) -> list[Path]:
    """Put the executable and its archives into `output`, each whole or not at all."""
    output.mkdir(parents=True, exist_ok=True)
    drafts = executable.parent / "drafts"
    single = drafts / f"{NAME}-{target.label}"
    single.mkdir(parents=True)
    as_folder = folder.rename(drafts / f"{NAME}-{target.label}-folder")
    shutil.copyfile(executable, single / target.executable)
    for packed in (single, as_folder):
        shutil.copyfile(LICENSE, packed / "LICENSE")
    pack(drafts / target.archive, single, target.executable, seconds)
    program = f"{NAME}.exe" if target.system == "windows" else NAME
    pack(drafts / target.folder_archive, as_folder, program, seconds)
    executable.chmod(0o755)
    sources = (executable, drafts / target.archive, drafts / target.folder_archive)
    made = []
    for source, name in zip(sources, target.files, strict=True):
        # The work folder may be on another file system, where a move is no single step.
        near = output / f".{name}.new"
        shutil.copy2(source, near)
        near.replace(output / name)
        made.append(output / name)
    return made
