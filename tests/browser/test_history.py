"""The earlier values of a key on the test page."""

import json
import re
import time

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Axe, NewTab
from tests.browser.tab import DetailView, Tab, put, put_text, remove, stored_text
from tests.support.fixtures import StartServer
from tests.support.patience import patiently
from tests.support.server import ServerProcess

KEPT_MS = 1000
"""How long a value has to stand to be kept."""

CLOCK = re.compile(r"^\d\d:\d\d:\d\d$")

FIRST = {"name": "Ada", "role": "Pilot", "lines": list(range(20)), "on": True}
SECOND = {"name": "Ada", "role": "Engineer", "lines": list(range(20)), "on": True}
THIRD = {"name": "Ada", "role": "Engineer", "lines": [*range(20), 20], "on": False}

IS_RIGHT = """async (rounds) => {
  const { diff } = await import(new URL("test/lib/diff.js", location));
  const plain = (line) => line.replace(/,$/, "");
  const common = (one, other) => {
    const best = Array.from({ length: one.length + 1 }, () => Array(other.length + 1).fill(0));
    one.forEach((x, i) => other.forEach((y, j) => {
      best[i + 1][j + 1] = x === y ? best[i][j] + 1 : Math.max(best[i][j + 1], best[i + 1][j]);
    }));
    return best[one.length][other.length];
  };
  let seed = 1;
  const pick = (below) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return seed % below;
  };
  const lines = () => Array.from({ length: pick(9) }, () => `${pick(3)}${pick(2) ? "," : ""}`);
  const broken = [];
  for (let round = 0; round < rounds; round += 1) {
    const [before, after] = [lines(), lines()];
    const runs = diff(before.join("\\n"), after.join("\\n"));
    const of = (...kinds) => runs.filter(({ kind }) => kinds.includes(kind))
      .flatMap((run) => run.lines);
    const isRight = String(of("same", "removed").map(plain)) === String(before.map(plain))
      && String(of("same", "added")) === String(after)
      && of("same").length === common(before.map(plain), after.map(plain));
    if (!isRight) broken.push([before, after, runs]);
  }
  return broken;
}"""
"""Compare random texts: what is told of the difference makes one of the other, and is shortest."""


@pytest.fixture(scope="module")
def kept(shared_server: ServerProcess) -> ServerProcess:
    """A server whose keys have had `FIRST`, then `SECOND`, and have `THIRD` now."""
    for number, value in enumerate((FIRST, SECOND, THIRD)):
        for key in ("compared", "reverted", "contested", "gone", "followed", "looked-at"):
            put(shared_server, key, value)
        put(shared_server, "größe", value, ns="räume")
        put_text(shared_server, f'{{"key":"exact","value":{{"n":900719925474099{number + 1}}}}}')
        let_stand(shared_server)
    return shared_server


def let_stand(server: ServerProcess) -> None:
    """Wait until all values that were set before have stood for long enough."""
    put(server, "clock", 0, ns="elsewhere", ttl=KEPT_MS)  # the listed keys stay where they are
    deadline = time.monotonic() + patiently(20)
    while json.loads(stored_text(server, "/get/clock?ns=elsewhere"))["value"] is not None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def value_of(server: ServerProcess, key: str) -> object:
    return json.loads(stored_text(server, f"/get/{key}"))["value"]


def rows_of(detail: DetailView) -> Locator:
    """Open the list of the earlier values; its rows, the newest first."""
    detail.root.locator("summary").filter(has_text="Earlier values").click()
    return detail.root.locator(".earlier .row")


def back(row: Locator) -> Locator:
    """The button that brings the value of a row back."""
    return row.get_by_role("button", name="Put back the value of")


def test_a_key_shows_its_earlier_values_and_what_has_changed_since(
    tab: Tab, kept: ServerProcess
) -> None:
    detail = tab.choose("compared")
    rows = rows_of(detail)
    expect(rows).to_have_count(2)
    expect(rows.locator("time")).to_have_text([CLOCK, CLOCK])
    expect(rows.nth(0).locator("summary")).to_contain_text('"role":"Engineer"')
    expect(rows.nth(1).locator("summary")).to_contain_text('"role":"Pilot"')
    row = rows.nth(1)
    row.locator("summary").click()
    # A comma that was only put behind the last item is no difference.
    expect(row).to_contain_text("2 lines removed, 3 added since")
    expect(row.locator("del")).to_have_text(['  "role": "Pilot",', '  "on": true'])
    expect(row.locator("ins")).to_have_text(['  "role": "Engineer",', "    20", '  "on": false'])
    expect(row.locator(".left-out")).to_have_text("… 17 equal lines")


