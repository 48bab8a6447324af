"""Strict JSON: a value is kept exactly or refused."""

import json
import math
import sys
from collections.abc import Callable
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.store.limits import JSON_DEPTH_MAX
from dunena.store.values import (
    READABLE_BYTES_MAX,
    InvalidJsonError,
    as_text,
    decode,
    decode_file,
    encode,
    encode_readable,
    file_bytes_max,
    text_size,
    without_mark,
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


@given(json_values, st.sampled_from([None, 2]), st.booleans())
def test_a_json_value_survives_encoding_and_decoding(
    value: object, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    kept = encode(decode(text))
    assert json.loads(kept) == value
    assert list(json.loads(kept)) == list(value) if isinstance(value, dict) else True
    assert decode_file(encode_readable(kept)) == value


@pytest.mark.parametrize(
    "number", ["0", "-9223372036854775808", "18446744073709551615", "0.1", "-1.5e-300", "1e21"]
)
def test_numbers_keep_their_value_and_type(number: str) -> None:
    value = decode(number.encode())
    assert value == json.loads(number)
    assert type(value) is type(json.loads(number))


@pytest.mark.parametrize("read", [decode, decode_file])
@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (b"-0", b"-0.0"),
        (b"-0.0", b"-0.0"),
        (b"-0e5", b"-0.0"),
        (b"0e-999", b"0.0"),
        (b"0.000", b"0.0"),
        (b'[ -0, 0, {"-0": "-0"}, -0.5, 18446744073709551615 ]', b'[-0.0,0,{"-0":"-0"},-0.5,'),
        (b"5e-324", b"5e-324"),
    ],
)
def test_zero_keeps_its_sign_through_encoding(
    read: Callable[[bytes], object], text: bytes, kept: bytes
) -> None:
    assert encode(read(text)).startswith(kept)
    assert decode_file(encode_readable(encode(read(text)))) == read(text)


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,4})?([eE][+-]?[0-9]{1,3})?", fullmatch=True))
def test_a_number_is_the_nearest_float_or_refused_and_never_another_sign(text: str) -> None:
    exact = Decimal(text)
    try:
        value = decode(f'{{"n":[{text}]}}'.encode())["n"][0]
    except InvalidJsonError:
        assert exact != 0
        assert float(text) in (0, math.inf, -math.inf)
        return
    assert value == float(text)
    assert (value == 0) == (exact == 0)
    assert math.copysign(1, value) == (-1 if exact.is_signed() else 1)


REFUSED = [
    b"",
    b"{",
    b"nul",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e400",
    b"-1e400",
    b"1e-400",
    b'{"a":[-0.5E-999]}',
    b"18446744073709551616",
    b"-9223372036854775809",
    b'{"a":[{"b":99999999999999999999999}]}',
    b"1" * 5000,
    b'{"a":1,"a":1}',
    b'{"a":"","a":""}',
    b'{"a":null,"a":false}',
    b'{"a":"x","b":"yy","a":"zzz"}',
    b'{"a":1,"\\u0061":2}',
    b'[{"x":{"k":1,"b":2,"k":3}}]',
    b'"\\ud800"',
    b'{"\\udfff":1}',
    b'"\xff"',
    b'"\xed\xa0\x80"',
    b"\xef\xbb\xbf\xef\xbb\xbf1",
    b"'a'",
    b"[1,]",
    b"01",
    b'"\x01"',
    b"[" * (JSON_DEPTH_MAX + 1) + b"]" * (JSON_DEPTH_MAX + 1),
    b"[" * 100_000,
    b"1 2",
]


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: repr(text[:24]))
def test_a_value_that_cannot_be_kept_exactly_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidJsonError):
        decode(text)
    with pytest.raises(InvalidJsonError):
        decode_file(text)


@given(
    st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.booleans() | st.none()),
    st.integers(0, 10),
    st.booleans(),
)
def test_an_object_of_simple_members_is_read_in_whatever_form(
    members: dict[str, object], twice: int, is_ascii: bool
) -> None:
    text = json.dumps(members, ensure_ascii=is_ascii, separators=(",", ":"))
    for form in (text, text.replace(":", " : "), f" {text}\n"):
        assert decode(form.encode()) == json.loads(form)
    pairs = list(members.items())
    if pairs:
        pairs.append(pairs[twice % len(pairs)])
        again = ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs)
        with pytest.raises(InvalidJsonError):
            decode(f"{{{again}}}".encode())


