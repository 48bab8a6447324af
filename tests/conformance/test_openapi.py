"""/openapi.json describes the routes and their responses correctly."""

import os
import re
import subprocess
import sys
from typing import Any

import pytest

from dunena.server.route_table import ROUTES, Access, Route
from tests.protocol.clients import http
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

EXAMPLES = os.environ.get("DUNENA_CONFORMANCE_EXAMPLES", "15")

UNSAID = "positive_data_acceptance,negative_data_rejection"

UNDESCRIBED = {
    "/",
    "/session",
    "/pages-from-disk",
    "/page-errors",
    "/invite/{secret}",
    "/sharing",
    "/update-check",
}
"""For browsers: a redirection, a cookie, decisions on the test page, errors of pages, a form."""


@pytest.fixture
def document(shared_server: ServerProcess) -> Any:
    return http(shared_server, "GET", "/openapi.json").json


def test_every_described_path_allows_exactly_its_methods(
    shared_server: ServerProcess, document: Any
):
    for path, operations in document["paths"].items():
        methods = {method.upper() for method in operations} - {"PARAMETERS"}
        allowed = http(shared_server, "TRACE", path.replace("{key}", "k")).headers["allow"]
        assert set(allowed.split(", ")) - {"HEAD", "OPTIONS"} == methods, path


def test_every_route_is_described_with_its_right(document: Any):
    """No other path is described."""
    described = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method != "parameters":
                described[method.upper(), path] = rights_of(operation, document)
    assert described == {
        (route.method, route.path): [] if route.access is Access.PUBLIC else rights_in(route)
        for route in ROUTES
        if route.path not in UNDESCRIBED
    }


def rights_of(operation: Any, document: Any) -> list[dict[str, list[str]]]:
    return operation.get("security", document["security"])


def rights_in(route: Route) -> list[dict[str, list[str]]]:
    roles = [[right.value] for right in route.rights] or [[]]
    return [{}, *({"token": role} for role in roles)]


@pytest.mark.timeout(300)
def test_schemathesis_finds_no_failure(start_server: StartServer):
    """All its checks but two: JSON Schema cannot say all that makes a request a good one.

    A name has a length in bytes and no control characters, an integer fits in 64 bits and is
    written as one; a field of a query that comes twice counts as it came last, and empty as none.
    """
    server = start_server()
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"]
    options = ["--exclude-checks", UNSAID, "--max-examples", EXAMPLES]
    options += ["--exclude-path", "/watch"]  # most answers have no end
    done = subprocess.run(
        [*command, *options, "--seed", "1", "--no-color", "--workers", "1"],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
    counts = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert counts is not None, done.stdout[-1000:]
    assert int(counts[1]) == int(counts[2]) > 100
