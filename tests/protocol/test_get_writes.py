"""GET writes: an operation in an address, with a secret in its path."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.protocol.clients import (
    RawConnection,
    Reply,
    http,
    now_ms,
    open_dunena,
    unique,
)
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess
from tests.support.tokens import write_tokens

OPERATIONS_TEXT = "there are set, delete, merge, patch, incr, append, touch, timer, revert"
FIELDS_TEXT = (
    "there are ns, path, value, values, patch, by, min, max, ttl, then, do, ms, rate, ifRev, epoch,"
    " toRev, durable, idempotencyKey"
)
SECRET = "a.Secret_that~is-given"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with a secret that was given, and without a token."""
    with ServerProcess(tmp_path_factory.mktemp("values"), "--get-writes", SECRET) as server:
        yield server


def do(
    server: ServerProcess,
    op: str,
    key: str,
    *,
    secret: str = SECRET,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    **fields: str,
) -> Reply:
    """Open the address of a GET write."""
    query = f"?{urlencode(fields)}" if fields else ""
    return http(server, method, f"/do/{secret}/{op}/{quote(key, safe='')}{query}", headers=headers)


def put(server: ServerProcess, key: str, value: Any) -> None:
    assert http(server, "POST", "/set", {"key": key, "value": value}).status == 200


def value(server: ServerProcess, key: str, ns: str = "") -> Any:
    return http(server, "GET", f"/get/{quote(key, safe='')}?ns={ns}").json["value"]


# --- what it does ---


@pytest.mark.parametrize(
    ("text", "stored", "shown"),
    [
        ("3", 3, "3"),
        ("-1.5", -1.5, "-1.5"),
        ("true", True, "true"),
        ("null", None, "null"),
        ('{"a": [1, 2]}', {"a": [1, 2]}, '{"a":[1,2]}'),
        ('"3"', "3", "3"),
        ("on air", "on air", "on air"),
        ("007", "007", "007"),
        ("+5", "+5", "+5"),
        ("NaN", "NaN", "NaN"),
        ("{", "{", "{"),
        ("", "", ""),
        ("grün", "grün", "grün"),
        ("2026-11-30", "2026-11-30", "2026-11-30"),
    ],
)
def test_a_value_is_json_if_it_is_json_and_else_a_string(
    server: ServerProcess, text: str, stored: Any, shown: str
) -> None:
    key = unique()
    reply = do(server, "set", key, value=text)
    assert (reply.status, reply.body.decode()) == (200, shown)
    assert value(server, key) == stored


@pytest.mark.parametrize("text", ["123456789012345678901234567890", '{"a":1,"a":2}', "1e-400"])
def test_json_that_cannot_be_stored_exactly_is_refused(server: ServerProcess, text: str) -> None:
    key = unique()
    reply = do(server, "set", key, value=text)
    assert reply.status == 400
    assert b"value cannot be stored exactly" in reply.body
    assert value(server, key) is None


def test_a_plus_sign_in_the_query_is_a_space_as_in_forms(server: ServerProcess) -> None:
    key = unique()
    assert http(server, "GET", f"/do/{SECRET}/set/{key}?value=on+air%2B").body == b"on air+"


