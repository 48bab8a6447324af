"""A folder that a newer dunena has written: a command says so in one line and changes nothing."""

import json
import zlib
from pathlib import Path

import pytest

from tests.e2e.folders import contents
from tests.e2e.processes import assert_failed, run_copy


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    values = tmp_path / "older"
    values.mkdir()
    (values / "k.json").write_text("1")
    file = tmp_path / "backup.zip"
    assert run_copy("backup", str(file), "--cache-dir", str(values)).returncode == 0
    return file


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    folder = tmp_path / "newer"
    private = folder / ".dunena"
    private.mkdir(parents=True)
    (folder / "k.json").write_text("1")
    content = b'{"format":2,"dunena":"9.1.0"}'
    checksum = zlib.crc32(content, zlib.crc32(b"format format\n"))
    (private / "format").write_bytes(b"%08x %s" % (checksum, content))
    return folder


@pytest.mark.parametrize(
    "words",
    [
        "serve --port 0 --cache-dir FOLDER",
        "check FOLDER",
        "check FOLDER --repair",
        "check FOLDER --json",
        "backup NEW --cache-dir FOLDER",
        "restore BACKUP --cache-dir FOLDER --merge",
        "restore BACKUP --cache-dir FOLDER --dry-run",
        "restore BACKUP --cache-dir FOLDER --replace --without-copy",
    ],
)
def test_a_command_refuses_a_newer_folder_in_one_line(
    tmp_path: Path, newer: Path, backup: Path, words: str
) -> None:
    before = contents(newer)
    paths = {"FOLDER": str(newer), "NEW": str(tmp_path / "new.zip"), "BACKUP": str(backup)}
    done = run_copy(*(paths.get(word, word) for word in words.split()))
    assert_failed(
        done, says=(f"{newer.name} was written by dunena 9.1.0 in format 2", "use dunena 9.1.0 or")
    )
    assert ("--cache-dir" in done.stderr) == words.startswith("serve")
    assert contents(newer) == before
    assert not (tmp_path / "new.zip").exists()


def test_a_server_started_by_the_environment_refuses_it_too(newer: Path) -> None:
    done = run_copy("serve", "--port", "0", environment={"CACHE_DIR": str(newer)})
    assert_failed(done, says=("in format 2, and this dunena",))


def test_doctor_says_what_to_do_with_a_newer_folder(newer: Path) -> None:
    before = contents(newer)
    done = run_copy("doctor", "--json", "--port", "0", "--cache-dir", str(newer))
    assert done.returncode == 1
    (found,) = [one for one in json.loads(done.stdout)["findings"] if one["level"] == "bad"]
    assert found["about"] == "folder format"
    assert "written by dunena 9.1.0 in format 2" in found["text"]
    assert found["advice"].startswith("use dunena 9.1.0 or a newer one")
    assert contents(newer) == before


def test_doctor_says_which_format_a_folder_has(newer: Path) -> None:
    (newer / ".dunena" / "format").unlink()
    for expected in ("not recorded yet", "1, which this dunena knows"):
        done = run_copy("doctor", "--json", "--port", "0", "--cache-dir", str(newer))
        (found,) = [
            one for one in json.loads(done.stdout)["findings"] if one["about"] == "folder format"
        ]
        assert (found["level"], found["text"][: len(expected)]) == ("ok", expected)
        assert run_copy("check", str(newer), "--repair").returncode == 0
