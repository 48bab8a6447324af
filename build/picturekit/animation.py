"""The animation of the README: a press on the panel, the overlay and the file that follow it.

All three are the program's: a server runs, its pages are pressed and looked at, and the file is
read from the disk and written as an editor does.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from picturekit.frames import Film
from picturekit.show import Show, running_show

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FrameLocator, Page

COPY = "scoreboard"

VALUES = {
    "home": {"name": "Foxes", "score": 2, "color": "#2f6fed"},
    "guest": {"name": "Otters", "score": 1, "color": "#e5484d"},
    "clock": {"timer": {"at": 0, "ms": 764_000, "rate": -1, "running": False}},
    "match": {"period": "2nd half", "isShown": True},
    "look": {"theme": "dark", "color": "#f5a623"},
}
"""What the keys of the scoreboard are at first."""

_SIZES = {"scoreboard": (974, 640), "scoreboard-narrow": (480, 616)}
_SCALE = 2
_STILL_AT_MS = 1900
_ROLLING_MS = 1540


def make_animations(browser: "Browser", folder: Path) -> None:
    """Write `scoreboard.webp` and `scoreboard.png`, and both for narrow screens."""
    for name, (width, height) in _SIZES.items():
        with running_show(COPY) as show:
            show.set(COPY, VALUES)
            page = browser.new_page(
                viewport={"width": width, "height": height},
                device_scale_factor=_SCALE,
                color_scheme="dark",
            )
            page.goto(show.stage("animation"))
            film = record(page, show, Film)
            film.save(folder / f"{name}.webp", folder / f"{name}.png", _STILL_AT_MS)
            page.close()


def record(page: "Page", show: Show, make_film: Callable[["Page"], Film]) -> Film:
    """Press and edit on the stage, which the page shows, and return the film of it.

    ``make_film`` begins one when everything is there.
    """
    panel = page.frame_locator("#phone iframe")
    overlay = page.frame_locator("#picture iframe")
    file = show.file_of(COPY, "home")
    panel.locator("#status", has_text="Saved").wait_for()
    _wait_for_score(panel, overlay, 2)
    _show_file(page, file, '"score": 2')
    film = make_film(page)

    page.evaluate("point('phone')")
    film.play(700)
    _press(page, panel, film)
    _wait_for_score(panel, overlay, 3)
    _show_file(page, file, '"score": 3')
    page.evaluate("point('picture')")
    film.play(_ROLLING_MS)

    page.evaluate("point('file')")
    film.play(420)
    written = file.read_text("utf-8").replace('"score": 3', '"score": 4')
    page.evaluate("(text) => showFile(text, 'score')", written)
    film.play(700)
    file.write_text(written, encoding="utf-8")
    page.evaluate("say('saved')")
    _wait_for_score(panel, overlay, 4)
    film.play(_ROLLING_MS + 560)
    return film


def _press(page: "Page", panel: "FrameLocator", film: Film) -> None:
    """Press +1 for the home team, with a finger that is seen."""
    box = panel.get_by_role("button", name="Home plus 1").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.evaluate("([x, y]) => press(x, y)", [x, y])
    film.play(350)
    page.mouse.down()
    film.play(140)
    page.mouse.up()


def _wait_for_score(panel: "FrameLocator", overlay: "FrameLocator", score: int) -> None:
    panel.locator("#home .number", has_text=str(score)).wait_for()
    overlay.locator(f"#home .rolls[data-text='{score}']").wait_for()


def _show_file(page: "Page", file: Path, wanted: str) -> None:
    """Show the file as it is on disk when the change is in it, which is a moment later."""
    while True:
        text = file.read_text("utf-8") if file.exists() else ""
        if wanted in text:
            break
        page.wait_for_timeout(20)
    page.evaluate("(text) => showFile(text)", text)
