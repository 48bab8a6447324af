"""The updates of watches as HTTP sends them."""

import json
from typing import Any

import pytest

from dunena.dialects.http_updates import (
    COMMENT,
    RETRY,
    EventUpdates,
    JsonUpdates,
    StreamedBody,
    UnitedUpdate,
    ValueEvents,
    event_of_message,
    whole_update,
)
from dunena.dialects.messages import channel_message, gap
from dunena.store.entry import Entry
from dunena.store.positions import Removal
from dunena.watches.feed import UpdateBatch, WatchFeed
from dunena.watches.parts import Parts
from dunena.watches.selector import Selector
from dunena.watches.updates import UpdateForm
from tests.support.event_stream import Event, EventReader
from tests.support.watching import entry, part, removal

PARTS = Parts(lambda _entry: (), lambda: False)


def form_of(make: Any, path: str | None = None, **selector: Any) -> Any:
    return make(Selector("", path=path, **(selector or {"key": "k"})), "epoch", PARTS)


def frame_of(form: UpdateForm, *told: Entry | Removal, revision: int = 5, **flags: bool) -> bytes:
    flags = {"is_reset": False, "has_more": False, **flags}
    encoded = [form.change(one, shows_missing=not flags["is_reset"]) for one in told]
    shown = [change for change in encoded if change is not None]
    return form.frame(shown, revision, 1000, **flags)


def read(data: bytes) -> tuple[list[Event], str]:
    reader = EventReader()
    return list(reader.feed(data)), reader.last_id


def test_an_update_is_an_event_with_its_position() -> None:
    data = frame_of(form_of(EventUpdates), entry("k", b'"v"', 4), is_reset=True)
    assert data.startswith(b"id: epoch-5\nevent: update\ndata: {")
    (event,), _ = read(data)
    assert event.json == {
        "key": "k",
        "epoch": "epoch",
        "rev": 5,
        "reset": True,
        "changes": [{"key": "k", "rev": 4, "value": "v"}],
    }


def test_a_part_that_goes_on_has_no_id() -> None:
    form = form_of(EventUpdates)
    events, last_id = read(frame_of(form, entry("k", b"1"), has_more=True))
    assert (events[0].json["more"], last_id) == (True, "")
    (event,), last_id = read(frame_of(form))
    assert (event.json["changes"], last_id) == ([], "epoch-5"), "the last part may tell nothing"


@pytest.mark.parametrize("make", [EventUpdates, ValueEvents])
def test_a_bookmark_is_a_bare_id(make: Any) -> None:
    data = form_of(make).bookmark(7, 1000)
    assert data == b"id: epoch-7\n\n"
    assert read(data) == ([], "epoch-7")


@pytest.mark.parametrize(
    ("told", "is_reset", "kind", "data"),
    [
        (entry("k", b'"a\\nb"'), False, "value", "a\nb"),
        (entry("k", b"0"), True, "value", 0),
        (entry("k", b'""'), True, "value", ""),
        (removal("k"), False, "gone", None),
        (None, True, "gone", None),
    ],
)
def test_a_value_event_has_the_value_alone(
    told: Entry | Removal | None, is_reset: bool, kind: str, data: Any
) -> None:
    shown = [] if told is None else [told]
    (event,), last_id = read(frame_of(form_of(ValueEvents), *shown, is_reset=is_reset))
    assert (event.kind, event.json, last_id) == (kind, data, "epoch-5")


def test_a_value_event_tells_of_nothing_at_the_path() -> None:
    form = form_of(ValueEvents, path="/a")
    for value, kind in ((b'{"a":1}', "value"), (b'{"b":1}', "gone"), (b"3", "gone")):
        for is_reset in (True, False):
            (event,), _ = read(frame_of(form, entry("k", value), is_reset=is_reset))
            assert event.kind == kind


def test_a_value_that_did_not_change_is_no_event() -> None:
    assert frame_of(form_of(ValueEvents)) == b"id: epoch-5\n\n"


def feed_of(form: UpdateForm) -> WatchFeed:
    return WatchFeed(Selector("", pattern="*"), form, [])


