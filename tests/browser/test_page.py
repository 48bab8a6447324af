"""The test page as a whole: loading, security, size, small screens and accessibility."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Page, expect

import dunena
from dunena.server.static.pages import load_pages
from tests.browser.conftest import Axe, NewTab
from tests.browser.tab import Tab, put, put_many
from tests.support.server import ServerProcess

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
VIEWS = ["Keys", "Pages", "Console", "Events", "Server"]
TABS_MAX = 80

WEB = Path(dunena.__file__).parent / "web"
PAGE = ["index.html", "style.css", "views.css", "favicon.svg"]
MODULES = re.compile(r'(?:from|src=)\s*"((?:\.{1,2}|test)/[\w./]+\.js)"')
LATER = re.compile(r'import\("(\.{1,2}/[\w./]+\.js)"\)')
STYLES = re.compile(r'loadStyle\("([\w.]+\.css)"\)')

# Newer than the browser inside OBS (Chromium 103).
TOO_NEW = {
    ".css": [":has(", "@container", "color-mix(", "@layer", "@starting-style", "light-dark(",
             "@scope", "oklch(", "text-wrap", "subgrid", "field-sizing", "anchor("],
    ".js": ["toSorted(", "toReversed(", "toSpliced(", ".with(", "groupBy(", "withResolvers(",
            "Array.fromAsync", "showPopover", "AbortSignal.any", ".isWellFormed", "findLastIndex(",
            "structuredClone(", "startViewTransition", "Iterator.from", "/v;", "using "],
    ".html": [" popover", "inert", "<search", "blocking="],
}  # fmt: skip


def page_files(*, at_start: bool = False, names: Iterable[str] = PAGE) -> dict[str, str]:
    """The files of the page by path: what index.html or others load, and what those import.

    ``at_start``: without what is imported when it is needed.
    """
    wanted, found = list(names), dict[str, str]()
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = text = (WEB / name).read_text("utf-8")
            imported = MODULES.findall(text) + ([] if at_start else LATER.findall(text))
            wanted += [file_of(name, it) for it in imported]
            wanted += STYLES.findall(text)
    return found


def file_of(name: str, imported: str) -> str:
    """The path of what a file imports."""
    return urljoin(address_of(name), imported).removeprefix("/test/")


def address_of(name: str) -> str:
    return "/test" if name == "index.html" else f"/test/{name}"


def test_the_page_loads_without_errors_and_shows_its_server(
    blank_tab: Tab, server: ServerProcess
) -> None:
    put(server, "first", 1)
    tab = blank_tab.open(server).expect_connected()
    expect(tab.state).to_have_text("Connected")
    expect(tab.page.locator("#server-info")).to_have_text(re.compile(r"^\d+\.\d+\.\S+ · 1 key$"))
    assert tab.page.title() == "dunena"


def test_a_browser_is_redirected_from_the_root_to_the_page(
    new_tab: NewTab, shared_server: ServerProcess
) -> None:
    tab = new_tab()
    tab.page.goto(f"{shared_server.url}/")
    tab.expect_connected()
    assert tab.page.url == f"{shared_server.url}/test#keys"


def test_the_page_requests_only_its_own_server(tab: Tab, shared_server: ServerProcess) -> None:
    put(shared_server, "quiet", 0)
    tab.choose("quiet").set("1")
    for view in VIEWS:
        tab.go(view)
    tab.go("Console").speak("object store at /")
    own = (f"{shared_server.url}/", f"{shared_server.url.replace('http', 'ws', 1)}/")
    foreign = [address for address in tab.addresses if not address.startswith(own)]
    assert [address for address in foreign if address != "about:blank"] == []
    assert f"{own[1]}ws" in tab.addresses
    assert own[1] in tab.addresses


def test_the_page_has_a_content_security_policy(tab: Tab) -> None:
    reply = tab.page.request.get(tab.page.url)
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_the_page_requests_each_module_once(new_tab: NewTab, shared_server: ServerProcess) -> None:
    tab = new_tab().open(shared_server).expect_connected()
    asked = Counter(tab.addresses)
    begun = {address for address in modules(shared_server, at_start=True) if asked[address]}
    assert begun == modules(shared_server, at_start=True)
    # What an empty store shows, for one, may be there by now.
    assert {address for address in modules(shared_server) if asked[address] > 1} == set()


def modules(server: ServerProcess, *, at_start: bool = False) -> set[str]:
    names = page_files(at_start=at_start)
    return {server.url + address_of(name) for name in names if name.endswith(".js")}


def test_the_served_page_files_are_those_of_the_source() -> None:
    assert set(load_pages()) == {address_of(name) for name in page_files()}


def test_the_page_files_are_smaller_than_200_kilobytes() -> None:
    sizes = {name: len(text.encode()) for name, text in page_files(at_start=True).items()}
    assert "main.js" in sizes
    assert "views/keytable.js" in sizes
    assert "views/copymenu.js" not in sizes
    assert sum(sizes.values()) < 200_000, sizes


def test_what_a_click_waits_for_is_smaller_than_70_kilobytes() -> None:
    """Each part that is loaded when it is needed, with all that it imports itself."""
    files, start = page_files(), page_files(at_start=True).keys()
    parts = {file_of(name, it) for name, text in files.items() for it in LATER.findall(text)}
    assert "views/copymenu.js" in parts
    for part in parts:
        loaded = page_files(at_start=True, names=[part]).keys() - start
        sizes = {name: len(files[name].encode()) for name in loaded}
        assert sum(sizes.values()) < 70_000, (part, sizes)


def test_all_that_is_loaded_later_is_no_larger_than_the_start() -> None:
    """Every server has all of it in memory, and every download too."""
    later = page_files().keys() - page_files(at_start=True).keys()
    sizes = {name: len(page_files()[name].encode()) for name in later}
    assert sum(sizes.values()) < 200_000, sizes


def test_the_chart_module_has_fewer_than_100_lines() -> None:
    assert page_files()["views/chart.js"].count("\n") < 100


def test_every_module_begins_with_a_comment() -> None:
    modules = {name: text for name, text in page_files().items() if name.endswith(".js")}
    assert len(modules) > 20
    for name, text in modules.items():
        assert text.startswith("// "), name


def test_the_page_uses_only_features_of_the_obs_browser() -> None:
    for name, text in page_files().items():
        code = re.sub(r"(^|\s)//.*|/\*.*?\*/", "", text, flags=re.DOTALL if "css" in name else 0)
        for feature in TOO_NEW.get(Path(name).suffix, []):
            assert feature not in code, f"{name}: {feature}"


def test_the_page_fits_a_phone_without_horizontal_scrolling(
    new_tab: NewTab, shared_server: ServerProcess
) -> None:
    long_key = f"a-key-without-any-place-to-break-it-{'x' * 80}"
    put(shared_server, long_key, {"text": "y" * 400, "z" * 90: [1]}, ns="n" * 60)
    put(shared_server, long_key, {"text": "y" * 400})
    tab = new_tab(**PHONE).open(shared_server).expect_connected()
    detail = tab.choose(long_key)
    detail.button("Edit").click()
    put(shared_server, long_key, {"text": "z" * 400})
    expect(detail.conflict).to_be_visible()
    fits(tab.page)
    detail.button("Cancel").click()
    tab.button("Copy as").click()
    expect(tab.page.get_by_role("menu")).to_be_visible()
    fits(tab.page)
    tab.page.keyboard.press("Escape")
    detail.button("Expiry").click()
    fits(tab.page)
    tab.go("Console").send(f'{{"type": "get", "key": "{long_key}"}}')
    expect(tab.frames("in").filter(has_text='"result"')).to_have_count(1)
    tab.button("Pretty").click()
    fits(tab.page)
    tab.go("Events")
    put(shared_server, long_key, 1, ns="n" * 60)
    expect(tab.page.locator("#events-rows .row")).not_to_have_count(0)
    fits(tab.page)
    tab.page.evaluate("(url) => fetch(url)", f"{shared_server.url}/info")
    tab.go("Server")
    expect(tab.page.locator("#server-counters .term")).not_to_have_count(0)
    fits(tab.page)


def fits(page: Page) -> None:
    """Nothing is wider than the screen, apart from what scrolls in a frame of its own."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        _fits_in_its_colours(page)


