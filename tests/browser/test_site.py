"""The documentation as a site: what its search finds, and how its first page looks.

A server of ours shows it, as a folder of pages: search needs an address.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from tests.browser.tab import EXPECT_MS
from tests.conftest import report_missing
from tests.support.documents import ROOT
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NARROW_PX = 390

FOUND = {
    "increment": {"operations-on-values"},
    "presence": {"sessions"},
    "overlay": {"overlays"},
    "scoreboard": {"templates"},
    "QR": {"devices"},
    "phone": {"devices"},
    "invite": {"devices"},
    "backup": {"operations", "backup"},
}
"""The pages of which one is the first that is found, by what is typed."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the site, built and served."""
    python = os.environ.get("DUNENA_TEST_SITE")
    if not python:
        report_missing("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    command = [python, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    command += ["--config-file", str(ROOT / "build" / "mkdocs.yml")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    with ServerProcess(None, "--no-persist", "--www", str(folder)) as server:
        yield f"{server.url}/www"


@pytest.fixture
def page(browser: "Browser", site: str) -> Iterator[Page]:
    """The first page of the site, which asks no other host for anything."""
    opened = browser.new_page()
    opened.set_default_timeout(EXPECT_MS)
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(f"{site}/index.html")
    yield opened
    opened.close()
    assert [url for url in asked if not url.startswith(f"{site}/")] == []


@pytest.mark.parametrize("word", FOUND)
def test_the_search_finds_a_word_on_its_page_first(word: str, page: Page) -> None:
    search = page.get_by_role("textbox", name="Search")
    search.click()
    expect(page.locator(".md-search-result__meta")).to_have_text("Type to start searching")
    search.press_sequentially(word)
    first = page.locator(".md-search-result__item > a").first
    pages = "|".join(FOUND[word])  # it searches while one types, so others may come first
    expect(first).to_have_attribute(
        "href", re.compile(rf"(?:^|/)(?:{pages})(?:\.html|/)?(?:[?#]|$)")
    )


def test_the_first_page_shows_the_animation_unless_motion_is_unwanted(page: Page) -> None:
    picture = page.locator("picture img")
    shown = "picture => picture.currentSrc.split('/').pop()"
    assert picture.evaluate(shown) == "scoreboard.webp"
    page.emulate_media(reduced_motion="reduce")
    page.reload()
    assert picture.evaluate(shown) == "scoreboard.png"


def test_the_first_page_fits_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": NARROW_PX, "height": 844})
    page.reload()
    picture = page.locator("picture img")
    assert picture.evaluate("picture => picture.currentSrc").endswith("scoreboard-narrow.webp")
    assert page.evaluate("document.documentElement.scrollWidth") == NARROW_PX
    expect(page.get_by_role("link", name="Download for Windows")).to_be_in_viewport()
