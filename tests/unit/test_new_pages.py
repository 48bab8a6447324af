"""Templates of which the program's files are gone while it runs."""

import shutil
from pathlib import Path

import orjson
import pytest

from dunena.server.access.refusals import Refusals
from dunena.server.http.message import Prepared
from dunena.server.static.folder import WwwFolder
from dunena.server.static.new_pages import NewPages
from dunena.settings import Settings
from dunena.templates import catalogue


@pytest.fixture
def pages(tmp_path: Path) -> NewPages:
    return NewPages(WwwFolder(None, Refusals(Settings(), 3000)), tmp_path / "www")


def error_of(prepared: Prepared) -> str:
    assert prepared.response.status == 404
    return str(orjson.loads(prepared.response.body)["error"])


def test_whoever_asks_is_told_to_start_the_server_again(
    pages: NewPages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pages.list_templates(is_for_admin=True).response.status == 200
    monkeypatch.setattr("dunena.templates.catalogue._FOLDER", tmp_path / "gone")
    for answer in (
        pages.list_templates(is_for_admin=True),
        pages.preview("poll/overlay.html"),
        pages.make("poll", ""),
    ):
        assert error_of(answer) == "The templates are gone: start the server again"
    assert not (tmp_path / "www").exists()


@pytest.mark.parametrize("gone", ["", "poll", "shared", "poll/panel.html"])
def test_making_pages_of_which_files_are_gone_makes_nothing(
    pages: NewPages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    copied = shutil.copytree(catalogue._FOLDER, tmp_path / "templates")
    monkeypatch.setattr(catalogue, "_FOLDER", copied)
    lost = copied / gone
    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
    assert error_of(pages.make("poll", "")) == "The templates are gone: start the server again"
    assert not (tmp_path / "www").exists()
