"""What operations make of one value, and what all of them in one request may cost.

Theory of operation. Decoding and encoding a large value takes more time than any operation. So a
value is decoded for the first operation that needs it and encoded after the last one, and what is
decoded or copied for one request is limited as a whole.
"""

import orjson

from dunena.dialects.errors import TOO_DEEP, LimitError, TooLargeError
from dunena.dialects.ops.missing import MISSING, MaybeValue
from dunena.store.limits import COPIES_BYTES_MAX, PARTIAL_BYTES_MAX
from dunena.store.values import JsonValue, encode


class Costs:
    """What the operations of one request have decoded and copied so far, in bytes of JSON."""

    __slots__ = ("_copied", "_decoded")

    def __init__(self) -> None:
        self._copied = 0
        self._decoded = 0

    def add_decoded(self, encoded: bytes) -> None:
        """Count a value that is about to be decoded; raise `TooLargeError` above the limit."""
        self._decoded += len(encoded)
        if self._decoded > PARTIAL_BYTES_MAX:
            what = "Value exceeds" if self._decoded == len(encoded) else "Values exceed"
            raise TooLargeError(f"{what} max size for partial changes ({PARTIAL_BYTES_MAX} bytes)")

    def add_copied(self, encoded: bytes) -> None:
        """Count a part that is about to be copied; raise `TooLargeError` above the limit."""
        self._copied += len(encoded)
        if self._copied > COPIES_BYTES_MAX:
            raise TooLargeError(f"Copies exceed max size ({COPIES_BYTES_MAX} bytes)")


class DraftValue:
    """A value while operations are applied to it; ``encoded`` is what it begins as, None for none.

    ``is_decoded`` tells whether it was decoded so far.
    """

    __slots__ = ("_decoded", "_encoded", "is_decoded")

    def __init__(self, encoded: bytes | None) -> None:
        self._encoded = encoded
        self._decoded: MaybeValue = MISSING  # or not decoded since it was put as JSON
        self.is_decoded = False

    @property
    def is_missing(self) -> bool:
        """Whether there is no value."""
        return self._encoded is None and self._decoded is MISSING

    @property
    def present_encoded(self) -> bytes | None:
        """The value as JSON if it is known as such; None if not, or for no value."""
        return self._encoded

    def decoded(self, costs: Costs) -> MaybeValue:
        """Return the value to be changed in place, `MISSING` for none; `put` must follow a change.

        Raise `TooLargeError` if decoding it costs too much.
        """
        if self._decoded is MISSING and self._encoded is not None:
            costs.add_decoded(self._encoded)
            self._decoded = orjson.loads(self._encoded)
            self.is_decoded = True
        return self._decoded

    def put(self, value: JsonValue) -> None:
        """Replace the value, which may be the decoded one with changes."""
        self._decoded = value
        self._encoded = None

    def put_encoded(self, encoded: bytes | None) -> None:
        """Replace the value by JSON; None removes it."""
        self._decoded = MISSING
        self._encoded = encoded

    def encoded(self) -> bytes | None:
        """Return the value as JSON, None for none; raise `LimitError` if it is too deep."""
        if self._encoded is None and self._decoded is not MISSING:
            self._encoded = encode_checked(self._decoded)
        return self._encoded


def encode_checked(value: JsonValue) -> bytes:
    """Encode a value as JSON; raise `LimitError` if it is nested too deeply."""
    try:
        return encode(value)
    except orjson.JSONEncodeError:
        raise LimitError(TOO_DEEP) from None


def copy_of(value: JsonValue) -> JsonValue:
    """Return a value that shares nothing with a value of a message, which must not change."""
    return orjson.loads(encode_checked(value)) if isinstance(value, dict | list) else value
