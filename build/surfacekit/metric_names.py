"""The promises of `/metrics`: the names of the server's own figures, with their labels."""

from dunena.histogram import Histogram
from dunena.server.status.figures import FIGURES
from dunena.server.status.metrics import Collector, MetricValues, durations_of
from surfacekit.facts import PART, Surface, values_of


def surface() -> Surface:
    """Return the promises of all metrics but those of the process and of Python."""
    nothing = durations_of(Histogram())
    values = MetricValues([0] * len(FIGURES), {("", ""): 0}, nothing, nothing)
    found: Surface = {}
    for metric in Collector(values).collect():
        for sample in metric.samples:
            found[sample.name] = {"kind": metric.type}
            found |= {f"{sample.name}{PART}{label}": {} for label in sample.labels}
    for figure in FIGURES:
        label, value = figure.label
        for name in figure.metrics if label else ():
            place = f"dunena_{name}{'_total' if figure.kind == 'counter' else ''}{PART}{label}"
            found |= values_of(place, [value])
    return found
