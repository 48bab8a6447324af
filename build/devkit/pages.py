"""The pages that are made from the code, written to docs/.

    python3 build/dev.py docs

Runs with the Python of .venv, which has what the commands are made of.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from devkit import cli_page, settings_page

FOLDER = Path(__file__).resolve().parents[2] / "docs"

PAGES: dict[str, Callable[[], str]] = {
    "cli.md": cli_page.page,
    "settings.md": settings_page.page,
}
"""What makes each of them."""


if __name__ == "__main__":
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8", newline="\n")
    sys.exit(0)
