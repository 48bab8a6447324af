"""Makes icon.ico and icon.icns from icon.svg: `python packaging/icons.py`, after a change of it.

A browser draws the pictures (Playwright's Chromium, or the one that DUNENA_TEST_BROWSER names), and
Pillow packs them. icon.sha256 says which drawing they were made from, so that a test can tell when
they no longer belong together.
"""

import hashlib
import io
import os
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
DRAWING = HERE / "icon.svg"
ICO = HERE / "icon.ico"
ICNS = HERE / "icon.icns"
MARK = HERE / "icon.sha256"

ICO_SIZES = (16, 24, 32, 48, 64, 128, 256)
ICNS_SIZES = (32, 64, 128, 256, 512, 1024)
"""In pixels, the largest last. Those of an .icns are all that Pillow writes."""


def drawing_hash() -> str:
    """What names the drawing; line ends do not count."""
    svg = DRAWING.read_bytes().replace(b"\r\n", b"\n")
    return f"{hashlib.sha256(svg).hexdigest()}\n"


def draw(svg: str, sizes: set[int]) -> dict[int, Image.Image]:
    """The drawing as pictures without a background, by their width in pixels."""
    from playwright.sync_api import sync_playwright

    pictures: dict[int, Image.Image] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("DUNENA_TEST_BROWSER") or None, args=["--no-sandbox"]
        )
        for size in sorted(sizes):
            page = browser.new_page(viewport={"width": size, "height": size})
            sized = svg.replace("<svg ", f'<svg width="{size}" height="{size}" ', 1)
            page.set_content(f"<style>body{{margin:0}}svg{{display:block}}</style>{sized}")
            png = page.screenshot(omit_background=True)
            pictures[size] = Image.open(io.BytesIO(png))
        browser.close()
    return pictures


def main() -> None:
    """Write all three files."""
    drawn = draw(DRAWING.read_text(encoding="utf-8"), {*ICO_SIZES, *ICNS_SIZES})
    for path, sizes in ((ICO, ICO_SIZES), (ICNS, ICNS_SIZES)):
        *others, largest = (drawn[size] for size in sizes)
        largest.save(path, sizes=[(size, size) for size in sizes], append_images=others)
    MARK.write_text(drawing_hash(), encoding="ascii", newline="\n")


if __name__ == "__main__":
    main()
