"""Signing on macOS and Windows, with keys that only the release workflow has.

Forks and dry runs have none. Then nothing is signed and a notice says so: the files work as well,
but people are asked once more before the first start.

Keys come in environment variables, as secrets do, and go on to the system's own tools. What those
are told is made by functions of their own, so that it can be tested where the tools are not.
"""

import base64
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from releasekit import archives
from releasekit.errors import ReleaseError
from releasekit.targets import Target

KEYCHAIN = "dunena-signing.keychain-db"
IDENTITY = "Developer ID Application"
"""The beginning of the certificate's name, which is all that `codesign` needs to find it."""
TIMESTAMPS = "http://timestamp.digicert.com"

_APPLE_CERTIFICATE = ("APPLE_CERTIFICATE", "APPLE_CERTIFICATE_PASSWORD")
_APPLE_ACCOUNT = ("APPLE_ID", "APPLE_APP_PASSWORD", "APPLE_TEAM_ID")
_WINDOWS_CERTIFICATE = ("WINDOWS_CERTIFICATE", "WINDOWS_CERTIFICATE_PASSWORD")

Command = list[str]


def import_certificate(environ: Mapping[str, str]) -> bool:
    """Put Apple's certificate into a keychain of its own, for `codesign` to find.

    False, with a notice, when there is none. The keychain dies with the runner.
    """
    if not _has(environ, _APPLE_CERTIFICATE, "macOS: not signed"):
        return False
    # The keychain lives for one job, so its password protects nothing and is made up here.
    password = base64.b64encode(os.urandom(18)).decode()
    with tempfile.TemporaryDirectory() as name:
        certificate = _write_key(Path(name), "certificate.p12", environ["APPLE_CERTIFICATE"])
        secret = environ["APPLE_CERTIFICATE_PASSWORD"]
        _run_all(import_commands(certificate, secret, password))
    return True


def import_commands(certificate: Path, secret: str, password: str) -> list[Command]:
    """What makes the keychain, and lets `codesign` use it without asking a person."""

    def security(words: str, *more: str) -> Command:
        return ["security", *words.split(), *more]

    unasked = ("-T", "/usr/bin/codesign")
    return [
        security("create-keychain -p", password, KEYCHAIN),
        security("set-keychain-settings -lut 21600", KEYCHAIN),
        security("unlock-keychain -p", password, KEYCHAIN),
        security("import", str(certificate), "-k", KEYCHAIN, "-P", secret, *unasked),
        security("set-key-partition-list -S apple-tool:,apple: -k", password, KEYCHAIN),
        security("list-keychains -d user -s", KEYCHAIN, "login.keychain-db"),
    ]


def notarize(archives: list[Path], environ: Mapping[str, str]) -> bool:
    """Have Apple look at the archives; False, with a notice, without an account.

    A bare program has no place for Apple's ticket, so macOS asks for it on line at the first start.
    """
    if not _has(environ, _APPLE_ACCOUNT, "macOS: not notarised"):
        return False
    _run_all([notarize_command(archive, environ) for archive in archives])
    return True


def notarize_command(archive: Path, environ: Mapping[str, str]) -> Command:
    """What submits an archive and waits for the answer."""
    account = ["--apple-id", environ["APPLE_ID"], "--password", environ["APPLE_APP_PASSWORD"]]
    account += ["--team-id", environ["APPLE_TEAM_ID"]]
    return ["xcrun", "notarytool", "submit", str(archive), "--wait", "--timeout", "30m", *account]


def sign_windows(dist: Path, target: Target, environ: Mapping[str, str]) -> bool:
    """Sign a Windows program with Authenticode, in the archives too.

    False, with a notice, without a certificate.
    """
    if not _has(environ, _WINDOWS_CERTIFICATE, "Windows: not signed"):
        return False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificate = _write_key(folder, "certificate.pfx", environ["WINDOWS_CERTIFICATE"])
        secret = environ["WINDOWS_CERTIFICATE_PASSWORD"]
        # The program of the folder is another one than the single file: it holds no archive.
        archive = dist / target.folder_archive
        inner = archives.program(archive, target)
        unpacked = folder / "dunena.exe"
        unpacked.write_bytes(inner.data)
        executable = dist / target.executable
        tool = _signtool()
        _run_all([windows_command(tool, [executable, unpacked], certificate, secret)])
        single = archives.program(dist / target.archive, target)
        archives.replace(dist / target.archive, single.name, executable.read_bytes())
        archives.replace(archive, inner.name, unpacked.read_bytes())
    return True


def windows_command(tool: Path, files: list[Path], certificate: Path, secret: str) -> Command:
    """What signs the files, with the time from a third party: it outlives the certificate."""
    key = ["/f", str(certificate), "/p", secret]
    return [str(tool), "sign", *key, "/fd", "sha256", "/tr", TIMESTAMPS, "/td", "sha256"] + [
        str(path) for path in files
    ]


def _signtool() -> Path:
    """Microsoft's tool, of the newest Windows SDK on the machine."""
    kits = Path(
        os.environ.get("PROGRAMFILES(X86)", "C:/Program Files (x86)"), "Windows Kits/10/bin"
    )
    found = sorted(kits.glob("*/x64/signtool.exe"))
    if not found:
        raise ReleaseError(f"no signtool.exe in {kits}")
    return found[-1]


def _has(environ: Mapping[str, str], names: tuple[str, ...], consequence: str) -> bool:
    """Whether all keys are there; a notice when none is. Some without the others are a mistake."""
    missing = [name for name in names if not environ.get(name)]
    if missing and len(missing) < len(names):
        raise ReleaseError(f"{consequence}, as {', '.join(missing)} is missing")
    if missing:
        print(f"::notice::{consequence}, as there is no {names[0]}")
    return not missing


def _write_key(folder: Path, name: str, encoded: str) -> Path:
    path = folder / name
    path.touch(mode=0o600)
    path.write_bytes(base64.b64decode(encoded))
    return path


def _run_all(commands: list[Command]) -> None:
    for command in commands:
        # The words hold passwords: what failed is named by its first two.
        done = subprocess.run(command, check=False)
        if done.returncode != 0:
            raise ReleaseError(f"{' '.join(command[:2])} failed with {done.returncode}")
