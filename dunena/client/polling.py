"""A watch over HTTP alone, one request for each update, for networks that let no WebSocket through.

The server holds a request until something has changed. So every answer is a complete one, which
any proxy passes on, and nothing is missed between two requests: each names the position that the
one before led to.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dunena.client.backoff import Backoff
from dunena.client.errors import ConnectError, NoAnswerError
from dunena.client.feeds import Update
from dunena.client.http import Http
from dunena.client.options import TIMEOUT_SECONDS, Options
from dunena.client.state import FollowedState, Selection, StateWatch

WAIT_SECONDS = 20
"""Time that the server holds a request: many proxies end one that takes a minute."""


def poll_updates(
    options: Options, selection: Selection, max_rate: float | None = None
) -> Iterator[Update]:
    """Yield the current values of a selection and then each change, for ever.

    It goes on over lost connections and restarts of the server; a value comes again only if it is
    another one. ``max_rate`` is the most requests a second. Raise a `dunena.Error` if the server
    refuses, or if the first request does not reach it.
    """
    source = StateWatch(selection, None, lambda: None)
    followed = FollowedState(selection)
    followed.add(source)
    wanted = replace(options, timeout=WAIT_SECONDS + (options.timeout or TIMEOUT_SECONDS))
    with Http(wanted) as server:
        for number, update in enumerate(_updates(server, selection, max_rate)):
            followed.begin(number)
            followed.take(update, number)
            while (change := source.take()) is not None:
                yield change


def _updates(
    server: Http, selection: Selection, max_rate: float | None
) -> Iterator[dict[str, Any]]:
    """Yield the updates as the server answers them."""
    query = {name: value for name, value in selection._asdict().items() if value}
    query["wait"] = WAIT_SECONDS
    backoff = Backoff()
    while True:
        asked_at = time.monotonic()
        try:
            update = server.ask("GET", "/watch", query)
        except (ConnectError, NoAnswerError):
            if "since" not in query:
                raise
            time.sleep(backoff.next())
            continue
        backoff.succeeded()
        if update is not None:
            query["since"] = f"{update['epoch']}-{update['rev']}"
            yield update
        if max_rate is not None:
            time.sleep(max(0.0, asked_at + 1 / max_rate - time.monotonic()))
