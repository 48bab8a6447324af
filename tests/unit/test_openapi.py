"""The OpenAPI description of a route table."""

import re
from typing import Any

import orjson
import pytest

from dunena.dialects.grants import Right
from dunena.server.handlers import Handlers
from dunena.server.route_table import ROUTES, Access, Route
from dunena.server.status import openapi


def operations(*routes: Route) -> dict[str, Any]:
    return openapi.describe(routes)["paths"]


def test_respond_returns_the_description_of_the_route_table() -> None:
    assert orjson.loads(openapi.respond(ROUTES).body) == openapi.describe(ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_an_operation_has_the_summary_and_parameters_of_its_route(route: Route) -> None:
    paths = operations(route)
    if not route.summary:
        assert paths == {}
        return
    operation = paths[route.path][route.method.lower()]
    assert operation["summary"] == route.summary
    assert set(operation["responses"]) == {*map(str, route.responses), "4XX"}
    assert ("requestBody" in operation) is bool(route.request)
    parameters = paths[route.path].get("parameters", []) + operation["parameters"]
    names = [
        re.sub("^(ascii|one) | of (list|stream|search)$", "", name) for name in route.parameters
    ]
    assert [parameter["name"] for parameter in parameters] == names


def test_each_right_of_a_route_is_an_alternative_security_role() -> None:
    def security(*rights: Right, access: Access = Access.TOKEN) -> Any:
        route = Route("GET", "/x", Handlers.info, rights, access, summary="x")
        return operations(route)["/x"]["get"].get("security")

    assert security() is None, "as the document says for all"
    assert security(Right.ADMIN) == [{}, {"token": ["admin"]}]
    assert security(Right.READ, Right.WRITE) == [{}, {"token": ["read"]}, {"token": ["write"]}]
    assert security(access=Access.PUBLIC) == []


def test_parameters_common_to_all_methods_are_described_at_the_path() -> None:
    get = Route("GET", "/x/{key}", Handlers.info, summary="x", parameters=("key", "ns", "count"))
    delete = Route("DELETE", "/x/{key}", Handlers.info, summary="x", parameters=("key", "ns"))

    def names(described: Any) -> list[str]:
        return [parameter["name"] for parameter in described["parameters"]]

    path = operations(get, delete)["/x/{key}"]
    assert (names(path), names(path["get"]), names(path["delete"])) == (
        ["key", "ns"],
        ["count"],
        [],
    )
    path = operations(delete)["/x/{key}"]
    assert (names(path), names(path["delete"])) == (["key"], ["ns"])
