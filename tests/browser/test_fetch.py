"""What a page of another origin can send and read with a browser's own fetch()."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

SEND = """async ([url, headers, size]) => {
  const response = await fetch(url, { method: "POST", headers, body: " ".repeat(size) });
  return { status: response.status, body: await response.json() };
}"""


@pytest.fixture
def page(browser: "Browser", start_server: StartServer, tmp_path: Path) -> "Iterator[Page]":
    """A page that another server of this machine has."""
    other = start_server("--www", str(tmp_path), folder=tmp_path / "other")
    (tmp_path / "index.html").write_text('<!doctype html><link rel="icon" href="data:,">', "utf-8")
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{other.url}/www/")
    yield page
    context.close()


def send(page: "Page", server: ServerProcess, size: int, **headers: str) -> Any:
    named = {"Content-Type": "application/json", **headers}
    return page.evaluate(SEND, [f"{server.url}/set", named, size])


@pytest.mark.parametrize("size", [1_100_000, 30_000_000, 70_000_000])
def test_a_page_of_another_origin_can_read_the_refusal_of_a_large_body(
    page: "Page", start_server: StartServer, size: int
) -> None:
    # Some are announced larger than any message, and refused before they come.
    answer = send(page, start_server("--max-value", "1000000"), size)
    is_refused_by_its_head = size > 25_000_000
    assert answer["status"] == (413 if is_refused_by_its_head else 400)
    assert set(answer["body"]) == ({"error", "code"} if is_refused_by_its_head else {"error"})


def test_a_page_of_another_origin_can_send_custom_headers(
    page: "Page", server: ServerProcess
) -> None:
    answer = send(page, server, 1, **{"X-Requested-With": "fetch", "Cache-Control": "no-cache"})
    assert answer["status"] == 400
