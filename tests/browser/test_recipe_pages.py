"""The other sample pages of the documents, word for word, in a browser."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect

from tests.browser.tab import put
from tests.conftest import OTHER_HOST
from tests.support.documents import ROOT, blocks
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
        return start_server("--www", str(folder), "--allow-host", OTHER_HOST)

    return start


@pytest.fixture
def visit(context: BrowserContext, address_of: Callable[[ServerProcess], str]) -> Iterator[Open]:
    """Open a page of a server; at the end none of them may have failed."""
    problems: list[str] = []
    addresses: dict[ServerProcess, str] = {}

    def visit(server: ServerProcess, name: str) -> Page:
        if server not in addresses:
            addresses[server] = address_of(server)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{addresses[server]}/www/{name}")
        # Here browsers trust the page, and have what others lack.
        assert page.evaluate("isSecureContext") == (addresses[server] == server.url)
        return page

    yield visit
    assert problems == []


def test_every_document_with_a_page_has_a_test() -> None:
    documents = [*ROOT.glob("docs/**/*.md"), ROOT / "README.md"]
    names = {path.relative_to(ROOT).as_posix() for path in documents}
    assert {name for name in names if blocks(name, "html")} == {
        "README.md",
        "docs/client.md",
        "docs/getting-started.md",
        "docs/overlays.md",  # in test_overlay_example.py
        GRAPHICS,
        "docs/recipes/lobby.md",
        "docs/recipes/proxy.md",  # in test_prefix.py
    }


def test_the_readme_page_follows_a_value(serve: Callable[..., ServerProcess], visit: Open):
    (text,) = blocks("README.md", "html")
    # The address of the client is the page's own: there it is this server's.
    server = serve(part_html=text.replace("http://localhost:3000/", "/"))
    page = visit(server, "part.html")
    with page.expect_console_message(lambda message: '{"home":2}' in json_of(message)):
        put(server, "score", {"home": 2})
    expect(page.locator("b")).to_have_text("2")


def json_of(message: ConsoleMessage) -> str:
    return json.dumps([argument.json_value() for argument in message.args], separators=(",", ":"))


def test_the_data_bind_examples_show_their_values(serve: Callable[..., ServerProcess], visit: Open):
    (text,) = blocks("docs/client.md", "html")
    (call,) = [block for block in blocks("docs/client.md", "js") if block.startswith("connect(")]
    script = f'import {{ connect }} from "/dunena.js";\n{call}'
    server = serve(bound_html=f'{text}<script type="module">{script}</script>')
    page = visit(server, "bound.html")
    put(server, "score", {"home": 2})
    put(server, "team", {"logo": "data:,", "name": "Ada's"})
    put(server, "match", {"isOver": True})
    put(server, "clock", 125)
    expect(page.locator("b")).to_have_text("2")
    image = page.locator("img")
    expect(image).to_have_attribute("title", "Ada's")
    expect(image).to_have_attribute("src", "data:,")
    expect(image).to_be_hidden()
    expect(page.locator("i")).to_have_text("2:00")


def test_the_getting_started_page_counts_goals(serve: Callable[..., ServerProcess], visit: Open):
    (text,) = blocks("docs/getting-started.md", "html")
    server = serve(score_html=text)
    page = visit(server, "score.html")
    put(server, "score", {"home": 2, "guest": 1})
    expect(page.locator("h1")).to_have_text("2 : 1")
    for _ in range(3):  # faster than the answers come
        page.get_by_role("button", name="Goal").click()
    expect(page.locator("h1")).to_have_text("5 : 1")


def test_the_title_of_the_graphics_recipe_plays_and_stops(
    serve: Callable[..., ServerProcess], visit: Open
):
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


def test_the_lobby_page_lists_the_players(serve: Callable[..., ServerProcess], visit: Open):
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
    there.locator("#ready").uncheck()
    expect(here.locator("#players li", has_text=", ready")).to_have_count(0)
