"""What restoring a backup changes; no I/O."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from dunena.store.entry import EntryId
from dunena.store.merge_patch import merge_encoded

EXPIRIES_ALIKE_MS = 1_000
"""Expiries that differ by less are the same: two looks at the clocks differ by some ms."""


class HeldEntry(Protocol):
    """A key's entry, in a store or in a backup; ``value`` and ``then`` are encoded JSON."""

    @property
    def ns(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def value(self) -> bytes: ...
    @property
    def expires_at(self) -> int | None: ...
    @property
    def then(self) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Step:
    """A change of one key: it is set to ``held``, or deleted if that is None.

    With ``has_ended`` the time of its ``then`` has come, which is merged into the value.
    """

    ns: str
    key: str
    held: HeldEntry | None
    has_ended: bool = False

    @property
    def value(self) -> bytes:
        """The value that is set."""
        assert self.held is not None, "a deletion has no value"
        return _value_of(self.held, has_ended=self.has_ended)

    @property
    def expires_at(self) -> int | None:
        """When the key expires, or its ``then`` is merged in."""
        return None if self.held is None or self.has_ended else self.held.expires_at

    @property
    def then(self) -> bytes | None:
        """What is merged into the value then."""
        return None if self.held is None or self.has_ended else self.held.then


@dataclass(slots=True)
class Plan:
    """All changes, and how many keys there are of each kind.

    ``kept`` are keys that are not in the backup and stay; ``expired`` are those of the backup whose
    time is over.
    """

    new: int = 0
    changed: int = 0
    same: int = 0
    deleted: int = 0
    kept: int = 0
    expired: int = 0
    steps: list[Step] = field(default_factory=list)

    @property
    def loses(self) -> bool:
        """Whether a value that is there now is gone or another one afterwards."""
        return bool(self.changed or self.deleted)

    @property
    def numbers(self) -> dict[str, int]:
        """The numbers of keys, for programs."""
        return {
            "new": self.new,
            "changed": self.changed,
            "same": self.same,
            "deleted": self.deleted,
            "kept": self.kept,
            "expired": self.expired,
        }


def make_plan(
    wanted: Collection[HeldEntry],
    standing: Mapping[EntryId, HeldEntry],
    now: int,
    *,
    deletes: bool,
    standing_step_ms: int = 0,
    progress: Callable[[int], None] = lambda _done: None,
) -> Plan:
    """Compare a backup with what stands; with ``deletes`` keys that are not in it go.

    ``now`` is Unix ms of the wall clock, as are the expiries in a backup; those of what stands are
    of a clock that lags it by ``standing_step_ms``. Deletions come first: a full store has room
    then.
    """
    plan = Plan()
    there = {(held.ns, held.key) for held in _lasting(wanted, now, plan)}
    for ns, key in standing:
        if (ns, key) in there:
            continue
        if deletes:
            plan.deleted += 1
            plan.steps.append(Step(ns, key, None))
        else:
            plan.kept += 1
    for done, held in enumerate(wanted):
        progress(done)
        if (held.ns, held.key) in there:
            found = standing.get((held.ns, held.key))
            _compare(held, found, now, plan, standing_step_ms)
    return plan


def _lasting(wanted: Iterable[HeldEntry], now: int, plan: Plan) -> Iterable[HeldEntry]:
    """Yield what has not ended; count the rest."""
    for held in wanted:
        if held.expires_at is not None and held.expires_at <= now and held.then is None:
            plan.expired += 1
        else:
            yield held


def _compare(
    held: HeldEntry, standing: HeldEntry | None, now: int, plan: Plan, step_ms: int
) -> None:
    has_ended = held.expires_at is not None and held.expires_at <= now
    step = Step(held.ns, held.key, held, has_ended)
    if standing is None:
        plan.new += 1
    elif _is_same(step, standing, step_ms):
        plan.same += 1
        return
    else:
        plan.changed += 1
    plan.steps.append(step)


def _is_same(step: Step, standing: HeldEntry, step_ms: int) -> bool:
    ends, stands_until = step.expires_at, standing.expires_at
    if ends is None or stands_until is None:
        is_alike = ends is stands_until
    else:
        is_alike = abs(ends - stands_until - step_ms) < EXPIRIES_ALIKE_MS
    return is_alike and step.then == standing.then and step.value == standing.value


def _value_of(held: HeldEntry, *, has_ended: bool) -> bytes:
    if has_ended and held.then is not None:
        return merge_encoded(held.value, held.then)
    return held.value
