"""The promises of the command line: commands with their options, exit codes, and all settings."""

from enum import Enum
from pathlib import Path
from typing import Any, get_args

from devkit.cli_page import command_of

from dunena.cli.command_table import HAVE_SETTINGS, MODULES
from dunena.cli.failure import EXIT_CODES
from dunena.setting_table import Row, rows
from surfacekit.facts import PART, Facts, Surface, values_of

_RANGES = {"IntRange": "integer", "FloatRange": "number"}
_TYPES = {
    "BoolParamType": "nothing",
    "FloatParamType": "number",
    "IntParamType": "integer",
    "StringParamType": "text",
    "TyperPath": "path",
}


def commands() -> Surface:
    """Return the promises of all commands; those that have the settings name only their own."""
    found: Surface = {f"exit code {code}": {"means": what} for code, what in EXIT_CODES.items()}
    settings = {row.flag for row in rows().values()}
    for name in MODULES:
        found[name] = {"may": ["take settings"] if name in HAVE_SETTINGS else []}
        place = 1
        for parameter in command_of(name).params:
            is_argument = parameter.param_type_name == "argument"
            # What the help calls an argument is no promise: nobody types it.
            names = [f"argument {place}"] if is_argument else list(parameter.opts)
            if name in HAVE_SETTINGS and names[0] in settings:
                continue
            place += is_argument
            described = f"{name}{PART}{names[0]}"
            found[described] = _facts_of(parameter)
            found |= {f"{described}{PART}{other}": {} for other in names[1:]}
            found |= values_of(described, getattr(parameter.type, "choices", ()))
    return found


def settings() -> Surface:
    """Return the promises of the settings of a server, as options and as variables."""
    found: Surface = {}
    for row in rows().values():
        found[row.flag] = _facts_of_setting(row)
        if isinstance(row.type, type) and issubclass(row.type, Enum):
            found |= values_of(row.flag, [choice.value for choice in row.type])
    return found


def _facts_of(parameter: Any) -> Facts:
    kind = type(parameter.type).__name__
    facts: Facts = {
        "required": parameter.required,
        "accepts": ["text" if hasattr(parameter.type, "choices") else _type_named(kind)],
    }
    if parameter.multiple or parameter.nargs == -1:
        facts["may"] = ["repeat"]
    if parameter.envvar:
        facts["variable"] = parameter.envvar
    if not parameter.required:
        facts["default"] = _plain(parameter.default)
    if kind in _RANGES:
        limits = {"minimum": parameter.type.min, "maximum": parameter.type.max}
        facts |= {limit: value for limit, value in limits.items() if value is not None}
    return facts


def _type_named(kind: str) -> str:
    return _RANGES.get(kind) or _TYPES[kind]


def _facts_of_setting(row: Row) -> Facts:
    setting = row.setting
    facts: Facts = {"variable": row.variable, "accepts": [_kind_of(row.type)]}
    facts["default"] = setting.computed_default or _plain(row.default)
    may = ["repeat"] if list in _types_of(row.type) else []
    facts["may"] = may + (["stand alone"] if setting.value_alone or row.type is bool else [])
    limits = {"minimum": setting.minimum, "maximum": setting.maximum}
    return facts | {limit: value for limit, value in limits.items() if value is not None}


def _plain(default: Any) -> Any:
    """Return a default as JSON; "none" for None, which is one too: any value is another."""
    if default is None:
        return "none"
    if isinstance(default, Enum):
        return default.value
    return default if isinstance(default, bool | int | float) else str(default)


def _types_of(kind: Any) -> list[Any]:
    """Return the types of a union, a list as `list`; the type itself if it is none."""
    parts = get_args(kind) if not isinstance(kind, type) else (kind,)
    return [list if get_args(part) else part for part in parts]


def _kind_of(kind: Any) -> str:
    types = _types_of(kind)
    names = {bool: "nothing", int: "integer", Path: "path"}
    return next((names[part] for part in types if part in names), "text")
