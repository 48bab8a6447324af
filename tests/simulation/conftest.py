"""What all simulations have in common."""

import logging
from collections.abc import Iterator

import pytest

from dunena.persistence.disk import journal
from dunena.server import backlog, outbox


@pytest.fixture(autouse=True)
def _quiet_log() -> Iterator[None]:
    """No log of what goes wrong as it should."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server meets every limit in a short history."""
    monkeypatch.setattr(journal, "SEGMENT_BYTES_MAX", 3000)
    monkeypatch.setattr(outbox, "BACKLOG_BYTES_MAX", 4000)
    monkeypatch.setattr(outbox, "BATCH_BYTES_MAX", 2000)
    monkeypatch.setattr(outbox, "PORTION_BYTES", 500)
    monkeypatch.setattr(backlog, "CHANNEL_BACKLOG_BYTES_MAX", 600)
    monkeypatch.setattr(backlog, "CHANNELS_BACKLOG_BYTES_MAX", 900)
