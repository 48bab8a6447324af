"""`dunena incr` adds to a number; it connects by the options of `connect_options`."""

from typing import Annotated

from typer import Argument, Option

from dunena.cli.connect_options import IfRev, Json, KeyName, Ns, Path, Token, Url, open_store
from dunena.cli.output import is_for_people, say_json
from dunena.cli.values import read_number
from dunena.client.address import DEFAULT_URL


def incr(
    key: KeyName,
    by: Annotated[str, Argument(metavar="[BY]", help="What to add; -1 takes one away.")] = "1",
    path: Path = None,
    lowest: Annotated[
        str | None, Option("--min", help="Fail if the sum is less.", show_default=False)
    ] = None,
    highest: Annotated[
        str | None, Option("--max", help="Fail if the sum is more.", show_default=False)
    ] = None,
    if_rev: IfRev = None,
    ns: Ns = "",
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Add to a number, 0 if there is none, and print the sum.

    Example: dunena incr score 2 --path /home
    """
    number = read_number(by, "BY")
    sum_min = None if lowest is None else read_number(lowest, "--min")
    sum_max = None if highest is None else read_number(highest, "--max")
    with open_store(url, token, ns) as store:
        total = store.incr(key, number, min=sum_min, max=sum_max, path=path, if_rev=if_rev)
    say_json(total, indented=is_for_people(as_json=as_json))
