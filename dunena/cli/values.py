"""Values and times as a person types them on the command line."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, cast

import orjson
from typer import BadParameter

from dunena.cli.connect_options import INTEGER_MAX
from dunena.desktop.terminal import say
from dunena.store.values import without_mark

_UNITS = {"": 1, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

_DIGITS_MAX = len(str(INTEGER_MAX))


class TypedValue(NamedTuple):
    """A value to be stored, as a fragment of JSON that keeps the typed text.

    ``is_taken_as_text``: the value was stored as text because it is no JSON, without ``--text``.
    """

    encoded: orjson.Fragment
    is_taken_as_text: bool = False


def read_value(typed: str, *, is_text: bool, place: str = "VALUE") -> TypedValue:
    """Read a typed value: as JSON, or else as text, so that nobody has to quote a word twice.

    ``@file`` reads a file, ``-`` reads standard input; both must hold JSON. With ``is_text``, any
    of the three is text. Raise `BadParameter` for a file that cannot be read or is no JSON;
    ``place`` names the parameter in the message.
    """
    raw = without_mark(_read(typed, place))
    if is_text:
        return TypedValue(_as_text(raw))
    try:
        orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if not _is_elsewhere(typed):
            return TypedValue(_as_text(raw), is_taken_as_text=True)
        hint = "--text stores it as text"
        raise BadParameter(f"not JSON: {error}; {hint}", param_hint=place) from None
    return TypedValue(orjson.Fragment(raw.strip()))


def say_taken_as_text(keys: Iterable[str]) -> None:
    """Print to standard error which keys were stored as text because their value is no JSON."""
    for key in keys:
        say(
            f"{key} was stored as text, since it is no JSON; --text is for text of any kind",
            error=True,
        )


def read_ttl(typed: str | None) -> int | None:
    """Convert the typed ``--ttl`` to ms as `read_time` does; None stays None."""
    return None if typed is None else read_time(typed, "--ttl")


def read_time(typed: str, place: str) -> int:
    """Convert ``1500``, ``30s``, ``5m``, ``2h`` or ``1d`` to ms.

    Raise `BadParameter` for anything else; ``place`` names the parameter in the message.
    """
    number = typed.rstrip("mshd")
    unit = typed[len(number) :]
    if not number.isdecimal() or unit not in _UNITS:
        raise BadParameter(f"not a time: {typed}; examples: 1500 (ms), 30s, 5m", param_hint=place)
    time = int(number) * _UNITS[unit] if len(number) <= _DIGITS_MAX else INTEGER_MAX + 1
    if time > INTEGER_MAX:
        raise BadParameter(f"more than {INTEGER_MAX} ms", param_hint=place)
    return time


def read_difference(typed: str, place: str) -> int:
    """Convert a time as `read_time` does, which may have a sign in front, to ms."""
    sign = -1 if typed.startswith("-") else 1
    return sign * read_time(typed[1:] if typed.startswith(("-", "+")) else typed, place)


def read_number(typed: str, place: str) -> int | float:
    """Read a typed number, written as in JSON.

    Raise `BadParameter` for anything else; ``place`` names the parameter in the message.
    """
    try:
        number = orjson.loads(typed)
    except orjson.JSONDecodeError:
        number = None
    if type(number) not in (int, float):
        raise BadParameter(f"not a number: {typed}", param_hint=place)
    return cast(int | float, number)


def read_json(typed: str, place: str) -> orjson.Fragment:
    """Read a typed value as `read_value` does; raise `BadParameter` if it is no JSON."""
    value = read_value(typed, is_text=False, place=place)
    if value.is_taken_as_text:
        raise BadParameter(f"not JSON: {typed}", param_hint=place)
    return value.encoded


def read_object(typed: str, place: str) -> dict[str, Any]:
    """Read a typed value as `read_value` does; raise `BadParameter` if it is no JSON object."""
    value = orjson.loads(bytes(orjson.dumps(read_value(typed, is_text=False, place=place).encoded)))
    if not isinstance(value, dict):
        raise BadParameter(f"not a JSON object: {typed}", param_hint=place)
    return value


def _as_text(raw: bytes) -> orjson.Fragment:
    return orjson.Fragment(orjson.dumps(raw.decode("utf-8", "replace")))


def _is_elsewhere(typed: str) -> bool:
    """Return whether the typed text names a file or standard input instead of being the value."""
    return typed == "-" or typed.startswith("@")


def _read(typed: str, place: str) -> bytes:
    if typed == "-":
        return sys.stdin.buffer.read()
    if not typed.startswith("@"):
        return typed.encode("utf-8", "surrogateescape")
    try:
        return Path(typed[1:]).read_bytes()
    except OSError as error:
        raise BadParameter(f"{typed[1:]}: {error.strerror}", param_hint=place) from None
