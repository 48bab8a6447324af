"""The commands of build/release.py."""

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from devkit.console import CommandError
from devkit.dates import source_time

from releasekit import (
    archives,
    checksums,
    manifests,
    notes,
    packages,
    preparation,
    sameness,
    signing,
    version,
)
from releasekit.errors import ReleaseError
from releasekit.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "packaging" / "manifests"
PINS = ROOT / "build" / "requirements" / "serve.txt"
LICENSE_TEXTS = ROOT / "packaging" / "licenses"
DEFAULT_REPOSITORY = "dunena/dunena"
NEWEST_GLIBC = os.environ.get("DUNENA_RELEASE_GLIBC") or "2.28"
"""Of 2018. Every Linux with five years of support that still has some is newer than that. The
variable is for a rehearsal that has to build on a newer one."""

Arguments = argparse.Namespace


def main(arguments: Sequence[str]) -> int:
    """Run the command that the arguments name, and return the exit code."""
    # A Windows console may lack letters that are in the notes; a redirected one always does.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8")
    parsed = parser().parse_args(arguments)
    command: Callable[[Arguments], int | None] = parsed.command
    try:
        return command(parsed) or 0
    except (ReleaseError, CommandError) as failure:
        for line in str(failure).splitlines():
            print(f"release: {line}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """What can be typed."""
    top = argparse.ArgumentParser(prog="release.py", description="The steps of a release.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[Arguments], int | None]) -> argparse.ArgumentParser:
        words = (command.__doc__ or "").strip()
        added = commands.add_parser(name, help=words, description=words)
        added.set_defaults(command=command)
        return added

    asked = add("version", print_version)
    asked.add_argument("--tag", default="", help="the tag being released; empty for a dry run")
    asked = add("prepare", prepare)
    asked.add_argument("version", help="such as 1.2.3")
    asked = add("rehearse", rehearse)
    asked.add_argument("version", help="such as 1.2.3")
    pure = "leave the hot modules as Python, which is quicker; a release compiles them"
    asked.add_argument("--pure", action="store_true", help=pure)
    existing = "take the executable and its archives from there instead of building them"
    asked.add_argument("--executable", type=Path, metavar="FOLDER", help=existing)
    work = "where everything is made and stays; must be empty or not there"
    asked.add_argument("--work", type=Path, metavar="FOLDER", help=work)
    asked = add("notes", print_notes)
    asked.add_argument("tag", help="v and the version")
    asked.add_argument("dist", type=Path)
    asked.add_argument("--attested", default="true", help="false: GitHub says nothing of the files")
    add("checksums", write_checksums).add_argument("dist", type=Path)
    asked = add("glibc", check_glibc)
    asked.add_argument("path", type=Path, help="a file or a folder of files")
    asked.add_argument("--max", default=NEWEST_GLIBC, help="default: %(default)s")
    asked = add("licenses", write_licenses)
    asked.add_argument("environment", type=Path, help="a virtual environment with all of it")
    asked.add_argument("pins", type=Path, help="the requirements file of what is bundled")
    asked.add_argument("out", type=Path)
    asked.add_argument("--also", action="append", default=[], help="one more package")
    asked = add("sbom", write_sbom)
    asked.add_argument("kind", choices=sorted(_BILLS))
    asked.add_argument("source", type=Path, help="what it is of: a folder; of an image its list")
    asked.add_argument("--out", type=Path, help="default: beside it")
    asked.add_argument("--environment", type=Path, default=ROOT / ".venv-executable")
    add("contents", check_contents).add_argument("dist", type=Path)
    asked = add("manifests", write_manifests)
    asked.add_argument("tag", help="v and the version")
    asked.add_argument("dist", type=Path, help="with SHA2-256SUMS in it")
    asked.add_argument("out", type=Path)
    add("package", build_package).add_argument("dist", type=Path)
    asked = add("compare", compare)
    asked.add_argument("one", type=Path)
    asked.add_argument("other", type=Path)
    add("archives", check_archives).add_argument("dist", type=Path)
    asked = add("sign", sign)
    asked.add_argument("step", choices=sorted(_SIGNING))
    asked.add_argument("dist", type=Path)
    return top


def print_version(arguments: Arguments) -> None:
    """Print the version, if tag and changelog agree with it."""
    found = _version()
    version.check(found, _changelog(), arguments.tag or None)
    print(found)


def prepare(arguments: Arguments) -> None:
    """Write a version into the checkout, and make its section of the changelog."""
    day = datetime.now(UTC).date().isoformat()
    for path in preparation.prepare(ROOT, arguments.version, day):
        print(path.relative_to(ROOT))


def rehearse(arguments: Arguments) -> int:
    """Do all that a tag does, but for publishing, in a clone of the checkout."""
    from rehearsalkit.commands import run

    return run(
        arguments.version,
        _repository(),
        is_pure=arguments.pure,
        existing=arguments.executable,
        work=arguments.work,
    )


def print_notes(arguments: Arguments) -> None:
    """Print the text of the release."""
    text = notes.render(
        _version_of(arguments.tag),
        _changelog(),
        arguments.dist,
        _repository(),
        is_attested=arguments.attested == "true",
    )
    print(text, end="")


def write_checksums(arguments: Arguments) -> None:
    """Write SHA2-256SUMS and SHA2-512SUMS over the files of a folder."""
    for path in checksums.write(arguments.dist):
        print(path)


def check_glibc(arguments: Arguments) -> None:
    """Print the glibc that all Linux programs in it run on; fail if that is too new."""
    # It and `licenses` stand on packages, which the other commands do without.
    from releasekit import glibc

    print(glibc.report(glibc.needs(arguments.path), glibc.parse(arguments.max)))


def write_licenses(arguments: Arguments) -> None:
    """Write the licences of everything bundled into one file."""
    from releasekit import licenses

    asked = (arguments.environment, arguments.pins, arguments.also)
    found = licenses.collect(*asked, LICENSE_TEXTS)
    arguments.out.write_text(licenses.render(found), encoding="utf-8", newline="\n")
    print(f"{arguments.out}: {', '.join(bundled.title for bundled in found)}")


def write_sbom(arguments: Arguments) -> None:
    """Write what is in executables, in the Python package or in the image, in CycloneDX's JSON."""
    _BILLS[arguments.kind](arguments)


def _write_bills_of_executables(arguments: Arguments) -> None:
    from releasekit import bills

    asked = (arguments.source, arguments.environment, _version(), _repository())
    for path in bills.write_of_executables(*asked, source_time(os.environ)):
        print(path)


def _write_bill_of_package(arguments: Arguments) -> None:
    from releasekit import bills

    found = _version()
    out = arguments.out or arguments.source / bills.PACKAGE
    bills.write_of_package(arguments.source, PINS, out, found, source_time(os.environ))
    print(out)


def _write_bill_of_image(arguments: Arguments) -> None:
    from releasekit import bills

    out = arguments.out or arguments.source.with_name(bills.IMAGE)
    bills.write_of_image(arguments.source, out, _version(), source_time(os.environ))
    print(out)


_BILLS: dict[str, Callable[[Arguments], None]] = {
    "executable": _write_bills_of_executables,
    "image": _write_bill_of_image,
    "package": _write_bill_of_package,
}


def check_contents(arguments: Arguments) -> None:
    """Check that each executable has its SBOM, and each part in it the text of its licence."""
    from releasekit import bills

    for line in bills.check(arguments.dist):
        print(line)


def write_manifests(arguments: Arguments) -> None:
    """Write the files for winget, Homebrew and Scoop."""
    found = _version_of(arguments.tag)
    shutil.rmtree(arguments.out, ignore_errors=True)
    for path in manifests.write(found, _repository(), arguments.dist, TEMPLATES, arguments.out):
        print(path)


def build_package(arguments: Arguments) -> None:
    """Pack the sources, make the wheel of them, install it where nothing else is, and start it."""
    for path in packages.build(ROOT, arguments.dist):
        print(path)
    (wheel,) = arguments.dist.glob("*-py3-none-any.whl")
    print(packages.try_wheel(wheel, PINS, ROOT / "packaging" / "try_wheel.py"))


def compare(arguments: Arguments) -> None:
    """Check that all files of a folder are in another one, byte for byte."""
    for name in sameness.check(arguments.one, arguments.other):
        print(f"{name} is the same in both")


def check_archives(arguments: Arguments) -> None:
    """Check that the archives hold the executables beside them, ready to run."""
    for line in archives.check(arguments.dist):
        print(line)


def sign(arguments: Arguments) -> None:
    """Sign, or say in a notice that there is no key to do it with."""
    _SIGNING[arguments.step](arguments.dist)


def _prepare_macos(_: Path) -> None:
    if signing.import_certificate(os.environ) and os.environ.get("GITHUB_ENV"):
        # For the step that builds: the spec file hands it to PyInstaller.
        with Path(os.environ["GITHUB_ENV"]).open("a", encoding="utf-8") as file:
            file.write(f"DUNENA_CODESIGN_IDENTITY={signing.IDENTITY}\n")


def _notarize(dist: Path) -> None:
    present = [target for target in TARGETS if target.system == "macos"]
    paths = [dist / name for target in present for name in (target.archive, target.folder_archive)]
    signing.notarize([path for path in paths if path.is_file()], os.environ)


def _sign_windows(dist: Path) -> None:
    for target in TARGETS:
        if target.system == "windows":
            signing.sign_windows(dist, target, os.environ)


_SIGNING: dict[str, Callable[[Path], None]] = {
    "macos-certificate": _prepare_macos,
    "macos-notarize": _notarize,
    "windows": _sign_windows,
}


def _version() -> str:
    return version.read_version((ROOT / "dunena" / "__init__.py").read_text(encoding="utf-8"))


def _version_of(tag: str) -> str:
    """The version in a tag, which must be that of this checkout."""
    found = _version()
    if tag != f"v{found}":
        raise ReleaseError(f"the tag is {tag}, and this is version {found}")
    return found


def _changelog() -> str:
    return (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def _repository() -> str:
    return os.environ.get("GITHUB_REPOSITORY") or DEFAULT_REPOSITORY
