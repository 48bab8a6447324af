"""Any input causes only the defined errors, and the same result from any chunks.

``DUNENA_FUZZ_EXAMPLES`` sets how often each is tried; with ``HYPOTHESIS_PROFILE=dev`` each run
tries others. What is found is kept as an ``@example`` beside the property it broke.
"""

import itertools
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dunena.dialects.dialect import Dialect
from dunena.dialects.errors import ClientError
from dunena.dialects.following import read_following
from dunena.dialects.http_updates import EventUpdates, ValueEvents
from dunena.frames import FrameError, FrameReader
from dunena.persistence.disk.files import (
    FILE_NAME_BYTES_MAX,
    decode_file_name,
    key_file_name,
    namespace_folder_name,
)
from dunena.persistence.disk.journal import Journal
from dunena.persistence.disk.journal_reader import Replay
from dunena.persistence.disk.real_disk import RealDisk
from dunena.persistence.disk.stamps import StampTable
from dunena.server.http.message import BadTargetError, Request
from dunena.server.http.parser import RequestParser
from dunena.store.entry import Change, ChangeKind, Entry
from dunena.store.globs import star_count
from dunena.store.names import is_name
from dunena.watches.limits import STARS_MAX, WAIT_SECONDS_MAX, WATCH_KEYS_MAX
from dunena.watches.parts import Parts
from dunena.watches.selector import Selector
from tests.support.described import check_message
from tests.support.event_stream import EventReader
from tests.support.rooms import Rooms
from tests.unit.test_websocket_connection import Peer

EXAMPLES = int(os.environ.get("DUNENA_FUZZ_EXAMPLES", "300"))

pytestmark = pytest.mark.timeout(60 * max(1, EXAMPLES // 300))

fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

PAYLOAD_MAX = 300


def cut(stream: bytes, at: list[int]) -> list[bytes]:
    """A stream in pieces."""
    places = [0, *sorted(entry_id for entry_id in at if entry_id < len(stream)), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(places)]


CUTS = st.lists(st.integers(0, 400), max_size=8)

# --- frames ---

HEADS = st.sampled_from(
    [
        *(b"\x81\x80", b"\x81\x83", b"\x81\xfe", b"\x81\xff", b"\x01\x81", b"\x80\x82"),
        *(b"\x88\x82", b"\x89\x80", b"\x8a\x85", b"\xc1\x84", b"\x82\x81", b"\x81\x01"),
        *(b"\x09\x80", b"\x88\xfe"),
    ]
)
FRAMES = st.lists(HEADS | st.binary(max_size=12), max_size=14).map(b"".join)


def frames_of(pieces: list[bytes]) -> list[object]:
    reader = FrameReader(PAYLOAD_MAX)
    found: list[object] = []
    try:
        for piece in pieces:
            reader.feed(piece)
            while (frame := reader.next()) is not None:
                found.append((frame, reader.is_message))
    except FrameError as error:
        found.append((error.code, error.reason))
    return found


@fuzz
@given(FRAMES, CUTS)
def test_any_bytes_give_the_same_frames_from_any_chunks(stream: bytes, cuts: list[int]) -> None:
    whole = frames_of([stream])
    assert frames_of(cut(stream, cuts)) == whole
    assert frames_of([bytes((byte,)) for byte in stream]) == whole


@fuzz
@given(FRAMES, CUTS, st.sampled_from([Dialect.AUTO, Dialect.OBJECT_STORE]))
def test_any_bytes_get_the_same_replies_from_any_chunks(
    stream: bytes, cuts: list[int], dialect: Dialect
) -> None:
    whole = Peer(dialect).hear(stream, [])
    assert Peer(dialect).hear(stream, sorted(at for at in cuts if at < len(stream))) == whole


# --- dialects ---

NAMES = st.sampled_from(["k", "l", "", "\x00", "ü", "x" * 513, "cache-events"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | NAMES | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
OPERATIONS = ["merge", "patch", "incr", "append", "touch", "timer", "revert"]
PATHS = st.sampled_from(["", "/k", "/0", "/-", "/k/l", "k", "/~2", "/ü"])
OPERATION_FIELDS = {
    "key": NAMES | JSON,
    "value": JSON,
    "ns": NAMES | JSON,
    "ttl": st.integers(-1, 2**70) | JSON,
    "durable": st.booleans() | JSON,
    "path": PATHS | JSON,
    "patch": st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]) | JSON,
                "path": PATHS | JSON,
                "from": PATHS | JSON,
                "value": JSON,
            },
        ),
        max_size=3,
    )
    | JSON,
    "by": st.integers() | st.floats() | JSON,
    "min": st.integers() | JSON,
    "max": st.integers(0, 3) | JSON,
    "values": st.lists(JSON, max_size=3) | JSON,
    "do": st.sampled_from(["start", "stop", "toggle", "set", "add"]) | JSON,
    "ms": st.integers() | JSON,
    "rate": st.integers(-2, 2) | st.floats() | JSON,
    "toRev": st.integers(0, 9) | JSON,
    "ifRev": st.integers(0, 9) | JSON,
    "epoch": NAMES | JSON,
    "then": JSON,
    "ephemeral": st.booleans() | JSON,
    "return": st.booleans() | JSON,
    "idempotencyKey": NAMES | JSON,
}
FIELDS = {
    **OPERATION_FIELDS,
    "type": st.sampled_from(
        [
            *("ping", "get", "set", "del", "mget", "mset", "subscribe", "unsubscribe"),
            *(*OPERATIONS, "txn", "history", "watch", "unwatch", "publish", "session"),
        ]
    )
    | JSON,
    "action": st.sampled_from(
        [
            *("subscribe", "unsubscribe", "set", "get", "delete", "ping"),
            *(*OPERATIONS, "txn", "history", "watch", "unwatch", "publish", "session"),
        ]
    )
    | JSON,
    "ops": st.lists(
        st.fixed_dictionaries(
            {"op": st.sampled_from([*OPERATIONS, "set", "delete", "del"]) | JSON},
            optional=OPERATION_FIELDS,
        ),
        max_size=4,
    )
    | JSON,
    "rev": st.booleans() | JSON,
    "json": st.booleans() | JSON,
    "limit": st.integers(0, 3) | JSON,
    "id": st.integers() | JSON,
    "keys": st.lists(NAMES | JSON, max_size=3) | JSON,
    "entries": st.lists(
        st.fixed_dictionaries({}, optional={"key": NAMES, "value": NAMES | JSON, "ttl": JSON})
        | st.fixed_dictionaries({}, optional=OPERATION_FIELDS),
        max_size=3,
    )
    | JSON,
    "channel": NAMES | JSON,
    "data": JSON,
    "pattern": st.sampled_from(["*", "k*", "?", "*k"]) | JSON,
    "maxRate": st.floats() | JSON,
    "since": st.fixed_dictionaries({}, optional={"epoch": NAMES, "rev": st.integers()}) | JSON,
}
MESSAGES = (st.fixed_dictionaries({}, optional=FIELDS) | JSON).map(
    lambda message: json.dumps(message).encode()
)
TEXTS = (
    MESSAGES
    | st.binary(max_size=30)
    | MESSAGES.flatmap(
        lambda text: st.integers(0, len(text)).map(lambda at: text[:at] + b"\xff{" + text[at:])
    )
)


