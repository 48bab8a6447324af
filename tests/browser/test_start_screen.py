"""The first minute: what an empty store shows, and what one click makes of it."""

import re
from pathlib import Path

from playwright.sync_api import expect

from dunena.templates.catalogue import TEMPLATES
from tests.browser.conftest import Axe, NewTab
from tests.browser.tab import Tab
from tests.protocol.clients import http
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess


def test_an_empty_store_shows_every_template_with_a_live_preview(
    blank_tab: Tab, server: ServerProcess, axe: Axe
) -> None:
    tab = blank_tab.open(server).expect_connected()
    cards = tab.page.locator("#start .card")
    expect(cards).to_have_count(len(TEMPLATES) + 1)
    scores = tab.page.frame_locator("iframe[src*='scoreboard']").locator("#home .rolls")
    expect(scores).to_have_attribute("data-text", "1")
    expect(scores).to_have_attribute("data-text", "2")
    assert axe(tab.page) == []
    tab.page.get_by_role("button", name="Show the keys").click()
    expect(cards).to_have_count(0)
    expect(tab.page.locator("#keys-filter")).to_be_visible()
    tab.page.get_by_role("button", name="Templates").click()
    expect(cards).to_have_count(len(TEMPLATES) + 1)


def test_one_click_makes_an_overlay_and_opens_its_panel(
    new_tab: NewTab, start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server()
    tab = new_tab().open(server).expect_connected()
    page = tab.page
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Make scoreboard").click()
    panel = opened.value
    expect(panel).to_have_url(f"{server.url}/www/scoreboard/panel.html")
    expect(panel.locator("#status")).to_have_text("Saved")
    assert (tmp_path / "www" / "scoreboard" / "panel.html").is_file()
    assert http(server, "GET", "/kv/home?ns=scoreboard").json["name"] == "Home"
    # The addresses stay, although the store is not empty any more.
    address = page.locator(".card-address code")
    expect(address).to_have_text(f"{server.url}/www/scoreboard/overlay.html")
    overlay = page.context.new_page()
    overlay.goto(address.inner_text())
    panel.get_by_role("button", name="Home plus 1").click()
    expect(overlay.locator("#home .rolls")).to_have_attribute("data-text", "1")
    drag = page.get_by_role("link", name="Drag this into OBS")
    expect(drag).to_have_attribute("href", re.compile(r"layer-width=1920&layer-height=1080$"))
    page.reload()
    expect(page.locator("#keys-filter")).to_be_visible()


def test_a_store_with_keys_shows_them(blank_tab: Tab, server: ServerProcess) -> None:
    http(server, "PUT", "/kv/score", 1)
    blank_tab.open(server).expect_connected()
    blank_tab.expect_listed("score")
    expect(blank_tab.page.locator("#start")).to_be_hidden()


def test_the_cards_give_way_to_keys_that_another_program_sets(
    blank_tab: Tab, server: ServerProcess
) -> None:
    tab = blank_tab.open(server).expect_connected()
    expect(tab.page.locator("#start .card").first).to_be_visible()
    http(server, "PUT", "/kv/score", 1)
    tab.expect_listed("score")
    expect(tab.page.locator("#start")).to_be_hidden()


def test_a_first_key_can_be_made_at_once(blank_tab: Tab, server: ServerProcess) -> None:
    tab = blank_tab.open(server).expect_connected()
    tab.button("New key").click()
    tab.detail.root.get_by_label("Key", exact=True).fill("score")
    tab.detail.editor.fill("1")
    tab.detail.button("Set").click()
    tab.detail.expect_json(1)
    tab.expect_listed("score")


def test_another_view_is_not_left_for_the_cards(blank_tab: Tab, server: ServerProcess) -> None:
    tab = blank_tab.open(server, "server").expect_connected()
    expect(tab.page.locator("#server-about")).to_contain_text("Running for")
    expect(tab.page.get_by_role("tab", name="Server")).to_have_attribute("aria-selected", "true")
    expect(tab.page.locator("#start")).to_be_hidden()


def test_another_copy_gets_the_next_free_name(
    new_tab: NewTab, start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server()
    tab = new_tab().open(server).expect_connected()
    page = tab.page
    with page.context.expect_page():
        page.get_by_role("button", name="Make lower third").click()
    card = page.locator("#start .card").filter(has_text="Lower third")
    for number in (2, 3):
        with page.context.expect_page() as opened:
            card.get_by_role("button", name="Make another").click()
        expect(opened.value).to_have_url(f"{server.url}/www/lower-third-{number}/panel.html")
        expect(card.locator("h4").nth(number - 2)).to_have_text(f"lower-third-{number}")
        expect(card.locator("code").nth(number - 1)).to_have_text(
            f"{server.url}/www/lower-third-{number}/overlay.html"
        )
    folders = sorted(one.name for one in (tmp_path / "www").iterdir() if one.is_dir())
    assert folders == ["lower-third", "lower-third-2", "lower-third-3"]
    tab.forgive("409")
