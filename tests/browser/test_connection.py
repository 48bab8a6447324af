"""The test page: connecting, reconnecting and the token dialog."""

import re

from playwright.sync_api import expect

from tests.browser.conftest import NewTab
from tests.browser.tab import Tab, put
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

TOKEN = "open sesame"


def test_the_page_reconnects_when_the_server_returns(blank_tab: Tab, server: ServerProcess) -> None:
    put(server, "survivor", "before")
    put(server, "removed", "before")
    tab = blank_tab.open(server).expect_connected()
    detail = tab.choose("survivor")
    expect(detail.leaf('"before"')).to_be_visible()
    assert server.stop() == 0
    expect(tab.state).to_have_attribute("data-state", re.compile("waiting|connecting"))
    detail.button("Delete").click()
    expect(detail.problem).to_have_text("The server cannot be reached.")
    detail.set('"lost"')
    expect(detail.problem).to_have_text("The server cannot be reached.")
    expect(detail.editor).to_have_value('"lost"')
    detail.button("Cancel").click()
    expect(detail.problem).to_be_visible()
    tab.go("Console")
    expect(tab.page.locator("#log-rows")).to_contain_text("closed with 1001: server stopped")
    expect(tab.button("Send")).to_be_disabled()

    # What happened while nobody was connected is shown as well.
    (server.folder / "survivor.json").write_text('"meanwhile"', encoding="utf-8")
    (server.folder / "removed.json").unlink()
    (server.folder / "added.json").write_text("1", encoding="utf-8")
    server.start()
    tab.go("Keys").expect_connected()
    expect(detail.problem).to_be_hidden()
    expect(detail.leaf('"meanwhile"')).to_be_visible()
    expect(tab.row("added")).to_have_count(1)
    expect(tab.row("removed")).to_have_count(0)
    tab.expect_listed("added", "survivor")
    tab.expect_count("2 keys")
    put(server, "survivor", "after")
    expect(detail.leaf('"after"')).to_be_visible()
    expect(tab.row("survivor")).to_contain_text('"after"')
    tab.go("Console").send('{"type":"ping"}')
    expect(tab.frames("in").filter(has_text="pong")).to_have_count(1)
    # The stream was joined again once: no event is shown twice.
    tab.go("Events")
    put(server, "once", 1)
    put(server, "last", 1)
    events = tab.page.locator("#events-rows .row")
    expect(events.filter(has_text="last")).to_have_count(1)
    expect(events.filter(has_text="once")).to_have_count(1)
    tab.forgive_refused()


def test_the_page_shows_values_of_a_restarted_server_with_lower_revisions(
    blank_tab: Tab, start_server: StartServer
) -> None:
    server = start_server("--no-persist")
    for _ in range(50):
        put(server, "counted", "old")
    tab = blank_tab.open(server).expect_connected()
    detail = tab.choose("counted")
    expect(detail.meta).to_contain_text("revision 50")
    server.kill()
    expect(tab.state).to_have_attribute("data-state", re.compile("waiting|connecting"))
    server.start()
    put(server, "counted", "new")
    # Its revisions begin anew: a lower one is not taken for an older value.
    expect(detail.meta).to_contain_text("revision 1 ")
    expect(detail.leaf('"new"')).to_be_visible()
    expect(tab.row("counted")).to_contain_text('"new"')
    tab.forgive_refused()


def test_a_value_is_drawn_when_the_server_was_away_before_the_page_had_all_its_code(
    blank_tab: Tab, server: ServerProcess
) -> None:
    put(server, "drawn", "late")
    tab = blank_tab.open(server).expect_connected()
    editing = "**/editing.js"
    tab.page.route(editing, lambda route: route.abort("connectionrefused"))
    detail = tab.choose("drawn")
    expect(detail.problem).to_contain_text("cannot be reached")
    assert server.stop() == 0
    expect(tab.state).to_have_attribute("data-state", re.compile("waiting|connecting"))
    tab.page.unroute(editing)
    server.start()
    expect(detail.leaf('"late"')).to_be_visible()
    expect(detail.problem).to_be_hidden()
    tab.forgive_refused()


def test_an_edit_survives_a_restart_and_shows_the_changed_value(
    blank_tab: Tab, server: ServerProcess
) -> None:
    put(server, "edited", "before")
    tab = blank_tab.open(server).expect_connected()
    detail = tab.choose("edited")
    detail.button("Edit").click()
    detail.editor.fill('"mine"')
    assert server.stop() == 0
    (server.folder / "edited.json").write_text('"meanwhile"', encoding="utf-8")
    server.start()
    expect(detail.conflict).to_be_visible()
    expect(detail.editor).to_have_value('"mine"')
    expect(detail.leaf('"meanwhile"')).to_be_visible()
    tab.forgive_refused()


