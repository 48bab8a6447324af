"""A request that waits for the log, and what was planned for it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum, auto

from dunena.dialects.errors import ClientError
from dunena.persistence.log import Op, OpKind


class PlanResult(Enum):
    """What came of a request on the planned store.

    DONE: it was carried out. REFUSED: not, as things are. WRONG: not, whatever is there.
    """

    DONE = auto()
    REFUSED = auto()
    WRONG = auto()


class ParkedRequest(ABC):
    """A request that may change something.

    ``size`` is about what it holds in memory, in bytes. ``is_conditional``: what it changes depends
    on what is there. ``tries`` counts how often it was proposed in vain.
    """

    size: int = 0
    is_conditional: bool = True
    tries: int = 0
    is_own: bool = False

    @property
    @abstractmethod
    def is_gone(self) -> bool:
        """Whether nobody waits for its answer any more."""

    @abstractmethod
    def plan(self, now: int) -> "PlanResult":
        """Carry it out on the planned store at Unix ms, without an answer."""

    @abstractmethod
    def replay(self, now: int) -> None:
        """Carry it out on the real store, and answer it; ``now`` is the log's time in Unix ms."""

    @abstractmethod
    def refuse(self, error: ClientError, now: int) -> None:
        """Answer it with an error; nothing was done, as far as the error says."""

    @abstractmethod
    def fail(self) -> None:
        """Answer that there is a bug."""

    @abstractmethod
    def settled(self) -> None:
        """Learn that it was answered, or that nobody waits for an answer."""


@dataclass(slots=True)
class Planned:
    """What a request will change: ``ends`` are of keys past their time, and come first.

    ``planned_at`` is the time of its values, None if it computes none. ``checks`` are
    the results of its questions whether the store has room. ``is_certain``: its answer depends on
    nothing that the log has. ``error`` is the answer to a request that no log stores.
    ``bytes`` are those of the names and values of its ops.
    """

    request: ParkedRequest
    planned_at: int | None = None
    ends: list[Op] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    checks: list[str | None] = field(default_factory=list)
    is_certain: bool = False
    error: ClientError | None = None
    bytes: int = 0

    @property
    def groups(self) -> list[tuple[Op, ...]]:
        """The groups that are proposed for it."""
        groups: list[tuple[Op, ...]] = [(op,) for op in self.ends]
        return [*groups, tuple(self.ops)] if self.ops else groups

    @property
    def op_count(self) -> int:
        """The number of its ops."""
        return len(self.ends) + len(self.ops)

    @property
    def largest_bytes(self) -> int:
        """The bytes of the op that has most, or 0."""
        return max([bytes_of(op) for op in self.ops], default=0)

    @property
    def clears(self) -> bool:
        """Whether it removes everything."""
        return any(op.kind is OpKind.CLEAR for op in self.ops)

    @property
    def removes_unseen(self) -> bool:
        """Whether it removes a key whatever that is then: only at its place that is known."""
        is_removal = any(op.kind is OpKind.REMOVE for op in self.ops)
        return is_removal and not self.request.is_conditional

    @property
    def asks(self) -> bool:
        """Whether it changes nothing, and yet its answer depends on what the log has."""
        return not (self.ops or self.is_certain or self.error is not None)


def bytes_of(op: Op) -> int:
    """Return the bytes of the names and values of an op."""
    names = len(op.ns.encode()) + len(op.key.encode())
    return names + len(op.value) + (0 if op.then is None else len(op.then))
