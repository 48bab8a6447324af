"""What a log is opened with."""

from dataclasses import dataclass
from typing import Final

ONLY_READS: Final = "this server may only read"
"""Why a reader stores nothing and tells nothing."""


@dataclass(frozen=True, slots=True)
class LogTerms:
    """The terms of a log.

    ``bucket`` names it; its stream is ``KV_<bucket>``. ``timeout_s`` is the longest wait for a
    proposal, in seconds. ``domain`` is the JetStream domain, if it is not the servers' own.
    ``is_reader``: this node may only read, so it writes nothing, not even that it is there.
    ``replicas`` are those of a stream that has to be made; None for three, or one if there is only
    one server.
    """

    bucket: str
    timeout_s: float = 15.0
    domain: str | None = None
    is_reader: bool = False
    replicas: int | None = None