def test_each_operation_answers_with_the_new_value_as_text(server: ServerProcess) -> None:
    key, chat, clock, flag = (unique() for _ in range(4))
    put(server, key, {"home": {"score": 1}})
    steps = [
        (("incr", key), {"path": "/home/score"}, "2"),
        (("incr", key), {"path": "/home/score", "by": "3", "max": "4"}, None),
        (("incr", key), {"path": "/home/score", "by": "-5", "min": "-3"}, "-3"),
        (("merge", key), {"value": '{"home":{"name":"A"}}'}, '{"home":{"score":-3,"name":"A"}}'),
        (("patch", key), {"patch": '[{"op":"remove","path":"/home/name"}]'},
         '{"home":{"score":-3}}'),
        (("set", key), {"path": "/home/name", "value": "Bob"}, "Bob"),
        (("delete", key), {"path": "/home/name"}, ""),
        (("append", chat), {"value": "one"}, '["one"]'),
        (("append", chat), {"values": "[2,3]", "max": "2"}, "[2,3]"),
        (("timer", clock), {"do": "set", "ms": "300000", "rate": "-1"}, "5:00"),
        (("timer", clock), {"do": "add", "ms": "61000"}, "6:01"),
        (("timer", clock), {"do": "start"}, "6:01"),
        (("set", flag), {"value": "1", "ttl": "60000", "then": "off"}, "1"),
        (("touch", flag), {"ttl": "60000"}, "1"),
        (("del", flag), {}, ""),
        (("delete", flag), {}, ""),
    ]  # fmt: skip
    for (op, name), fields, text in steps:
        reply = do(server, op, name, **fields)
        if text is None:
            assert (reply.status, reply.body.decode()) == (409, f'Out of range: "{name}"'), op
            continue
        assert (reply.status, reply.body.decode()) == (200, text), op
        assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert value(server, clock)["timer"]["running"] is True
    assert value(server, flag) is None


def test_a_revert_answers_with_the_value_of_the_revision(server: ServerProcess) -> None:
    key = unique()
    put(server, key, {"name": "Ada"})
    revision = http(server, "GET", f"/entries/{key}").json["entry"]["revision"]
    reply = do(server, "revert", key, path="/name", toRev=str(revision))
    assert (reply.status, reply.body) == (200, b"Ada")


def test_keys_and_namespaces_may_have_any_characters(server: ServerProcess) -> None:
    assert do(server, "set", "a/b ü?", ns="show 1", value="1").status == 200
    assert value(server, "a/b ü?", "show%201") == 1
    assert http(server, "GET", f"/do/{SECRET}/set/a/b/c?value=2").body == b"2"
    assert value(server, "a/b/c") == 2


def test_a_condition_that_does_not_hold_is_412(server: ServerProcess) -> None:
    key = unique()
    assert do(server, "set", key, value="1", ifRev="0").status == 200
    reply = do(server, "set", key, value="2", ifRev="0")
    assert reply.status == 412
    assert reply.body.decode().startswith(f'Revision conflict: "{key}" is at ')
    assert value(server, key) == 1


def test_a_repeated_idempotency_key_changes_nothing(server: ServerProcess) -> None:
    key = unique()
    for _ in range(2):
        assert do(server, "incr", key, idempotencyKey="once").body == b"1"
    assert value(server, key) == 1


def test_followers_hear_of_a_get_write(server: ServerProcess) -> None:
    key = unique()
    with open_dunena(server) as client:
        client.send({"type": "watch", "key": key})
        assert client.receive()["data"]["changes"] == []
        assert do(server, "set", key, value="7", ttl="60000").status == 200
        update = client.receive()
        while update.get("type") != "update":
            update = client.receive()
        assert [change["value"] for change in update["data"]["changes"]] == [7]
    entry = http(server, "GET", f"/entries/{key}").json["entry"]
    assert 0 < entry["expiresAt"] - now_ms() <= 60_000


@pytest.mark.parametrize(
    ("op", "fields", "status", "text"),
    [
        ("set", {}, 400, "Missing value"),
        ("st", {"value": "1"}, 400, f'Unknown operation: "st" ({OPERATIONS_TEXT})'),
        ("incr", {"by": "one"}, 400, "By must be a number"),
        ("timer", {"do": "go"}, 400, "Do must be one of: start, stop, toggle, set, add"),
        ("set", {"value": "1", "tll": "60000"}, 400, f"Unknown field: tll ({FIELDS_TEXT})"),
        ("set", {"value": "1", "path": "x"}, 400, "Path must be a JSON Pointer"),
        ("touch", {"ttl": "1000", "path": "/x"}, 409, None),
        ("set", {"value": "1", "ttl": "-1"}, 400, "TTL must be a non-negative integer"),
        ("set", {"value": "1", "then": "2"}, 400, "Then needs a ttl"),
        ("revert", {"toRev": "1"}, 404, "No such revision: 1"),
        ("incr", {"path": "/a/b"}, 409, None),
    ],
)
def test_an_error_is_text_with_its_status(
    server: ServerProcess, op: str, fields: dict[str, str], status: int, text: str | None
) -> None:
    reply = do(server, op, "errors", **fields)
    assert reply.status == status
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert text is None or reply.body.decode() == text
    assert value(server, "errors") is None