def _fits_in_its_colours(page: Page) -> None:
    widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths == [360, 360]
    cut = page.evaluate(
        """() => [...document.querySelectorAll("button, h2, .term dd, p")]
          .filter((one) => one.offsetParent && !one.closest(".namespace-list, .grid-body, .rows"))
          .filter((one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0)
          .map((one) => one.outerHTML.slice(0, 120))"""
    )
    assert cut == []


def test_the_page_follows_the_colour_scheme(new_tab: NewTab, shared_server: ServerProcess) -> None:
    tab = new_tab(color_scheme="light").open(shared_server)
    light = _brightness(tab.page)
    tab.page.emulate_media(color_scheme="dark")
    assert _brightness(tab.page) < 60 < 200 < light


def test_the_url_fragment_selects_the_view(new_tab: NewTab, shared_server: ServerProcess) -> None:
    tab = new_tab().open(shared_server, "events").expect_connected()
    expect(tab.page.locator("#view-events")).to_be_visible()
    tab.go("Server")
    assert tab.page.url.endswith("/test#server")
    tab.page.reload()
    expect(tab.page.locator("#view-server")).to_be_visible()
    expect(tab.page.locator("#view-keys")).to_be_hidden()
    tab.expect_connected()


@pytest.mark.parametrize("size", [{"width": 1280, "height": 800}, {"width": 360, "height": 740}])
def test_axe_finds_no_serious_problem(
    new_tab: NewTab,
    server: ServerProcess,
    axe: Axe,
    size: dict,
) -> None:
    put(server, "key-0", {"n": 0, "s": "text", "b": [True, None]}, ttl=3_600_000)
    put_many(server, [{"key": f"key-{n}", "value": "v", "ttl": 3_600_000} for n in range(1, 30)])
    put(server, "k", 1, ns="app")
    tab = new_tab(viewport=size, reduced_motion="reduce")
    tab.open(server).expect_connected()
    expect(tab.row("key-0")).to_have_count(1)
    assert axe(tab.page) == []
    detail = tab.choose("key-0")
    expect(detail.leaf('"text"')).to_be_visible()
    assert axe(tab.page) == []
    tab.button("Copy as").click()
    expect(tab.page.get_by_role("menu")).to_be_visible()
    assert axe(tab.page) == []
    tab.page.keyboard.press("Escape")
    detail.button("Edit").click()
    detail.editor.fill('{"n" 1}')
    put(server, "key-0", 2)
    expect(detail.conflict).to_be_visible()
    detail.root.locator(".value-box").evaluate("(box) => box.classList.remove('changed')")
    assert axe(tab.page) == []
    tab.go("Console").send('{"type":"ping"}')
    tab.frames("in").filter(has_text="pong").locator("summary").click()
    assert axe(tab.page) == []
    tab.go("Events")
    put(server, "key-1", 2)
    tab.page.get_by_label("Channel", exact=True).fill("chat")
    tab.button("Follow").click()
    tab.page.get_by_label("Message for the channel").fill('{"text": "hi"}')
    tab.button("Publish").click()
    tab.page.locator("#events-rows summary").click()
    assert axe(tab.page) == []
    tab.page.request.get(f"{server.url}/info", headers={"Origin": "null"})
    expect(tab.page.locator("#disk-notice")).to_be_visible()
    tab.go("Server")
    expect(tab.page.locator("#server-connections tr")).to_have_count(2)
    assert axe(tab.page) == []


