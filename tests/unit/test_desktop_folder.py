"""The default folders of values and pages."""

import sys
from pathlib import Path

import pytest

from dunena.desktop import folder


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


def test_own_pages_are_found_only_beside_the_executable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = tmp_path / "www"
    pages.mkdir()
    monkeypatch.chdir(tmp_path)
    assert folder.own_pages() is None
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "dunena"))
    assert folder.own_pages() == pages
    pages.rmdir()
    assert folder.own_pages() is None
    pages.write_text("no folder", encoding="utf-8")
    assert folder.own_pages() is None
