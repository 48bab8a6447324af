"""A picture of the test page while nothing is stored: the cards of templates."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from dunena.templates.catalogue import TEMPLATES
from picturekit.show import running_show

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_SIZE = (1240, 790)
_SCALE = 1.5
_QUALITY = 78
_ROLLED_MS = 500
"""After a score has changed its digit has rolled in, and the next change is not yet due."""


def make_start_screen_picture(browser: "Browser", folder: Path) -> None:
    """Write `start-screen.webp`."""
    width, height = _SIZE
    with running_show() as show:
        page = browser.new_page(
            viewport={"width": width, "height": height},
            device_scale_factor=_SCALE,
            color_scheme="light",
        )
        page.goto(f"{show.url}/test")
        previews = page.locator("#start iframe")
        previews.nth(len(TEMPLATES) - 1).scroll_into_view_if_needed()
        page.wait_for_load_state("networkidle")
        page.mouse.wheel(0, -height)
        board = page.frame_locator("iframe[src*='scoreboard']")
        board.locator("#guest .rolls[data-text='1']").wait_for()
        page.wait_for_timeout(_ROLLED_MS)
        picture = Image.open(io.BytesIO(page.screenshot()))
        picture.convert("RGB").save(folder / "start-screen.webp", quality=_QUALITY, method=6)
        page.close()
