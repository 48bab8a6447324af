"""The properties of the route table that its users rely on."""

from collections import Counter

import pytest

from dunena.server.route_table import ROUTES


def test_each_method_and_path_is_routed_once() -> None:
    counts = Counter((route.method, route.path) for route in ROUTES)
    assert counts.most_common(1)[0][1] == 1


def test_all_routes_of_a_path_have_the_same_access_and_are_live_or_not() -> None:
    accesses: dict[str, set] = {}
    for route in ROUTES:
        accesses.setdefault(route.path, set()).add((route.access, route.is_live))
    assert {path: found for path, found in accesses.items() if len(found) > 1} == {}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_key_is_the_last_segment_of_its_path_and_a_parameter(route) -> None:
    """The dispatcher looks a path up by what is before its brace."""
    plain, brace, rest = route.path.partition("{")
    assert brace + rest in ("", "{key}", "{channel}", "{file}", "{secret}")
    assert not brace or plain.endswith("/")
    if not route.summary:
        return  # it is not described, and so has no parameters
    names = [name.removeprefix("ascii ") for name in route.parameters]
    assert [f"{{{name}}}" for name in names if name in ("key", "channel")] == (
        [brace + rest] if brace else []
    )


def test_a_request_that_makes_pages_changes_no_keys() -> None:
    """A server that shares its store would let it wait for the log, which has no pages."""
    [route] = [one for one in ROUTES if (one.method, one.path) == ("POST", "/templates")]
    assert 507 in route.responses
    assert not route.may_change
