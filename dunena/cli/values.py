"""Values as they are typed: JSON, a file, or what comes through a pipe."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import orjson
from typer import BadParameter

from dunena.desktop.terminal import say
from dunena.store.values import without_mark

_UNITS = {"": 1, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class TypedValue(NamedTuple):
    """A value to be stored, exactly as it was written.

    ``is_taken_as_text`` says that it is text because it is no JSON, and not because of ``--text``.
    """

    encoded: orjson.Fragment
    is_taken_as_text: bool = False


def read_value(typed: str, *, is_text: bool, place: str = "VALUE") -> TypedValue:
    """A value that was typed: JSON or else text, so that nobody has to quote a word twice.

    ``@file`` is what is in a file, ``-`` what comes through standard input. With ``is_text`` it is
    no JSON but text. Wrong usage if it cannot be read, or if what was not typed is no JSON.
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
    """Tell on standard error whose values were stored as text, since they are no JSON."""
    for key in keys:
        say(
            f"{key} was stored as text, since it is no JSON; --text is for text of any kind",
            error=True,
        )


def read_ttl(typed: str | None) -> int | None:
    """Milliseconds, from ``1500``, ``30s``, ``5m``, ``2h`` or ``1d``."""
    if typed is None:
        return None
    number = typed.rstrip("mshd")
    unit = typed[len(number) :]
    if not number.isdecimal() or unit not in _UNITS:
        raise BadParameter(f"not a time: {typed}; examples: 1500 (ms), 30s, 5m", param_hint="--ttl")
    return int(number) * _UNITS[unit]


def _as_text(raw: bytes) -> orjson.Fragment:
    return orjson.Fragment(orjson.dumps(raw.decode("utf-8", "replace")))


def _is_elsewhere(typed: str) -> bool:
    """Whether what was typed only names where the value is."""
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
