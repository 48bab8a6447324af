"""The Autobahn cases, run by kosoku against a server."""

import importlib
from collections.abc import Callable
from typing import Any

import kosoku
from kosoku import _caseindex

CONCURRENCY = 16
"""Cases at once: most of them wait."""

BUSY_CONCURRENCY = 2
"""Of those that have much to do, and each a time limit, which others on the machine count into."""

Case = Any


async def run(
    url: str, cases: list[str], without: list[str], *, concurrency: int = CONCURRENCY
) -> dict[str, tuple[str, str]]:
    """How each case went, and how its connection was closed, by the suite's words."""
    _read_uncompressed_messages()
    try:
        results = await kosoku.run_fuzzingclient(url, cases, without, concurrency=concurrency)
    except kosoku.FailureError as error:
        results = error.results
    return {
        result.case_id: (result.behavior.value, result.behavior_close.value) for result in results
    }


def _read_uncompressed_messages() -> None:
    """Let the compression cases take a message that was not worth compressing.

    RFC 7692, 6 leaves that to the sender. kosoku gives such a text to its cases as a str, one
    character per byte, where it gives a compressed one as bytes, which is what they expect.
    """
    _caseindex.initialize_shims()
    cases = importlib.import_module("case12_x_x")
    for case in [*cases.Case12_X_X, *cases.Case13_X_X]:
        if not hasattr(case.onMessage, "takes_text"):
            case.onMessage = _taking_text(case.onMessage)


def _taking_text(on_message: Callable[[Case, bytes, bool], None]) -> Callable[..., None]:
    def on_any_message(case: Case, message: str | bytes, binary: bool) -> None:
        data = message.encode("latin-1") if isinstance(message, str) else message
        on_message(case, data, binary)

    on_any_message.takes_text = True  # type: ignore[attr-defined]
    return on_any_message
