"""Irregular files in the folder: links, pipes, devices and names that are not UTF-8."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.folders import get_value, read_json, set_value, until, write_files
from tests.e2e.processes import run_program
from tests.protocol.clients import http, open_objects
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess
from tests.support.strangers import make_socket, make_sparse

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such things")

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="of Linux's file systems")

STRANGE = {
    "pipe.json", "zero.json", "folder.json", "socket.json", "sparse.json", "link.json", "linked",
}  # fmt: skip


def make_strangers(folder: Path, outside: Path) -> None:
    write_files(outside, {"k.json": '"outside"', "app/k.json": '"outside"'})
    folder.mkdir(exist_ok=True)
    os.mkfifo(folder / "pipe.json")
    (folder / "zero.json").symlink_to("/dev/zero")
    (folder / "folder.json").mkdir()
    (folder / "link.json").symlink_to(outside / "k.json")
    (folder / "linked").symlink_to(outside / "app", target_is_directory=True)
    make_sparse(folder / "sparse.json")
    make_socket(folder / "socket.json")
    write_files(folder, {"after.json": "1"})


def damaged(server: ServerProcess) -> set[str]:
    check = http(server, "GET", "/health").json["checks"]["files"]
    return {Path(one["path"]).name for one in check.get("damaged", [])}


@pytest.mark.parametrize("when", ["before the start", "while it runs"])
def test_links_pipes_and_devices_in_the_folder_do_not_block_the_server(
    start_server: StartServer, folder: Path, tmp_path: Path, when: str
):
    if when == "before the start":
        make_strangers(folder, tmp_path / "outside")
    server = start_server()
    if when == "while it runs":
        make_strangers(folder, tmp_path / "outside")
    with open_objects(server) as client:
        until(lambda: get_value(client, "after") == 1, "hand edits are not seen")
        until(lambda: damaged(server) == STRANGE, f"{damaged(server)}")
        assert http(server, "GET", "/keys").json["keys"] == ["after"]
        assert get_value(client, "k", ns="linked") is None
        for key in ("pipe", "zero", "folder", "link"):
            set_value(client, key, "mine")
        set_value(client, "free", 1)
        client.heard()
        until(lambda: read_json(folder / "free.json") == 1, "files do not follow")
        assert http(server, "GET", "/health").json["status"] == "degraded"
    server.kill()
    server.start()
    with open_objects(server) as client:
        assert [get_value(client, key) for key in ("pipe", "zero", "link")] == ["mine"] * 3
    assert read_json(tmp_path / "outside" / "k.json") == "outside"
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 5
    assert (folder / "link.json").is_symlink()
    assert (folder / "pipe.json").is_fifo()


@linux_only
def test_file_names_that_are_not_utf_8_are_reported_as_damaged(
    start_server: StartServer, folder: Path
):
    raw = os.fsencode(folder)
    (folder / "app").mkdir(parents=True)
    os.mkdir(raw + b"/before\xff")  # noqa: PTH102 - not every path object can be this
    server = start_server()
    for name in (b"/k\xff.json", b"/app/k\xfe.json"):
        with open(raw + name, "w") as file:  # noqa: PTH123
            file.write("1")
    os.mkdir(raw + b"/while\xff")  # noqa: PTH102 - not every path object can be this
    write_files(folder, {"after.json": "1"})
    with open_objects(server) as client:
        until(lambda: get_value(client, "after") == 1, "the watcher has died")
    names = {"k\\xff.json", "k\\xfe.json", "before\\xff", "while\\xff"}
    until(lambda: damaged(server) == names, f"{damaged(server)}")
    server.restart()
    assert damaged(server) == names
    assert "Traceback" not in server.log


@linux_only
def test_an_overflow_of_the_inotify_queue_loses_no_hand_edit(
    start_server: StartServer, folder: Path
):
    queue = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    count = queue // 2  # each is three events
    server = start_server()
    server.process.send_signal(signal.SIGSTOP)
    for number in range(count):
        (folder / f"k{number}.json").write_text("1")
    server.process.send_signal(signal.SIGCONT)
    until(
        lambda: http(server, "GET", "/info").json["entries"] == count,
        "not all was seen",
        pause=0.1,
    )
    until(lambda: http(server, "GET", "/health").json["status"] == "healthy", "it is not over")
    assert http(server, "GET", "/health").json["checks"]["watch"]["state"] == "watching"
    assert "dunena_watch_misses_total 1.0" in http(server, "GET", "/metrics").body.decode()
    assert "too much changed at once" in server.log


@pytest.mark.parametrize("how", ["poll", "notify"])
def test_hand_edits_are_seen_with_polling_and_with_notification(
    start_server: StartServer, folder: Path, how: str
):
    server = start_server("--watch", how)
    state = {"poll": "polling", "notify": "watching"}[how]
    assert http(server, "GET", "/health").json["checks"]["watch"] == {
        "status": "healthy",
        "state": state,
    }
    with open_objects(server) as client:
        for value in (1, 2, None):
            if value is None:
                (folder / "app" / "k.json").unlink()
            else:
                write_files(folder, {"app/k.json": str(value)})
            until(lambda v=value: get_value(client, "k", ns="app") == v, "it is not seen")
    assert f'dunena_watch{{state="{state}"}} 1.0' in http(server, "GET", "/metrics").body.decode()


def test_a_rewritten_value_file_keeps_its_mode(start_server: StartServer, folder: Path):
    write_files(folder, {"k.json": "1"})
    (folder / "k.json").chmod(0o640)
    server = start_server()
    with open_objects(server) as client:
        set_value(client, "k", 2)
        client.heard()
        until(lambda: read_json(folder / "k.json") == 2, "the file did not follow")
    assert (folder / "k.json").stat().st_mode & 0o777 == 0o640


def test_a_byte_order_mark_in_a_value_file_is_accepted_and_not_written(
    start_server: StartServer, folder: Path, tmp_path: Path
):
    mark = b"\xef\xbb\xbf"
    write_files(folder, {"before.json": mark + b'{"a": 1}'})
    server = start_server()
    write_files(folder, {"hand.json": mark + b'"by hand"'})
    body = mark + b'{"key": "body", "value": "sent"}'
    assert http(server, "POST", "/set", body).status == 200
    archive = tmp_path / "entries.jsonl"
    archive.write_bytes(mark + b'{"key": "imported", "value": 1}\n')
    done = run_program("import", str(archive), "--url", server.url)
    assert done.returncode == 0, done.stderr
    with open_objects(server) as client:
        until(lambda: get_value(client, "hand") == "by hand", "it is not seen")
        values = [get_value(client, key) for key in ("before", "body", "imported")]
        assert values == [{"a": 1}, "sent", 1]
        set_value(client, "before", 2)
        client.heard()
        until(lambda: (folder / "before.json").read_bytes() == b"2", "the file did not follow")


def test_pipes_and_devices_among_pages_are_404(start_server: StartServer, tmp_path: Path):
    (tmp_path / "www").mkdir()
    os.mkfifo(tmp_path / "www" / "pipe.html")
    (tmp_path / "www" / "zero.html").symlink_to("/dev/zero")
    server = start_server("--www", str(tmp_path / "www"))
    for name in ("pipe", "zero"):
        assert http(server, "GET", f"/www/{name}.html").status == 404


@linux_only
def test_check_reports_irregular_files_and_moves_none(folder: Path, tmp_path: Path):
    make_strangers(folder, tmp_path / "outside")
    with open(os.fsencode(folder) + b"/k\xff.json", "w"):  # noqa: PTH123
        pass
    (folder / "large.json").write_text('"' + "x" * 2000 + '"')
    for more in ([], ["--repair"]):
        done = run_program("check", str(folder), "--json", "--max-value", "1000", *more)
        assert done.returncode == 1, done.stderr
        report = json.loads(done.stdout)
        assert report["keys"] == 1
        assert report["foreign"] == ["k\\xff.json"]
        assert {one["path"] for one in report["damaged"]} == STRANGE | {"k\\xff.json", "large.json"}
    done = run_program("check", str(folder))
    assert "k\\xff.json: not a key's file name" in done.stdout
    assert not (folder / ".dunena" / "quarantine").exists()
