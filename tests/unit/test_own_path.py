"""Paths to which a browser is sent on: of this server alone."""

from urllib.parse import urljoin

import pytest

from dunena.server.access.own_path import read_own_path, relative_to

HOST = "http://192.168.1.10:3000"


@pytest.mark.parametrize(
    "path", ["/", "/test", "/www/score/panel.html?layer=1&a=b#part", "/kv/a%20b", "/www/a//b"]
)
def test_a_path_of_this_server_is_taken_as_it_is(path: str) -> None:
    assert read_own_path(path) == path


@pytest.mark.parametrize(
    "text",
    [
        "", "test", "//evil.example", "/\\evil.example", "\\\\evil.example", "http://evil.example",
        "javascript:alert(1)", "/a\\b", "/a b", "/a\r\nSet-Cookie: a=b", "/ä", "/\t/evil.example",
        "/" + "a" * 1000, None, 5, ["/test"],
    ],
)  # fmt: skip
def test_anything_else_is_not(text: object) -> None:
    assert read_own_path(text) is None


@pytest.mark.parametrize("base", [HOST, f"{HOST}/below/a/proxy"])
@pytest.mark.parametrize("page", ["/session", "/invite/secret", "/www/a/b/c.html?d=/e/f", "/"])
@pytest.mark.parametrize("path", ["/test", "/session", "/www/a:b/panel.html?c=d", "/kv/x"])
def test_an_address_is_relative_to_the_page_below_a_proxy_too(
    base: str, page: str, path: str
) -> None:
    assert urljoin(f"{base}{page}", relative_to(page, path)) == f"{base}{path}"


@pytest.mark.parametrize("path", ["//evil.example", "/../../x", "/http://evil.example", "/"])
def test_no_address_leads_to_another_server(path: str) -> None:
    for page in ("/session", "/invite/secret"):
        assert urljoin(f"{HOST}{page}", relative_to(page, path)).startswith(f"{HOST}/")
