"""What nodes are told of any message that the stream may have."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from dunena.persistence.jetstream.clock import LogClock
from dunena.persistence.jetstream.delivery import Delivery
from dunena.persistence.jetstream.floor import Floor
from dunena.persistence.jetstream.loading import StreamReading
from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.nodes import NodeTable
from dunena.persistence.jetstream.places import Places
from dunena.persistence.jetstream.records import entry_of
from dunena.persistence.jetstream.wire import Message
from dunena.persistence.log import OpKind
from dunena.store.entry import Entry, EphemeralEntry
from dunena.store.limits import EXPIRES_AT_MS_MAX

NAMES = SubjectNames("show")
TIME = "2026-11-30T08:00:00.25Z"

numbers = st.one_of(
    st.integers(-5, 5000).map(str),
    st.sampled_from(
        ["", "abc", "1.5", "²", "1h", "2s", "never", "+1", "9" * 17, "9" * 5000, str(2**53)]
    ),
    st.text(max_size=8),
)
texts = st.sampled_from(["1", "%00", "%FF", "%", '{"a":1}', "{", "null", "[" * 2000]) | st.text()
bodies = st.one_of(
    st.binary(max_size=40),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
    st.sampled_from([b"1", b'{"a":1}', b"[" * 100_000, b'{"a":1,"a":2}', b"9" * 5000, b"1e999"]),
    st.fixed_dictionaries({"proposal": st.none() | st.integers(), "since": st.integers()}).map(
        lambda fields: json.dumps(fields).encode()
    ),
)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Dunena-TTL": numbers,
        "Dunena-Expires": numbers,
        "Dunena-Then": texts,
        "Dunena-Owner": texts,
        "Dunena-More": st.sampled_from(["1", "", "x"]),
        "Dunena-Expired": st.just("1"),
        "Nats-TTL": numbers,
        "Nats-Batch-Id": st.sampled_from(["dunena-n1-1", "dunena-", "other"]),
        "Nats-Batch-Commit": st.just("1"),
        "KV-Operation": st.sampled_from(["DEL", "PURGE", "?"]),
        "Nats-Marker-Reason": st.sampled_from(["MaxAge", "Purge"]),
    },
)
tokens = st.sampled_from(
    ["=", "a", "=00", "=C3", "=C3=BC", "=41", "=c3", "=node-n1", "=node-me", "=note-n", "=note-=FF",
     "=clear", "=7F", "a" * 513, "ü", "=ED=A0=80"]
)  # fmt: skip
subjects = st.one_of(
    st.sampled_from(["=.a", "=.b", "=clear", "=epoch", "=note-n", "=node-n1", "=node-me"]),
    st.lists(tokens, min_size=1, max_size=3).map(".".join),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(subjects, headers, bodies), max_size=12))
def test_any_message_is_read_and_the_same_way_by_who_follows_and_who_loads(
    stream: list[tuple[str, dict[str, str], bytes]],
) -> None:
    messages = [
        Message(
            "dn.show.log.x",
            {
                **fields,
                "Nats-Subject": NAMES.prefix + subject,
                "Nats-Sequence": str(sequence),
                "Nats-Time-Stamp": TIME,
            },
            data,
        )
        for sequence, (subject, fields, data) in enumerate(stream, 1)
    ]
    followed, notes = follow(messages)
    newest = {message.headers["Nats-Subject"]: message for message in messages}
    reading = StreamReading(NAMES, Places(NAMES), NodeTable(), Floor(), is_all=True)
    for message in messages:
        if newest[message.headers["Nats-Subject"]] is message:
            reading.add(message)
    contents = reading.contents("e", len(messages))
    assert {(entry.ns, entry.key): fields_of(entry) for entry in contents.entries} == followed
    assert {name: (note.op.value, note.ends_at) for name, note in contents.notes.items()} == notes
    for entry in contents.entries:
        assert entry.expires_at is None or 0 <= entry.expires_at <= EXPIRES_AT_MS_MAX


def follow(messages: list[Message]) -> tuple[dict[Any, Any], dict[str, Any]]:
    """What there is for a node to which each message was delivered."""
    delivery = Delivery(
        NAMES,
        "me",
        Places(NAMES),
        NodeTable(),
        LogClock(),
        Floor(),
        lambda _sequence, _number: None,
        lambda _mark: None,
    )
    entries: dict[Any, Any] = {}
    notes: dict[str, Any] = {}
    for message in messages:
        for group in delivery.batch_of([message], 0.0).groups:
            for record in group:
                op = record.op
                if op.kind is OpKind.CLEAR:
                    entries.clear()
                elif op.kind is OpKind.NOTE:
                    notes.pop(op.key, None)
                    if op.value:
                        notes[op.key] = (op.value, record.ends_at)
                elif op.kind is OpKind.SET:
                    entries[op.ns, op.key] = fields_of(entry_of(record, 0))
                else:
                    entries.pop((op.ns, op.key), None)
    return entries, notes


def fields_of(entry: Entry) -> Any:
    owner = entry.owner if isinstance(entry, EphemeralEntry) else None
    return entry.value, entry.expires_at, entry.revision, entry.then, owner