@fuzz
@given(st.lists(TEXTS, max_size=8), st.sampled_from(list(Dialect)))
def test_any_message_gets_well_formed_replies(texts: list[bytes], dialect: Dialect) -> None:
    rooms = Rooms()
    client, listener = rooms.client(dialect), rooms.client(Dialect.OBJECT_STORE)
    for channel in ("k", "l", "cache-events"):
        listener.ask({"action": "subscribe", "channel": channel})
    for text in texts:
        for message in client.ask(text) + listener.received():
            check_message(message)
    assert listener.overflows == 0


# --- HTTP ---

LINES = st.sampled_from(
    [
        *(b"GET /get/k HTTP/1.1\r\n", b"POST /set HTTP/1.1\r\n", b"GET /ws HTTP/1.1\r\n"),
        *(b"GET http://h/x?ns=%FF HTTP/1.0\r\n", b"OPTIONS * HTTP/1.1\r\n"),
        *(b"Host: h\r\n", b"Content-Length: 4\r\n", b"Content-Length: 0\r\n", b"\r\n", b"body"),
        *(b"Transfer-Encoding: chunked\r\n", b"4\r\nbody\r\n", b"0\r\n\r\n"),
        *(b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"CONNECT h:1 HTTP/1.1\r\n"),
        *(b"Connection: Upgrade\r\n", b"Upgrade: websocket\r\n", b"Upgrade: h2c\r\n"),
        *(b"X : y\r\n", b"X: \xff\r\n", b"Transfer-Encoding: x\r\n"),
        *(b"\n", b"\r", b" ", b":", b"\x00"),
    ]
)
STREAMS = st.lists(LINES | st.binary(max_size=6), max_size=16).map(b"".join)


def requests_of(pieces: list[bytes]) -> tuple[list[Any], int | None, bytes | None]:
    parser = RequestParser(PAYLOAD_MAX)
    requests = [request for piece in pieces for request in parser.feed(piece)]
    return requests, parser.fault.status if parser.fault else None, parser.rest


def shown(requests: list[Any], *rest: object) -> tuple[object, ...]:
    """What can be compared of requests and of what came with them."""
    parts = [(r.method, r.target, r.headers, r.body, r.has_body, r.wants_upgrade) for r in requests]
    return parts, *rest


@fuzz
@given(STREAMS, CUTS)
def test_any_bytes_give_the_same_http_requests_from_any_chunks(
    stream: bytes, cuts: list[int]
) -> None:
    whole = requests_of([stream])
    expected = shown(*whole)
    assert shown(*requests_of(cut(stream, cuts))) == expected
    assert shown(*requests_of([bytes((byte,)) for byte in stream])) == expected
    for request in whole[0]:
        with suppress(BadTargetError):
            request.query()


# --- the journal ---


