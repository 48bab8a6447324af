"""A server under mixed load for a while: no growth, no lost value, no slowdown.

``DUNENA_SOAK_SECONDS`` says how long, without which nothing runs: 60 in CI, 1800 on request.
``DUNENA_SOAK_REPORT`` names a file for the measurements, one JSON object a second.
"""

import json
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.protocol.clients import RawConnection, http, open_objects, text
from tests.soak.verdict import assert_steady
from tests.support.forked import PROGRAM
from tests.support.server import ServerProcess

SECONDS = int(os.environ.get("DUNENA_SOAK_SECONDS", "0"))
REPORT = os.environ.get("DUNENA_SOAK_REPORT")
FOLLOWERS, STALLED, KEYS = 20, 5, 200

pytestmark = [
    pytest.mark.skipif(not SECONDS, reason="takes a while: DUNENA_SOAK_SECONDS=60 runs it"),
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
]


def measured(server: ServerProcess) -> dict[str, int]:
    """Resident bytes and open descriptors of the server."""
    folder = Path("/proc", str(server.process.pid))
    pages = int((folder / "statm").read_text().split()[1])
    return {
        "bytes": pages * os.sysconf("SC_PAGE_SIZE"),
        "fds": len(list((folder / "fd").iterdir())),
    }


class Round:
    """A second of load: connect, subscribe, write, stall, vanish; then everyone must be even."""

    def __init__(self, server: ServerProcess, number: int) -> None:
        self.server = server
        self.number = number
        self.latencies: list[float] = []

    def run(self) -> None:
        last: dict[str, Any] = {}
        with ExitStack() as stack:
            followers = [stack.enter_context(open_objects(self.server)) for _ in range(FOLLOWERS)]
            for index, follower in enumerate(followers):
                follower.send({"action": "subscribe", "key": f"soak-{index}"})
                follower.heard()
            for _ in range(STALLED):  # never read what they follow, and vanish
                stalled = stack.enter_context(RawConnection(self.server)).open("/")
                for key in range(KEYS):
                    stalled.send(text({"action": "subscribe", "key": f"soak-{key}"}))
            writer = stack.enter_context(open_objects(self.server))
            end = time.monotonic() + 0.6
            count = 0
            while time.monotonic() < end:
                key = f"soak-{count % KEYS}"
                last[key] = {"round": self.number, "count": count, "text": "x" * 200}
                began = time.perf_counter()
                writer.send({"action": "set", "key": key, "value": last[key]})
                if count % 10 == 0:
                    writer.ask({"action": "get", "key": key})
                    self.latencies.append(time.perf_counter() - began)
                count += 1
            writer.heard()
            for index, follower in enumerate(followers):
                values = follower.updates(f"soak-{index}")
                assert values[-1] == last[f"soak-{index}"], "an update was lost"
                counts = [value["count"] for value in values if value["round"] == self.number]
                assert counts == sorted(counts), "an older value came behind a newer one"


@pytest.mark.timeout(SECONDS * 2 + 120)
def test_a_server_under_load_stays_steady(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    with ServerProcess(tmp_path / "values", command=PROGRAM) as server:
        end, number = time.monotonic() + SECONDS, 0
        is_fresh = True
        while time.monotonic() < end:
            number += 1
            current = Round(server, number)
            current.run()
            p99 = sorted(current.latencies)[int(len(current.latencies) * 0.99)]
            rows.append({"round": number, "fresh": is_fresh, "p99": p99, **measured(server)})
            is_fresh = False
            if number % 600 == 0:
                value = http(server, "GET", "/get/soak-0").json["value"]
                server.restart()
                assert http(server, "GET", "/get/soak-0").json["value"] == value
                is_fresh = True
        value = http(server, "GET", "/get/soak-0").json["value"]
        server.restart()
        assert http(server, "GET", "/get/soak-0").json["value"] == value
    if REPORT:
        Path(REPORT).write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert_steady(rows)
