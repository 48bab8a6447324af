"""From the double click to a score on the screen, as a person does it who cannot program.

DUNENA_FIRST_MINUTE names a folder that is given a picture of each step, and a recording of each
window (`playwright show-trace`).
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.binary.conftest import linux_only
from tests.binary.desktop import CTRL_C, NOBODY, Browser, Terminal, click
from tests.binary.program import SECONDS_MAX, Program, free_port
from tests.support.patience import patiently

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium

pytestmark = linux_only

EXPECT_MS = SECONDS_MAX * 1000
CLICKS_MAX = 6
MINUTES_MAX = patiently(2)
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
SCREEN = {"width": 1920, "height": 1080}
TOKEN = "correct-horse-battery"


class Person:
    """Whoever sits at the machine: opens windows, clicks, and is counted."""

    def __init__(self, chromium: "Chromium", name: str) -> None:
        self._chromium = chromium
        folder = os.environ.get("DUNENA_FIRST_MINUTE")
        self._folder = Path(folder, name) if folder else None
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
        self._began = time.monotonic()
        self._contexts: list[Any] = []
        self.clicks = 0
        self.steps: list[str] = []

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def open(self, **options: Any) -> Page:
        """A browser of its own: another machine, or a source of OBS."""
        self._contexts.append(self._chromium.new_context(locale="en-GB", **options))
        if self._folder is not None:
            self._contexts[-1].tracing.start(screenshots=True, snapshots=True)
        page: Page = self._contexts[-1].new_page()
        page.set_default_timeout(EXPECT_MS)
        return page

    def click(self, what: Locator) -> None:
        what.click()
        self.clicks += 1

    def see(self, page: Page, step: str, **options: Any) -> None:
        """Note that a step is done; take its picture, in both schemes."""
        self.steps.append(f"{self.seconds:5.1f} s, {self.clicks} clicks: {step}")
        if self._folder is None:
            return
        name = f"{len(self.steps):02} {step}"
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.screenshot(path=self._folder / f"{name}, {scheme}.png", **options)

    def close(self) -> None:
        for number, context in enumerate(self._contexts, 1):
            if self._folder is not None:
                context.tracing.stop(path=self._folder / f"window {number}.zip")
            context.close()
        if self._folder is not None:
            text = "".join(f"{step}\n" for step in self.steps)
            (self._folder / "steps.txt").write_text(text, encoding="utf-8")


@contextmanager
def sitting_at(chromium: "Chromium", name: str) -> Iterator[Person]:
    expect.set_options(timeout=EXPECT_MS)
    person = Person(chromium, name)
    try:
        yield person
    finally:
        person.close()


@pytest.fixture
def opener(program: Program) -> Browser:
    """What the desktop opens addresses with."""
    return Browser(program.base)


def stop(terminal: Terminal, process: Any) -> None:
    terminal.press(CTRL_C)
    assert process.wait(SECONDS_MAX) == 0


def make_scoreboard(person: Person, page: Page) -> tuple[Page, str]:
    """Click on the card; the panel that opens, and the address of the overlay."""
    person.see(page, "an empty store offers templates")
    with page.context.expect_page() as opened:
        person.click(page.get_by_role("button", name="Make scoreboard"))
    panel = opened.value
    expect(panel.locator("#status")).to_have_text("Saved")
    address = page.locator(".card-address code").inner_text()
    person.see(page, "the card shows the address for OBS")
    return panel, address


def test_a_score_is_on_the_screen_within_two_minutes(
    program: Program, opener: Browser, browser: "Chromium"
) -> None:
    with (
        sitting_at(browser, "double click") as person,
        click(program, opener, free_port()) as (terminal, process),
    ):
        address = opener.asked()[0]
        page = person.open(viewport=DESKTOP)
        page.goto(address)
        panel, overlay_address = make_scoreboard(person, page)
        assert (program.path.parent / "www" / "scoreboard" / "panel.html").is_file()

        overlay = person.open(viewport=SCREEN)
        overlay.goto(overlay_address)
        score = overlay.locator("#home .rolls")
        expect(score).to_have_attribute("data-text", "0")
        person.see(overlay, "the overlay before", omit_background=True)
        person.click(panel.get_by_role("button", name="Home plus 1"))
        overlay.wait_for_function("document.querySelector('#home .rolls').dataset.text === '1'")
        person.see(overlay, "the overlay during the change", omit_background=True)
        moving = "document.querySelector('#home').getAnimations({ subtree: true })"
        overlay.wait_for_function(f"{moving}.every((one) => one.playState !== 'running')")
        person.see(overlay, "the overlay after", omit_background=True)
        person.see(panel, "the panel")
        background = "getComputedStyle(document.documentElement).backgroundColor"
        assert overlay.evaluate(background) == "rgba(0, 0, 0, 0)"

        # The phone: a page of this machine asks the server to be found by the network.
        person.click(page.get_by_role("button", name="On a phone"))
        dialog = page.get_by_role("dialog", name="Open on a phone")
        person.click(dialog.get_by_role("button", name="Share on this network"))
        expect(dialog.get_by_role("img")).to_be_visible()
        person.see(page, "a code for the phone")
        phone = person.open(viewport=PHONE, has_touch=True)
        phone.goto(dialog.locator("code").inner_text())
        person.see(phone, "the phone is asked")
        person.click(phone.get_by_role("button", name="Continue"))
        expect(phone.locator("#status")).to_have_text("Saved")
        person.click(phone.get_by_role("button", name="Home plus 1"))
        expect(score).to_have_attribute("data-text", "2")
        person.see(phone, "the panel on the phone")

        assert person.clicks <= CLICKS_MAX, person.steps
        assert person.seconds < MINUTES_MAX * 60, person.steps
        stop(terminal, process)


@pytest.mark.parametrize("way", ["a token", "the network", "a read-only folder"])
def test_other_first_minutes(
    program: Program, opener: Browser, browser: "Chromium", way: str
) -> None:
    user, extra = None, {}
    if way == "a token":
        extra = {"DUNENA_AUTH_TOKEN": TOKEN}
    elif way == "the network":
        extra = {"DUNENA_HOST": "0.0.0.0"}
    else:
        home = program.base / "home"
        home.mkdir()
        extra = {"HOME": str(home)}
        if os.geteuid() == 0:
            user = NOBODY
            os.chown(home, user, -1)
        program.path.parent.chmod(0o555)
    with (
        sitting_at(browser, way) as person,
        click(program, opener, free_port(), user, **extra) as (terminal, process),
    ):
        address = opener.asked()[0]
        page = person.open(viewport=DESKTOP)
        page.goto(address)
        if way == "a token":
            dialog = page.get_by_role("dialog", name="This server wants a token")
            person.see(page, "the page asks for the token")
            dialog.get_by_label("Token").fill(TOKEN)
            person.click(dialog.get_by_role("button", name="Continue"))
        panel, overlay_address = make_scoreboard(person, page)
        overlay = panel.context.new_page()
        overlay.goto(overlay_address)
        panel.get_by_role("button", name="Home plus 3").click()
        expect(overlay.locator("#home .rolls")).to_have_attribute("data-text", "3")

        page.bring_to_front()
        person.click(page.get_by_role("button", name="On a phone"))
        dialog = page.get_by_role("dialog", name="Open on a phone")
        if way != "the network":
            person.click(dialog.get_by_role("button", name="Share on this network"))
        expect(dialog.get_by_role("img")).to_be_visible()
        person.see(page, "a code for the phone")
        phone = person.open(viewport=PHONE, has_touch=True)
        phone.goto(dialog.locator("code").inner_text())
        if way != "the network":
            person.click(phone.get_by_role("button", name="Continue"))
        expect(phone).to_have_url(re.compile(r"/www/scoreboard/panel\.html$"))
        expect(phone.locator("#home .number")).to_have_text("3")
        person.see(phone, "the panel on the phone")
        stop(terminal, process)
    if way == "a read-only folder":
        assert list(home.rglob("panel.html")), "the pages are with the values, in the user's folder"
        program.path.parent.chmod(0o755)
