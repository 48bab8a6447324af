"""Every template, as its users see it: the panel is pressed, the overlay shows it."""

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect

from dunena.templates.catalogue import TEMPLATES, read_template, write_template
from tests.browser.conftest import ROUND_TRIP_SECONDS, Axe
from tests.browser.tab import EXPECT_MS
from tests.conftest import OTHER_HOST
from tests.protocol.clients import http
from tests.support.far import Far
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PHONE: ViewportSize = {"width": 390, "height": 844}
TARGET_PX_MIN = 48

Make = Callable[[str], str]
Visit = Callable[[str, str], Page]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pages; each test writes a copy of a template into it, under a name of its own."""
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def show(pages: Path) -> Iterator[ServerProcess]:
    """The server that the module's tests share."""
    values = pages.parent / "values"
    with ServerProcess(values, "--www", str(pages), "--allow-host", OTHER_HOST) as server:
        yield server


@pytest.fixture(scope="module")
def address(show: ServerProcess, browser: "Browser") -> Iterator[str]:
    """The server as phones at a venue reach it: from far away, over plain HTTP, by a name.

    Browsers trust such a page less than one of `localhost`. Only Chromium can be told where a name
    leads.
    """
    if browser.browser_type.name != "chromium":
        yield show.url
        return
    with Far(show.port, ROUND_TRIP_SECONDS / 2) as far:
        yield f"http://{OTHER_HOST}:{far.port}"


@pytest.fixture
def make(request: pytest.FixtureRequest, pages: Path) -> Make:
    """Write a copy of a template; return its name."""
    taken = hashlib.sha256(request.node.name.encode()).hexdigest()[:8]

    def make(template: str) -> str:
        return write_template(template, pages, f"{template}-{taken}").name

    return make


@pytest.fixture
def visit(browser: "Browser", address: str) -> Iterator[Visit]:
    """Open a page of a copy; each is a device of its own, and none may fail."""
    problems: list[str] = []
    contexts = []

    def visit(copy: str, file: str) -> Page:
        is_overlay = file == "overlay.html"
        contexts.append(browser.new_context(viewport=None if is_overlay else PHONE))
        page = contexts[-1].new_page()
        page.set_default_timeout(EXPECT_MS)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(f"{address}/www/{copy}/{file}")
        if not is_overlay:
            is_panel = file == "panel.html"
            expect(page.locator("#status")).to_have_text("Saved" if is_panel else "Connected")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert problems == []


def text_of(element: Locator, text: str) -> None:
    """Wait until an element whose characters roll shows a text."""
    expect(element).to_have_attribute("data-text", text)


def is_away(element: Locator, *, wanted: bool) -> None:
    """Wait until an element has left the picture, or is in it."""
    if wanted:
        expect(element).to_have_class(re.compile(r"\baway\b"))
    else:
        expect(element).not_to_have_class(re.compile(r"\baway\b"))


CHANGES: dict[str, tuple[str, Callable[[Page], None]]] = {
    "scoreboard": ("Home plus 1", lambda page: text_of(page.locator("#home .rolls"), "1")),
    "lower-third": ("Show", lambda page: is_away(page.locator("#title"), wanted=False)),
    "countdown": ("+1 min", lambda page: text_of(page.locator("#clock"), "6:00")),
    "poll": (
        "Open for votes",
        lambda page: expect(page.locator("footer")).to_have_text("0 votes, closed"),
    ),
    "buzzer": ("On the screen", lambda page: is_away(page.locator("#players"), wanted=True)),
    "ticker": ("On the screen", lambda page: is_away(page.locator("#ticker"), wanted=True)),
}
"""For each template a button of its panel, and what it changes in the overlay."""


def test_the_scoreboard(make: Make, visit: Visit) -> None:
    copy = make("scoreboard")
    panel, overlay = visit(copy, "panel.html"), visit(copy, "overlay.html")
    home = overlay.locator("#home .rolls")
    text_of(home, "0")
    panel.get_by_role("button", name="Home plus 1").click()
    text_of(home, "1")
    panel.get_by_role("button", name="Home plus 3").click()
    text_of(home, "4")
    for _ in range(5):
        panel.get_by_role("button", name="Home minus 1").click()
    text_of(home, "0")
    expect(panel.locator("#status")).to_have_text("Saved")  # below 0 is no mistake of anybody
    panel.locator("#guest").get_by_label("Name").fill("Bears <b>")
    panel.keyboard.press("Enter")
    expect(overlay.locator("#guest .name")).to_have_text("Bears <b>")
    panel.get_by_label("Minutes").fill("5")
    panel.get_by_role("button", name="Set, counts down").click()
    expect(overlay.locator("#time b")).to_have_text("5:00")
    panel.get_by_role("button", name="Start / stop").click()
    expect(overlay.locator("#time b")).to_have_text(re.compile(r"4:5\d"))
    panel.get_by_role("button", name="Home plus 2").click()
    panel.get_by_role("button", name="Swap sides").click()
    expect(overlay.locator("#home .name")).to_have_text("Bears <b>")
    text_of(overlay.locator("#guest .rolls"), "2")
    panel.get_by_role("button", name="New match").click()
    text_of(overlay.locator("#guest .rolls"), "0")
    panel.get_by_role("button", name="On the screen").click()
    is_away(overlay.locator("#board"), wanted=True)


