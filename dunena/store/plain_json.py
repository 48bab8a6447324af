"""Whether JSON is a string that is written without escapes, as most values of programs are."""

from collections.abc import Callable

import orjson

_QUOTE = b'"'


def _is_plain_string(text: bytes) -> bool:
    """Return whether text is the JSON of an ASCII string in which nothing is escaped.

    It is compact JSON then: there is no shorter way to write it.
    """
    if not text.startswith(_QUOTE):
        return False
    try:
        decoded: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    # Each escape, each character outside of ASCII and each space around it makes the JSON longer.
    return isinstance(decoded, str) and len(decoded) + 2 == len(text)


is_plain_string: Callable[[bytes], bool] = _is_plain_string

try:
    from dunena.store import _plain_json
except ImportError:
    pass
else:
    is_plain_string = _plain_json.is_plain_string  # the same, without decoding it
