"""Pages from templates over HTTP: the folder is made, and served, without a restart."""

import sys
from pathlib import Path

import pytest

from dunena.templates import OWN_PAGES
from dunena.templates.catalogue import TEMPLATES
from tests.protocol.clients import http
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess


def test_pages_are_made_in_a_new_folder_and_shown_at_once_and_after_a_restart(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server()
    assert http(server, "GET", "/www/").status == 404
    found = http(server, "GET", "/templates").json
    assert [one["name"] for one in found["templates"]] == list(TEMPLATES)
    assert found["folder"] == str(tmp_path / "www")
    assert found["mayMake"]
    reply = http(server, "POST", "/templates", {"template": "scoreboard"})
    assert reply.status == 201
    pages = reply.json["pages"]
    assert pages == {
        "overlay": "www/scoreboard/overlay.html", "panel": "www/scoreboard/panel.html",
    }  # fmt: skip
    for page in pages.values():
        assert http(server, "GET", f"/{page}").body.startswith(b"<!doctype html>")
    templates = http(server, "GET", "/templates").json["templates"]
    assert [one["name"] for one in templates if one["isMade"]] == ["scoreboard"]
    server.stop()
    server.start()
    assert http(server, "GET", "/www/scoreboard/panel.html").status == 200


def test_a_second_copy_has_a_name_of_its_own(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    server = start_server("--www", str(tmp_path / "pages"))
    body = {"template": "poll", "name": "poll-2"}
    made = http(server, "POST", "/templates", body).json
    assert made["pages"]["audience"] == "www/poll-2/vote.html"
    again = http(server, "POST", "/templates", body)
    assert again.status == 409
    assert again.json == {"error": "There is a poll-2 among your pages already", "code": "exists"}
    assert not (tmp_path / "pages" / OWN_PAGES).exists(), "it was there before"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"template": "nothing"}, "There is no template 'nothing'"),
        ({"template": "poll", "name": "../../etc"}, "small letters"),
        ({"template": "poll", "name": 5}, "texts"),
        ({}, "texts"),
        ({"template": "poll", "names": "a"}, "names"),
    ],
)
def test_what_cannot_be_made_is_a_sentence(
    body: dict[str, object], error: str, shared_server: ServerProcess
) -> None:
    reply = http(shared_server, "POST", "/templates", body)
    assert reply.status == 400
    assert error in reply.json["error"]
    assert shared_server.folder is not None
    assert not (shared_server.folder.parent / "www").exists()


def test_somebody_elses_folder_is_not_shown(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "secret.html").write_text("secret", encoding="utf-8")
    server = start_server()
    assert not http(server, "GET", "/templates").json["mayMake"]
    reply = http(server, "POST", "/templates", {"template": "poll"})
    assert reply.status == 409
    assert "is there already: start with --www" in reply.json["error"]
    assert http(server, "GET", "/www/secret.html").status == 404


def test_a_server_without_values_on_disk_has_no_place_for_pages(start_server: StartServer) -> None:
    server = start_server("--no-persist", folder=None)
    assert not http(server, "GET", "/templates").json["mayMake"]
    reply = http(server, "POST", "/templates", {"template": "poll"})
    assert reply.status == 409
    assert reply.json["error"] == "This server has no folder of pages: start it with --www FOLDER"


def test_only_who_may_administer_the_server_makes_pages(
    start_server: StartServer, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens.toml"
    tokens.write_text('[panel]\ntoken = "panel-token-12345"\nrights = ["read", "write"]', "utf-8")
    server = start_server("--tokens", str(tokens))
    headers = {"Authorization": "Bearer panel-token-12345"}
    listed = http(server, "GET", "/templates", headers=headers).json
    assert "folder" not in listed
    assert not listed["mayMake"]
    reply = http(server, "POST", "/templates", {"template": "poll"}, headers=headers)
    assert reply.status == 403
    assert http(server, "POST", "/templates", {"template": "poll"}).status == 401


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps rights elsewhere")
def test_a_place_that_cannot_be_written_is_a_sentence(
    start_server: StartServer, tmp_path: Path
) -> None:
    (tmp_path / "www").write_text("no folder", encoding="utf-8")
    reply = http(start_server(), "POST", "/templates", {"template": "poll"})
    assert reply.status == 409
    assert "is there already" in reply.json["error"]
