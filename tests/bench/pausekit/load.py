"""What a busy evening asks of a server with many keys; a process of its own.

    python -m tests.bench.pausekit.load PORT --keys N --rate N [--plain]

One connection sets keys in turn, at an even rate; every tenth has a time to live, whose end is a
change too. Another one watches a part of the keys. A dashboard asks for figures and lists, each
once a second. ``--plain`` only sets: for servers that have nothing else. It goes on until SIGTERM.
"""

import argparse
import json
import sys
import threading
import time
from collections.abc import Sequence
from http.client import HTTPConnection
from itertools import count

from websockets.sync.client import connect

from tests.bench.speedkit.past import key_of

STEP = 7919
"""From one key to the next one that is set: a prime, so that all have their turn."""

TTL_MS = 3000
TTL_EVERY = 10
ANSWER_SECONDS_MAX = 30

WATCHED = "key:000001*"

PATHS = (
    "/stats",
    "/metrics",
    "/health",
    "/info",
    "/server",
    "/namespaces",
    "/keys?pattern=key:00009*",
    "/kv?pattern=key:000012*",
    "/history/key:00000001",
)


def set_keys(port: int, keys: int, rate: int) -> None:
    """Set keys, ``rate`` a second, without end."""
    with connect(f"ws://127.0.0.1:{port}/ws", compression=None) as client:
        begun = time.monotonic()
        for number in count():
            wait = begun + number / rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            message: dict[str, object] = {"action": "set", "key": key_of(number * STEP % keys)}
            message["value"] = {"number": number, "text": "x" * 100}
            if number % TTL_EVERY == 0:
                message |= {"key": f"short:{number % 1000}", "ttl": TTL_MS}
            client.send(json.dumps(message))


def watch(port: int) -> None:
    """Watch a part of the keys, and read what comes."""
    with connect(f"ws://127.0.0.1:{port}/ws", compression=None) as client:
        client.send(json.dumps({"action": "watch", "pattern": WATCHED}))
        for _ in client:
            pass


def look(port: int) -> None:
    """Ask for each path once a second, in turn."""
    client = HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS_MAX)
    for number in count():
        path = PATHS[number % len(PATHS)]
        client.request("GET", path)
        answer = client.getresponse()
        answer.read()
        if answer.status >= 400:
            sys.stderr.write(f"{path} answers {answer.status}\n")
        time.sleep(1 / len(PATHS))


def main(arguments: Sequence[str]) -> None:
    """Do all of it at once."""
    options = argparse.ArgumentParser(prog="load", description=__doc__)
    options.add_argument("port", type=int)
    options.add_argument("--keys", type=int, default=100_000)
    options.add_argument("--rate", type=int, default=500)
    options.add_argument("--plain", action="store_true")
    given = options.parse_args(arguments)
    if not given.plain:
        threading.Thread(target=watch, args=[given.port], daemon=True).start()
        threading.Thread(target=look, args=[given.port], daemon=True).start()
    set_keys(given.port, given.keys, given.rate)


if __name__ == "__main__":
    main(sys.argv[1:])
