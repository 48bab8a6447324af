"""The headers of messages in the stream, and their times; no I/O."""

from datetime import datetime
from typing import Final

# Of dunena. TTL is in ms, EXPIRES Unix ms. MORE: the next message belongs to the same request.
TTL: Final = "Dunena-TTL"
EXPIRES: Final = "Dunena-Expires"
THEN: Final = "Dunena-Then"
OWNER: Final = "Dunena-Owner"
MORE: Final = "Dunena-More"
EXPIRED: Final = "Dunena-Expired"

# Of `nats kv` (ADR-8).
OPERATION: Final = "KV-Operation"
PURGE: Final = "PURGE"

# Of JetStream, in what is sent (ADR-43, ADR-50). FREED_AFTER is in whole seconds; EXPECTED is about
# EXPECTED_SUBJECT if that is there, and else about the message's own subject.
FREED_AFTER: Final = "Nats-TTL"
EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_SUBJECT: Final = "Nats-Expected-Last-Subject-Sequence-Subject"
BATCH: Final = "Nats-Batch-Id"
BATCH_SEQUENCE: Final = "Nats-Batch-Sequence"
COMMIT: Final = "Nats-Batch-Commit"

# Of JetStream, in what is received: stored messages; and in a page of them, what is pending after
# each, and the sequence of the one before it, 0 for the first.
SEQUENCE: Final = "Nats-Sequence"
SUBJECT: Final = "Nats-Subject"
TIMESTAMP: Final = "Nats-Time-Stamp"
MARKER_REASON: Final = "Nats-Marker-Reason"
STATUS: Final = "Status"
PENDING: Final = "Nats-Num-Pending"
SEQUENCE_BEFORE: Final = "Nats-Last-Sequence"

_second = ""
_second_ms = 0


def milliseconds_of(text: str) -> int:
    """Return a time as JetStream writes it (RFC 3339, UTC, up to 9 decimals) in Unix ms.

    Raises ValueError for anything else.
    """
    global _second, _second_ms
    second = text[:19]
    if second != _second:
        ms = int(datetime.fromisoformat(second + "+00:00").timestamp()) * 1000
        _second, _second_ms = second, ms
    decimals = text[20:23]
    if len(decimals) == 3 and decimals.isdigit():
        return _second_ms + int(decimals)
    return _second_ms + int(text[20:].rstrip("Z").ljust(3, "0")[:3])
