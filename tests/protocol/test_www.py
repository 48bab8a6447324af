"""The folder of pages at /www/: which files are served, and that no other file is."""

import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.clients import RawConnection, Reply, http
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

SECRET = b"outside the folder"
HIDDEN = b"hidden in the folder"
BIG = bytes(range(256)) * 8192  # 2 MiB: many pieces

Site = tuple[ServerProcess, Path]

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}

LOG_SECONDS_MAX = 20


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with pages, and secrets all around them."""
    outside = tmp_path_factory.mktemp("outside")
    root = outside / "www"
    (root / "sub folder").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / ".git").mkdir()
    (root / ".git" / "config").write_bytes(HIDDEN)
    (root / ".env").write_bytes(HIDDEN)
    (root / "index.html").write_text("<!doctype html>home", encoding="utf-8")
    (root / "sub folder" / "index.html").write_text("<!doctype html>sub", encoding="utf-8")
    (root / "ß & 100%.txt").write_text("grüße", encoding="utf-8")
    (root / "small.txt").write_text("0123456789", encoding="utf-8")
    (root / "none.txt").write_bytes(b"")
    (root / "big.bin").write_bytes(BIG)
    (outside / "secret.txt").write_bytes(SECRET)
    (outside / "www-secret").mkdir()
    (outside / "www-secret" / "secret.txt").write_bytes(SECRET)
    with ServerProcess(outside / "values", "--www", str(root)) as server:
        yield server, root


def get(site: Site, path: str, **headers: str) -> Reply:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return http(site[0], "GET", path, headers=fields)


# --- what is served ---


def test_a_page_has_the_headers_a_browser_needs(site: Site) -> None:
    reply = get(site, "/www/index.html")
    assert (reply.status, reply.body) == (200, b"<!doctype html>home")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["cache-control"] == "no-cache"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["accept-ranges"] == "bytes"
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("frame-ancestors 'self' file: http://localhost:*")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/www/", b"<!doctype html>home"),
        ("/www/?query=1", b"<!doctype html>home"),
        ("/www/sub%20folder/", b"<!doctype html>sub"),
        ("/www/%C3%9F%20%26%20100%25.txt", "grüße".encode()),
        ("/www/none.txt", b""),
        ("/www/big.bin", BIG),
    ],
)
def test_a_path_is_resolved_to_its_file(site: Site, path: str, body: bytes) -> None:
    reply = get(site, path)
    assert (reply.status, reply.body) == (200, body)
    head = http(site[0], "HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(body))
    assert head.headers["etag"] == reply.headers["etag"]


TYPES = {
    "a.js": "text/javascript; charset=utf-8",
    "a.mjs": "text/javascript; charset=utf-8",
    "A.CSS": "text/css; charset=utf-8",
    "a.json": "application/json",
    "a.svg": "image/svg+xml",
    "a.min.js": "text/javascript; charset=utf-8",
    "a.png": "image/png",
    "a.jpg": "image/jpeg",
    "a.webp": "image/webp",
    "a.woff2": "font/woff2",
    "a.wasm": "application/wasm",
    "a.mp4": "video/mp4",
    "a.webm": "video/webm",
    "a.mp3": "audio/mpeg",
    "a.unheard-of": "application/octet-stream",
    "plain": "application/octet-stream",
}


@pytest.mark.parametrize("name", TYPES)
def test_the_content_type_is_determined_by_the_file_extension(site: Site, name: str) -> None:
    (site[1] / name).write_bytes(b"x")
    assert get(site, f"/www/{name}").headers["content-type"] == TYPES[name]


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/www", "./www/"),
        ("/www?a=b", "./www/?a=b"),
        ("/www/sub%20folder", "./sub%20folder/"),
        ("/www/sub%20folder?a=/b", "./sub%20folder/?a=/b"),
    ],
)
def test_a_folder_without_a_trailing_slash_is_redirected(
    site: Site, path: str, location: str
) -> None:
    reply = get(site, path)
    assert (reply.status, reply.headers["location"]) == (302, location)


def test_a_changed_file_has_a_new_etag_at_once(site: Site) -> None:
    file = site[1] / "changing.html"
    tags = set()
    for number in range(5):
        file.write_text(f"version {number}", encoding="utf-8")
        os.utime(file, (1, 1))  # as an editor may save twice within one tick of the clock
        reply = get(site, "/www/changing.html")
        assert reply.body == f"version {number}".encode()
        tags.add(reply.headers["etag"])
    assert len(tags) == 5


@pytest.mark.parametrize("name", ["small.txt", "big.bin"])
def test_a_matching_if_none_match_is_304(site: Site, name: str) -> None:
    etag = get(site, f"/www/{name}").headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        reply = get(site, f"/www/{name}", If_None_Match=known, Range="bytes=0-1")
        assert (reply.status, reply.body) == (304, b""), known
        assert reply.headers["etag"] == etag
    assert get(site, f"/www/{name}", If_None_Match='"other"').status == 200


RANGES = [
    ("bytes=0-3", 0, 4),
    ("bytes=2-", 2, None),
    ("bytes=-3", -3, None),
    ("bytes=-99999999", 0, None),
    ("bytes=4-99999999", 4, None),
    ("bytes=0-", 0, None),
    ("bytes=5-5", 5, 6),
]


@pytest.mark.parametrize(("wanted", "first", "end"), RANGES)
@pytest.mark.parametrize("name", ["small.txt", "big.bin"])
def test_a_single_range_is_206(
    site: Site, name: str, wanted: str, first: int, end: int | None
) -> None:
    whole = (site[1] / name).read_bytes()
    part = whole[first:end]
    reply = get(site, f"/www/{name}", Range=wanted)
    assert (reply.status, reply.body) == (206, part)
    start = first % len(whole) if first < 0 else first
    expected = f"bytes {start}-{start + len(part) - 1}/{len(whole)}"
    assert reply.headers["content-range"] == expected


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=999999999999-"])
def test_a_range_beyond_the_end_is_416(site: Site, wanted: str) -> None:
    reply = get(site, "/www/small.txt", Range=wanted)
    assert (reply.status, reply.headers["content-range"]) == (416, "bytes */10")
    assert reply.json == {"error": "Range not satisfiable", "code": "invalid"}


@pytest.mark.parametrize(
    "wanted",
    ["bytes=0-1,3-4", "bytes=3-1", "bytes=", "bytes=-", "bytes=a-b", "lines=0-1", "0-1",
     "bytes=0-1\u0661", "bytes=" + "9" * 40 + "-"],
)  # fmt: skip
def test_an_unsupported_range_gets_the_complete_file(site: Site, wanted: str) -> None:
    reply = get(site, "/www/small.txt", Range=wanted.encode().decode("latin-1"))
    assert (reply.status, reply.body) == (200, b"0123456789")


def test_a_range_with_an_outdated_if_range_gets_the_complete_file(site: Site) -> None:
    etag = get(site, "/www/small.txt").headers["etag"]
    assert get(site, "/www/small.txt", Range="bytes=0-1", If_Range=etag).status == 206
    assert get(site, "/www/small.txt", Range="bytes=0-1", If_Range='"old"').status == 200
    date = "Thu, 01 Jan 1970 00:00:00 GMT"
    assert get(site, "/www/small.txt", Range="bytes=0-1", If_Range=date).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_writing_method_is_405(site: Site, method: str) -> None:
    reply = http(site[0], method, "/www/small.txt", {})
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


def test_requests_pipelined_after_a_file_are_answered_in_order(site: Site) -> None:
    with RawConnection(site[0]) as raw:
        one = "GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        paths = ["/www/big.bin", "/health/live", "/www/small.txt", "/www/gone", "/health/live"]
        last = "GET /www/small.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        raw.send("".join(map(one.format, paths)) + last)
        stream = raw.read_to_end()
    heads = [part.partition(b"\r\n")[0] for part in stream.split(b"HTTP/1.1 ")[1:]]
    assert heads == [b"200 OK", b"200 OK", b"200 OK", b"404 Not Found", b"200 OK", b"200 OK"]
    assert BIG in stream
    assert stream.endswith(b"0123456789")


def test_a_slow_download_uses_little_memory_and_does_not_delay_others(
    start_server: StartServer, tmp_path: Path
) -> None:
    root = tmp_path / "pages"
    root.mkdir()
    size = 64 * 1024 * 1024
    with (root / "film.mp4").open("wb") as file:
        file.truncate(size)
    server = start_server("--www", str(root))
    with RawConnection(server) as slow:
        slow.send("GET /www/film.mp4 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        slow.wait_for_data()
        assert http(server, "GET", "/health/live").status == 200
        if sys.platform == "linux":
            status = Path(f"/proc/{server.process.pid}/status").read_text("utf-8")
            resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
            assert int(resident.split()[1]) * 1024 < size * 2
        received = 0
        while received < size:
            received += len(slow.socket.recv(1 << 20))


def test_a_client_that_disconnects_leaves_no_file_open(site: Site) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells what a process has open")
    server, root = site
    for _ in range(5):
        with RawConnection(server) as raw:
            raw.send("GET /www/big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
            raw.wait_for_data()
    descriptors = Path(f"/proc/{server.process.pid}/fd")

    def open_pages() -> list[str]:
        links = []
        for descriptor in descriptors.iterdir():
            try:
                links.append(str(descriptor.readlink()))
            except FileNotFoundError:
                continue
        return [link for link in links if link.startswith(str(root))]

    for _ in range(1000):
        if not open_pages():
            return
        http(server, "GET", "/health/live")
    assert open_pages() == []


def test_a_server_stops_during_a_download(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    with (tmp_path / "pages" / "film.mp4").open("wb") as file:
        file.truncate(1 << 30)
    server = start_server("--www", str(tmp_path / "pages"))
    with RawConnection(server) as raw:
        raw.send("GET /www/film.mp4 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        raw.wait_for_data()
        assert server.stop() == 0


def test_a_file_that_shrinks_during_a_download_closes_the_connection(
    start_server: StartServer, tmp_path: Path
) -> None:
    (tmp_path / "pages").mkdir()
    film = tmp_path / "pages" / "film.mp4"
    with film.open("wb") as file:
        file.truncate(1 << 28)
    server = start_server("--www", str(tmp_path / "pages"))
    with RawConnection(server) as raw:
        raw.send("GET /www/film.mp4 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        raw.wait_for_data()
        os.truncate(film, 1 << 20)
        assert len(raw.read_to_end()) < 1 << 28


# --- nothing else ---

HOSTILE = [
    "/www/../secret.txt",
    "/www/%2e%2e/secret.txt",
    "/www/%2E%2E%2Fsecret.txt",
    "/www/..%2fsecret.txt",
    "/www/..%5csecret.txt",
    "/www/..\\secret.txt",
    "/www/sub%20folder/../../secret.txt",
    "/www/sub%20folder/%2e%2e/%2e%2e/secret.txt",
    "/www/../www-secret/secret.txt",
    "/www-secret/secret.txt",
    "/www//etc/passwd",
    "/www/%2fetc/passwd",
    "/www/C:/Windows/win.ini",
    "/www/C:%5cWindows%5cwin.ini",
    "/www/small.txt::$DATA",
    "/www/index.html:stream",
    "/www/small.txt%00.html",
    "/www/small.txt.",
    "/www/small.txt%20",
    "/www/CON",
    "/www/nul.txt",
    "/www/com1",
    "/www/LPT%C2%B9.txt",
    "/www/.env",
    "/www/.git/config",
    "/www/%2egit/config",
    "/www/./small.txt",
    "/www/sub%20folder//index.html",
    "/www/small.txt/",
    "/www/small.txt/x",
    "/www/empty/",
    "/www/%ff%fe",
    "/www/" + "a" * 5000,
    "/www/" + "a/" * 3000,
    "/www/~root/",
    "/www/*",
    "/www/%0d%0aSet-Cookie:x",
]


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: path[:40])
def test_a_path_that_leaves_the_folder_is_not_served(site: Site, path: str) -> None:
    reply = get(site, path)
    assert reply.status in (404, 400), reply
    assert reply.json["error"] in ("Not found", "Bad request")
    assert set(reply.json) == {"error", "code"}


def test_a_folder_below_is_never_listed(site: Site) -> None:
    assert get(site, "/www/empty").headers["location"] == "./empty/"
    assert get(site, "/www/empty/").status == 404
    assert get(site, "/www/empty/", Accept="text/html").status == 404


def test_a_browser_gets_a_list_of_the_pages_if_there_is_no_index(
    start_server: StartServer, tmp_path: Path
) -> None:
    pages = tmp_path / "pages"
    for name in ("b.html", "score/a & 'b'.html", "score/x/deep.htm", ".git/no.html", "notes.txt"):
        (pages / name).parent.mkdir(parents=True, exist_ok=True)
        (pages / name).write_text("a page", encoding="utf-8")
    link(pages / "out", tmp_path)
    server = start_server("--www", str(pages))
    reply = http(server, "GET", "/www/", headers=BROWSER)
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert reply.headers["content-security-policy"].startswith("frame-ancestors")
    assert re.findall(r'<li><a href="(.*?)">(.*?)</a>', reply.body.decode()) == [
        ("b.html", "b.html"),
        ("score/a%20%26%20%27b%27.html", "score/a &amp; &#x27;b&#x27;.html"),
        ("score/x/deep.htm", "score/x/deep.htm"),
    ]
    assert http(server, "GET", "/www/").status == 404, "a program asked for a file"
    assert http(server, "GET", "/www/score/a%20%26%20%27b%27.html").body == b"a page"


def test_a_browser_is_told_where_pages_are(start_server: StartServer, tmp_path: Path) -> None:
    pages, tokens = tmp_path / "pages <1>", tmp_path / "tokens.toml"
    pages.mkdir()
    tables = [f'[{name}]\ntoken = "{name * 20}"\nrights = ["{name}"]' for name in ("read", "admin")]
    tokens.write_text("\n".join(tables), encoding="utf-8")
    server = start_server("--www", str(pages), "--tokens", str(tokens))
    for name in ("read", "admin"):
        headers = BROWSER | {"Authorization": f"Bearer {name * 20}"}
        for path in ("/www/", "/www/Score%3Ci%3E/board.html"):
            text = http(server, "GET", path, headers=headers).body.decode()
            assert (str(pages).replace("<1>", "&lt;1&gt;") in text) is (name == "admin")
            assert "<i>" not in text
        assert '<a href="../../www/">All pages</a>' in text
    reply = http(server, "GET", "/www/nothing.html", headers=headers)
    assert (reply.status, reply.headers["content-type"]) == (404, "text/html; charset=utf-8")
    pages.rmdir()
    assert http(server, "GET", "/www/", headers=headers).status == 404


def link(source: Path, target: Path) -> None:
    try:
        source.symlink_to(target, target_is_directory=target.is_dir())
    except OSError:
        pytest.skip("this user may not make links")


def test_links_are_followed_inside_the_folder_and_never_out_of_it(site: Site) -> None:
    root = site[1]
    link(root / "alias.txt", root / "small.txt")
    assert get(site, "/www/alias.txt").body == b"0123456789"
    for name, target in {
        "out.txt": root.parent / "secret.txt",
        "out": root.parent,
        "neighbour": root.parent / "www-secret",
        "unhidden.txt": root / ".env",
        "loop": root / "loop",
        "dangling": root / "nothing",
    }.items():
        link(root / name, target)
    for path in ("out.txt", "out/secret.txt", "out/", "out", "neighbour/secret.txt", "unhidden.txt",
                 "loop", "loop/x", "dangling"):  # fmt: skip
        assert get(site, f"/www/{path}").status == 404, path
    told: list[str] = []
    deadline = time.monotonic() + LOG_SECONDS_MAX
    while not any("'/www/out.txt'" in line for line in told):
        assert time.monotonic() < deadline, site[0].errors  # a thread of the test reads the log
        time.sleep(0.01)
        told = [line for line in site[0].errors if "put the file itself there" in line]
    assert not any("unhidden" in line or "dangling" in line for line in told)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no pipes in folders")
def test_a_pipe_is_404(site: Site) -> None:
    os.mkfifo(site[1] / "pipe")
    assert get(site, "/www/pipe").status == 404


@pytest.mark.skipif(sys.platform == "win32", reason="it has other permissions")
def test_an_unreadable_file_is_403(site: Site) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (site[1] / "locked.txt").write_bytes(SECRET)
    (site[1] / "locked.txt").chmod(0)
    assert get(site, "/www/locked.txt").status == 403


_PIECES = st.sampled_from(
    ["..", "%2e%2e", "%2E.", ".", "", "/", "%2f", "\\", "%5c", "secret.txt", "www-secret", "www",
     ".env", "%2eenv", ".git", "config", "sub%20folder", "small.txt", "index.html", "C:", "~",
     "%00", "%c0%ae%c0%ae", "..%c0%af", "::$DATA", "values", "..;", "%252e%252e", "?", "#", "%"]
)  # fmt: skip


@given(st.lists(_PIECES | st.text(max_size=4), max_size=12), st.sampled_from(["/", ""]))
def test_no_random_path_serves_bytes_from_outside_the_folder(
    site: Site, pieces: list[str], joint: str
) -> None:
    text = "/www/" + joint.join(pieces)
    path = bytes(byte for byte in text.encode("utf-8", "replace") if byte > 0x20 and byte != 0x7F)
    with RawConnection(site[0]) as raw:
        raw.send(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        head, _, body = raw.read_to_end().partition(b"\r\n\r\n")
    status = int(head.split()[1])
    assert status in (200, 302, 400, 404)
    assert SECRET not in body
    assert HIDDEN not in body
    if status == 200:
        assert body in (b"0123456789", b"<!doctype html>home", b"<!doctype html>sub")


# --- who may ---


def test_pages_are_404_without_the_www_setting(shared_server: ServerProcess) -> None:
    for path in ("/www/", "/www/index.html"):
        assert http(shared_server, "GET", path).status == 404
    page = http(shared_server, "GET", "/www/", headers=BROWSER)
    assert page.status == 404
    assert b'<a href="../test">' in page.body


def test_pages_require_the_token(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.html").write_text("mine", encoding="utf-8")
    server = start_server("--token", "open sesame", "--www", str(tmp_path / "pages"))
    assert http(server, "GET", "/www/").status == 401
    assert http(server, "GET", "/www").status == 401
    cookie = http(server, "POST", "/session", {"token": "open sesame"}).headers["set-cookie"]
    assert http(server, "GET", "/www/", headers={"Cookie": cookie.split(";")[0]}).body == b"mine"
    bearer = {"Authorization": "Bearer open sesame"}
    assert http(server, "GET", "/www/", headers=bearer).body == b"mine"


def test_foreign_origins_cannot_read_pages(site: Site) -> None:
    assert get(site, "/www/small.txt", Origin="https://example.com").status == 403
    reply = get(site, "/www/small.txt", Origin="http://absolute")
    assert reply.headers["access-control-allow-origin"] == "http://absolute"


def test_the_folder_of_pages_can_be_set_in_the_environment(
    start_server: StartServer, tmp_path: Path
) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.html").write_text("a", encoding="utf-8")
    server = start_server(environment={"DUNENA_WWW": str(tmp_path / "pages")})
    assert http(server, "GET", "/www/").body == b"a"
    assert any(line.split() == ["Your", "pages", f"http://localhost:{server.port}/www/"]
               for line in server.output)  # fmt: skip


# --- the client's files ---


@pytest.mark.parametrize(
    ("path", "kind", "has"),
    [
        ("/dunena.js", "text/javascript; charset=utf-8", b"export { connect, DunenaError };"),
        ("/dunena.classic.js", "text/javascript; charset=utf-8", b"globalThis.dunena = {"),
        ("/dunena.d.ts", "text/plain; charset=utf-8", b"export function connect("),
    ],
)
def test_the_files_of_the_client_are_public_and_cacheable(
    start_server: StartServer, path: str, kind: str, has: bytes
) -> None:
    # A page must have the client before it can show that it has the token.
    server = start_server("--token", "open sesame")
    reply = http(server, "GET", path)
    assert reply.status == 200
    assert reply.headers["content-type"] == kind
    assert reply.headers["cache-control"] == "no-cache"
    assert has in reply.body
    again = http(server, "GET", path, headers={"If-None-Match": reply.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert http(server, "GET", path, headers={"If-None-Match": '"x"'}).status == 200


def test_the_classic_script_exports_nothing(shared_server: ServerProcess) -> None:
    body = http(shared_server, "GET", "/dunena.classic.js").body
    assert b"\nexport" not in body
    assert b"import.meta" not in body


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("", "/www/"),
        ("?page=/www/scoreboard.html", "/www/scoreboard.html"),
        ("?page=scoreboard.html%3Fa=1", "/www/scoreboard.html?a=1"),
    ],
)
def test_the_loader_contains_the_url_of_the_requested_page(
    shared_server: ServerProcess, query: str, page: str
) -> None:
    reply = http(shared_server, "GET", f"/obs-loader.html{query}")
    assert reply.status == 200
    assert reply.headers["content-disposition"] == 'attachment; filename="obs-loader.html"'
    assert f'const PAGE = "http://127.0.0.1:{shared_server.port}{page}";'.encode() in reply.body


def test_the_loader_escapes_the_requested_page(shared_server: ServerProcess) -> None:
    evil = "http://x/%3C/script%3E%3Cscript%3Ealert(1)//%22;alert(2)"
    body = http(shared_server, "GET", f"/obs-loader.html?page={evil}").body
    assert b"</script><script>" not in body
    assert rb"\";alert(2)" in body
    for bad in ("javascript:alert(1)", "file:///etc/passwd", "http://[", "%ff"):
        assert http(shared_server, "GET", f"/obs-loader.html?page={bad}").status == 400, bad