def test_the_deepest_allowed_nesting_is_kept() -> None:
    for space in (b"", b" "):
        text = b"[" * JSON_DEPTH_MAX + space + b"]" * JSON_DEPTH_MAX
        assert encode(decode(text)) == text.replace(b" ", b"")


@pytest.mark.parametrize("digits", ["100000000000000000000", "-147573952589676410000"])
def test_a_file_may_hold_a_float_as_javascript_writes_it(digits: str) -> None:
    assert decode_file(digits.encode()) == float(digits)
    with pytest.raises(InvalidJsonError):
        decode(digits.encode())


def test_a_file_with_an_integer_over_64_bits_no_float_prints_as_is_refused() -> None:
    with pytest.raises(InvalidJsonError, match="64 bits"):
        decode_file(b"147573952589676412929")


INTEGERS_AT_THE_EDGE = [
    "9223372036854775808",
    "-9223372036854775807",
    "-9223372036854775808",
    "18446744073709551614",
    "18446744073709551615",
]


@pytest.mark.parametrize("read", [decode, decode_file])
@pytest.mark.parametrize("digits", INTEGERS_AT_THE_EDGE)
@pytest.mark.parametrize("other", ["-0", "0e1", "1"])
def test_a_64_bit_integer_is_exact_beside_any_other_value(
    read: Callable[[bytes], list[object]], digits: str, other: str
) -> None:
    _, value = read(f"[{other},   {digits}]".encode())
    assert type(value) is int
    assert value == int(digits)


@pytest.mark.parametrize(
    "digits",
    [
        "-9223372036854776000",
        "18446744073709552000",
        "100000000000000000000",
        "-" + "9" * 15 + "0" * 6,
    ],
)
@pytest.mark.parametrize("other", ["-0", "1"])
def test_a_javascript_float_is_accepted_beside_any_other_value(digits: str, other: str) -> None:
    _, value = decode_file(f"[{other}, {digits}]".encode())
    assert type(value) is float
    assert value == float(digits)
    with pytest.raises(InvalidJsonError, match="64 bits"):
        decode(f"[{other}, {digits}]".encode())


@pytest.mark.parametrize("read", [decode, decode_file])
@pytest.mark.parametrize("text", ["0E-999", "-0E5", "0.00e-400", "-0.0E400", "0e0"])
def test_a_zero_may_have_any_exponent(read: Callable[[bytes], object], text: str) -> None:
    value = read(text.encode())
    assert value == 0
    assert math.copysign(1, value) == (-1 if text.startswith("-") else 1)


@pytest.mark.parametrize("read", [decode, decode_file])
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1e-400", "a number is too small for a float"),
        ("-0.001E-400", "a number is too small for a float"),
        ("0." + "0" * 400 + "1", "a number is too small for a float"),
        ("[18446744073709551616]", "an integer is past 64 bits"),
        ("[-9223372036854775809]", "an integer is past 64 bits"),
        ('{"a":{"b":1,"b":1}}', "an object has the same key twice"),
        ("[" * (JSON_DEPTH_MAX + 1) + "]" * (JSON_DEPTH_MAX + 1), "nested too deeply"),
    ],
)
def test_an_error_without_a_position_has_a_reason(
    read: Callable[[bytes], object], text: str, reason: str
) -> None:
    with pytest.raises(InvalidJsonError) as caught:
        read(text.encode())
    assert (caught.value.reason, caught.value.line, caught.value.column) == (reason, 0, 0)
    assert str(caught.value) == reason


def test_an_invalid_json_error_names_line_and_column() -> None:
    with pytest.raises(InvalidJsonError) as caught:
        decode(b'{\n  "a": 1,\n  "b" 2\n}')
    assert (caught.value.line, caught.value.column) == (3, 7)
    assert caught.value.args == (caught.value.reason,)
    assert str(caught.value).endswith("(line 3, column 7)")


