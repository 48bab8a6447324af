"""The engine that the settings of a server select."""

from pathlib import Path

import pytest

from dunena.persistence.disk import value_files
from dunena.persistence.disk.engine import DiskEngine
from dunena.persistence.disk.watching import FolderWatch
from dunena.persistence.interface import OpenError, WatchState
from dunena.persistence.memory import MemoryEngine
from dunena.persistence.opening import open_engine, private_folder
from dunena.persistence.policy import WatchMode
from dunena.settings import Settings
from dunena.store.limits import Limits


def not_woken() -> None:
    pytest.fail("nobody changed anything")


def test_settings_without_a_folder_open_the_memory_engine() -> None:
    engine, loaded = open_engine(Settings(), not_woken)
    assert isinstance(engine, MemoryEngine)
    assert (loaded.entries, loaded.revision) == ([], 0)
    assert private_folder(None) is None


def test_the_disk_engine_is_opened_with_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(value_files, "ENTRIES_PER_PROGRESS", 1)
    (tmp_path / "small.json").write_text("1")
    (tmp_path / "large.json").write_text('"larger than may be"')
    told: list[int] = []
    settings = Settings(cache_dir=tmp_path, limits=Limits(value_bytes_max=9))
    engine, loaded = open_engine(settings, lambda: None, told.append)
    try:
        assert isinstance(engine, DiskEngine)
        assert [(entry.key, entry.value) for entry in loaded.entries] == [("small", b"1")]
        assert engine.watching.state is not WatchState.OFF
        assert told == [1]
        assert private_folder(tmp_path) == tmp_path / ".dunena"
        assert (tmp_path / ".dunena").is_dir()
    finally:
        engine.close()


def test_no_folder_watch_begins_with_watch_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FolderWatch, "begin", lambda _: pytest.fail("it is watched"))
    engine, _ = open_engine(Settings(cache_dir=tmp_path, watch=WatchMode.OFF), not_woken)
    engine.close()


def test_open_engine_raises_open_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OpenError, match="choose another with --cache-dir"):
        open_engine(Settings(cache_dir=tmp_path / "file" / "below"), not_woken)
