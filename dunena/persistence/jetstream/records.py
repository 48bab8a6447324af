"""Operations as messages of the stream, and back; no I/O.

What other programs put into the stream is taken over: `nats kv put` of JSON is a SET, and `nats kv
del` a REMOVE. A value that is no JSON removes the key, as it replaced what the key had.
"""

import logging
from typing import Final
from urllib.parse import quote, unquote

from dunena.persistence.jetstream import headers as header
from dunena.persistence.jetstream.headers import end_of, split_of
from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.wire import Message
from dunena.persistence.log import Op, OpKind, Record
from dunena.store.entry import Entry, make_entry
from dunena.store.values import decode, encode

TOMBSTONE_S: Final = 3600
"""How long the stream keeps what says that a key is gone, and what has ended by itself: a node that
was away for less finds it there. If it did not, it would keep the value that was there before.
"""

NOTE_FREED_S: Final = 15 * 60
"""The same for a note that has ended by itself. There may be one for each request."""

FREED_S_MAX: Final = 100 * 365 * 86_400
"""What ends later is never freed by the stream: it counts in ns of 63 bits since 1970, and drops a
message at once whose end they cannot hold.
"""

THEN_HEADER_BYTES_MAX: Final = 400
"""What is to be merged at the end of a key's time is a header up to this size, so that others read
the value alone, and it may be as large as any. What is larger stands behind the value.
"""

BATCH_PREFIX: Final = "dunena-"
"""Of the ids of a node's batches, which tells its messages from those of other programs."""

_HEADER_SAFE: Final = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")

_SET: Final = OpKind.SET
_REMOVE: Final = OpKind.REMOVE
_EXPIRE: Final = OpKind.EXPIRE
_CLEAR: Final = OpKind.CLEAR
_NOTE: Final = OpKind.NOTE

_logger = logging.getLogger(__name__)


def subject_of(op: Op, names: SubjectNames) -> str:
    """Return the subject that an operation is stored under."""
    if op.kind is _NOTE:
        return names.subject_of_note(op.key)
    if op.kind is _CLEAR:
        return names.clear
    return names.subject_of_key(op.ns, op.key)


def headers_of(op: Op, now: int) -> dict[str, str]:
    """Return the headers of an operation, without those of its batch; ``now`` is the log's time."""
    kind = op.kind
    is_gone = kind is _REMOVE or kind is _EXPIRE or (kind is _NOTE and not op.value)
    if is_gone:
        headers = {header.OPERATION: header.PURGE, header.FREED_AFTER: str(TOMBSTONE_S)}
        if kind is _EXPIRE:
            headers[header.EXPIRED] = "1"
        return headers
    headers = {}
    ends_in = None
    if op.ttl_ms is not None:
        headers[header.TTL] = str(op.ttl_ms)
        ends_in = op.ttl_ms
    elif op.expires_at is not None:
        headers[header.EXPIRES] = str(op.expires_at)
        ends_in = max(0, op.expires_at - now)
    if op.then is not None:
        if _is_behind(op.then):
            headers[header.THEN_BYTES] = str(len(op.then))
        else:  # a header is a line of ASCII
            headers[header.THEN] = quote(op.then, safe=_HEADER_SAFE)
    elif ends_in is not None:
        # It is there to be expired by a node first. If there is none, it takes space for longer.
        more_s = NOTE_FREED_S if kind is _NOTE else TOMBSTONE_S
        freed_after_s = -(-ends_in // 1000) + more_s
        if freed_after_s <= FREED_S_MAX:
            headers[header.FREED_AFTER] = str(freed_after_s)
    if op.owner is not None:
        headers[header.OWNER] = quote(op.owner, safe=_HEADER_SAFE)
    return headers


def data_of(op: Op) -> bytes:
    """Return the data of an operation's message."""
    if op.then is not None and _is_behind(op.then):
        return op.value + op.then
    return op.value if op.kind is _SET or op.kind is _NOTE else b""


def _is_behind(then: bytes) -> bool:
    """Return whether what is to be merged stands behind the value."""
    return len(then) > THEN_HEADER_BYTES_MAX


def record_of(message: Message, names: SubjectNames) -> Record | None:
    """Return what a stored message says; None if it is nothing that a node makes.

    What cannot be read removes what was there: all nodes say the same of a message, whether they
    have followed or loaded it. Raises KeyError or ValueError if JetStream's own headers are not
    there.
    """
    headers = message.headers
    subject = headers[header.SUBJECT]
    revision = int(headers[header.SEQUENCE])
    name = names.key_of(subject)
    if name is None:
        return _own_record(message, subject, revision, names)
    ns, key = name
    if header.OPERATION in headers or header.MARKER_REASON in headers:
        is_expired = header.EXPIRED in headers or header.MARKER_REASON in headers
        return Record(Op(_EXPIRE if is_expired else _REMOVE, ns, key), revision, None)
    is_ours = headers.get(header.BATCH, "").startswith(BATCH_PREFIX)
    try:
        value, then = split_of(headers, message.data)
        if header.THEN in headers:
            then = unquote(headers[header.THEN]).encode()
        if not is_ours:
            value = encode(decode(value))
        ttl_ms, expires_at, ends_at = end_of(headers, is_ours=is_ours)
        if then is not None:
            is_merged = is_ours or header.FREED_AFTER not in headers
            then = encode(decode(then)) if is_merged else None
    except ValueError as error:
        _logger.warning("The value of %s in the stream is left out: %s", subject, error)
        return Record(Op(_REMOVE, ns, key), revision, None)
    owner = headers.get(header.OWNER)
    if owner is not None:
        owner = unquote(owner)
    op = Op(_SET, ns, key, value, ttl_ms, expires_at, then, owner)
    return Record(op, revision, ends_at)


def entry_of(record: Record, written_at: int) -> Entry:
    """Return the entry that a SET makes; ``written_at`` is the time of its message."""
    op = record.op
    ends_at, revision = record.ends_at, record.revision
    return make_entry(op.ns, op.key, op.value, ends_at, revision, written_at, op.then, op.owner)


def _own_record(
    message: Message, subject: str, revision: int, names: SubjectNames
) -> Record | None:
    if subject == names.clear:
        return Record(Op(_CLEAR), revision, None)
    note = names.note_of(subject)
    if note is None:
        if names.node_of(subject) is None and subject != names.epoch:
            _logger.warning("%s in the stream is left out: it is no key", subject)
        return None
    headers = message.headers
    if header.OPERATION in headers or header.MARKER_REASON in headers or not message.data:
        return Record(Op(_NOTE, key=note), revision, None)
    is_ours = headers.get(header.BATCH, "").startswith(BATCH_PREFIX)
    try:
        ttl_ms, expires_at, ends_at = end_of(headers, is_ours=is_ours)
    except ValueError as error:
        _logger.warning("The note %s in the stream is left out: %s", subject, error)
        return Record(Op(_NOTE, key=note), revision, None)
    op = Op(_NOTE, key=note, value=message.data, ttl_ms=ttl_ms, expires_at=expires_at)
    return Record(op, revision, ends_at)
