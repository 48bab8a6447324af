"""The other sample pages of the documents, word for word, in a browser."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, expect

from tests.browser.tab import put
from tests.conftest import OTHER_HOST
from tests.protocol.clients import now_ms
from tests.support.documents import ROOT, blocks
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Open = Callable[[ServerProcess, str], Page]

GRAPHICS = "docs/recipes/graphics.md"
JOBS = "docs/recipes/jobs.md"
LOBBY = "docs/recipes/lobby.md"


QUESTIONS = {"subscribe", "watch", "get", "mget", "keys"}

PRESSES = 5

PLAYERS = 20


@pytest.fixture
def context(browser: "Browser") -> Iterator[BrowserContext]:
    opened = browser.new_context()
    yield opened
    opened.close()


@pytest.fixture
def questions(context: BrowserContext) -> dict[Page, list[str]]:
    """What each page asks the server for values, by WebSocket and HTTP."""
    asked: dict[Page, list[str]] = {}

    def listen(page: Page) -> None:
        mine = asked[page] = []

        def sent(frame: str | bytes) -> None:
            message = json.loads(frame)
            if message.get("action", message.get("type")) in QUESTIONS and "channel" not in message:
                mine.append(str(frame))

        def requested(request: Request) -> None:
            if urlsplit(request.url).path.startswith(("/keys", "/get", "/cache", "/entries")):
                mine.append(request.url)

        page.on("websocket", lambda socket: socket.on("framesent", sent))
        page.on("request", requested)

    context.on("page", listen)
    return asked


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
        JOBS,
        LOBBY,
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
    put(server, "duration", 125)
    timer = {"at": now_ms(), "ms": 90_000, "rate": -1, "running": False}
    put(server, "clock", {"timer": timer})
    expect(page.locator("b")).to_have_text("2")
    image = page.locator("img")
    expect(image).to_have_attribute("title", "Ada's")
    expect(image).to_have_attribute("src", "data:,")
    expect(image).to_be_hidden()
    expect(page.locator("i")).to_have_text("2:00")
    expect(page.locator("time")).to_have_text("1:30")


def test_the_getting_started_page_counts_goals(serve: Callable[..., ServerProcess], visit: Open):
    text, _ = blocks("docs/getting-started.md", "html")
    server = serve(score_html=text)
    pages = visit(server, "score.html"), visit(server, "score.html")
    put(server, "score", {"home": 2, "guest": 1})
    for page in pages:
        expect(page.locator("h1")).to_have_text("2 : 1")
    for _ in range(PRESSES):
        for page in pages:  # each before the answer to the other
            page.get_by_role("button", name="Goal").click()
    for page in pages:
        expect(page.locator("h1")).to_have_text(f"{2 + 2 * PRESSES} : 1")


def test_the_getting_started_lobby_shows_who_is_there(
    serve: Callable[..., ServerProcess], visit: Open
):
    _, text = blocks("docs/getting-started.md", "html")
    server = serve(lobby_html=text)
    one, other = visit(server, "lobby.html"), visit(server, "lobby.html")
    for page in (one, other):
        expect(page.locator("#players")).to_have_text(re.compile(r"^Player \d+, Player \d+$"))
        page.get_by_role("button").click()
    for page in (one, other):
        expect(page.get_by_role("button")).to_have_text("Pressed 2 times")
    other.close()
    expect(one.locator("#players")).to_have_text(re.compile(r"^Player \d+$"))


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


@pytest.fixture
def jobs(serve: Callable[..., ServerProcess]) -> ServerProcess:
    """A server with a page of all HTML of the jobs, above the lines that the page begins with."""
    script = f'<script type="module">{blocks(JOBS, "js")[0]}</script>'
    return serve(jobs_html="\n".join([*blocks(JOBS, "html"), script]))


def test_the_countdown_of_the_jobs_page_is_shown(jobs: ServerProcess, visit: Open):
    clock = visit(jobs, "jobs.html").locator("[data-bind='clock | timer']")
    expect(clock).to_have_text("5:00")
    timer = {"at": now_ms(), "ms": 90_000, "rate": -1, "running": False}
    put(jobs, "clock", {"timer": timer})
    expect(clock).to_have_text("1:30")
    put(jobs, "clock", {"timer": {**timer, "running": True}})
    expect(clock).to_have_text(re.compile(r"^1:[0-2]\d$"))


def test_the_lower_third_of_the_jobs_page_comes_and_goes(jobs: ServerProcess, visit: Open):
    lower = visit(jobs, "jobs.html").locator("#lower")
    expect(lower).to_have_css("opacity", "0")
    value = {"name": "Ada", "role": "Pilot", "on": True}
    put(jobs, "lower", value)
    expect(lower).to_have_css("opacity", "1")
    expect(lower).to_have_text("Ada Pilot")
    put(jobs, "lower", {**value, "on": False})
    expect(lower).to_have_css("opacity", "0")
    expect(lower).to_have_text("Ada Pilot")


@pytest.fixture
def lobby(serve: Callable[..., ServerProcess]) -> ServerProcess:
    """A server with the page and the module of the recipe."""
    (module, talk), (text, part) = blocks(LOBBY, "js"), blocks(LOBBY, "html")
    return serve(lobby_js=module, lobby_html=text, talk_js=talk, talk_html=text + part)


def test_the_lobby_page_lists_the_players(lobby: ServerProcess, visit: Open):
    here, there = visit(lobby, "lobby.html"), visit(lobby, "lobby.html")
    for page in (here, there):
        expect(page.locator("#players li")).to_have_count(2)
    there.locator("#ready").check()
    expect(here.locator("#players li", has_text=", ready")).to_have_count(1)
    there.locator("#ready").uncheck()
    expect(here.locator("#players li", has_text=", ready")).to_have_count(0)
    there.close()
    expect(here.locator("#players li")).to_have_count(1)


def test_the_lobby_page_with_a_chat_and_votes_shows_them_everywhere(
    lobby: ServerProcess, visit: Open
):
    here, there = visit(lobby, "talk.html"), visit(lobby, "talk.html")
    for page, text in ((here, "<b>hi</b>"), (there, "hello")):
        page.get_by_label("Say something").fill(text)
        page.get_by_role("button", name="Say").click()
        expect(here.locator("#chat li").last).to_have_text(f"Ada: {text}")
    for page, choice in ((here, "forest"), (there, "forest"), (here, "desert")):
        page.get_by_role("button", name=choice).click()
    for page in (here, there):
        expect(page.locator("#chat li")).to_have_text(["Ada: <b>hi</b>", "Ada: hello"])
        expect(page.locator("#votes")).to_have_text("forest 2, desert 1")
        expect(page.locator("#players li")).to_have_count(2)


def test_the_lobby_page_asks_once_however_many_players_come(
    lobby: ServerProcess, visit: Open, questions: dict[Page, list[str]]
):
    page = visit(lobby, "lobby.html")
    players = page.locator("#players li")
    expect(players).to_have_count(1)
    for number in range(PLAYERS):
        player = {"name": f"Guest {number}", "ready": False}
        put(lobby, f"guest-{number}", player, ns="lobby")
    expect(players).to_have_count(1 + PLAYERS)
    assert len(questions[page]) == 1, questions[page]


def test_the_lobby_page_asks_once_when_it_comes_back(
    lobby: ServerProcess, visit: Open, questions: dict[Page, list[str]]
):
    for number in range(PLAYERS):
        player = {"name": f"Guest {number}", "ready": False}
        put(lobby, f"guest-{number}", player, ns="lobby")
    page = visit(lobby, "lobby.html")
    players = page.locator("#players li")
    expect(players).to_have_count(1 + PLAYERS)
    questions[page].clear()
    assert lobby.stop() == 0
    (lobby.folder / "lobby" / "guest-0.json").unlink()
    lobby.start()
    expect(players).to_have_count(PLAYERS)
    assert len(questions[page]) == 1, questions[page]
