"""The options that connect to a running server, and the messages when that fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, TypeVar

from typer import Argument, BadParameter, Option

from dunena import TOKEN_RULE, TOKEN_VARIABLE, is_token
from dunena.cli.failure import EXIT_NO_SERVER, fail
from dunena.client.address import Address
from dunena.client.errors import ConnectError, Error, RefusedError, WrongAddressError
from dunena.store.limits import PATH_BYTES_MAX

if TYPE_CHECKING:
    from dunena.client.blocking import Store
    from dunena.client.http import Http
    from dunena.client.options import Options

_UNAUTHORIZED = 401

_NOT_PERMITTED = "Not permitted"
"""How the server's error texts begin if the token lacks a right."""

INTEGER_MAX = 2**63 - 1
"""The largest integer of a message."""

Typed = TypeVar("Typed", str, list[str], str | None)


def check_text(typed: Typed) -> Typed:
    """Return what was typed; raise `BadParameter` if it is no text in UTF-8, as no name can be."""
    for text in (typed,) if isinstance(typed, str) else typed or ():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BadParameter("not text in UTF-8") from None
    return typed


def _check_token(typed: str | None) -> str | None:
    """Return what was typed; raise `BadParameter` if it cannot be a token."""
    if typed is not None and not is_token(typed):
        raise BadParameter(TOKEN_RULE)
    return typed


def check_integer(typed: int | None) -> int | None:
    """Return what was typed; raise `BadParameter` if no message can have such a large integer."""
    if typed is not None and typed > INTEGER_MAX:
        raise BadParameter(f"more than {INTEGER_MAX}")
    return typed


def check_path(typed: str | None) -> str | None:
    """Return what was typed; raise `BadParameter` if it is no JSON Pointer (RFC 6901)."""
    path = check_text(typed)
    if path and not path.startswith("/"):
        raise BadParameter(f'{path} is no path: a path begins with "/", as /{path} does')
    if path and len(path.encode()) > PATH_BYTES_MAX:
        raise BadParameter(f"longer than {PATH_BYTES_MAX} bytes")
    if path and "~" in path.replace("~0", "").replace("~1", ""):
        raise BadParameter(f"{path} is no path: ~ is written ~0 in it, and a / in a name ~1")
    return path


Url = Annotated[
    str,
    Option(
        "--url",
        envvar="DUNENA_URL",
        show_envvar=True,
        help="Where the server is.",
        callback=check_text,
    ),
]
Token = Annotated[
    str | None,
    Option(
        "--token",
        envvar=TOKEN_VARIABLE,
        show_envvar=True,
        help="The server's token.",
        callback=_check_token,
    ),
]
KeyName = Annotated[
    str, Argument(metavar="KEY", help="The key.", show_default=False, callback=check_text)
]
KeyNames = Annotated[
    list[str],
    Argument(metavar="KEY...", help="The keys.", show_default=False, callback=check_text),
]
Ns = Annotated[
    str, Option("--ns", help="Namespace of the keys.", show_default=False, callback=check_text)
]
Json = Annotated[bool, Option("--json", help="Print JSON, as into a pipe.")]
Path = Annotated[
    str | None,
    Option(
        "--path",
        help="JSON Pointer of the part meant: /home/score.",
        show_default=False,
        callback=check_path,
    ),
]
IfRev = Annotated[
    int | None,
    Option(
        "--if-rev",
        min=0,
        help="Only if the key is at this revision; 0: if it does not exist.",
        show_default=False,
        callback=check_integer,
    ),
]


def options_of(url: str, token: str | None, ns: str = "") -> "Options":
    """Make the connection's options; raise `BadParameter` if ``url`` is no address."""
    from dunena.client.options import TIMEOUT_SECONDS, Options

    try:
        address = Address.parse(url)
    except ValueError as error:
        raise BadParameter(str(error), param_hint="--url") from None
    return Options(address, token or None, ns, TIMEOUT_SECONDS, wait=False, tls=None)


@contextmanager
def http_client(url: str, token: str | None) -> "Iterator[Http]":
    """Open a connection for requests over HTTP; end the program if an answer is an error."""
    from dunena.client.http import Http

    options = options_of(url, token)
    with exit_on_error(options), Http(options) as server:
        yield server


@contextmanager
def open_store(url: str, token: str | None, ns: str) -> "Iterator[Store]":
    """Open a connection for operations; end the program if an answer is an error."""
    from dunena.client.blocking import Store

    options = options_of(url, token, ns)
    with exit_on_error(options), Store(options) as store:
        yield store


@contextmanager
def exit_on_error(options: "Options") -> Iterator[None]:
    """End the program with one line if the server cannot be reached or refuses a request."""
    try:
        yield
    except WrongAddressError as error:
        fail(f"{error}; give the address of the server with --url", EXIT_NO_SERVER)
    except ConnectError as error:
        fail(str(error), EXIT_NO_SERVER)
    except Error as error:
        fail(refusal(error, options.token))


def refusal(error: Error, token: str | None) -> str:
    """Make the text about a refused request: the server's reason, and advice about the token."""
    if str(error).startswith(_NOT_PERMITTED):
        return f"the token has no right to this ({error}); give one that has with --token"
    if not isinstance(error, RefusedError):
        return str(error)
    if error.status != _UNAUTHORIZED:
        return f"the server does not let you in ({error})"
    if token is None:
        return f"the server wants a token ({error}); give it with --token"
    return f"the server does not know this token ({error}); give the right one with --token"
