"""The machine's clock is set while a server runs: deadlines hold, also over a restart."""

import json
import sys
import time
from pathlib import Path

import pytest

from tests.crash.hands import Clock
from tests.e2e.processes import run_program, wait_until
from tests.protocol.clients import Client, http, now_ms, open_dunena
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no clock can be set there")

DAYS = 3 * 86_400
HOUR_MS = 3_600_000


@pytest.fixture
def clock(tmp_path: Path, compiler: Path) -> Clock:
    return Clock(tmp_path)


def put(server: ServerProcess, key: str, ttl: int) -> None:
    assert http(server, "POST", "/set", {"key": key, "value": key, "ttl": ttl}).status == 200


def value(server: ServerProcess, key: str) -> object:
    return http(server, "GET", f"/get/{key}").json["value"]


def remaining_ms(server: ServerProcess, key: str) -> int:
    entry = http(server, "GET", f"/entries/{key}").json
    return entry["entry"]["expiresAt"] - entry["timestamp"]


def await_expiry(client: Client) -> None:
    """Read until a key has expired; the client's own time limit ends a wait in vain."""
    while client.receive().get("event") != "expired":
        pass


def set_clock(clock: Clock, server: ServerProcess, seconds: int) -> None:
    """Be so many seconds from the right time, and wait until the server knows."""
    count = server.log.count("the clock was set")
    clock.jump(seconds)
    wait_until(lambda: server.log.count("the clock was set") > count)


@pytest.mark.parametrize("seconds", [DAYS, -DAYS])
def test_setting_the_clock_does_not_change_when_keys_expire(
    start_server: StartServer, clock: Clock, seconds: int
) -> None:
    server = start_server(environment=clock.environment)
    with open_dunena(server) as client:
        client.ask({"type": "subscribe", "channel": "cache"})
        put(server, "long", HOUR_MS)
        put(server, "short", 1500)
        began = time.monotonic()
        set_clock(clock, server, seconds)
        assert value(server, "long") == "long"
        await_expiry(client)
        assert time.monotonic() - began < 30
        assert value(server, "short") is None
        put(server, "later", 200)
        await_expiry(client)
    assert HOUR_MS - 60_000 < remaining_ms(server, "long") <= HOUR_MS
    uptime = http(server, "GET", "/info").json["uptime"]
    assert 0 <= uptime < 600


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("seconds", [DAYS, -DAYS])
def test_deadlines_written_after_setting_the_clock_hold_over_a_restart(
    start_server: StartServer, clock: Clock, seconds: int, *, is_killed: bool
) -> None:
    server = start_server(environment=clock.environment)
    put(server, "before", HOUR_MS)
    put(server, "forever", 0)
    set_clock(clock, server, seconds)
    put(server, "after", HOUR_MS)
    assert HOUR_MS - 60_000 < remaining_ms(server, "after") <= HOUR_MS
    if is_killed:
        server.kill()
        server.start()
    else:
        server.restart()
    assert HOUR_MS - 60_000 < remaining_ms(server, "after") <= HOUR_MS
    assert value(server, "forever") == "forever"
    if seconds > 0:
        assert value(server, "before") is None, "by the machine's clock its time is over"
    else:
        assert remaining_ms(server, "before") > HOUR_MS


@pytest.mark.parametrize("seconds", [DAYS, -DAYS])
def test_an_export_has_deadlines_in_the_current_wall_clock_time(
    start_server: StartServer, clock: Clock, tmp_path: Path, seconds: int
) -> None:
    server = start_server(environment=clock.environment)
    put(server, "before", HOUR_MS)
    put(server, "forever", 0)
    set_clock(clock, server, seconds)
    put(server, "after", HOUR_MS)
    began = now_ms()
    done = run_program("export", str(tmp_path / "values.jsonl"), "--url", server.url)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "values.jsonl").read_text("utf-8").splitlines()
    deadlines = {entry["key"]: entry.get("expiresAt") for entry in map(json.loads, lines)}
    assert deadlines.pop("forever") is None
    assert deadlines.keys() == {"before", "after"}
    for deadline in deadlines.values():
        assert abs(deadline - (began + seconds * 1000 + HOUR_MS)) < 60_000
