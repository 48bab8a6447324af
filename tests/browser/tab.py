"""One tab with the test page in it, as the tests see it."""

import json
import re
import urllib.request
from typing import Any

from playwright.sync_api import Locator, Page, Route, expect

from tests.support.server import ServerProcess

# Long, because a busy machine is no bug; nothing waits this long when all is well.
EXPECT_MS = 15_000

expect.set_options(timeout=EXPECT_MS)

# The page copies with the browser's clipboard, which tests share with everything else.
_REMEMBER_COPIES = """
Object.defineProperty(navigator, "clipboard", {
  value: { writeText: async (text) => { window.copiedText = text; } },
});
"""

# What browsers say of a request that a stopped server does not answer.
_REFUSED = re.compile(
    r"ERR_(CONNECTION_(REFUSED|RESET)|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING|NETWORK_CHANGED)"
    r"|can.t establish a connection|Could not connect|connection to .* was interrupted"
    r"|WebSocket connection to .* failed",
    re.IGNORECASE,
)


class Tab:
    """The page, its parts by name, and everything that went wrong in it.

    ``problems`` are errors and warnings in the console, uncaught exceptions, failed requests and
    dialogs of the browser; ``addresses`` is every address the page asked for, WebSockets included.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []
        self.addresses: list[str] = []
        page.set_default_timeout(EXPECT_MS)
        page.add_init_script(_REMEMBER_COPIES)
        page.on("console", self._see_console)
        page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        page.on("request", lambda request: self.addresses.append(request.url))
        page.on("websocket", lambda socket: self.addresses.append(socket.url))
        page.on("response", self._see_response)
        page.on("dialog", self._see_dialog)

    def open(self, server: ServerProcess, view: str = "keys", *, path: str = "/test") -> "Tab":
        """Load the page with one of its views."""
        self.addresses.clear()
        self.page.goto("about:blank")  # or another view of the same page would only be scrolled to
        self.page.goto(f"{server.url}{path}#{view}")
        return self

    def expect_connected(self) -> "Tab":
        """Wait until both of its connections are open."""
        expect(self.state).to_have_attribute("data-state", "open")
        expect(self.page.locator("#console-state")).to_have_attribute("data-state", "open")
        return self

    def go(self, view: str) -> "Tab":
        """Choose a view by its tab."""
        self.page.get_by_role("tab", name=view, exact=True).click()
        return self

    # --- parts ---

    @property
    def state(self) -> Locator:
        """The line that says how the connection is."""
        return self.page.locator("#connection-state")

    def button(self, name: str) -> Locator:
        """A button anywhere on what is shown."""
        return self.page.get_by_role("button", name=name, exact=True)

    def row(self, key: str) -> Locator:
        """The line of a key in the table."""
        name = re.compile(f"^{re.escape(key)}$")
        cell = self.page.locator(".cell.key").filter(has_text=name)
        return self.page.locator(".grid-body .grid-row").filter(has=cell)

    def expect_listed(self, *keys: str) -> None:
        """Wait until the lines that are drawn begin with these keys, from top to bottom."""
        self.page.wait_for_function(
            """(wanted) => {
              const rows = [...document.querySelectorAll(".grid-body .grid-row")];
              rows.sort((one, other) => one.dataset.index - other.dataset.index);
              const keys = rows.map((row) => row.querySelector(".key").textContent);
              return wanted.every((key, index) => key === keys[index]);
            }""",
            arg=list(keys),
        )

    @property
    def message(self) -> Locator:
        """The editor of the message to send."""
        return self.page.get_by_role("textbox", name="Message", exact=True)

    def template(self, dialect: str, name: str) -> Locator:
        """The button that fills the editor with an example."""
        group = self.page.get_by_role("group", name=f"{dialect} messages")
        return group.get_by_role("button", name=name, exact=True)

    def frames(self, direction: str = "", source: str = "console") -> Locator:
        """What the console shows of messages: direction "in" or "out", source "console", "page"."""
        wanted = f'[data-direction="{direction}"]' if direction else ""
        rows = self.page.locator(f'#log-rows details{wanted}[data-source="{source}"]')
        return rows.filter(visible=True)

    @property
    def detail(self) -> "DetailView":
        """The key whose value is shown."""
        return DetailView(self.page)

    # --- what a user does ---

    def choose(self, key: str) -> "DetailView":
        """Click a key in the table; waits until its value, or that it has none, is known."""
        self.row(key).click()
        detail = self.detail
        expect(detail.title).to_contain_text(key)
        expect(detail.meta).to_contain_text(re.compile("revision|No value"))
        return detail

    def filter(self, pattern: str) -> None:
        """Type into the filter of the table."""
        self.page.get_by_label("Filter keys").fill(pattern)

    def expect_count(self, text: str) -> None:
        """Wait until the table says how many keys it has."""
        expect(self.page.locator("#keys-count")).to_have_text(text)

    def send(self, text: str) -> None:
        """Type a message and send it."""
        self.message.fill(text)
        self.button("Send").click()

    def speak(self, protocol: str) -> None:
        """Choose the console's protocol and wait for the new connection."""
        opened = self.page.locator('#log-rows [data-source="console"][data-direction="note"]')
        before = opened.count()
        self.page.get_by_label("Protocol").select_option(label=protocol)
        expect(opened).to_have_count(before + 1)
        expect(self.page.locator("#console-state")).to_have_attribute("data-state", "open")

    def copied(self, name: str) -> str:
        """Press a button that copies; what it copied."""
        self.page.evaluate("window.copiedText = null")
        self.button(name).click()
        self.page.wait_for_function("window.copiedText !== null")
        return self.page.evaluate("window.copiedText")

    def copied_as(self, program: str, title: str = "") -> str:
        """Choose a program in the menu "Copy as", in one of its groups; what was copied."""
        self.page.evaluate("window.copiedText = null")
        self.button("Copy as").click()
        menu = self.page.get_by_role("menu", name="Copy as")
        group = menu.get_by_role("group", name=title) if title else menu
        group.get_by_role("menuitem", name=program, exact=True).click()
        self.page.wait_for_function("window.copiedText !== null")
        return self.page.evaluate("window.copiedText")

    def change_unseen(self, server: ServerProcess, key: str, value: object) -> None:
        """Set the key that is shown so that the page does not learn its value."""
        held: list[Route] = []
        self.page.route(f"**/entries/{key}", lambda route: held.append(route))
        with self.page.expect_request(f"**/entries/{key}"):
            put(server, key, value)

    def show_changes(self, key: str) -> None:
        """Let the page learn the value after all: what was held goes on."""
        self.page.unroute(f"**/entries/{key}")

    # --- what went wrong ---

    def forgive_refused(self) -> None:
        """A server that was stopped did not answer: that alone was no fault."""
        self.problems = [problem for problem in self.problems if not _REFUSED.search(problem)]

    def forgive(self, text: str) -> None:
        """Something that a test provoked."""
        self.problems = [problem for problem in self.problems if text not in problem]

    def _see_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"console {message.type}: {message.text}")

    def _see_response(self, response: Any) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status}: {response.url}")

    def _see_dialog(self, dialog: Any) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()


