"""Values: strict parsing of JSON text, and its storage as compact JSON.

Rule (the contract, "Numbers, strings and nesting survive as sent"): a value that cannot be stored
exactly is refused, never changed. The JSON parser (orjson) silently changes four things: of two
equal object keys it keeps the last, an integer past 64 bits becomes a float, a number too small for
a float becomes zero, and the integer -0 loses its sign. This module finds all four; it stores -0 as
-0.0, which is the same number.
"""

import json
from decimal import Decimal
from typing import Any, Final

import orjson

from dunena.store.long_strings import LONG_TEXT_BYTES, LongMember, find_long_string

# Compiled code finds a final name without a look-up, and the members of a module with two.
_LOADS: Final = orjson.loads
_DUMPS: Final = orjson.dumps
_APPEND_NEWLINE: Final[int] = orjson.OPT_APPEND_NEWLINE

INTEGER_MIN = -(2**63)
INTEGER_MAX = 2**64 - 1
_SPACES = b" \t\n\r"  # RFC 8259, 2
_MARK = b"\xef\xbb\xbf"
_SLACK_IS_LITTLE_BYTES = 131_072
_INTEGER_DIGITS_MAX = 20  # len(str(2**64)): longer text is out of range without converting it

READABLE_BYTES_MAX = 1 << 20
"""Size of a file up to which its value is always indented."""

JsonValue = Any
"""Any JSON value as Python objects: None, bool, int, float, str, list, dict."""