def test_earlier_values_follow_the_changes_of_the_present_one(
    tab: Tab, kept: ServerProcess
) -> None:
    rows = rows_of(tab.choose("followed"))
    rows.nth(1).locator("summary").click()
    expect(rows.nth(1).locator("del")).to_have_count(2)
    rows.nth(1).locator("summary").evaluate("(summary) => summary.focus()")
    put(kept, "followed", FIRST | {"role": "Cook"})
    # The same row stays open and has the focus, below that of the value that was replaced.
    expect(rows).to_have_count(3)
    expect(rows.nth(2).locator("summary")).to_be_focused()
    expect(rows.nth(2).locator("ins")).to_have_text(['  "role": "Cook",'])
    # Another key has its own.
    tab.choose("compared")
    expect(rows).to_have_count(2)
    expect(rows.locator("pre").filter(visible=True)).to_have_count(0)


def test_an_earlier_value_can_be_put_back(tab: Tab, kept: ServerProcess) -> None:
    detail = tab.choose("reverted")
    rows = rows_of(detail)
    rows.nth(1).locator("summary").click()
    back(rows.nth(1)).click()
    detail.expect_json(FIRST)
    assert value_of(kept, "reverted") == FIRST
    # What it replaced has become the newest of the earlier ones, and can be put back as well.
    expect(rows).to_have_count(3)
    expect(rows.nth(2)).to_contain_text("The same as now.")
    expect(back(rows.nth(2))).to_be_hidden()
    rows.nth(0).locator("summary").click()
    back(rows.nth(0)).click()
    detail.expect_json(THIRD)


def test_putting_back_does_not_overwrite_an_unseen_change(tab: Tab, kept: ServerProcess) -> None:
    """The page has not learnt of the change yet when the user presses the button."""
    detail = tab.choose("contested")
    row = rows_of(detail).nth(0)
    row.locator("summary").click()
    expect(row.locator("ins")).to_have_count(2)
    tab.change_unseen(kept, "contested", "theirs")
    back(row).click()
    expect(detail.problem).to_contain_text("The value changed meanwhile, so nothing was done.")
    assert value_of(kept, "contested") == "theirs"
    tab.show_changes("contested")
    # Now the user has seen it; what was there before has become the newest of the earlier ones.
    row = detail.root.locator(".earlier .row").nth(1)
    expect(row.locator("ins")).to_have_text('"theirs"')
    back(row).click()
    detail.expect_json(SECOND)
    expect(detail.problem).to_be_hidden()


def test_the_last_value_of_a_removed_key_can_be_put_back(tab: Tab, kept: ServerProcess) -> None:
    remove(kept, "gone")
    tab.page.goto(f"{kept.url}/test#keys?key=gone")
    detail = tab.detail
    expect(detail.meta).to_have_text("No value")
    rows = rows_of(detail)
    expect(rows).to_have_count(3)
    rows.nth(0).locator("summary").click()
    expect(rows.nth(0)).to_contain_text("28 lines removed, 0 added since")
    back(rows.nth(0)).click()
    detail.expect_json(THIRD)


def test_earlier_values_of_any_name_and_number_are_exact(tab: Tab, kept: ServerProcess) -> None:
    rows = rows_of(tab.choose("exact"))
    rows.nth(0).locator("summary").click()
    expect(rows.nth(0).locator("del")).to_have_text('  "n": 9007199254740992')
    expect(rows.nth(0).locator("ins")).to_have_text('  "n": 9007199254740993')
    tab.page.get_by_role("navigation", name="Namespaces").get_by_text("räume").click()
    detail = tab.choose("größe")
    expect(rows).to_have_count(2)  # the list stays open
    rows.nth(1).locator("summary").click()
    back(rows.nth(1)).click()
    detail.expect_json(FIRST)


