"""Makes icon.ico and icon.icns from icon.svg: `python packaging/icons.py`, after a change of it.

A browser draws the pictures (Playwright's Chromium, or the one that DUNENA_TEST_BROWSER names); the
two containers are simple enough to be written here. Each picture says in a text field of its PNG
which drawing it was made from, so that a test can tell when they no longer belong together.
"""

import hashlib
import os
import struct
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
DRAWING = HERE / "icon.svg"
ICO = HERE / "icon.ico"
ICNS = HERE / "icon.icns"

ICO_SIZES = (16, 24, 32, 48, 64, 128, 256)
# Apple's names for the sizes in pixels that an .icns can hold as PNG.
ICNS_SIZES = {b"icp4": 16, b"icp5": 32, b"ic11": 32, b"ic12": 64, b"ic07": 128, b"ic08": 256} | {
    b"ic13": 256,
    b"ic09": 512,
}
SOURCE = b"Source"
"""The keyword of the text field."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_HEAD = len(_PNG_SIGNATURE) + 25  # with the header chunk, which must come first


def drawing_hash(svg: bytes) -> bytes:
    """What stands in the pictures of a drawing; line ends do not count."""
    return hashlib.sha256(svg.replace(b"\r\n", b"\n")).hexdigest().encode()


def marked(png: bytes, mark: bytes) -> bytes:
    """A PNG with a text field after its header (PNG specification, 11.3.3.2)."""
    body = b"tEXt" + SOURCE + b"\0" + mark
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:_PNG_HEAD] + chunk + png[_PNG_HEAD:]


def ico(pictures: dict[int, bytes]) -> bytes:
    """Windows' container: a directory of pictures, then the pictures."""
    directory = struct.pack("<HHH", 0, 1, len(pictures))
    place = len(directory) + 16 * len(pictures)
    bodies = b""
    for size, png in sorted(pictures.items()):
        side = size % 256  # 256 is written as 0
        directory += struct.pack("<BBBBHHII", side, side, 0, 0, 1, 32, len(png), place)
        place += len(png)
        bodies += png
    return directory + bodies


def icns(pictures: dict[int, bytes]) -> bytes:
    """Apple's container: a row of pictures, each after its name and length."""
    body = b"".join(
        kind + struct.pack(">I", 8 + len(pictures[size])) + pictures[size]
        for kind, size in ICNS_SIZES.items()
    )
    return b"icns" + struct.pack(">I", 8 + len(body)) + body


def draw(svg: str, sizes: set[int]) -> dict[int, bytes]:
    """The drawing as PNGs, without a background, by their width in pixels."""
    from playwright.sync_api import sync_playwright

    pictures = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("DUNENA_TEST_BROWSER") or None, args=["--no-sandbox"]
        )
        for size in sorted(sizes):
            page = browser.new_page(viewport={"width": size, "height": size})
            sized = svg.replace("<svg ", f'<svg width="{size}" height="{size}" ', 1)
            page.set_content(f"<style>body{{margin:0}}svg{{display:block}}</style>{sized}")
            pictures[size] = page.screenshot(omit_background=True)
            page.close()
        browser.close()
    return pictures


def main() -> None:
    """Write both files."""
    svg = DRAWING.read_bytes()
    mark = drawing_hash(svg)
    drawn = draw(svg.decode(), {*ICO_SIZES, *ICNS_SIZES.values()})
    pictures = {size: marked(png, mark) for size, png in drawn.items()}
    ICO.write_bytes(ico({size: pictures[size] for size in ICO_SIZES}))
    ICNS.write_bytes(icns(pictures))


if __name__ == "__main__":
    main()
