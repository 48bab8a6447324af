"""The table of commands, whose modules are imported when they are run."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, cast

import typer
from typer._click.exceptions import UsageError
from typer.core import TyperCommand, TyperGroup

MODULES = {
    "serve": "serve",
    "get": "get",
    "set": "set",
    "del": "delete",
    "mget": "mget",
    "mset": "mset",
    "incr": "incr",
    "merge": "merge",
    "append": "append",
    "touch": "touch",
    "timer": "timer",
    "history": "history",
    "revert": "revert",
    "keys": "keys",
    "watch": "watch",
    "events": "events",
    "publish": "publish",
    "stats": "stats",
    "info": "info",
    "flush": "flush",
    "export": "export",
    "import": "import_",
    "backup": "backup",
    "restore": "restore",
    "bench": "bench",
    "cert": "cert",
    "new": "new",
    "check": "check",
    "doctor": "doctor",
    "open": "open",
    "invite": "invite",
    "completion": "completion",
    "version": "version",
}
"""Module of each command in `dunena.cli.commands`; its function has the name of the module."""

_TAKES_NEGATIVE_NUMBERS = ("set", "incr", "append")
"""Commands that have -1 as an argument and not as an option."""

_SHOWN_LETTERS_MAX = 60
"""How much is shown of a word that is no command: it may be a whole file, by mistake."""

HAVE_SETTINGS = ("serve", "doctor")

_BY_HTTP = ("get", "set", "del", "mget", "mset", "keys")

_RUN_WITH = {"serve": "dunena.cli.serving"} | dict.fromkeys(_BY_HTTP, "dunena.client.http")
"""Modules that the most used commands import when they run, by command."""


def set_up_completion() -> None:
    """Register typer's completion for each shell, which answers if the variable is set."""
    from typer._completion_classes import completion_init

    completion_init()


def import_command(name: str) -> None:
    """Import a command and what it runs with; ignore an unknown name, which the parser refuses."""
    if name in MODULES:
        import_module(f"dunena.cli.commands.{MODULES[name]}")
    if name in _RUN_WITH:
        import_module(_RUN_WITH[name])


class Commands(Mapping[str, Any]):
    """typer's commands by name. A command is made, and its module imported, at the first access."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _make(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


class LazyGroup(TyperGroup):
    """A group of commands that imports only the command it runs."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = cast(Any, Commands())

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command of a word; the message for an unknown one shows its beginning."""
        word = args[0]
        if len(word) > _SHOWN_LETTERS_MAX:  # no command is that long
            word = f"{word[:_SHOWN_LETTERS_MAX]}..."
        return super().resolve_command(ctx, [word, *args[1:]])


class _TakesNegativeNumbers(TyperCommand):
    """A command that has -1 as an argument, and names an option that it does not have."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what was typed; the parser takes an unknown option for an argument too many."""
        typed = args[: args.index("--")] if "--" in args else list(args)
        try:
            return super().parse_args(ctx, args)
        except UsageError:
            known = {name for parameter in self.params for name in parameter.opts} | {"--help"}
            for word in typed:
                name = word.partition("=")[0]
                if name.startswith("--") and name not in known:
                    raise typer.BadParameter(f"no such option: {name}", ctx=ctx) from None
            raise


class _HasSettings(TyperCommand):
    """A command with the options of a server, some of which may be typed without a value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what was typed, with the values that options have when they stand alone."""
        from dunena.cli.setting_options import with_values

        return super().parse_args(ctx, with_values(args))


def _make(name: str) -> Any:
    module = MODULES[name]  # a `KeyError` is a name that is no command
    function = getattr(import_module(f"dunena.cli.commands.{module}"), module)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    takes_negative = name in _TAKES_NEGATIVE_NUMBERS
    settings = {"ignore_unknown_options": takes_negative}
    kind: type[TyperCommand] | None = _TakesNegativeNumbers if takes_negative else None
    if name in HAVE_SETTINGS:
        kind = _HasSettings
    alone.command(name, cls=kind, context_settings=settings)(function)
    return typer.main.get_command(alone)