class DetailView:
    """The part of the page that shows one key."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.root = page.locator("#detail")
        self.title = page.locator("#detail-title")
        self.meta = self.root.locator(".meta")
        self.tree = self.root.locator(".tree")
        self.editor = self.root.get_by_role("textbox", name="New value")
        self.conflict = self.root.get_by_role("alert").filter(has_text="while you were editing")
        self.problem = self.root.locator("> .problem[role=alert]")
        self.verdict = self.root.locator(".verdict")
        self.status = self.root.locator(".edit-bar [role=status]")

    def button(self, name: str) -> Locator:
        """One of its buttons."""
        return self.root.get_by_role("button", name=name, exact=True)

    def leaf(self, text: str) -> Locator:
        """A value in the tree, given as it is written in JSON."""
        kind, shown = ".leaf", text
        if text.startswith('"'):
            kind, shown = ".leaf.string", json.loads(text)
        return self.tree.locator(kind).filter(has_text=re.compile(f"^{re.escape(shown)}$"))

    def row(self, *path: str | int) -> Locator:
        """The line of a place in the tree, by the names and indexes on the way to it."""
        row = self.tree.locator("> .tree-row")
        for step in path:
            name = self.page.locator(".name", has_text=re.compile(f"^{re.escape(str(step))}$"))
            own = self.page.locator("> .line .name, > details > summary .name").and_(name)
            row = row.locator("> details > .tree-inside > .tree-row").filter(has=own)
        return row

    def expect_json(self, value: object) -> None:
        """Wait until it shows this value, indented by two spaces."""
        self.expect_text(json.dumps(value, indent=2, ensure_ascii=False))

    def expect_text(self, text: str) -> None:
        """Wait until it shows this JSON text."""
        self.button("JSON").click()
        shown = self.root.get_by_label("Value as JSON")
        expect(shown).to_have_text(text, use_inner_text=False)

    def set(self, text: str) -> None:
        """Edit the value: open the editor, type JSON, set it."""
        self.edit()
        self.editor.fill(text)
        self.button("Set").click()

    def edit(self, write_as: str = "JSON") -> None:
        """Open the editor, and choose "JSON" or "Text"."""
        self.button("Edit").click()
        self.write_as(write_as)

    def write_as(self, name: str) -> None:
        """Choose how the value is written in the editor."""
        choice = self.root.get_by_role("radiogroup", name="Write as")
        if not choice.get_by_role("radio", name=name).is_checked():
            choice.get_by_text(name, exact=True).click()


def put(server: ServerProcess, key: str, value: object, **more: object) -> None:
    """Set a value from elsewhere."""
    put_text(server, json.dumps({"key": key, "value": value, **more}))


def put_text(server: ServerProcess, body: str) -> None:
    """The same with the JSON text of the request."""
    post(server, "/set", body)


def put_many(server: ServerProcess, entries: list[dict[str, object]]) -> None:
    """Set text values by the thousand."""
    for start in range(0, len(entries), 1000):
        part = {"action": "mset", "entries": entries[start : start + 1000]}
        post(server, "/cache", json.dumps(part))


def post(server: ServerProcess, path: str, body: str) -> None:
    """Any request that writes."""
    request = urllib.request.Request(
        f"{server.url}{path}", body.encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as response:
        assert response.status in (200, 201)


def remove(server: ServerProcess, key: str) -> None:
    """Delete a key from elsewhere."""
    request = urllib.request.Request(f"{server.url}/entries/{key}", method="DELETE")
    with urllib.request.urlopen(request) as response:
        assert response.status == 200


def stored_text(server: ServerProcess, path: str) -> str:
    """What the server answers to GET, as text."""
    with urllib.request.urlopen(f"{server.url}{path}") as response:
        return response.read().decode()
