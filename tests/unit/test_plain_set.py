"""The plain `set` is read like any other message, or not at all."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.dialects.dialect import Dialect
from dunena.dialects.plain_set import PlainKeys, may_be_plain_set, read_plain_set
from dunena.store.limits import KEY_BYTES_MAX
from dunena.store.values import InvalidJsonError, decode, encode
from tests.support.rooms import Client, Rooms

HEAD = b'{"action":"set","key":"'
MIDDLE = b'","value":'

_PIECES = st.sampled_from(
    (
        *(HEAD, MIDDLE, b'"', b"\\", b"}", b"{", b"[", b"]", b",", b":", b" ", b"\n", b"\x01"),
        *(b"\x7f", b"1", b"-0", b"1.0", b"1e5", b"null", b'"x"', b'"ns":"n"', b'"ttl":1', b'\\"'),
        *("ü€😀".encode(), b"\xff", b"18446744073709551616", b"1e-400", b"\\u0041"),
        *(b'"value":2', b'"a":1,"a":2'),
    )
)


def read_whole(text: bytes) -> tuple[str, bytes]:
    """What a message says when it is decoded as a whole."""
    message = decode(text)
    return message["key"], encode(message["value"])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("k", "text"),
        ("with space", ""),
        ("ünïcödé", "ünïcödé"),
        ("own:000001", "x" * 1000),
        ("k", 'a/b\n"'),
        ("k", 0),
        ("k", 18446744073709551615),
        ("k", 1.5),
        ("k", None),
        ("k", True),
        ("k", [1, {"a": "b\n"}]),
        ("k", {"value": 1, "key": [None]}),
        ("x" * KEY_BYTES_MAX, 1),
    ],
)
def test_a_plain_set_is_read(key: str, value: Any) -> None:
    text = orjson.dumps({"action": "set", "key": key, "value": value})
    found = read_plain_set(text, PlainKeys())
    assert found is not None
    assert (found.key, found.value) == read_whole(text) == (key, orjson.dumps(value))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        HEAD,
        HEAD + MIDDLE,
        HEAD + b"k" + MIDDLE,
        HEAD + b"k" + MIDDLE + b"}",
        HEAD + MIDDLE + b"1}",
        HEAD + b"k" + MIDDLE + b'"x}',
        HEAD + b"k" + MIDDLE + b"1}\n",
        HEAD + b"k" + MIDDLE + b" 1}",
        HEAD + b"k" + MIDDLE + b'"x" }',
        HEAD + b"k" + MIDDLE + b'"\\u0041"}',
        HEAD + b"k" + MIDDLE + b"-0}",
        HEAD + b"k" + MIDDLE + b"1e5}",
        HEAD + b"k" + MIDDLE + b"18446744073709551616}",
        HEAD + b"k" + MIDDLE + b'{"a":1,"a":2}}',
        HEAD + b"k" + MIDDLE + b'1,"ttl":5}',
        HEAD + b"k" + MIDDLE + b'1,"value":2}',
        HEAD + b'k","ns":"n' + MIDDLE + b"1}",
        HEAD + b'k\\"' + MIDDLE + b"1}",
        HEAD + b"k\\" + MIDDLE + b"1}",
        HEAD + b"k\n" + MIDDLE + b"1}",
        HEAD + b"k\x7f" + MIDDLE + b"1}",
        HEAD + b"k\xff" + MIDDLE + b"1}",
        HEAD + "k\u0085".encode() + MIDDLE + b"1}",
        HEAD + b"k" + MIDDLE + b'"\xff"}',
        HEAD + b"k" * (KEY_BYTES_MAX + 1) + MIDDLE + b"1}",
        b'{"key":"k","action":"set","value":1}',
        b'{"action":"set", "key":"k","value":1}',
        b'{"action":"delete","key":"k","value":1}',
        b'{"type":"set","key":"k","value":1}',
    ],
)
def test_any_other_message_is_left_to_be_decoded(text: bytes) -> None:
    assert read_plain_set(text, PlainKeys()) is None


@given(st.lists(_PIECES, max_size=4), st.lists(_PIECES, max_size=6))
def test_what_is_read_is_what_decoding_would_find(name: list[bytes], rest: list[bytes]) -> None:
    text = HEAD + b"".join(name) + MIDDLE + b"".join(rest) + b"}"
    found = read_plain_set(text, PlainKeys())
    if found is not None:
        assert set(decode(text)) == {"action", "key", "value"}
        assert (found.key, found.value) == read_whole(text)


def test_a_key_is_read_once_and_its_value_each_time() -> None:
    known = PlainKeys()
    for value in (b"1", b"2", b'"x"'):
        found = read_plain_set(HEAD + b"k" + MIDDLE + value + b"}", known)
        assert found is not None
        assert (found.key, found.value) == ("k", value)
    assert known.by_beginning == {HEAD + b"k": "k"}
    assert read_plain_set(HEAD + b"k" + MIDDLE + b"x}", known) is None


@pytest.mark.parametrize("first", ["a", "aa", "aaa", '","value":', "é"])
@pytest.mark.parametrize("second", ["b", "bb", "bbb", '","value":', "é"])
def test_a_key_is_found_whatever_the_last_one_was(first: str, second: str) -> None:
    known = PlainKeys()
    texts = [
        orjson.dumps({"action": "set", "key": key, "value": value})
        for key in (first, second, first)
        for value in ('x","value":"y', [1], second)
    ]
    for text in (*texts, *texts):
        found = read_plain_set(text, known)
        if found is not None:
            assert (found.key, found.value) == read_whole(text)
        assert (found is None) == (read_plain_set(text, PlainKeys()) is None)
    assert known.middle in (0, *(len(beginning) for beginning in known.by_beginning))


@pytest.mark.parametrize("text", [b"", b"{", b"}", HEAD, HEAD + b"k", HEAD + b"k" + MIDDLE])
def test_a_message_that_ends_early_is_none(text: bytes) -> None:
    known = PlainKeys()
    assert read_plain_set(HEAD + b"k" + MIDDLE + b"1}", known) is not None
    assert read_plain_set(text, known) is None
    assert not may_be_plain_set(text) or text.startswith(HEAD)


def test_a_get_never_looks_like_a_plain_set() -> None:
    assert may_be_plain_set(HEAD + b"k" + MIDDLE + b"1}")
    assert not may_be_plain_set(b'{"action":"get","key":"s"}')
    assert not may_be_plain_set(b'{"action": "set","key":"s"}')


def test_few_beginnings_are_remembered_and_no_long_ones() -> None:
    known = PlainKeys()
    for number in range(5_000):
        read_plain_set(HEAD + b"%d" % number + MIDDLE + b"1}", known)
        assert len(known.by_beginning) <= 4096
    assert read_plain_set(HEAD + b"4999" + MIDDLE + b"1}", known) is not None
    assert read_plain_set(HEAD + b"long" * 100 + MIDDLE + b"1}", known) is not None
    assert max(map(len, known.by_beginning)) <= 256


def test_a_value_is_as_deep_as_it_may_be_in_any_message() -> None:
    depths = set()
    for depth in range(240, 270):
        text = HEAD + b"k" + MIDDLE + b"[" * depth + b"]" * depth + b"}"
        try:
            read_whole(text)
        except InvalidJsonError:
            assert read_plain_set(text, PlainKeys()) is None
        else:
            assert read_plain_set(text, PlainKeys()) is not None
            depths.add(depth)
    assert 240 in depths
    assert 269 not in depths


@pytest.mark.parametrize("dialect", [Dialect.AUTO, Dialect.OBJECT_STORE])
def test_a_plain_set_is_carried_out_and_counted_like_another(dialect: Dialect) -> None:
    rooms = Rooms()
    client = Client(rooms, dialect)
    plain = HEAD + b"k" + MIDDLE + b'{"a":1}}'
    for text in (plain, plain, plain.replace(b",", b", ")):
        client.say(text)
        assert client.heard() == []
        entry = rooms.store.peek("", "k", 0)
        assert entry is not None
        assert entry.value == b'{"a":1}'
    stats = rooms.services.stats
    assert stats.plain_sets + stats.object_store["set"] == 3
