"""The page that a browser without a session gets, and the form on it."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urlencode, urljoin

import pytest

from tests.protocol.clients import Reply, http
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

TOKEN = "s3cret"
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
JSON_401 = {"error": "Unauthorized", "code": "unauthorized"}
PAGE = "/www/score/panel.html?layer=1&b=%C3%A4"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with a token and a page."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "www" / "score").mkdir(parents=True)
    (folder / "www" / "score" / "panel.html").write_text("<!doctype html>the panel", "utf-8")
    www = str(folder / "www")
    with ServerProcess(folder / "values", "--token", TOKEN, "--www", www) as server:
        yield server


def visit(server: ServerProcess, path: str, **headers: str) -> Reply:
    return http(server, "GET", path, headers=BROWSER | headers)


def send_form(server: ServerProcess, token: str, next_page: str, **headers: str) -> Reply:
    """As a browser sends the form of the page."""
    body = urlencode({"next": next_page, "token": token})
    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": server.url}
    return http(server, "POST", "/session", body, BROWSER | form | headers)


@pytest.mark.parametrize("path", [PAGE, "/www/", "/kv/score", "/no-such", "/info", "/server"])
def test_a_browser_that_is_sent_to_a_page_gets_one_to_sign_in(
    guarded: ServerProcess, path: str
) -> None:
    reply = visit(guarded, path)
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == "Bearer"
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["cache-control"] == "no-store"
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert "unsafe" not in policy
    text = reply.body.decode()
    (action,) = re.findall(r'action="([^"]*)"', text)
    (shown,) = re.findall(r'name="next" value="([^"]*)"', text)
    assert urljoin(f"{guarded.url}{path}", action) == f"{guarded.url}/session"
    assert urljoin(f"http://proxy/below{path}", action) == "http://proxy/below/session"
    assert unescape(shown) == path
    assert "<script" not in text


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {}),
        ("GET", {"Accept": "*/*"}),
        ("GET", {"Accept": "application/json"}),
        ("GET", BROWSER | {"Sec-Fetch-Mode": "cors"}),
        ("GET", BROWSER | {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}),
        ("GET", BROWSER | {"Sec-Fetch-Dest": "image"}),
        ("POST", BROWSER),
        ("DELETE", BROWSER),
    ],
)
def test_programs_get_json_as_before(
    guarded: ServerProcess, method: str, headers: dict[str, str]
) -> None:
    reply = http(guarded, method, "/kv/score", headers=headers)
    assert reply.status == 401
    assert reply.headers["content-type"] == "application/json"
    assert reply.json == JSON_401


def test_what_is_in_the_address_is_no_markup(guarded: ServerProcess) -> None:
    reply = visit(guarded, '/www/"><script>alert(1)</script>')
    assert reply.status == 401
    assert b"<script" not in reply.body


def test_the_form_signs_in_and_leads_to_the_page_that_was_asked_for(
    guarded: ServerProcess,
) -> None:
    reply = send_form(guarded, TOKEN, PAGE)
    assert reply.status == 303
    assert urljoin(f"{guarded.url}/session", reply.headers["location"]) == guarded.url + PAGE
    assert urljoin("http://proxy/b/session", reply.headers["location"]) == f"http://proxy/b{PAGE}"
    cookie = reply.headers["set-cookie"]
    assert "HttpOnly; SameSite=Strict" in cookie
    shown = visit(guarded, PAGE, Cookie=cookie.partition(";")[0])
    assert (shown.status, shown.body) == (200, b"<!doctype html>the panel")


def test_a_pasted_token_may_have_spaces_around_it(guarded: ServerProcess) -> None:
    assert send_form(guarded, f" {TOKEN}\n", "/test").status == 303


@pytest.mark.parametrize(
    "page",
    [
        "http://evil.example/", "//evil.example", "/\\evil.example", "https:evil.example", "",
        "javascript:alert(1)", "/a\r\nSet-Cookie: a=b", "///evil.example",
    ],
)  # fmt: skip
def test_the_form_leads_to_no_other_server(guarded: ServerProcess, page: str) -> None:
    reply = send_form(guarded, TOKEN, page)
    assert reply.status == 303
    assert urljoin(f"{guarded.url}/session", reply.headers["location"]) == f"{guarded.url}/test"
    assert set(reply.headers["set-cookie"].split("; ")[1:]) == {
        "HttpOnly", "SameSite=Strict", "Path=/",
    }  # fmt: skip


def test_a_wrong_token_shows_the_form_again(guarded: ServerProcess) -> None:
    reply = send_form(guarded, "wrong", PAGE)
    text = reply.body.decode()
    assert reply.status == 401
    assert "That is not the token." in text
    assert "set-cookie" not in reply.headers
    assert f'value="{PAGE.replace("&", "&amp;")}"' in text, "the page is remembered"


def test_the_form_of_another_site_is_refused(guarded: ServerProcess) -> None:
    reply = send_form(guarded, TOKEN, "/test", Origin="https://evil.example")
    assert reply.status == 403
    assert "set-cookie" not in reply.headers


def test_programs_sign_in_with_json_whatever_type_curl_names(guarded: ServerProcess) -> None:
    body = '{"token": "s3cret"}'
    curl = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "*/*"}
    reply = http(guarded, "POST", "/session", body, curl)
    assert reply.status == 204
    assert "set-cookie" in reply.headers


def test_without_tokens_the_form_leads_on(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    reply = send_form(server, "whatever", "/kv/score")
    assert (reply.status, reply.headers["location"]) == (303, "./kv/score")
    assert "set-cookie" not in reply.headers
