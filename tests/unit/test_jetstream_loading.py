"""What a node finds of all that is in the stream."""

import json
from typing import Any

import pytest

from dunena.persistence.jetstream import loading
from dunena.persistence.jetstream.floor import CLAIM_MS, KNOWN_MS, Floor
from dunena.persistence.jetstream.loading import StreamReading
from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.nodes import NodeTable
from dunena.persistence.jetstream.places import Places
from dunena.persistence.jetstream.wire import Message

NAMES = SubjectNames("show")
NOW = 1_796_025_600_000  # 08:00
EARLIER, LATER = "2026-11-30T04:00:00Z", "2026-11-30T07:59:00Z"
GONE = {"KV-Operation": "PURGE"}


def read(*messages: Message) -> StreamReading:
    reading = StreamReading(NAMES, Places(NAMES), NodeTable(), Floor(), is_all=True)
    for message in messages:
        reading.add(message)
    return reading


def stored(sequence: int, subject: str, time: str, data: bytes = b"1", **headers: Any) -> Message:
    own = {
        "Nats-Subject": NAMES.prefix + subject,
        "Nats-Sequence": str(sequence),
        "Nats-Time-Stamp": time,
    }
    return Message("dn.show.log.x", {**headers, **own}, data)


def gone(sequence: int, key: str, time: str) -> Message:
    return stored(sequence, f"=.{key}", time, b"", **GONE)


def marker(sequence: int, floor: object, at: object, time: str = LATER) -> Message:
    data = json.dumps({"proposal": None, "since": 1, "floor": floor, "at": at}).encode()
    return stored(sequence, "=node-n1", time, data)


def found(reading: StreamReading, revision: int) -> tuple[int | None, list[int]]:
    contents = reading.everything("e", revision, NOW)
    return contents.floor, [record.revision for record in contents.removed]


def test_what_follows_a_young_message_is_known() -> None:
    young = [gone(8, "a", LATER), stored(9, "=.b", LATER), gone(12, "c", LATER)]
    assert found(read(gone(5, "d", EARLIER), *young), 14) == (7, [8, 12])


def test_nothing_is_known_where_nothing_is_young() -> None:
    assert found(read(stored(5, "=.a", EARLIER), gone(8, "b", EARLIER)), 14) == (14, [])


def test_a_marker_says_what_its_node_knows() -> None:
    old = stored(5, "=.a", EARLIER)
    assert found(read(old, marker(900, 3, NOW - CLAIM_MS)), 901) == (3, [])
    assert found(read(old, gone(40, "b", LATER), marker(900, 3, NOW)), 901) == (3, [40])
    for floor, at in ((3, NOW - CLAIM_MS - 1), (901, NOW), (-1, NOW), ("3", NOW), (3, None)):
        assert found(read(old, marker(900, floor, at)), 901) == (899, [])
    assert found(read(old, marker(900, 3, NOW, EARLIER)), 901) == (3, [])


def test_a_clear_is_the_floor() -> None:
    messages = gone(8, "a", LATER), stored(10, "=clear", LATER, b""), gone(12, "c", LATER)
    assert found(read(*messages, marker(13, 3, NOW)), 14) == (10, [12])


def test_the_oldest_removals_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "REMOVALS_MAX", 4)
    monkeypatch.setattr(loading, "REMOVED_MORE", 2)
    messages = [gone(number, f"k{number}", LATER) for number in range(1, 20)]
    assert found(read(*messages, stored(20, "=.k3", LATER)), 20) == (15, [16, 17, 18, 19])
    assert found(read(*messages[:3], stored(20, "=.k2", LATER)), 20) == (0, [1, 3])


def test_what_was_found_is_the_floor_of_the_node() -> None:
    reading = read(gone(8, "a", LATER), marker(900, 3, NOW))
    reading.everything("e", 901, NOW)
    assert reading.floor.at(NOW) == 3
    assert reading.floor.at(NOW + KNOWN_MS) == 8