def test_every_control_has_an_accessible_name(tab: Tab, shared_server: ServerProcess) -> None:
    put(shared_server, "named", 1)
    tab.choose("named").button("Edit").click()
    nameless = tab.page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, textarea")]
             .filter((control) => !control.textContent.trim() && !control.labels?.length
               && !control.getAttribute("aria-label") && control.id !== "keys-sort"
               && !control.matches(".verdict .link"))
             .map((control) => control.outerHTML)"""
    )
    assert nameless == []


def test_the_page_can_be_used_by_keyboard_alone(tab: Tab, shared_server: ServerProcess) -> None:
    put(shared_server, "greeting", 0)
    expect(tab.row("greeting")).to_have_count(1)
    keyboard = tab.page.keyboard
    tab.filter("greeting")
    tab.expect_listed("greeting")
    tab.expect_count("1 key")
    _tab_to(tab.page, ".grid-scroll")
    keyboard.press("Enter")
    detail = tab.detail
    expect(detail.leaf("0")).to_be_visible()
    _tab_to(tab.page, ".detail .primary")
    keyboard.press("Enter")
    expect(detail.editor).to_be_focused()
    keyboard.press("Control+a")
    keyboard.type('{"text": "hello"}')
    keyboard.press("Control+Enter")
    expect(detail.leaf('"hello"')).to_be_visible()
    expect(detail.button("Edit")).to_be_focused()

    tab.page.get_by_role("tab", name="Keys").focus()
    keyboard.press("ArrowRight")
    expect(tab.page.get_by_role("tab", name="Pages")).to_be_focused()
    keyboard.press("ArrowRight")
    expect(tab.page.get_by_role("tab", name="Console")).to_be_focused()
    _tab_to(tab.page, ".template-group:last-child button")
    keyboard.press("Enter")
    expect(tab.message).to_be_focused()
    keyboard.press("Control+a")
    keyboard.type('{"type": "ping", "id": 7}')
    keyboard.press("Control+Enter")
    row = tab.frames("in").filter(has_text='"id":7')
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
