"""Following, editing and listing keys on the test page."""

import json

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewTab
from tests.browser.tab import Tab, put, put_text, stored_text
from tests.support.server import ServerProcess

MARKUP = "<img src=x onerror=alert(1)>"


def test_a_value_set_in_one_tab_appears_in_another(
    new_tab: NewTab, shared_server: ServerProcess
) -> None:
    one, other = (new_tab().open(shared_server).expect_connected() for _ in range(2))
    here, there = one.follow("shared"), other.follow("shared")
    here.set('{"x": 1, "y": [true, null]}')
    there.expect_json({"x": 1, "y": [True, None]})
    there.set('"back"')
    here.expect_json("back")


def test_a_message_sent_in_one_tab_changes_a_value_in_another(
    new_tab: NewTab, shared_server: ServerProcess
) -> None:
    one, other = (new_tab().open(shared_server).expect_connected() for _ in range(2))
    card = other.follow("k1", "app")
    one.template("dunena", "mset").click()
    one.page.get_by_role("button", name="Send", exact=True).click()
    card.expect_json("v1")


def test_a_change_lights_up_and_the_first_value_does_not(
    tab: Tab, shared_server: ServerProcess
) -> None:
    put(shared_server, "flashing", 1)
    card = tab.follow("flashing")
    expect(card.value).to_have_class("value")
    tab.page.evaluate(
        """() => document.addEventListener("animationstart", (event) => {
          document.documentElement.dataset.seen = event.animationName;
        })"""
    )
    put(shared_server, "flashing", 2)
    card.expect_json(2)
    expect(tab.page.locator("html")).to_have_attribute("data-seen", "changed")


def test_a_value_is_edited_in_place(tab: Tab, shared_server: ServerProcess) -> None:
    put(shared_server, "edited", {"x": 1})
    card = tab.follow("edited")
    card.button("Edit").click()
    expect(card.editor).to_have_value('{\n  "x": 1\n}')
    card.editor.fill('{"x": ')
    expect(card.button("Set")).to_be_disabled()
    expect(card.root.get_by_role("status")).to_contain_text("JSON")
    card.editor.fill('{"x": 2}')
    card.editor.press("Control+Enter")
    card.expect_json({"x": 2})
    expect(card.editor).to_be_hidden()
    assert json.loads(stored_text(shared_server, "/get/edited"))["value"] == {"x": 2}


def test_a_change_while_editing_is_shown_and_overwrites_nothing(
    tab: Tab, shared_server: ServerProcess
) -> None:
    put(shared_server, "contested", "old")
    card = tab.follow("contested")
    card.button("Edit").click()
    card.editor.fill('"mine"')
    expect(card.conflict).to_be_hidden()
    put(shared_server, "contested", "theirs")
    expect(card.conflict).to_be_visible()
    card.expect_json("theirs")
    expect(card.editor).to_have_value('"mine"')

    card.button("Load the new value").click()
    expect(card.editor).to_have_value('"theirs"')
    expect(card.conflict).to_be_hidden()

    card.editor.fill('"mine again"')
    put(shared_server, "contested", "theirs again")
    card.button("Overwrite").click()
    card.expect_json("mine again")
    expect(card.conflict).to_be_hidden()
    expect(card.editor).to_be_hidden()


def test_escape_leaves_the_editor_unless_something_would_be_lost(
    tab: Tab, shared_server: ServerProcess
) -> None:
    put(shared_server, "escaped", 1)
    card = tab.follow("escaped")
    card.button("Edit").click()
    card.editor.press("Escape")
    expect(card.editor).to_be_hidden()
    card.button("Edit").click()
    card.editor.fill("2")
    card.editor.press("Escape")
    expect(card.editor).to_have_value("2")
    card.button("Cancel").click()
    expect(card.editor).to_be_hidden()
    card.expect_json(1)


def test_a_deleted_value_can_be_put_back(tab: Tab, shared_server: ServerProcess) -> None:
    put(shared_server, "deleted", {"kept": [1]})
    card = tab.follow("deleted")
    card.button("Delete").click()
    expect(card.value).to_have_text("null")
    expect(card.button("Delete")).to_be_disabled()
    assert json.loads(stored_text(shared_server, "/get/deleted"))["value"] is None
    card.button("Put back").click()
    card.expect_json({"kept": [1]})
    expect(card.button("Put back")).to_be_hidden()


def test_a_key_in_a_namespace_is_another_key(tab: Tab, shared_server: ServerProcess) -> None:
    put(shared_server, "twin", "outside")
    put(shared_server, "twin", "inside", ns="rooms")
    outside, inside = tab.follow("twin"), tab.follow("twin", "rooms")
    outside.expect_json("outside")
    inside.expect_json("inside")
    inside.set('"changed"')
    inside.expect_json("changed")
    outside.expect_json("outside")
    inside.button("Delete").click()
    expect(inside.value).to_have_text("null")
    outside.expect_json("outside")


