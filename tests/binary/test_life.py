"""The life of the executable's process: stops, kills, and what becomes of the unpacked files."""

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.binary.conftest import linux_only, posix_only
from tests.binary.program import SECONDS_MAX, BareServer, Program, free_port, is_open, wait_until

pytestmark = posix_only

SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"]


def set_value(server: BareServer, value: str) -> None:
    request = urllib.request.Request(
        f"{server.url}/set", data=f'{{"key": "kept", "value": "{value}"}}'.encode()
    )
    with urllib.request.urlopen(request, timeout=SECONDS_MAX) as answer:
        assert answer.status == 200


def get_value(server: BareServer) -> str:
    with urllib.request.urlopen(f"{server.url}/get/kept", timeout=SECONDS_MAX) as answer:
        return str(answer.read())


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("to_group", [False, True], ids=["process", "group"])
def test_a_signal_stops_the_executable_cleanly(program: Program, name: str, to_group: bool):
    server = program.server().start()
    set_value(server, "written")
    number = getattr(signal, name)
    # A terminal tells all processes of the group, a service manager the one it started.
    (os.killpg if to_group else os.kill)(server.process.pid, number)
    assert server.wait() == 0, server.log
    assert server.log == ""
    program.assert_nothing_left()
    with server:
        assert "written" in get_value(server)


def test_a_second_ctrl_c_does_not_disturb_the_stop(program: Program):
    server = program.server().start()
    set_value(server, "written")
    os.killpg(server.process.pid, signal.SIGINT)
    time.sleep(0.005)
    os.killpg(server.process.pid, signal.SIGINT)
    assert server.wait() == 0, server.log
    assert "Traceback" not in server.log
    program.assert_nothing_left()


@linux_only
def test_ctrl_c_during_a_start_prints_no_traceback(program: Program):
    server = program.server()
    process = server.launch()
    # Before it loads that, Python is not ready yet, and what a signal does is not ours to decide.
    wait_until(lambda: _has_loaded(server, "_asyncio"), "Python importing")
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=SECONDS_MAX)
    assert "Traceback" not in errors
    # What a shell reports for Ctrl+C, or a clean stop where the server was quicker.
    assert process.returncode in (130, 0)
    program.assert_nothing_left()


@linux_only
def test_the_executable_is_one_process(program: Program):
    with program.server() as server:
        process = server.process.pid
        children = Path(f"/proc/{process}/task/{process}/children").read_text("ascii")
        assert children == ""
        assert str(program.version()) in Path(f"/proc/{process}/maps").read_text("utf-8")


def test_a_killed_executable_leaves_nothing_but_what_the_next_start_uses(program: Program):
    server = program.server().start()
    set_value(server, "written")
    version = program.version()
    os.kill(server.process.pid, signal.SIGKILL)
    assert server.wait() == -signal.SIGKILL
    wait_until(lambda: not is_open(server.port), "the port free")
    program.assert_nothing_left()
    with server:
        assert "written" in get_value(server)
        assert program.version() == version


READ = {
    200,
    204,
    400,  # a parameter is missing
    404,  # the files of the templates are gone too
    426,  # a WebSocket is to be opened there
}


def status_of(url: str, body: bytes | None = None) -> int:
    """The status of the answer; a fault of the server has another one than those of `READ`."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS_MAX) as answer:
            answer.read(1)
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_server_continues_when_its_unpacked_folder_is_removed(program: Program):
    """A cleaner of caches or temporary folders may remove it."""
    with program.server() as server:
        folder = program.version()
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        set_value(server, "kept")
        with urllib.request.urlopen(server.url + "/openapi.json", timeout=SECONDS_MAX) as answer:
            described = json.load(answer)["paths"]
        places = [
            place.replace("{key}", "k")
            for place, requests in described.items()
            if "get" in requests and "{" not in place.replace("{key}", "")
        ]
        assert len(places) > 15
        more = ("/test", "/templates", "/kv/k?format=csv", "/kv?pattern=*&format=csv", "/pages")
        for place in (*places, *more):
            assert status_of(server.url + place) in READ, place
        assert status_of(server.url + "/templates", b'{"template":"poll"}') == 404, "it says so"
        assert "kept" in get_value(server)


def test_the_executable_runs_when_nobody_reads_its_output(program: Program):
    server = program.server()
    server.port = free_port()
    process = server.launch()
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.close()
    wait_until(lambda: is_open(server.port), "the port open")
    request = urllib.request.Request(server.url + "/info", headers={"Origin": "http://elsewhere"})
    # Refused, which is worth a line in the log.
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request, timeout=SECONDS_MAX)
    set_value(server, "written")
    process.terminate()
    assert process.wait(SECONDS_MAX) == 0
    program.assert_nothing_left()


def test_the_executable_runs_with_closed_output_and_errors(program: Program):
    port = free_port()
    words = ["serve", "--port", str(port), "--cache-dir", str(program.base / "values")]
    process = subprocess.Popen(
        ["/bin/sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', program.path, *words],
        env=program.environment(),
        cwd=program.current,
    )
    wait_until(lambda: is_open(port), "the port open")
    process.terminate()
    assert process.wait(SECONDS_MAX) == 0
    program.assert_nothing_left()


def _has_loaded(server: BareServer, library: str) -> bool:
    try:
        return library in Path(f"/proc/{server.process.pid}/maps").read_text(encoding="utf-8")
    except OSError:
        return False
