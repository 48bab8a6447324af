"""What a request is planned to change, and what later requests of a proposal find."""

import pytest

from dunena.persistence.log import Op, OpKind
from dunena.server.shared.planning import PLANNED_REVISION, PlanStore
from dunena.store.errors import StoreFullError
from dunena.store.limits import EXPIRES_AT_MS_MAX, Limits
from dunena.store.quota import quota_of
from dunena.store.store import Store

NOW = 1_000_000


def planning(limits: Limits | None = None, **entries: int | None) -> tuple[Store, PlanStore]:
    """A store with keys that end at these times, and what plans on it."""
    limits = limits or Limits()
    store = Store(quota=quota_of(limits))
    for key, expires_at in entries.items():
        store.set("", key, b"1", expires_at)
    plan = PlanStore(store, limits)
    plan.begin_proposal(NOW)
    plan.begin_request()
    return store, plan


def test_what_is_planned_changes_nothing_and_is_found_by_later_requests() -> None:
    store, plan = planning(a=None)
    change = plan.set("", "a", b"2", NOW + 50)
    assert change.revision == PLANNED_REVISION + 1
    plan.begin_request()
    entry = plan.peek("", "a", NOW)
    assert entry is not None
    assert entry.value == b"2"
    assert plan.delete("", "a") is not None
    assert plan.delete("", "a") is None
    assert not plan.has("", "a", NOW)
    plan.begin_proposal(NOW)
    assert plan.peek("", "a", NOW) is store.peek("", "a", NOW)
    assert store.revision == 1


def test_the_time_of_a_key_is_a_ttl_unless_it_is_kept() -> None:
    _, plan = planning(a=NOW + 70)
    plan.set("", "a", b"2", NOW + 70)
    plan.set("", "b", b"2", NOW + 70)
    plan.set("", "c", b"2", EXPIRES_AT_MS_MAX)
    assert [(op.ttl_ms, op.expires_at) for op in plan.ops] == [
        (None, NOW + 70),
        (70, None),
        (None, EXPIRES_AT_MS_MAX),
    ]


def test_a_key_past_its_time_ends_before_it_is_changed() -> None:
    _, plan = planning(a=NOW - 1)
    assert plan.peek("", "a", NOW) is None
    plan.set("", "a", b"2")
    assert plan.overdue_ops == [Op(OpKind.EXPIRE, key="a", is_conditional=True)]
    assert plan.ops == [Op(OpKind.SET, key="a", value=b"2")]


def test_a_key_that_is_merged_at_its_time_has_another_revision_from_then() -> None:
    store, plan = planning()
    store.set("", "a", b'{"on":true}', NOW - 1, then=b'{"on":false}')
    entry = plan.peek("", "a", NOW)
    assert entry is not None
    assert (entry.value, entry.expires_at) == (b'{"on":false}', None)
    assert entry.revision == PLANNED_REVISION
    assert [op.value for op in plan.overdue_ops] == [b'{"on":false}']


def test_keys_that_were_looked_at_and_stay_as_they_are_are_guarded() -> None:
    _, plan = planning(a=NOW + 9)
    for key in ("a", "b", "c"):
        plan.peek("", key, NOW)
    plan.set("", "c", b"1")
    plan.guard()
    assert plan.ops[1:] == [
        Op(OpKind.SET, key="a", value=b"1", expires_at=NOW + 9),
        Op(OpKind.REMOVE, key="b"),
    ]


def test_after_a_clear_nothing_is_there() -> None:
    _, plan = planning(a=None)
    plan.clear()
    assert plan.peek("", "a", NOW) is None
    plan.set("", "a", b"2")
    assert plan.has("", "a", NOW)


def test_what_is_planned_needs_room_as_if_it_were_made() -> None:
    store, plan = planning(Limits(entries_max=2), a=None)
    plan.set("", "b", b"1")
    with pytest.raises(StoreFullError):
        plan.set("", "c", b"1")
    assert store.quota is not None
    assert store.quota.refusals == 1
    plan.delete("", "a")
    plan.set("", "c", b"1")
    plan.clear()
    plan.set("", "d", b"1")
    plan.check_writes("", [("e", b"1")])
    with pytest.raises(StoreFullError):
        plan.check_writes("", [("e", b"1"), ("f", b"1")])
    with pytest.raises(StoreFullError):
        plan.check_outcome({("", "e"): 1, ("", "f"): 1})
    full = "store is full (max 2 entries)"
    assert plan.checks == [full, None, full, full]
