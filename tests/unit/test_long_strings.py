"""A long string is found in a text, and the text is decoded as if it had not been."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.store import values
from dunena.store.long_strings import LONG_TEXT_BYTES, find_long_string
from dunena.store.values import InvalidJsonError, decode, encode, encode_member

LONG = "x" * LONG_TEXT_BYTES


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def outcome(text: bytes, decode: Any) -> Any:
    """What decoding comes to: the value, and its members in order, or the fault."""
    try:
        value = decode(text)
    except InvalidJsonError as error:
        return error.reason, error.line, error.column
    return value, list(value) if isinstance(value, dict) else None


def whole(text: bytes) -> Any:
    """The outcome of decoding a text as one whole."""
    return outcome(text, values._decode)


MESSAGES = [
    {"action": "set", "key": "k", "value": LONG},
    {"type": "set", "value": LONG, "key": "k", "ttl": 5},
    {"value": LONG},
    {"a": 1, "b": [1, {"c": "d"}], "e": LONG, "f": ["g", 2.5, None]},
    {"action": "set", "key": "ключ", "value": "漢" * LONG_TEXT_BYTES},
    {"action": "set", "key": "k", "value": "\x7f😀 " + LONG},
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: str(message)[:30])
@pytest.mark.parametrize("indent", [None, 2])
def test_the_long_string_of_a_message_is_found_and_put_back(
    message: dict[str, object], indent: int | None
) -> None:
    text = json.dumps(message, indent=indent, ensure_ascii=False).encode()
    found = find_long_string(text)
    assert found is not None
    assert found.string in message.values()
    assert len(found.rest) < 300
    assert decode(text) == message
    assert list(decode(text)) == list(message)
    decoded = decode(text)
    assert encode(decoded) == compact(message)
    assert {name: encode_member(decoded, name) for name in decoded} == {
        name: compact(member) for name, member in message.items()
    }
    decoded[next(iter(decoded))] = LONG + "!"
    assert encode_member(decoded, next(iter(decoded))) == compact(LONG + "!")


@pytest.mark.parametrize(
    "message",
    [
        LONG,
        [LONG],
        {"a": {"value": LONG}},
        {LONG: 1},
        {"a": [{LONG: "b"}], "c": "d"},
        {"value": LONG, "other": LONG},
        {"value": LONG + "\n"},
        {"value": LONG + '"'},
        {"value": LONG + "\\"},
        {"a\\": 1, "value": LONG},
        {"value": LONG, "a\n": 1},
        {"value": LONG, "a": "the long string"},
        {"the long string": 1, "value": LONG},
        {**{f"field{number}": "x" for number in range(40)}, "value": LONG},
        {"value": [str(number) for number in range(5000)]},
        {"value": list(range(5000))},
    ],
    ids=lambda message: str(message)[:30],
)
def test_any_other_large_text_is_decoded_as_a_whole(message: object) -> None:
    text = compact(message)
    assert decode(text) == message
    assert outcome(text, decode) == whole(text)


def test_an_escaped_name_of_the_place_is_not_taken_for_the_long_string() -> None:
    for escaped in (r"the\u0020long string", r"the long strin\u0067"):
        text = f'{{"a":{{"value":"{LONG}"}},"b":"{escaped}"}}'.encode()
        assert decode(text) == {"a": {"value": LONG}, "b": "the long string"}


FAULTS = [
    f'{{"value":"{LONG}\x01"}}'.encode(),
    f'{{"value":"{LONG}\n"}}'.encode(),
    f'{{"value":"{LONG}'.encode() + b'\xff"}',
    f'{{"value":"{LONG}'.encode() + b'\xed\xa0\x80"}',
    f'{{"value":"\xe4{LONG}'.encode() + b'\xc3"}',
    f'{{"value":"{LONG}'.encode(),
    f'{{"value":"{LONG}"'.encode(),
    f'{{"value":"{LONG}"}}}}'.encode(),
    f'{{"value":"{LONG}" "a"}}'.encode(),
    f'{{"value" "{LONG}"}}'.encode(),
    f'{{"value":,"{LONG}"}}'.encode(),
    f'{{"value":"{LONG}",}}'.encode(),
    f'{{"value":1"{LONG}"}}'.encode(),
    f'{{"value":"{LONG}","value":1}}'.encode(),
    f'{{"value":"a","value":"{LONG}"}}'.encode(),
    f'{{"value":"{LONG}","n":18446744073709551616}}'.encode(),
    f'{{"value":"{LONG}","n":1e-400}}'.encode(),
    f'{{"value":"{LONG}","n":01}}'.encode(),
    f'{{"a":"\\","value":"{LONG}"}}'.encode(),
    f'\\"value":"{LONG}"'.encode(),
    f'{{"value":"{LONG}\\"}}'.encode(),
    b'"' + LONG.encode(),
    LONG.encode(),
    b"[" * LONG_TEXT_BYTES,
    f'{{"value":"{LONG}","n":{"[" * 300}{"]" * 300}}}'.encode(),
]


@pytest.mark.parametrize("text", FAULTS, ids=lambda text: f"{text[:12]!r} {text[-24:]!r}")
def test_a_fault_is_found_where_it_is_in_the_whole_text(text: bytes) -> None:
    with pytest.raises(InvalidJsonError):
        decode(text)
    assert outcome(text, decode) == whole(text)


def test_a_negative_zero_beside_the_long_string_is_kept() -> None:
    kept = decode(f'{{"value":"{LONG}","n":-0}}'.encode())
    assert encode(kept) == f'{{"value":"{LONG}","n":-0.0}}'.encode()


SIGNS = '"\\{}[]:, \n\x00ü'
TOKENS = ["1", "-0", "null", '"a"', '"value"', '"value":', '"a":"b",', r"\u0061", r"\"", LONG]
pieces = st.sampled_from([*SIGNS, *TOKENS, "the long string", '"the long string"'])


@given(st.lists(pieces, max_size=12), st.lists(pieces, max_size=12))
def test_any_text_around_a_long_one_is_decoded_as_a_whole(
    before: list[str], after: list[str]
) -> None:
    for text in (
        "".join(before) + LONG + "".join(after),
        f'{{"a":"{"".join(before)}{LONG}{"".join(after)}"}}',
        f'{{{"".join(before)}"value":"{LONG}"{"".join(after)}}}',
    ):
        assert outcome(text.encode(), decode) == whole(text.encode())
