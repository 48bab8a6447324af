"""The progress messages of a large load."""

import logging
from pathlib import Path

import pytest

from dunena.cli import loading_progress
from dunena.cli.loading_progress import LoadingProgress
from dunena.persistence.disk import value_files
from dunena.persistence.disk.engine import DiskEngine
from dunena.persistence.policy import Fsync


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines that a terminal shows, one after the other."""
    shown: list[str] = []

    def overwrite(text: str) -> bool:
        shown.append(text)
        return True

    monkeypatch.setattr(loading_progress, "overwrite", overwrite)
    return shown


def test_a_quick_start_prints_no_progress(lines: list[str]) -> None:
    with LoadingProgress() as progress:
        progress(1000)
    assert lines == []


def test_a_terminal_gets_a_progress_line_that_is_erased(
    lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading_progress, "QUIET_SECONDS", -1.0)
    monkeypatch.setattr(loading_progress, "LINE_SECONDS", 0.0)
    with LoadingProgress() as progress:
        progress(1000)
        progress(2000)
    assert lines == ["Reading values: 1,000 keys", "Reading values: 2,000 keys", ""]


def test_a_log_gets_a_progress_line_at_intervals(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loading_progress, "QUIET_SECONDS", -1.0)
    with caplog.at_level(logging.INFO), LoadingProgress() as progress:
        progress(1000)
        progress(2000)
    assert caplog.messages == ["Reading values: 1,000 keys"]


def test_the_disk_engine_reports_its_load_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(value_files, "ENTRIES_PER_PROGRESS", 2)
    for number in range(5):
        (tmp_path / f"{number}.json").write_text("1")
    engine = DiskEngine(tmp_path, Fsync.NO)
    told: list[int] = []
    engine.open(None, told.append)
    engine.close()
    assert told == [2, 4]
