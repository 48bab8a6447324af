"""One tab with the test page in it, as the tests see it."""

import json
import urllib.request
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.support.server import ServerProcess

# Long, because a busy machine is no bug; nothing waits this long when all is well.
EXPECT_MS = 15_000

expect.set_options(timeout=EXPECT_MS)


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
        page.on("console", self._see_console)
        page.on("pageerror", lambda error: self.problems.append(f"exception: {error}"))
        page.on("request", lambda request: self.addresses.append(request.url))
        page.on("websocket", lambda socket: self.addresses.append(socket.url))
        page.on("response", self._see_response)
        page.on("dialog", self._see_dialog)

    def open(self, server: ServerProcess, *, path: str = "/test") -> "Tab":
        """Load the page."""
        self.addresses.clear()
        self.page.goto(server.url + path)
        return self

    def expect_connected(self) -> "Tab":
        """Wait until both of its connections are open and the keys are listed."""
        expect(self.state).to_have_attribute("data-state", "open")
        expect(self.page.locator("#follow-state")).to_have_attribute("data-state", "open")
        expect(self.page.locator("#keys-count")).not_to_be_empty()
        return self

    # --- parts ---

    @property
    def state(self) -> Locator:
        """The line that says how the connection is."""
        return self.page.locator("#connection-state")

    @property
    def message(self) -> Locator:
        """The editor of the message to send."""
        return self.page.get_by_role("textbox", name="Message", exact=True)

    def template(self, dialect: str, name: str) -> Locator:
        """The button that fills the editor with an example."""
        group = self.page.get_by_role("group", name=f"{dialect} messages")
        return group.get_by_role("button", name=name, exact=True)

    def rows(self, direction: str = "", source: str = "console") -> Locator:
        """What the log shows of messages: direction "in" or "out", source "console" or "live"."""
        wanted = f'[data-direction="{direction}"]' if direction else ""
        rows = self.page.locator(f'#log-rows details{wanted}[data-source="{source}"]')
        return rows.filter(visible=True)

    def card(self, key: str, ns: str = "") -> "CardView":
        """The card of a followed key."""
        spoken = f"{key} in {ns}" if ns else key
        value = self.page.get_by_label(f"Value of {spoken}", exact=True)
        return CardView(self.page.get_by_role("listitem").filter(has=value), value)

    # --- what a user does ---

    def follow(self, key: str, ns: str = "") -> "CardView":
        """Type a key and follow it; waits until its value, or that it has none, is known."""
        form = self.page.locator("#follow-form")
        form.get_by_label("Key", exact=True).fill(key)
        form.get_by_label("Namespace").fill(ns)
        form.get_by_role("button", name="Follow").click()
        card = self.card(key, ns)
        expect(card.value).not_to_be_empty()
        return card

    def send(self, text: str) -> None:
        """Type a message and send it."""
        self.message.fill(text)
        self.page.get_by_role("button", name="Send", exact=True).click()

    def speak(self, protocol: str) -> None:
        """Choose a protocol and wait for the new connection."""
        opened = self.page.locator('#log-rows [data-source="console"][data-direction="note"]')
        before = opened.count()
        self.page.get_by_label("Protocol").select_option(label=protocol)
        expect(opened).to_have_count(before + 1)
        expect(self.state).to_have_attribute("data-state", "open")

    def clear(self) -> None:
        """Empty the log."""
        self.page.get_by_role("button", name="Clear").click()

    # --- what went wrong ---

    def _see_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"console {message.type}: {message.text}")

    def _see_response(self, response: Any) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status}: {response.url}")

    def _see_dialog(self, dialog: Any) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()


class CardView:
    """A followed key on the page."""

    def __init__(self, root: Locator, value: Locator) -> None:
        self.root = root
        self.value = value
        self.editor = root.get_by_role("textbox")
        self.conflict = root.get_by_text("The value changed while you were editing")

    def button(self, name: str) -> Locator:
        """One of its buttons."""
        return self.root.get_by_role("button", name=name, exact=True)

    def expect_json(self, value: object) -> None:
        """Wait until it shows this value, indented by two spaces."""
        text = json.dumps(value, indent=2, ensure_ascii=False)
        expect(self.value).to_have_text(text, use_inner_text=False)

    def set(self, text: str) -> None:
        """Edit the value: open the editor, type JSON, set it."""
        self.button("Edit").click()
        self.editor.fill(text)
        self.button("Set").click()


def put(server: ServerProcess, key: str, value: object, **more: object) -> None:
    """Set a value from elsewhere."""
    put_text(server, json.dumps({"key": key, "value": value, **more}))


def put_text(server: ServerProcess, body: str) -> None:
    """The same with the JSON text of the request."""
    request = urllib.request.Request(
        f"{server.url}/set", body.encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as response:
        assert response.status == 200


def stored_text(server: ServerProcess, path: str) -> str:
    """What the server answers to GET, as text."""
    with urllib.request.urlopen(f"{server.url}{path}") as response:
        return response.read().decode()
