"""What the server tells of the user's pages: who has them open, and what went wrong in them."""

import io
import json
import os
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from dunena.backup.reading import BackupReader
from dunena.server.static.page_list import PAGES_MAX
from tests.protocol.clients import http, open_client
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

PAGE = "<!doctype html><title>\n  Score &amp;\n clock</title>"

HAS_BYTES = pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="every name is text there"
)


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    folder = tmp_path / "pages"
    (folder / "show").mkdir(parents=True)
    (folder / "show" / "overlay.html").write_text(PAGE, encoding="utf-8")
    (folder / "index.html").write_text("no title", encoding="utf-8")
    return folder


@pytest.fixture
def server(start_server: StartServer, pages: Path) -> ServerProcess:
    return start_server("--www", str(pages))


def write_old(file: Path) -> None:
    """Write a page that was saved long ago: errors from before a page was saved are not told."""
    file.write_text("x", encoding="utf-8")
    os.utime(file, (1_000_000, 1_000_000))


def described(server: ServerProcess) -> dict[str, dict[str, object]]:
    return {one["path"]: one for one in http(server, "GET", "/pages").json["pages"]}


def test_each_page_has_its_title_and_the_time_of_its_file(
    server: ServerProcess, pages: Path
) -> None:
    answer = http(server, "GET", "/pages").json
    assert answer["folder"] == str(pages)
    assert (answer["problem"], answer["hasMore"]) == (None, False)
    found = described(server)
    assert list(found) == ["index.html", "show/overlay.html"]
    assert found["index.html"]["title"] == ""
    overlay = found["show/overlay.html"]
    assert overlay["title"] == "Score & clock"
    assert overlay["savedAt"] == int((pages / "show" / "overlay.html").stat().st_mtime * 1000)
    assert (overlay["opened"], overlay["openedBy"], overlay["errors"]) == (0, [], [])
    assert overlay["lastLoad"] is None


@pytest.mark.parametrize(
    ("named", "path"),
    [
        ("www/show/overlay.html", "show/overlay.html"),
        ("www/", "index.html"),
        ("www/show/%6Fverlay.html", "show/overlay.html"),
    ],
)
def test_a_page_is_open_as_long_as_its_connection(
    server: ServerProcess, named: str, path: str
) -> None:
    with open_client(server, f"/ws?protocol=auto&page={quote(named, safe='')}"):
        assert described(server)[path]["opened"] == 1
        [visitor] = described(server)[path]["openedBy"]
        assert visitor["address"].startswith("127.0.0.1")
    while described(server)[path]["opened"]:
        pass  # the test's own time limit ends this


@pytest.mark.parametrize("named", ["", "test", "www/none.html", "www/%ff", "../www/index.html"])
def test_what_is_no_page_of_the_folder_is_not_told(server: ServerProcess, named: str) -> None:
    with open_client(server, f"/ws?page={quote(named)}"):
        assert [one["opened"] for one in described(server).values()] == [0, 0]


def test_an_error_of_a_page_is_told_until_the_page_is_saved(
    server: ServerProcess, pages: Path
) -> None:
    body = {"page": "www/show/overlay.html", "text": "x is not defined", "where": "overlay.html:3"}
    file = pages / "show" / "overlay.html"
    os.utime(file, (1_000_000, 1_000_000))
    for _ in range(2):
        assert http(server, "POST", "/page-errors", body).status == 204
    [error] = described(server)["show/overlay.html"]["errors"]
    assert (error["text"], error["where"], error["count"]) == (body["text"], body["where"], 2)
    later = error["lastAt"] / 1000 + 5
    os.utime(file, (later, later))
    assert described(server)["show/overlay.html"]["errors"] == []


@pytest.mark.parametrize("page", ["www/none.html", "www/../tokens.toml", "www/", "x", "www/show"])
def test_an_error_of_no_page_is_not_remembered(
    server: ServerProcess, pages: Path, page: str
) -> None:
    (pages / "index.html").unlink()
    reply = http(server, "POST", "/page-errors", {"page": page, "text": "error"})
    assert reply.status == 204
    for name in ("none.html", "index.html"):
        write_old(pages / name)
    assert [error for one in described(server).values() for error in one["errors"]] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"page": "a"},
        {"text": "a"},
        {"page": 1, "text": "a"},
        {"page": "a", "text": "b", "c": 1},
    ],
)
def test_what_is_no_report_is_refused(shared_server: ServerProcess, body: object) -> None:
    reply = http(shared_server, "POST", "/page-errors", body)
    assert reply.status == 400
    assert json.loads(reply.body)["error"]


@pytest.mark.parametrize("path", ["/nothing?a=%ff", "/www/show/none.png?a=%ff"])
def test_a_query_that_is_no_text_makes_a_missing_file_no_fault(
    server: ServerProcess, path: str
) -> None:
    headers = {"Referer": f"{server.url}/www/show/overlay.html"}
    assert http(server, "GET", path).status == 404
    assert http(server, "GET", path, headers=headers).status == 404


def test_a_query_that_is_no_text_names_no_page(server: ServerProcess) -> None:
    with open_client(server, "/?a=%ff", speaks_dunena=False) as client:
        assert client.ask({"action": "get", "key": "none"})["value"] is None
    assert [one["opened"] for one in described(server).values()] == [0, 0]


@pytest.mark.parametrize("missing", ["/nothing.js", "/www/nothing.js"])
def test_a_missing_file_is_no_error_of_a_page_that_is_not_there(
    server: ServerProcess, pages: Path, missing: str
) -> None:
    headers = {"Referer": f"{server.url}/www/later.html"}
    assert http(server, "GET", missing, headers=headers).status == 404
    write_old(pages / "later.html")
    assert described(server)["later.html"]["errors"] == []


