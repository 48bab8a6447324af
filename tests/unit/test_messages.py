"""Every message that the server sends, as its whole text."""

from typing import Any

import orjson
import pytest

from dunena.dialects import messages
from dunena.dialects.messages import UPDATE_BYTES_MAX, text_value
from dunena.frames import payload_of, text_frame
from dunena.store.entry import Change, ChangeKind, Entry

NOW = 1_700_000_000_000


def plain() -> Entry:
    return Entry("", "k", b"[1]", None, 7)


def named() -> Entry:
    return Entry("n", "é", b'"12"', None, 8)


PLAIN, NAMED = plain(), named()


def text_of(frame: bytes) -> str:
    payload = payload_of(frame)
    assert frame == text_frame(payload)
    return payload.decode()


def test_a_value_has_its_namespace_only_where_there_is_one() -> None:
    assert messages.value_body("", 'k"', b"[1]") == b'{"key":"k\\"","value":[1]}'
    body = messages.value_body("é", "k", b"null")
    assert body.decode() == '{"key":"k","value":null,"ns":"é"}'
    assert text_of(messages.missing_update("n", "k")) == '{"key":"k","value":null,"ns":"n"}'
    assert text_of(messages.update(plain())) == '{"key":"k","value":[1]}'
    assert text_of(messages.update(named())) == '{"key":"é","value":"12","ns":"n"}'


@pytest.mark.parametrize(
    ("size", "is_kept"), [(UPDATE_BYTES_MAX, True), (UPDATE_BYTES_MAX + 1, False)]
)
def test_an_update_is_made_once_unless_it_is_large(size: int, is_kept: bool) -> None:
    entry = Entry("", "k", b"1" * size, None, 1)
    first = messages.update(entry)
    assert (entry.update is first) is is_kept
    assert (messages.update(entry) is first) is is_kept
    assert messages.update(entry) == first


@pytest.mark.parametrize("size", [0, 80, 200, 70_000])
def test_a_result_with_a_key_is_the_reply_with_that_data(size: int) -> None:
    value = "é" * size
    for entry in (None, Entry("", "k", orjson.dumps(value), None, 1), PLAIN):
        data = messages.key_and('k"', b',"value":', messages.encoded_text(entry))
        expected = {"key": 'k"', "value": text_value(entry)}
        assert messages.result(data, NOW, None) == messages.reply("result", expected, NOW)


def test_object_store_error_escapes_the_text() -> None:
    assert text_of(messages.object_store_error('a "b"')) == '{"error":"a \\"b\\""}'


@pytest.mark.parametrize(
    ("request_id", "end"), [(None, ""), (0, ',"id":0'), ("", ',"id":""'), ("a", ',"id":"a"')]
)
def test_a_reply_ends_with_the_id_of_its_request(request_id: Any, end: str) -> None:
    reply = messages.reply("result", {"a": orjson.Fragment(b"1")}, NOW, request_id)
    assert text_of(reply) == f'{{"type":"result","data":{{"a":1}},"timestamp":{NOW}{end}}}'
    assert messages.result(b'{"a":1}', NOW, request_id) == reply
    assert text_of(messages.pong(NOW, request_id)) == f'{{"type":"pong","timestamp":{NOW}{end}}}'
    both = messages.undecided_error("one", "other", NOW, request_id)
    assert text_of(both) == (
        f'{{"type":"error","data":"one","timestamp":{NOW},"error":"other"{end}}}'
    )


def test_a_reply_to_a_request_without_an_id_has_none() -> None:
    assert messages.reply("x", None, NOW) == messages.reply("x", None, NOW, None)
    assert messages.pong(NOW) == messages.pong(NOW, None)


@pytest.mark.parametrize(
    ("change", "name", "data"),
    [
        (Change(ChangeKind.SET, "", "k", 7, entry=PLAIN), "set", '{"key":"k","size":3}'),
        (
            Change(ChangeKind.SET, "n", "é", 8, entry=NAMED),
            "set",
            '{"key":"é","size":2,"ns":"n"}',
        ),
        (Change(ChangeKind.DELETE, "", "k", 9, replaced=PLAIN), "delete", '{"key":"k"}'),
        (
            Change(ChangeKind.EXPIRED, "n", "é", 9, replaced=NAMED),
            "expired",
            '{"key":"é","ns":"n"}',
        ),
        (Change(ChangeKind.CLEAR, "", "", 9, cleared={}), "clear", "{}"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_event_describes_its_change_without_the_value(
    change: Change, name: str, data: str
) -> None:
    text = f'{{"channel":"cache","event":"{name}","data":{data},"timestamp":{NOW}}}'
    assert text_of(messages.cache_event(change, NOW)) == text


def test_the_dunena_dialect_reads_a_value_as_text() -> None:
    assert text_value(None) is None
    assert text_value(PLAIN) == "[1]"
    assert orjson.dumps(text_value(NAMED)) == b'"12"'
