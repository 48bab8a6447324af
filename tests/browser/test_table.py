"""The table of keys: searching everywhere, the tree, selecting many keys, importing files."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Axe, NewTab
from tests.browser.tab import Tab, put, put_many, remove
from tests.protocol.clients import http
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess
from tests.support.tokens import write_tokens

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}


def search(tab: Tab, text: str) -> None:
    tab.button("Everywhere").click()
    tab.filter(text)


def found(tab: Tab) -> Locator:
    return tab.page.locator(".grid-body .grid-row")


def labels(tab: Tab, *names: str) -> None:
    """Wait until the drawn rows begin with these names."""
    tab.page.wait_for_function(
        """(wanted) => {
          const rows = [...document.querySelectorAll(".grid-body .grid-row")];
          rows.sort((one, other) => one.dataset.index - other.dataset.index);
          const shown = rows.map((row) => row.querySelector(".label").textContent);
          return shown.length >= wanted.length && wanted.every((it, index) => it === shown[index]);
        }""",
        arg=list(names),
    )


def row_of(tab: Tab, label: str) -> Locator:
    name = tab.page.locator(".label").filter(has_text=re.compile(f"^{re.escape(label)}$"))
    return tab.page.locator(".grid-body .grid-row").filter(has=name)


def box(tab: Tab, label: str) -> Locator:
    return tab.page.get_by_role("checkbox", name=f"Select {label}", exact=True)


def bar(tab: Tab) -> Locator:
    return tab.page.get_by_role("group", name="Selected keys")


def press(tab: Tab, name: str) -> None:
    bar(tab).get_by_role("button", name=name, exact=True).click()


def drop(tab: Tab, *files: tuple[str, bytes]) -> Locator:
    """Drop files on the keys, as a person does; the dialog that opens."""
    # The first file that is dragged in loads what takes it.
    transfer = tab.page.evaluate_handle(
        """(files) => {
          const transfer = new DataTransfer();
          for (const [name, bytes] of files) {
            transfer.items.add(new File([new Uint8Array(bytes)], name));
          }
          return transfer;
        }""",
        [[name, list(content)] for name, content in files],
    )
    view = tab.page.locator("#view-keys")
    view.dispatch_event("dragenter", {"dataTransfer": transfer})
    tab.page.wait_for_function(
        """(transfer) => {
          const view = document.getElementById("view-keys");
          view.dispatchEvent(
            new DragEvent("dragover", { dataTransfer: transfer, cancelable: true, bubbles: true }));
          return view.classList.contains("dropping");
        }""",
        arg=transfer,
    )
    view.dispatch_event("drop", {"dataTransfer": transfer})
    dialog = tab.page.get_by_role("dialog", name="Import")
    expect(dialog).to_be_visible()
    return dialog


def import_button(dialog: Locator) -> Locator:
    return dialog.get_by_role("button", name="Import", exact=True)


def values(server: ServerProcess, ns: str = "") -> Any:
    return http(server, "GET", f"/kv?ns={ns}").json


def run(*arguments: object) -> None:
    """Run a command of dunena."""
    command = [sys.executable, "-m", "dunena", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


# --- searching everywhere ---


def test_a_search_everywhere_finds_keys_and_values_of_all_namespaces(
    blank_tab: Tab, server: ServerProcess
) -> None:
    put(server, "score", {"home": 2})
    put(server, "title", "The High Score", ns="show")
    put(server, "far", {"text": "x" * 300 + " a SCORE deep inside"}, ns="show")
    put(server, "other", 1, ns="show")
    tab = blank_tab.open(server).expect_connected()
    search(tab, "score")
    tab.expect_count("3 found")
    labels(tab, "score", "far", "title")
    expect(row_of(tab, "score").locator("mark")).to_have_text("score")
    title = row_of(tab, "title")
    expect(title.locator(".ns")).to_have_text("show")
    expect(title.locator("mark")).to_have_text("Score")
    expect(row_of(tab, "far").locator(".preview")).to_have_text(re.compile("^…x+ a SCORE deep"))
    title.click()
    expect(tab.detail.title).to_have_text("showtitle")
    expect(title).to_have_attribute("aria-selected", "true")
    assert tab.page.url.endswith("#keys?key=title&ns=show&q=score&in=all")
    tab.page.reload()
    expect(tab.detail.title).to_have_text("showtitle")
    tab.expect_count("3 found")
    tab.page.go_back()
    expect(tab.detail.root).to_be_hidden()
    tab.expect_count("3 found")
    tab.filter("nobody has this")
    expect(tab.page.locator("#keys-empty")).to_have_text(
        "No key and no value has “nobody has this” in it."
    )


def test_a_filter_without_a_match_offers_the_search_everywhere(
    blank_tab: Tab, server: ServerProcess
) -> None:
    put(server, "one", "needle", ns="show")
    put(server, "two", 2)
    tab = blank_tab.open(server).expect_connected()
    tab.filter("needle")
    tab.button("Search keys and values everywhere").click()
    labels(tab, "one")
    expect(tab.button("Everywhere")).to_have_attribute("aria-pressed", "true")
    tab.button("Everywhere").click()
    expect(tab.page.locator("#keys-empty")).to_be_visible()
    tab.filter("")
    tab.expect_listed("two")


def test_what_is_found_follows_the_store(blank_tab: Tab, server: ServerProcess) -> None:
    put(server, "one", "needle 1", ns="show")
    tab = blank_tab.open(server).expect_connected()
    search(tab, "needle")
    labels(tab, "one")
    put(server, "two", "needle 2", ns="new-one")
    labels(tab, "two", "one")
    put(server, "one", "needle 3", ns="show")
    expect(row_of(tab, "one").locator(".preview")).to_have_text('"needle 3"')
    put(server, "one", "gone", ns="show")
    expect(found(tab)).to_have_count(1)


def test_more_is_found_while_the_rows_are_scrolled(blank_tab: Tab, server: ServerProcess) -> None:
    put_many(server, [{"key": f"key-{number:04}", "value": "needle"} for number in range(350)])
    tab = blank_tab.open(server).expect_connected()
    search(tab, "needle")
    tab.expect_count("100 found, there are more")
    grid = tab.page.get_by_role("grid", name="Keys")
    grid.focus()
    for _ in range(4):
        before = tab.page.locator("#keys-count").inner_text()
        tab.page.keyboard.press("End")
        expect(tab.page.locator("#keys-count")).not_to_have_text(before)
        expect(tab.page.locator("#keys-count")).not_to_contain_text("searching")
        if "more" not in tab.page.locator("#keys-count").inner_text():
            break
    tab.expect_count("350 found")


def test_the_answer_to_the_latest_text_wins(blank_tab: Tab, server: ServerProcess) -> None:
    put(server, "first", "alpha")
    put(server, "second", "beta")
    tab = blank_tab.open(server).expect_connected()
    held: list[Any] = []
    tab.page.route("**/search?q=alpha*", lambda route: held.append(route))
    with tab.page.expect_request("**/search?q=alpha*"):
        search(tab, "alpha")
    tab.filter("beta")
    labels(tab, "second")
    tab.page.unroute("**/search?q=alpha*")
    expect(found(tab)).to_have_count(1)


def test_a_search_that_fails_is_told_and_tried_again(blank_tab: Tab, server: ServerProcess) -> None:
    put(server, "first", "alpha")
    tab = blank_tab.open(server).expect_connected()
    answer = {"status": 500, "json": {"error": "Something broke."}}
    tab.page.route("**/search?**", lambda route: route.fulfill(**answer))
    search(tab, "alpha")
    problem = tab.page.locator("#keys-problem")
    expect(problem).to_have_text("Something broke.")
    tab.page.unroute("**/search?**")
    labels(tab, "first")
    expect(problem).to_be_hidden()
    tab.forgive("500")


# --- addresses ---


def test_the_address_names_what_is_listed_and_opens_it(
    new_tab: NewTab, server: ServerProcess
) -> None:
    put(server, "score-one", 1, ns="räume & co")
    put(server, "other", 1, ns="räume & co")
    put(server, "plain", 1)
    tab = new_tab().open(server).expect_connected()
    tab.page.get_by_role("navigation", name="Namespaces").get_by_text("räume & co").click()
    tab.filter("sco")
    tab.expect_count("1 key")
    address = tab.page.url
    tab.choose("score-one")
    with_key = tab.page.url
    for link, is_open in ((address, False), (with_key, True)):
        other = new_tab()
        other.page.goto(link)
        other.expect_connected()
        other.expect_listed("score-one")
        other.expect_count("1 key")
        expect(other.page.locator("#keys-filter")).to_have_value("sco")
        expect(other.detail.root).to_be_visible(visible=is_open)
        assert other.page.url == link
    # In a page that is open, and back.
    tab.button("Close details").click()
    expect(tab.page).to_have_url(address)
    tab.page.evaluate("location.hash = '#keys'")
    tab.expect_listed("plain")
    tab.page.go_back()
    tab.expect_listed("score-one")


# --- the tree ---


def test_the_tree_groups_keys_by_the_parts_of_their_names(
    blank_tab: Tab, server: ServerProcess
) -> None:
    for key in ("team/home/name", "team/home/score", "team/guest/name", "team/guest/score"):
        put(server, key, key)
    put(server, "team/only:one.key", 1)
    put(server, "clock", 5)
    tab = blank_tab.open(server).expect_connected()
    tab.button("Tree").click()
    labels(tab, "clock", "team/")
    tab.expect_count("6 keys")
    team = row_of(tab, "team/")
    expect(team.locator(".preview")).to_have_text("5 keys")
    team.click()
    labels(tab, "clock", "team/", "guest/", "home/", "only:one.key")
    row_of(tab, "home/").click()
    expect(row_of(tab, "score").locator(".preview")).to_have_text('"team/home/score"')
    row_of(tab, "score").click()
    expect(tab.detail.title).to_have_text("team/home/score")
    tab.button("Close details").click()
    # It follows the store, and is remembered.
    put(server, "team/home/name", "Lions")
    expect(row_of(tab, "name").locator(".preview")).to_have_text('"Lions"')
    put(server, "team/away/name", 1)
    labels(tab, "clock", "team/", "away/name", "guest/", "home/", "name", "score")
    remove(server, "team/home/name")
    labels(tab, "clock", "team/", "away/name", "guest/", "home/score")
    tab.page.reload()
    labels(tab, "clock", "team/")
    tab.button("List").click()
    tab.expect_listed("clock", "team/away/name")


def test_the_tree_can_be_used_by_keyboard(blank_tab: Tab, server: ServerProcess) -> None:
    for key in ("a", "b/c/1", "b/c/2", "b/d", "e"):
        put(server, key, 1)
    tab = blank_tab.open(server).expect_connected()
    tab.button("Tree").click()
    labels(tab, "a", "b/", "e")
    grid = tab.page.get_by_role("treegrid", name="Keys")
    grid.focus()
    keyboard = tab.page.keyboard
    keyboard.press("ArrowDown")
    expect(row_of(tab, "b/")).to_have_attribute("aria-expanded", "false")
    keyboard.press("ArrowRight")
    labels(tab, "a", "b/", "c/", "d", "e")
    expect(row_of(tab, "b/")).to_have_attribute("aria-expanded", "true")
    expect(row_of(tab, "d")).to_have_attribute("aria-level", "2")
    keyboard.press("ArrowRight")
    keyboard.press("Enter")
    labels(tab, "a", "b/", "c/", "1", "2", "d", "e")
    keyboard.press("ArrowDown")
    keyboard.press("Enter")
    expect(tab.detail.title).to_have_text("b/c/1")
    keyboard.press("Escape")
    expect(grid).to_be_focused()
    keyboard.press("ArrowLeft")
    keyboard.press("ArrowLeft")
    labels(tab, "a", "b/", "c/", "d", "e")
    keyboard.press("ArrowLeft")
    keyboard.press("Space")
    expect(box(tab, "b/")).to_be_checked()
    expect(bar(tab)).to_contain_text("3 keys selected")


def test_a_filtered_tree_is_open(blank_tab: Tab, server: ServerProcess) -> None:
    for key in ("b/one/x", "b/one/y", "b/two", "c"):
        put(server, key, 1)
    tab = blank_tab.open(server).expect_connected()
    tab.button("Tree").click()
    tab.filter("one")
    labels(tab, "b/one/", "x", "y")
    row_of(tab, "b/one/").click()
    expect(found(tab)).to_have_count(1)


def test_a_tree_of_100000_keys_is_drawn_in_parts(blank_tab: Tab, start_server: StartServer) -> None:
    server = start_server("--no-persist")
    keys = [f"team-{number % 10}/player:{number:06}" for number in range(100_000)]
    put_many(server, [{"key": key, "value": "v"} for key in keys])
    tab = blank_tab.open(server).expect_connected()
    tab.button("Tree").click()
    tab.expect_count("100,000 keys")
    labels(tab, *[f"team-{number}/player:" for number in range(10)])
    expect(row_of(tab, "team-3/player:").locator(".preview")).to_have_text("10,000 keys")
    row_of(tab, "team-3/player:").click()
    grid = tab.page.get_by_role("treegrid", name="Keys")
    expect(grid).to_have_attribute("aria-rowcount", "10011")
    grid.evaluate("(grid) => { grid.scrollTop = 5000 * 34; }")
    expect(row_of(tab, "050003").locator(".preview")).to_have_text('"v"')
    assert found(tab).count() < 80


# --- selecting ---


def test_many_keys_are_selected_and_deleted_and_put_back(
    blank_tab: Tab, server: ServerProcess
) -> None:
    for number in range(8):
        put(server, f"key-{number}", {"n": number}, ttl=0 if number else 3_600_000)
    put(server, "stays", 1)
    tab = blank_tab.open(server).expect_connected()
    box(tab, "key-0").click()
    expect(bar(tab)).to_contain_text("1 key selected")
    box(tab, "key-3").click(modifiers=["Shift"])
    expect(bar(tab)).to_contain_text("4 keys selected")
    box(tab, "key-2").click()
    expect(bar(tab)).to_contain_text("3 keys selected")
    expect(box(tab, "key-2")).not_to_be_checked()
    assert not tab.detail.root.is_visible(), "a box does not open its key"
    press(tab, "Delete")
    dialog = tab.page.get_by_role("dialog", name="Delete 3 keys?")
    dialog.get_by_role("button", name="Keep").click()
    assert len(values(server)) == 9
    press(tab, "Delete")
    dialog.get_by_role("button", name="Delete 3 keys").click()
    expect(bar(tab)).to_contain_text("Deleted 3 keys")
    tab.expect_listed("key-2", "key-4")
    assert set(values(server)) == {"key-2", "key-4", "key-5", "key-6", "key-7", "stays"}
    press(tab, "Undo")
    expect(bar(tab)).to_contain_text("Put back 3 keys")
    tab.expect_listed("key-0", "key-1", "key-2", "key-3")
    assert values(server)["key-3"] == {"n": 3}
    entry = http(server, "GET", "/entries/key-0").json["entry"]
    assert 0 < entry["expiresAt"] - http(server, "GET", "/entries").json["timestamp"] <= 3_600_000
    press(tab, "Close")
    expect(bar(tab)).to_be_hidden()


def test_all_that_match_are_selected_also_what_is_not_loaded(
    blank_tab: Tab, server: ServerProcess
) -> None:
    put_many(server, [{"key": f"key-{number:05}", "value": "v"} for number in range(2500)])
    put(server, "other", 1)
    put(server, "key-elsewhere", "needle", ns="show")
    tab = blank_tab.open(server).expect_connected()
    tab.filter("key-")
    tab.expect_count("2,500 keys")
    box(tab, "key-00003").click()
    press(tab, "Select all that match")
    expect(bar(tab)).to_contain_text("2,500 keys selected")
    press(tab, "Delete")
    tab.page.get_by_role("dialog").get_by_role("button", name="Delete 2,500 keys").click()
    expect(bar(tab)).to_contain_text("Deleted 2,500 keys")
    assert values(server) == {"other": 1}
    press(tab, "Close")
    search(tab, "e")
    tab.expect_count("2 found")
    tab.page.get_by_role("grid", name="Keys").focus()
    tab.page.keyboard.press("Control+a")
    expect(bar(tab)).to_contain_text("2 keys selected")
    press(tab, "Delete")
    dialog = tab.page.get_by_role("dialog")
    expect(dialog).to_contain_text("of 2 namespaces")
    dialog.get_by_role("button", name="Delete 2 keys").click()
    expect(bar(tab)).to_contain_text("Deleted 2 keys")
    assert http(server, "GET", "/info").json["entries"] == 0


def test_a_folder_of_the_tree_is_selected_as_a_whole(blank_tab: Tab, server: ServerProcess) -> None:
    for key in ("a/one", "a/two", "b/one", "b/two"):
        put(server, key, 1)
    tab = blank_tab.open(server).expect_connected()
    tab.button("Tree").click()
    box(tab, "a/").click()
    expect(bar(tab)).to_contain_text("2 keys selected")
    row_of(tab, "a/").click()
    box(tab, "two").click()
    expect(bar(tab)).to_contain_text("1 key selected")
    assert box(tab, "a/").evaluate("(box) => box.indeterminate")
    expect(box(tab, "one")).to_be_checked()


def test_another_namespace_ends_the_selection_and_keeps_the_focus(
    blank_tab: Tab, server: ServerProcess
) -> None:
    put(server, "one", 1)
    put(server, "two", 1, ns="show")
    tab = blank_tab.open(server).expect_connected()
    box(tab, "one").click()
    expect(bar(tab)).to_contain_text("1 key selected")
    names = tab.page.get_by_role("navigation", name="Namespaces")
    names.get_by_role("button", name="show 1").click()
    tab.expect_listed("two")
    expect(bar(tab)).to_be_hidden()
    expect(names.get_by_role("button", name="show 1")).to_be_focused()


def test_keys_that_may_not_be_deleted_are_named(
    new_tab: NewTab, start_server: StartServer, tmp_path: Path
) -> None:
    file = write_tokens(
        tmp_path,
        '[all]\ntoken = "all"\nrights = ["read", "write"]\n'
        '[some]\ntoken = "some"\nrights = ["read"]\n',
    )
    server = start_server("--tokens", str(file))
    for key in ("one", "two"):
        headers = {"Authorization": "Bearer all"}
        assert http(server, "PUT", f"/kv/{key}", 1, headers).status == 201
    tab = new_tab().open(server)
    tab.page.get_by_role("textbox", name="Token").fill("some")
    tab.button("Continue").click()
    tab.expect_connected()
    box(tab, "one").click()
    press(tab, "Select all that match")
    press(tab, "Delete")
    tab.page.get_by_role("dialog").get_by_role("button", name="Delete 2 keys").click()
    expect(bar(tab).get_by_role("alert")).to_have_text(
        re.compile(r'^Refused: one, two\. Not permitted: write "(one|two)"')
    )
    expect(bar(tab)).to_contain_text("Deleted 0 keys")
    tab.problems.clear()  # requests without a token, and those that were refused


def test_what_is_exported_can_be_imported_by_the_command(
    blank_tab: Tab, start_server: StartServer, tmp_path: Path
) -> None:
    server, other = start_server(), start_server(folder=tmp_path / "other")
    long = {"text": "long " * 100, "n": 12345678901234567}
    put(server, "long", long, ns="show")
    put(server, "short", "ü\n", ns="show")
    put(server, "timed", 1, ns="show", ttl=3_600_000)
    http(server, "PUT", "/kv/then?ns=show&ttl=3600000&then=%7B%22a%22%3A2%7D", {"a": 1})
    put(server, "left", 1)
    tab = blank_tab.open(server, "keys?ns=show").expect_connected()
    box(tab, "long").click()
    press(tab, "Select all that match")
    expect(bar(tab)).to_contain_text("4 keys selected")
    with tab.page.expect_download() as started:
        press(tab, "Export")
    assert re.fullmatch(r"dunena-\d{4}-\d\d-\d\d\.jsonl", started.value.suggested_filename)
    file = tmp_path / "exported.jsonl"
    started.value.save_as(file)
    run("import", file, "--url", other.url)
    assert values(other, "show") == values(server, "show") == {
        "long": long, "short": "ü\n", "timed": 1, "then": {"a": 1},
    }  # fmt: skip
    assert values(other) == {}
    for key in ("timed", "then"):
        entries = [
            http(one, "GET", f"/entries/{key}?ns=show").json["entry"] for one in (server, other)
        ]
        assert abs(entries[0]["expiresAt"] - entries[1]["expiresAt"]) < 5000
        assert entries[0].get("then") == entries[1].get("then")


# --- importing ---


@pytest.mark.parametrize("suffix", ["jsonl", "zip"])
def test_what_the_command_exported_is_imported_by_dropping_it(
    blank_tab: Tab, start_server: StartServer, tmp_path: Path, suffix: str
) -> None:
    server, other = start_server(), start_server(folder=tmp_path / "other")
    put(server, "plain", {"big": 12345678901234567, "f": 1.0})
    put(server, "score", 1, ns="show", ttl=3_600_000)
    put(server, "title", "new", ns="show")
    file = tmp_path / f"exported.{suffix}"
    run("export", file, "--url", server.url)
    put(other, "title", "old", ns="show")
    put(other, "own", 1)
    tab = blank_tab.open(other).expect_connected()
    dialog = drop(tab, (file.name, file.read_bytes()))
    expect(dialog.get_by_role("status")).to_have_text(
        "2 new, 1 replaced, 1 in no namespace, 2 in show."
    )
    expect(dialog.get_by_label("Namespace")).to_be_hidden()
    import_button(dialog).click()
    expect(dialog.get_by_role("status")).to_have_text("Stored 3 keys.")
    dialog.get_by_role("button", name="Close").click()
    tab.expect_listed("own", "plain")
    text = http(other, "GET", "/kv/plain").body
    assert text == b'{"big":12345678901234567,"f":1.0}'
    assert values(other, "show") == {"score": 1, "title": "new"}
    assert http(other, "GET", "/entries/score?ns=show").json["entry"]["expiresAt"]


def test_an_object_is_imported_as_keys_or_as_one_value(
    blank_tab: Tab, server: ServerProcess
) -> None:
    put(server, "home", 0, ns="show")
    tab = blank_tab.open(server, "keys?ns=show").expect_connected()
    dialog = drop(tab, ("score.json", b'{"home": 2, "guest": 1.0}'))
    expect(dialog.get_by_role("status")).to_have_text("1 new, 1 replaced, in show.")
    dialog.get_by_label("What score.json is").select_option("the value of the key score")
    expect(dialog.get_by_role("status")).to_have_text("1 new, 0 replaced, in show.")
    dialog.get_by_label("What score.json is").select_option("2 keys with their values")
    dialog.get_by_label("Namespace").fill("elsewhere")
    expect(dialog.get_by_role("status")).to_have_text("2 new, 0 replaced, in elsewhere.")
    import_button(dialog).click()
    expect(dialog.get_by_role("status")).to_have_text("Stored 2 keys.")
    dialog.get_by_role("button", name="Close").click()
    tab.expect_listed("guest", "home")
    assert tab.page.url.endswith("#keys?ns=elsewhere")
    assert http(server, "GET", "/kv/guest?ns=elsewhere").body == b"1.0"


def test_several_files_of_values_become_keys_of_their_names(
    blank_tab: Tab, server: ServerProcess
) -> None:
    put(server, "there", 1)
    tab = blank_tab.open(server).expect_connected()
    files = [("a%2Fb.json", b'{"x": 1}'), ("list.json", b"[1, 2]"), ("bad.json", b"{oops")]
    dialog = drop(tab, *files)
    expect(dialog.get_by_role("alert")).to_have_text("bad.json: line 1 has no key and value.")
    expect(dialog.get_by_role("status")).to_have_text("2 new, 0 replaced, in no namespace.")
    import_button(dialog).click()
    expect(dialog.get_by_role("status")).to_have_text("Stored 2 keys.")
    assert values(server) == {"a/b": {"x": 1}, "list": [1, 2], "there": 1}


def test_a_large_import_goes_in_batches_and_names_what_is_refused(
    blank_tab: Tab, start_server: StartServer
) -> None:
    server = start_server("--max-value", "1000")
    put(server, "there", 1)
    entries = {f"key-{number:04}": number for number in range(1800)} | {"key-0007": "x" * 2000}
    tab = blank_tab.open(server).expect_connected()
    sent: list[str] = []
    tab.page.on("request", lambda request: sent.append(request.url))
    dialog = drop(tab, ("backup.json", json.dumps(entries).encode()))
    expect(dialog.get_by_role("status")).to_have_text("1,800 new, 0 replaced, in no namespace.")
    import_button(dialog).click()
    expect(dialog.get_by_role("status")).to_have_text("Stored 1,799 keys.")
    expect(dialog.get_by_role("alert")).to_have_text(re.compile("^Refused: key-0007\\. Value exc"))
    assert http(server, "GET", "/info").json["entries"] == 1800
    assert len([url for url in sent if url.endswith("/txn")]) < 30
    tab.forgive("/txn")
    tab.forgive("413")


def test_keys_that_cannot_be_stored_are_left_out_of_an_import_and_named(
    blank_tab: Tab, server: ServerProcess
) -> None:
    put(server, "there", 1)
    tab = blank_tab.open(server).expect_connected()
    content = {"a": 1, "": "x", "two\nlines": 2, "there": 3, "k" * 600: 4}
    dialog = drop(tab, ("keys.json", json.dumps(content).encode()))
    expect(dialog.get_by_role("status")).to_have_text("1 new, 1 replaced, in no namespace.")
    left_out = dialog.get_by_role("alert")
    expect(left_out).to_contain_text(re.compile('^Left out: "", .*Key must not be empty'))
    import_button(dialog).click()
    expect(dialog.get_by_role("status")).to_have_text("Stored 2 keys.")
    expect(left_out).to_contain_text("Key must not be empty")
    assert values(server) == {"a": 1, "there": 3}
    tab.forgive("/entries")
    tab.forgive("400")
    tab.forgive("413")


@pytest.mark.parametrize(
    "content", ['{"x": 1, "y": 2, "x": 3}', '{"key": "a", "value": 1, "value": 2}']
)
def test_a_file_with_a_name_twice_is_refused(
    blank_tab: Tab, server: ServerProcess, content: str
) -> None:
    put(server, "there", 1)
    tab = blank_tab.open(server).expect_connected()
    dialog = drop(tab, ("twice.json", content.encode()))
    name = "x" if "x" in content else "value"
    expect(dialog.get_by_role("alert")).to_have_text(
        f'twice.json: line 1 has the name "{name}" twice.'
    )
    expect(import_button(dialog)).to_be_disabled()


def test_files_can_be_chosen_on_the_start_screen_too(
    blank_tab: Tab, server: ServerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "score.json"
    file.write_text("5", "utf-8")
    tab = blank_tab.open(server).expect_connected()
    expect(tab.page.locator("#start")).to_be_visible()
    dialog = drop(tab, ("score.json", b"5"))
    import_button(dialog).click()
    expect(dialog.get_by_role("status")).to_have_text("Stored 1 key.")
    dialog.get_by_role("button", name="Close").click()
    expect(tab.page.locator("#start")).to_be_hidden()
    tab.expect_listed("score")
    with tab.page.expect_file_chooser() as opened:
        tab.button("Import").click()
    opened.value.set_files(file)
    expect(dialog.get_by_role("status")).to_have_text("0 new, 1 replaced, in no namespace.")


# --- namespaces ---


def test_an_empty_list_says_where_keys_are(blank_tab: Tab, server: ServerProcess) -> None:
    for number in range(63):
        put(server, "title", number, ns=f"show-{number:02}")
    put_many(server, [])
    for number in range(12):
        put(server, f"key-{number}", 1, ns="scoreboard")
    tab = blank_tab.open(server).expect_connected()
    empty = tab.page.locator("#keys-empty")
    expect(empty).to_have_text(
        "No keys here. 12 keys in scoreboard, 1 key in show-00, 1 key in show-01"
    )
    names = tab.page.get_by_role("navigation", name="Namespaces")
    names.get_by_text("show-62").scroll_into_view_if_needed()
    expect(names.get_by_text("no namespace")).to_be_in_viewport()
    tab.button("12 keys in scoreboard").click()
    tab.expect_count("12 keys")
    expect(names.get_by_role("button", name="scoreboard 12")).to_have_attribute(
        "aria-pressed", "true"
    )


def test_a_new_namespace_appears_by_itself(blank_tab: Tab, server: ServerProcess) -> None:
    put(server, "plain", 1)
    tab = blank_tab.open(server).expect_connected()
    tab.expect_listed("plain")
    names = tab.page.get_by_role("navigation", name="Namespaces")
    put(server, "k", 1, ns="made-later")
    expect(names.get_by_role("button", name="made-later 1")).to_be_visible()
    tab.go("Events")
    put(server, "k", 1, ns="made-unseen")
    expect(tab.page.locator("#events-rows .row")).not_to_have_count(0)
    tab.go("Keys")
    expect(names.get_by_role("button", name="made-unseen 1")).to_be_visible()


# --- all of it ---


def _fits(page: Page) -> None:
    assert page.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [390, 390]


@pytest.mark.parametrize("options", [PHONE, {"viewport": {"width": 1280, "height": 800}}])
def test_axe_finds_nothing_serious_and_a_phone_is_wide_enough(
    new_tab: NewTab, server: ServerProcess, axe: Axe, options: dict[str, Any]
) -> None:
    for key in ("team/home/name", "team/home/score", "team/guest/name", "team/guest/score"):
        put(server, key, "needle" * 40)
    put(server, "team/other", "needle", ns="n" * 60)
    tab = new_tab(**options, reduced_motion="reduce").open(server).expect_connected()

    def look() -> None:
        assert axe(tab.page) == []
        if options is PHONE:
            _fits(tab.page)

    search(tab, "needle")
    tab.expect_count("5 found")
    look()
    tab.filter("")
    tab.button("Tree").click()
    row_of(tab, "team/").click()
    box(tab, "home/").click()
    expect(bar(tab)).to_contain_text("2 keys selected")
    look()
    press(tab, "Delete")
    look()
    tab.page.get_by_role("dialog").get_by_role("button", name="Keep").click()
    dialog = drop(tab, ("score.json", b'{"home": 2}'))
    expect(dialog.get_by_role("status")).to_contain_text("1 new")
    look()
    tab.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    tab.page.goto("about:blank")
    put(server, "elsewhere", 1, ns="show")
    tab.open(server, "keys?ns=nothing").expect_connected()
    expect(tab.page.locator("#keys-empty")).to_contain_text("No keys here")
    look()
