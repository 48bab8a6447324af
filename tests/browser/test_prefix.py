"""The test page and a served page behind a proxy with a path prefix."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.tab import Tab, put
from tests.support.documents import blocks
from tests.support.fixtures import StartServer
from tests.support.nginx import NginxProxy
from tests.support.prefix_proxy import PrefixProxy
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Proxy = PrefixProxy | NginxProxy


@pytest.fixture
def site(start_server: StartServer, tmp_path: Path) -> ServerProcess:
    (script,) = blocks("docs/recipes/proxy.md", "html")
    page = f'<!doctype html><link rel="icon" href="data:,"><b data-bind="score"></b>{script}'
    (tmp_path / "index.html").write_text(page, "utf-8")
    return start_server("--www", str(tmp_path))


@pytest.fixture(params=["a proxy of ours", "nginx"])
def proxy(site: ServerProcess, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Proxy]:
    if request.param == "nginx":
        nginx = request.getfixturevalue("nginx")
        with NginxProxy(nginx, site.port, tmp_path / "nginx") as proxy:
            yield proxy
    else:
        with PrefixProxy(site.port, "/store") as proxy:
            yield proxy


def test_the_test_page_works_below_a_path_prefix(
    browser: "Browser", site: ServerProcess, proxy: Proxy
) -> None:
    context = browser.new_context(locale="en-GB")
    try:
        tab = Tab(context.new_page())
        tab.page.goto(proxy.url + "/")
        tab.expect_connected()
        put(site, "score", 3)
        tab.expect_listed("score")
        expect(tab.choose("score").title).to_contain_text("score")
        assert tab.page.url.startswith(f"{proxy.url}/test")
        assert tab.problems == []
    finally:
        context.close()


def test_a_served_page_works_below_a_path_prefix(
    browser: "Browser", site: ServerProcess, proxy: Proxy
) -> None:
    put(site, "score", 3)
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(f"{proxy.url}/www")
        expect(page.locator("b")).to_have_text("3")
        for end in ("", "/", "/ws"):
            asked = f"""import("{proxy.url}/dunena.js").then(({{ connect }}) =>
                connect("{proxy.url}{end}").get("score"))"""
            assert page.evaluate(asked) == 3
    finally:
        context.close()
