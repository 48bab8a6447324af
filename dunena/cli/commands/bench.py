"""`dunena bench` measures a running server; it connects by the options of `connect_options`."""

from typing import Annotated

from typer import Option

from dunena.cli.connect_options import Json, Token, Url, exit_on_error, options_of
from dunena.cli.output import is_for_people, say_json, say_table
from dunena.client.address import DEFAULT_URL
from dunena.desktop.terminal import overwrite, say


def bench(
    seconds: Annotated[float, Option(min=0.1, max=60, help="Time for each of the rows.")] = 1.0,
    clients: Annotated[int, Option(min=1, max=1000, help="Connections at once.")] = 10,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Load a server for a few seconds, in both dialects.

    It stores keys in the namespace dunena-bench and deletes them. One Python process asks, which
    may be slower than the server: for a server's limits see docs/performance.md.

    Example: dunena bench --clients 50
    """
    import asyncio

    from dunena.cli.bench_load import KINDS, Load

    is_shown = is_for_people(as_json=as_json)
    rows = []
    options = options_of(url, token)
    with exit_on_error(options):
        for kind in KINDS:
            if is_shown:
                overwrite(f"{kind.dialect}: {kind.name} ...")
            rows.append(asyncio.run(Load(options, kind, clients, seconds).run()))
    if not is_shown:
        say_json([row.as_json() for row in rows])
        return
    overwrite("")
    columns = ("dialect", "requests", "a second", "median ms", "99 % ms")
    say_table(
        columns,
        [
            (row.dialect, row.name, round(row.per_second), f"{row.median:.2f}", f"{row.slow:.2f}")
            for row in rows
        ],
        title=f"{clients} connections, {seconds:g} s each, values of 32 bytes",
    )
    say("The clients share one core with nothing else of theirs: the server may do more.")