def test_fields_against_caches_are_ignored(server: ServerProcess) -> None:
    assert do(server, "set", "busted", value="1", _="1710000000000").body == b"1"


@pytest.mark.parametrize(
    "path", ["", "/", "/set", "/set/", "/%FF/k", "/set/%FF", "/set/k?value=%FF"]
)
def test_an_incomplete_address_does_nothing(server: ServerProcess, path: str) -> None:
    reply = http(server, "GET", f"/do/{SECRET}{path}")
    assert reply.status in (400, 404)
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"


# --- what it refuses ---


def test_each_answer_forbids_caches_and_referrers(server: ServerProcess) -> None:
    replies = [
        do(server, "set", "headers", value="1"),
        do(server, "set", "headers"),
        do(server, "set", "headers", secret="wrong"),
        do(server, "set", "headers", value="1", method="POST"),
        do(server, "set", "headers", value="1", method="OPTIONS"),
        do(server, "set", "headers", value="1", headers={"Origin": "http://localhost"}),
    ]
    for reply in replies:
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH"])
def test_other_methods_do_nothing(server: ServerProcess, method: str) -> None:
    key = unique()
    reply = do(server, "set", key, value="1", method=method)
    assert reply.status == (204 if method == "OPTIONS" else 405)
    assert reply.headers["allow"] == "GET, OPTIONS"
    assert value(server, key) is None


def test_a_post_with_a_body_gets_its_answer(server: ServerProcess) -> None:
    reply = http(server, "POST", f"/do/{SECRET}/set/body?value=1", body={"value": 1})
    assert reply.status == 405
    assert value(server, "body") is None


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Purpose": "prefetch"},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
        {"Purpose": "preview"},
        {"X-Purpose": "preview"},
        {"X-Moz": "prefetch"},
    ],
)
def test_a_prefetch_does_nothing(server: ServerProcess, headers: dict[str, str]) -> None:
    key = unique()
    assert do(server, "set", key, value="1", headers=headers).status == 403
    assert value(server, key) is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:3000"}, 403),
        ({"Origin": "http://absolute"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "made-up"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({}, 200),
    ],
)
def test_a_request_of_a_page_is_refused_even_with_the_secret(
    server: ServerProcess, headers: dict[str, str], status: int
) -> None:
    key = unique()
    assert do(server, "set", key, value="1", headers=headers).status == status
    assert value(server, key) == (1 if status == 200 else None)


def test_pages_are_refused_also_where_all_origins_are_let_in(start_server: StartServer) -> None:
    server = start_server("--get-writes", SECRET, "--allow-origin", "*")
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert do(server, "set", "k", value="1", headers=headers).status == 403
    assert value(server, "k") is None


def test_the_rules_for_the_host_hold(server: ServerProcess) -> None:
    with RawConnection(server) as connection:
        connection.request("GET", f"/do/{SECRET}/set/rebound?value=1", {"Host": "evil.example"})
        assert connection.read_reply().status == 403
    assert value(server, "rebound") is None


def test_an_upgrade_does_nothing(server: ServerProcess) -> None:
    with RawConnection(server) as connection:
        assert connection.upgrade(f"/do/{SECRET}/set/upgraded?value=1", {}).status == 404
    assert value(server, "upgraded") is None


