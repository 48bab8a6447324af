"""Comparing a recorded surface with the present one: what was broken, and what is not recorded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Any

from surfacekit.facts import Facts, Surface, parent_of

_ANY = "any"


class Kind(Enum):
    """What happened to a promise; the value says it in a word."""

    GONE = "gone"
    NARROWED = "narrowed"
    NEW = "new"
    WIDENED = "widened"


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference of two surfaces; ``what`` says it in plain words."""

    name: str
    kind: Kind
    what: str
    is_breaking: bool


def compare(recorded: Surface, present: Surface) -> list[Difference]:
    """Return the differences by name. Of what has gone or come as a whole only the outermost."""
    differences: list[Difference] = []
    gone, new = recorded.keys() - present.keys(), present.keys() - recorded.keys()
    for name in sorted(recorded.keys() | present.keys()):
        if name in gone:
            if parent_of(name) not in gone:
                differences.append(Difference(name, Kind.GONE, "it is not there any more", True))
        elif name in new:
            if parent_of(name) not in new:
                differences.append(_new(name, present[name], recorded))
        else:
            differences += _changes(name, recorded[name], present[name])
    return differences


def _new(name: str, facts: Facts, recorded: Surface) -> Difference:
    if facts.get("required") and parent_of(name) in recorded:
        what = "it is new and required: callers of today do not give it"
        return Difference(name, Kind.NARROWED, what, True)
    return Difference(name, Kind.NEW, "it is new", False)


def _changes(name: str, before: Facts, now: Facts) -> list[Difference]:
    differences = []
    for fact in sorted(before.keys() | now.keys()):
        old, new = before.get(fact), now.get(fact)
        if old == new:
            continue
        is_breaking = RULES.get(fact, _any_change)(old, new)
        kind = Kind.NARROWED if is_breaking else Kind.WIDENED
        what = f"{fact} was {_shown(old)} and is {_shown(new)}"
        differences.append(Difference(name, kind, what, is_breaking))
    return differences


def _shown(fact: Any) -> str:
    if fact is None:
        return "nothing"
    return ", ".join(map(str, fact)) or "none" if isinstance(fact, list) else str(fact)


def _any_change(_old: Any, _new: Any) -> bool:
    return True


def _began(old: Any, new: Any) -> bool:
    return bool(new) and not old


def _ended(old: Any, new: Any) -> bool:
    return bool(old) and not new


def _lost(old: Any, new: Any) -> bool:
    kept = set(new or ())
    return _ANY not in kept and not set(old or ()) <= kept


def _gained(old: Any, new: Any) -> bool:
    return _lost(new, old)


def _rose(old: Any, new: Any) -> bool:
    return bool((-inf if new is None else new) > (-inf if old is None else old))


def _fell(old: Any, new: Any) -> bool:
    return bool((inf if new is None else new) < (inf if old is None else old))


def _another_right(old: Any, new: Any) -> bool:
    # One of them is enough, and none stands for any token.
    return bool(new) and not (old and set(old) <= set(new))


def _was_another(old: Any, _new: Any) -> bool:
    return old is not None


def _is_limited(_old: Any, new: Any) -> bool:
    return new is not None


def _not_both_ways(_old: Any, new: Any) -> bool:
    return bool(new != "either")


RULES: Mapping[str, Callable[[Any, Any], bool]] = {
    "required": _began,
    "default": _was_another,
    "always": _ended,
    "accepts": _lost,
    "gives": _gained,
    "bases": _lost,
    "may": _lost,
    "rights": _another_right,
    "passed": _not_both_ways,
    "pattern": _is_limited,
    "minimum": _rose,
    "minLength": _rose,
    "minItems": _rose,
    "maximum": _fell,
    "maxLength": _fell,
    "maxItems": _fell,
}
"""Whether a change of a fact, from the old to the new, breaks the promise; None is no such fact.

Every change of a fact that is not here breaks it.
"""