def test_the_lower_third(make: Make, visit: Visit) -> None:
    copy = make("lower-third")
    panel, overlay = visit(copy, "panel.html"), visit(copy, "overlay.html")
    title = overlay.locator("#title")
    is_away(title, wanted=True)
    panel.get_by_label("Name").fill("Katherine Johnson")
    panel.get_by_label("Role").fill("Mathematician")
    panel.get_by_role("button", name="Keep in the list").click()
    panel.get_by_role("button", name="Show", exact=True).click()
    is_away(title, wanted=False)
    expect(title.locator("b")).to_have_text("Katherine Johnson")
    expect(title.locator("span")).to_have_text("Mathematician")
    expect(panel.locator("#now")).to_have_text("Katherine Johnson is shown.")
    panel.get_by_role("button", name="Grace Hopper").first.click()
    expect(title.locator("b")).to_have_text("Grace Hopper")  # the one before has gone first
    panel.get_by_role("button", name="Hide").click()
    is_away(title, wanted=True)
    panel.get_by_role("button", name="Remove Ada Lovelace").click()
    expect(panel.locator("#people .show")).to_have_count(2)


def test_a_lower_third_goes_by_itself(make: Make, visit: Visit) -> None:
    copy = make("lower-third")
    panel, overlay = visit(copy, "panel.html"), visit(copy, "overlay.html")
    panel.get_by_role("button", name="Show for 8 s").click()
    is_away(overlay.locator("#title"), wanted=False)
    panel.close()  # nobody needs it for that
    is_away(overlay.locator("#title"), wanted=True)


def test_the_countdown(make: Make, visit: Visit) -> None:
    copy = make("countdown")
    panel, overlay = visit(copy, "panel.html"), visit(copy, "overlay.html")
    clock = overlay.locator("#clock")
    text_of(clock, "5:00")
    panel.get_by_role("button", name="+1 min").click()
    text_of(clock, "6:00")
    panel.get_by_label("Above the clock").fill("Back soon")
    panel.keyboard.press("Enter")
    expect(overlay.locator("#title")).to_have_text("Back soon")
    panel.get_by_label("Minutes").fill("0.02")
    panel.get_by_role("button", name="Set", exact=True).click()
    text_of(clock, "0:02")
    panel.get_by_role("button", name="Start / stop").click()
    text_of(clock, "Here we go!")
    panel.get_by_role("button", name="On the screen").click()
    is_away(overlay.locator("#countdown"), wanted=True)


def test_the_poll(make: Make, visit: Visit) -> None:
    copy = make("poll")
    panel, overlay = visit(copy, "panel.html"), visit(copy, "overlay.html")
    one, other = visit(copy, "vote.html"), visit(copy, "vote.html")
    share = overlay.locator(".answer .rolls")
    one.get_by_role("button", name="Home").click()
    text_of(share.nth(0), "100 %")
    other.get_by_role("button", name="Guest").click()
    text_of(share.nth(1), "50 %")
    expect(overlay.locator("footer")).to_have_text("2 votes")
    expect(one.get_by_role("button", name="Guest")).to_be_disabled()
    one.reload()
    expect(one.locator("#note")).to_have_text("Thank you for your vote: Home.")
    panel.get_by_label("Answer D").fill("Both")
    panel.keyboard.press("Enter")
    expect(overlay.locator(".answer")).to_have_count(4)
    panel.get_by_role("button", name="Open for votes").click()
    expect(overlay.locator("footer")).to_have_text("2 votes, closed")
    panel.get_by_role("button", name="New round").click()
    panel.get_by_role("button", name="Open for votes").click()
    expect(overlay.locator("footer")).to_have_text("0 votes")
    one.get_by_role("button", name="Both").click()
    text_of(share.nth(3), "100 %")


