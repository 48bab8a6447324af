"""GET writes: an operation whose fields stand in an address, answered with the new value as text.

They are for buttons of devices and programs that can open an address and nothing else. Who may send
them is none of this module's business (`dunena.server.get_writes`).

Rules. A field is read as JSON if it is JSON, else as a string: ``value=3`` is a number,
``value=on`` and ``value=007`` are strings, and ``value="3"`` is the string 3. Names and paths are
always strings. Fields that begin with an underscore are ignored, as programs add such ones so that
no answer is taken from a cache. Any other unknown field is an error, as what is mistyped would be
lost.
"""

import orjson

from dunena.dialects.dialect import Message
from dunena.dialects.errors import InvalidFieldError
from dunena.dialects.fields import refuse_unknown
from dunena.dialects.formats import text_of
from dunena.dialects.operations import answer_operation
from dunena.dialects.ops.pointer import NothingThereError, parse_pointer, value_at
from dunena.dialects.services import Services, namespace_of, unicode_name
from dunena.store.values import InvalidJsonError, JsonValue, decode

_NAMES = frozenset(("ns", "path", "do", "epoch", "idempotencyKey"))
"""Fields that are strings, whatever they look like."""

FIELDS = (
    "ns", "path", "value", "values", "patch", "by", "min", "max", "ttl", "then", "do", "ms", "rate",
    "ifRev", "epoch", "toRev", "durable", "idempotencyKey",
)  # fmt: skip
"""The fields that an address may have."""


def answer_get_write(
    services: Services, op: str, key: str, fields: dict[str, str], now: int
) -> str:
    """Carry out an operation; return the new value at its path as text. ``now`` is Unix ms.

    The text is empty if nothing is there any more, or if the sender may not read it. Raise
    `ClientError` if nothing was done.
    """
    message = _message_of(fields)
    message["key"] = unicode_name(key, "Key")
    # Who may only write gets no value, and his button works all the same.
    may_read = services.store.may_read(namespace_of(message, unicode_name), key)
    if may_read:
        message["return"] = True
    answer = answer_operation(services, message, op, unicode_name, now)
    return _text_at(answer["value"], message, now) if may_read else ""


def _message_of(fields: dict[str, str]) -> Message:
    """Return the fields of an address as those of a message."""
    message: Message = {}
    refuse_unknown(fields, FIELDS)
    for name, text in fields.items():
        if name in _NAMES:
            message[name] = text
        elif name in FIELDS:
            message[name] = _read_value(name, text)
    return message


def _read_value(name: str, text: str) -> JsonValue:
    """Return the value of a text that is JSON; the text itself if it is not.

    Raise `InvalidFieldError` for JSON that cannot be stored exactly.
    """
    encoded = text.encode()
    try:
        return decode(encoded)
    except InvalidJsonError as error:
        try:
            orjson.loads(encoded)
        except orjson.JSONDecodeError:
            return text
        raise InvalidFieldError(f"{name} cannot be stored exactly: {error.reason}") from None


def _text_at(value: orjson.Fragment | None, message: Message, now: int) -> str:
    """Return what stands at the message's path of a key's whole value as text, "" for nothing."""
    if value is None:
        return ""
    encoded = orjson.dumps(value)
    path = message.get("path")
    if path is not None:
        try:
            part = value_at(orjson.loads(encoded), parse_pointer(path))
        except NothingThereError:
            return ""
        encoded = orjson.dumps(part)
    return text_of(encoded, now)
