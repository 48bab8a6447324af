"""The pages of getting started and the recipes, word for word, in a browser."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.tab import put
from tests.support.documents import blocks
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Open = Callable[[ServerProcess, str], Page]

GRAPHICS = "docs/recipes/graphics.md"


@pytest.fixture
def context(browser: "Browser") -> Iterator[BrowserContext]:
    opened = browser.new_context()
    yield opened
    opened.close()


@pytest.fixture
def serve(start_server: StartServer, tmp_path: Path) -> Callable[..., ServerProcess]:
    """Start a server with these pages in its folder."""

    def start(**pages: str) -> ServerProcess:
        folder = tmp_path / "pages"
        folder.mkdir()
        for name, text in pages.items():
            (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
        return start_server("--www", str(folder))

    return start


@pytest.fixture
def visit(context: BrowserContext) -> Iterator[Open]:
    """Open a page of a server; at the end none of them may have failed."""
    problems: list[str] = []

    def visit(server: ServerProcess, name: str) -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{server.url}/www/{name}")
        return page

    yield visit
    assert problems == []


def test_the_first_page(serve: Callable[..., ServerProcess], visit: Open):
    (text,) = blocks("docs/getting-started.md", "html")
    server = serve(score_html=text)
    page = visit(server, "score.html")
    put(server, "score", {"home": 2, "guest": 1})
    expect(page.locator("h1")).to_have_text("2 : 1")
    page.get_by_role("button", name="Goal").click()
    expect(page.locator("h1")).to_have_text("3 : 1")


def test_a_title_that_is_played(serve: Callable[..., ServerProcess], visit: Open):
    (text,) = blocks(GRAPHICS, "html")
    server = serve(title_html=text)
    page = visit(server, "title.html")
    page.wait_for_function("() => window.play && window.next && window.stop")
    title = page.locator("#title")
    expect(title).to_have_css("opacity", "0")
    page.evaluate("play()")
    expect(title).to_have_css("opacity", "1")
    page.evaluate("(data) => { update(data); next(); }", update_data())
    expect(title).to_have_text("Ada Engineer")
    put(server, "title", {"name": "Bob", "role": "Referee"})
    expect(title).to_have_text("Bob Referee")
    page.evaluate("stop()")
    expect(title).to_have_css("opacity", "0")


def update_data() -> str:
    """What the page has CasparCG hand to `update`, as that takes it out of its quotes."""
    (commands,) = blocks(GRAPHICS, "text")
    (line,) = [line for line in commands.splitlines() if " UPDATE " in line]
    quoted = line.partition(" 0 ")[2]
    return quoted.removeprefix('"').removesuffix('"').replace('\\"', '"')


def test_a_lobby(serve: Callable[..., ServerProcess], visit: Open):
    (module,), (text,) = (
        blocks("docs/recipes/lobby.md", "js"),
        blocks("docs/recipes/lobby.md", "html"),
    )
    server = serve(lobby_js=module, lobby_html=text)
    here, there = visit(server, "lobby.html"), visit(server, "lobby.html")
    for page in (here, there):
        expect(page.locator("#players li")).to_have_count(2)
    there.locator("#ready").check()
    expect(here.locator("#players li", has_text=", ready")).to_have_count(1)
