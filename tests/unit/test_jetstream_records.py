"""Operations as messages, and back."""

from dataclasses import replace

import pytest

from dunena.persistence.jetstream.headers import milliseconds_of
from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.records import (
    THEN_HEADER_BYTES_MAX,
    data_of,
    entry_of,
    headers_of,
    record_of,
    subject_of,
)
from dunena.persistence.jetstream.wire import Message
from dunena.persistence.log import Op, OpKind, Record
from dunena.store.entry import EphemeralEntry

NAMES = SubjectNames("show")
TIME = "2026-11-30T08:00:00.25Z"
NOW = milliseconds_of(TIME)

HEADERS_BYTES_MAX = 1_400
"""Of an operation: with those of its batch a value of the largest size still fits in a message."""


def stored(op: Op, sequence: int = 7) -> Message:
    """What a node receives of an operation that a node proposed."""
    return received(headers_of(op, NOW), data_of(op), subject_of(op, NAMES), sequence, ours=True)


def received(
    headers: dict[str, str],
    data: bytes,
    subject: str = "$KV.show.=.a",
    sequence: int = 7,
    *,
    ours: bool = False,
) -> Message:
    headers = {
        **headers,
        "Nats-Subject": subject,
        "Nats-Sequence": str(sequence),
        "Nats-Time-Stamp": TIME,
    }
    if ours:
        headers["Nats-Batch-Id"] = "dunena-n1-1"
    return Message("dn.show.log.x", headers, data)


@pytest.mark.parametrize(
    ("op", "ends_at"),
    [
        (Op(OpKind.SET, "ns", "käy", b"1"), None),
        (Op(OpKind.SET, "", "a", b"1", ttl_ms=1500), NOW + 1500),
        (Op(OpKind.SET, "", "a", b"1", expires_at=NOW + 99), NOW + 99),
        (Op(OpKind.SET, "", "a", b"1", ttl_ms=5, then='{"ü":"%\\n 1"}'.encode()), NOW + 5),
        (Op(OpKind.SET, "", "a", b"1", ttl_ms=5, then=b'"' + b"x" * 200_000 + b'"'), NOW + 5),
        (Op(OpKind.SET, "", "a", b"1", ttl_ms=5, then=b"[" + b"1," * 150 + b"1]"), NOW + 5),
        (Op(OpKind.SET, "", "a", b"1", owner="s 1"), None),
        (Op(OpKind.REMOVE, "", "a"), None),
        (Op(OpKind.EXPIRE, "", "a"), None),
        (Op(OpKind.CLEAR), None),
        (Op(OpKind.NOTE, key="n ä", value=b"\x00x", ttl_ms=10), NOW + 10),
        (Op(OpKind.NOTE, key="n"), None),
    ],
)
def test_an_operation_comes_back_from_its_message(op: Op, ends_at: int | None) -> None:
    message = stored(replace(op, is_conditional=True))
    assert record_of(message, NAMES) == Record(op, 7, ends_at)
    assert sum(map(len, [*headers_of(op, NOW), *headers_of(op, NOW).values()])) < HEADERS_BYTES_MAX
    for name, value in message.headers.items():
        assert (name + value).isascii()
        assert "\n" not in name + value


@pytest.mark.parametrize(
    ("op", "seconds"),
    [
        (Op(OpKind.SET, "", "a", b"1"), None),
        (Op(OpKind.SET, "", "a", b"1", ttl_ms=1), "3601"),
        (Op(OpKind.SET, "", "a", b"1", ttl_ms=2000), "3602"),
        (Op(OpKind.SET, "", "a", b"1", expires_at=NOW + 2001), "3603"),
        (Op(OpKind.SET, "", "a", b"1", expires_at=NOW - 5000), "3600"),
        (Op(OpKind.SET, "", "a", b"1", ttl_ms=3_000_000_000_000), "3000003600"),
        (Op(OpKind.SET, "", "a", b"1", ttl_ms=9_000_000_000_000), None),  # past 2**63 ns
        (Op(OpKind.SET, "", "a", b"1", ttl_ms=1, then=b"{}"), None),
        (Op(OpKind.REMOVE, "", "a"), "3600"),
        (Op(OpKind.EXPIRE, "", "a"), "3600"),
        (Op(OpKind.CLEAR), None),
        (Op(OpKind.NOTE, key="n", value=b"x", ttl_ms=120_000), "1020"),
        (Op(OpKind.NOTE, key="n"), "3600"),
    ],
)
def test_the_stream_frees_what_has_ended_and_only_later(op: Op, seconds: str | None) -> None:
    assert headers_of(op, NOW).get("Nats-TTL") == seconds


