"""docs/cli.md says what the commands say, and what they say can be read at one glance."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dunena.cli.commands import MODULES

ROOT = Path(__file__).resolve().parents[2]

SCREEN_LINES = 24
SCREEN_COLUMNS = 80

SERVE_LINES = 54
"""It has more options than all others together."""


@pytest.fixture(scope="module")
def page() -> str:
    """The page as it would be made now, whatever this terminal and its variables are like."""
    code = (
        "import sys; sys.path.insert(0, 'build'); from devkit.cli_page import page; print(page())"
    )
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "build")},
        text=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout.removesuffix("\n")


def test_it_is_up_to_date(page: str):
    text = (ROOT / "docs" / "cli.md").read_text("utf-8")
    assert text == page, "make it anew: python3 build/dev.py docs"


def test_each_help_fits_a_screen_and_has_an_example(page: str):
    helps = dict(
        re.findall(r"^## dunena (\w+)\n\n```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    )
    assert helps.keys() == MODULES.keys()
    for name, text in helps.items():
        lines = text.splitlines()
        assert len(lines) <= (SERVE_LINES if name == "serve" else SCREEN_LINES), name
        assert max(map(len, lines)) <= SCREEN_COLUMNS, name
        example = "source <(dunena completion" if name == "completion" else f"dunena {name}"
        assert f"Example: {example}" in text
