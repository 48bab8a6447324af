"""GET writes and the pages of other sites: in a real browser none of them changes anything."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.conftest import OTHER_HOST
from tests.protocol.clients import http
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

SECRET = "the-secret-of-this-server"
GUESS = "a-guess-at-the-secret"
TOKEN = "the token of the server"

_ATTACK = """
<!doctype html><title>attack</title><body><script>
const target = %s;
const done = window.done = {};
const address = (way) => `${target}/set/${way}?value=1`;
const mark = (way) => () => { done[way] = true; };
function element(way, name, fields, url = address(way)) {
  const made = document.createElement(name);
  for (const [field, value] of Object.entries(fields)) made[field] = value;
  made.onload = made.onerror = mark(way);
  made[name === "link" ? "href" : name === "object" ? "data" : "src"] = url;
  document.body.append(made);
}
function frame(way, loads, url) {
  const made = document.createElement("iframe");
  made.name = way;
  document.body.append(made);
  made.onload = () => { loads -= 1; if (loads === 0) done[way] = true; };
  if (url) made.src = url;
  return made;
}
function form(way, method) {
  frame(way, 1);
  const made = document.createElement("form");
  Object.assign(made, { method, target: way, action: address(way) });
  const field = document.createElement("input");
  Object.assign(field, { name: "value", value: "1" });
  made.append(field);
  document.body.append(made);
  made.submit();
}
const away = (kind, way) => `/${kind}?to=${encodeURIComponent(address(way))}`;
element("img", "img", {});
element("script", "script", {});
element("style", "link", { rel: "stylesheet" });
element("prefetch", "link", { rel: "prefetch" });
element("preload", "link", { rel: "preload", as: "image" });
element("module", "script", { type: "module" });
element("object", "object", {});
element("redirected-img", "img", {}, away("redirect", "redirected-img"));
for (const mode of ["no-cors", "cors"]) {
  for (const method of ["GET", "POST", "HEAD"]) {
    const way = `fetch-${mode}-${method}`;
    fetch(address(way), { mode, method, credentials: "include" }).then(mark(way), mark(way));
  }
}
frame("iframe", 1, address("iframe"));
frame("refreshed", 2, away("refresh", "refreshed"));
frame("redirected", 1, away("redirect", "redirected"));
form("form-get", "get");
form("form-post", "post");
</script>
"""

WAYS = {
    "img", "script", "style", "prefetch", "preload", "module", "object", "redirected-img",
    "fetch-no-cors-GET", "fetch-no-cors-POST", "fetch-no-cors-HEAD", "fetch-cors-GET",
    "fetch-cors-POST", "fetch-cors-HEAD", "iframe", "refreshed", "redirected", "form-get",
    "form-post",
}  # fmt: skip
"""What the page tells of when it is over; windows and navigations come on top."""


class _Attacker(BaseHTTPRequestHandler):
    """A site that wants to press buttons: `/?target=` attacks what is below an address."""

    def do_GET(self) -> None:
        """Answer with the page, a redirect, or a page that goes elsewhere by itself."""
        url = urlsplit(self.path)
        fields = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", fields["to"])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if url.path == "/refresh":
            page = f'<meta http-equiv="refresh" content="0;url={fields["to"]}">'
        elif url.path == "/link":
            page = f'<a href="{fields["to"]}">a price</a>'
        else:
            page = _ATTACK % json.dumps(fields.get("target", ""))
        body = page.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Write no log."""


@pytest.fixture(scope="module")
def attacker() -> Iterator[int]:
    """The port of the other site."""
    site = ThreadingHTTPServer(("127.0.0.1", 0), _Attacker)
    thread = threading.Thread(target=site.serve_forever)
    thread.start()
    yield site.server_port
    site.shutdown()
    thread.join()
    site.server_close()


@pytest.fixture
def context(browser: "Browser", start_server: StartServer) -> "Iterator[BrowserContext]":
    """A profile of its own, closed before the servers stop."""
    made = browser.new_context()
    yield made
    made.close()


def request_count(server: ServerProcess, headers: dict[str, str]) -> int:
    return http(server, "GET", "/stats", headers=headers).json["httpRequests"]


def attack(context: "BrowserContext", site: str, target: str) -> None:
    """Send everything that a page can, and wait until it was answered."""
    page = context.new_page()
    page.goto(f"{site}/?target={target}")
    page.wait_for_function(
        "(ways) => ways.every((way) => window.done[way])", arg=sorted(WAYS), timeout=30_000
    )

    def address(way: str) -> str:
        return f"{target}/set/{way}?value=1"

    with context.expect_page() as opened:
        page.evaluate("(url) => { window.open(url); }", address("window"))
    opened.value.wait_for_url(address("window"))
    page.evaluate("(url) => navigator.sendBeacon(url, 'x')", address("beacon"))
    page.goto(f"{site}/refresh?{urlencode({'to': address('refresh')})}", wait_until="commit")
    page.wait_for_url(address("refresh"))
    # What is typed counts as typed, wherever the site then sends the browser: so these are links.
    redirect = f"/redirect?{urlencode({'to': address('redirect')})}"
    for way, to in (("link", address("link")), ("redirect", redirect)):
        page.goto(f"{site}/link?{urlencode({'to': to})}")
        page.get_by_role("link").click()
        page.wait_for_url(address(way))


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize(
    ("server_host", "site_host", "secret"),
    [
        ("127.0.0.1", OTHER_HOST, GUESS),
        ("127.0.0.1", OTHER_HOST, SECRET),  # the browser says that it is another site
        (OTHER_HOST, "127.0.0.1", GUESS),  # it says nothing: the secret alone protects
    ],
)
def test_a_page_of_another_site_changes_nothing(
    context: "BrowserContext",
    start_server: StartServer,
    attacker: int,
    token: str | None,
    server_host: str,
    site_host: str,
    secret: str,
) -> None:
    if context.browser.browser_type.name != "chromium":
        pytest.skip("only Chromium can be told where a name leads")
    tokens = [] if token is None else ["--token", token]
    server = start_server("--get-writes", SECRET, "--allow-host", OTHER_HOST, *tokens)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    before = request_count(server, headers)
    base = f"http://{server_host}:{server.port}"
    attack(context, f"http://{site_host}:{attacker}", f"{base}/do/{secret}")
    assert request_count(server, headers) - before >= len(WAYS), "the requests have arrived"
    assert http(server, "GET", "/keys", headers=headers).json["keys"] == []

    # What somebody types does something, so the test would see it.
    typed = context.new_page()
    typed.goto(f"{base}/do/{SECRET}/set/typed?value=1")
    assert typed.inner_text("body") == "1"
    assert http(server, "GET", "/keys", headers=headers).json["keys"] == ["typed"]


def test_a_browser_shows_the_text_of_an_answer_and_runs_nothing_in_it(
    context: "BrowserContext", start_server: StartServer
) -> None:
    server = start_server("--get-writes", SECRET)
    page = context.new_page()
    page.goto(f"{server.url}/do/{SECRET}/set/html?value=<script>document.title='run'</script>")
    assert page.inner_text("body") == "<script>document.title='run'</script>"
    assert page.title() == ""
