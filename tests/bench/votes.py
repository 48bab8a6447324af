"""A vote counter as in the recipes: many votes a second come in, few updates a second go out.

    python -m tests.bench.votes [--votes N] [--rate N] [--voters N] [--screens N]

The server has one core, voters and screens the other one. Each vote is an `incr` with an
idempotency key; each screen is a watch with ``maxRate`` 5. Prints what was counted, what each
screen was told, and how much of its core the server took.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import NamedTuple

import orjson
from websockets.asyncio.client import ClientConnection, connect

from .http_followers import MeasuredServer, running_server
from .speedkit.machine import LOAD_CORE, started_on

RATE_MAX = 5
"""Updates a second that a screen wants."""


class Screen:
    """A watch that counts its updates and keeps the last value."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.updates = 0
        self.value = 0

    async def follow(self, votes: int) -> None:
        """Take updates until ``votes`` are shown."""
        message = {"action": "watch", "key": "votes", "path": "/red", "maxRate": RATE_MAX}
        await self.connection.send(orjson.dumps(message).decode())
        while self.value < votes:
            update = orjson.loads(await self.connection.recv())["update"]
            self.updates += 1
            for change in update["changes"]:
                self.value = change.get("value", 0)


class Outcome(NamedTuple):
    """What was seen: ``seconds`` from the first vote until the last one is acknowledged."""

    seconds: float
    cpu_seconds: float
    updates: list[int]


async def vote(connection: ClientConnection, due: dict[int, float]) -> None:
    """Send votes by number, each at its time of the loop's clock, and take their answers."""

    async def take_answers() -> None:
        for _ in due:
            answer = orjson.loads(await connection.recv())
            assert "result" in answer, answer

    answers = asyncio.create_task(take_answers())
    clock = asyncio.get_running_loop().time
    for number, at in due.items():
        if at > clock():
            await asyncio.sleep(at - clock())
        message = {"action": "incr", "key": "votes", "path": "/red", "id": number}
        message["idempotencyKey"] = f"vote-{number}"
        await connection.send(orjson.dumps(message).decode())
    await answers


async def count_votes(
    server: MeasuredServer, votes: int, rate: int, voters_count: int, screens_count: int
) -> Outcome:
    """Let voters vote and screens follow; return what they saw."""
    url = f"ws://127.0.0.1:{server.port}/ws?protocol=object-store"
    voters = [await connect(url, compression=None) for _ in range(voters_count)]
    screens = [Screen(await connect(url, compression=None)) for _ in range(screens_count)]
    followed = [asyncio.create_task(screen.follow(votes)) for screen in screens]
    before = server.cpu_seconds
    begun = asyncio.get_running_loop().time()
    await asyncio.gather(
        *[
            vote(
                voter,
                {number: begun + number / rate for number in range(first, votes, len(voters))},
            )
            for first, voter in enumerate(voters)
        ]
    )
    seconds = asyncio.get_running_loop().time() - begun
    await asyncio.gather(*followed)
    cpu_seconds = server.cpu_seconds - before
    for connection in [*voters, *(screen.connection for screen in screens)]:
        await connection.close()
    return Outcome(seconds, cpu_seconds, [screen.updates for screen in screens])


def main(arguments: Sequence[str]) -> None:
    """Count once, print what was seen."""
    options = argparse.ArgumentParser(prog="votes.py", description=__doc__)
    options.add_argument("--votes", type=int, default=20_000)
    options.add_argument("--rate", type=int, default=2000, help="votes a second")
    options.add_argument("--voters", type=int, default=50)
    options.add_argument("--screens", type=int, default=10)
    given = options.parse_args(arguments)
    with started_on(LOAD_CORE), running_server() as server:
        server.put_value("votes", b'{"red":0}')
        seen = asyncio.run(
            count_votes(server, given.votes, given.rate, given.voters, given.screens)
        )
    a_second = [updates / seen.seconds for updates in seen.updates]
    sys.stdout.write(
        f"{given.votes:,} votes in {seen.seconds:.1f} s,"
        f" {given.votes / seen.seconds:,.0f} a second,"
        " all counted once\n"
        f"each screen got {min(a_second):.1f} to {max(a_second):.1f} updates a second, the last one"
        " with all votes\n"
        f"the server took {seen.cpu_seconds / seen.seconds:.0%} of its core,"
        f" {seen.cpu_seconds / given.votes * 1e6:.0f} us a vote\n"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