def test_the_updates_of_a_batch_become_one_and_only_once() -> None:
    form = form_of(JsonUpdates, pattern="*")
    feed = feed_of(form)
    batch = UpdateBatch(feed, part(entry("a", b"1", 1), revision=1), b"{}")
    assert form.unite(batch).body == b"{}"
    batch = UpdateBatch(feed, part(entry("a", b"1", 1), revision=1), b"")
    batch.add_part(part(entry("b", b"2", 2), removal("c", 2), revision=2), b"")
    batch.add_part(part(entry("a", b"3", 3), revision=3), b"")
    united = form.unite(batch)
    assert united is form.unite(batch)
    told = json.loads(united.body)
    assert told["rev"] == 3
    assert {change["key"]: change.get("value") for change in told["changes"]} == {
        "a": 3,
        "b": 2,
        "c": None,
    }


def test_a_reset_in_a_batch_voids_what_came_before() -> None:
    batch = UpdateBatch(feed_of(form_of(JsonUpdates)), part(entry("a", b"1"), revision=1), b"")
    batch.add_part(part(revision=2, is_reset=True), b"")
    united = UnitedUpdate.of(batch)
    assert (united.part.changes, united.part.is_reset) == ([], True)
    assert json.loads(united.body or b"")["reset"] is True


def test_a_large_batch_has_no_body_of_its_own() -> None:
    large = b'"%b"' % (b"x" * 40_000)
    batch = UpdateBatch(feed_of(form_of(JsonUpdates)), part(entry("a", large), revision=1), b"")
    batch.add_part(part(entry("b", large), revision=2), b"")
    assert UnitedUpdate.of(batch).body is None


def pieces_of(update: Any) -> list[bytes]:
    pieces = []
    while not update.is_done:
        pieces.append(update.next_frame())
    return pieces


@pytest.mark.parametrize("count", [0, 1, 3, 40])
@pytest.mark.parametrize("is_reset", [True, False])
@pytest.mark.parametrize("path", [None, "/a", "/none"])
def test_the_pieces_of_a_body_are_one_update(count: int, is_reset: bool, path: str | None) -> None:
    value = b'{"a":"%b"}' % (b"x" * 100_000)
    told = [entry(f"k{number}", value, number + 1) for number in range(count)]
    form = form_of(JsonUpdates, path=path, pattern="*")
    update = whole_update(feed_of(form), part(*told, revision=50, is_reset=is_reset))
    update.feed = feed_of(StreamedBody(form, is_chunked=False))
    pieces = pieces_of(update)
    assert len(pieces) > 1 or count < 4
    body = json.loads(b"".join(pieces))
    assert (body["rev"], body.get("reset", False)) == (50, is_reset)
    shown = [] if path == "/none" and is_reset else told
    assert [change["key"] for change in body["changes"]] == [one.key for one in shown]


def test_a_chunked_body_has_the_same_pieces_as_chunks() -> None:
    form = form_of(JsonUpdates, pattern="*")
    value = b'"%b"' % (b"x" * 100_000)
    told = [entry(f"k{number}", value, 1) for number in range(8)]
    bodies = []
    for is_chunked in (False, True):
        update = whole_update(feed_of(form), part(*told, revision=1))
        update.feed = feed_of(StreamedBody(form, is_chunked=is_chunked))
        bodies.append(b"".join(pieces_of(update)))
    rest, body = bodies[1], b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        body, rest = body + rest[:length], rest[length:].removeprefix(b"\r\n")
    assert length == 0
    assert body == bodies[0]


# --- messages of channels ---


@pytest.mark.parametrize("channel", ["chat", 'x","event":"gap', '","event":"', "\u00fc"])
@pytest.mark.parametrize("data", [1, "a\nb", {"event": "gap"}, "x" * 200, "x" * 70_000])
def test_a_message_is_an_event_with_its_type(channel: str, data: Any) -> None:
    frames = [channel_message(channel, json.dumps(data).encode(), 5), gap(channel, 12, 6)]
    events = list(EventReader().feed(b"".join(map(event_of_message, frames))))
    assert [event.kind for event in events] == ["message", "gap"]
    assert [event.json for event in events] == [
        {"channel": channel, "event": "message", "data": data, "timestamp": 5},
        {"channel": channel, "event": "gap", "data": {"missed": 12}, "timestamp": 6},
    ]
    assert {event.last_id for event in events} == {""}


@pytest.mark.parametrize("piece", [COMMENT, RETRY, b"HTTP/1.1 200 OK\r\n\r\n"])
def test_what_is_no_message_stays_as_it_is(piece: bytes) -> None:
    assert event_of_message(piece) is piece
