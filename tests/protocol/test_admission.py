"""Admission by token, cookie, origin and host, for requests and for upgrades."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.protocol.clients import RawConnection, Reply, http, open_client
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

TOKEN = "s3cret täken"
BEARER = {"Authorization": b"Bearer " + TOKEN.encode()}

LOCAL = "http://localhost:5173"
FOREIGN = "https://example.com"
ORIGIN_REFUSED = {"error": "Origin not allowed", "code": "forbidden"}


def upgrade(
    server: ServerProcess, headers: dict[str, Any] | None = None, path: str = "/ws"
) -> Reply:
    """The answer to a request to upgrade."""
    decoded = {
        name: value.decode("latin-1") if isinstance(value, bytes) else value
        for name, value in (headers or {}).items()
    }
    with RawConnection(server) as connection:
        return connection.upgrade(path, decoded)


def warnings_of(server: ServerProcess) -> list[str]:
    """What is logged beside the store's connection."""
    return [line for line in server.errors if " info " not in line]


def statuses(server: ServerProcess, headers: dict[str, Any] | None = None) -> list[int]:
    """Of a request, of an upgrade to each dialect."""
    return [
        http(server, "GET", "/get/k", headers=headers).status,
        upgrade(server, headers).status,
        upgrade(server, headers, "/").status,
    ]