def test_the_connection_state_is_shown_in_every_view(blank_tab: Tab, server: ServerProcess) -> None:
    tab = blank_tab.open(server).expect_connected()
    assert server.stop() == 0
    for view in ("Keys", "Console", "Events", "Server"):
        tab.go(view)
        expect(tab.state).to_be_in_viewport()
        expect(tab.state).to_have_attribute("data-state", re.compile("waiting|connecting"))
    expect(tab.state).to_contain_text(re.compile("next try in|Connecting"))
    server.start()
    tab.expect_connected()
    tab.forgive_refused()


def test_the_console_stays_disconnected_until_connect_is_clicked(tab: Tab) -> None:
    tab.go("Console").button("Disconnect").click()
    expect(tab.page.locator("#console-state")).to_have_text("Not connected")
    expect(tab.button("Send")).to_be_disabled()
    expect(tab.state).to_have_text("Connected")
    tab.button("Connect").click()
    tab.expect_connected()


def test_the_console_speaks_the_selected_protocol(tab: Tab) -> None:
    tab.go("Console")
    greeting = tab.frames("in").filter(has_text='"type":"connected"')
    expect(greeting).to_have_count(1)

    tab.speak("dunena")
    expect(greeting).to_have_count(2)
    tab.send('{"action":"get","key":"k"}')
    expect(tab.frames("in").filter(has_text="Missing field: type")).to_have_count(1)

    for number, protocol in enumerate(["object store", "object store at /"], start=1):
        tab.speak(protocol)
        tab.send('{"type":"ping"}')
        errors = tab.frames("in").filter(has_text='{"error":"Invalid message format"}')
        expect(errors).to_have_count(number)
    expect(greeting).to_have_count(2)


def test_the_protocol_of_the_console_does_not_affect_other_views(
    tab: Tab, shared_server: ServerProcess
) -> None:
    put(shared_server, "undisturbed", 0)
    tab.go("Console").speak("object store")
    tab.send('{"action":"get","key":"k"}')
    tab.go("Keys")
    put(shared_server, "undisturbed", 1)
    expect(tab.row("undisturbed").locator(".preview")).to_have_text("1")


def test_the_page_works_with_a_server_of_one_dialect(
    blank_tab: Tab, start_server: StartServer
) -> None:
    server = start_server("--protocol", "object-store")
    put(server, "k", 1)
    tab = blank_tab.open(server).expect_connected()
    expect(tab.row("k").locator(".preview")).to_have_text("1")
    put(server, "k", 2)
    expect(tab.row("k").locator(".preview")).to_have_text("2")


def test_the_page_asks_for_the_token_once(new_tab: NewTab, start_server: StartServer) -> None:
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
    tab.button("New key").click()
    tab.detail.root.get_by_label("Key", exact=True).fill("secret")
    tab.detail.editor.fill('"kept"')
    tab.detail.button("Set").click()
    tab.detail.expect_json("kept")

    tab.page.reload()
    tab.expect_connected()
    expect(dialog).to_be_hidden()
    [cookie] = tab.page.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert TOKEN not in cookie["value"]
    assert [address for address in tab.addresses if "sesame" in address] == []
    tab.forgive("401")


def test_signing_out_ends_the_session(new_tab: NewTab, start_server: StartServer) -> None:
    tab = new_tab().open(start_server("--token", TOKEN))
    dialog = tab.page.get_by_role("dialog")
    dialog.get_by_label("Token").fill(TOKEN)
    dialog.get_by_role("button", name="Continue").click()
    tab.expect_connected()
    tab.button("Sign out").click()
    expect(tab.state).to_have_text("Token needed")
    expect(tab.page.locator("#console-state")).to_have_text("Token needed")
    assert tab.page.context.cookies() == []
    tab.page.reload()
    expect(dialog).to_be_visible()
    tab.forgive("401")


def test_sign_out_is_hidden_without_a_token(tab: Tab) -> None:
    expect(tab.button("Sign out")).to_be_hidden()


def test_the_page_stays_disconnected_when_the_token_dialog_is_closed(
    new_tab: NewTab, start_server: StartServer
) -> None:
    tab = new_tab().open(start_server("--token", TOKEN))
    dialog = tab.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Cancel").click()
    expect(tab.state).to_have_text("Token needed")
    tab.button("Connect").click()
    expect(dialog).to_be_visible()
    tab.page.keyboard.press("Escape")
    expect(tab.state).to_have_text("Token needed")
    tab.forgive("401")