@pytest.mark.parametrize("secret", ["wrong", "", SECRET[:-1], SECRET + "x", SECRET.lower(), "%00"])
def test_a_wrong_secret_does_nothing(server: ServerProcess, secret: str) -> None:
    key = unique()
    reply = do(server, "set", key, secret=secret, value="1")
    assert (reply.status, reply.body) == (
        403,
        b"Wrong secret: the server shows the right address when it starts",
    )
    assert "www-authenticate" not in reply.headers
    assert value(server, key) is None


def test_without_the_option_there_are_no_get_writes(shared_server: ServerProcess) -> None:
    reply = do(shared_server, "set", "off", value="1")
    assert reply.status == 404
    assert reply.body == b"GET writes are off: --get-writes turns them on"
    assert value(shared_server, "off") is None
    assert "getWrites" not in http(shared_server, "GET", "/info").json["features"]


def test_guessing_is_slowed_down_as_it_is_for_tokens(start_server: StartServer) -> None:
    server = start_server("--get-writes", SECRET, "--proxy-header", "127.0.0.1")
    far = {"X-Forwarded-For": "192.0.2.7"}
    statuses = [
        do(server, "set", "k", secret=f"guess-{number}", value="1", headers=far).status
        for number in range(30)
    ]
    assert statuses[:10] == [403] * 10
    assert statuses[-1] == 429
    late = do(server, "set", "k", value="1", headers=far)
    assert late.status == 429, "it could go on guessing"
    assert "retry-after" in late.headers
    near = {"X-Forwarded-For": "192.0.2.8"}
    assert do(server, "set", "k", value="1", headers=near).status == 200


# --- the secret ---


def secret_in(server: ServerProcess) -> str:
    """The secret that a server has made and shows in its banner, once."""
    shown = re.findall(r"/do/([^/]+)/", "".join(server.output))
    assert len(shown) == 1
    return shown[0]


def test_a_secret_is_made_once_and_kept_across_restarts(start_server: StartServer) -> None:
    server = start_server("--get-writes")
    secret = secret_in(server)
    assert re.fullmatch("[0-9a-f]{32}", secret)
    assert do(server, "set", "k", secret=secret, value="1").status == 200
    server.restart()
    assert secret_in(server) == secret
    assert do(server, "set", "k", secret=secret, value="2").status == 200
    assert server.folder is not None
    file = server.folder / ".dunena" / "get-secret"
    assert file.read_text() == f"{secret}\n"
    if sys.platform != "win32":
        assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in server.folder.glob("*.json")] == ["k.json"]


def test_removing_the_file_makes_another_secret(start_server: StartServer) -> None:
    server = start_server("--get-writes", "auto")
    secret = secret_in(server)
    assert server.folder is not None
    assert server.stop() == 0
    (server.folder / ".dunena" / "get-secret").unlink()
    server.start()
    assert secret_in(server) != secret
    assert do(server, "set", "k", secret=secret, value="1").status == 403


def test_a_damaged_file_makes_another_secret_and_says_so(start_server: StartServer) -> None:
    server = start_server("--get-writes")
    secret = secret_in(server)
    assert server.folder is not None
    assert server.stop() == 0
    (server.folder / ".dunena" / "get-secret").write_text("")
    server.start()
    assert secret_in(server) not in (secret, "")
    assert server.stop() == 0
    assert "has no secret, so another one was made" in server.log


def test_without_a_folder_the_secret_lasts_until_the_stop(start_server: StartServer) -> None:
    server = start_server("--no-persist", "--get-writes")
    secret = secret_in(server)
    assert do(server, "set", "k", secret=secret, value="1").status == 200
    server.restart()
    assert secret_in(server) != secret