def test_a_server_without_pages_says_so(start_server: StartServer) -> None:
    answer = http(start_server("--no-persist", folder=None), "GET", "/pages").json
    assert answer == {"folder": None, "problem": None, "pages": [], "hasMore": False}


def test_a_folder_that_is_gone_is_a_sentence(server: ServerProcess, pages: Path) -> None:
    pages.rename(pages.with_name("moved"))
    answer = http(server, "GET", "/pages").json
    assert answer["pages"] == []
    assert "cannot be read" in answer["problem"]


def test_only_who_may_administer_the_server_is_told_of_visitors(
    start_server: StartServer, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens.toml"
    tokens.write_text('[panel]\ntoken = "panel-token-12345"\nrights = ["read", "write"]', "utf-8")
    server = start_server("--tokens", str(tokens))
    headers = {"Authorization": "Bearer panel-token-12345"}
    assert http(server, "GET", "/pages", headers=headers).status == 403
    report = {"page": "www/a.html", "text": "error"}
    assert http(server, "POST", "/page-errors", report, headers=headers).status == 204
    assert http(server, "POST", "/page-errors", report).status == 401


BROWSER = {"Accept": "text/html,*/*;q=0.8", "User-Agent": "OBS/31"}


def test_who_loaded_a_page_last_is_told(server: ServerProcess) -> None:
    http(server, "GET", "/www/show/overlay.html", headers=BROWSER | {"Sec-Fetch-Dest": "iframe"})
    http(server, "GET", "/www/show/overlay.html")
    assert described(server)["show/overlay.html"]["lastLoad"] is None
    http(server, "GET", "/www/show/overlay.html", headers=BROWSER)
    load = described(server)["show/overlay.html"]["lastLoad"]
    assert (load["address"], load["program"]) == ("127.0.0.1", "OBS/31")


@pytest.mark.parametrize("missing", ["/www/show/team.png", "/dunena.jss"])
def test_a_file_that_a_page_asks_for_and_is_not_there_is_an_error_of_the_page(
    server: ServerProcess, missing: str
) -> None:
    headers = {"Referer": f"{server.url}/www/show/overlay.html?x=1"}
    assert http(server, "GET", missing, headers=headers).status == 404
    [error] = described(server)["show/overlay.html"]["errors"]
    assert error["text"] == f"There is no {missing[1:]}, which it asks for"
    assert (
        http(server, "GET", missing, headers={"Referer": "http://other/www/a.html"}).status == 404
    )
    assert len(described(server)["show/overlay.html"]["errors"]) == 1


@HAS_BYTES
def test_a_name_that_is_no_text_is_left_out(server: ServerProcess, pages: Path) -> None:
    for name in (b"bad\xff.html", b"bad\xff.txt", b".hidden\xff"):
        Path(os.fsdecode(bytes(pages / "show") + b"/" + name)).write_text("x", "utf-8")
    folder = Path(os.fsdecode(bytes(pages) + b"/caf\xe9"))
    folder.mkdir()
    (folder / "a.html").write_text("x", "utf-8")
    assert list(described(server)) == ["index.html", "show/overlay.html"]
    (pages / "index.html").unlink()
    reply = http(server, "GET", "/www/", headers={"Accept": "text/html"})
    assert (reply.status, reply.body.count(b"<li>")) == (200, 1)
    backup = http(server, "GET", "/backup").body
    reader = BackupReader(io.BytesIO(backup), len(backup))
    assert reader.pages == ["show/overlay.html"]
    reason = "the name is not valid UTF-8"
    assert reader.manifest.left_out == [
        f"caf\ufffd: {reason}",
        f"show/bad\ufffd.html: {reason}",
        f"show/bad\ufffd.txt: {reason}",
    ]


@HAS_BYTES
def test_folders_whose_names_are_no_text_are_told_of_readably(
    start_server: StartServer, pages: Path
) -> None:
    www = pages.rename(os.fsdecode(bytes(pages) + b"\xff"))
    (www / "index.html").unlink()
    values = Path(os.fsdecode(bytes(pages.with_name("values")) + b"\xff"))
    server = start_server("--www", str(www), folder=values)
    shown = f"{pages}\ufffd"
    assert http(server, "GET", "/pages").json["folder"] == shown
    assert http(server, "GET", "/templates").json["folder"] == shown
    values_shown = f"{pages.with_name('values')}\ufffd"
    assert http(server, "GET", "/server").json["folder"] == values_shown
    settings = http(server, "GET", "/info").json["settings"]
    assert (settings["www"], settings["cache-dir"]) == (shown, values_shown)
    for path in ("/www/", "/www/none"):
        page = http(server, "GET", path, headers={"Accept": "text/html"})
        assert page.status in (200, 404)
        assert shown in page.body.decode()
    assert http(server, "GET", "/health").status == 200
    www.rename(pages)
    assert shown in http(server, "GET", "/pages").json["problem"]


def test_more_pages_than_are_listed_are_told_of(server: ServerProcess, pages: Path) -> None:
    (pages / "index.html").unlink()
    many = pages / "many"
    many.mkdir()
    for number in range(PAGES_MAX - 1):
        (many / f"{number}.html").touch()
    told = f"Only the first {PAGES_MAX} are listed.".encode()
    for is_more in (False, True):
        answer = http(server, "GET", "/pages").json
        assert (len(answer["pages"]), answer["hasMore"]) == (PAGES_MAX, is_more)
        reply = http(server, "GET", "/www/", headers={"Accept": "text/html"})
        assert (reply.body.count(b"<li>"), told in reply.body) == (PAGES_MAX, is_more)
        (many / "more.html").touch()
