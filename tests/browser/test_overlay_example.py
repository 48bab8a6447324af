"""The scoreboard of docs/overlays.md, word for word, in two pages, on a fast and a slow link."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import Locator, Page, expect

from tests.browser.tab import put
from tests.conftest import OTHER_HOST
from tests.support.documents import blocks
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LINES_MAX = 60


def test_the_scoreboard_example_follows_its_panel(
    browser: "Browser",
    start_server: StartServer,
    address_of: Callable[[ServerProcess], str],
    tmp_path: Path,
) -> None:
    overlay_text, panel_text = blocks("docs/overlays.md", "html")
    assert len((overlay_text + panel_text).splitlines()) < LINES_MAX
    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "scoreboard.html").write_text(overlay_text, encoding="utf-8")
    (folder / "panel.html").write_text(panel_text, encoding="utf-8")
    server = start_server("--www", str(folder), "--allow-host", OTHER_HOST)
    address = address_of(server)
    context = browser.new_context()
    try:
        overlay, panel = context.new_page(), context.new_page()
        problems: list[str] = []
        for page, name in ((overlay, "scoreboard"), (panel, "panel")):
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.goto(f"{address}/www/{name}.html")
        expect(panel.locator("#status")).to_have_text("open")
        expect(overlay.locator("body")).to_contain_text("Home")

        plus = panel.locator("#home").get_by_role("button", name="+")
        plus.click()
        expect(score_of(overlay, "home")).to_have_text("1")
        for _ in range(2):  # faster than the answers come
            plus.click()
        expect(score_of(overlay, "home")).to_have_text("3")
        panel.locator("#guest").get_by_label("Name").fill("Ättwängen <b>")
        panel.locator("#guest").get_by_label("Name").press("Enter")
        expect(overlay.locator('[data-bind="match.guest.name"]')).to_have_text("Ättwängen <b>")
        put(server, "clock", 754)
        expect(overlay.locator("i")).to_have_text("12:34")

        # A click while the server is away counts when it is back; the overlay is never blank.
        assert server.stop() == 0
        expect(panel.locator("#status")).not_to_have_text("open")
        plus.click()
        expect(score_of(overlay, "home")).to_have_text("3")
        server.start()
        expect(score_of(overlay, "home")).to_have_text("4")
        expect(overlay.locator('[data-bind="match.guest.name"]')).to_have_text("Ättwängen <b>")
        assert problems == []
    finally:
        context.close()


def score_of(page: Page, side: str) -> Locator:
    return page.locator(f'[data-bind="match.{side}.score"]')
