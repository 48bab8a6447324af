"""What the proposals of a node need of its log; no I/O."""

from typing import Protocol

from dunena.persistence.jetstream.nodes import FloorClaim
from dunena.persistence.jetstream.settling import SettlingHost
from dunena.persistence.log import Refusal


class ProposalHost(SettlingHost, Protocol):
    """What the proposals need of the log."""

    @property
    def now(self) -> int:
        """The log's time."""

    @property
    def since(self) -> int:
        """The sequence of this node's first marker, 0 if it has none."""

    @property
    def denied(self) -> str | None:
        """What the servers do not let this node do, for people; None if nothing."""

    @property
    def floor(self) -> FloorClaim | None:
        """What this node knows of removals, for its markers."""

    def refuse(self, number: int, refusal: Refusal) -> None:
        """Tell the node of a refusal."""

    def miss_marker(self) -> None:
        """Learn that the stream has not got this node's marker any more."""