class InvalidJsonError(ValueError):
    """The text is no JSON, or JSON that cannot be stored exactly.

    ``line`` and ``column`` count from 1; both are 0 if the place is not known.
    """

    def __init__(self, reason: str, line: int = 0, column: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.column = column

    def __str__(self) -> str:
        if self.line:
            return f"{self.reason} (line {self.line}, column {self.column})"
        return self.reason


def without_mark(text: bytes) -> bytes:
    """Remove the byte-order mark that Windows programs write before UTF-8 text.

    RFC 8259, 8.1: a reader may ignore it; a writer must not add it.
    """
    return text.removeprefix(_MARK)


def decode(text: bytes) -> JsonValue:
    """Parse JSON text of a client; raise `InvalidJsonError` if it cannot be stored exactly."""
    if len(text) >= LONG_TEXT_BYTES:
        long = find_long_string(text)
        if long is not None:
            try:
                value = _decode(long.rest)
            except InvalidJsonError:
                return _decode(text)  # which tells the place of the fault
            whole = long.put_into(value)
            if whole is not None:
                return whole
    return _decode(text)


def _decode(text: bytes) -> JsonValue:
    value = _parse(text)
    if isinstance(value, dict) and _plain_size(value) == len(text):
        return value
    try:
        again = _DUMPS(value)
    except orjson.JSONEncodeError:
        raise InvalidJsonError("nested too deeply") from None
    # A value that encodes back to the same bytes lost nothing. Spaces are left out of the
    # comparison: a lost pair or digit shows without them too.
    if again == text or again.translate(None, _SPACES) == text.translate(None, _SPACES):
        return value
    return _checked(text, value, _CLIENT_DECODER)


def decode_file(text: bytes) -> JsonValue:
    """Parse the text of a value's file, like `decode` with two exceptions.

    JavaScript writes a float of up to 21 digits without an exponent, so a file written by a
    JavaScript store may hold an integer past 64 bits. If the digits are exactly what JavaScript
    prints for a float, they are read as that float, as every reader of the file does. A byte-order
    mark is ignored.
    """
    text = without_mark(text)
    value = _parse(text)
    try:
        # As for clients, but most files were written by this server, indented.
        if orjson.dumps(value, option=orjson.OPT_INDENT_2) == text:
            return value
    except orjson.JSONEncodeError:
        raise InvalidJsonError("nested too deeply") from None
    return _checked(text, value, _FILE_DECODER)


def encode(value: JsonValue) -> bytes:
    """Encode a decoded value as compact JSON in UTF-8."""
    # A copy, since orjson allocates 4 KB for every small text, which the store would hold; and by
    # leaving something out, as nothing else copies bytes so quickly.
    encoded: bytes = _DUMPS(value, None, _APPEND_NEWLINE)
    return encoded[:-1]


def encode_member(value: dict[str, JsonValue], name: str) -> bytes:
    """Encode a member of a decoded object, as `encode` does."""
    member = value[name]
    if type(value) is LongMember and value.string is member:
        return _without_slack(value.encoded)  # known since it was decoded
    return encode(member)


def encode_readable(encoded: bytes) -> bytes:
    """Indent an encoded value by two spaces, as a value's file holds it.

    Indentation can make a deeply nested value 250 times as large. A result that is large
    (`READABLE_BYTES_MAX`) and more than four times the value is not used: the value then stays
    compact, so that `file_bytes_max` limits the size of every file.
    """
    indented = orjson.dumps(orjson.loads(encoded), option=orjson.OPT_INDENT_2)
    if len(indented) <= READABLE_BYTES_MAX or len(indented) <= 4 * len(encoded):
        return indented
    return encoded


def file_bytes_max(value_bytes_max: int) -> int:
    """Return the size in bytes of the largest file that can hold a value of the given size.

    The longest escape of one byte of text is ``\\u0000``, six bytes; indentation is below four
    times the value or `READABLE_BYTES_MAX`.
    """
    return 6 * value_bytes_max + READABLE_BYTES_MAX


def is_string(encoded: bytes) -> bool:
    """Return whether an encoded value is a JSON string."""
    return encoded.startswith(b'"')


def as_text(encoded: bytes) -> str:
    """Return the value in the dunena dialect: a string itself, else its compact JSON text."""
    if is_string(encoded):
        text: str = orjson.loads(encoded)
        return text
    return encoded.decode()


def text_size(encoded: bytes) -> int:
    """Return the size of the result of `as_text` in bytes of UTF-8."""
    if not is_string(encoded):
        return len(encoded)
    if b"\\" not in encoded:
        return len(encoded) - 2
    return len(as_text(encoded).encode())


def _without_slack(encoded: bytes) -> bytes:
    """Return what orjson has encoded, without the memory that it takes besides: 4 to 8 KB."""
    return encoded if len(encoded) >= _SLACK_IS_LITTLE_BYTES else bytes(memoryview(encoded))


def _plain_size(members: dict[str, JsonValue]) -> int:
    """Return the size in bytes of an object of simple members as compact JSON in ASCII.

    Any text of these members is at least so long: names and strings are as long as they are, or
    longer with escapes and outside of ASCII, and spaces and lost pairs come on top. So a text of
    this size has lost nothing. Most messages are like that, and this costs half of encoding them.
    Return 0 if a member is neither a string nor a boolean nor null.
    """
    size = 1  # two braces, and a comma less than there are members
    for name, value in members.items():
        if isinstance(value, str):
            size += len(name) + len(value) + 6  # with four quotes, the colon and a comma
        elif value is None or value is True:
            size += len(name) + 8
        elif value is False:
            size += len(name) + 9
        else:
            return 0
    return size


def _parse(text: bytes) -> JsonValue:
    try:
        return _LOADS(text)
    except orjson.JSONDecodeError as error:
        raise InvalidJsonError(error.msg, error.lineno, error.colno) from None


def _checked(text: bytes, value: JsonValue, decoder: json.JSONDecoder) -> JsonValue:
    """Return the value if a slower parser finds nothing that was lost; else raise.

    ``decoder`` raises `InvalidJsonError` for what orjson changes silently.
    """
    try:
        decoder.decode(text.decode())
    except json.JSONDecodeError as error:
        raise InvalidJsonError(error.msg, error.lineno, error.colno) from None
    # Most often "-0" is in a string, and this only costs time.
    return _SIGNED_DECODER.decode(text.decode()) if b"-0" in text else value


def _pairs_without_duplicates(pairs: list[tuple[str, JsonValue]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise InvalidJsonError("an object has the same key twice")


def _integer_of_client(digits: str) -> None:
    if len(digits) > _INTEGER_DIGITS_MAX or not INTEGER_MIN <= int(digits) <= INTEGER_MAX:
        raise InvalidJsonError("an integer is past 64 bits")


def _integer_of_file(digits: str) -> None:
    if len(digits) <= _INTEGER_DIGITS_MAX and INTEGER_MIN <= int(digits) <= INTEGER_MAX:
        return
    if format(Decimal(repr(float(digits))), "f").removesuffix(".0") != digits:
        raise InvalidJsonError("an integer is past 64 bits")


def _float(text: str) -> None:
    if float(text) == 0 and text.lower().partition("e")[0].strip("-0."):
        raise InvalidJsonError("a number is too small for a float")


def _signed_integer(digits: str) -> JsonValue:  # if compiled, `float` converts every result
    if digits == "-0":
        return -0.0
    if len(digits) <= _INTEGER_DIGITS_MAX and INTEGER_MIN <= int(digits) <= INTEGER_MAX:
        return int(digits)
    return float(digits)


_CLIENT_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs_without_duplicates, parse_int=_integer_of_client, parse_float=_float
)
_FILE_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs_without_duplicates, parse_int=_integer_of_file, parse_float=_float
)
_SIGNED_DECODER = json.JSONDecoder(parse_int=_signed_integer)
