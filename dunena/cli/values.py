"""Values as they are typed: JSON, a file, or what comes through a pipe."""

import sys
from pathlib import Path

import orjson
from typer import BadParameter

from dunena.store.values import without_mark

_UNITS = {"": 1, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def read_value(typed: str, *, is_text: bool, place: str = "VALUE") -> orjson.Fragment:
    """A value to be stored, exactly as it was written.

    ``@file`` is what is in a file, ``-`` what comes through standard input. With ``is_text`` it is
    no JSON but text. Wrong usage if it cannot be read, or is no JSON.
    """
    raw = without_mark(_read(typed, place))
    if is_text:
        return orjson.Fragment(orjson.dumps(raw.decode("utf-8", "replace")))
    try:
        orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        hint = "; --text stores it as text" if typed[:1] not in ("@", "-") else ""
        raise BadParameter(f"not JSON: {error}{hint}", param_hint=place) from None
    return orjson.Fragment(raw.strip())


def read_ttl(typed: str | None) -> int | None:
    """Milliseconds, from ``1500``, ``30s``, ``5m``, ``2h`` or ``1d``."""
    if typed is None:
        return None
    number = typed.rstrip("mshd")
    unit = typed[len(number) :]
    if not number.isdecimal() or unit not in _UNITS:
        raise BadParameter(f"not a time: {typed}; examples: 1500 (ms), 30s, 5m", param_hint="--ttl")
    return int(number) * _UNITS[unit]


def _read(typed: str, place: str) -> bytes:
    if typed == "-":
        return sys.stdin.buffer.read()
    if not typed.startswith("@"):
        return typed.encode("utf-8", "surrogateescape")
    try:
        return Path(typed[1:]).read_bytes()
    except OSError as error:
        raise BadParameter(f"{typed[1:]}: {error.strerror}", param_hint=place) from None