def test_a_sentence_says_why_there_are_no_earlier_values(
    tab: Tab, new_tab: NewTab, shared_server: ServerProcess, start_server: StartServer
) -> None:
    put(shared_server, "young", 1)
    detail = tab.choose("young")
    rows = rows_of(detail)
    expect(detail.root.locator(".earlier")).to_contain_text("None yet. When the value is changed")
    let_stand(shared_server)
    put(shared_server, "young", 2)
    expect(rows).to_have_count(1)
    expect(detail.root.locator(".earlier")).not_to_contain_text("None yet")

    forgetful = start_server("--no-persist", "--history", "0")
    put(forgetful, "young", 1)
    detail = new_tab().open(forgetful).expect_connected().choose("young")
    expect(rows_of(detail)).to_have_count(0)
    expect(detail.root.locator(".earlier")).to_contain_text("it runs with --history 0")


def test_earlier_values_begin_anew_after_a_restart(blank_tab: Tab, server: ServerProcess) -> None:
    put(server, "survivor", 1)
    let_stand(server)
    put(server, "survivor", 2)
    tab = blank_tab.open(server).expect_connected()
    detail = tab.choose("survivor")
    rows = rows_of(detail)
    expect(rows).to_have_count(1)
    server.restart()
    expect(rows).to_have_count(0)
    expect(detail.root.locator(".earlier")).to_contain_text("None yet")
    # The new connection carries changes too.
    detail.set("3")
    detail.expect_json(3)
    tab.expect_connected()
    tab.forgive_refused()


@pytest.mark.parametrize("width", [1280, 360])
def test_earlier_values_are_accessible_and_fit_the_screen(
    new_tab: NewTab, kept: ServerProcess, axe: Axe, width: int
) -> None:
    size = {"width": width, "height": 740}
    tab = new_tab(viewport=size).open(kept).expect_connected()
    row = rows_of(tab.choose("looked-at")).nth(1)
    row.locator("summary").click()
    expect(row.locator("del")).to_have_count(2)
    assert axe(tab.page) == []
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    # The panel is fuller than the screen is high: its head is not squeezed for that.
    assert tab.page.evaluate(
        """() => [...document.querySelectorAll("#detail .panel-head button")]
             .map((button) => button.getBoundingClientRect().bottom)
             .every((bottom) => bottom <= document.querySelector("#detail .meta")
               .getBoundingClientRect().top)"""
    )
    (name,) = row.locator("pre").evaluate_all("(all) => all.map((pre) => pre.ariaLabel)")
    assert re.match(r"Changes since \d\d:", name)


def test_a_difference_of_texts_is_right_and_the_shortest(tab: Tab) -> None:
    assert tab.page.evaluate(IS_RIGHT, 3000) == []


def test_very_large_values_are_listed_and_not_compared(
    tab: Tab, shared_server: ServerProcess
) -> None:
    larger = ["x" * 300_000, {"]": '}"\\'}, [[]], {}]
    put(shared_server, "huge", larger)
    let_stand(shared_server)
    put(shared_server, "huge", [*larger, 1])
    detail = tab.choose("huge")
    rows = rows_of(detail)
    rows.nth(0).locator("summary").click()
    expect(rows.nth(0).locator("ins")).to_have_text("  1")  # these are not too large
    let_stand(shared_server)
    put(shared_server, "huge", larger * 3)
    expect(rows).to_have_count(2)
    row = rows.nth(1)
    expect(row).to_contain_text("Too large to show what has changed since.")
    expect(row.locator("pre")).to_be_hidden()
    back(row).click()
    expect(row).to_contain_text("The same as now.")
    expect(back(row)).to_be_hidden()
    assert value_of(shared_server, "huge") == larger


def test_a_large_difference_is_shown_in_part(tab: Tab, shared_server: ServerProcess) -> None:
    put(shared_server, "large", list(range(3000)))
    let_stand(shared_server)
    put(shared_server, "large", [f"{number}{'x' * 200}" for number in range(3000)])
    row = rows_of(tab.choose("large")).nth(0)
    row.locator("summary").click()
    expect(row).to_contain_text("3,000 lines removed, 3,000 added since")
    expect(row.locator("pre > *")).to_have_count(401)
    expect(row.locator("pre > *").last).to_have_text("… and more")
