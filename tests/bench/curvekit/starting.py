"""How long a start takes on keys that are there: until the server answers with the last of them."""

import http.client
import json
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.speedkit import machine, processes, programs
from tests.bench.speedkit.contenders import Contender
from tests.bench.speedkit.phrases import VALUE
from tests.bench.speedkit.workloads import DUNENA, Result

ANSWER_SECONDS_MAX = 120
POLL_SECONDS = 0.001


@contextmanager
def folder_of(keys: int) -> Iterator[Path]:
    """A folder for servers in which so many keys are in files, as somebody would write them."""
    # Beside the source: the system's folder for temporary files may be in memory.
    with tempfile.TemporaryDirectory(dir=programs.ROOT, prefix=".bench-") as name:
        values = Path(name) / "values"
        values.mkdir()
        for number in range(keys):
            (values / f"{_key(number)}.json").write_text(json.dumps(VALUE))
        yield Path(name)


def can_start(contender: Contender) -> bool:
    """Whether it is a dunena: others have no such files."""
    return DUNENA in contender.ways


def measure(contender: Contender, folder: Path, keys: int) -> Result:
    """One start of a dunena. Raises `RuntimeError` if it does not answer."""
    port = processes.free_port()
    launch = contender.launch(contender.find(), port, folder, True)
    before = machine.moment()
    began = time.perf_counter()
    with processes.started(launch.command, launch.environment, folder) as process:
        while not _answers(port, _key(keys - 1)):
            if process.poll() is not None or time.perf_counter() - began > ANSWER_SECONDS_MAX:
                raise RuntimeError("it does not start")
            time.sleep(POLL_SECONDS)
        seconds = time.perf_counter() - began
        status = Path(f"/proc/{processes.serving(port, process.pid)}/status").read_text()
    return {
        "start_ms": seconds * 1000,
        "server_rss_kb": status_kb(status, "VmRSS"),
        "server_peak_kb": status_kb(status, "VmHWM"),
        **machine.moment().besides_since(before),
        machine.LOAD_AVERAGE: machine.load_average(),
    }


def status_kb(status: str, name: str) -> float:
    """A field of /proc/PID/status. Raises `RuntimeError` if there is none, as of a process that
    has ended.
    """
    found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    if found is None:
        raise RuntimeError("it ended")
    return float(found.group(1))


def _key(number: int) -> str:
    return f"key-{number:06}"


def _answers(port: int, key: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS_MAX)
    try:
        connection.request("GET", f"/get/{key}")
        answer = connection.getresponse()
        return answer.status == http.client.OK and VALUE.encode() in answer.read()
    except OSError:
        return False
    finally:
        connection.close()
