"""The JavaScript client in a browser: loading, bindings and reconnecting."""

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import ConsoleMessage, Error, Page, expect

from tests.browser.tab import EXPECT_MS, put
from tests.e2e.processes import free_port
from tests.protocol.clients import Client, open_objects
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser

DEAD_SECONDS_MAX = 10.0
SIZE_BYTES_MAX = 21 * 1024

# Without an icon of its own a browser asks for one that is not there.
HEAD = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">'

Show = Callable[..., Page]


@pytest.fixture
def errors() -> list[str]:
    """What went wrong in the pages of a test, as their consoles say it."""
    return []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the module's pages."""
    return tmp_path_factory.mktemp("www")


@pytest.fixture
def site(start_server: StartServer, folder: Path) -> ServerProcess:
    """A server with that folder."""
    return start_server("--www", str(folder))


@pytest.fixture(scope="module")
def window(browser: "Browser") -> Iterator[Page]:
    """One page for the module: a new one costs a test more than most tests take."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def show(
    browser: "Browser", window: Page, site: ServerProcess, folder: Path, errors: list[str]
) -> Iterator[Show]:
    """Write a page into the folder and open it; the default loads the client as a module.

    A test's first is the module's, and others are of contexts of their own.
    """
    contexts = []
    unused = [window]

    def see(message: ConsoleMessage) -> None:
        # A server that is away is what these tests are about.
        if message.type == "error" and "ERR_" not in message.text:
            errors.append(message.text)

    def fail(error: Error) -> None:
        errors.append(str(error))

    def take_page() -> Page:
        if unused:
            return unused.pop()
        contexts.append(browser.new_context())
        return contexts[-1].new_page()

    def make(body: str, script: str = "globalThis.store = connect();") -> Page:
        module = f'import {{ connect }} from "/dunena.js";\n{script}'
        if script:
            body += f'<script type="module">{module}</script>'
        (folder / "page.html").write_text(f"{HEAD}{body}", encoding="utf-8")
        page = take_page()
        page.set_default_timeout(EXPECT_MS)
        page.on("console", see)
        page.on("pageerror", fail)
        page.goto(f"{site.url}/www/page.html")
        return page

    yield make
    if not unused:
        window.remove_listener("console", see)
        window.remove_listener("pageerror", fail)
        window.goto("about:blank")
    for context in contexts:
        context.close()


def test_the_client_script_is_smaller_than_its_limit(site: ServerProcess) -> None:
    import urllib.request

    with urllib.request.urlopen(f"{site.url}/dunena.js") as answer:
        assert len(answer.read()) < SIZE_BYTES_MAX


# --- ways to load it ---


def test_the_client_loads_as_a_module(show: Show, errors: list[str]) -> None:
    page = show("")
    assert page.evaluate("store.set('k', [1]).then(() => store.get('k'))") == [1]
    assert page.evaluate("globalThis.dunena") is None
    assert errors == []


def test_the_client_loads_as_a_classic_script(show: Show, errors: list[str]) -> None:
    page = show('<script src="/dunena.classic.js"></script><b data-bind="k"></b>', "")
    found = page.evaluate(
        """async () => {
            globalThis.store = dunena.connect();
            await store.set("k", "classic");
            return [await store.get("k"), Object.keys(dunena)];
        }"""
    )
    assert found == ["classic", ["connect", "DunenaError"]]
    expect(page.locator("b")).to_have_text("classic")
    assert errors == []


def test_the_client_connects_from_a_page_of_another_server(
    show: Show, start_server: StartServer, tmp_path: Path, errors: list[str]
) -> None:
    other = start_server(folder=tmp_path / "other")
    page = show("", f'globalThis.store = connect("{other.url}");')
    page.evaluate("store.set('k', 'there')")
    classic = show(f'<script src="{other.url}/dunena.classic.js"></script>', "")
    assert classic.evaluate("dunena.connect().get('k')") == "there"
    module = show("", f'globalThis.other = (await import("{other.url}/dunena.js")).connect();')
    module.wait_for_function("globalThis.other")
    assert module.evaluate("other.get('k')") == "there"
    assert module.evaluate("other.keys()") == ["k"]
    assert errors == []


def test_a_missing_server_is_reported_once_with_the_allow_origin_option(
    show: Show, site: ServerProcess
) -> None:
    page = show("", "globalThis.connect = connect;")
    warnings: list[str] = []
    page.on("console", lambda it: warnings.append(it.text) if it.type == "warning" else None)
    url = f"http://127.0.0.1:{free_port()}"
    message = page.evaluate(
        """(url) => new Promise((resolve) => {
            const store = connect(url);
            let waits = 0;
            store.onStatus((status) => {
                if (status === "waiting" && (waits += 1) === 3) resolve(store.error.message);
            });
        })""",
        url,
    )
    assert message.startswith(f"No server at {url}/; start dunena there")
    assert message.endswith(f"or let this page in: --allow-origin {site.url}")
    assert warnings == [message]


@pytest.mark.parametrize("kind", ["disk", "sandbox"])
def test_a_page_with_a_null_origin_is_told_how_to_be_admitted(
    browser: "Browser", site: ServerProcess, tmp_path: Path, kind: str
) -> None:
    script = (
        f'<script src="{site.url}/dunena.classic.js"></script>'
        f'<script>dunena.connect("{site.url}")</script>'
    )
    if kind == "sandbox":
        script = f"<iframe sandbox='allow-scripts' srcdoc='{script}'></iframe>"
    (tmp_path / "page.html").write_text(HEAD + script)
    context = browser.new_context()
    try:
        page = context.new_page()
        with page.expect_console_message(lambda it: it.type == "warning") as warning:
            page.goto((tmp_path / "page.html").as_uri())
        assert warning.value.text == (
            f"No server at {site.url}/; start dunena there, or let this page in: "
            f"--allow-origin null or the button at {site.url}/test"
        )
    finally:
        context.close()


def test_a_value_too_large_for_a_message_is_rejected(
    show: Show, site: ServerProcess, errors: list[str]
) -> None:
    page = show("")
    text = page.evaluate("store.set('h', 'x'.repeat(26_000_000)).catch((error) => error.message)")
    assert text == "Value exceeds max size (4194304 bytes)"
    assert page.evaluate("store.set('k', 1).then(() => store.get('k'))") == 1
    assert errors == []


def test_the_client_sends_its_token_from_a_page_of_another_server(
    show: Show, start_server: StartServer, tmp_path: Path
) -> None:
    locked = start_server("--token", "open sesame", folder=tmp_path / "locked")
    page = show("", f'globalThis.store = connect("{locked.url}", {{ token: "open sesame" }});')
    assert page.evaluate("store.set('k', 1).then(() => store.get('k'))") == 1
    assert page.evaluate("store.keys()") == ["k"]


def test_a_page_with_a_session_cookie_connects_without_a_token(
    browser: "Browser", start_server: StartServer, folder: Path
) -> None:
    server = start_server("--token", "open sesame", "--www", str(folder))
    script = 'import { connect } from "/dunena.js"; globalThis.store = connect();'
    (folder / "locked.html").write_text(f'<script type="module">{script}</script>')
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(f"{server.url}/test")
        page.evaluate("fetch('/session', { method: 'POST', body: '{\"token\":\"open sesame\"}' })")
        page.goto(f"{server.url}/www/locked.html")
        page.wait_for_function("globalThis.store?.status === 'open'")
        assert page.evaluate("store.set('k', 1).then(() => store.get('k'))") == 1
    finally:
        context.close()


# --- data-bind ---


def test_elements_show_values_and_keep_them_current(
    show: Show, site: ServerProcess, errors: list[str]
) -> None:
    put(site, "score", {"home": 1, "players": [{"name": "Ada"}]})
    put(site, "match.1", {"a": True})
    page = show(
        """<b id="a" data-bind="score.home">none</b>
        <b id="b" data-bind="score.players.0.name">none</b>
        <b id="c" data-bind=" 'match.1'.a ">none</b>
        <b id="d" data-bind="score.constructor">none</b>
        <b id="e" data-bind="score">none</b>
        <b id="f" data-bind="missing.x">none</b>
        <b id="g" data-bind="score.players.length | twice">none</b>
        <input id="h" data-bind="score.home" value="none">""",
        "connect({ format: { twice: (value, element) => element.id + value * 2 } });",
    )
    for name, text in {
        "a": "1", "b": "Ada", "c": "true", "d": "none",
        "e": '{"home":1,"players":[{"name":"Ada"}]}', "f": "none", "g": "g2",
    }.items():  # fmt: skip
        expect(page.locator(f"#{name}")).to_have_text(text)
    expect(page.locator("#h")).to_have_value("1")
    put(site, "score", {"home": "<i>2</i>"})
    put(site, "missing", {"x": 0})
    expect(page.locator("#a")).to_have_text("<i>2</i>")
    expect(page.locator("#b")).to_have_text("none")
    expect(page.locator("#f")).to_have_text("0")
    expect(page.locator("#g")).to_have_text("none")
    put(site, "score", None)
    expect(page.locator("#a")).to_have_text("none")
    expect(page.locator("#h")).to_have_value("none")
    assert errors == []


def test_elements_added_and_removed_are_bound_and_unbound(show: Show, site: ServerProcess) -> None:
    page = show('<div id="list"></div>')
    put(site, "k", 1)
    page.evaluate("document.querySelector('#list').innerHTML = '<p><b data-bind=k>-</b></p>'")
    expect(page.locator("b")).to_have_text("1")
    page.evaluate("globalThis.gone = document.querySelector('b'); gone.remove()")
    page.evaluate("store.set('k', 2)")
    assert page.evaluate("gone.textContent") == "1"
    page.evaluate("document.querySelector('#list').append(gone)")
    expect(page.locator("b")).to_have_text("2")


def test_data_bind_attr_sets_attributes(show: Show, site: ServerProcess, errors: list[str]) -> None:
    put(site, "team", {"logo": "/favicon.svg", "name": "A", "isOver": False})
    page = show(
        """<a data-bind-attr="title: team.name; href: team.logo ;hidden:team.isOver" title="t">x</a>
        <i data-bind-attr="onclick: team.name; srcdoc: team.name; data-x: team | shown">y</i>""",
        "connect({ format: { shown: (team) => team.name + '!' } });",
    )
    link, other = page.locator("a"), page.locator("i")
    expect(link).to_have_attribute("title", "A")
    expect(link).to_have_attribute("href", "/favicon.svg")
    expect(link).not_to_have_attribute("hidden", "")
    expect(other).to_have_attribute("data-x", "A!")
    assert other.evaluate("(it) => it.getAttributeNames()") == ["data-bind-attr", "data-x"]
    for address in ("javascript:alert(1)", " \u0001JAVA\tscript:alert(1)"):
        put(site, "team", {"logo": address, "isOver": True})
        expect(link).to_have_attribute("hidden", "")
        expect(link).to_have_attribute("title", "t")
        assert link.evaluate("(it) => it.hasAttribute('href')") is False
        put(site, "team", {"logo": "/x", "isOver": False})
        expect(link).to_have_attribute("href", "/x")
    assert errors == []


NO_BINDING, NO_FORMAT = "not key | format", "no format no in timer,minutes,twice"
MISTYPED = [
    ("data-bind", "score.home || 0", NO_BINDING),
    ("data-bind", "score.home |", NO_BINDING),
    ("data-bind", "score | a | b", NO_BINDING),
    ("data-bind", " ", NO_BINDING),
    ("data-bind", "score.home | no", NO_FORMAT),
    ("data-bind-attr", "src score.home", NO_BINDING),
    ("data-bind-attr", "src = score.home", NO_BINDING),
    ("data-bind-attr", "src:", NO_BINDING),
    ("data-bind-attr", "src: score | a | b", NO_BINDING),
    ("data-bind-attr", "src: score | no", NO_FORMAT),
]


@pytest.mark.parametrize(("attribute", "text", "why"), MISTYPED)
def test_an_invalid_binding_is_reported_and_does_not_affect_others(
    show: Show, site: ServerProcess, errors: list[str], attribute: str, text: str, why: str
) -> None:
    put(site, "score", {"home": 2})
    page = show(
        f"<b {attribute}='{text}'>-</b><i data-bind='score.home'>-</i>",
        """const format = { minutes: String, twice: (value) => value * 2 };
        const store = connect({ format });
        globalThis.isRun = true;""",
    )
    expect(page.locator("i")).to_have_text("2")
    put(site, "score", {"home": 3})
    expect(page.locator("i")).to_have_text("3")
    assert page.evaluate("isRun") is True
    expect(page.locator("b")).to_have_text("-")
    assert page.locator("b").evaluate("(it) => it.getAttributeNames().length") == 1
    assert len(errors) == 1
    assert errors[0].splitlines()[0] == f'DunenaError: data-bind "{text}": {why}'


def test_valid_entries_of_a_data_bind_attr_list_apply_beside_invalid_ones(
    show: Show, site: ServerProcess, errors: list[str]
) -> None:
    put(site, "k", "v")
    page = show(
        '<b data-bind="k | no" data-bind-attr="title: k; src k; ; lang: k | no;"></b>', "connect();"
    )
    expect(page.locator("b")).to_have_attribute("title", "v")
    told = [error.splitlines()[0].removeprefix("DunenaError: data-bind ") for error in errors]
    assert told == [
        '"src k": not key | format',
        '"lang: k | no": no format no in timer',
        '"k | no": no format no in timer',
    ]


def test_a_field_being_edited_is_not_overwritten(show: Show, site: ServerProcess) -> None:
    put(site, "name", "before")
    page = show('<input data-bind="name"><b data-bind="name"></b>')
    field = page.locator("input")
    expect(field).to_have_value("before")
    field.fill("half a na")
    put(site, "name", "from elsewhere")
    expect(page.locator("b")).to_have_text("from elsewhere")
    expect(field).to_have_value("half a na")


def test_a_timer_is_shown_by_the_time_of_the_server(
    show: Show, site: ServerProcess, errors: list[str]
) -> None:
    page = show(
        """<b data-bind="clock | timer">-</b><i data-bind="match.up | timer">-</i>
        <u data-bind="clock | seconds">-</u><s data-bind="other | timer">-</s>""",
        """const ahead = performance.timeOrigin + 3_600_000; // a page whose clock is wrong
        Object.defineProperty(performance, "timeOrigin", { value: ahead });
        const seconds = ({ timer }) =>
          Math.ceil((timer.running ? timer.ms - (store.now() - timer.at) : timer.ms) / 1000);
        globalThis.store = connect({ format: { seconds } });""",
    )
    put(site, "other", 5)
    shown = page.locator("b")
    page.evaluate("store.timer('clock', 'set', { ms: 65_000, rate: -1 })")
    expect(shown).to_have_text("1:05")
    expect(page.locator("u")).to_have_text("65")
    page.evaluate("store.timer('clock', 'start')")
    expect(shown).to_have_text("1:04")
    expect(shown).to_have_text("1:03")
    expect(page.locator("u")).to_have_text("62")
    page.evaluate("store.timer('clock', 'stop')")
    page.evaluate("store.timer('clock', 'set', { ms: 600 })")
    expect(shown).to_have_text("0:01")
    page.evaluate("store.timer('clock', 'start')")
    expect(shown).to_have_text("0:00")
    page.evaluate(
        "store.set('match', {}).then(() => store.timer('match', 'start', { path: '/up' }))"
    )
    expect(page.locator("i")).to_have_text("0:00")
    expect(page.locator("i")).to_have_text("0:01")
    page.evaluate("store.timer('match', 'set', { path: '/up', ms: -3_725_000 })")
    expect(page.locator("i")).to_have_text("-62:04")
    expect(page.locator("s")).to_have_text("5")
    page.evaluate("store.delete('clock')")
    expect(shown).to_have_text("-")
    assert errors == []


def test_a_running_timer_stops_with_its_element_and_with_the_store(
    show: Show, site: ServerProcess, errors: list[str]
) -> None:
    page = show(
        '<b data-bind="clock | count">-</b>',
        """globalThis.count = 0;
        globalThis.store = connect({ format: { count: () => (count += 1) } });""",
    )
    page.evaluate("store.timer('clock', 'start')")
    page.wait_for_function("count > 5")
    still = """async () => {
        const before = count;
        await new Promise((resolve) => setTimeout(resolve, 200));
        return count - before;
    }"""
    page.evaluate("globalThis.element = document.querySelector('b'); element.remove()")
    assert page.evaluate(still) == 0
    page.evaluate("document.body.append(element)")
    page.wait_for_function("count > 12")
    page.evaluate("store.close()")
    assert page.evaluate(still) == 0
    assert errors == []


def test_a_page_follows_a_pattern_and_shows_nothing_twice(
    show: Show, site: ServerProcess, errors: list[str]
) -> None:
    put(site, "player-1", "Ada")
    page = show(
        "",
        """globalThis.store = connect();
        globalThis.seen = [];
        store.watch({ pattern: "player-*" }, (players) => seen.push({ ...players }));""",
    )
    page.wait_for_function("seen.length === 1")
    site.restart()
    page.wait_for_function("store.status === 'open'")
    page.evaluate("store.set('player-2', 'Bob')")
    page.wait_for_function("seen.length > 1")
    both = {"player-1": "Ada", "player-2": "Bob"}
    assert page.evaluate("seen") == [{"player-1": "Ada"}, both]
    assert errors == []


# --- coming back ---


def test_a_page_recovers_after_each_kill_of_the_server(
    show: Show, site: ServerProcess, errors: list[str]
) -> None:
    put(site, "n", 0)
    page = show(
        '<b data-bind="n">-</b>',
        """globalThis.store = connect();
        globalThis.seen = [];
        globalThis.texts = new Set();
        store.watch("n", (value) => seen.push(value));
        new MutationObserver(() => texts.add(document.querySelector("b").textContent)).observe(
          document.querySelector("b"), { childList: true, characterData: true, subtree: true });""",
    )
    shown = page.locator("b")
    expect(shown).to_have_text("0")
    for number in (1, 2, 3):
        site.kill()
        page.wait_for_function("store.status === 'waiting'")
        expect(shown).to_have_text(str(number - 1))
        site.start()
        put(site, "n", number)
        expect(shown).to_have_text(str(number))
    site.restart()
    page.wait_for_function("store.status === 'open'")
    assert page.evaluate("store.get('n')") == 3
    # Between a start and the put the old value was current, and was not shown again.
    assert page.evaluate("seen") == [0, 1, 2, 3]
    assert page.evaluate("[...texts]") == ["0", "1", "2", "3"]
    assert errors == []


def test_the_client_waits_for_a_server_that_starts_later(
    show: Show, start_server: StartServer, tmp_path: Path
) -> None:
    late = start_server(folder=tmp_path / "late")
    put(late, "k", "here")
    assert late.stop() == 0
    page = show('<b data-bind="k">waiting</b>', f'globalThis.store = connect("{late.url}");')
    page.wait_for_function("store.status === 'waiting'")
    expect(page.locator("b")).to_have_text("waiting")
    late.start()
    expect(page.locator("b")).to_have_text("here")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot stop a process in its tracks")
def test_the_client_replaces_a_dead_connection(show: Show, site: ServerProcess) -> None:
    page = show('<b data-bind="k">-</b>')
    page.wait_for_function("globalThis.store?.status === 'open'")
    site.process.send_signal(signal.SIGSTOP)
    try:
        stopped_at = time.monotonic()
        page.wait_for_function("store.status !== 'open'")
        assert time.monotonic() - stopped_at < DEAD_SECONDS_MAX
    finally:
        site.process.send_signal(signal.SIGCONT)
    put(site, "k", "alive")
    expect(page.locator("b")).to_have_text("alive")


# --- the loader ---


def test_the_loader_page_waits_for_the_server(
    browser: "Browser", site: ServerProcess, folder: Path, tmp_path: Path
) -> None:
    (folder / "shown.html").write_text("<!doctype html><h1>On air</h1>", encoding="utf-8")
    context = browser.new_context(accept_downloads=True)
    try:
        page = context.new_page()
        page.goto(f"{site.url}/test")
        with page.expect_download() as download:
            page.evaluate("location.href = '/obs-loader.html?page=/www/shown.html'")
        loader = tmp_path / download.value.suggested_filename
        download.value.save_as(loader)
        assert site.stop() == 0
        source = context.new_page()
        failed: list[str] = []
        source.on("requestfailed", lambda request: failed.append(request.url))
        source.goto(loader.as_uri())
        with source.expect_event("requestfailed"):
            pass  # it has asked, and nobody was there
        expect(source.locator("iframe")).to_have_count(0)
        assert (
            source.evaluate("getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)"
        )
        site.start()
        expect(source.frame_locator("iframe").get_by_role("heading")).to_have_text("On air")
        expect(source.locator("iframe")).to_be_visible()
        assert json.dumps(failed).count("/www/shown.html") == len(failed)
    finally:
        context.close()


PRESENT = """globalThis.store = connect({ ns: "lobby", session: { timeout: 2000, grace: 60_000 } });
const id = globalThis.id = `${Math.random()}`;
await store.present(id, { on: location.pathname });"""


class Lobby:
    """Who is there, as another client is told it; the grace is a minute."""

    def __init__(self, client: Client) -> None:
        self._client = client
        client.send({"action": "watch", "pattern": "*", "ns": "lobby"})
        assert self.next() == {}

    def next(self) -> dict[str, bool]:
        """The next change, or the first state: for each key whether it is there."""
        while "update" not in (message := self._client.receive()):
            pass
        return {change["key"]: "value" in change for change in message["update"]["changes"]}

    def is_quiet(self) -> bool:
        """Whether nothing was told since, when everything on its way is here."""
        self._client.send({"action": "ping", "id": 1})
        return "pong" in self._client.receive()


@pytest.fixture
def lobby(site: ServerProcess) -> Iterator[Lobby]:
    with open_objects(site) as client:
        yield Lobby(client)


def test_a_closed_tab_is_gone_at_once(show: Show, lobby: Lobby) -> None:
    show("")  # the page of the module stays open
    tab = show("", PRESENT)
    (me,) = lobby.next()
    tab.close()
    assert lobby.next() == {me: False}


def test_a_page_that_is_loaded_anew_or_left_is_another_client(show: Show, lobby: Lobby) -> None:
    tab = show("", PRESENT)
    (first,) = lobby.next()
    tab.reload()
    seen = lobby.next() | lobby.next()
    assert seen.pop(first) is False
    (second,) = seen
    assert seen == {second: True}
    tab.goto("about:blank")
    assert lobby.next() == {second: False}


def test_the_last_writes_of_a_page_that_goes_are_stored(
    show: Show, site: ServerProcess, lobby: Lobby
) -> None:
    show("")  # as above
    tab = show("", f"{PRESENT}\naddEventListener('pagehide', () => store.set('left', true));")
    (me,) = lobby.next()
    tab.close()
    assert lobby.next() | lobby.next() == {"left": True, me: False}


def test_two_tabs_are_two_clients_also_if_one_opened_the_other(show: Show, lobby: Lobby) -> None:
    show("")  # as above
    tab = show("", PRESENT)
    (first,) = lobby.next()
    with tab.expect_popup() as opened:
        tab.evaluate("void open(location.href)")
    other = opened.value
    other.wait_for_function("store?.status === 'open'")
    (second,) = lobby.next()
    assert second != first
    tab.close()
    assert lobby.next() == {first: False}
    other.evaluate("store.present(id, { on: 'second' })")
    assert lobby.next() == {second: True}


def test_a_page_that_does_nothing_is_not_silent(show: Show, lobby: Lobby) -> None:
    """A tab in the background may do next to nothing: the browser answers the server's pings."""
    script = PRESENT.replace("connect({", "connect({ WebSocket: Quiet,")
    quiet = """globalThis.Quiet = class extends WebSocket {
      send(text) { if (JSON.parse(text).action !== "ping") super.send(text); }
    };"""
    tab = show("", quiet + script)
    (me,) = lobby.next()
    tab.evaluate("globalThis.since = performance.now()")
    tab.wait_for_function("performance.now() - since > 3000 && store.status === 'open'")
    assert lobby.is_quiet()
    tab.evaluate("store.present(id, { still: 'here' })")
    assert lobby.next() == {me: True}
