"""The generated documentation pages are up to date and readable."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dunena.cli.command_table import MODULES

ROOT = Path(__file__).resolve().parents[2]

NAMES = ["cli.md", "settings.md"]

SCREEN_LINES = 24
SCREEN_COLUMNS = 80

SERVE_LINES = 76
"""It has more options than all others together."""

_PRINT_ALL = """
import json
from devkit.pages import PAGES
print(json.dumps({name: make() for name, make in PAGES.items()}))
"""


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """The pages as they would be made now, whatever this terminal and its variables are like."""
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", _PRINT_ALL],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "build"), str(ROOT)])},
        text=True,
        encoding="utf-8",
        check=True,
    )
    return json.loads(done.stdout)


def test_exactly_the_listed_pages_are_generated(pages: dict[str, str]):
    assert sorted(pages) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_generated_pages_in_docs_are_up_to_date(pages: dict[str, str], name: str):
    text = (ROOT / "docs" / name).read_text("utf-8")
    assert text == pages[name], "make it anew: python3 build/dev.py docs"


def test_each_help_fits_a_screen_and_has_an_example(pages: dict[str, str]):
    helps = dict(
        re.findall(
            r"^## dunena (\w+)\n\n```text\n(.*?)^```$", pages["cli.md"], re.MULTILINE | re.DOTALL
        )
    )
    assert helps.keys() == MODULES.keys()
    for name, text in helps.items():
        lines = text.splitlines()
        assert len(lines) <= (SERVE_LINES if name == "serve" else SCREEN_LINES), name
        assert max(map(len, lines)) <= SCREEN_COLUMNS, name
        example = "source <(dunena completion" if name == "completion" else f"dunena {name}"
        assert f"Example: {example}" in text


@pytest.mark.parametrize(
    "row",
    [
        "| `--port` | `DUNENA_PORT` | `3000` | 0 to 65535 | Port; 0 takes a free one. |",
        "| `--no-persist` | `DUNENA_NO_PERSIST` | off | stands alone | Keep nothing on disk. |",
    ],
)
def test_the_settings_page_lists_default_and_type_of_a_setting(pages: dict[str, str], row: str):
    assert row in pages["settings.md"].splitlines()


def test_the_settings_page_lists_the_choices_of_a_setting(pages: dict[str, str]):
    assert (
        "| `DUNENA_LOG_FORMAT` | `text` | `text`, `json` | Form of log lines."
        in (pages["settings.md"])
    )


def test_the_settings_page_drops_a_default_named_in_the_help_text(pages: dict[str, str]):
    start = "| `--cache-dir` | `CACHE_DIR` | `.cache` | folder | Folder for the values. ("
    assert start in pages["settings.md"]
