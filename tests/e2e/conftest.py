"""Fixtures of the tests of whole processes."""

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where `start_server` keeps the values."""
    return tmp_path / "values"
