"""When changes are synced to the device: by fsync policy and by request."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.folders import set_value, until
from tests.protocol.clients import http, open_dunena, open_objects
from tests.support.fixtures import StartServer
from tests.support.forked import PREPARATION
from tests.support.server import ServerProcess

_OWN_SYNC = """
import errno, os

log, failing = os.environ["FORCED_LOG"], os.environ["FAILING"]
sync = os.fsync

def fsync(descriptor):
    if os.path.exists(failing):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    sync(descriptor)
    with open(log, "a") as file:
        file.write(os.readlink(f"/proc/self/fd/{descriptor}") + chr(10))

os.fsync = fsync
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc what was forced")


class Device:
    """Knows what was forced to it; refuses while told to."""

    def __init__(self, folder: Path) -> None:
        self._log, self._failing = folder / "forced", folder / "failing"
        self._log.touch()
        self.environment = {
            PREPARATION: _OWN_SYNC,
            "FORCED_LOG": str(self._log),
            "FAILING": str(self._failing),
        }

    @property
    def forced(self) -> list[str]:
        """Every path, as often as it was forced."""
        return self._log.read_text("utf-8").splitlines()

    @property
    def syncs(self) -> int:
        """How often the journal was forced."""
        return sum(path.endswith(".log") for path in self.forced)

    def fail(self) -> None:
        self._failing.touch()

    def recover(self) -> None:
        self._failing.unlink()


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


def test_fsync_always_syncs_every_change_before_its_reply(
    start_server: StartServer, device: Device
):
    server = start_server("--fsync", "always", environment=device.environment)
    with open_dunena(server) as client, open_objects(server) as listener:
        listener.follow("k")
        for number in range(20):
            before = device.syncs
            client.ask({"type": "set", "key": "k", "value": str(number)})
            assert device.syncs > before
            assert listener.receive()["value"] == str(number)


def test_fsync_always_shares_a_sync_among_many_changes(start_server: StartServer, device: Device):
    server = start_server("--fsync", "always", environment=device.environment)
    with open_dunena(server) as client:
        client.send({"type": "unsubscribe", "channel": "cache-events"})
        client.heard()
        before = device.syncs
        for number in range(1000):
            client.send({"type": "set", "key": f"k{number % 50}", "value": str(number)})
        assert client.ask({"type": "ping"})["data"]["ok"], "replies come in their order"
        client.heard()
        assert 1 <= device.syncs - before < 500


def test_fsync_everysec_syncs_within_about_a_second(start_server: StartServer, device: Device):
    server = start_server("--fsync", "everysec", environment=device.environment)
    with open_dunena(server) as client:
        client.ask({"type": "set", "key": "k", "value": "v"})
        # The journal, or the file that has made it superfluous by then.
        wanted = ("k.json", ".log")
        until(lambda: any(path.endswith(wanted) for path in device.forced), "it was never forced")


def over_dunena(message: dict[str, Any]) -> Callable[[ServerProcess], Any]:
    def ask(server: ServerProcess) -> Any:
        with open_dunena(server) as client:
            return client.ask(message)

    return ask


def over_objects(server: ServerProcess) -> Any:
    with open_objects(server) as client:
        client.send({"action": "subscribe", "key": "k"})
        client.heard()
        set_value(client, "k", 1, durable=True)
        return client.receive()


def over_http(path: str, body: dict[str, Any]) -> Callable[[ServerProcess], Any]:
    return lambda server: http(server, "POST", path, body).json


ENTRIES = [{"key": "k", "value": "1"}]
DURABLE = {
    "set": over_dunena({"type": "set", "key": "k", "value": "1", "durable": True}),
    "mset": over_dunena({"type": "mset", "entries": ENTRIES, "durable": True}),
    "del": over_dunena({"type": "del", "key": "there", "durable": True}),
    "object store": over_objects,
    "POST /set": over_http("/set", {"key": "k", "value": 1, "durable": True}),
    "POST /cache/k": over_http("/cache/k", {"value": "1", "durable": True}),
    "POST /cache": over_http("/cache", {"action": "mset", "entries": ENTRIES, "durable": True}),
    "DELETE": lambda server: http(server, "DELETE", "/cache/there?durable=true").json,
}


@pytest.mark.parametrize("ask", DURABLE.values(), ids=DURABLE)
def test_a_durable_request_is_synced_with_fsync_no(
    start_server: StartServer, device: Device, ask: Callable[[ServerProcess], Any]
):
    server = start_server("--fsync", "no", environment=device.environment)
    http(server, "POST", "/set", {"key": "there", "value": 1})
    assert device.syncs == 0
    assert "error" not in str(ask(server))
    assert device.syncs > 0

    revision = http(server, "GET", "/info").json["revision"]
    http(server, "POST", "/set", {"key": "there", "value": 1})
    device.fail()
    assert "Storage error: input/output error; nothing was stored" in str(ask(server))
    assert http(server, "GET", "/health/ready").status == 503
    assert http(server, "GET", "/get/there").json["value"] == 1
    device.recover()
    until(lambda: http(server, "GET", "/health/ready").status == 200, "it did not recover")
    assert "error" not in str(ask(server))
    server.kill()
    server.start()
    assert http(server, "GET", "/info").json["revision"] > revision


def test_a_change_whose_sync_failed_is_refused_and_rolled_back(
    start_server: StartServer, device: Device
):
    server = start_server("--fsync", "always", environment=device.environment)
    with open_dunena(server) as client, open_objects(server) as listener:
        listener.follow("k")
        client.ask({"type": "set", "key": "k", "value": "before"})
        assert listener.receive()["value"] == "before"
        device.fail()
        for number in range(20):
            reply = client.ask({"type": "set", "key": "k", "value": str(number)})
            assert reply["data"] == "Storage error: input/output error; nothing was stored"
        assert client.ask({"type": "get", "key": "k"})["data"]["value"] == "before"
        assert listener.heard() == []
    server.kill()
    device.recover()
    server.start()
    assert http(server, "GET", "/get/k").json["value"] == "before"
