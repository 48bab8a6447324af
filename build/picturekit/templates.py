"""A picture of each template: its overlay as it looks on air, and its panel on a phone."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from dunena.templates.catalogue import TEMPLATES, read_template
from picturekit.animation import VALUES
from picturekit.frames import settle
from picturekit.show import running_show

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_SIZE = (724, 316)
_SCALE = 1.5
_QUALITY = 78

_ON_AIR: dict[str, dict[str, Any]] = {
    "scoreboard": VALUES,
    "lower-third": {"title": {"name": "Ada Lovelace", "role": "First programmer", "isShown": True}},
    "countdown": {"clock": {"timer": {"at": 0, "ms": 154_000, "rate": -1, "running": False}}},
    "poll": {"votes": {"a": 14, "b": 9, "c": 2}},
    "buzzer": {
        "player-1": {"name": "Ada"},
        "player-2": {"name": "Grace"},
        "player-3": {"name": "Linus"},
        "presses": [{"player": "player-2", "name": "Grace"}, {"player": "player-1", "name": "Ada"}],
        "scores": {"Grace": 3, "Ada": 2, "Linus": 1},
    },
    "ticker": {},
}
"""What differs from the values that a new copy begins with."""


def make_template_pictures(browser: "Browser", folder: Path) -> None:
    """Write `template-<name>.webp` for each."""
    width, height = _SIZE
    with running_show(*TEMPLATES) as show:
        for name in TEMPLATES:
            show.set(name, read_template(name).values | _ON_AIR[name])
            page = browser.new_page(
                viewport={"width": width, "height": height},
                device_scale_factor=_SCALE,
                color_scheme="dark",
            )
            page.goto(f"{show.stage('template')}#{name}")
            page.frame_locator("#panel").locator("#status", has_text="Saved").wait_for()
            page.wait_for_load_state("networkidle")
            settle(page)
            png = page.screenshot(omit_background=True)
            picture = Image.open(io.BytesIO(png))
            picture.save(folder / f"template-{name}.webp", quality=_QUALITY, method=6)
            page.close()