def reopened(folder: Path) -> Replay:
    journal = Journal(RealDisk(), str(folder), StampTable())
    try:
        return journal.open(0)
    finally:
        journal.close()


@fuzz
@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 600), st.binary(max_size=4), st.integers(0, 4)), max_size=4),
)
def test_a_damaged_journal_replays_only_written_commits(
    tmp_path_factory: Any, commits: list[int], damages: list[tuple[int, bytes, int]]
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal(RealDisk(), str(folder), StampTable())
    journal.open(0)
    revision, written = 0, []
    for size in commits:
        changes = []
        for _ in range(size):
            revision += 1
            entry = Entry("", f"k{revision}", b"%d" % revision, None, revision)
            changes.append(Change(ChangeKind.SET, "", entry.key, revision, entry=entry))
        journal.append(changes)
        written.append([change.revision for change in changes])
    journal.close()
    (segment,) = folder.glob("*.log")
    content = bytearray(segment.read_bytes())
    for at, data, gone in damages:
        content[at : at + gone] = data
    segment.write_bytes(content)
    found = [[change.revision for change in commit] for commit in reopened(folder).commits]
    assert found == written[: len(found)], "a commit as it was, or not at all, and none behind it"
    if not damages:
        assert found == written


# --- file names ---


@fuzz
@given(st.text(max_size=40) | st.text("%.~ aAcon/\\:0123456789ABCDEF", max_size=40))
def test_any_decoded_file_name_is_encoded_again_safely(text: str) -> None:
    key = decode_file_name(text)
    if key is not None and is_name(key):
        for folds_case in (False, True):
            made = key_file_name(key, folds_case=folds_case)
            if made.record is None:
                assert decode_file_name(made.text.removesuffix(".json")) == key
    if is_name(text):
        for name in (
            key_file_name(text, folds_case=True).text,
            namespace_folder_name(text, folds_case=True).text,
        ):
            assert len(name.encode()) <= FILE_NAME_BYTES_MAX
            assert not set(name) & set("/\\\0:")
            assert not name.startswith(".")


@fuzz
@given(st.binary(max_size=60) | MESSAGES)
def test_any_stored_value_equals_the_json_that_was_sent(text: bytes) -> None:
    client = Rooms().client(Dialect.OBJECT_STORE)
    said = client.ask(b'{"action":"set","key":"k","value":' + text + b"}")
    entry = client.rooms.store.peek("", "k", client.rooms.now)
    assert (entry is None) == bool(said)
    if entry is not None:
        assert orjson.loads(entry.value) == json.loads(text)


# --- what is followed over HTTP ---

FIELD_NAMES = [
    "key",
    "keys",
    "pattern",
    "ns",
    "path",
    "maxRate",
    "since",
    "format",
    "wait",
    "",
    "x",
]
FIELD_VALUES = [
    "", "a", "a,b", ",", "*", "*?*", "/a", "/~2", "1", "30", "61", "0.1", "-1", "1e3", "nan",
    "value", "text", "epoch-5", "epoch--5", "-5", "%00", "%ff", "%C3%A4", "+", "=", "k" * 600,
]  # fmt: skip
QUERIES = st.lists(
    st.tuples(
        st.sampled_from(FIELD_NAMES),
        st.sampled_from(FIELD_VALUES) | st.text("ab,*?/~%-.0159", max_size=12),
    ),
    max_size=6,
)


@fuzz
@given(QUERIES, st.none() | st.sampled_from(FIELD_VALUES) | st.text(max_size=20))
def test_any_query_is_refused_or_a_watch_within_the_limits(
    fields: list[tuple[str, str]], last_event_id: str | None
) -> None:
    target = "/watch?" + "&".join(f"{name}={value}" for name, value in fields)
    try:
        query = read_following(Request(target=target).query_lists(), last_event_id)
    except (ClientError, BadTargetError):
        return
    selector = query.selector
    assert selector.size <= WATCH_KEYS_MAX
    assert sum(name is not None for name in selector[1:4]) == 1
    assert selector.pattern is None or star_count(selector.pattern) <= STARS_MAX
    assert query.wait_seconds is None or 1 <= query.wait_seconds <= WAIT_SECONDS_MAX
    assert query.interval_ms is None or 10 <= query.interval_ms <= 10_000
    assert query.since is None or query.since["rev"] >= 0


@fuzz
@given(st.recursive(st.none() | st.integers(-5, 5) | st.text(), st.lists), CUTS)
def test_any_value_is_the_same_in_events_from_any_chunks(value: Any, cuts: list[int]) -> None:
    entry = Entry("", "k", orjson.dumps(value), None, 5)
    data = b""
    for make in (EventUpdates, ValueEvents):
        form = make(Selector("", key="k"), "epoch", Parts(lambda _: (), lambda: False))
        change = form.change(entry, shows_missing=True)
        data += form.frame([change], 5, 0, is_reset=False, has_more=False)
    reader = EventReader()
    events = [event for piece in cut(data, cuts) for event in reader.feed(piece)]
    assert [event.kind for event in events] == ["update", "value"]
    assert events[0].json["changes"] == [{"key": "k", "rev": 5, "value": value}]
    assert events[1].json == value