def test_a_refused_value_stays_in_the_editor(new_tab: NewTab, shared_server: ServerProcess) -> None:
    tab = new_tab().open(shared_server).expect_connected()
    card = tab.follow("refused")
    card.set("123456789012345678901234567890")
    expect(card.root.get_by_role("alert")).to_have_text("Invalid JSON body")
    expect(card.editor).to_have_value("123456789012345678901234567890")
    assert len(tab.problems) == 2, tab.problems  # the response, and the browser's line about it
    tab.problems.clear()


def test_a_key_that_the_server_refuses_is_reported(tab: Tab) -> None:
    form = tab.page.locator("#follow-form")
    form.get_by_label("Key", exact=True).fill("k" * 513)
    form.get_by_role("button", name="Follow").click()
    expect(tab.page.locator("#follow-problem")).to_have_text("Key exceeds max length (512)")


def test_numbers_stay_what_they_are(tab: Tab, shared_server: ServerProcess) -> None:
    text = '{"big":9007199254740993,"max":18446744073709551615,"float":1.0,"2":0,"1":0}'
    put_text(shared_server, f'{{"key":"exact","value":{text}}}')
    card = tab.follow("exact")
    expect(card.value).to_contain_text("9007199254740993")
    card.button("Edit").click()
    card.button("Set").click()
    expect(card.editor).to_be_hidden()
    assert stored_text(shared_server, "/get/exact") == f'{{"key":"exact","value":{text}}}'


def test_an_unfollowed_key_is_gone_and_sends_nothing(
    tab: Tab, shared_server: ServerProcess
) -> None:
    card, other = tab.follow("left"), tab.follow("kept")
    card.button("Unfollow").click()
    expect(card.root).to_have_count(0)
    put(shared_server, "left", "unheard")
    put(shared_server, "kept", "heard")
    other.expect_json("heard")
    expect(tab.rows("in", "live").filter(has_text='"heard"')).to_have_count(1)
    expect(tab.rows("in", "live").filter(has_text="unheard")).to_have_count(0)


def test_keys_are_listed_by_page_and_followed_by_click(
    new_tab: NewTab, server: ServerProcess
) -> None:
    for number in range(103):
        put(server, f"key-{number:03}", number)
    put(server, "hidden", "in a room", ns="room")
    tab = new_tab().open(server).expect_connected()
    keys = tab.page.get_by_role("list", name="Existing keys").get_by_role("button")
    expect(keys).to_have_count(100)
    tab.page.get_by_role("button", name="Load more").click()
    expect(keys).to_have_count(103)
    expect(tab.page.get_by_role("button", name="Load more")).to_be_hidden()

    keys.get_by_text("key-102", exact=True).click()
    tab.card("key-102").expect_json(102)
    expect(keys.last).to_have_attribute("aria-pressed", "true")

    form = tab.page.locator("#keys-form")
    form.get_by_label("Pattern").fill("key-00?")
    expect(keys).to_have_count(10)
    form.get_by_label("Pattern").fill("*")
    form.get_by_label("Namespace").fill("room")
    expect(keys).to_have_text(["hidden"])
    keys.first.click()
    tab.card("hidden", "room").expect_json("in a room")


def test_a_new_key_comes_into_the_list_by_itself(tab: Tab, shared_server: ServerProcess) -> None:
    put(shared_server, "newcomer", 1)
    keys = tab.page.get_by_role("list", name="Existing keys").get_by_role("button")
    expect(keys.get_by_text("newcomer", exact=True)).to_have_count(1)


@pytest.mark.parametrize("ns", ["", MARKUP])
def test_markup_in_names_and_values_is_only_text(
    new_tab: NewTab, server: ServerProcess, ns: str
) -> None:
    space = {"ns": ns} if ns else {}
    put(server, MARKUP, MARKUP, **space)
    tab = new_tab().open(server).expect_connected()
    card = tab.follow(MARKUP, ns)
    card.expect_json(MARKUP)
    card.set(json.dumps({MARKUP: f"</pre><script>alert(1)</script>{MARKUP}"}))
    expect(card.value).to_contain_text("</pre><script>alert(1)</script>")
    tab.page.locator("#keys-ns").fill(ns)
    listed = tab.page.get_by_role("list", name="Existing keys").get_by_role("button")
    expect(listed).to_have_text([MARKUP])
    tab.send(json.dumps({"type": MARKUP}))
    expect(tab.rows("in").filter(has_text=f"Unknown message type: {MARKUP}")).to_have_count(1)
    tab.page.get_by_role("button", name="Pretty").click()
    tab.page.get_by_label("Filter messages").fill(MARKUP)
    expect(tab.page.locator("img[src=x], main script")).to_have_count(0)
