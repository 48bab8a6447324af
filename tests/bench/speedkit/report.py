"""Tables, in Markdown: they read well in a terminal too."""

from collections.abc import Mapping, Sequence

from .machine import LOAD_AVERAGE, OTHERS, STEAL
from .medians import Spread, median, ratios, spread, spread_of
from .rounds import Measured, Outcome
from .workloads import Workload

REFERENCE = "Bun"
"""The contender that the others' ratios are of, unless another one is named."""

NOTHING = "-"

RANGE = "least-most"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are figures."""
    lines = [_row(headings), _row(["---", *["---:"] * (len(headings) - 1)])]
    return "\n".join([*lines, *map(_row, rows)])


def workload_table(
    workload: Workload, outcome: Outcome, absent: Mapping[str, str], compared_with: str = REFERENCE
) -> str:
    """One workload: a row for each contender, those with a reason instead of figures too.

    The first figure and its ratio are told with their least and most of all rounds.
    """
    first, *others = workload.figures
    reference = outcome.get(compared_with, Measured()).results
    headings = [
        "server",
        *(first.heading, RANGE, f"of {compared_with}'s", RANGE),
        *(figure.heading for figure in others),
    ]
    rows = []
    for name, measured in outcome.items():
        if measured.reason:
            rows.append([name, measured.reason, *[""] * (len(headings) - 2)])
            continue
        figures, compared = (
            spread(measured.results, first),
            ratios(measured.results, reference, first),
        )
        cells = [*_middle_and_range(figures, first.places), *_middle_and_range(compared, 2)]
        cells += [number(median(measured.results, figure), figure.places) for figure in others]
        rows.append([name, *cells])
    for name, why in absent.items():
        rows.append([name, f"not here: {why}", *[""] * (len(headings) - 2)])
    noise = noise_line(outcome)
    foot = f"`{workload.name}`{f', {noise}' if noise else ''}"
    return f"### {workload.title}\n\n{table(headings, rows)}\n\n{foot}"


def summary_table(
    outcomes: Mapping[Workload, Outcome],
    absent: Mapping[str, str],
    compared_with: str = REFERENCE,
) -> str:
    """All workloads: each contender's first figure and, in brackets, the ratio to another's.

    Of several rounds the brackets also have the least and the most of the ratios.
    """
    names = list(dict.fromkeys(name for outcome in outcomes.values() for name in outcome))
    rows = []
    for workload, outcome in outcomes.items():
        figure = workload.figures[0]
        reference = outcome.get(compared_with, Measured()).results
        cells = []
        for name in names:
            results = outcome[name].results
            cell = number(median(results, figure), figure.places)
            compared = ratios(results, reference, figure) if name != compared_with else None
            cells.append(f"{cell} ({with_range(compared, 2)})" if compared else cell)
        rows.append([f"{workload.title}: {figure.heading}", *cells, *["not here"] * len(absent)])
    return table(["workload", *names, *absent], rows)


def noise_line(outcome: Outcome) -> str:
    """What else the machine did while a workload was measured; nothing where nobody looked."""
    results = [result for measured in outcome.values() for result in measured.results]
    parts = []
    for field, what in ((STEAL, "steal"), (OTHERS, "other programs")):
        if found := spread_of([result[field] for result in results if field in result]):
            parts.append(f"{what} {found.middle:.1f} % ({found.most:.1f} at most)")
    if found := spread_of([result[LOAD_AVERAGE] for result in results if LOAD_AVERAGE in result]):
        parts.append(f"load average {found.least:.1f} to {found.most:.1f}")
    return ", ".join(parts)


def with_range(found: Spread, places: int) -> str:
    """The middle, and least and most where rounds differ."""
    middle, told = _middle_and_range(found, places)
    return middle if told == NOTHING else f"{middle}: {told}"


def number(value: float | None, places: int) -> str:
    """A figure as it is told."""
    return NOTHING if value is None else f"{value:,.{places}f}"


def _middle_and_range(found: Spread | None, places: int) -> list[str]:
    if found is None:
        return [NOTHING, NOTHING]
    middle = number(found.middle, places)
    if found.is_single:
        return [middle, NOTHING]
    return [middle, f"{number(found.least, places)}-{number(found.most, places)}"]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