@pytest.mark.parametrize("source", ["made", "given", "variable"])
def test_the_secret_is_neither_logged_nor_reported(start_server: StartServer, source: str) -> None:
    variable = {"DUNENA_GET_WRITES": SECRET}
    server = {
        "made": lambda: start_server("--get-writes", "--log-level", "debug"),
        "given": lambda: start_server("--get-writes", SECRET, "--log-level", "debug"),
        "variable": lambda: start_server("--log-level", "debug", environment=variable),
    }[source]()
    secret = secret_in(server) if source == "made" else SECRET
    if source != "made":
        assert secret_in(server) == "<secret>"
    assert do(server, "set", "k", secret=secret, value="1").status == 200
    do(server, "set", "k", secret=secret, value="1", headers={"Origin": "http://evil.example"})
    do(server, "set", "k", secret=secret, value="1", headers={"Sec-Fetch-Site": "cross-site"})
    do(server, "st", "k", secret=secret)
    for path in ("/info", "/server", "/stats", "/metrics", "/health", "/openapi.json"):
        assert secret not in http(server, "GET", path).body.decode(), path
    info = http(server, "GET", "/info").json
    assert info["settings"]["get-writes"] is True
    assert "getWrites" in info["features"]
    assert server.stop() == 0
    assert secret not in server.log
    assert "a GET write of a page ('http://evil.example') was refused" in server.log


def test_the_secret_opens_nothing_but_get_writes(start_server: StartServer) -> None:
    server = start_server("--get-writes", SECRET, "--token", "the token of the server")
    assert do(server, "set", "k", value="1").status == 200
    for headers in ({"Authorization": f"Bearer {SECRET}"}, {"Cookie": f"dunena_session={SECRET}"}):
        assert http(server, "GET", "/get/k", headers=headers).status == 401
    assert http(server, "POST", "/session", {"token": SECRET}).status == 401
    assert do(server, "set", "k", secret=quote("the token of the server"), value="2").status == 403
    bearer = {"Authorization": "Bearer the token of the server"}
    assert http(server, "GET", "/get/k", headers=bearer).json["value"] == 1
    assert do(server, "set", "k", secret="wrong", value="2", headers=bearer).status == 403


# --- secrets of the tokens file ---

TABLES = """\
[button]
token = "token of the button"
rights = ["read", "write"]
keys = ["score-*"]
get = "secret-of-the-button"

[sensor]
token = "token of the sensor"
rights = ["write"]
keys = ["celsius"]
get = "secret-of-the-sensor"

[overlay]
token = "token of the overlay"
rights = ["read"]
get = "secret-of-the-overlay"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_tokens(tmp_path, TABLES)


def test_a_secret_of_the_tokens_file_has_the_rights_of_its_table(
    start_server: StartServer, file: Path
) -> None:
    server = start_server("--tokens", str(file))
    assert do(server, "incr", "score-1", secret="secret-of-the-button").body == b"1"
    refused = do(server, "incr", "other", secret="secret-of-the-button")
    assert (refused.status, refused.body) == (403, b'Not permitted: write "other"')
    written = do(server, "set", "celsius", secret="secret-of-the-sensor", value="20.1")
    assert (written.status, written.body) == (200, b""), "it may not read"
    assert do(server, "set", "celsius", secret="secret-of-the-overlay", value="0").status == 403
    headers = {"Authorization": "Bearer token of the overlay"}
    assert http(server, "GET", "/get/celsius", headers=headers).json["value"] == 20.1
    assert do(server, "set", "celsius", value="1").status == 403, "no secret of the server's own"


def test_a_changed_tokens_file_changes_the_secrets(start_server: StartServer, file: Path) -> None:
    server = start_server("--tokens", str(file), "--get-writes", SECRET)
    draft = file.with_suffix(".draft")
    draft.touch(mode=0o600)
    draft.write_text(TABLES.replace("secret-of-the-button", "another-secret-of-it"), "utf-8")
    draft.replace(file)
    while do(server, "incr", "score-1", secret="another-secret-of-it").status == 403:
        pass
    assert do(server, "incr", "score-1", secret="secret-of-the-button").status == 403
    assert do(server, "set", "any", value="1").status == 200
