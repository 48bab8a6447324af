"""Charts of curves as SVG: readable on light and dark pages, and without telling colours apart."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from tests.bench.speedkit.medians import Spread

from .axes import Axis, along, around, bytes_label, label

WIDTH, HEIGHT = 790, 430
LEFT, RIGHT, TOP, BOTTOM = 70, 740, 84, 366
TITLE_Y, LEGEND_Y, AXIS_Y, X_TITLE_Y = 22, 46, 72, 412
LEGEND_GAP, LETTER = 34, 7.6
"""Between two names of the legend, and about the width of a letter, in pixels."""

GREY = "#808080"
"""Readable on white and on dark pages alike."""

COLOURS = ("#3b82f6", "#d97706", "#059669", "#c026d3", "#e11d48")


@dataclass(frozen=True, slots=True)
class Line:
    """One contender: its points by x."""

    name: str
    points: Mapping[int, Spread]


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over two logarithmic axes, and what stands around them."""

    title: str
    x_title: str
    y_title: str
    lines: Sequence[Line]
    is_bytes: bool = False


def svg(chart: Chart) -> str:
    """The picture. Bars behind the points go from the least to the most of all rounds.

    Raises `ValueError` without a point.
    """
    xs = [x for line in chart.lines for x in line.points]
    found = [point for line in chart.lines for point in line.points.values()]
    if not found:
        raise ValueError("there is nothing to draw")
    x_axis = along(xs, is_bytes=chart.is_bytes)
    y_axis = around([value for point in found for value in (point.least, point.most)])
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
            f' font-family="sans-serif" font-size="13" fill="{GREY}">'
        ),
        f"<title>{escape(chart.title)}</title>",
        (
            f'<text x="{LEFT}" y="{TITLE_Y}" font-size="16" font-weight="bold">'
            f"{escape(chart.title)}</text>"
        ),
        *_frame(chart, x_axis, y_axis),
    ]
    legend_x = float(LEFT)
    for number, line in enumerate(chart.lines):
        colour, mark = COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)]
        parts += _line(line, x_axis, y_axis, colour, mark)
        parts.append(_mark(mark, legend_x + 6, LEGEND_Y - 5, colour))
        parts.append(f'<text x="{legend_x + 18:.0f}" y="{LEGEND_Y}">{escape(line.name)}</text>')
        legend_x += LEGEND_GAP + len(line.name) * LETTER
    return "\n".join([*parts, "</svg>", ""])


def _frame(chart: Chart, x_axis: Axis, y_axis: Axis) -> list[str]:
    to_text = bytes_label if chart.is_bytes else label
    middle = (LEFT + RIGHT) / 2
    parts = [
        f'<text x="{LEFT}" y="{AXIS_Y}">{escape(chart.y_title)}</text>',
        (
            f'<text x="{middle:.0f}" y="{X_TITLE_Y}" text-anchor="middle">'
            f"{escape(chart.x_title)}</text>"
        ),
    ]
    for tick in y_axis.ticks:
        y = _y(y_axis, tick)
        parts.append(_rule(f"M{LEFT} {y:.1f}H{RIGHT}"))
        parts.append(_text(LEFT - 8, y + 4.5, label(tick), "end"))
    for tick in x_axis.ticks:
        x = _x(x_axis, tick)
        parts.append(_rule(f"M{x:.1f} {TOP}V{BOTTOM}"))
        parts.append(_text(x, BOTTOM + 20, to_text(tick), "middle"))
    parts.append(f'<path d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}" fill="none" stroke="{GREY}"/>')
    return parts


def _rule(path: str) -> str:
    return f'<path d="{path}" stroke="{GREY}" stroke-opacity="0.25"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(line: Line, x_axis: Axis, y_axis: Axis, colour: str, mark: str) -> list[str]:
    bars, places = [], []
    for x, point in sorted(line.points.items()):
        across = _x(x_axis, x)
        places.append((across, _y(y_axis, point.middle)))
        if not point.is_single:
            low, high = _y(y_axis, point.least), _y(y_axis, point.most)
            bars.append(f"M{across:.1f} {low:.1f}V{high:.1f}")
    course = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts = [f'<polyline points="{course}" fill="none" stroke="{colour}" stroke-width="2"/>']
    if bars:
        path = "".join(bars)
        parts.append(f'<path d="{path}" stroke="{colour}" stroke-width="5" stroke-opacity="0.35"/>')
    return [*parts, *(_mark(mark, x, y, colour) for x, y in places)]


def _x(axis: Axis, value: float) -> float:
    return LEFT + (RIGHT - LEFT) * axis.share(value)


def _y(axis: Axis, value: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * axis.share(value)


MARKS = ("circle", "square", "triangle", "diamond", "cross")

_OUTLINES: Mapping[str, Callable[[float, float], str]] = {
    "square": lambda x, y: f"M{x - 4:.1f} {y - 4:.1f}h8v8h-8z",
    "triangle": lambda x, y: f"M{x:.1f} {y - 5:.1f}l5 9h-10z",
    "diamond": lambda x, y: f"M{x:.1f} {y - 5.5:.1f}l5.5 5.5l-5.5 5.5l-5.5 -5.5z",
    "cross": lambda x, y: f"M{x - 1.5:.1f} {y - 5:.1f}h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5v-3h3.5z",
}


def _mark(mark: str, x: float, y: float, colour: str) -> str:
    if mark == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>'
    return f'<path d="{_OUTLINES[mark](x, y)}" fill="{colour}"/>'
