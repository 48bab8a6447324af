"""Tokens with rights over the wire, on open connections too."""

import time
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from dunena.backup.writing import Snapshot, write_backup
from dunena.dialects.grants import Right
from dunena.server.route_table import ROUTES, Access, Route
from tests.protocol.clients import (
    SECONDS_MAX,
    Client,
    Reply,
    http,
    open_client,
    open_dunena,
    open_objects,
)
from tests.protocol.test_limits import metric_of
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess
from tests.support.tokens import ALL, OVERLAY, write_tokens


class Guarded:
    """A server with a file of tokens."""

    def __init__(self, server: ServerProcess, file: Path) -> None:
        self.server = server
        self._file = file

    def change(self, text: str) -> None:
        """Other tokens; as an editor does it, at once."""
        draft = self._file.with_suffix(".draft")
        draft.write_text(text, "utf-8")
        draft.replace(self._file)

    def http(self, token: str | None, method: str, path: str, body: Any = None) -> Reply:
        return http(self.server, method, path, body, bearer(token))


def bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def follow(client: Client, key: str) -> None:
    """Subscribe to a key without a value, by who may only read it."""
    client.send({"action": "subscribe", "key": key})
    assert client.ask({"action": "get", "key": key})["value"] is None


@pytest.fixture
def guarded(start_server: StartServer, tmp_path: Path) -> Guarded:
    file = write_tokens(tmp_path, ALL + OVERLAY)
    return Guarded(start_server("--tokens", str(file)), file)


def test_each_token_has_its_rights_over_http(guarded: Guarded) -> None:
    for key in ("score", "secret"):
        assert guarded.http("director", "POST", "/set", {"key": key, "value": 1}).status == 200
    assert guarded.http("overlay", "GET", "/get/score").json["value"] == 1
    refused = guarded.http("overlay", "GET", "/get/secret")
    assert refused.status == 403
    assert refused.json == {"error": 'Not permitted: read "secret"'}
    assert guarded.http("overlay", "POST", "/set", {"key": "score", "value": 2}).status == 403
    assert guarded.http("overlay", "DELETE", "/cache/score").status == 403
    assert guarded.http("overlay", "GET", "/keys").json["keys"] == ["score"]
    for method, path in [
        ("POST", "/flush"),
        ("GET", "/metrics"),
        ("GET", "/server"),
        ("POST", "/pages-from-disk"),
    ]:
        refused = guarded.http("overlay", method, path, {} if method == "POST" else None)
        assert refused.status == 403, path
        assert refused.json["error"] == "Not permitted: this needs the right admin"
    assert guarded.http(None, "GET", "/get/score").status == 401
    assert guarded.http("nobody", "GET", "/get/score").status == 401
    assert guarded.http("director", "GET", "/get/score").json["value"] == 1, "nothing was changed"


BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/set"): {"key": "k", "value": 1},
    ("PUT", "/kv/{key}"): 1,
    ("PATCH", "/kv/{key}"): {"a": 1},
    ("POST", "/kv/{key}"): {"op": "touch", "ttl": 0},
    ("POST", "/txn"): {"ops": [{"op": "set", "key": "k", "value": 1}]},
    ("POST", "/cache/{key}"): {"value": "v"},
    ("POST", "/entries"): {"keys": ["k"]},
    ("POST", "/flush"): {},
    ("POST", "/publish/{channel}"): {"any": "JSON"},
    ("POST", "/pages-from-disk"): {"letIn": False},
    ("POST", "/invites"): {"page": "/test"},
    ("POST", "/templates"): {"template": "scoreboard"},
    ("POST", "/sharing"): {"on": False},
    ("POST", "/update-check"): {},
    ("POST", "/page-errors"): {"page": "a.html", "text": "no"},
    ("POST", "/backup"): b"".join(write_backup(Snapshot([], 0, 0), "1")),
}
QUERIES = {"/watch": "?key=k&wait=1", "/qr": "?text=k", "/search": "?q=k"}
NEED_MORE = {"/backup"}
"""Paths that need another right too."""

