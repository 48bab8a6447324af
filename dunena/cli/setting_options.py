"""Options of commands made from the table of settings, and `Settings` made from their values."""

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec, cast

from typer import BadParameter, Context, Option

from dunena.cli import server_settings
from dunena.cli.server_settings import SettingError
from dunena.setting_table import GivenSettings, PathKind, Row, rows
from dunena.settings import Settings

_GIVEN = "given"
"""Name of the parameter of a command that the options replace."""

_Rest = ParamSpec("_Rest")
_Command = Callable[Concatenate[Context, GivenSettings, _Rest], None]


def option_of(
    row: Row, text: str = "", *, shows_variable: bool = True, is_hidden: bool = False
) -> Any:
    """Make the option for a setting, for `Annotated`; ``text`` replaces the setting's help."""
    setting = row.setting
    told = f"  [default: {setting.computed_default}]" if setting.computed_default else ""
    return Option(
        row.flag,
        envvar=row.variable,
        show_envvar=shows_variable,
        help=text or row.help + told,
        min=setting.minimum,
        max=setting.maximum,
        metavar=setting.metavar,
        exists=setting.must_exist,
        file_okay=setting.path_kind is not PathKind.FOLDER,
        dir_okay=setting.path_kind is not PathKind.FILE,
        hidden=is_hidden,
    )


def takes_settings(
    *, listed: frozenset[str] | None = None
) -> Callable[[_Command[_Rest]], Callable[..., None]]:
    """Return a decorator that replaces a command's parameter ``given`` by an option per setting.

    ``listed`` are the names of the settings that the help lists, each with its variable. None
    lists all settings without their variables, so that the help fits a screen; the help then says
    how a variable is named.
    """

    def decorate(command: _Command[_Rest]) -> Callable[..., None]:
        @wraps(command)
        def run(context: Context, **values: Any) -> None:
            given = GivenSettings(**{name: values.pop(name) for name in rows()})
            cast(Any, command)(context, given, **values)

        # Typer reads the options from the signature.
        cast(Any, run).__signature__ = Signature(list(_parameters(command, listed)))
        return run

    return decorate


def _parameters(command: Callable[..., None], listed: frozenset[str] | None) -> Iterator[Parameter]:
    """Yield the parameters of a command, with one for each setting in the place of ``given``."""
    for parameter in signature(command).parameters.values():
        if parameter.name != _GIVEN:
            kind = parameter.kind if parameter.annotation is Context else Parameter.KEYWORD_ONLY
            yield parameter.replace(kind=kind)
            continue
        for row in rows().values():
            is_listed = listed is None or row.name in listed
            option = option_of(row, shows_variable=listed is not None, is_hidden=not is_listed)
            yield Parameter(
                row.name,
                Parameter.KEYWORD_ONLY,
                default=row.default,
                annotation=cast(Any, Annotated)[row.type, option],
            )


def with_values(words: list[str]) -> list[str]:
    """Return the words of a command line with the values of options that were typed without one."""
    alone = {row.flag: row.setting.value_alone for row in rows().values()}
    complete = []
    for word, following in zip(words, [*words[1:], "-"], strict=False):
        complete.append(word)
        if alone.get(word) and following.startswith("-"):
            complete.append(alone[word])
    return complete


def source_of(context: Context, row: Row) -> str | None:
    """Return the flag or the variable that gave a setting; None if it has its default."""
    source = context.get_parameter_source(row.name)
    names = {"COMMANDLINE": row.flag, "ENVIRONMENT": row.variable}
    return names.get(source.name) if source is not None else None


def sources_of(context: Context) -> dict[str, str | None]:
    """Return for the name of each setting what `source_of` says of it."""
    return {row.name: source_of(context, row) for row in rows().values()}


def settings_of(
    given: GivenSettings,
    cache_dir: Path | None,
    www: Path | None,
    sources: Mapping[str, str | None] | None = None,
) -> Settings:
    """Do what `server_settings.settings_of` does, but raise `BadParameter`, as typer shows it."""
    try:
        return server_settings.settings_of(given, cache_dir, www, sources)
    except SettingError as error:
        raise BadParameter(str(error), param_hint=error.flag) from None