@pytest.mark.parametrize(
    ("encoded", "text"),
    [
        (b'"plain"', "plain"),
        (b'"\\"\\n\\u0001"', '"\n\x01'),
        ('"\u00e9\u20ac\U0001f600"'.encode(), "\u00e9\u20ac\U0001f600"),
        (b'""', ""),
        (b"null", "null"),
        (b'{"a":[1,2]}', '{"a":[1,2]}'),
    ],
)
def test_as_text_and_text_size_unescape_a_string(encoded: bytes, text: str) -> None:
    assert as_text(encoded) == text
    assert text_size(encoded) == len(text.encode())


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_size_is_the_utf_8_length_of_any_string(text: str) -> None:
    assert text_size(encode(text)) == len(text.encode())


def test_encode_readable_indents_by_two_spaces() -> None:
    assert encode_readable(b'{"a":[1,{"b":null}]}') == (
        b'{\n  "a": [\n    1,\n    {\n      "b": null\n    }\n  ]\n}'
    )
    assert encode_readable(b'"text"') == b'"text"'


def test_a_byte_order_mark_is_ignored_in_files_and_never_written() -> None:
    value = decode_file(b'\xef\xbb\xbf{"a": 1}\r\n')
    assert value == {"a": 1}
    assert encode_readable(encode(value)).startswith(b"{")
    assert without_mark(b"\xef\xbb\xbf1") == without_mark(b"1") == b"1"
    with pytest.raises(InvalidJsonError):
        decode(b"\xef\xbb\xbf1")  # no program sends one in a message


def test_encode_readable_falls_back_to_the_compact_form_over_the_size_limit() -> None:
    flat = b"[" + b"1," * 400_000 + b"1]"
    deep = b"[" * 250 + b"1," * 200_000 + b"1" + b"]" * 250
    text = b'"' + b"\\u0001" * 300_000 + b'"'
    for encoded in (flat, deep, text, b"[" * 254 + b"]" * 254):
        readable = encode_readable(encoded)
        assert decode_file(readable) == decode_file(encoded)
        assert len(readable) <= file_bytes_max(text_size(encoded))
    assert encode_readable(deep) == deep
    assert encode_readable(flat) != flat


def deep_list(numbers: int, letters: int = 0) -> bytes:
    """A list of numbers a hundred lists deep, with one text of so many letters."""
    return b"[" * 100 + b"1," * numbers + b'"' + b"a" * letters + b'"' + b"]" * 100


@pytest.mark.parametrize("more", [0, 1])
def test_a_small_value_is_indented_up_to_the_readable_limit(more: int) -> None:
    letters = READABLE_BYTES_MAX - len(encode_readable(deep_list(5000))) + more
    encoded = deep_list(5000, letters)
    assert 4 * len(encoded) < READABLE_BYTES_MAX
    readable = encode_readable(encoded)
    assert (len(readable) == READABLE_BYTES_MAX) is (more == 0)
    assert (readable == encoded) is (more == 1)


@pytest.mark.parametrize("more", [0, 1])
def test_a_large_value_is_indented_up_to_four_times_its_size(more: int) -> None:
    def in_lines(encoded: bytes) -> bytes:
        return orjson.dumps(orjson.loads(encoded), option=orjson.OPT_INDENT_2)

    # A letter makes the four times of the value larger by three than the lines; each of the short
    # lists makes it larger by one.
    for short in range(3):
        start = b"[" + b"[[1]]," * 50_000 + b"[1]," * short
        bare = start + b'""]'
        letters, rest = divmod(len(in_lines(bare)) - 4 * len(bare) - more, 3)
        if not rest:
            break
    encoded = start + b'"' + b"a" * letters + b'"]'
    assert len(in_lines(encoded)) == 4 * len(encoded) + more > READABLE_BYTES_MAX
    assert encode_readable(encoded) == (encoded if more else in_lines(encoded))


def test_the_largest_file_of_text_is_the_longest_escape_of_every_byte() -> None:
    encoded = encode("\x01" * 1_100_000)
    size = len(encode_readable(encoded))
    assert size <= file_bytes_max(text_size(encoded)) <= size + READABLE_BYTES_MAX


def test_a_kept_value_takes_no_more_memory_than_its_text() -> None:
    assert sys.getsizeof(encode([1])) == sys.getsizeof(b"[1]")
