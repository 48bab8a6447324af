"""Finding the one long string that a large JSON text consists of.

Most large values are one string: a picture, a document, a page. The parser takes ten times as long
for it as decoding it as UTF-8 and encoding it as JSON do together. So such a string is taken out of
the text, the rest is parsed with a short string in its place, and the long one is put back.

The result is that of the whole text. Up to the string both texts are the same bytes, and a parser
that comes to it is at the start of a string, as every earlier string was whole and had no escape.
The long one ends at the next quote, if it has no escape itself. So it only remains to find that
each of its characters may stand in a string as it is: then none of them is a quote.
"""

from typing import Any, Final

import orjson

LONG_TEXT_BYTES: Final = 16_384
"""Size from which a text is worth the search, which costs as much as parsing some 4 KB."""

_PAIRS_MAX: Final = 16  # strings before the long one, such as the other fields of a message
_BEGIN_BYTES: Final = 4096  # which a long string has without a quote or an escape
_END_BYTES: Final = 1024  # where a long string ends: behind it are some fields of a message

_QUOTE: Final = b'"'
_ESCAPE: Final = b"\\"
_PLACEHOLDER: Final = "the long string"
_ENCODED_PLACEHOLDER: Final = b"the long string"


class LongMember(dict[str, Any]):
    """A decoded object with one long ``string`` among its members, and its JSON: ``encoded``."""

    __slots__ = ("encoded", "string")

    encoded: bytes
    string: str


class LongString:
    """A long string in a JSON text, its JSON, and the ``rest`` of the text."""

    __slots__ = ("encoded", "rest", "string")

    def __init__(self, string: str, encoded: bytes, rest: bytes) -> None:
        self.string = string
        self.encoded = encoded
        self.rest = rest

    def put_into(self, value: Any) -> LongMember | None:
        """Return the decoded rest with the string at its place; None if that is impossible.

        It is possible if the string is the value of a member of the outermost object.
        """
        if not isinstance(value, dict):
            return None
        for name, member in value.items():
            if member == _PLACEHOLDER:
                whole = LongMember(value)
                whole[name] = whole.string = self.string
                whole.encoded = self.encoded
                return whole
        return None


def find_long_string(text: bytes) -> LongString | None:
    """Return the string that is nearly all of a large text; None if there is none.

    It has no escapes, nor has the text around it. The rest of the text need not be valid JSON; if
    it is, ``text`` is, too.
    """
    at = 0
    for _ in range(_PAIRS_MAX):
        start = text.find(_QUOTE, at, at + _BEGIN_BYTES) + 1
        if not start:
            return None
        end = text.find(_QUOTE, start, start + _BEGIN_BYTES)
        if text.find(_ESCAPE, start, start + _BEGIN_BYTES if end < 0 else end) >= 0:
            return None
        if end < 0:
            return _take_out(text, start)
        at = end + 1
    return None


def _take_out(text: bytes, start: int) -> LongString | None:
    """Take the string out that begins at ``start``, if it ends near the end of the text."""
    end = text.find(_QUOTE, max(start, len(text) - _END_BYTES))
    if end < 0:
        return None
    before, after = text[:start], text[end:]
    if _ESCAPE in after or _ENCODED_PLACEHOLDER in before or _ENCODED_PLACEHOLDER in after:
        return None  # no other string may be the placeholder, escaped or not
    try:
        string = str(memoryview(text)[start:end], "utf-8")
    except UnicodeDecodeError:
        return None
    # What must not stand in a string as it is, such as a quote, takes more bytes encoded.
    encoded = orjson.dumps(string)
    if len(encoded) != end - start + 2:
        return None
    return LongString(string, encoded, before + _ENCODED_PLACEHOLDER + after)
