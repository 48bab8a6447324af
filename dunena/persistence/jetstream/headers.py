"""The headers of messages in the stream, and their times; no I/O."""

import re
from datetime import datetime
from typing import Final

from dunena.store.limits import EXPIRES_AT_MS_MAX

# Of dunena. TTL is in ms, EXPIRES Unix ms. THEN_BYTES: so many bytes at the end of the data are
# what THEN has otherwise. MORE: the next message belongs to the same request.
TTL: Final = "Dunena-TTL"
EXPIRES: Final = "Dunena-Expires"
THEN: Final = "Dunena-Then"
THEN_BYTES: Final = "Dunena-Then-Bytes"
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

_DIGITS_MAX: Final = len(str(EXPIRES_AT_MS_MAX))
_DURATION = re.compile(
    r"\+?(?:(?:\d{1,18}\.?\d{0,18}|\.\d{1,18})(?:h|ms|m|us|µs|μs|s|ns))+", re.ASCII
)
_DURATION_PART = re.compile(r"([\d.]+)([a-zµμ]+)")
_UNIT_S: Final = {
    "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9,
}  # fmt: skip

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


def end_of(headers: dict[str, str], *, is_ours: bool) -> tuple[int | None, int | None, int | None]:
    """Return ttl in ms, absolute end, and when a key's time really ends, both Unix ms.

    A message of another program ends at the latest when the server frees it, which tells nobody.
    Raises ValueError for what no node writes.
    """
    ttl_ms = expires_at = ends_at = None
    if TTL in headers:
        ttl_ms = _whole_number(headers, TTL)
        ends_at = min(milliseconds_of(headers[TIMESTAMP]) + ttl_ms, EXPIRES_AT_MS_MAX)
    elif EXPIRES in headers:
        expires_at = ends_at = min(_whole_number(headers, EXPIRES), EXPIRES_AT_MS_MAX)
    if not is_ours and FREED_AFTER in headers:
        freed_after = _seconds_of(headers[FREED_AFTER])
        if freed_after:
            freed_ms = freed_after * 1000
            freed_at = min(milliseconds_of(headers[TIMESTAMP]) + freed_ms, EXPIRES_AT_MS_MAX)
            if ends_at is None or freed_at < ends_at:
                return freed_ms, None, freed_at
    return ttl_ms, expires_at, ends_at


def split_of(headers: dict[str, str], data: bytes) -> tuple[bytes, bytes | None]:
    """Return the value in the data of a message, and what stands behind it, None for nothing.

    Raises ValueError for what no node writes.
    """
    if THEN_BYTES not in headers:
        return data, None
    place = len(data) - _whole_number(headers, THEN_BYTES)
    if place < 0:
        raise ValueError(f"{THEN_BYTES} is more than there are")
    return data[:place], data[place:]


def freed_at(headers: dict[str, str]) -> int | None:
    """Return when the server lets go of a stored message by itself, Unix ms; None for never."""
    text = headers.get(FREED_AFTER)
    seconds = 0 if text is None else _seconds_of(text)
    return milliseconds_of(headers[TIMESTAMP]) + seconds * 1000 if seconds else None


def _whole_number(headers: dict[str, str], name: str) -> int:
    text = headers[name]
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX):
        raise ValueError(f"{name} is {text[:40]!r}")
    return int(text)


def _seconds_of(text: str) -> int:
    """Return what a server takes `FREED_AFTER` for (ADR-43), which also may be as Go writes it.

    That is 0 for never. A server stores nothing that it does not understand.
    """
    if _DURATION.fullmatch(text):
        parts = _DURATION_PART.findall(text)
        return int(min(sum(float(count) * _UNIT_S[unit] for count, unit in parts), 1e12))
    text = text.removeprefix("+")
    return int(text[:_DIGITS_MAX]) if text.isascii() and text.isdigit() else 0
