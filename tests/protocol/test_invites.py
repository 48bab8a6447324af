"""Invitations over HTTP: who may make which, and how one is used."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

from dunena.server.limits import INVITE_SECONDS, INVITES_MAX, TRIES_AT_ONCE_MAX
from tests.protocol.clients import Reply, http
from tests.protocol.test_sign_in import BROWSER
from tests.protocol.test_tokens import Guarded, bearer
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess
from tests.support.tokens import ALL, OVERLAY, write_tokens

WRITER = '[writer]\ntoken = "writer"\nrights = ["read", "write"]\n'
TWIN = '[twin]\ntoken = "twin"\nrights = ["read", "write"]\n'
NO_KEYS = '[manager]\ntoken = "manager"\nrights = ["admin"]\n'
PANEL = "/www/score/panel.html?layer=1"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A server with tokens."""
    folder = tmp_path_factory.mktemp("tokens")
    file = write_tokens(folder, ALL + OVERLAY + WRITER + TWIN + NO_KEYS)
    with ServerProcess(folder / "values", "--tokens", str(file)) as server:
        yield Guarded(server, file)


def invite(house: Guarded, by: str = "director", **fields: Any) -> Reply:
    return house.http(by, "POST", "/invites", fields)


def press(house: Guarded, path: str, **headers: str) -> Reply:
    """Press the button of an invitation's page."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return http(house.server, "POST", path, "", BROWSER | form | headers)


def rights_of(house: Guarded, reply: Reply) -> Any:
    """What the cookie of an answer permits."""
    cookie = {"Cookie": reply.headers["set-cookie"].partition(";")[0]}
    return http(house.server, "GET", "/info", headers=cookie).json["permitted"]


def test_an_invitation_signs_a_browser_in_and_leads_to_its_page(house: Guarded) -> None:
    made = invite(house, page=PANEL)
    assert made.status == 201
    assert made.headers["cache-control"] == "no-store"
    path = made.json["path"]
    assert made.json == {
        "path": path, "urls": [], "page": PANEL, "token": "director", "seconds": INVITE_SECONDS,
    }  # fmt: skip
    assert re.fullmatch(r"/invite/[\w-]{22,}", path), "128 bits"
    shown = http(house.server, "GET", path, headers=BROWSER)
    assert shown.status == 200
    text = shown.body.decode()
    assert "<script" not in text
    assert "Continue</button>" in text
    (action,) = re.findall(r'action="([^"]*)"', text)
    assert urljoin(f"http://proxy/below{path}", action) == f"http://proxy/below{path}"
    assert "form-action 'self'" in shown.headers["content-security-policy"]
    assert shown.headers["referrer-policy"] == "same-origin"
    used = press(house, path)
    assert used.status == 303
    assert urljoin(f"http://proxy/b{path}", used.headers["location"]) == f"http://proxy/b{PANEL}"
    assert "HttpOnly; SameSite=Strict" in used.headers["set-cookie"]
    assert rights_of(house, used)["rights"] == ["read", "write", "admin"]


def test_an_invitation_is_used_once(house: Guarded) -> None:
    path = invite(house).json["path"]
    assert press(house, path).status == 303
    again = press(house, path)
    assert again.status == 404
    assert "set-cookie" not in again.headers
    assert "over" in again.body.decode()
    assert http(house.server, "GET", path, headers=BROWSER).status == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_previewing_an_invitation_does_not_use_it(house: Guarded, method: str) -> None:
    path = invite(house).json["path"]
    for headers in ({}, BROWSER, {"User-Agent": "WhatsApp/2", "Purpose": "prefetch"}):
        reply = http(house.server, method, path, headers=headers)
        assert reply.status in (200, 204)
        assert "set-cookie" not in reply.headers
    assert press(house, path).status == 303


def test_a_form_of_another_site_does_not_use_it(house: Guarded) -> None:
    path = invite(house).json["path"]
    assert press(house, path, Origin="https://evil.example").status == 403
    assert press(house, path, Origin=house.server.url).status == 303


@pytest.mark.parametrize(
    "page",
    ["//evil.example", "http://evil.example", "/\\evil", "test", "", "/a b", "/ä", 5, ["/test"]],
)
def test_an_invitation_leads_to_no_other_server(house: Guarded, page: Any) -> None:
    reply = invite(house, page=page)
    assert reply.status == 400
    assert reply.json["error"].startswith("page must be a path of this server")


def test_a_field_that_there_is_not_is_refused(house: Guarded) -> None:
    assert invite(house, pages="/test").status == 400
    assert invite(house, token=5).status == 400
    assert house.http("director", "POST", "/invites").status == 400


# --- rights ---


@pytest.mark.parametrize(
    ("inviter", "names"),
    [
        ("director", ["director", "manager", "overlay", "twin", "writer"]),
        ("writer", ["writer"]),
        ("overlay", ["overlay"]),
        ("manager", ["manager"]),
    ],
)
def test_nobody_invites_with_more_rights_than_the_own(
    house: Guarded, inviter: str, names: list[str]
) -> None:
    listed = house.http(inviter, "GET", "/invites").json["tokens"]
    assert [one["name"] for one in listed] == names
    for name in ("director", "manager", "overlay", "twin", "writer", "nobody", ""):
        reply = invite(house, inviter, token=name)
        assert reply.status == (201 if name in names else 403), name
        if reply.status == 201:
            own = house.http(name, "GET", "/info").json["permitted"]
            assert rights_of(house, press(house, reply.json["path"])) == own
    assert invite(house, inviter).json["token"] == inviter


def test_who_is_not_signed_in_makes_no_invitation(house: Guarded) -> None:
    for token in (None, "wrong"):
        assert house.http(token, "POST", "/invites", {}).status == 401
        assert house.http(token, "GET", "/invites").status == 401


def test_a_browser_that_was_invited_may_invite(house: Guarded) -> None:
    first = press(house, invite(house, token="writer").json["path"])
    cookie = {"Cookie": first.headers["set-cookie"].partition(";")[0]}
    made = http(house.server, "POST", "/invites", {}, cookie)
    assert (made.status, made.json["token"]) == (201, "writer")
    assert http(house.server, "POST", "/invites", {"token": "director"}, cookie).status == 403


@pytest.mark.parametrize(
    "changed",
    [
        ALL,
        ALL + OVERLAY.replace('"overlay"', '"another"'),
        ALL + OVERLAY.replace('["read"]', '["read", "write"]'),
        ALL + OVERLAY.replace('keys = ["score"]', ""),
    ],
    ids=["gone", "another token", "more rights", "more keys"],
)
def test_an_invitation_ends_with_its_token_and_is_not_widened(
    start_server: StartServer, tmp_path: Path, changed: str
) -> None:
    file = write_tokens(tmp_path, ALL + OVERLAY)
    house = Guarded(start_server("--tokens", str(file)), file)
    path = invite(house, token="overlay").json["path"]
    house.change(changed)
    while http(house.server, "GET", path).status == 200:
        pass  # the file is read once a second
    assert press(house, path).status == 404


# --- limits ---


def test_the_number_of_waiting_invitations_is_limited(start_server: StartServer) -> None:
    server = start_server("--token", "own")
    made = [http(server, "POST", "/invites", {}, bearer("own")) for _ in range(INVITES_MAX)]
    assert {one.status for one in made} == {201}
    refused = http(server, "POST", "/invites", {}, bearer("own"))
    assert (refused.status, refused.json["code"]) == (429, "rate")
    assert 0 < int(refused.headers["retry-after"]) <= INVITE_SECONDS
    assert http(server, "POST", made[5].json["path"], "").status == 303
    assert http(server, "POST", "/invites", {}, bearer("own")).status == 201


def test_a_wrong_invitation_is_refused_and_slows_the_next_guess(start_server: StartServer) -> None:
    server = start_server("--token", "own", "--proxy-header", "127.0.0.1")
    far = {"X-Forwarded-For": "192.0.2.77"}
    path = http(server, "POST", "/invites", {}, bearer("own")).json["path"]
    for number in range(TRIES_AT_ONCE_MAX):
        method = ("GET", "POST")[number % 2]
        assert http(server, method, f"/invite/guess-{number}", headers=far).status == 404
    for method in ("GET", "POST"):
        slowed = http(server, method, path, headers=far)
        assert slowed.status == 429
        assert int(slowed.headers["retry-after"]) >= 1
        assert b"Try again" in slowed.body
    assert http(server, "POST", path, headers={"X-Forwarded-For": "192.0.2.78"}).status == 303


def test_an_invitation_is_not_logged(house: Guarded) -> None:
    path = invite(house).json["path"]
    press(house, path)
    press(house, path)
    assert path.rpartition("/")[2] not in house.server.log


# --- without tokens ---


def test_a_server_without_tokens_needs_no_invitations(shared_server: ServerProcess) -> None:
    reply = http(shared_server, "POST", "/invites", {"page": PANEL})
    assert (reply.status, reply.json["code"]) == (409, "no_tokens")
    assert reply.json["urls"] == [], "it listens on this machine alone"
    assert http(shared_server, "GET", "/invites").json == {"tokens": [], "urls": []}


# --- QR codes ---


def test_a_qr_code_is_a_picture(shared_server: ServerProcess) -> None:
    reply = http(shared_server, "GET", "/qr?text=http://192.168.1.10:3000/test")
    assert (reply.status, reply.headers["content-type"]) == (200, "image/svg+xml")
    assert reply.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert reply.body.startswith(b"<svg ")
    other = http(shared_server, "GET", "/qr?text=another")
    assert reply.body != other.body


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("", "text is missing"),
        ("?text=", "text is missing"),
        (f"?text={'x' * 501}", "text may have 500 bytes at most"),
        ("?text=x&size=100", "size"),
        ("?text=%FF", "Bad request target"),
    ],
)
def test_no_qr_code_is_made_of_anything_else(
    shared_server: ServerProcess, query: str, error: str
) -> None:
    reply = http(shared_server, "GET", f"/qr{query}")
    assert reply.status == 400
    assert error in reply.json["error"]
