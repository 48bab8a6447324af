"""Ports for servers that are stopped and started again."""

import random
import socket
from contextlib import ExitStack, suppress

_FIRST, _END = 10_000, 32_000
"""Below the ports that systems give to whoever asks for any (from 32768 on at Linux, from 49152 on
elsewhere): a connection of another test could have one of those when its server wants it back."""


def find_row(count: int) -> int:
    """Return the first of so many ports in a row that are free at the loopback address now."""
    chance = random.SystemRandom()
    while True:
        first = chance.randrange(_FIRST, _END - count)
        with ExitStack() as stack, suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
