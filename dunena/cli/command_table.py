"""Which commands there are, each loaded when it is wanted."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperGroup

MODULES = {
    "serve": "serve",
    "get": "get",
    "set": "set",
    "del": "delete",
    "mget": "mget",
    "mset": "mset",
    "keys": "keys",
    "watch": "watch",
    "events": "events",
    "stats": "stats",
    "info": "info",
    "flush": "flush",
    "export": "export",
    "import": "import_",
    "bench": "bench",
    "cert": "cert",
    "check": "check",
    "doctor": "doctor",
    "open": "open",
    "completion": "completion",
    "version": "version",
}
"""The module in this package of each command; its function is named like the module."""

_BY_HTTP = ("get", "set", "del", "mget", "mset", "keys")

_RUN_WITH = {"serve": "dunena.cli.running"} | dict.fromkeys(_BY_HTTP, "dunena.client.http")
"""What the commands whose start matters most import as they run."""


COMPLETION_VARIABLE = "_DUNENA_COMPLETE"
"""Set by a shell that asks what could come next."""


def set_up_completion() -> None:
    """Let typer answer such a shell, in words that the shell understands."""
    from typer._completion_classes import completion_init

    completion_init()


def import_command(name: str) -> None:
    """Import a command and what it runs with; a name that is none is the parser's to refuse."""
    if name in MODULES:
        import_module(f"dunena.cli.commands.{MODULES[name]}")
    if name in _RUN_WITH:
        import_module(_RUN_WITH[name])


class Commands(Mapping[str, Any]):
    """typer's commands by name. Making one means reading its module and its types."""

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
    """A group that loads the command it runs, and no other."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = cast(Any, Commands())


def _make(name: str) -> Any:
    module = MODULES[name]  # a `KeyError` is a name that is no command
    function = getattr(import_module(f"dunena.cli.commands.{module}"), module)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    # -1 is a value to be set and no option.
    alone.command(name, context_settings={"ignore_unknown_options": name == "set"})(function)
    return typer.main.get_command(alone)
