"""`dunena check`: reports on a folder, and repairs."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.folders import (
    PRIVATE,
    contents,
    journal,
    listing,
    read_json,
    set_value,
    until,
    value_files,
    write_files,
)
from tests.e2e.processes import FOLDS_CASE, assert_failed, run_program
from tests.protocol.clients import http, open_dunena, open_objects
from tests.support.fixtures import StartServer

LONG = "x" * 300


def look(folder: Path, *arguments: str, code: int) -> dict[str, Any]:
    """The report for programs."""
    done = run_program("check", str(folder), "--json", *arguments)
    assert done.returncode == code, (done.stdout, done.stderr)
    assert done.stderr == ""
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["inOrder"] == (code == 0)
    return report


@pytest.fixture
def filled(start_server: StartServer, folder: Path) -> Path:
    """A folder that a server left in order."""
    server = start_server()
    with open_dunena(server) as client:
        client.ask({"type": "set", "key": "k", "value": "v"})
        client.ask({"type": "set", "key": LONG, "value": "v", "ns": "app"})
        client.ask({"type": "set", "key": "short", "value": "lived", "ttl": 3_600_000})
    server.stop()
    return folder


def test_check_reports_a_folder_in_order_and_changes_nothing(filled: Path):
    before = contents(filled)
    report = look(filled, code=0)
    assert (report["keys"], report["expiring"], report["namespaces"]) == (3, 1, ["app"])
    assert report["bytes"] == len('"v""v""lived"')
    assert report["revision"] == 3
    assert report["steps"] == []
    assert contents(filled) == before
    done = run_program("check", str(filled))
    assert done.returncode == 0
    assert done.stdout.endswith("All is in order.\n")
    look(filled, "--repair", code=0)
    after = contents(filled)
    # It opened the folder too, which counts as a change.
    counts = dict.fromkeys((".dunena/run", ".dunena/revision", ".dunena/shown"), b"")
    assert after | counts == before | counts


def test_check_reads_a_folder_no_server_has_used(folder: Path):
    write_files(folder, {"a.json": "1", "b.json": "[2]", "notes.txt": "", "sub/deep/c.json": "3"})
    report = look(folder, code=0)
    assert (report["keys"], report["bytes"]) == (2, 4)
    assert report["foreign"] == ["notes.txt", "sub/deep/c.json"]
    assert sorted(listing(folder)) == ["a.json", "b.json", "notes.txt", "sub"]


def test_check_fails_for_a_missing_folder(tmp_path: Path):
    done = run_program("check", str(tmp_path / "nowhere"))
    assert_failed(done, says=("nowhere", "no folder"))


def test_check_fails_for_a_folder_in_use(start_server: StartServer, folder: Path):
    server = start_server()
    for arguments in ([], ["--repair"]):
        done = run_program("check", str(folder), *arguments)
        assert_failed(done, says=(str(folder), f"http://localhost:{server.port}", "stop it"))
    http(server, "POST", "/set", {"key": "k", "value": 1})
    assert http(server, "GET", "/get/k").json["value"] == 1


def test_check_names_damaged_files_and_repair_quarantines_them(filled: Path):
    write_files(filled, {"half.json": '{"x":\n 10', "app/empty.json": "", "k2.json": "1"})
    report = look(filled, code=1)
    assert {damage["path"] for damage in report["damaged"]} == {"half.json", "app/empty.json"}
    assert any("line 2, column" in damage["reason"] for damage in report["damaged"])
    text = run_program("check", str(filled)).stdout
    assert "move half.json to .dunena/quarantine/" in text
    assert "half.json" in {path.name for path in value_files(filled)}, "nothing is done unasked"

    assert look(filled, "--repair", code=0)["keys"] == 4
    aside = {path.name: path.read_bytes() for path in (filled / PRIVATE / "quarantine").iterdir()}
    assert aside == {"half.json": b'{"x":\n 10', "empty.json": b""}
    assert not (filled / "half.json").exists()


def test_check_reports_and_repair_completes_what_a_killed_server_left(
    start_server: StartServer, folder: Path
):
    (folder / "blocked.json").mkdir(parents=True)
    server = start_server()
    with open_objects(server) as client:
        for number in range(5):
            set_value(client, "blocked", number)
        set_value(client, "free", 1)
        client.heard()
    until((folder / "free.json").exists, "the file did not follow")
    server.kill()
    (folder / "blocked.json").rmdir()
    with journal(folder)[-1].open("ab") as segment:
        segment.write(b"0123abcd [[1,")
    write_files(folder, {f"{PRIVATE}/tmp/1-1.tmp": "half a val"})
    before = contents(folder)

    report = look(folder, code=1)
    assert report["keys"] == 2
    assert report["journal"]["commits"] > 0
    assert report["journal"]["keysBehind"] > 0
    assert report["journal"]["tornBytes"] == 13
    assert report["drafts"] == [f"{PRIVATE}/tmp/1-1.tmp"]
    assert contents(folder) == before

    done = run_program("check", str(folder), "--repair")
    assert done.returncode == 0, done.stdout
    assert "of the journal to files" in done.stdout
    assert "cut 13 bytes" in done.stdout
    assert journal(folder) == []
    assert listing(folder / PRIVATE / "tmp") == []
    assert read_json(folder / "blocked.json") == 4
    assert read_json(folder / "free.json") == 1


def test_check_names_stale_records_and_repair_removes_them(filled: Path):
    (filled / "short.json").unlink()
    shutil.rmtree(filled / "app")
    report = look(filled, code=1)
    assert len(report["staleExpiries"]) == 1
    assert len(report["staleNames"]) == 1
    look(filled, "--repair", code=0)
    assert listing(filled / PRIVATE / "expiry") == []
    assert listing(filled / PRIVATE / "names") == []


def test_repair_keeps_the_name_record_of_a_quarantined_file(filled: Path):
    (long,) = (filled / "app").iterdir()
    long.write_text("{broken")
    look(filled, "--repair", code=0)
    assert listing(filled / PRIVATE / "quarantine") == [long.name]
    assert len(listing(filled / PRIVATE / "names")) == 1


@pytest.mark.skipif(FOLDS_CASE, reason="the two names are one there")
def test_repair_leaves_two_files_of_one_key_alone(folder: Path):
    write_files(folder, {"A.json": "1", "%41.json": "2"})
    for arguments in ([], ["--repair"]):
        report = look(folder, *arguments, code=1)
        (clash,) = report["clashes"]
        assert clash["path"] == "%41.json"
        assert "A.json" in clash["reason"]
    assert {path.name: read_json(path) for path in value_files(folder)} == {
        "A.json": 1,
        "%41.json": 2,
    }


def test_a_server_starts_on_a_repaired_folder(start_server: StartServer, filled: Path):
    write_files(filled, {"half.json": "{"})
    look(filled, "--repair", code=0)
    server = start_server()
    assert http(server, "GET", "/health").json["status"] == "healthy"
    assert http(server, "GET", "/info").json["revision"] >= 3
    assert http(server, "GET", f"/cache/{LONG}?ns=app").json["value"] == "v"
