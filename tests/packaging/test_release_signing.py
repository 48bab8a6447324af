"""build/release.py sign: the calls of the signing tools, and a notice without keys."""

import base64
import stat
from pathlib import Path

import pytest

from tests.packaging.made_up import load

ReleaseError = load("releasekit.errors").ReleaseError
KEYS = (
    "APPLE_CERTIFICATE",
    "APPLE_CERTIFICATE_PASSWORD",
    "APPLE_ID",
    "APPLE_APP_PASSWORD",
    "APPLE_TEAM_ID",
    "WINDOWS_CERTIFICATE",
    "WINDOWS_CERTIFICATE_PASSWORD",
)


@pytest.fixture
def commands(monkeypatch, tmp_path):
    """What would have been run; a signature is a word behind the file."""
    signing = load("releasekit.signing")
    commands = []

    def pretend(asked):
        for command in asked:
            commands.append(command)
            for word in command:
                if word.endswith(".exe") and command[1] == "sign":
                    path = Path(word)
                    path.write_bytes(path.read_bytes() + b" signed")

    monkeypatch.setattr(signing, "_run_all", pretend)
    monkeypatch.setattr(signing, "_signtool", lambda: tmp_path / "signtool")
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    return commands


@pytest.fixture
def keys(monkeypatch):
    for name in KEYS:
        value = base64.b64encode(b"key").decode() if name.endswith("CERTIFICATE") else name.lower()
        monkeypatch.setenv(name, value)


def sign(step, dist):
    return load("releasekit.commands").main(["sign", step, str(dist)])


@pytest.mark.parametrize("step", ["macos-certificate", "macos-notarize", "windows"])
def test_sign_without_keys_prints_only_a_notice(commands, dist, capsys, step):
    assert sign(step, dist) == 0
    assert capsys.readouterr().out.startswith("::notice::")
    assert commands == []
    assert load("releasekit.archives").check(dist)


def test_sign_with_an_incomplete_key_fails(commands, dist, monkeypatch, capsys):
    monkeypatch.setenv("WINDOWS_CERTIFICATE", "x")
    assert sign("windows", dist) == 1
    assert "WINDOWS_CERTIFICATE_PASSWORD is missing" in capsys.readouterr().err


def test_windows_programs_are_signed_in_files_and_archives(commands, keys, dist):
    assert sign("windows", dist) == 0
    archives = load("releasekit.archives")
    targets = [one for one in load("releasekit.targets").TARGETS if one.system == "windows"]
    for command, target in zip(commands, targets, strict=True):
        assert command[1:4:2] == ["sign", command[3]]
        assert "/fd" in command
        signed = (dist / target.executable).read_bytes()
        assert signed.endswith(b" signed")
        assert archives.program(dist / target.archive, target).data == signed
        assert archives.program(dist / target.folder_archive, target).data.endswith(b" signed")
    assert archives.check(dist)


def test_the_macos_certificate_is_imported_and_its_identity_exported(
    commands, keys, dist, tmp_path, monkeypatch
):
    monkeypatch.setenv("GITHUB_ENV", str(tmp_path / "env"))
    assert sign("macos-certificate", dist) == 0
    verbs = [command[1] for command in commands]
    assert verbs == [
        "create-keychain",
        "set-keychain-settings",
        "unlock-keychain",
        "import",
        "set-key-partition-list",
        "list-keychains",
    ]
    env = (tmp_path / "env").read_text()
    assert env == "DUNENA_CODESIGN_IDENTITY=Developer ID Application\n"


def test_every_macos_archive_is_notarised(commands, keys, dist):
    assert sign("macos-notarize", dist) == 0
    submitted = {command[3].rpartition("/")[2] for command in commands}
    assert submitted == {path.name for path in dist.glob("*macos*.zip")}
    assert all("--wait" in command for command in commands)


def test_a_key_file_is_readable_by_its_owner_only(tmp_path):
    path = load("releasekit.signing")._write_key(tmp_path, "key", base64.b64encode(b"x").decode())
    assert path.read_bytes() == b"x"
    if hasattr(path, "owner") and stat.S_IMODE(path.stat().st_mode) != 0o666:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_signing_failure_names_the_tool_and_no_password(monkeypatch):
    signing = load("releasekit.signing")
    command = ["false", "sign", "/p", "secret"]

    class Done:
        returncode = 1

    monkeypatch.setattr(signing.subprocess, "run", lambda *_, **__: Done())
    with pytest.raises(ReleaseError, match=r"^false sign failed with 1$"):
        signing._run_all([command])
