"""A session of a page ends with its tab."""

from playwright.sync_api import Browser

from tests.protocol.clients import http, open_objects
from tests.support.fixtures import StartServer

PRESENT = """(url) => new Promise((resolve) => {
  const socket = new WebSocket(url);
  socket.onopen = () => {
    socket.send(JSON.stringify({ action: "session", grace: 60000, id: 1 }));
    socket.send(JSON.stringify({
      action: "set", key: "me", value: "here", ephemeral: true, id: 2,
    }));
  };
  socket.onmessage = ({ data }) => JSON.parse(data).id === 2 && resolve();
  globalThis.socket = socket;
})"""


def test_what_a_page_has_put_there_goes_at_once_when_its_tab_is_closed(
    browser: Browser, start_server: StartServer
) -> None:
    server = start_server()
    with open_objects(server) as watcher:
        watcher.send({"action": "watch", "key": "me"})
        watcher.receive()
        for end in ("close the tab", "close the socket"):
            context = browser.new_context()
            page = context.new_page()
            page.goto(f"{server.url}/test")
            page.evaluate(PRESENT, server.ws_url.removesuffix("/ws") + "/")
            assert watcher.receive()["update"]["changes"][0]["value"] == "here"
            if end == "close the tab":
                page.close()
            else:
                page.evaluate("() => globalThis.socket.close()")
            assert watcher.receive()["update"]["changes"][0]["event"] == "delete"
            context.close()
    assert http(server, "GET", "/stats").json["sessions"]["lost"] == 0
