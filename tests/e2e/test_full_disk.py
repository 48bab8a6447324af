"""A really full disk: writes are refused until there is space, and reads go on."""

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.folders import get_value, journal, read_json, set_value, until, value_files
from tests.e2e.processes import assert_failed, run_copy
from tests.protocol.clients import http, now_ms, open_dunena, open_objects
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

resource = pytest.importorskip("resource", reason="no limits of files there")

DISK_BYTES = 1024 * 1024
BIG = "x" * 8192
REFUSED = "Storage error: no space left on device; nothing was stored"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for little."""
    folder, mount, unmount = tmp_path / "disk", shutil.which("mount"), shutil.which("umount")
    folder.mkdir()
    if mount is None or unmount is None or not sys.platform.startswith("linux") or os.geteuid():
        pytest.skip("a disk can only be made by root on Linux")
    options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        pytest.skip("no disk may be made here")
    yield folder
    subprocess.run([unmount, "-l", str(folder)], check=True)


def fill(disk: Path) -> None:
    """Use up all the room there is."""
    with (disk / "filler").open("ab", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return


def is_ready(server: ServerProcess) -> bool:
    return http(server, "GET", "/health/ready").status == 200


def test_a_full_disk_refuses_writes_until_there_is_space(
    small_disk: Path, start_server: StartServer
):
    folder = small_disk / "values"
    server = start_server(folder=folder)
    with ExitStack() as stack:
        dunena = stack.enter_context(open_dunena(server))
        objects = stack.enter_context(open_objects(server))
        listener = stack.enter_context(open_objects(server))
        dunena.ask({"type": "set", "key": "k", "value": "before"})
        dunena.ask({"type": "set", "key": "short", "value": "lived", "ttl": 1500})
        for key in ("k", "new"):
            listener.send({"action": "subscribe", "key": key})
        assert listener.heard() == [{"key": "k", "value": "before"}]
        until((folder / "short.json").exists, "the files did not follow")
        fill(small_disk)

        error = dunena.ask({"type": "set", "key": "k", "value": BIG, "id": 7})
        assert (error["type"], error["data"], error["id"]) == ("error", REFUSED, 7)
        entries = [{"key": "k", "value": "small"}, {"key": "new", "value": BIG}]
        assert dunena.ask({"type": "mset", "entries": entries})["data"] == REFUSED
        set_value(objects, "k", [BIG])
        assert objects.receive() == {"error": REFUSED}
        for path, body in (
            ("/set", {"key": "new", "value": BIG}),
            ("/cache/new", {"value": BIG}),
            ("/cache", {"action": "mset", "entries": entries}),
        ):
            reply = http(server, "POST", path, body)
            assert (reply.status, reply.json) == (507, {"error": REFUSED})

        assert http(server, "GET", "/health").status == 503
        storage = http(server, "GET", "/health").json["checks"]["storage"]
        assert storage == {"status": "unhealthy", "reason": "no space left on device"}
        assert http(server, "GET", "/health/ready").status == 503
        assert http(server, "GET", "/health/live").status == 200
        metrics = http(server, "GET", "/metrics").body.decode()
        assert "dunena_storage_failing 1.0" in metrics
        assert "dunena_storage_failures_total 0.0" not in metrics

        for _ in range(300):
            set_value(objects, "new", BIG)
        assert objects.heard() == [{"error": REFUSED}] * 300
        assert get_value(objects, "k") == "before"
        assert dunena.ask({"type": "get", "key": "new"})["data"]["value"] is None
        assert objects.ask({"action": "subscribe", "key": "k"})["value"] == "before"
        assert http(server, "GET", "/keys").json["keys"] in (["k", "short"], ["k"])
        assert listener.heard() == [], "a subscriber never hears of what was refused"
        until(lambda: get_value(objects, "short") is None, "its time does not come")
        assert len(server.errors) < 12, server.log

        (small_disk / "filler").unlink()
        until(lambda: is_ready(server), "it did not recover")
        dunena.event("short", "expired")
        set_value(objects, "new", BIG)
        assert listener.receive() == {"key": "new", "value": BIG}
        assert listener.heard() == []
    assert http(server, "GET", "/health").json["status"] == "healthy"
    server.restart()
    assert http(server, "GET", "/get/k").json["value"] == "before"
    assert http(server, "GET", "/get/new").json["value"] == BIG
    server.stop()
    assert {path.name for path in value_files(folder)} == {"k.json", "new.json"}


@pytest.mark.parametrize("is_used", [False, True])
def test_a_start_on_a_full_disk_says_that_changes_are_refused(
    small_disk: Path, start_server: StartServer, is_used: bool
):
    folder = small_disk / "values"
    folder.mkdir()
    server = start_server(folder=folder)
    if is_used:
        http(server, "POST", "/set", {"key": "k", "value": 1})
    server.stop()
    fill(small_disk)
    server.start()
    greeting = "".join(server.output)
    assert "Note        every change is refused for now: no space left on device" in greeting
    assert "New key" not in greeting
    assert not is_ready(server)
    assert http(server, "POST", "/set", {"key": "k", "value": 2}).status == 507
    assert server.stop() == 1
    assert "not everything could be stored" not in server.log
    assert "everything is stored, but the journal could not be emptied: no space" in server.log
    (small_disk / "filler").unlink()
    server.start()
    assert http(server, "GET", "/get/k").json["value"] == (1 if is_used else None)


def test_a_server_that_starts_on_a_full_disk_recovers(small_disk: Path, start_server: StartServer):
    server = start_server(folder=small_disk / "values")
    server.stop()
    fill(small_disk)
    server.start()
    assert not is_ready(server)
    (small_disk / "filler").unlink()
    until(lambda: is_ready(server), "it did not recover")
    assert http(server, "POST", "/set", {"key": "k", "value": 1}).status == 200
    assert server.stop() == 0


def test_doctor_says_to_make_room_on_a_full_disk(small_disk: Path):
    fill(small_disk)
    done = run_copy("doctor", "--port", "0", "--cache-dir", str(small_disk / "values"))
    assert done.returncode == 1
    (found,) = [one for one in json.loads(done.stdout)["findings"] if one["about"] == "folder"]
    assert found["level"] == "bad"
    assert found["advice"] == "make room, or give a folder on another disk with --cache-dir"


def test_a_kill_with_a_full_disk_loses_no_acknowledged_write(
    small_disk: Path, start_server: StartServer
):
    folder = small_disk / "values"
    server = start_server(folder=folder)
    kept = {}
    with open_dunena(server) as client:
        fill(small_disk)
        (small_disk / "filler").write_bytes(bytes(DISK_BYTES - 256 * 1024))
        for number in range(200):
            # About a block each, so that what the journal took also fits as files.
            value = f"{number:03}" * 1_300
            reply = client.ask({"type": "set", "key": f"k{number}", "value": value})
            if reply["type"] == "result":
                kept[f"k{number}"] = value
    assert 0 < len(kept) < 200
    server.kill()
    (small_disk / "filler").unlink()
    server.start()
    keys = http(server, "GET", "/keys?count=1000").json["keys"]
    values = {key: http(server, "GET", f"/get/{key}").json["value"] for key in keys}
    assert values == kept
    server.stop()
    assert journal(folder) == [], server.log


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="no limit to lift from outside")
def test_a_file_size_limit_refuses_writes_until_it_is_lifted(
    start_server: StartServer, folder: Path
):
    server = start_server()
    pid, limits = server.process.pid, resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_dunena(server) as client:
        client.ask({"type": "set", "key": "k", "value": "before"})
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (2048, limits[1]))
        refused_at = now_ms()
        reply = client.ask({"type": "set", "key": "k", "value": BIG})
        assert reply["data"] == "Storage error: file too large; nothing was stored"
        assert reply["timestamp"] >= refused_at
        assert client.ask({"type": "get", "key": "k"})["data"]["value"] == "before"
        assert not is_ready(server)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
        until(lambda: is_ready(server), "it did not recover")
        assert client.ask({"type": "set", "key": "k", "value": BIG})["data"]["ok"] is True
    server.kill()
    server.start()
    assert http(server, "GET", "/get/k").json["value"] == BIG
    until(lambda: read_json(folder / "k.json") == BIG, "the file did not follow")


def test_text_files_on_a_full_disk_are_reported_and_written_when_there_is_space(
    small_disk: Path, start_server: StartServer, tmp_path: Path
):
    texts = small_disk / "texts"
    server = start_server(
        "--text-dir", str(texts), "--text-keys", "big", folder=tmp_path / "values-elsewhere"
    )
    until(lambda: (texts / "big.txt").exists(), "no file for the named key")
    fill(small_disk)
    assert http(server, "POST", "/set", {"key": "big", "value": BIG}).status == 200
    until(lambda: text_files_of(server)["status"] == "degraded", "a full disk is not reported")
    assert text_files_of(server)["reason"] == f"big.txt: {os.strerror(errno.ENOSPC)}"
    assert (texts / "big.txt").read_text() == "", "never half of it"
    assert is_ready(server), "values are stored elsewhere"
    (small_disk / "filler").unlink()
    until(lambda: (texts / "big.txt").read_text() == BIG, "not written when there is space")
    until(lambda: text_files_of(server)["status"] == "healthy", "still reported")
    assert server.stop() == 0
    assert server.log.count("are not as they should be: big.txt") == 1


def test_a_backup_never_has_a_value_that_is_refused(
    small_disk: Path, start_server: StartServer
) -> None:
    """A write and the request for a backup arrive together, so they are of one tick."""
    server = start_server(folder=small_disk / "values")
    with open_dunena(server) as client:
        set_value(client, "k", "before")
    fill(small_disk)
    body = json.dumps("x" * 100_000)
    requests = (
        f"PUT /kv/k HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
        "GET /backup HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
        connection.sendall(requests.encode())
        answers = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answers.startswith(b"HTTP/1.1 507 ")
    assert b'"before"' in answers
    assert answers.count(b"values/k.json") == 2, "at the value, and in the list"
    assert b"x" * 100 not in answers


def test_a_backup_for_which_there_is_no_space_leaves_nothing_and_says_why(
    server: ServerProcess, small_disk: Path
) -> None:
    fill(small_disk)
    done = run_copy("backup", str(small_disk / "b.zip"), environment={"DUNENA_URL": server.url})
    assert_failed(done, says=("b.zip cannot be written: No space left on device",))
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


def text_files_of(server: ServerProcess) -> dict[str, str]:
    return http(server, "GET", "/health").json["checks"]["textFiles"]