BATCHES = {
    Right.READ: {"action": "mget", "keys": ["k"]},
    Right.WRITE: {"action": "mset", "entries": [{"key": "k", "value": "v"}]},
}


def test_each_route_requires_the_right_of_the_route_table(
    start_server: StartServer, tmp_path: Path
) -> None:
    file = tmp_path / "tokens.toml"
    file.touch(mode=0o600)
    names = [right.value for right in Right]
    tokens = {name: [name] for name in names}
    tokens |= {f"not-{name}": [other for other in names if other != name] for name in names}
    sections = [f'[{name}]\ntoken = "{name}"\nrights = {has}\n' for name, has in tokens.items()]
    file.write_text("".join(sections), "utf-8")
    server = start_server("--tokens", str(file))

    def is_refused(token: str, route: Route, right: Right) -> bool:
        body = BODIES.get((route.method, route.path))
        if (route.method, route.path) == ("POST", "/cache"):
            body = BATCHES[right]
        headers = bearer(token) | {"Origin": server.url, "Content-Type": "application/json"}
        path = route.path.partition("{")[0] + ("k" if "{" in route.path else "")
        path += QUERIES.get(route.path, "")
        reply = http(server, route.method, path, body, headers)
        assert reply.status not in {400, 401, 411}, (token, route)
        return reply.status == 403

    for route in ROUTES:
        if route.access is Access.PUBLIC:
            continue
        for right in route.rights or Right:
            assert is_refused(right.value, route, right) is (route.path in NEED_MORE), route
        for right in route.rights:
            assert is_refused(f"not-{right.value}", route, right), (right, route)


def test_the_overview_shows_the_name_of_a_token_and_not_its_secret(guarded: Guarded) -> None:
    with open_objects(guarded.server, additional_headers=bearer("overlay")) as client:
        follow(client, "score")
        reply = guarded.http("director", "GET", "/server")
    (shown,) = reply.json["connections"]["shown"]
    assert shown["token"] == "overlay"


def test_a_session_cookie_has_the_rights_of_its_token(guarded: Guarded) -> None:
    reply = guarded.http(None, "POST", "/session", {"token": "overlay"})
    assert reply.status == 204
    cookie = reply.headers["set-cookie"].partition(";")[0]
    assert "overlay" not in cookie
    with open_client(guarded.server, additional_headers={"Cookie": cookie}) as client:
        client.receive()
        assert client.ask({"type": "set", "key": "score", "value": ""})["data"] == (
            'Not permitted: write "score"'
        )
    assert guarded.http(None, "POST", "/session", {"token": "nobody"}).status == 401
    assert guarded.http(None, "POST", "/session", {"token": 5}).status == 401


def test_changed_rights_apply_to_open_connections(guarded: Guarded) -> None:
    set_other = {"key": "other", "value": 1}
    with open_objects(guarded.server, additional_headers=bearer("overlay")) as client:
        follow(client, "score")
        assert client.ask({"action": "get", "key": "other"}) == {
            "error": 'Not permitted: read "other"'
        }
        guarded.change(ALL + OVERLAY.replace('"score"', '"other"'))
        assert client.receive() == {"error": 'Not permitted: read "score"'}, "followed no more"
        follow(client, "other")
        guarded.http("director", "POST", "/set", {"key": "score", "value": 1})
        guarded.http("director", "POST", "/set", set_other)
        assert client.receive() == set_other


SENSOR = '[sensor]\ntoken = "sensor"\nrights = {rights}\nkeys = ["{keys}"]\n'


