"""docs/cli.md, made from the help of every command."""

from typing import Any

import typer

from dunena.cli.command_table import MODULES
from dunena.cli.failure import EXIT_CODES
from dunena.cli.program import app

COLUMNS = 80

_HEAD = """\
# The command line

`dunena serve` runs a server. Most other commands send a request to a running server, from a
terminal, a script or a cron job. This page is made from their `--help` by
`python3 build/dev.py docs`.

- `--url` or `DUNENA_URL` is the server's address, `ws://localhost:3000` by default. `--token` or
  `DUNENA_AUTH_TOKEN` is its token.
- On a terminal the answer is for people, in colours unless `NO_COLOR` is set. Into a pipe, or with
  `--json`, it is JSON: one document, or one object a line for `watch` and `events`.
- Output that cannot be written, to a full disk for example, is a failure of any command. A reader
  that goes early, as `head` does, is none.
- `dunena --version` prints the version.

| exit code | meaning |
| --- | --- |
"""


def command_of(name: str) -> Any:
    """A command as typer has made it."""
    group: Any = typer.main.get_command(app)
    return group.commands[name]


def help_of(name: str) -> str:
    """What `dunena NAME --help` says on a terminal of 80 columns."""
    command = command_of(name)
    context = command.make_context(
        f"dunena {name}", [], resilient_parsing=True, terminal_width=COLUMNS
    )
    text: str = command.get_help(context)
    return text


def page() -> str:
    """The whole page."""
    codes = "".join(f"| {code} | {meaning} |\n" for code, meaning in EXIT_CODES.items())
    parts = [_HEAD + codes]
    for name in MODULES:
        parts += [f"## dunena {name}\n", f"```text\n{help_of(name)}\n```\n"]
    return "\n".join(parts)
