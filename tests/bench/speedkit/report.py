"""Tables, in Markdown: they read well in a terminal too."""

from collections.abc import Mapping, Sequence

from .medians import median, ratio
from .rounds import Measured, Outcome
from .workloads import Workload

REFERENCE = "Bun"
"""The contender that the others' ratios are of, unless another one is named."""

NOTHING = "-"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are figures."""
    lines = [_row(headings), _row(["---", *["---:"] * (len(headings) - 1)])]
    return "\n".join([*lines, *map(_row, rows)])


def workload_table(
    workload: Workload, outcome: Outcome, absent: Mapping[str, str], compared_with: str = REFERENCE
) -> str:
    """One workload: a row for each contender, those with a reason instead of figures too."""
    first, *others = workload.figures
    reference = outcome.get(compared_with, Measured()).results
    headings = ["server", first.heading, f"of {compared_with}'s", *(f.heading for f in others)]
    rows = []
    for name, measured in outcome.items():
        if measured.reason:
            rows.append([name, measured.reason, *[""] * (len(headings) - 2)])
            continue
        cells = [number(median(measured.results, f), f.places) for f in workload.figures]
        cells.insert(1, number(ratio(measured.results, reference, first), 2))
        rows.append([name, *cells])
    for name, why in absent.items():
        rows.append([name, f"not here: {why}", *[""] * (len(headings) - 2)])
    return f"### {workload.title}\n\n{table(headings, rows)}\n\n`{workload.name}`"


def summary_table(
    outcomes: Mapping[Workload, Outcome],
    absent: Mapping[str, str],
    compared_with: str = REFERENCE,
) -> str:
    """All workloads: each contender's first figure and, in brackets, the ratio to another's."""
    names = list(dict.fromkeys(name for outcome in outcomes.values() for name in outcome))
    rows = []
    for workload, outcome in outcomes.items():
        figure = workload.figures[0]
        reference = outcome.get(compared_with, Measured()).results
        cells = []
        for name in names:
            results = outcome[name].results
            cell = number(median(results, figure), figure.places)
            compared = ratio(results, reference, figure)
            is_compared = compared is not None and name != compared_with
            cells.append(f"{cell} ({number(compared, 2)})" if is_compared else cell)
        rows.append([f"{workload.title}: {figure.heading}", *cells, *["not here"] * len(absent)])
    return table(["workload", *names, *absent], rows)


def number(value: float | None, places: int) -> str:
    """A figure as it is told."""
    return NOTHING if value is None else f"{value:,.{places}f}"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