@pytest.mark.parametrize(("rights", "keys"), [('["read", "write"]', "own-*"), ('["write"]', "*")])
def test_an_answer_is_not_given_again_to_who_has_lost_the_right_to_it(
    guarded: Guarded, rights: str, keys: str
) -> None:
    """The value is one that the token saw; but what it sees now is what it may see now."""
    guarded.change(ALL + SENSOR.format(rights='["read", "write"]', keys="*") + OVERLAY)
    wait_for_token(guarded, "sensor")
    merge = {"action": "merge", "key": "s", "value": {"a": 1}, "return": True}
    once = merge | {"idempotencyKey": "once", "id": 1}
    with open_objects(guarded.server, additional_headers=bearer("sensor")) as client:
        assert client.ask(once)["result"]["value"] == {"a": 1}
        assert client.ask(once)["result"]["duplicate"] is True
        client.ask({"action": "watch", "key": "s"})
        guarded.change(ALL + SENSOR.format(rights=rights, keys=keys) + OVERLAY)
        assert client.receive()["update"]["changes"] == [], "it may see the key no more"
        assert client.ask(once)["code"] == "forbidden"


def wait_for_token(guarded: Guarded, token: str) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while guarded.http(token, "GET", "/info").status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_removing_a_token_closes_its_connections(guarded: Guarded) -> None:
    with (
        open_dunena(guarded.server, additional_headers=bearer("overlay")) as overlay,
        open_dunena(guarded.server, additional_headers=bearer("director")) as director,
    ):
        guarded.change(ALL)
        with pytest.raises(ConnectionClosed) as closed:
            overlay.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        assert closed.value.rcvd.reason == "token no longer valid"
        assert director.ask({"type": "ping"})["type"] == "pong"
    assert guarded.http("overlay", "GET", "/info").status == 401


def test_wrong_tokens_are_rate_limited_and_counted(start_server: StartServer) -> None:
    server = start_server("--token", "right", "--proxy-header", "127.0.0.1")

    def status(token: str, address: str) -> Reply:
        headers = {**bearer(token), "X-Forwarded-For": address}
        return http(server, "GET", "/info", headers=headers)

    guesses = [status(f"guess {number}", "198.51.100.7") for number in range(15)]
    statuses = [guess.status for guess in guesses]
    assert statuses[:10] == [401] * 10
    assert 429 in statuses
    slowed = guesses[statuses.index(429)]
    assert slowed.json == {"error": "Too many wrong tokens", "code": "rate"}
    assert slowed.headers["retry-after"] == "1"
    guesser = {**bearer("guess"), "X-Forwarded-For": "198.51.100.7"}
    with pytest.raises(InvalidStatus) as refused, open_client(server, additional_headers=guesser):
        pass
    assert refused.value.response.status_code in (401, 429)
    assert status("right", "198.51.100.8").status == 200, "others are not slowed"
    for number in range(20):
        assert http(server, "GET", "/info", headers=bearer(f"guess {number}")).status == 401
    deadline = time.monotonic() + SECONDS_MAX
    while status("right", "198.51.100.7").status == 429:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    counted = http(server, "GET", "/metrics", headers=bearer("right")).body.decode()
    assert metric_of(counted, 'refusals_total{cause="token"}') >= 10
    assert metric_of(counted, 'refusals_total{cause="wrong-tokens"}') >= 1


def test_requests_without_a_token_are_not_rate_limited(start_server: StartServer) -> None:
    server = start_server("--token", "right")
    statuses = {http(server, "GET", "/info").status for _ in range(20)}
    assert statuses == {401}
    assert http(server, "GET", "/info", headers=bearer("right")).status == 200


def test_tokens_are_not_logged(guarded: Guarded) -> None:
    with open_objects(guarded.server, additional_headers=bearer("overlay")) as client:
        follow(client, "score")
        guarded.http("never-heard-of", "GET", "/info")
        guarded.change(ALL.replace('"director"', '"director-two"'))
        with pytest.raises(ConnectionClosed):
            client.receive()
    guarded.change("[director")
    deadline = time.monotonic() + SECONDS_MAX
    while "the tokens stay as they were" not in guarded.server.log:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for secret in ("never-heard-of", "director-two"):
        assert secret not in guarded.server.log
