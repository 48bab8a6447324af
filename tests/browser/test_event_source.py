"""A browser's own EventSource, which knows nothing of dunena."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.protocol.clients import SECONDS_MAX, http, open_objects
from tests.support.documents import at, blocks
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess
from tests.support.watched_state import WatchedState, update_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

RESTARTS = 10

FOLLOW = """(query) => {
  window.seen = { map: {}, resets: 0, updates: 0, errors: 0 };
  let parts = [];
  window.source = new EventSource(`/watch?${query}`);
  source.addEventListener("update", (event) => {
    const update = JSON.parse(event.data);
    parts.push(update);
    if (update.more) return;
    for (const { reset, changes } of parts) {
      if (reset) { seen.map = {}; seen.resets += 1; }
      for (const { key, value, event } of changes) {
        if (event) delete seen.map[key]; else seen.map[key] = value;
      }
    }
    parts = [];
    seen.updates += 1;
  });
  source.addEventListener("error", () => { parts = []; seen.errors += 1; });
}"""


@pytest.fixture
def page(browser: "Browser", start_server: StartServer) -> "Iterator[Page]":
    """A page; it is closed before the servers stop."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


def state_by_web_socket(server: ServerProcess) -> dict[str, Any]:
    state = WatchedState()
    with open_objects(server) as client:
        client.send({"action": "watch", "pattern": "*"})
        while not state.take(update_in(client.receive())):
            pass
    return state.values


def seen_by(page: "Page") -> Any:
    return page.evaluate("seen")


def wait_for_the_map(page: "Page", expected: dict[str, Any]) -> None:
    until = time.monotonic() + SECONDS_MAX
    while seen_by(page)["map"] != expected:
        assert time.monotonic() < until, (seen_by(page), expected)
        assert page.evaluate("source.readyState") != 2, "it has given up"
        page.wait_for_timeout(20)


@pytest.mark.timeout(300)
def test_an_event_source_ends_with_the_state_of_a_watch_after_ten_restarts(
    page: "Page", server: ServerProcess
) -> None:
    http(server, "POST", "/set", {"key": "kept", "value": [1, "line\nbreak", None]})
    page.goto(f"{server.url}/info")
    page.evaluate(FOLLOW, "pattern=*")
    wait_for_the_map(page, state_by_web_socket(server))
    for number in range(RESTARTS):
        for key in ("a", "b", f"only-{number}"):
            http(server, "POST", "/set", {"key": key, "value": {"round": number}})
        http(server, "DELETE", f"/entries/only-{number - 1}")
        if number % 3 == 0:
            wait_for_the_map(page, state_by_web_socket(server))
        if number % 2:
            server.kill()
            server.start()
        else:
            server.restart()
        http(server, "POST", "/set", {"key": "b", "value": f"after {number}"})
        if number % 3 == 1:
            wait_for_the_map(page, state_by_web_socket(server))
    expected = state_by_web_socket(server)
    assert set(expected) == {"kept", "a", "b", f"only-{RESTARTS - 1}"}
    wait_for_the_map(page, expected)
    http(server, "POST", "/set", {"key": "last", "value": 1})
    wait_for_the_map(page, {**expected, "last": 1})
    seen = seen_by(page)
    assert seen["errors"] >= 1
    assert 1 < seen["resets"] <= RESTARTS + 1


def test_the_example_page_of_the_documentation_shows_the_value(
    page: "Page", server: ServerProcess
) -> None:
    (example,) = [text for text in blocks("docs/http.md", "js") if "home" in text]
    page.goto(f"http://localhost:{server.port}/info")
    page.evaluate("document.body.innerHTML = '<b id=home></b>'")
    page.evaluate(f"() => {{ {at(server, example)} }}")
    home = page.locator("#home")
    home.get_by_text("-", exact=True).wait_for()
    http(server, "POST", "/set", {"key": "score", "value": {"home": "two\nlines"}})
    home.get_by_text("two lines").wait_for()
    http(server, "POST", "/set", {"key": "score", "value": {"home": 3}})
    home.get_by_text("3", exact=True).wait_for()
    http(server, "POST", "/set", {"key": "score", "value": {"guest": 3}})
    home.get_by_text("-", exact=True).wait_for()


def test_the_server_view_counts_and_lists_event_streams(
    new_tab: Any, server: ServerProcess, page: "Page"
) -> None:
    page.goto(f"{server.url}/info")
    page.evaluate(FOLLOW, "keys=a,b")
    wait_for_the_map(page, {})
    tab = new_tab().open(server, "server").expect_connected()
    view = tab.page.locator("#server-connections")
    view.get_by_text("event-stream").wait_for()
    assert "1 event stream" in tab.page.locator("#connections-count").inner_text()
