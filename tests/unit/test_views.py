"""A grant that leaves something out has services of its own; all else is shared."""

from dataclasses import replace

import pytest

from dunena.dialects.grants import EVERYTHING, Grant, Right
from dunena.dialects.guarded_store import GuardedStore
from dunena.dialects.services import Services
from dunena.dialects.views import Views
from dunena.store.limits import Limits
from tests.support.rooms import Rooms

READ, WRITE = frozenset({Right.READ}), frozenset({Right.WRITE})
SOME = Grant("some", READ, keys=("a",))


@pytest.fixture
def services() -> Services:
    return replace(Rooms(Limits(value_bytes_max=7)).services, default_ttl_ms=5)


@pytest.fixture
def views(services: Services) -> Views:
    return Views(services)


def test_a_complete_grant_has_the_services_themselves(services: Services, views: Views) -> None:
    assert views.of(EVERYTHING) is views.of(Grant("all", READ | WRITE)) is services
    assert services.hub.audiences == {}


def test_a_view_shares_everything_except_the_store_and_searches(
    services: Services, views: Views
) -> None:
    view = views.of(SOME)
    assert isinstance(view.store, GuardedStore)
    assert view.unrestricted_store is services.unrestricted_store
    assert (view.store.may_read("", "a"), view.store.may_read("", "b")) == (True, False)
    assert view.store.get("", "a", 0) is None
    assert services.unrestricted_store.misses == 1, "it reads the same store"
    for shared in ("hub", "limits", "stats", "default_ttl_ms"):
        assert getattr(view, shared) is getattr(services, shared), shared
    assert view.get_cache is not services.get_cache
    assert view.get_cache.entry_ids == {}
    assert view.search is not services.search
    assert view.events == SOME.events_channel


def test_the_same_grant_has_the_same_view(views: Views) -> None:
    assert views.of(SOME) is views.of(Grant("some", READ, keys=("a",)))
    assert views.of(SOME) is not views.of(Grant("some", READ, keys=("b",)))


def test_changes_are_announced_to_views_that_may_read_them(
    services: Services, views: Views
) -> None:
    views.of(SOME)
    views.of(Grant("blind", WRITE))
    (may_read,) = services.hub.audiences.values()
    assert list(services.hub.audiences) == [SOME.events_channel]
    assert (may_read("", "a"), may_read("", "b")) == (True, False)


def test_keep_drops_views_of_other_grants(services: Services, views: Views) -> None:
    goes = Grant("goes", READ, keys=("a",))
    kept, gone = views.of(SOME), views.of(goes)
    views.keep({SOME, Grant("new", READ, keys=("a",))})
    assert list(services.hub.audiences) == [SOME.events_channel]
    assert views.of(SOME) is kept
    assert views.of(goes) is not gone
    views.keep([])
    assert services.hub.audiences == {}
