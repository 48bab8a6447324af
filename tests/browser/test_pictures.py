"""What `build/dev.py pictures` presses and waits for is still there; the drawing itself is slow."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from playwright.sync_api import Page

from tests.browser.tab import EXPECT_MS
from tests.packaging.made_up import load

if TYPE_CHECKING:
    from playwright.sync_api import Browser

animation = load("picturekit.animation")
frames = load("picturekit.frames")
running_show = load("picturekit.show").running_show
start_screen = load("picturekit.start_screen")


class NoFilm:
    """In the place of a film: nothing is drawn."""

    def __init__(self, page: Page) -> None:
        frames.settle(page)

    def play(self, ms: int) -> None:
        assert ms >= frames.FRAME_MS


@pytest.fixture
def page(browser: "Browser") -> Iterator[Page]:
    opened = browser.new_page()
    opened.set_default_timeout(EXPECT_MS)
    yield opened
    opened.close()


def test_the_panel_is_pressed_and_the_file_is_edited(page: Page) -> None:
    with running_show(animation.COPY) as show:
        show.set(animation.COPY, animation.VALUES)
        page.goto(show.stage("animation"))
        animation.record(page, show, NoFilm)
        assert '"score": 4' in show.file_of(animation.COPY, "home").read_text("utf-8")
        assert page.locator("#text .edited").inner_text() == "4"
        assert page.locator("#phone").bounding_box() is not None


def test_the_start_screen_is_drawn(browser: "Browser", tmp_path: Path) -> None:
    start_screen.make_start_screen_picture(browser, tmp_path)
    with Image.open(tmp_path / "start-screen.webp") as picture:
        assert picture.width > picture.height


def test_a_film_shows_alike_frames_once_and_ends_animations(page: Page, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 60, "height": 40})
    page.set_content(
        "<style>b { animation: go 140ms } @keyframes go { from { margin-left: 20px } }</style>"
    )
    film = frames.Film(page)
    page.evaluate("document.body.innerHTML = '<b>x</b>'")
    film.play(10 * frames.FRAME_MS)
    assert film.duration_ms == 10 * frames.FRAME_MS
    film.save(tmp_path / "film.webp", tmp_path / "still.png", film.duration_ms - 1)
    with Image.open(tmp_path / "film.webp") as moving:
        assert moving.n_frames == 3, "at the start, half way, and from its end on"
    drawn = Image.open(io.BytesIO(page.screenshot())).convert("L")
    with Image.open(tmp_path / "still.png") as still:
        assert still.convert("L").tobytes() == drawn.tobytes()
