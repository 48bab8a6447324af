"""Frames of a page whose animations go on from frame to frame, and the picture made of them.

Drawing a frame takes longer than it is shown, so the browser's own time is of no use: all
animations of the page and of the pages in it stand still, and are moved on by hand.
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page

FRAME_MS = 70
"""14 frames a second: a digit that rolls in 450 ms is in six of them."""

_QUALITY = 82

_SETTLED_MS = 60_000

# Ends are left to the browser: pages wait for them, to take away what has left the picture.
_STEP = """(ms) => {
  const ages = (globalThis.ages ??= new WeakMap());
  const pages = [document, ...[...document.querySelectorAll("iframe")].map(
    (frame) => frame.contentDocument)];
  for (const animation of pages.flatMap((page) => page.getAnimations())) {
    const age = ages.has(animation) ? ages.get(animation) + ms : 0;
    ages.set(animation, age);
    if (age >= animation.effect.getComputedTiming().endTime) animation.finish();
    else animation.currentTime = age;
  }
}"""


def settle(page: "Page") -> None:
    """Let all that moves come to its end, unseen."""
    for _ in range(2):
        page.evaluate(_STEP, _SETTLED_MS)


class Film:
    """The frames of a page, drawn one by one."""

    def __init__(self, page: "Page") -> None:
        self._page = page
        self._frames: list[Image.Image] = []
        self._durations: list[int] = []
        session = page.context.new_cdp_session(page)
        session.send("Animation.enable")
        session.send("Animation.setPlaybackRate", {"playbackRate": 0})
        settle(page)

    def play(self, ms: int) -> None:
        """Draw as many frames as are shown in that time; those that are alike become one."""
        for _ in range(ms // FRAME_MS):
            self._page.evaluate(_STEP, FRAME_MS)
            png = self._page.screenshot(animations="allow")
            frame = Image.open(io.BytesIO(png)).convert("RGB")
            if self._frames and frame.tobytes() == self._frames[-1].tobytes():
                self._durations[-1] += FRAME_MS
            else:
                self._frames.append(frame)
                self._durations.append(FRAME_MS)

    @property
    def duration_ms(self) -> int:
        """How long it is by now."""
        return sum(self._durations)

    def save(self, path: Path, still: Path, still_at_ms: int) -> None:
        """Write it as an animated WebP, and what it shows at one moment as a PNG."""
        first, *others = self._frames
        first.save(
            path,
            save_all=True,
            append_images=others,
            duration=self._durations,
            loop=0,
            quality=_QUALITY,
            method=6,
            minimize_size=True,
        )
        passed = 0
        for frame, duration in zip(self._frames, self._durations, strict=True):
            passed += duration
            if passed > still_at_ms:
                save_png(frame, still)
                return


def save_png(picture: Image.Image, path: Path) -> None:
    """Write a PNG with a palette, which takes a third of the bytes."""
    reduced = picture.quantize(255, Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG)
    reduced.save(path, optimize=True)
