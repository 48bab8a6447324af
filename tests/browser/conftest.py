"""Tabs of the test page."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import OTHER_HOST
from tests.support.far import Far
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.browser.tab import Tab

ROUND_TRIP_SECONDS = 0.08

NewTab = Callable[..., "Tab"]
Axe = Callable[..., list[str]]


@pytest.fixture
def new_tab(browser: "Browser", start_server: Any) -> Iterator[NewTab]:
    """Make a tab with a profile of its own; arguments are Playwright's for a context.

    At the end no tab may have had a problem, apart from those that a test looked at and cleared.
    It depends on what starts servers so that a test's tabs are closed before its servers stop.
    """
    from tests.browser.tab import Tab

    tabs: list[Tab] = []
    contexts = []

    def make(**options: Any) -> Tab:
        contexts.append(browser.new_context(**{"locale": "en-GB", **options}))
        tabs.append(Tab(contexts[-1].new_page()))
        return tabs[-1]

    yield make
    for context in contexts:
        context.close()
    assert [problem for tab in tabs for problem in tab.problems] == []


@pytest.fixture(scope="module")
def module_tab(browser: "Browser") -> "Iterator[Tab]":
    """One tab for a module: a new one costs a test more than most tests take."""
    from tests.browser.tab import Tab

    context = browser.new_context(locale="en-GB")
    yield Tab(context.new_page())
    context.close()


@pytest.fixture
def blank_tab(module_tab: "Tab", start_server: Any) -> "Iterator[Tab]":
    """The tab of the module with nothing in it yet, for a test with a server of its own.

    It depends on what starts servers so that it has left the page before its server stops.
    """
    yield module_tab
    module_tab.page.evaluate("localStorage.clear()")
    module_tab.page.goto("about:blank")
    problems, module_tab.problems = module_tab.problems, []
    assert problems == []


@pytest.fixture
def tab(module_tab: "Tab", shared_server: Any) -> "Iterator[Tab]":
    """A tab with the page freshly loaded, connected to the server that the module's tests share."""
    module_tab.open(shared_server).expect_connected()
    yield module_tab
    module_tab.page.evaluate("localStorage.clear()")
    problems, module_tab.problems = module_tab.problems, []
    assert problems == []


@pytest.fixture(params=["here", "other-name", "far"])
def address_of(
    request: pytest.FixtureRequest, browser: "Browser"
) -> Iterator[Callable[[ServerProcess], str]]:
    """Where a page reaches a server: on this machine, over plain HTTP by a name that browsers do
    not trust as they do `localhost`, and by that from so far away that answers take their time.

    The server must be started with `--allow-host` and that name.
    """
    if request.param != "here" and browser.browser_type.name != "chromium":
        pytest.skip("only Chromium can be told where a name leads")
    with ExitStack() as stack:

        def address(server: ServerProcess) -> str:
            if request.param == "here":
                return server.url
            port = server.port
            if request.param == "far":
                port = stack.enter_context(Far(port, ROUND_TRIP_SECONDS / 2)).port
            return f"http://{OTHER_HOST}:{port}"

        yield address


_LOOK = """async (rules) => {
  const options = rules.length ? { runOnly: rules } : {};
  const { violations } = await axe.run(document, { resultTypes: ["violations"], ...options });
  return violations.filter(({ impact }) => ["serious", "critical"].includes(impact))
    .flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`));
}"""


@pytest.fixture(scope="session")
def axe(node_modules: Path) -> Axe:
    """Look at a page with axe-core, in the light scheme and in the dark one.

    Returns what it finds serious or critical, a line each. In the dark scheme of a page that was
    looked at in the light one, only its colours are new.
    """
    source = (node_modules / "axe-core" / "axe.min.js").read_text("utf-8")

    def look(page: "Page") -> list[str]:
        if not page.evaluate("'axe' in window"):
            page.evaluate(f"{source}; null")
        page.emulate_media(color_scheme="light")
        found = page.evaluate(_LOOK, [])
        page.emulate_media(color_scheme="dark")
        return [*found, *page.evaluate(_LOOK, ["color-contrast"])]

    return look