# --- token ---


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with a token."""
    with ServerProcess(tmp_path_factory.mktemp("guarded"), "--token", TOKEN) as server:
        yield server


def test_a_bearer_token_admits_requests_and_upgrades(guarded: ServerProcess):
    assert statuses(guarded, BEARER) == [200, 101, 101]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer s3cret"},
        {"Authorization": b"Bearer " + TOKEN.encode() + b"x"},
        {"Authorization": b"Basic " + TOKEN.encode()},
        {"Authorization": TOKEN.encode()},
        {"Authorization": TOKEN.encode("latin-1")},
        {"Authorization": b"Bearer " + b"\xff" * 1000},
        {"X-Authorization": b"Bearer " + TOKEN.encode()},
        {"Cookie": "dunena_session=1"},
        {"Cookie": b"token=" + TOKEN.encode()},
    ],
)
def test_an_invalid_authorization_header_is_401(guarded: ServerProcess, headers: dict[str, Any]):
    assert statuses(guarded, headers) == [401, 401, 401]


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER"])
def test_the_scheme_of_the_authorization_header_is_case_insensitive(
    guarded: ServerProcess, scheme: bytes
):
    assert statuses(guarded, {"Authorization": scheme + b" " + TOKEN.encode()}) == [200, 101, 101]


def test_a_401_response_asks_for_a_bearer_token(guarded: ServerProcess):
    for reply in (http(guarded, "GET", "/get/k"), upgrade(guarded)):
        assert reply.status == 401
        assert reply.headers["www-authenticate"] == "Bearer"
        assert reply.json == {"error": "Unauthorized", "code": "unauthorized"}


@pytest.mark.parametrize("name", ["token", "access_token", "authorization", "auth"])
def test_a_token_in_the_query_is_ignored(guarded: ServerProcess, name: str):
    path = f"?{name}=s3cret%20t%C3%A4ken"
    assert http(guarded, "GET", f"/get/k{path}").status == 401
    assert upgrade(guarded, path=f"/ws{path}").status == 401


GUARDED = [
    ("GET", "/"),
    ("GET", "/ws"),
    ("GET", "/get/k"),
    ("POST", "/set"),
    ("GET", "/kv"),
    ("GET", "/kv/k"),
    ("PUT", "/kv/k"),
    ("PATCH", "/kv/k"),
    ("POST", "/kv/k"),
    ("DELETE", "/kv/k"),
    ("POST", "/txn"),
    ("GET", "/history/k"),
    ("GET", "/backup"),
    ("POST", "/backup"),
    ("GET", "/cache/k"),
    ("POST", "/cache/k"),
    ("DELETE", "/cache/k"),
    ("POST", "/cache"),
    ("GET", "/keys"),
    ("GET", "/watch?key=k&wait=1"),
    ("GET", "/stats"),
    ("GET", "/info"),
    ("GET", "/metrics"),
    ("POST", "/flush"),
    ("POST", "/publish/c"),
    ("GET", "/entries"),
    ("POST", "/entries"),
    ("GET", "/entries/k"),
    ("DELETE", "/entries/k"),
    ("GET", "/search?q=k"),
    ("GET", "/namespaces"),
    ("GET", "/server"),
    ("POST", "/pages-from-disk"),
    ("GET", "/qr?text=k"),
    ("GET", "/invites"),
    ("POST", "/invites"),
    ("GET", "/sharing"),
    ("POST", "/sharing"),
    ("POST", "/update-check"),
    ("GET", "/no-such"),
    ("GET", "/test/../get/k"),
    ("GET", "/health/live/"),
    ("PUT", "/set"),
]


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_every_route_requires_the_token(guarded: ServerProcess, method: str, path: str):
    body = {"key": "k", "value": "v"} if method in ("PATCH", "POST", "PUT") else None
    assert http(guarded, method, path, body).status == 401
    assert http(guarded, method, path, body, {"Authorization": "Bearer wrong"}).status == 401
    assert http(guarded, method, path, body, BEARER).status != 401


@pytest.mark.parametrize(
    ("path", "status"),
    [("/health", "healthy"), ("/health/ready", "ready"), ("/health/live", "alive")],
)
def test_health_probes_without_a_token_get_only_the_status(
    guarded: ServerProcess, path: str, status: str
):
    before = metric(guarded)
    for headers in ({}, {"Cookie": "other=1"}, {"Authorization": "Basic eDp5"}):
        reply = http(guarded, "GET", path, headers=headers)
        assert (reply.status, reply.json) == (200, {"status": status})
        assert http(guarded, "HEAD", path, headers=headers).status == 200
    assert metric(guarded) == before, "that is no refusal"
    assert http(guarded, "GET", path, headers={"Origin": FOREIGN}).status == 403


def test_health_checks_are_shown_only_with_the_token(guarded: ServerProcess):
    assert "checks" in http(guarded, "GET", "/health", headers=BEARER).json
    for path in ("/health", "/health/ready"):
        assert http(guarded, "GET", path, headers={"Authorization": "Bearer wrong"}).status == 401
        foreign = http(guarded, "GET", path, headers={"Sec-Fetch-Site": "cross-site"})
        assert foreign.status == 403


def metric(server: ServerProcess) -> str:
    """How many requests were refused for their token."""
    text = http(server, "GET", "/metrics", headers=BEARER).body.decode()
    (line,) = [one for one in text.splitlines() if 'refusals_total{cause="token"}' in one]
    return line


@pytest.mark.parametrize("path", ["/health/live", "/test"])
def test_public_paths_require_no_token(guarded: ServerProcess, path: str):
    assert http(guarded, "GET", path).status == 200
    assert http(guarded, "HEAD", path).status == 200


def test_files_of_the_test_page_require_no_token(guarded: ServerProcess):
    page = http(guarded, "GET", "/test").body.decode()
    names = [
        part.split('"')[0]
        for attribute in ('src="', 'href="')
        for part in page.split(attribute)[1:]
        if not part.startswith(("http", "data:", "#"))
    ]
    assert names, "the page is made of several files"
    for name in names:
        path = name if name.startswith("/") else f"/{name.removeprefix('./')}"
        assert http(guarded, "GET", path).status == 200, path


def test_a_browser_without_a_token_is_redirected_to_the_test_page(guarded: ServerProcess):
    assert http(guarded, "GET", "/", headers={"Accept": "text/html"}).status in (302, 303, 307)


def test_a_preflight_requires_no_token(guarded: ServerProcess):
    headers = {"Origin": LOCAL, "Access-Control-Request-Method": "POST"}
    reply = http(guarded, "OPTIONS", "/set", headers=headers)
    assert reply.status == 204
    assert "authorization" in reply.headers["access-control-allow-headers"].lower()


def test_a_refused_request_changes_no_value(guarded: ServerProcess):
    http(guarded, "POST", "/set", {"key": "refused", "value": 1})
    assert http(guarded, "GET", "/get/refused", headers=BEARER).json["value"] is None


def test_a_401_response_has_cors_headers_for_an_admitted_origin(guarded: ServerProcess):
    reply = http(guarded, "GET", "/get/k", headers={"Origin": LOCAL})
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (401, LOCAL)


def test_a_server_without_a_token_admits_every_client(shared_server: ServerProcess):
    assert statuses(shared_server) == [200, 101, 101]
    assert statuses(shared_server, {"Authorization": "Bearer whatever"}) == [200, 101, 101]


# --- session ---


def open_session(server: ServerProcess, token: Any = TOKEN, **headers: str) -> Reply:
    return http(server, "POST", "/session", {"token": token}, headers)


def cookie_of(reply: Reply) -> str:
    return reply.headers["set-cookie"].split(";")[0]


def test_a_session_cookie_admits_like_the_token(guarded: ServerProcess):
    reply = open_session(guarded)
    assert 200 <= reply.status < 300
    assert statuses(guarded, {"Cookie": cookie_of(reply)}) == [200, 101, 101]
    assert statuses(guarded, {"Cookie": f"a=b; {cookie_of(reply)}; c=d"}) == [200, 101, 101]


def test_the_session_cookie_is_http_only_same_site_and_hides_the_token(guarded: ServerProcess):
    cookie = open_session(guarded).headers["set-cookie"]
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=strict"} <= attributes
    assert TOKEN not in cookie
    assert "s3cret" not in cookie


def test_an_altered_session_cookie_is_401(guarded: ServerProcess):
    name, _, value = cookie_of(open_session(guarded)).partition("=")
    for wrong in (value[:-1], value + "0", value.swapcase() + "x", "", value[::-1]):
        assert statuses(guarded, {"Cookie": f"{name}={wrong}"}) == [401, 401, 401]
    assert statuses(guarded, {"Cookie": f"x{name}={value}"}) == [401, 401, 401]


@pytest.mark.parametrize("token", ["wrong", "", None, 1, [TOKEN], TOKEN + "x"])
def test_a_wrong_token_gets_no_session(guarded: ServerProcess, token: Any):
    reply = open_session(guarded, token)
    assert reply.status == 401
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize("body", ["{", "[]", "1", ""])
def test_an_invalid_body_gets_no_session(guarded: ServerProcess, body: str):
    reply = http(guarded, "POST", "/session", body)
    assert reply.status in (400, 411)
    assert "set-cookie" not in reply.headers


def test_a_foreign_origin_gets_no_session(guarded: ServerProcess):
    reply = open_session(guarded, Origin=FOREIGN)
    assert (reply.status, reply.json) == (403, ORIGIN_REFUSED)
    assert "set-cookie" not in reply.headers


def test_a_foreign_origin_with_a_session_cookie_is_403(guarded: ServerProcess):
    headers = {"Cookie": cookie_of(open_session(guarded)), "Origin": FOREIGN}
    assert statuses(guarded, headers) == [403, 403, 403]


def test_a_session_ends_when_the_token_changes(start_server: StartServer):
    first = start_server("--token", "one")
    cookie = {"Cookie": cookie_of(open_session(first, "one"))}
    first.restart()
    assert statuses(first, cookie) == [200, 101, 101], "it outlives a restart"
    first.stop()
    port = str(first.port)
    second = start_server("--token", "two", "--port", port)
    assert statuses(second, cookie) == [401, 401, 401]


def test_a_session_cookie_opens_a_websocket(guarded: ServerProcess):
    cookie = {"Cookie": cookie_of(open_session(guarded)), "Origin": LOCAL}
    with open_client(guarded, additional_headers=cookie) as client:
        assert client.receive()["type"] == "connected"
        assert client.ask({"type": "ping"})["type"] == "pong"


# --- origin ---


def own_origin(server: ServerProcess) -> str:
    return f"http://127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost",
        "http://localhost:5173",
        "https://localhost:8443",
        "http://LOCALHOST:1",
        "http://app.localhost:3000",
        "http://127.0.0.1",
        "http://127.0.0.1:65535",
        "http://127.4.5.6:80",
        "http://[::1]",
        "http://[::1]:8080",
        "http://absolute",
    ],
)
def test_local_origins_are_admitted_with_cors_headers(shared_server: ServerProcess, origin: str):
    assert statuses(shared_server, {"Origin": origin}) == [200, 101, 101]
    reply = http(shared_server, "GET", "/get/k", headers={"Origin": origin})
    assert reply.headers["access-control-allow-origin"] == origin


def test_the_servers_own_origin_is_admitted(shared_server: ServerProcess):
    assert statuses(shared_server, {"Origin": own_origin(shared_server)}) == [200, 101, 101]


def test_a_request_without_an_origin_is_admitted_without_cors_headers(shared_server: ServerProcess):
    assert statuses(shared_server) == [200, 101, 101]
    reply = http(shared_server, "GET", "/get/k")
    assert "access-control-allow-origin" not in reply.headers


FOREIGN_ORIGINS = [
    FOREIGN,
    "http://example.com:3000",
    "http://localhost.example.com",
    "http://127.0.0.1.example.com",
    "http://notlocalhost",
    "http://absolute.example.com",
    "https://absolute",
    "http://absolute:80",
    "http://192.168.1.5:3000",
    "http://[fe80::1]",
    "http://0.0.0.0:3000",
    "http://",
    "http://[",
    "localhost",
    "//localhost",
    "ftp://localhost",
    "file://",
    "file://localhost",
    "chrome-extension://abcdefghijklmnop",
    "",
    "null",
    "NULL",
    "http://localhost, https://example.com",
    "\xff",
]


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_foreign_origins_are_403(shared_server: ServerProcess, origin: str):
    assert statuses(shared_server, {"Origin": origin}) == [403, 403, 403]
    for reply in (
        http(shared_server, "GET", "/get/k", headers={"Origin": origin}),
        http(shared_server, "POST", "/set", {"key": "k", "value": 1}, {"Origin": origin}),
        http(shared_server, "OPTIONS", "/set", headers={"Origin": origin}),
        http(shared_server, "GET", "/test", headers={"Origin": origin}),
        http(shared_server, "GET", "/health/live", headers={"Origin": origin}),
        upgrade(shared_server, {"Origin": origin}),
    ):
        assert (reply.status, reply.json) == (403, ORIGIN_REFUSED)
        assert "access-control-allow-origin" not in reply.headers
    assert http(shared_server, "GET", "/get/k").json["value"] is None


def test_a_foreign_origin_is_403_with_or_without_a_token(guarded: ServerProcess):
    assert statuses(guarded, {"Origin": FOREIGN}) == [403, 403, 403]
    assert statuses(guarded, {"Origin": FOREIGN, **BEARER}) == [403, 403, 403]


def test_a_refused_origin_is_logged_once_with_a_remedy(start_server: StartServer):
    server = start_server()
    for _ in range(3):
        statuses(server, {"Origin": FOREIGN})
    http(server, "GET", "/get/k", headers={"Origin": "null"})
    server.stop()
    for origin in (FOREIGN, "null"):
        (line,) = [line for line in server.errors if f"--allow-origin {origin}" in line]
        assert origin in line.replace(f"--allow-origin {origin}", ""), "it names who was refused"


@pytest.mark.parametrize(
    "origins",
    [
        ["null"],
        ["file://", "app://", "app://obsidian.md", "capacitor://localhost", "https://a.example/"],
        [FOREIGN, "http://a.example:8080", "chrome-extension://abc", "http://[fe80::1]:3000"],
    ],
)
def test_the_logged_allow_origin_option_admits_the_origin(
    start_server: StartServer, origins: list[str]
):
    server = start_server()
    for origin in origins:
        assert statuses(server, {"Origin": origin}) == [403, 403, 403]
    server.stop()
    options = [option for line in server.errors for option in recommended("--allow-origin", line)]
    assert len(options) == 2 * len(origins)
    second = start_server(*options)
    for origin in origins:
        assert statuses(second, {"Origin": origin}) == [200, 101, 101]
    assert warnings_of(second) == []


def test_allowing_the_file_origin_does_not_admit_null(start_server: StartServer):
    server = start_server("--allow-origin", "file://")
    assert statuses(server, {"Origin": "file://"}) == [200, 101, 101]
    assert statuses(server, {"Origin": "null"}) == [403, 403, 403]
    assert statuses(server, {"Sec-Fetch-Site": "cross-site"}) == [403, 403, 403]


def test_the_logged_allow_host_option_admits_the_host(start_server: StartServer):
    hosts = ["Proxied.example:80", "192.168.1.5", "[fd00::5]:3000", "under_score.example."]
    server = start_server()
    for host in hosts:
        assert statuses(server, {"Host": host}) == [403, 403, 403]
    assert statuses(server, {"Host": "a@b"}) == [403, 403, 403]
    server.stop()
    options = [option for line in server.errors for option in recommended("--allow-host", line)]
    assert len(options) == 2 * len(hosts)
    second = start_server(*options)
    for host in hosts:
        assert statuses(second, {"Host": host}) == [200, 101, 101]


def recommended(option: str, line: str) -> list[str]:
    """The option and its value, where a line of the log recommends it."""
    words = line.split()
    return words[words.index(option) :][:2] if option in words else []


def test_log_lines_of_refused_origins_are_printable_and_short(start_server: StartServer):
    server = start_server()
    for origin in (
        "\x1b[31mred",
        "a\tb",
        "x" * 5000,
        "\x9b31m",
        *map("http://o{}".format, range(300)),
    ):
        # The parser takes no control characters; what it takes is refused by name.
        assert http(server, "GET", "/get/k", headers={"Origin": origin}).status in (400, 403)
    server.stop()
    assert len(server.errors) < 200, "an endless supply of origins is no endless log"
    for line in server.errors:
        assert line.rstrip("\n").isprintable()
        assert len(line) < 1000


def test_an_origin_named_by_allow_origin_is_admitted(start_server: StartServer):
    server = start_server("--allow-origin", FOREIGN, "--allow-origin", "https://b.example/")
    for origin in (FOREIGN, "https://b.example", LOCAL):
        assert statuses(server, {"Origin": origin}) == [200, 101, 101]
        reply = http(server, "OPTIONS", "/set", headers={"Origin": origin})
        assert reply.headers["access-control-allow-origin"] == origin
    for origin in ("http://example.com", "https://sub.example.com", "null"):
        assert statuses(server, {"Origin": origin}) == [403, 403, 403]


def test_allow_origin_null_admits_null_only(start_server: StartServer):
    server = start_server("--allow-origin", "null")
    assert statuses(server, {"Origin": "null"}) == [200, 101, 101]
    reply = http(server, "GET", "/get/k", headers={"Origin": "null"})
    assert reply.headers["access-control-allow-origin"] == "null"
    assert statuses(server, {"Origin": FOREIGN}) == [403, 403, 403]


def test_allow_origin_star_admits_every_origin(start_server: StartServer):
    server = start_server("--allow-origin", "*")
    for origin in (FOREIGN, "null", "chrome-extension://abc"):
        assert statuses(server, {"Origin": origin}) == [200, 101, 101]
        reply = http(server, "GET", "/get/k", headers={"Origin": origin})
        assert reply.headers["access-control-allow-origin"] in (origin, "*")


# --- host ---


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:1",
        "LocalHost",
        "a.localhost",
        "127.0.0.1",
        "127.9.9.9:5",
        "[::1]:80",
    ],
)
def test_loopback_host_headers_are_admitted(shared_server: ServerProcess, host: str):
    assert statuses(shared_server, {"Host": host}) == [200, 101, 101]


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "example.com:3000",
        "localhost.example.com",
        "127.0.0.1.example.com",
        "192.168.1.5",
        "0.0.0.0",
        "[fe80::1]",
        "localhost@example.com",
        "example.com:localhost",
        "2130706433",
    ],
)
def test_foreign_host_headers_are_403(shared_server: ServerProcess, host: str):
    assert statuses(shared_server, {"Host": host}) == [403, 403, 403]
    own = f"http://{host}"
    assert statuses(shared_server, {"Host": host, "Origin": own}) == [403, 403, 403]


def test_a_server_with_a_token_on_all_addresses_admits_any_host_header(start_server: StartServer):
    server = start_server("--host", "0.0.0.0", "--token", "t")
    headers = {"Authorization": "Bearer t", "Host": "studio.example:3000"}
    assert statuses(server, headers) == [200, 101, 101]
    assert statuses(server, {**headers, "Origin": "http://studio.example:3000"}) == [200, 101, 101]
    assert statuses(server, {**headers, "Origin": "http://studio.example:4000"}) == [403, 403, 403]
    assert not any("--token" in line for line in server.errors)


def test_binding_all_addresses_without_a_token_is_warned_of(start_server: StartServer):
    server = start_server("--host", "0.0.0.0")
    assert http(server, "GET", "/get/k").status == 200
    server.stop()
    (line,) = warnings_of(server)
    assert "warning" in line
    assert "--token" in line
    assert "0.0.0.0" in line


def test_binding_loopback_without_a_token_is_not_warned_of(start_server: StartServer):
    for host in ("127.0.0.1", "localhost"):
        server = start_server("--host", host)
        server.stop()
        assert warnings_of(server) == []
