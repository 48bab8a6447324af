"""The test page as a whole: it loads, keeps to itself, fits a phone, needs no mouse."""

import re
from importlib.resources import files

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NewTab
from tests.browser.tab import Tab, put
from tests.support.server import ServerProcess

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
TABS_MAX = 80


def test_it_loads_without_a_complaint_and_shows_its_server(
    new_tab: NewTab, shared_server: ServerProcess
) -> None:
    put(shared_server, "first", 1)
    tab = new_tab().open(shared_server).expect_connected()
    expect(tab.state).to_have_text("Connected")
    expect(tab.page.locator("#server-info")).to_have_text(
        re.compile(r"^\d+\.\d+\.\S+ · 1 entry · [012] connections?$")
    )
    assert tab.page.title() == "dunena"


def test_a_browser_that_asks_for_the_root_is_sent_to_it(
    new_tab: NewTab, shared_server: ServerProcess
) -> None:
    tab = new_tab().open(shared_server, path="/").expect_connected()
    assert tab.page.url == f"{shared_server.url}/test"


def test_it_asks_nobody_but_its_server(tab: Tab, shared_server: ServerProcess) -> None:
    tab.follow("quiet").set("1")
    tab.speak("object store at /")
    own = (f"{shared_server.url}/", f"{shared_server.url.replace('http', 'ws', 1)}/")
    assert [address for address in tab.addresses if not address.startswith(own)] == []
    assert f"{own[1]}ws" in tab.addresses
    assert own[1] in tab.addresses


def test_its_security_policy_is_in_force(tab: Tab) -> None:
    policy = tab.page.request.get(tab.page.url).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_it_is_small_and_needs_no_build() -> None:
    sizes = {file.name: len(file.read_bytes()) for file in files("dunena.web").iterdir()
             if file.name.endswith((".html", ".css", ".js", ".svg"))}  # fmt: skip
    assert sum(sizes.values()) < 60_000, sizes


def test_every_module_says_what_it_is_for() -> None:
    modules = [file for file in files("dunena.web").iterdir() if file.name.endswith(".js")]
    assert modules
    for module in modules:
        assert module.read_text(encoding="utf-8").startswith("// "), module.name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_sideways_scrolling(
    new_tab: NewTab, shared_server: ServerProcess, scheme: str
) -> None:
    long_key = f"a-key-without-any-place-to-break-it-{'x' * 80}"
    put(shared_server, long_key, {"text": "y" * 400})
    tab = new_tab(**PHONE, color_scheme=scheme).open(shared_server).expect_connected()
    card = tab.follow(long_key)
    card.button("Edit").click()
    put(shared_server, long_key, {"text": "z" * 400})
    expect(card.conflict).to_be_visible()
    tab.send(f'{{"type": "get", "key": "{long_key}"}}')
    expect(tab.rows("in").filter(has_text='"result"')).to_have_count(1)
    tab.page.get_by_role("button", name="Pretty").click()
    widths = tab.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths == [390, 390]


def test_it_follows_the_colour_scheme(new_tab: NewTab, shared_server: ServerProcess) -> None:
    tab = new_tab(color_scheme="light").open(shared_server)
    light = _brightness(tab.page)
    tab.page.emulate_media(color_scheme="dark")
    assert _brightness(tab.page) < 60 < 200 < light


def test_every_control_has_a_name(tab: Tab) -> None:
    tab.follow("named").button("Edit").click()
    nameless = tab.page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, textarea")]
             .filter((control) => !control.textContent.trim() && !control.labels?.length
               && !control.getAttribute("aria-label"))
             .map((control) => control.outerHTML)"""
    )
    assert nameless == []


def test_the_keyboard_is_enough(tab: Tab) -> None:
    keyboard = tab.page.keyboard
    _tab_to(tab.page, "#follow-key")
    keyboard.type("greeting")
    keyboard.press("Enter")
    card = tab.card("greeting")
    expect(card.value).to_have_text("null")
    _tab_to(tab.page, ".card button")
    keyboard.press("Enter")
    expect(card.editor).to_be_focused()
    keyboard.type('{"text": "hello"}')
    keyboard.press("Control+Enter")
    card.expect_json({"text": "hello"})
    expect(card.button("Edit")).to_be_focused()

    _tab_to(tab.page, ".template-group:last-child button")
    keyboard.press("Enter")
    expect(tab.message).to_be_focused()
    keyboard.press("Control+a")
    keyboard.type('{"type": "ping", "id": 7}')
    keyboard.press("Control+Enter")
    row = tab.rows("in").filter(has_text='"id":7')
    expect(row).to_have_count(1)
    _tab_to(tab.page, "#log-pretty")
    keyboard.press("Space")
    expect(row.locator("pre")).to_contain_text('"type": "pong"')


def _tab_to(page: Page, selector: str) -> None:
    """Press Tab until an element has the focus, and see that the focus is drawn."""
    for _ in range(TABS_MAX):
        page.keyboard.press("Tab")
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
            style = "getComputedStyle(document.activeElement).outlineStyle"
            assert page.evaluate(style) == "solid"
            return
    raise AssertionError(f"{selector} cannot be reached with the Tab key")


def _brightness(page: Page) -> int:
    """0 for a black ground to 255 for a white one."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red, green, blue = map(int, re.findall(r"\d+", colour)[:3])
    return (red + green + blue) // 3
