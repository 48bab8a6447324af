"""The default folders of values and pages."""

import shutil
import sys
from pathlib import Path

import pytest

from dunena.desktop import folder
from dunena.templates import OWN_PAGES


def test_the_default_folder_is_in_the_current_folder_when_run_from_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = folder.default_folder()
    assert (found.path, found.note) == (tmp_path / ".cache", "")
    assert list(found.path.iterdir()) == []


def test_the_default_folder_is_beside_the_executable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "dunena"))
    assert folder.default_folder().path == tmp_path.resolve() / ".cache"


def test_the_default_folder_is_the_users_when_the_first_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("platformdirs.user_data_path", lambda *_, **__: tmp_path / "user")
    found = folder.default_folder(tmp_path / "file")
    assert found.path == tmp_path / "user" / "cache"
    assert "cannot be written" in found.note


def test_the_foreseen_folder_is_the_one_that_will_be_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("platformdirs.user_data_path", lambda *_, **__: tmp_path / "user")
    for base in (tmp_path, tmp_path / "new", tmp_path / "file"):
        foreseen = folder.foreseen_folder(base)
        assert [path.name for path in tmp_path.iterdir()] == ["file"], "nothing is made"
        assert foreseen == folder.default_folder(base)
        for made in (tmp_path / ".cache", tmp_path / "new"):
            shutil.rmtree(made, ignore_errors=True)


def test_own_pages_are_found_only_beside_the_executable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = tmp_path / "www"
    pages.mkdir()
    monkeypatch.chdir(tmp_path)
    assert folder.own_pages(None) is None
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "dunena"))
    assert folder.own_pages(None) == pages
    pages.rmdir()
    assert folder.own_pages(None) is None
    pages.write_text("no folder", encoding="utf-8")
    assert folder.own_pages(None) is None


def test_pages_that_dunena_made_beside_the_values_are_shown_again(tmp_path: Path) -> None:
    values = tmp_path / "show" / ".cache"
    pages = tmp_path / "show" / "www"
    pages.mkdir(parents=True)
    assert folder.place_of_pages(values) == pages
    assert folder.own_pages(values) is None, "it may be anything"
    (pages / OWN_PAGES).touch()
    assert folder.own_pages(values) == pages
    assert folder.own_pages(tmp_path / "other" / ".cache") is None
    assert folder.own_pages(None) is None
    assert folder.place_of_pages(None) is None
