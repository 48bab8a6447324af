"""The server view of the test page, and admitting pages opened from disk."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import NewTab
from tests.browser.tab import Tab, put, stored_text
from tests.protocol.clients import open_objects
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess
from tests.support.tokens import write_tokens

LET_IN = "Let pages opened from disk in"

OVERLAY = """<!doctype html><meta charset="utf-8"><title>overlay</title><p id="state">waiting</p>
<p id="fetched"></p><script>
  const socket = new WebSocket("ws://127.0.0.1:PORT/ws?protocol=object-store");
  const say = (text) => { document.getElementById("state").textContent = text; };
  socket.onopen = () => socket.send('{"action":"subscribe","key":"score"}');
  socket.onmessage = (event) => say(event.data);
  socket.onclose = () => say("closed");
  fetch("http://127.0.0.1:PORT/get/score").then((answer) => answer.text()).then(
    (text) => { document.getElementById("fetched").textContent = text; },
    () => { document.getElementById("fetched").textContent = "refused"; });
</script>"""

LET_ITSELF_IN = """async (url) => {
  for (const type of ["application/json", "text/plain"]) {
    try {
      const answer = await fetch(`${url}/pages-from-disk`,
        { method: "POST", headers: { "Content-Type": type }, body: '{"letIn":true}' });
      if (answer.ok) return "let in";
    } catch { }
  }
  return "refused";
}"""


def part(tab: Tab, name: str):
    """A panel of the view by its heading."""
    heading = tab.page.get_by_role("heading", name=name, exact=True)
    return tab.page.locator("#view-server .panel").filter(has=heading)


def test_the_server_view_shows_the_server_and_its_counters(
    blank_tab: Tab, server: ServerProcess
) -> None:
    put(server, "k", 1)
    tab = blank_tab.open(server, "server").expect_connected()
    about = part(tab, "This server")
    expect(about).to_contain_text(str(server.folder))
    expect(about).to_contain_text(f"127.0.0.1:{server.port}")
    assert tab.copied("Copy folder") == str(server.folder)
    expect(part(tab, "Health")).to_contain_text("healthy")
    expect(part(tab, "Counters")).to_contain_text(re.compile(r"Keys1.*Changes1"))
    put(server, "k", 2)
    expect(part(tab, "Counters")).to_contain_text("Changes2")


def test_the_server_view_says_that_the_server_cannot_be_reached(
    blank_tab: Tab, server: ServerProcess
) -> None:
    tab = blank_tab.open(server, "server").expect_connected()
    health = part(tab, "Health")
    expect(health).to_contain_text("healthy")
    view = tab.page.locator("#view-server")
    expect(view).not_to_have_class(re.compile("stale"))
    server.stop()
    problem = tab.page.locator("#server-problem")
    expect(problem).to_have_text(
        re.compile(r"^The server cannot be reached\. What is shown is from \d+:\d+:\d+")
    )
    expect(view).to_have_class(re.compile("stale"))
    badge, term = health.locator(".badge").first, health.locator("dt").first
    quiet = term.evaluate("(one) => getComputedStyle(one).color")
    expect(badge).to_have_css("color", quiet)  # no longer green
    server.start()
    expect(problem).to_be_hidden()
    expect(view).not_to_have_class(re.compile("stale"))
    tab.forgive_refused()


def test_the_server_view_of_a_token_without_admin_has_no_empty_panels(
    new_tab: NewTab, start_server: StartServer, tmp_path: Path
) -> None:
    file = write_tokens(tmp_path, '[some]\ntoken = "some"\nrights = ["read", "write"]\n')
    tab = new_tab().open(start_server("--tokens", str(file)), "server")
    tab.page.get_by_role("textbox", name="Token").fill("some")
    tab.button("Continue").click()
    tab.expect_connected()
    expect(tab.page.locator("#server-problem")).to_contain_text("Not permitted")
    expect(tab.page.locator("#view-server .panel").filter(visible=True)).to_have_count(0)
    tab.problems.clear()  # requests without a token, and those that were refused


def test_the_server_view_shows_damaged_files(
    blank_tab: Tab, start_server: StartServer, tmp_path: Path
) -> None:
    folder = tmp_path / "values"
    folder.mkdir()
    (folder / "half.json").write_text("{", encoding="utf-8")
    tab = blank_tab.open(start_server(folder=folder), "server").expect_connected()
    health = part(tab, "Health")
    expect(health).to_contain_text("degraded")
    expect(health).to_contain_text("half.json")


def test_a_phone_shows_connections_above_the_other_parts_and_sessions_in_the_first_column(
    new_tab: NewTab, server: ServerProcess
) -> None:
    with open_objects(server) as client:
        client.send({"action": "session", "name": "Ada", "id": 1})
        client.receive()
        tab = new_tab(viewport={"width": 390, "height": 844}).open(server, "server")
        tab.expect_connected()
        first = (
            tab.page.locator("#server-connections tr").filter(has_text="Ada").locator("td").first
        )
        expect(first).to_contain_text("Ada")
        expect(first).to_be_in_viewport(ratio=1)
        expect(tab.page.locator("#connections-title")).to_be_in_viewport()
        places = [
            panel.bounding_box()["y"] for panel in tab.page.locator("#view-server .panel").all()
        ]
        assert part(tab, "Connections").bounding_box()["y"] == min(places)


def test_the_server_view_lists_connections(blank_tab: Tab, server: ServerProcess) -> None:
    tab = blank_tab.open(server, "server").expect_connected()
    rows = tab.page.locator("#server-connections tr")
    expect(rows).to_have_count(2)
    live = rows.filter(has_text="dunena")
    expect(live).to_contain_text("127.0.0.1:")
    expect(live).to_contain_text(server.url)
    expect(live.locator("td").nth(4)).to_have_text("1")
    expect(live.locator("td").nth(5)).to_have_text("0 B")


def test_connections_have_the_name_and_the_public_id_of_their_session(
    new_tab: NewTab, server: ServerProcess
) -> None:
    tab = new_tab()
    sessions = [{"session": "pub-1", "sessionName": "scoreboard"}, {"session": "pub-2"}]

    def add_sessions(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        for one, session in zip(body["connections"]["shown"], sessions, strict=False):
            one.update({"sessionName": ""} | session)
        route.fulfill(response=answer, json=body)

    def add_keys(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"sessions": {"ephemeralKeys": 1200}})

    tab.page.route("**/server", add_sessions)
    tab.page.route("**/stats", add_keys)
    tab.open(server, "server").expect_connected()
    cells = tab.page.locator("#server-connections td:nth-child(1)")
    expect(cells).to_have_text(["scoreboardpub-1", "pub-2"])
    expect(part(tab, "Counters")).to_contain_text("Ephemeral keys1,200")


def test_a_server_with_a_shared_store_shows_its_servers_and_for_how_long_it_is_stale(
    blank_tab: Tab, server: ServerProcess
) -> None:
    """What the server says comes from the test here, as no store is needed to show it."""
    store = {"bucket": "show", "node": "a1", "nodes": ["a1", "b2"], "behind": 1}

    def add(part: dict[str, object]) -> Callable[[Route], None]:
        def fulfil(route: Route) -> None:
            answer = route.fetch()
            route.fulfill(response=answer, json=answer.json() | part)

        return fulfil

    checks = {
        "storage": {"status": "healthy"},
        "files": {"status": "healthy"},
        "watch": {"status": "healthy", "state": "off"},
        "store": {"status": "degraded", "connected": True, "staleMs": 2_500, "reason": "no leader"},
    }
    blank_tab.page.route("**/server", add({"store": store, "folder": None}))
    counted = {"commits": 0, "commitMs": 0}
    blank_tab.page.route("**/stats", add({"store": counted}))
    blank_tab.page.route("**/health", add({"checks": checks}))
    tab = blank_tab.open(server, "server").expect_connected()
    about = part(tab, "This server")
    expect(about).to_contain_text("Storebucket show at NATS")
    expect(about).to_contain_text("Servers2; this is a1")
    expect(about).to_contain_text("Behind by1 change")
    expect(about).not_to_contain_text("Folder")
    expect(part(tab, "Health")).to_contain_text("Storedegradedno answer for 3 s: no leader")
    expect(part(tab, "Health")).not_to_contain_text("Files")
    expect(part(tab, "Health")).not_to_contain_text("Hand edits")
    expect(part(tab, "Counters")).to_contain_text("Answered in")
    expect(part(tab, "Counters")).not_to_contain_text("Stored in")
    expect(part(tab, "Counters")).not_to_contain_text("Journal")
    counted |= {"commits": 4, "commitMs": 3.25}
    expect(part(tab, "Counters")).to_contain_text("Stored in3.25 ms")


def test_addresses_can_be_copied(blank_tab: Tab, server: ServerProcess) -> None:
    tab = blank_tab.open(server, "server").expect_connected()
    addresses = part(tab, "Addresses")
    expect(addresses).to_contain_text("Only programs on this machine reach it")
    assert tab.copied(f"Copy {server.url}/test") == f"{server.url}/test"
    assert tab.copied(f"Copy {server.ws_url}") == server.ws_url


def test_addresses_for_other_machines_can_be_copied(
    blank_tab: Tab, start_server: StartServer
) -> None:
    server = start_server("--host", "0.0.0.0")
    urls = json.loads(stored_text(server, "/server"))["networkUrls"]
    tab = blank_tab.open(server, "server").expect_connected()
    addresses = part(tab, "Addresses")
    expect(addresses).to_contain_text("--token changes that" if urls else "no address")
    for url in urls:
        assert tab.copied(f"Copy {url}/test") == f"{url}/test"


def test_a_refused_origin_is_listed_with_its_remedy(blank_tab: Tab, server: ServerProcess) -> None:
    tab = blank_tab.open(server, "server").expect_connected()
    expect(part(tab, "Refused pages")).to_contain_text("No page was refused")
    origin = {"Origin": "http://stranger.example"}
    assert tab.page.request.get(f"{server.url}/info", headers=origin).status == 403
    expect(part(tab, "Refused pages")).to_contain_text("http://stranger.example")
    flag = "--allow-origin http://stranger.example"
    assert tab.copied(f"Copy {flag}") == flag
    expect(tab.button(LET_IN)).to_have_count(1)  # only the one in its own panel
    expect(tab.page.locator("#disk-notice")).to_be_hidden()


# --- pages opened from disk ---


def open_from_disk(new_tab: NewTab, server: ServerProcess, folder: Path) -> Page:
    path = folder / "overlay.html"
    path.write_text(OVERLAY.replace("PORT", str(server.port)), encoding="utf-8")
    tab = new_tab()
    tab.page.goto(path.as_uri())
    # A browser's console is full of refusals; what matters is what the page sees.
    tab.page.on("close", lambda _: tab.problems.clear())
    return tab.page


def test_a_page_from_disk_can_be_admitted_and_refused_again_from_the_notice(
    blank_tab: Tab, new_tab: NewTab, server: ServerProcess, tmp_path: Path
) -> None:
    put(server, "score", 7)
    tab = blank_tab.open(server).expect_connected()
    notice = tab.page.get_by_role("region", name="A page was refused")
    expect(notice).to_be_hidden()

    overlay = open_from_disk(new_tab, server, tmp_path)
    expect(overlay.locator("#state")).to_have_text("closed")
    expect(overlay.locator("#fetched")).to_have_text("refused")
    assert overlay.evaluate(LET_ITSELF_IN, server.url) == "refused"
    (line,) = [line for line in server.errors if "opened from disk" in line]
    assert f"http://localhost:{server.port}/test" in line
    assert "--allow-origin null" in line

    expect(notice).to_contain_text("wanted to connect and was refused")
    notice.get_by_role("button", name=LET_IN).click()
    expect(notice).to_be_hidden()
    overlay.reload()
    expect(overlay.locator("#state")).to_have_text('{"key":"score","value":7}')
    expect(overlay.locator("#fetched")).to_have_text('{"key":"score","value":7}')
    assert overlay.evaluate(LET_ITSELF_IN, server.url) == "refused"

    server.restart()
    overlay.reload()
    expect(overlay.locator("#state")).to_have_text('{"key":"score","value":7}')

    tab.go("Server").expect_connected()
    door = part(tab, "Pages opened from disk")
    expect(door).to_contain_text("Remembered in .dunena/pages.json")
    door.get_by_role("button", name="Refuse them again").click()
    expect(overlay.locator("#state")).to_have_text("closed")  # at once, not at its next visit
    overlay.reload()
    expect(overlay.locator("#state")).to_have_text("closed")
    expect(door).to_contain_text("Refused.")
    expect(notice).to_be_visible()
    notice.get_by_role("button", name="Not now").click()
    expect(notice).to_be_hidden()
    overlay.context.close()
    tab.forgive_refused()


def test_a_page_from_disk_can_be_admitted_in_the_server_view(
    blank_tab: Tab, new_tab: NewTab, start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server("--no-persist")
    put(server, "score", 1)
    tab = blank_tab.open(server, "server").expect_connected()
    door = part(tab, "Pages opened from disk")
    door.get_by_role("button", name=LET_IN).click()
    expect(door).to_contain_text("Until the server stops: nothing is kept.")
    overlay = open_from_disk(new_tab, server, tmp_path)
    expect(overlay.locator("#fetched")).to_have_text('{"key":"score","value":1}')
    overlay.context.close()


def test_a_decision_of_the_command_line_has_no_button(
    blank_tab: Tab, start_server: StartServer
) -> None:
    tab = blank_tab.open(start_server("--allow-origin", "null"), "server").expect_connected()
    door = part(tab, "Pages opened from disk")
    expect(door).to_contain_text("Let in by --allow-origin")
    expect(door.get_by_role("button")).to_have_count(0)