def test_json_of_others_is_a_value() -> None:
    record = record_of(received({}, b' {"a": 1}\n'), NAMES)
    assert record == Record(Op(OpKind.SET, "", "a", b'{"a":1}'), 7, None)


def test_what_is_no_json_removes_the_key_that_it_replaced() -> None:
    assert record_of(received({}, b"hello"), NAMES) == Record(Op(OpKind.REMOVE, "", "a"), 7, None)


@pytest.mark.parametrize("operation", ["DEL", "PURGE"])
def test_a_delete_of_others_is_a_remove(operation: str) -> None:
    message = received({"KV-Operation": operation}, b"")
    assert record_of(message, NAMES) == Record(Op(OpKind.REMOVE, "", "a"), 7, None)


def test_a_marker_of_the_server_is_an_expire() -> None:
    message = received({"Nats-Marker-Reason": "MaxAge"}, b"")
    assert record_of(message, NAMES) == Record(Op(OpKind.EXPIRE, "", "a"), 7, None)


@pytest.mark.parametrize(
    "headers",
    [
        {"Dunena-TTL": "abc"},
        {"Dunena-TTL": ""},
        {"Dunena-Expires": "9" * 5000},
        {"Dunena-TTL": "5", "Dunena-Then": "{"},
        {"Dunena-TTL": "5", "Dunena-Then-Bytes": "2"},
        {"Dunena-TTL": "5", "Dunena-Then-Bytes": "-1"},
    ],
)
@pytest.mark.parametrize("ours", [False, True])
def test_what_cannot_be_read_is_left_out(
    headers: dict[str, str], ours: bool, caplog: pytest.LogCaptureFixture
) -> None:
    message = received(headers, b"1", ours=ours)
    assert record_of(message, NAMES) == Record(Op(OpKind.REMOVE, "", "a"), 7, None)
    assert "The value of $KV.show.=.a in the stream is left out" in caplog.text


def test_a_note_that_cannot_be_read_is_removed() -> None:
    message = received({"Dunena-TTL": "abc"}, b"1", "$KV.show.=note-n")
    assert record_of(message, NAMES) == Record(Op(OpKind.NOTE, key="n"), 7, None)


def test_a_merge_of_others_waits_for_no_key_that_the_server_frees() -> None:
    headers = {"Dunena-TTL": "5000", "Dunena-Then": '{"a": 1}'}
    kept = record_of(received(headers, b"1"), NAMES)
    freed = record_of(received({**headers, "Nats-TTL": "2"}, b"1"), NAMES)
    assert kept is not None
    assert freed is not None
    assert (kept.op.then, kept.ends_at) == (b'{"a":1}', NOW + 5000)
    assert (freed.op.then, freed.ends_at) == (None, NOW + 2000)


def test_a_small_merge_leaves_the_value_as_it_is_for_others() -> None:
    op = Op(OpKind.SET, "", "a", b"1", ttl_ms=5, then=b"x" * THEN_HEADER_BYTES_MAX)
    assert data_of(op) == b"1"
    assert data_of(replace(op, then=b"x" * (THEN_HEADER_BYTES_MAX + 1))).startswith(b"1x")


def test_a_merge_behind_a_value_is_read_wherever_the_message_comes_from() -> None:
    headers = {"Dunena-TTL": "5000", "Dunena-Then-Bytes": "8"}
    record = record_of(received(headers, b'{"b": 2}{"a": 1}'), NAMES)
    assert record is not None
    assert (record.op.value, record.op.then) == (b'{"b":2}', b'{"a":1}')


def test_a_time_to_live_of_others_ends_the_key() -> None:
    record = record_of(received({"Nats-TTL": "2"}, b"1"), NAMES)
    assert record is not None
    assert record.ends_at == NOW + 2000
    never = record_of(received({"Nats-TTL": "never"}, b"1"), NAMES)
    assert never is not None
    assert never.ends_at is None


@pytest.mark.parametrize("subject", ["$KV.show.=node-n1", "$KV.show.other", "$KV.show.a.b.c"])
def test_what_is_no_operation_is_none(subject: str) -> None:
    assert record_of(received({}, b"1", subject), NAMES) is None


def test_a_set_makes_an_entry() -> None:
    op = Op(OpKind.SET, "n", "a", b"1", ttl_ms=5, then=b"{}")
    entry = entry_of(Record(op, 7, 5), 3)
    found = (entry.ns, entry.key, entry.value, entry.expires_at, entry.revision, entry.written_at)
    assert found == ("n", "a", b"1", 5, 7, 3)
    assert entry.then == b"{}"
    ephemeral = entry_of(Record(replace(op, owner="s1"), 7, 5), 3)
    assert isinstance(ephemeral, EphemeralEntry)
    assert ephemeral.owner == "s1"
