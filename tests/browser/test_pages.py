"""The list of the user's pages: previews, who has them open, and what went wrong in them."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Axe, NewTab
from tests.browser.tab import Tab
from tests.protocol.clients import http
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

BROKEN = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>Show</title>
<p></p><script type="module">
  import { connect } from "/dunena.js";
  connect();
  document.querySelector("p").textContent = "ready";
  setTimeout(() => missing.call(), 50);
</script>"""

NO_ERROR = BROKEN.replace("missing.call()", "0")


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    folder = tmp_path / "www"
    (folder / "show").mkdir(parents=True)
    (folder / "show" / "overlay.html").write_text(NO_ERROR, encoding="utf-8")
    (folder / "show" / "panel.html").write_text(BROKEN, encoding="utf-8")
    return folder


@pytest.fixture
def server(start_server: StartServer, pages: Path) -> ServerProcess:
    server = start_server("--www", str(pages))
    http(server, "PUT", "/kv/score", 1)
    return server


def test_the_list_tells_who_has_a_page_open_and_what_went_wrong(
    blank_tab: Tab, server: ServerProcess, pages: Path, axe: Axe
) -> None:
    tab = blank_tab.open(server).expect_connected().go("Pages")
    cards = tab.page.locator("#view-pages .card")
    expect(cards).to_have_count(2)
    overlay, panel = cards.nth(0), cards.nth(1)
    expect(overlay).to_contain_text("Nobody has it open.")
    expect(overlay.locator("iframe")).to_have_count(1)
    expect(panel.locator("iframe")).to_have_count(0)
    with tab.page.context.expect_page() as opened:
        panel.get_by_role("link", name="Open").click()
    page = opened.value
    expect(panel).to_contain_text("Open: Chrome")
    expect(panel).to_contain_text("at this machine")
    expect(panel.locator(".page-errors li")).to_contain_text("missing is not defined")
    expect(panel.locator(".page-errors li")).to_contain_text("www/show/panel.html:6")
    assert axe(tab.page) == []
    # The preview of the overlay has a connection too, and yet nobody has opened it.
    expect(overlay).to_contain_text("Nobody has it open.")
    (pages / "show" / "panel.html").write_text(NO_ERROR, encoding="utf-8")
    expect(panel.locator(".page-errors")).to_be_hidden()
    page.close()
    expect(panel).to_contain_text("Not connected. Last loaded at")
    tab.forgive("missing is not defined")


def test_a_new_page_appears_and_a_deleted_one_goes(
    blank_tab: Tab, server: ServerProcess, pages: Path
) -> None:
    tab = blank_tab.open(server).expect_connected().go("Pages")
    titles = tab.page.locator("#view-pages .card h3")
    expect(titles).to_have_text(["Show", "Show"])
    (pages / "a new one.html").write_text("<title>First</title>", encoding="utf-8")
    expect(titles).to_have_text(["First", "Show", "Show"])
    (pages / "show" / "overlay.html").unlink()
    expect(titles).to_have_text(["First", "Show"])
    href = tab.page.get_by_role("link", name="Open").first.get_attribute("href")
    assert href == f"{server.url}/www/a%20new%20one.html"


def test_a_preview_is_shown_when_it_is_wanted(
    blank_tab: Tab, server: ServerProcess, pages: Path
) -> None:
    tab = blank_tab.open(server).expect_connected().go("Pages")
    (pages / "show" / "panel.html").write_text(NO_ERROR, encoding="utf-8")
    tab.button("Show preview of Show").click()
    expect(tab.page.locator("#view-pages iframe")).to_have_count(2)
    shown = tab.page.frame_locator("#view-pages .card:nth-child(2) iframe")
    expect(shown.locator("p")).to_have_text("ready")
    tab.go("Keys")
    expect(tab.page.locator("#view-pages iframe")).to_have_count(0)


def test_a_server_without_pages_offers_templates(
    new_tab: NewTab, start_server: StartServer
) -> None:
    server = start_server()
    http(server, "PUT", "/kv/score", 1)
    tab = new_tab().open(server).expect_connected().go("Pages")
    expect(tab.page.locator("#view-pages")).to_contain_text("shows no pages of yours yet")
    tab.button("New page").click()
    expect(tab.button("Make scoreboard")).to_be_visible()
    expect(tab.page.get_by_role("tab", name="Keys")).to_have_attribute("aria-selected", "true")


def test_what_keeps_a_page_from_running_is_told(
    blank_tab: Tab, server: ServerProcess, pages: Path
) -> None:
    """A mistake that ends the script before it begins, a missing file, and one in a callback."""
    overlay = pages / "show" / "overlay.html"
    head = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">'
    overlay.write_text(
        f'{head}<script type="module" src="/dunena.jss"></script><script>const a = ;</script>',
        encoding="utf-8",
    )
    (pages / "show" / "panel.html").write_text(
        f"""{head}<b data-bind="score |">0</b><script type="module">
          import {{ connect }} from "/dunena.js";
          connect().watch("score", (score) => score.missing.more);
        </script>""",
        encoding="utf-8",
    )
    tab = blank_tab.open(server).expect_connected().go("Pages")
    cards = tab.page.locator("#view-pages .card")
    for index in (0, 1):
        cards.nth(index).get_by_role("link", name="Open").click()
    expect(cards.nth(0)).to_contain_text("if it is still open there, its script has not come to")
    expect(cards.nth(0).locator(".page-errors")).to_contain_text("There is no dunena.jss")
    errors = cards.nth(1).locator(".page-errors li")
    expect(errors.filter(has_text="Cannot read properties of undefined")).to_have_count(1)
    expect(errors.filter(has_text="score |")).to_have_count(1)
    for text in ("404", "Unexpected token", "Failed to load", "score", "missing"):
        tab.forgive(text)
