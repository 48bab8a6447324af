"""The line of the server view that says whether there is a newer version."""

from playwright.sync_api import Locator, expect

from dunena import __version__
from tests.browser.conftest import Axe, NewTab
from tests.browser.tab import Tab
from tests.support.release_feed import ReleaseFeed
from tests.support.server import ServerProcess

CHECK = "Check for a newer version"
DAILY = "Once a day, while this is shown"


def answer(tab: Tab) -> Locator:
    return tab.page.locator("#server-updates").get_by_role("status")


def test_a_newer_version_is_shown_once_a_person_has_asked(
    blank_tab: Tab, fed_server: ServerProcess, feed: ReleaseFeed
) -> None:
    tab = blank_tab.open(fed_server, "server").expect_connected()
    expect(tab.button(CHECK)).to_be_visible()
    expect(answer(tab)).to_be_hidden()
    assert feed.requests == []
    tab.button(CHECK).click()
    expect(answer(tab)).to_have_text("Version 1.1.0 is available. What is new in it")
    link = answer(tab).get_by_role("link")
    address = "https://github.com/dunena/dunena/releases/tag/v1.1.0"
    expect(link).to_have_attribute("href", address)
    expect(link).to_have_attribute("rel", "noreferrer")
    tab.open(fed_server, "server").expect_connected()
    expect(answer(tab)).to_contain_text("Version 1.1.0 is available.")
    assert len(feed.requests) == 1, "what was found out is kept in the browser"


def test_the_newest_version_and_a_failure_are_said(
    blank_tab: Tab, fed_server: ServerProcess, feed: ReleaseFeed
) -> None:
    tab = blank_tab.open(fed_server, "server").expect_connected()
    feed.status = 403
    tab.button(CHECK).click()
    problem = tab.page.locator("#server-updates").get_by_role("alert")
    expect(problem).to_contain_text("The newest version is not known: 127.0.0.1 answers only so")
    tab.forgive("502")
    feed.status = 200
    feed.newest(__version__)
    tab.button(CHECK).click()
    expect(answer(tab)).to_have_text("This is the newest version.")
    expect(problem).to_be_hidden()
    tab.open(fed_server, "server").expect_connected()
    expect(tab.button(CHECK)).to_be_visible()
    expect(answer(tab)).to_be_hidden()


def test_a_person_can_have_it_checked_once_a_day(
    blank_tab: Tab, fed_server: ServerProcess, feed: ReleaseFeed
) -> None:
    tab = blank_tab.open(fed_server, "server").expect_connected()
    daily = tab.page.get_by_label(DAILY)
    expect(daily).not_to_be_checked()
    daily.check()
    expect(answer(tab)).to_contain_text("Version 1.1.0 is available.")
    tab.open(fed_server, "server").expect_connected()
    expect(daily).to_be_checked()
    expect(answer(tab)).to_contain_text("Version 1.1.0 is available.")
    assert len(feed.requests) == 1
    forget = """() => {
      const known = JSON.parse(localStorage.getItem("dunena.updates"));
      localStorage.setItem("dunena.updates",
        JSON.stringify({ ...known, triedAt: known.triedAt - 90_000_000 }));
    }"""
    tab.page.evaluate(forget)
    with tab.page.expect_response("**/update-check") as asked:
        tab.open(fed_server, "server").expect_connected()
    assert asked.value.ok, "a day later the page asks, and the server may remember"
    daily.uncheck()
    tab.page.evaluate(forget)
    requests: list[str] = []
    tab.page.on("request", lambda request: requests.append(request.url))
    tab.open(fed_server, "server").expect_connected()
    expect(tab.button(CHECK)).to_be_visible()
    assert not any(url.endswith("/update-check") for url in requests)


def test_the_line_can_be_read_by_everybody_in_both_schemes(
    new_tab: NewTab, fed_server: ServerProcess, axe: Axe
) -> None:
    tab = new_tab().open(fed_server, "server").expect_connected()
    tab.button(CHECK).click()
    expect(answer(tab)).to_contain_text("Version 1.1.0 is available.")
    assert axe(tab.page) == []
