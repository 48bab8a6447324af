"""The scoreboard of docs/overlays.md, word for word, in two pages, on a fast and a slow link."""

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.conftest import OTHER_HOST
from tests.e2e.folders import until
from tests.protocol.clients import http
from tests.support.documents import blocks
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LINES_MAX = 60

PRESSES = 5

Open = Callable[[str], Page]


@pytest.fixture
def show(start_server: StartServer, tmp_path: Path) -> ServerProcess:
    """A server with the two pages of the document."""
    overlay_text, panel_text = blocks("docs/overlays.md", "html")
    assert len((overlay_text + panel_text).splitlines()) < LINES_MAX
    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "scoreboard.html").write_text(overlay_text, encoding="utf-8")
    (folder / "panel.html").write_text(panel_text, encoding="utf-8")
    return start_server("--www", str(folder), "--allow-host", OTHER_HOST)


@pytest.fixture
def visit(
    browser: "Browser", show: ServerProcess, address_of: Callable[[ServerProcess], str]
) -> Iterator[Open]:
    """Open one of the pages; at the end none of them may have failed."""
    problems: list[str] = []
    address = address_of(show)
    context = browser.new_context()

    def visit(name: str) -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{address}/www/{name}.html")
        if name == "panel":
            expect(page.locator("#status")).to_have_text("open")
        return page

    yield visit
    context.close()
    assert problems == []


def test_the_scoreboard_example_follows_its_panel(show: ServerProcess, visit: Open) -> None:
    overlay, panel = visit("scoreboard"), visit("panel")
    expect(overlay.locator("body")).to_contain_text("Home")
    minus = panel.locator("#home button").first
    plus = plus_of(panel, "home")
    plus.click()
    expect(score_of(overlay, "home")).to_have_text("1")
    for _ in range(2):  # faster than the answers come
        plus.click()
    expect(score_of(overlay, "home")).to_have_text("3")
    minus.click()
    expect(score_of(overlay, "home")).to_have_text("2")
    for _ in range(3):
        minus.click()
    plus.click()
    expect(score_of(overlay, "home")).to_have_text("1")  # as it was 0, not -1
    plus.click()
    expect(score_of(overlay, "home")).to_have_text("2")
    panel.locator("#guest").get_by_label("Name").fill("Ättwängen <b>")
    panel.locator("#guest").get_by_label("Name").press("Enter")
    expect(name_of(overlay, "guest")).to_have_text("Ättwängen <b>")

    # A click while the server is away counts when it is back; the overlay is never blank.
    assert show.stop() == 0
    expect(panel.locator("#status")).not_to_have_text("open")
    plus.click()
    expect(score_of(overlay, "home")).to_have_text("2")
    show.start()
    expect(score_of(overlay, "home")).to_have_text("3")
    expect(name_of(overlay, "guest")).to_have_text("Ättwängen <b>")


def test_presses_of_two_operators_all_count(visit: Open) -> None:
    overlay, *panels = visit("scoreboard"), visit("panel"), visit("panel")
    for _ in range(PRESSES):
        for panel in panels:  # each before the answer to the other
            plus_of(panel, "home").click()
    for page in (overlay, *panels):
        expect(score_of(page, "home")).to_have_text(str(2 * PRESSES))


def test_two_operators_do_not_overwrite_each_other(visit: Open) -> None:
    overlay, one, other = visit("scoreboard"), visit("panel"), visit("panel")
    name = one.locator("#home").get_by_label("Name")
    for number in range(1, PRESSES + 1):
        name.fill(f"Reds {number}")
        name.press("Enter")
        plus_of(other, "home").click()  # before the answer to the name
        expect(score_of(overlay, "home")).to_have_text(str(number))
        expect(name_of(overlay, "home")).to_have_text(f"Reds {number}")


def test_the_clock_of_the_scoreboard_runs_without_writes(show: ServerProcess, visit: Open) -> None:
    overlay, panel = visit("scoreboard"), visit("panel")
    clocks = clock_of(overlay), clock_of(panel)
    start, reset = panel.locator("#toggle"), panel.locator("#reset")
    for clock in clocks:
        expect(clock).to_have_text("0:00")
    reset.click()
    for clock in clocks:
        expect(clock).to_have_text("5:00")
    start.click()
    for clock in clocks:
        expect(clock).to_have_text(re.compile(r"^4:\d\d$"))
    assert stored(show, "clock")["revision"] == 2
    start.click()
    until(lambda: stored(show, "clock")["revision"] == 3, "the clock has stopped")
    seconds = math.ceil(json.loads(stored(show, "clock")["preview"])["timer"]["ms"] / 1000)
    for clock in clocks:
        expect(clock).to_have_text(f"{seconds // 60}:{seconds % 60:02}")


def stored(server: ServerProcess, key: str) -> dict[str, Any]:
    """The only entry of the server's, with its revision."""
    return http(server, "GET", f"/entries?pattern={key}").json["entries"][0]


def plus_of(panel: Page, side: str) -> Locator:
    return panel.locator(f"#{side}").get_by_role("button", name="+")


def score_of(page: Page, side: str) -> Locator:
    return page.locator(f'[data-bind="{side}.score"]')


def clock_of(page: Page) -> Locator:
    return page.locator('[data-bind="clock | timer"]')


def name_of(page: Page, side: str) -> Locator:
    return page.locator(f'[data-bind="{side}.name"]')
