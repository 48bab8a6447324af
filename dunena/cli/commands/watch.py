"""`dunena watch` prints the changes of keys; it connects by `connect_options`."""

from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

from typer import Argument, BadParameter, Option

from dunena.cli.connect_options import (
    Json,
    Ns,
    Path,
    Token,
    Url,
    check_text,
    exit_on_error,
    options_of,
)
from dunena.cli.output import is_for_people, say_json
from dunena.client.address import DEFAULT_URL
from dunena.desktop.onefile import end_with_parent
from dunena.desktop.terminal import say

if TYPE_CHECKING:
    from dunena.client.feeds import Update


def watch(
    keys: Annotated[
        list[str],
        Argument(
            metavar="KEY...",
            help="The keys, or one pattern: * is any text, ? one character.",
            show_default=False,
            callback=check_text,
        ),
    ],
    path: Path = None,
    max_rate: Annotated[
        float | None,
        Option(
            "--max-rate", min=0.1, max=100, help="At most so many a second.", show_default=False
        ),
    ] = None,
    over_http: Annotated[
        bool, Option("--http", help="By HTTP requests, if WebSockets are blocked.")
    ] = False,
    ns: Ns = "",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Print the values of keys and each change.

    It goes on until Ctrl+C. Into a pipe it is one JSON object a line. A server that goes away is
    waited for. A key that is not there has null.

    Example: dunena watch 'team-*' --path /score
    """
    from math import isnan
    from time import strftime

    import orjson

    names, pattern = _names_or_pattern(keys)
    if max_rate is not None and isnan(max_rate):
        raise BadParameter("not a number: nan", param_hint="--max-rate")
    end_with_parent()
    is_shown = is_for_people(as_json=as_json)
    options = options_of(url, token, ns)
    with exit_on_error(options), ExitStack() as stack:
        if over_http:
            from dunena.client.polling import poll_updates
            from dunena.client.state import Selection

            selection = Selection.of(names, pattern, path, ns)
            updates: Iterable[Update] = poll_updates(options, selection, max_rate)
        else:
            from dunena.client.blocking import Store

            store = stack.enter_context(Store(options))
            updates = store.watch(*names, pattern=pattern, path=path, max_rate=max_rate)
        for key, value in updates:
            if is_shown:
                text = f"{strftime('%H:%M:%S')}  {key}  {orjson.dumps(value).decode()}"
                is_heard = say(text)
            else:
                is_heard = say_json({"key": key, "value": value})
            if not is_heard:
                return


def _names_or_pattern(keys: list[str]) -> tuple[list[str], str | None]:
    """Tell keys from a pattern; raise `BadParameter` for a pattern that is not alone."""
    patterns = [key for key in keys if "*" in key or "?" in key]
    if not patterns:
        return keys, None
    if len(keys) > 1:
        raise BadParameter(
            f"a pattern is watched alone, and {patterns[0]} is one", param_hint="KEY..."
        )
    return [], patterns[0]
