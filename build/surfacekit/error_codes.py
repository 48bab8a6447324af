"""The promises of errors: the codes for programs, with the statuses that they have over HTTP."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module

from dunena import dialects
from dunena.dialects.errors import ClientError
from dunena.server.http.message import CODES_BY_STATUS, CODES_IN_CONFLICT
from surfacekit.facts import PART, Surface

_CONFLICT = 409
_OURS = f"{dialects.__name__}."


def surface() -> Surface:
    """Return the promises of all errors: those of messages and operations, and those of HTTP."""
    for module in pkgutil.walk_packages(dialects.__path__, _OURS):
        import_module(module.name)
    kinds = [kind for kind in _kinds_of(ClientError) if kind.__module__.startswith(_OURS)]
    pairs = {(kind.code, kind.status) for kind in kinds}
    pairs |= {(code, status) for status, code in CODES_BY_STATUS.items()}
    pairs |= {(code, _CONFLICT) for code in CODES_IN_CONFLICT}
    found: Surface = {code: {} for code, _ in pairs}
    return found | {f"{code}{PART}{status}": {} for code, status in pairs}


def _kinds_of(error: type[ClientError]) -> Iterator[type[ClientError]]:
    yield error
    for kind in error.__subclasses__():
        yield from _kinds_of(kind)