def test_the_buzzer(make: Make, visit: Visit) -> None:
    copy = make("buzzer")
    panel, overlay = visit(copy, "panel.html"), visit(copy, "overlay.html")
    ada, grace = visit(copy, "play.html"), visit(copy, "play.html")
    for phone, name in ((ada, "Ada"), (grace, "Grace / Hopper")):
        phone.get_by_label("Your name").fill(name)
        phone.get_by_role("button", name="Join").click()
        expect(overlay.locator(".player", has_text=name)).to_be_visible()
    grace.get_by_role("button", name="Buzz!").click()
    expect(overlay.locator("#first")).to_have_text("Grace / Hopper")
    ada.get_by_role("button", name="Buzz!").click()
    expect(ada.locator("#note")).to_have_text("You were number 2.")
    expect(grace.locator("#note")).to_have_text("You were first!")
    expect(panel.locator("#presses li")).to_have_text(["Grace / Hopper", "Ada"])
    panel.get_by_role("button", name="Grace / Hopper plus 1").click()
    text_of(overlay.locator(".player", has_text="Grace").locator(".rolls"), "1")
    panel.get_by_role("button", name="Next question").click()
    is_away(overlay.locator("#first"), wanted=True)
    expect(ada.get_by_role("button", name="Buzz!")).to_be_enabled()
    panel.get_by_role("button", name="Buzzers are on").click()
    expect(ada.get_by_role("button", name="Buzz!")).to_be_disabled()
    ada.close()
    expect(overlay.locator(".player")).to_have_count(1)


def test_the_ticker(make: Make, visit: Visit) -> None:
    copy = make("ticker")
    panel, overlay = visit(copy, "panel.html"), visit(copy, "overlay.html")
    shown = overlay.locator("#lines div:not(.old)")
    panel.get_by_label("Seconds for each line").fill("2")
    panel.keyboard.press("Enter")
    for line in ("Follow us for more", "Thank you for watching", "Presented by Your Sponsor"):
        expect(shown).to_have_text(line)
    panel.get_by_label("New line").fill("A new one <i>")
    panel.get_by_role("button", name="Add").click()
    panel.get_by_role("button", name="Move up: A new one <i>").click()
    panel.get_by_role("button", name="Remove: Follow us for more").click()
    expect(panel.locator("#lines span")).to_have_text(
        ["Presented by Your Sponsor", "A new one <i>", "Thank you for watching"]
    )
    expect(shown).to_have_text("A new one <i>")
    panel.get_by_role("button", name="On the screen").click()
    is_away(overlay.locator("#ticker"), wanted=True)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_copy_begins_with_the_values_and_the_look_of_its_template(
    template: str, show: ServerProcess, make: Make, visit: Visit, axe: Axe
) -> None:
    copy, about = make(template), read_template(template)
    panel, overlay = visit(copy, "panel.html"), visit(copy, "overlay.html")
    for key, value in about.values.items():
        assert http(show, "GET", f"/kv/{key}?ns={copy}").json == value

    expect(panel.locator("h1")).to_contain_text(f"({copy})")
    root = overlay.locator("html")
    expect(root).to_have_attribute("data-theme", "dark")
    panel.get_by_label("Background").select_option("light")
    expect(root).to_have_attribute("data-theme", "light")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    assert overlay.evaluate(background) == "rgba(0, 0, 0, 0)", "what is behind it shows through"

    phones = [panel, *([visit(copy, about.audience)] if about.audience else [])]
    for page in phones:
        assert axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        for target in page.locator("button:visible, input:visible, select:visible").all():
            box = target.bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) >= TARGET_PX_MIN, target.inner_html()

    http(show, "DELETE", f"/kv/look?ns={copy}")
    panel.reload()
    expect(panel.locator("#status")).to_have_text("Saved")
    assert http(show, "GET", f"/kv/look?ns={copy}").status == 404, "it is the user's to remove"


def test_presses_of_two_operators_count_and_wait_for_a_killed_server(
    start_server: StartServer, tmp_path: Path, browser: "Browser"
) -> None:
    write_template("scoreboard", tmp_path / "pages")
    server = start_server("--www", str(tmp_path / "pages"))
    context = browser.new_context()
    overlay, *panels = (context.new_page() for _ in range(3))
    for page, file in zip((overlay, *panels), ("overlay", "panel", "panel"), strict=True):
        page.goto(f"{server.url}/www/scoreboard/{file}.html")
    home = overlay.locator("#home .rolls")
    for _ in range(5):
        for panel in panels:  # each before the answer to the other
            panel.get_by_role("button", name="Home plus 1").click()
    text_of(home, "10")
    server.kill()
    for panel in panels:
        expect(panel.locator("#status")).to_have_text("Offline")
        panel.get_by_role("button", name="Home plus 1").click()
        expect(panel.locator("#status")).to_have_text("Offline. 1 to send when the server is back")
    text_of(home, "10")  # an overlay is never blank
    server.start()
    text_of(home, "12")
    for panel in panels:
        expect(panel.locator("#status")).to_have_text("Saved")
    context.close()


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_two_operators_change_while_the_server_is_away_is_shown_when_it_is_back(
    template: str, start_server: StartServer, tmp_path: Path, browser: "Browser"
) -> None:
    write_template(template, tmp_path / "pages")
    server = start_server("--www", str(tmp_path / "pages"))
    context = browser.new_context()
    overlay, one, other = (context.new_page() for _ in range(3))
    for page, file in ((one, "panel"), (other, "panel"), (overlay, "overlay")):
        page.goto(f"{server.url}/www/{template}/{file}.html")
        if page is not overlay:
            expect(page.locator("#status")).to_have_text("Saved")
    root = overlay.locator("html")
    expect(root).to_have_attribute("data-theme", "dark")
    server.kill()
    for page in (one, other):
        expect(page.locator("#status")).to_have_text("Offline")
    button, changed = CHANGES[template]
    one.get_by_role("button", name=button, exact=True).click()
    other.get_by_label("Background").select_option("light")
    server.start()
    changed(overlay)
    expect(root).to_have_attribute("data-theme", "light")
    for page in (one, other):
        expect(page.locator("#status")).to_have_text("Saved")
    context.close()


