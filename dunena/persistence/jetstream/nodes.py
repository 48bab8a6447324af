"""Which nodes are alive, as their markers tell; no I/O."""

import json
from typing import Final, NamedTuple

from dunena.persistence.jetstream import headers as header
from dunena.persistence.jetstream.headers import milliseconds_of
from dunena.persistence.jetstream.wire import Message
from dunena.persistence.log import LEASE_MS

FORGOTTEN_MS: Final = 3_600_000
"""How long a node's last sign is remembered; the stream keeps a marker for as long."""


class FloorClaim(NamedTuple):
    """What a node knows of removals: see `floor`. ``at`` is the log's time, Unix ms."""

    place: int
    at: int


def marker_data(number: int | None, since: int, floor: FloorClaim | None = None) -> bytes:
    """Return the data of a marker.

    ``number`` is that of the proposal that it begins; None if it only says that the node is there.
    ``since`` is the sequence of the node's first marker, 0 in that one.
    """
    fields: dict[str, int | None] = {"proposal": number, "since": since}
    if floor is not None:
        fields["floor"], fields["at"] = floor
    return json.dumps(fields).encode()


def marker_floor(message: Message) -> FloorClaim | None:
    """Return what a marker says of removals; None if it says nothing that can be."""
    try:
        fields = json.loads(message.data)
        floor, at = fields["floor"], fields["at"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    last = int(message.headers[header.SEQUENCE])
    is_read = type(floor) is int and type(at) is int and 0 <= floor <= last
    return FloorClaim(floor, at) if is_read else None


def marker_fields(data: bytes) -> tuple[int | None, int]:
    """Return number and ``since`` of a marker; None and 0 if it is by another program."""
    try:
        fields = json.loads(data)
        number, since = fields["proposal"], fields["since"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None, 0
    is_read = (number is None or type(number) is int) and type(since) is int and since >= 0
    return (number, since) if is_read else (None, 0)


class _Node:
    __slots__ = ("has_gone", "last_sign", "since")

    def __init__(self, since: int, last_sign: int) -> None:
        self.since = since
        self.last_sign = last_sign
        self.has_gone = False


class NodeTable:
    """The nodes by their ids."""

    __slots__ = ("_nodes",)

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}

    def take(self, node: str, message: Message) -> None:
        """Learn of a node's marker."""
        headers = message.headers
        known = self._nodes.get(node)
        timestamp = milliseconds_of(headers[header.TIMESTAMP])
        # Of the last marker alone, so that all nodes have the same: also who missed the first one.
        sequence = int(headers[header.SEQUENCE])
        since = min(marker_fields(message.data)[1], sequence) or sequence
        if known is None:
            known = self._nodes[node] = _Node(since, timestamp)
        known.since = since
        known.last_sign = max(known.last_sign, timestamp)
        known.has_gone = header.OPERATION in headers

    def replace(self, other: "NodeTable") -> None:
        """Take over all that another table knows, and nothing else."""
        self._nodes = other._nodes

    def last_sign_of(self, node: str) -> int | None:
        """Return the time of a node's last marker; None for an unknown node."""
        known = self._nodes.get(node)
        return None if known is None else known.last_sign

    def since_of(self, node: str) -> int:
        """Return the sequence of a node's first marker, 0 for an unknown node."""
        known = self._nodes.get(node)
        return 0 if known is None else known.since

    def live(self, now: int, own: str) -> tuple[str, ...]:
        """Return the ids of the live nodes at a time of the log, the longest known first.

        ``own`` is one of them in any case, and the last one while it has no marker.
        """
        found = [
            (node.since, name)
            for name, node in self._nodes.items()
            if name == own or (not node.has_gone and now - node.last_sign <= LEASE_MS)
        ]
        names = [name for _, name in sorted(found)]
        return tuple(names) if own in names else (*names, own)

    def forget_old(self, now: int) -> None:
        """Forget nodes that were not heard of for long."""
        old = [name for name, node in self._nodes.items() if now - node.last_sign > FORGOTTEN_MS]
        for name in old:
            del self._nodes[name]
