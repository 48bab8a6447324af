"""QR codes as pictures and as lines."""

import re
import sys
import xml.etree.ElementTree as ET

import pytest
import segno

from dunena.qr_code import BORDER_MODULES, TEXT_BYTES_MAX, TextTooLongError, qr_lines, qr_svg

ADDRESS = "http://192.168.1.10:3000/invite/0123456789abcdefghijkl"
SVG = "{http://www.w3.org/2000/svg}"


def expected(text: str) -> list[list[int]]:
    code = segno.make(text, error="m", micro=False)
    return [list(row) for row in code.matrix_iter(border=BORDER_MODULES)]


@pytest.mark.parametrize("text", ["a", ADDRESS, "Größe", "x" * TEXT_BYTES_MAX])
def test_the_picture_has_the_modules_of_the_code(text: str) -> None:
    rows = expected(text)
    picture = ET.fromstring(qr_svg(text))
    ground, code = picture.findall(f"{SVG}path")
    assert picture.get("viewBox") == f"0 0 {len(rows)} {len(rows)}"
    assert (ground.get("fill"), code.get("fill")) == ("#fff", "#000"), "in the dark too"
    drawn = [[0] * len(rows) for _ in rows]
    for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v1h-\3z", code.get("d", "")):
        for column in range(int(x), int(x) + int(width)):
            drawn[int(y)][column] = 1
    assert drawn == rows


def test_the_lines_have_two_rows_of_modules_each() -> None:
    rows = expected(ADDRESS)
    lines = qr_lines(ADDRESS)
    halves = {" ": (0, 0), "▀": (1, 0), "▄": (0, 1), "█": (1, 1)}
    drawn = [[halves[mark][half] for mark in line] for line in lines for half in (0, 1)]
    assert drawn[: len(rows)] == rows
    assert not any(any(row) for row in drawn[len(rows) :])
    assert {len(line) for line in lines} == {len(rows)}


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(TextTooLongError):
        qr_svg("ä" * (TEXT_BYTES_MAX // 2 + 1))
    with pytest.raises(TextTooLongError):
        qr_lines("x" * (TEXT_BYTES_MAX + 1))


def test_a_text_is_no_markup() -> None:
    assert b"script" not in qr_svg("</svg><script>alert(1)</script>")


def test_the_pictures_of_the_library_are_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    # In the executable nothing is in their place (packaging/plan.py).
    monkeypatch.setattr(sys.modules["segno"], "writers", None)
    assert qr_svg(ADDRESS)
    assert qr_lines(ADDRESS)