def test_a_panel_says_what_the_server_refuses(
    start_server: StartServer, tmp_path: Path, browser: "Browser"
) -> None:
    write_template("lower-third", tmp_path / "pages")
    server = start_server("--www", str(tmp_path / "pages"), "--max-value", "1024")
    page = browser.new_page()
    page.goto(f"{server.url}/www/lower-third/panel.html")
    expect(page.locator("#status")).to_have_text("Saved")
    page.get_by_label("Name").fill("Ada")
    page.evaluate("document.querySelector('#title').role.maxLength = 5000")
    page.get_by_label("Role").fill("x" * 2000)
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("#status")).to_contain_text("Refused: Value exceeds max size")
    page.close()


def test_a_panel_that_is_signed_out_keeps_what_was_pressed_and_says_where_to_sign_in(
    start_server: StartServer, tmp_path: Path, browser: "Browser"
) -> None:
    write_template("scoreboard", tmp_path / "pages")
    tokens = tmp_path / "tokens.toml"
    names = ("old", "new")
    old, new = (
        f'[{name}]\ntoken = "{name}-token-123456"\nrights = ["read", "write"]\n' for name in names
    )
    tokens.write_text(old, encoding="utf-8")
    server = start_server("--www", str(tmp_path / "pages"), "--tokens", str(tokens))
    context = browser.new_context()
    panel = context.new_page()
    panel.goto(f"{server.url}/www/scoreboard/panel.html")
    panel.get_by_label("Token").fill("old-token-123456")
    panel.get_by_role("button", name="Continue").click()
    status = panel.locator("#status")
    expect(status).to_have_text("Saved")
    tokens.write_text(new, encoding="utf-8")
    expect(status).to_have_text("Signed out. Sign in")
    panel.get_by_role("button", name="Home plus 1").click()
    expect(status).to_have_text("Signed out. 1 to send. Sign in")
    with context.expect_page() as opened:
        status.get_by_role("link", name="Sign in").click()
    opened.value.get_by_label("Token").fill("new-token-123456")
    opened.value.get_by_role("button", name="Continue").click()
    expect(opened.value.locator("#home .number")).to_have_text("1")
    expect(status).to_have_text("Saved")
    context.close()


def test_a_press_that_was_made_offline_does_not_stop_a_clock_that_another_panel_started(
    start_server: StartServer, tmp_path: Path, browser: "Browser"
) -> None:
    write_template("scoreboard", tmp_path / "pages")
    server = start_server("--www", str(tmp_path / "pages"))
    contexts = [browser.new_context() for _ in range(2)]
    near, far = (context.new_page() for context in contexts)
    for page in (near, far):
        page.goto(f"{server.url}/www/scoreboard/panel.html")
        expect(page.locator("#status")).to_have_text("Saved")
    contexts[1].set_offline(True)
    expect(far.locator("#status")).to_have_text("Offline")
    far.get_by_role("button", name="Start / stop").click()
    near.get_by_role("button", name="Start / stop").click()
    expect(near.locator("#status")).to_have_text("Saved")
    contexts[1].set_offline(False)
    expect(far.locator("#status")).to_have_text("Saved")
    assert http(server, "GET", "/kv/clock?ns=scoreboard").json["timer"]["running"]
    for context in contexts:
        context.close()


def test_a_panel_without_rights_says_so(
    start_server: StartServer, tmp_path: Path, browser: "Browser"
) -> None:
    write_template("scoreboard", tmp_path / "pages")
    tokens = tmp_path / "tokens.toml"
    tokens.write_text(
        '[voter]\ntoken = "voter-token-123456"\nrights = ["read"]\nnamespaces = ["poll"]\n', "utf-8"
    )
    server = start_server("--www", str(tmp_path / "pages"), "--tokens", str(tokens))
    page = browser.new_page()
    page.goto(f"{server.url}/www/scoreboard/panel.html")
    page.get_by_label("Token").fill("voter-token-123456")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#status")).to_have_class("refused")
    page.close()
