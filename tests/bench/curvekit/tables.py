"""Curves as tables and as charts."""

from collections.abc import Mapping

from tests.bench.speedkit.medians import Spread, median, ratios, spread
from tests.bench.speedkit.report import NOTHING, noise_line, number, table, with_range
from tests.bench.speedkit.rounds import Measured, Outcome
from tests.bench.speedkit.workloads import Figure

from .axes import bytes_label, label
from .charts import Chart, Line
from .curves import Curve, Picture

Points = Mapping[int, Outcome]
"""What was measured of a curve, by x."""


def picture_table(curve: Curve, picture: Picture, points: Points, compared_with: str) -> str:
    """A row for each x: every contender's figure and, in brackets, the ratio to another's."""
    names = _names(points)
    rows = []
    for x, outcome in sorted(points.items()):
        row = [bytes_label(x) if curve.is_bytes else label(x)]
        for name in names:
            reference = {} if name == compared_with else outcome
            row.append(_cell(outcome.get(name), reference.get(compared_with), picture.figure))
        rows.append(row)
    notes = _notes(points)
    text = f"### {picture.title}\n\n{table([curve.axis, *names], rows)}"
    return "\n\n".join([text, *notes])


def chart(curve: Curve, picture: Picture, points: Points) -> Chart:
    """The picture of the same."""
    lines = []
    for name in _names(points):
        found: dict[int, Spread] = {}
        for x, outcome in points.items():
            measured = outcome.get(name, Measured())
            if (told := spread(measured.results, picture.figure)) and told.least > 0:
                found[x] = told
        if found:
            lines.append(Line(name, found))
    axis = curve.axis.replace("`", "")
    return Chart(picture.title, axis, picture.axis, lines, curve.is_bytes)


def _names(points: Points) -> list[str]:
    return list(dict.fromkeys(name for outcome in points.values() for name in outcome))


def _cell(measured: Measured | None, reference: Measured | None, figure: Figure) -> str:
    if measured is None or not measured.results:
        return NOTHING
    text = number(median(measured.results, figure), figure.places)
    compared = ratios(measured.results, reference.results, figure) if reference else None
    return f"{text} ({with_range(compared, 2)})" if compared else text


def _notes(points: Points) -> list[str]:
    """What the machine did besides, and why somebody has no figures."""
    whole: Outcome = {}
    notes = []
    for x, outcome in sorted(points.items()):
        for name, measured in outcome.items():
            whole.setdefault(name, Measured()).results.extend(measured.results)
            if measured.reason:
                notes.append(f"{name} at {x:,}: {measured.reason}")
    noise = noise_line(whole)
    return [noise, *notes] if noise else notes
