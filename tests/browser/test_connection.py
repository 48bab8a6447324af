"""How the test page connects, comes back, and gets past the token."""

import re

from playwright.sync_api import expect

from tests.browser.conftest import NewTab
from tests.browser.tab import Tab, put
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

TOKEN = "open sesame"


def test_it_comes_back_when_the_server_does(new_tab: NewTab, server: ServerProcess) -> None:
    put(server, "survivor", "before")
    tab = new_tab().open(server).expect_connected()
    card = tab.follow("survivor")
    card.expect_json("before")
    assert server.stop() == 0
    expect(tab.state).to_have_attribute("data-state", re.compile("waiting|connecting"))
    expect(tab.page.locator("#log-rows")).to_contain_text("closed with 1001: server stopped")
    expect(tab.page.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    card.button("Delete").click()
    expect(card.root.get_by_role("alert")).to_have_text("There is no connection.")
    card.set('"lost"')
    expect(card.root.get_by_role("alert")).to_have_text("The server cannot be reached.")
    card.button("Cancel").click()

    # What happened while nobody was connected is shown as well.
    (server.folder / "survivor.json").write_text('"meanwhile"', encoding="utf-8")
    server.start()
    tab.expect_connected()
    card.expect_json("meanwhile")
    put(server, "survivor", "after")
    card.expect_json("after")
    tab.send('{"type":"ping"}')
    expect(tab.rows("in").filter(has_text="pong")).to_have_count(1)
    refused = [problem for problem in tab.problems if "ERR_CONNECTION_REFUSED" not in problem]
    assert refused == []
    tab.problems.clear()


def test_it_stays_away_when_told_to(tab: Tab) -> None:
    tab.page.get_by_role("button", name="Disconnect").click()
    expect(tab.state).to_have_text("Not connected")
    expect(tab.page.locator("#follow-state")).to_have_text("offline")
    expect(tab.page.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    tab.page.get_by_role("button", name="Connect", exact=True).click()
    tab.expect_connected()


def test_each_protocol_is_the_one_it_says(tab: Tab) -> None:
    greeting = tab.rows("in").filter(has_text='"type":"connected"')
    expect(greeting).to_have_count(1)

    tab.speak("dunena")
    expect(greeting).to_have_count(2)
    tab.send('{"action":"get","key":"k"}')
    expect(tab.rows("in").filter(has_text="Missing field: type")).to_have_count(1)

    for number, protocol in enumerate(["object store", "object store at /"], start=1):
        tab.speak(protocol)
        tab.send('{"type":"ping"}')
        errors = tab.rows("in").filter(has_text='{"error":"Invalid message format"}')
        expect(errors).to_have_count(number)
    expect(greeting).to_have_count(2)


def test_the_first_connection_does_not_disturb_the_live_values(
    tab: Tab, shared_server: ServerProcess
) -> None:
    card = tab.follow("undisturbed")
    tab.speak("dunena")
    put(shared_server, "undisturbed", 1)
    card.expect_json(1)
    # Following a key has not made the connection an object-store one: the events still come.
    expect(tab.rows("in").filter(has_text='"event":"set"')).to_have_count(1)


def test_the_token_is_asked_for_once(new_tab: NewTab, start_server: StartServer) -> None:
    server = start_server("--token", TOKEN)
    tab = new_tab().open(server)
    dialog = tab.page.get_by_role("dialog", name="This server wants a token")
    expect(dialog).to_be_visible()
    token = dialog.get_by_label("Token")
    expect(token).to_be_focused()
    token.fill("guess")
    token.press("Enter")
    expect(dialog.get_by_role("alert")).to_have_text("That is not the token.")
    token.fill(TOKEN)
    token.press("Enter")
    expect(dialog).to_be_hidden()
    tab.expect_connected()
    tab.follow("secret").set('"kept"')
    tab.card("secret").expect_json("kept")

    tab.page.reload()
    tab.expect_connected()
    expect(dialog).to_be_hidden()
    [cookie] = tab.page.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert TOKEN not in cookie["value"]
    assert [address for address in tab.addresses if "sesame" in address] == []
    assert [problem for problem in tab.problems if "401" not in problem] == []
    tab.problems.clear()


def test_without_the_token_it_waits(new_tab: NewTab, start_server: StartServer) -> None:
    tab = new_tab().open(start_server("--token", TOKEN))
    dialog = tab.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Cancel").click()
    expect(tab.state).to_have_text("Token needed")
    tab.page.get_by_role("button", name="Connect", exact=True).click()
    expect(dialog).to_be_visible()
    tab.page.keyboard.press("Escape")
    expect(tab.state).to_have_text("Token needed")
    assert [problem for problem in tab.problems if "401" not in problem] == []
    tab.problems.clear()
