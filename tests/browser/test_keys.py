"""The keys view of the test page: the table, and the value and editor of one key."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewTab
from tests.browser.tab import Tab, post, put, put_many, put_text, remove, stored_text
from tests.protocol.clients import open_objects
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

MARKUP = "<img src=x onerror=alert(1)>"

SEE_FLASHES = """() => document.addEventListener("animationstart", (event) => {
  const name = event.target.querySelector?.(".key")?.textContent ?? event.target.className;
  document.documentElement.dataset.seen = `${document.documentElement.dataset.seen ?? ""} ${name}`;
})"""


# --- the table ---


def test_the_table_shows_value_size_revision_and_expiry_of_each_key(
    blank_tab: Tab, server: ServerProcess
) -> None:
    put(server, "plain", {"x": 1})
    put(server, "passing", "grü", ttl=3_600_000)
    tab = blank_tab.open(server).expect_connected()
    tab.expect_count("2 keys")
    cells = tab.row("plain").get_by_role("gridcell")
    expect(cells).to_have_text(["plain", '{"x":1}', "7 B", "1", ""])
    passing = tab.row("passing").get_by_role("gridcell")
    expect(passing).to_have_text(["passing", '"grü"', "4 B", "2", re.compile(r"^(59 min|1 h)")])


TIMERS = [
    ({"ms": 298_000, "rate": -1, "running": False}, "4:58 stopped"),
    ({"ms": 0, "rate": -1, "running": True}, "0:00 ended"),
    ({"ms": 3_725_999, "rate": 1, "running": False}, "62:05 stopped"),
]


def test_a_timer_is_shown_as_a_clock_with_what_it_does(
    blank_tab: Tab, server: ServerProcess
) -> None:
    for number, (timer, _) in enumerate(TIMERS):
        put(server, f"clock-{number}", {"timer": {"at": 1, **timer}})
    put(server, "named", {"timer": "tea", "ms": 5})
    tab = blank_tab.open(server).expect_connected()
    for number, (_, text) in enumerate(TIMERS):
        expect(tab.row(f"clock-{number}").locator(".preview")).to_have_text(text)
    expect(tab.row("named").locator(".preview")).to_have_text('{"timer":"tea","ms":5}')
    detail = tab.choose("clock-0")
    clock = detail.root.get_by_role("timer")
    expect(clock).to_have_text("4:58 stopped")
    detail.expect_json({"timer": {"at": 1, **TIMERS[0][0]}})
    post(server, "/kv/clock-0", '{"op": "timer", "do": "start"}')
    expect(clock).to_have_text(re.compile(r"^4:5\d counting down$"))
    expect(clock).to_have_text(re.compile(r"^4:56 counting down$"))  # it goes on by itself
    cell = tab.row("clock-0").locator(".preview")
    expect(cell).to_have_text(re.compile(r"^4:5[0-5] counting down$"))
    put(server, "clock-0", 1)
    expect(clock).to_be_hidden()
    tab.choose("named")
    expect(clock).to_be_hidden()


def test_an_ephemeral_key_is_marked(blank_tab: Tab, server: ServerProcess) -> None:
    put(server, "stays", 1)
    with open_objects(server) as client:
        client.send({"action": "set", "key": "goes", "value": 1, "ephemeral": True, "id": 1})
        client.receive()
        tab = blank_tab.open(server).expect_connected()
        expect(tab.row("goes").locator(".expiry")).to_have_text("with session")
        expect(tab.row("goes").locator(".key")).to_have_attribute("title", re.compile("Ephemeral"))
        expect(tab.row("goes").locator(".key")).to_have_css("font-style", "italic")
        expect(tab.row("stays").locator(".expiry")).to_have_text("")
        expect(tab.row("stays").locator(".key")).to_have_css("font-style", "normal")
        expect(tab.choose("goes").meta).to_contain_text("goes with its session")
    expect(tab.row("goes")).to_have_count(0)


def test_the_expiry_of_a_key_counts_down(blank_tab: Tab, server: ServerProcess) -> None:
    put(server, "staying", 1)
    tab = blank_tab.open(server).expect_connected()
    tab.expect_count("1 key")
    tab.page.evaluate(
        """() => {
          window.seen = [];
          const look = () => {
            for (const cell of document.querySelectorAll(".grid-body .expiry")) {
              const seconds = Number.parseInt(cell.textContent, 10);
              if (seconds && window.seen[window.seen.length - 1] !== seconds) {
                window.seen.push(seconds);
              }
            }
            requestAnimationFrame(look);
          };
          look();
        }"""
    )
    put(server, "passing", 1, ttl=4000)
    expect(tab.row("passing")).to_have_count(1)
    expect(tab.row("passing")).to_have_count(0)
    tab.expect_count("1 key")
    seen = tab.page.evaluate("window.seen")
    assert len(seen) > 1
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] <= 2


def test_a_changed_row_is_updated_in_place_and_highlighted(
    blank_tab: Tab, server: ServerProcess
) -> None:
    for key in ("a", "b", "c"):
        put(server, key, "old")
    tab = blank_tab.open(server).expect_connected()
    expect(tab.row("b")).to_contain_text('"old"')
    tab.page.evaluate(SEE_FLASHES)
    put(server, "b", "new")
    expect(tab.row("b")).to_contain_text('"new"')
    expect(tab.row("b").locator(".revision")).to_have_text("4")
    expect(tab.page.locator("html")).to_have_attribute("data-seen", " b")
    tab.expect_listed("a", "b", "c")


def test_added_and_deleted_keys_update_the_table(blank_tab: Tab, server: ServerProcess) -> None:
    put(server, "a", 1)
    put(server, "c", 1)
    tab = blank_tab.open(server).expect_connected()
    tab.expect_count("2 keys")
    put(server, "b", 1)
    expect(tab.row("b")).to_have_count(1)
    tab.expect_listed("a", "b", "c")
    remove(server, "a")
    expect(tab.row("a")).to_have_count(0)
    tab.expect_count("2 keys")
    (server.folder / "d.json").write_text("4", encoding="utf-8")
    expect(tab.row("d")).to_have_count(1)
    post(server, "/flush", "{}")
    tab.expect_count("0 keys")
    expect(tab.page.locator("#keys-empty")).to_contain_text("No keys yet")


def test_a_namespace_can_be_selected(blank_tab: Tab, server: ServerProcess) -> None:
    put(server, "twin", "outside")
    put(server, "twin", "inside", ns="rooms")
    put(server, "other", "inside", ns="rooms")
    tab = blank_tab.open(server).expect_connected()
    names = tab.page.get_by_role("navigation", name="Namespaces").get_by_role("button")
    expect(names).to_have_text(["no namespace1", "rooms2"])
    expect(tab.row("twin")).to_contain_text("outside")
    names.nth(1).click()
    expect(tab.row("twin")).to_contain_text("inside")
    tab.expect_count("2 keys")
    put(server, "third", 1, ns="halls")
    expect(names).to_have_text(["no namespace1", "halls1", "rooms2"])
    put(server, "twin", "changed inside", ns="rooms")
    expect(tab.row("twin")).to_contain_text("changed inside")


@pytest.mark.parametrize("width", [1280, 360])
def test_the_name_of_a_namespace_is_in_the_middle_of_its_button(
    new_tab: NewTab, shared_server: ServerProcess, width: int
) -> None:
    put(shared_server, "any", 1)
    size = {"width": width, "height": 740}
    tab = new_tab(viewport=size).open(shared_server).expect_connected()
    name = tab.page.locator(".namespace-list .none")
    expect(name).to_be_visible()
    above, below = name.evaluate(
        """(name) => {
          const text = document.createRange();
          text.selectNodeContents(name);
          const [inner, outer] = [text, name.closest("button")]
            .map((part) => part.getBoundingClientRect());
          return [inner.top - outer.top, outer.bottom - inner.bottom];
        }"""
    )
    assert abs(above - below) <= 2  # a font's letters are not in the middle of their line


def test_namespaces_can_be_searched(blank_tab: Tab, server: ServerProcess) -> None:
    for number in range(20):
        put(server, "k", number, ns=f"room-{number:02}")
    tab = blank_tab.open(server).expect_connected()
    tab.page.get_by_label("Find a namespace").fill("17")
    names = tab.page.get_by_role("navigation", name="Namespaces").get_by_role("button")
    names.filter(has_text="room-17").click()
    expect(tab.row("k")).to_contain_text("17")


def test_the_filter_matches_a_pattern_or_a_substring(blank_tab: Tab, server: ServerProcess) -> None:
    for key in ("score", "score-guest", "player-1", "player-22"):
        put(server, key, 1)
    tab = blank_tab.open(server).expect_connected()
    for typed, found in {
        "player-*": ["player-1", "player-22"],
        "player-?": ["player-1"],
        "guest": ["score-guest"],
        "*2": ["player-22"],
        "": ["player-1", "player-22", "score", "score-guest"],
    }.items():
        tab.filter(typed)
        tab.expect_count(f"{len(found)} key{'' if len(found) == 1 else 's'}")
        tab.expect_listed(*found)
    tab.filter("nobody")
    expect(tab.page.locator("#keys-empty")).to_have_text(
        "No key matches this filter. Search keys and values everywhere"
    )
    put(server, "nobody-yet", 1)
    expect(tab.row("nobody-yet")).to_have_count(1)


def test_the_sort_order_can_be_reversed(blank_tab: Tab, server: ServerProcess) -> None:
    for key in ("a", "b", "c"):
        put(server, key, 1)
    tab = blank_tab.open(server).expect_connected()
    expect(tab.row("a")).to_have_count(1)
    tab.button("Key").click()
    tab.expect_listed("c", "b", "a")
    head = tab.page.get_by_role("columnheader", name="Key")
    expect(head).to_have_attribute("aria-sort", "descending")


def test_the_table_can_be_navigated_by_keyboard(blank_tab: Tab, server: ServerProcess) -> None:
    put_many(server, [{"key": f"key-{number:03}", "value": "v"} for number in range(300)])
    tab = blank_tab.open(server).expect_connected()
    expect(tab.row("key-000")).to_have_count(1)
    grid = tab.page.get_by_role("grid", name="Keys")
    grid.focus()
    tab.page.keyboard.press("ArrowDown")
    tab.page.keyboard.press("Enter")
    expect(tab.detail.title).to_have_text("key-001")
    tab.page.keyboard.press("Escape")
    expect(tab.detail.root).to_be_hidden()
    expect(grid).to_be_focused()
    tab.page.keyboard.press("End")
    expect(tab.row("key-299")).to_be_in_viewport()
    tab.page.keyboard.press("Enter")
    expect(tab.detail.title).to_have_text("key-299")


def test_a_table_of_100000_keys_scrolls_and_filters_smoothly(
    blank_tab: Tab, start_server: StartServer
) -> None:
    server = start_server("--no-persist")
    put_many(server, [{"key": f"key-{n:06}", "value": f"value {n}"} for n in range(100_000)])
    tab = blank_tab.open(server).expect_connected()
    tab.expect_count("100,000 keys")
    rows = tab.page.locator(".grid-body .grid-row")
    grid = tab.page.get_by_role("grid", name="Keys")
    for share, key in ((1, "key-099999"), (0.5, "key-050000"), (0, "key-000000")):
        grid.evaluate("(grid, share) => { grid.scrollTop = grid.scrollHeight * share; }", share)
        expect(tab.row(key)).to_be_in_viewport()
        expect(tab.row(key)).to_contain_text(f"value {int(key[4:])}")
        assert rows.count() < 60
    tab.filter("*999")
    tab.expect_count("100 keys")
    tab.expect_listed("key-000999", "key-001999")
    assert rows.count() < 60
    tab.filter("*9*")
    tab.expect_count("40,951 keys")
    tab.page.wait_for_function(
        "() => document.querySelector('.grid-scroll').scrollHeight > 40_951 * 10"
    )
    grid.evaluate("(grid) => { grid.scrollTop = grid.scrollHeight; }")
    expect(tab.row("key-099999")).to_be_in_viewport()
    # It asked for parts, never for all: what it holds of the answers is bounded as well.
    asked = [address for address in tab.addresses if "/entries?" in address]
    assert 5 < len(asked) < 40, asked
    put(server, "key-099999", "changed")
    expect(tab.row("key-099999")).to_contain_text("changed")
    longest = tab.page.evaluate(
        """async () => {
          const grid = document.querySelector(".grid-scroll");
          let longest = 0, last = performance.now();
          for (let step = 0; step < 120; step += 1) {
            grid.scrollTop = grid.scrollHeight * ((step * 37) % 120) / 120;
            await new Promise(requestAnimationFrame);
            const now = performance.now();
            longest = Math.max(longest, now - last);
            last = now;
          }
          return longest;
        }"""
    )
    # A frame is 16 ms; a page that laid out thousands of rows would take seconds.
    assert longest < 400, f"{longest} ms between two frames"


def test_many_changes_are_shown_with_few_requests(
    blank_tab: Tab, start_server: StartServer
) -> None:
    server = start_server("--no-persist")
    keys = [f"key-{number:03}" for number in range(500)]
    put_many(server, [{"key": key, "value": "0"} for key in keys])
    tab = blank_tab.open(server).expect_connected()
    tab.expect_count("500 keys")
    tab.addresses.clear()
    for round_ in range(1, 11):
        put_many(server, [{"key": key, "value": str(round_)} for key in keys])
    expect(tab.row("key-000")).to_contain_text('"10"')
    expect(tab.row("key-010")).to_contain_text('"10"')
    # Five thousand events; only rows on screen were asked for, now and then.
    assert len(tab.addresses) < 100, len(tab.addresses)


# --- one key ---


def test_a_value_is_shown_as_a_tree_that_opens_and_closes(
    tab: Tab, shared_server: ServerProcess
) -> None:
    put(shared_server, "tree", {"a": {"b": {"c": ["deep", None]}}, "n": 1.5, "empty": {}})
    detail = tab.choose("tree")
    expect(detail.leaf("1.5")).to_be_visible()
    expect(detail.leaf("{}")).to_be_visible()
    expect(detail.leaf('"deep"')).to_have_count(0)
    detail.tree.locator("summary").filter(has_text=re.compile("^b:")).click()
    detail.tree.locator("summary").filter(has_text=re.compile("^c:")).click()
    expect(detail.leaf('"deep"')).to_be_visible()
    # What was opened stays open when the value changes, and the leaf that changed lights up.
    tab.page.evaluate(SEE_FLASHES)
    put(shared_server, "tree", {"a": {"b": {"c": ["deeper", None]}}, "n": 1.5, "empty": {}})
    expect(detail.leaf('"deeper"')).to_be_visible()
    seen = tab.page.locator("html")
    expect(seen).to_have_attribute("data-seen", re.compile("leaf string"))
    expect(seen).not_to_have_attribute("data-seen", re.compile("leaf number"))


def test_a_long_list_is_shown_in_parts(tab: Tab, shared_server: ServerProcess) -> None:
    put(shared_server, "long-list", list(range(1000)))
    detail = tab.choose("long-list")
    expect(detail.tree.locator(".leaf")).to_have_count(200)
    detail.button("800 more …").click()
    expect(detail.tree.locator(".leaf")).to_have_count(400)


def test_the_shown_value_follows_changes(tab: Tab, shared_server: ServerProcess) -> None:
    put(shared_server, "followed", {"x": 1})
    detail = tab.choose("followed")
    detail.expect_json({"x": 1})
    for number in range(2, 30):
        put(shared_server, "followed", {"x": number})
    detail.expect_json({"x": 29})
    remove(shared_server, "followed")
    expect(detail.meta).to_have_text("No value")
    expect(detail.button("Delete")).to_be_disabled()
    put(shared_server, "followed", "back")
    detail.expect_json("back")


def test_two_tabs_see_each_others_edits_of_one_value(
    new_tab: NewTab, shared_server: ServerProcess
) -> None:
    put(shared_server, "shared", 0)
    one, other = (new_tab().open(shared_server).expect_connected() for _ in range(2))
    here, there = one.choose("shared"), other.choose("shared")
    here.set('{"x": 1, "y": [true, null]}')
    there.expect_json({"x": 1, "y": [True, None]})
    there.set('"back"')
    here.expect_json("back")


def test_a_syntax_error_is_marked_at_its_position(tab: Tab, shared_server: ServerProcess) -> None:
    put(shared_server, "edited", {"x": 1})
    detail = tab.choose("edited")
    detail.edit()
    expect(detail.editor).to_have_value('{\n  "x": 1\n}')
    detail.editor.fill('{\n  "x": 1,\n  "y" 2\n}')
    expect(detail.button("Set")).to_be_disabled()
    expect(detail.editor).to_have_attribute("aria-invalid", "true")
    expect(detail.root.locator(".marks mark")).to_have_text("2")
    fault = detail.button('Line 3, column 7: ":" is missing after the name')
    fault.click()
    selected = detail.editor.evaluate("(area) => [area.selectionStart, area.selectionEnd]")
    assert selected == [18, 19]
    detail.editor.fill('{"x": 2}')
    expect(detail.root.locator(".marks mark")).to_have_count(0)
    detail.editor.press("Control+Enter")
    detail.expect_json({"x": 2})
    expect(detail.editor).to_be_hidden()
    assert json.loads(stored_text(shared_server, "/get/edited"))["value"] == {"x": 2}


FAULTS = {
    '{"a": 1,}': "Line 1, column 9: a comma before",
    '{"a": 1, "a": 2}': 'Line 1, column 10: the name "a" is there twice',
    "[1, 2": 'Line 1, column 6: "," or "]" is missing',
    "{'a': 1}": "Line 1, column 2: a name in double quotes",
    '"open': "Line 1, column 1: the closing quote is missing",
    '"a\nb"': "Line 1, column 3: a line break or control character",
    r'"\q"': "Line 1, column 2: an unknown escape",
    "01": "Line 1, column 1: this is not a number",
    "hello": 'Line 1, column 1: "hello" is no JSON',
    "1 2": "Line 1, column 3: there is more after the end",
    "18446744073709551616": "Line 1, column 1: an integer past 64 bits",
    "\n\n  nul": 'Line 3, column 3: "nul" is no JSON',
}


def test_each_syntax_error_is_described(tab: Tab, shared_server: ServerProcess) -> None:
    put(shared_server, "faulty", 1)
    detail = tab.choose("faulty")
    detail.edit()
    for text, fault in FAULTS.items():
        detail.editor.fill(text)
        expect(detail.verdict).to_contain_text(fault)
        expect(detail.button("Set")).to_be_disabled()


def test_a_change_during_an_edit_is_shown_and_does_not_overwrite_the_text(
    tab: Tab, shared_server: ServerProcess
) -> None:
    put(shared_server, "contested", "old")
    detail = tab.choose("contested")
    detail.edit()
    detail.editor.fill('"mine"')
    expect(detail.conflict).to_be_hidden()
    put(shared_server, "contested", "theirs")
    expect(detail.conflict).to_be_visible()
    expect(detail.leaf('"theirs"')).to_be_visible()
    expect(detail.editor).to_have_value('"mine"')

    detail.button("Load the new value").click()
    expect(detail.editor).to_have_value('"theirs"')
    expect(detail.conflict).to_be_hidden()

    detail.editor.fill('"mine again"')
    put(shared_server, "contested", "theirs again")
    detail.button("Overwrite").click()
    expect(detail.leaf('"mine again"')).to_be_visible()
    expect(detail.conflict).to_be_hidden()
    expect(detail.editor).to_be_hidden()

    detail.edit()
    detail.editor.fill('"kept"')
    remove(shared_server, "contested")
    expect(detail.conflict).to_contain_text("The key was removed")
    expect(detail.editor).to_have_value('"kept"')


def test_a_text_that_a_loaded_value_replaced_can_be_brought_back(
    tab: Tab, shared_server: ServerProcess
) -> None:
    put(shared_server, "loaded", "old")
    detail = tab.choose("loaded")
    load, bring_back = detail.button("Load the new value"), detail.button("Back to my text")
    detail.edit()
    put(shared_server, "loaded", "theirs")
    load.click()
    expect(detail.editor).to_have_value('"theirs"')
    expect(bring_back).to_be_hidden()  # nothing was typed
    detail.editor.fill('"mine"')
    put(shared_server, "loaded", "theirs again")
    load.click()
    expect(detail.editor).to_have_value('"theirs again"')
    expect(detail.conflict).to_be_hidden()
    # It is no less unsaved than before.
    detail.editor.press("Escape")
    bring_back.click()
    expect(detail.editor).to_have_value('"mine"')
    expect(detail.editor).to_be_focused()
    expect(bring_back).to_be_hidden()
    # What was typed into the loaded value takes its place, and so on.
    put(shared_server, "loaded", "theirs at last")
    load.click()
    detail.editor.fill('"more"')
    bring_back.click()
    expect(detail.editor).to_have_value('"mine"')
    bring_back.click()
    expect(detail.editor).to_have_value('"more"')
    bring_back.click()
    # The loaded value is the one that a save replaces.
    detail.button("Set").click()
    detail.expect_json("mine")
    assert value_of(shared_server, "loaded") == "mine"
    detail.edit()
    expect(bring_back).to_be_hidden()


def test_escape_closes_the_editor_only_without_unsaved_text(
    tab: Tab, shared_server: ServerProcess
) -> None:
    put(shared_server, "escaped", 1)
    detail = tab.choose("escaped")
    detail.edit()
    detail.editor.press("Escape")
    expect(detail.editor).to_be_hidden()
    detail.edit()
    detail.editor.fill("2")
    detail.editor.press("Escape")
    expect(detail.editor).to_have_value("2")
    detail.button("Cancel").click()
    expect(detail.editor).to_be_hidden()
    detail.expect_json(1)


def test_a_deleted_value_can_be_restored(tab: Tab, shared_server: ServerProcess) -> None:
    put(shared_server, "deleted", {"kept": [1]}, ttl=60_000)
    detail = tab.choose("deleted")
    detail.button("Delete").click()
    expect(detail.meta).to_have_text("No value")
    assert json.loads(stored_text(shared_server, "/get/deleted"))["value"] is None
    expect(detail.status).to_have_text("Deleted “deleted”.")
    detail.button("Undo").click()
    detail.expect_json({"kept": [1]})
    expect(detail.meta).to_contain_text("expires in")
    expect(detail.button("Undo")).to_be_hidden()


def test_an_expiry_can_be_set_kept_and_removed(tab: Tab, shared_server: ServerProcess) -> None:
    put(shared_server, "mortal", {"x": 1})
    detail = tab.choose("mortal")
    expect(detail.meta).to_contain_text("never expires")
    detail.button("Expiry").click()
    choice = detail.root.locator(".inline-form").get_by_label("Expires")
    choice.select_option(label="in …")
    detail.root.locator(".inline-form").get_by_label("Seconds").fill("500")
    detail.button("Apply").click()
    expect(detail.meta).to_contain_text("expires in 8 min")
    detail.expect_json({"x": 1})
    # Another value keeps it, unless told otherwise.
    detail.set("2")
    detail.expect_json(2)
    expect(detail.meta).to_contain_text("expires in 8 min")
    detail.button("Expiry").click()
    choice.select_option(label="never")
    detail.button("Apply").click()
    expect(detail.meta).to_contain_text("never expires")
    detail.button("Expiry").click()
    choice.select_option(label="in …")
    detail.root.locator(".inline-form").get_by_label("Seconds").fill("1")
    detail.button("Apply").click()
    expect(detail.meta).to_have_text("No value")


def test_a_new_key_can_be_created(tab: Tab, shared_server: ServerProcess) -> None:
    tab.button("New key").click()
    detail = tab.detail
    detail.root.get_by_label("Key", exact=True).fill("größe/1?")
    detail.root.get_by_label("Namespace").fill("räume")
    detail.editor.fill('{"made": "here"}')
    detail.button("Set").click()
    expect(detail.title).to_have_text("räumegröße/1?")
    detail.expect_json({"made": "here"})
    expect(tab.row("größe/1?")).to_have_count(1)
    detail.button("Delete").click()
    expect(detail.meta).to_have_text("No value")
    path = "/entries/gr%C3%B6%C3%9Fe%2F1%3F?ns=r%C3%A4ume"
    assert json.loads(stored_text(shared_server, path))["entry"] is None


def test_a_key_that_the_server_refuses_is_reported(tab: Tab) -> None:
    tab.button("New key").click()
    tab.detail.root.get_by_label("Key", exact=True).fill("k" * 513)
    tab.detail.editor.fill("1")
    tab.detail.button("Set").click()
    expect(tab.detail.problem).to_have_text("Key exceeds max length (512)")
    expect(tab.detail.editor).to_have_value("1")


def test_numbers_are_shown_and_stored_exactly(tab: Tab, shared_server: ServerProcess) -> None:
    text = '{"big":9007199254740993,"max":18446744073709551615,"float":1.0,"2":0,"1":0}'
    put_text(shared_server, f'{{"key":"exact","value":{text}}}')
    detail = tab.choose("exact")
    expect(detail.leaf("9007199254740993")).to_be_visible()
    detail.edit()
    detail.button("Set").click()
    expect(detail.editor).to_be_hidden()
    assert stored_text(shared_server, "/get/exact") == f'{{"key":"exact","value":{text}}}'


def test_a_long_value_is_truncated(tab: Tab, shared_server: ServerProcess) -> None:
    put(shared_server, "long", "x" * 100_000)
    detail = tab.choose("long")
    expect(detail.tree).to_contain_text("98,000 more characters")
    detail.button("JSON").click()
    expect(detail.root.get_by_label("Value as JSON")).to_contain_text("50,002 more characters")


def test_markup_in_keys_and_values_is_shown_as_text(blank_tab: Tab, server: ServerProcess) -> None:
    put(server, MARKUP, {MARKUP: MARKUP}, ns=MARKUP)
    tab = blank_tab.open(server).expect_connected()
    tab.page.get_by_role("navigation", name="Namespaces").get_by_text(MARKUP).click()
    detail = tab.choose(MARKUP)
    expect(detail.tree).to_contain_text(MARKUP)
    tab.go("Events")
    put(server, MARKUP, 1, ns=MARKUP)
    expect(tab.page.locator("#events-rows")).to_contain_text(MARKUP)
    tab.go("Console").send(json.dumps({"action": "get", "key": MARKUP, "ns": MARKUP}))
    expect(tab.frames("in").last).to_contain_text(MARKUP)
    assert tab.page.locator("img[src='x']").count() == 0


def test_key_and_value_can_be_copied(tab: Tab, shared_server: ServerProcess) -> None:
    put(shared_server, "copied", {"x": [1.0]})
    tab.choose("copied")
    assert tab.copied("Copy key") == "copied"
    assert tab.copied("Copy value") == '{\n  "x": [\n    1.0\n  ]\n}'


# --- nothing is lost, nothing overwritten unseen ---


def value_of(server: ServerProcess, key: str, query: str = "") -> object:
    return json.loads(stored_text(server, f"/get/{key}{query}"))["value"]


def test_creating_an_existing_key_overwrites_it_only_after_confirmation(
    tab: Tab, shared_server: ServerProcess
) -> None:
    put(shared_server, "taken", "theirs")
    tab.button("New key").click()
    detail = tab.detail
    name = detail.root.get_by_label("Key", exact=True)
    taken = detail.root.get_by_role("alert").filter(has_text="has a value already")
    name.fill("taken")
    detail.editor.fill('"mine"')
    detail.button("Set").click()
    expect(taken).to_contain_text('(6 B): "theirs"')
    assert value_of(shared_server, "taken") == "theirs"

    name.fill("free")
    expect(taken).to_be_hidden()
    expect(detail.button("Set")).to_be_visible()
    name.fill("taken")
    detail.button("Set").click()
    expect(taken).to_be_visible()
    put(shared_server, "taken", "theirs again")  # another one than the notice shows
    detail.button("Overwrite").click()
    expect(taken).to_contain_text('"theirs again"')
    assert value_of(shared_server, "taken") == "theirs again"
    detail.button("Overwrite").click()
    detail.expect_json("mine")
    assert value_of(shared_server, "taken") == "mine"


def test_overwriting_asks_again_when_the_value_changed_meanwhile(
    tab: Tab, shared_server: ServerProcess
) -> None:
    put(shared_server, "thrice", "first")
    detail = tab.choose("thrice")
    detail.edit()
    detail.editor.fill('"mine"')
    put(shared_server, "thrice", "second")
    expect(detail.conflict).to_contain_text("The value changed while")
    put(shared_server, "thrice", "third")
    expect(detail.conflict).to_contain_text("The value changed again while")
    detail.button("Overwrite").click()
    expect(detail.conflict).to_contain_text("The value changed while")
    expect(detail.leaf('"third"')).to_be_visible()
    assert value_of(shared_server, "thrice") == "third"
    detail.button("Overwrite").click()
    detail.expect_json("mine")
    assert value_of(shared_server, "thrice") == "mine"


def test_a_set_over_an_unseen_change_is_a_conflict(
    blank_tab: Tab, shared_server: ServerProcess
) -> None:
    """The page has not learnt of the change yet when the user presses Set."""
    put(shared_server, "late", "first")
    tab = blank_tab.open(shared_server).expect_connected()
    detail = tab.choose("late")
    detail.edit()
    detail.editor.fill('"mine"')
    tab.change_unseen(shared_server, "late", "second")
    # The server refuses, and the page asks for what is there.
    with tab.page.expect_request("**/entries/late"):
        detail.button("Set").click()
    assert value_of(shared_server, "late") == "second"
    tab.show_changes("late")
    expect(detail.conflict).to_be_visible()
    assert value_of(shared_server, "late") == "second"
    # The same value set anew is no conflict.
    detail.button("Load the new value").click()
    detail.editor.fill('"mine"')
    put(shared_server, "late", "second")
    detail.button("Set").click()
    detail.expect_json("mine")


def test_a_click_in_the_moment_of_a_conflict_does_not_overwrite(
    tab: Tab, shared_server: ServerProcess
) -> None:
    """It was meant for a button that said "Set" when the user moved the hand."""
    put(shared_server, "sudden", "first")
    detail = tab.choose("sudden")
    detail.edit()
    detail.editor.fill('"mine"')
    detail.button("Set").evaluate(
        """(button) => {
          new MutationObserver((changes, observer) => {
            observer.disconnect();
            button.click();
            document.querySelector("#detail textarea").dispatchEvent(new KeyboardEvent(
              "keydown", { key: "Enter", ctrlKey: true, bubbles: true }));
            button.dataset.isClicked = button.textContent;
          }).observe(button, { childList: true, characterData: true, subtree: true });
        }"""
    )
    put(shared_server, "sudden", "second")
    overwrite = detail.button("Overwrite")
    expect(overwrite).to_have_attribute("data-is-clicked", "Overwrite")
    expect(detail.conflict).to_be_visible()
    expect(overwrite).to_have_attribute("aria-disabled", "false")
    assert value_of(shared_server, "sudden") == "second"
    overwrite.click()
    detail.expect_json("mine")


@pytest.mark.parametrize("action", ["Delete", "Apply"])
def test_what_changed_unseen_is_neither_deleted_nor_given_an_expiry(
    tab: Tab, shared_server: ServerProcess, action: str
) -> None:
    key = f"unseen-{action}"
    put(shared_server, key, "first")
    detail = tab.choose(key)
    if action == "Apply":
        detail.button("Expiry").click()
        detail.root.locator(".inline-form").get_by_label("Expires").select_option("60")
    tab.change_unseen(shared_server, key, "second")
    detail.button(action).click()
    expect(detail.problem).to_contain_text("The value changed meanwhile, so nothing was done.")
    stored = json.loads(stored_text(shared_server, f"/entries/{key}"))["entry"]
    assert (stored["value"], stored["expiresAt"]) == ("second", None)
    tab.show_changes(key)
    expect(detail.leaf('"second"')).to_be_visible()
    detail.button(action).click()
    expect(detail.meta).to_have_text(re.compile("No value|expires in"))
    expect(detail.problem).to_be_hidden()


def test_what_a_value_will_change_to_is_kept(tab: Tab, shared_server: ServerProcess) -> None:
    """An edit, another expiry and a deletion that is taken back keep `then`."""
    tab.go("Console").send(
        json.dumps(
            {"action": "set", "key": "takes-itself-off", "value": {"on": True, "n": 1},
             "ttl": 600_000, "then": {"on": False, "n": 1.0}}
        )
    )  # fmt: skip
    detail = tab.go("Keys").choose("takes-itself-off")
    expect(detail.meta).to_contain_text("changes in 9 min")
    expect(detail.meta).to_contain_text(' by merging in {"on":false,"n":1.0}')

    def then() -> str:
        return stored_text(shared_server, "/entries/takes-itself-off").partition('"then":')[2]

    detail.set('{"on": true, "n": 2}')
    expect(detail.leaf("2")).to_be_visible()
    assert then() == '{"on":false,"n":1.0}}}'
    detail.button("Delete").click()
    detail.button("Undo").click()
    expect(detail.leaf("2")).to_be_visible()
    assert then() == '{"on":false,"n":1.0}}}'
    detail.edit()
    choice = detail.root.locator(".editor").get_by_label("Changes")
    expect(choice.locator("option").first).to_contain_text("as now")
    detail.button("Cancel").click()
    detail.button("Expiry").click()
    detail.root.locator(".inline-form").get_by_label("Changes").select_option("60")
    detail.button("Apply").click()
    expect(detail.meta).to_contain_text(re.compile("changes in (1 min|[0-9]+ s)"))
    assert then() == '{"on":false,"n":1.0}}}'


def test_what_a_value_will_change_to_is_shortened(tab: Tab, shared_server: ServerProcess) -> None:
    tab.go("Console")
    for key, then in {"becomes-text": "x" * 500, "becomes-number": 7}.items():
        message = {"action": "set", "key": key, "value": 1, "ttl": 600_000, "then": then}
        tab.send(json.dumps(message))
    detail = tab.go("Keys").choose("becomes-text")
    expect(detail.meta).to_contain_text(re.compile(f' to "{"x" * 99} …$'))
    detail = tab.choose("becomes-number")
    expect(detail.meta).to_contain_text(re.compile(" to 7$"))
    put(shared_server, "becomes-number", 2)
    expect(detail.meta).to_contain_text(re.compile("never expires$"))
    detail.edit()
    expect(detail.root.locator(".editor").get_by_label("Expires")).to_have_value("0")


def test_selecting_another_key_asks_before_discarding_an_edit(
    tab: Tab, shared_server: ServerProcess
) -> None:
    put(shared_server, "edit-one", 1)
    put(shared_server, "edit-two", 2)
    detail = tab.choose("edit-one")
    detail.edit()
    question = tab.page.get_by_role("dialog", name="is not saved")

    # What was only opened is no edit.
    detail = tab.choose("edit-two")
    detail.edit()
    detail.editor.fill("22")
    for leave in (
        tab.row("edit-one").click,
        tab.button("New key").click,
        detail.button("Close details").click,
        tab.page.go_back,
    ):
        leave()
        expect(question).to_contain_text("What you wrote for edit-two is not saved.")
        question.get_by_role("button", name="Keep editing").click()
        expect(question).to_have_count(0)
        expect(detail.title).to_have_text("edit-two")
        expect(detail.editor).to_have_value("22")
        assert tab.page.url.endswith("#keys?key=edit-two")

    tab.row("edit-one").click()
    tab.page.keyboard.press("Escape")
    expect(question).to_have_count(0)
    expect(detail.editor).to_have_value("22")
    tab.row("edit-one").click()
    question.get_by_role("button", name="Discard").click()
    expect(detail.title).to_have_text("edit-one")
    expect(detail.editor).to_be_hidden()
    assert value_of(shared_server, "edit-two") == 2


def test_selecting_a_key_asks_before_discarding_a_new_key(
    tab: Tab, shared_server: ServerProcess
) -> None:
    put(shared_server, "there", 1)
    tab.button("New key").click()
    tab.detail.editor.fill("123")
    tab.row("there").click()
    question = tab.page.get_by_role("dialog", name="The new key is not saved")
    question.get_by_role("button", name="Keep editing").click()
    expect(tab.detail.editor).to_have_value("123")
    tab.page.go_back()
    question.get_by_role("button", name="Discard").click()
    expect(tab.detail.root).to_be_hidden()


# --- large values ---

OPENS_MS_MAX = 5000
"""It took ten seconds and more with indentation, lines that wrap, and marks."""


@pytest.mark.parametrize("kind", ["numbers", "string"])
def test_a_value_of_two_megabytes_can_be_edited(
    tab: Tab, shared_server: ServerProcess, kind: str
) -> None:
    value: object = "x" * 2_000_000
    if kind == "numbers":
        value = [{"n": number, "text": "some words here"} for number in range(45_000)]
    put(shared_server, f"large-{kind}", value)
    detail = tab.choose(f"large-{kind}")
    took = tab.page.evaluate(
        """async () => {
          const began = performance.now();
          const isEdit = (button) => button.textContent === "Edit";
          [...document.querySelectorAll("#detail button")].find(isEdit).click();
          await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
          return performance.now() - began;
        }"""
    )
    assert took < OPENS_MS_MAX
    detail.write_as("JSON")
    compact = json.dumps(value, separators=(",", ":"))
    assert detail.editor.input_value() == compact
    expect(detail.editor).to_have_css("white-space-collapse", "preserve")
    expect(detail.editor).to_have_css("text-wrap-mode", "nowrap")
    # It is judged when nobody types any more, and no mark is drawn in it.
    detail.editor.press("x")
    expect(detail.button("Set")).to_be_disabled()
    expect(detail.verdict).to_contain_text('Line 1, column 1: "x')
    expect(detail.root.locator(".marks mark")).to_have_count(0)
    detail.editor.press("Backspace")
    detail.editor.press("Control+Enter")  # sooner than it was judged
    expect(detail.editor).to_be_hidden()
    assert value_of(shared_server, f"large-{kind}") == value


def test_a_large_value_with_a_syntax_error_is_not_sent(
    tab: Tab, shared_server: ServerProcess
) -> None:
    put(shared_server, "large-faulty", "x" * 300_000)
    detail = tab.choose("large-faulty")
    detail.edit()
    detail.editor.evaluate(
        """(area) => {
          area.value = area.value.slice(1);
          area.dispatchEvent(new Event("input"));
          area.dispatchEvent(
            new KeyboardEvent("keydown", { key: "Enter", ctrlKey: true, bubbles: true }));
        }"""
    )
    expect(detail.verdict).to_contain_text("is no JSON")
    expect(detail.editor).to_be_visible()
    assert value_of(shared_server, "large-faulty") == "x" * 300_000
    # A short text is indented and wrapped as ever.
    detail.button("Cancel").click()
    put(shared_server, "large-faulty", {"x": 1})
    detail.expect_json({"x": 1})
    detail.edit()
    expect(detail.editor).to_have_value('{\n  "x": 1\n}')
    expect(detail.editor).to_have_css("text-wrap-mode", "wrap")


def test_the_editor_opens_scrolled_to_the_top(tab: Tab, shared_server: ServerProcess) -> None:
    put(shared_server, "tall", list(range(500)))
    detail = tab.choose("tall")
    place = "(area) => [area.scrollTop, area.selectionStart, area.selectionEnd]"
    for last in ("more", "other"):
        detail.edit()
        expect(detail.editor).to_be_focused()
        assert detail.editor.evaluate("(area) => area.scrollHeight > area.clientHeight")
        assert detail.editor.evaluate(place) == [0, 0, 0]
        detail.editor.press("Control+End")
        assert detail.editor.evaluate("(area) => area.scrollTop") > 0
        put(shared_server, "tall", [*range(500), last])
        detail.button("Load the new value").click()
        assert detail.editor.evaluate(place) == [0, 0, 0]
        detail.button("Cancel").click()


# --- the address ---


def test_the_back_button_closes_the_shown_key(
    new_tab: NewTab, shared_server: ServerProcess
) -> None:
    put(shared_server, "back-one", 1)
    put(shared_server, "back-two", 2)
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
    tab = new_tab(**phone).open(shared_server).expect_connected()
    detail = tab.choose("back-one")
    assert tab.page.url.endswith("/test#keys?key=back-one")
    tab.page.go_back()
    expect(detail.root).to_be_hidden()
    expect(tab.row("back-two")).to_be_visible()
    assert tab.page.url.endswith("/test#keys")
    tab.page.go_forward()
    expect(detail.title).to_have_text("back-one")
    detail.button("Close details").click()
    expect(tab.page).to_have_url(re.compile(r"/test#keys$"))

    # Whatever was looked at, one Back leaves the key; the other views keep it.
    tab.choose("back-two")
    tab.go("Events")
    expect(tab.page.locator("#view-events")).to_be_visible()
    tab.go("Keys")
    expect(detail.title).to_have_text("back-two")
    assert tab.page.url.endswith("/test#keys?key=back-two")
    tab.page.go_back()
    expect(detail.root).to_be_hidden()
    tab.button("New key").click()
    expect(detail.editor).to_be_visible()
    tab.page.go_back()
    expect(detail.root).to_be_hidden()


def test_going_back_after_closing_a_key_leaves_the_page(
    new_tab: NewTab, shared_server: ServerProcess
) -> None:
    for key in ("left-one", "left-two", "left-three"):
        put(shared_server, key, 1)
    tab = new_tab()
    tab.page.goto("about:blank")
    tab.open(shared_server).expect_connected()
    length = tab.page.evaluate("history.length")
    detail = tab.choose("left-one")
    # The next one at once, before the browser has gone back.
    places = detail.button("Close details"), tab.row("left-two")
    tab.page.evaluate(
        "([close, row]) => { close.click(); row.click(); }",
        [place.element_handle() for place in places],
    )
    expect(detail.title).to_have_text("left-two")
    expect(tab.page).to_have_url(re.compile("key=left-two$"))
    detail.button("Close details").click()
    expect(tab.page).to_have_url(re.compile(r"/test#keys$"))
    # A link that is followed in the page is no other thing.
    tab.page.evaluate("location.hash = '#keys?key=left-three'")
    expect(detail.title).to_have_text("left-three")
    detail.button("Close details").click()
    expect(tab.page).to_have_url(re.compile(r"/test#keys$"))
    expect(detail.root).to_be_hidden()
    assert tab.page.evaluate("history.length") == length + 1  # what Forward would show
    tab.page.go_back()
    assert tab.page.url == "about:blank"


def test_closing_a_key_stays_in_the_keys_view(blank_tab: Tab, server: ServerProcess) -> None:
    put(server, "over-one", 1)
    put(server, "over-two", 1)
    tab = blank_tab.open(server).expect_connected()
    detail = tab.choose("over-one")
    tab.page.evaluate("location.hash = '#keys?key=over-two'")
    expect(detail.title).to_have_text("over-two")
    detail.button("Close details").click()
    expect(detail.root).to_be_hidden()
    assert tab.page.url.endswith("/test#keys")
    tab.go("Events")
    tab.page.evaluate("location.hash = '#keys?key=over-one'")
    expect(detail.title).to_have_text("over-one")
    detail.button("Close details").click()
    expect(detail.root).to_be_hidden()
    expect(tab.row("over-one")).to_be_visible()
    assert tab.page.url.endswith("/test#keys")


def test_the_link_of_a_key_opens_that_key(new_tab: NewTab, shared_server: ServerProcess) -> None:
    put(shared_server, "a b/ß?&#", {"x": 1}, ns="räume & co")
    tab = new_tab().open(shared_server).expect_connected()
    tab.page.get_by_role("navigation", name="Namespaces").get_by_text("räume & co").click()
    tab.choose("a b/ß?&#")
    link = tab.copied("Copy link")
    assert link == tab.page.url

    other = new_tab()
    other.page.goto(link)
    other.expect_connected()
    expect(other.detail.title).to_have_text("räume & coa b/ß?&#")
    other.detail.expect_json({"x": 1})
    expect(other.row("a b/ß?&#")).to_have_attribute("aria-selected", "true")
    other.page.reload()
    expect(other.detail.title).to_have_text("räume & coa b/ß?&#")
    other.page.go_back()
    expect(other.detail.root).to_be_hidden()
    expect(other.row("a b/ß?&#")).to_be_visible()

    # In a page that is open already.
    tab.button("Close details").click()
    tab.page.evaluate("(link) => { location.href = link; }", link)
    expect(tab.detail.title).to_have_text("räume & coa b/ß?&#")
