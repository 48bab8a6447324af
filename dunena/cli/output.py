"""The output of commands: tables for people, JSON for programs."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from dunena.desktop.terminal import say


def is_for_people(*, as_json: bool = False) -> bool:
    """Return whether a person reads the output: it goes to a terminal and is not wanted as JSON."""
    return not as_json and sys.stdout is not None and sys.stdout.isatty()


def count_of(number: int, noun: str) -> str:
    """Return a number with what is counted, in the singular or the plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def say_json(value: Any, *, indented: bool = False) -> bool:
    """Print a value as JSON, ``indented`` over several lines or in one; return what `say` does.

    Names of files in it that are no text are made readable.
    """
    import orjson

    option = orjson.OPT_INDENT_2 if indented else None
    try:
        text = orjson.dumps(value, option=option)
    except TypeError:
        text = orjson.dumps(_readable(value), option=option)
    return say(text.decode())


def say_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Print a table up to the width of the terminal; numbers are aligned to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    lines = [list(row) for row in rows]
    for number, name in enumerate(columns):
        is_number = bool(lines) and all(isinstance(row[number], int | float) for row in lines)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for line in lines:
        table.add_row(*(Text(_shown(cell)) for cell in line))
    say(_rendered(table))


def say_fields(fields: dict[str, Any]) -> None:
    """Print an object, one line for each member; nested objects are indented."""
    say("\n".join(_lines(fields, "")))


def say_answer(fields: dict[str, Any], *, as_json: bool) -> None:
    """Print an object that the server answered with, as fields for people or JSON for programs."""
    if is_for_people(as_json=as_json):
        say_fields(fields)
    else:
        say_json(fields)


def _readable(value: Any) -> Any:
    """Return a value with every text in it readable; those of a server are already."""
    from dunena.readable_text import readable_text

    if isinstance(value, str):
        return readable_text(value)
    if isinstance(value, list):
        return [_readable(one) for one in value]
    if isinstance(value, dict):
        return {name: _readable(one) for name, one in value.items()}
    return value


def _lines(fields: dict[str, Any], indent: str) -> list[str]:
    width = max((len(name) for name in fields), default=0)
    lines = []
    for name, value in fields.items():
        if isinstance(value, dict) and value:
            lines += [f"{indent}{name}", *_lines(value, f"{indent}  ")]
        else:
            lines.append(f"{indent}{name.ljust(width)}  {_shown(value)}")
    return lines


def _shown(value: object) -> str:
    import orjson

    if isinstance(value, bool | list | dict) or value is None:
        return orjson.dumps(value).decode()
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def _rendered(table: Any) -> str:
    """Render a table as text, in colours if the terminal has them and NO_COLOR is not set."""
    from rich.console import Console

    console = Console(highlight=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()).strip("\n")
