"""`dunena watch` prints the changes of keys; it connects by `connect_options`."""

from typing import Annotated

from typer import Argument

from dunena.cli.connect_options import Json, Ns, Token, Url, exit_on_error, options_of
from dunena.cli.output import is_for_people, say_json
from dunena.client.address import DEFAULT_URL
from dunena.desktop.onefile import end_with_parent
from dunena.desktop.terminal import say


def watch(
    keys: Annotated[list[str], Argument(metavar="KEY...", help="The keys.", show_default=False)],
    ns: Ns = "",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Print the values of keys and each change.

    It goes on until Ctrl+C. Into a pipe it is one JSON object a line. A server that goes away is
    waited for.

    Example: dunena watch score clock
    """
    import warnings
    from time import strftime

    import orjson

    from dunena.client.blocking import Store

    end_with_parent()
    warnings.showwarning = _say_warning
    is_shown = is_for_people(as_json=as_json)
    options = options_of(url, token, ns)
    with exit_on_error(options), Store(options) as store, store.watch(*keys) as updates:
        for key, value in updates:
            if is_shown:
                text = f"{strftime('%H:%M:%S')}  {key}  {orjson.dumps(value).decode()}"
                is_heard = say(text)
            else:
                is_heard = say_json({"key": key, "value": value})
            if not is_heard:
                return


def _say_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print the text of a Python warning alone, without the file and line that raised it."""
    say(f"dunena: {message}", error=True)
