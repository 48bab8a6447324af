"""Logging: every record is a line."""

import json
import logging
from collections.abc import Iterator

import pytest

from dunena.logs import set_up_logging
from dunena.setting_table import LogFormat, LogLevel


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The logger of all modules, as it was before at the end."""
    root = logging.getLogger()
    own = logging.getLogger("dunena")
    handlers, level, own_level = root.handlers[:], root.level, own.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)
    own.setLevel(own_level)


def test_a_line_of_json_names_a_file_whose_name_is_no_text(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logging(LogLevel.INFO, LogFormat.JSON)
    try:
        raise ValueError("bad\udcff")
    except ValueError:
        root.exception("%s cannot be read", "bad\udcff")
    line = json.loads(capsys.readouterr().err)
    assert line["message"] == "bad\ufffd cannot be read"
    assert line["level"] == "error"
    assert "ValueError: bad\ufffd" in line["exception"]
