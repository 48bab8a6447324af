"""`dunena serve` as it is usually typed, read without typer, whose import costs a start some 20 ms.

Whatever is not plain is left to typer: an error, `--help`, a variable that has several values, a
path that is looked at. So this has no message of its own, and what it does read means what it
means to typer; tests compare both, option for option.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from dunena.cli.start_mode import StartMode
from dunena.setting_table import GivenSettings, PathKind, Row, rows

_NUMBER_DIGITS_MAX = 15
_SHARED = "store."
"""What the attributes begin with that only servers with a shared store have."""

_VARIABLE_BOOLS = {"1": True, "0": False}


@dataclass(frozen=True, slots=True)
class PlainServe:
    """What was typed; ``sources`` has for each setting the option or variable that gave it."""

    given: GivenSettings
    sources: dict[str, str | None]

    def serve(self, start_mode: StartMode) -> bool:
        """Run the server until it is told to stop, and exit with a code if that fails.

        Return False, having done nothing, for settings that contradict each other: typer says so.
        """
        from dunena.cli.server_settings import SettingError, settings_of
        from dunena.cli.serving import serve_given

        given = self.given
        try:
            settings = settings_of(given, given.cache_dir, given.www, self.sources)
        except SettingError:
            return False
        serve_given(given, settings, self.sources, start_mode)
        return True


class _NotPlainError(Exception):
    """Typer shall read it."""


def read(words: Sequence[str], environment: Mapping[str, str]) -> PlainServe | None:
    """Read the words of a command line without the program's name; None if they are not plain."""
    if not words or words[0] != "serve":
        return None
    try:
        typed = _typed(words[1:])
        values: dict[str, Any] = {}
        sources: dict[str, str | None] = dict.fromkeys(rows())
        for name, row in rows().items():
            if name in typed:
                values[name], sources[name] = _typed_value(row, typed[name]), row.flag
            elif environment.get(row.variable):
                text = environment[row.variable]
                values[name], sources[name] = _variable_value(row, text), row.variable
    except _NotPlainError:
        return None
    return PlainServe(GivenSettings(**values), sources)


def _typed(words: Sequence[str]) -> dict[str, list[str]]:
    """Return the texts of each option that was typed, by the name of its setting."""
    by_flag = {row.flag: row for row in rows().values()}
    typed: dict[str, list[str]] = {}
    rest = iter(words)
    for word in rest:
        flag, equals, text = word.partition("=")
        row = by_flag.get(flag)
        if row is None:
            raise _NotPlainError
        if row.type is bool:
            if equals or row.held_as.startswith(_SHARED):
                raise _NotPlainError
        elif not equals:
            text = next(rest, "")
            if text.startswith("-"):  # perhaps another option, whose value is missing
                raise _NotPlainError
        typed.setdefault(row.name, []).append(text)
    return typed


def _typed_value(row: Row, texts: list[str]) -> Any:
    kind = _kind(row)
    if kind is bool:
        return True
    if kind == list[str]:
        if not all(texts):
            raise _NotPlainError
        return texts
    if len(texts) > 1:
        raise _NotPlainError
    return _value(row, kind, texts[0])


def _variable_value(row: Row, text: str) -> Any:
    kind = _kind(row)
    if kind is bool:
        if text not in _VARIABLE_BOOLS:
            raise _NotPlainError
        return _VARIABLE_BOOLS[text]
    return _value(row, kind, text)


def _kind(row: Row) -> Any:
    """Return the type of a setting that is given, where None is for one that is not."""
    kinds = get_args(row.type)
    return kinds[0] if type(None) in kinds else row.type


def _value(row: Row, kind: Any, text: str) -> Any:
    """Read the text of an option or variable that has one value."""
    setting = row.setting
    if not text or text.strip() != text or row.held_as.startswith(_SHARED):
        raise _NotPlainError
    if kind is str:
        return text
    if kind is int:
        return _number(row, text)
    if kind is Path:
        if not _is_plain_path(text, setting.path_kind, must_exist=setting.must_exist):
            raise _NotPlainError
        return Path(text)
    if isinstance(kind, type) and issubclass(kind, Enum):
        for member in kind:
            if member.value == text:
                return member
    raise _NotPlainError


def _number(row: Row, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _NUMBER_DIGITS_MAX):
        raise _NotPlainError
    number, setting = int(text), row.setting
    if setting.minimum is not None and number < setting.minimum:
        raise _NotPlainError
    if setting.maximum is not None and number > setting.maximum:
        raise _NotPlainError
    return number


def _is_plain_path(text: str, kind: PathKind | None, *, must_exist: bool) -> bool:
    """Return whether typer takes a path: nothing is there, or what is wanted and can be read."""
    if not os.path.lexists(text):
        return not must_exist
    path = Path(text)
    is_kind = path.is_dir() if kind is PathKind.FOLDER else path.is_file()
    return is_kind and os.access(path, os.R_OK)
