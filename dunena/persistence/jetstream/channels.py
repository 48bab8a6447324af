"""The messages that nodes tell each other and that are stored nowhere; no I/O.

A node that leaves a server which hangs goes on at another one, and what it had told there may be
passed on when the server wakes up: after later messages. So each message has its node's number, and
one that comes after a later one of its channel is left out, as if it were lost.
"""

import re
from collections.abc import Callable
from typing import Final

from dunena.persistence.jetstream.naming import SubjectNames, decode_token
from dunena.persistence.jetstream.wire import Cancellable, Link, Message

TOLD: Final = "Dunena-Told"
"""The header with the number of a message and the node that tells it."""

PUBLISHERS_MAX: Final = 1000
"""Nodes of which the newest number is remembered, for each channel; a start makes another node."""

_TOLD_BY_A_NODE: Final = re.compile(r"([0-9]{1,18}) ([^ ]{1,64})", re.ASCII).fullmatch


class NodeChannels:
    """The channels of a node, whose id is ``node``.

    ``receive`` gets the channel and the data of each message of those that it listens to.
    """

    __slots__ = ("_count", "_link", "_names", "_newest", "_node", "_receive", "_subscriptions")

    def __init__(
        self, link: Link, names: SubjectNames, node: str, receive: Callable[[str, bytes], None]
    ) -> None:
        self._link = link
        self._names = names
        self._node = node
        self._receive = receive
        self._subscriptions: dict[str, Cancellable] = {}
        self._count = 0
        self._newest: dict[str, dict[str, int]] = {}  # channel -> node -> its newest number

    def tell(self, channel: str, data: bytes) -> None:
        """Send a message to all nodes that listen."""
        self._count += 1
        headers = {TOLD: f"{self._count} {self._node}"}
        self._link.publish(Message(self._names.subject_of_channel(channel), headers, data))

    def listen(self, channel: str, *, wanted: bool) -> None:
        """Begin or end to receive the messages of a channel."""
        if wanted and channel not in self._subscriptions:
            subject = self._names.subject_of_channel(channel)
            self._subscriptions[channel] = self._link.subscribe(subject, self._take)
        elif not wanted and channel in self._subscriptions:
            self._subscriptions.pop(channel).cancel()
            self._newest.pop(channel, None)

    def _take(self, message: Message) -> None:
        channel = decode_token(message.subject[len(self._names.channels) :])
        if channel is None or channel not in self._subscriptions:
            return
        if self._is_next(channel, message.headers.get(TOLD, "")):
            self._receive(channel, message.data)

    def _is_next(self, channel: str, told: str) -> bool:
        """Whether a message comes after all of its node that were received in its channel."""
        found = _TOLD_BY_A_NODE(told)
        if found is None:
            return True  # of another program
        number, node = found.groups()
        newest = self._newest.setdefault(channel, {})
        count = int(number)
        if count <= newest.get(node, 0):
            return False
        if node not in newest and len(newest) >= PUBLISHERS_MAX:
            del newest[next(iter(newest))]
        newest[node] = count
        return True
