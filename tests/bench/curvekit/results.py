"""What was measured: kept as JSON, and joined with what other runs have kept."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.bench.speedkit.rounds import Measured, Outcome


class ResultsError(Exception):
    """A text is not what `Results.text` makes; the message says so."""


@dataclass(slots=True)
class Results:
    """``runs``: a heading of each run that they are from, with machine, versions and date.

    ``curves``: by the name of the curve and by x, what each contender came to.
    """

    runs: list[str] = field(default_factory=list)
    curves: dict[str, dict[int, Outcome]] = field(default_factory=dict)

    def text(self) -> str:
        """As JSON."""
        curves = {
            name: {str(x): _plain(outcome) for x, outcome in sorted(points.items())}
            for name, points in self.curves.items()
        }
        return json.dumps({"runs": self.runs, "curves": curves}, indent=1) + "\n"


def parse(text: str) -> Results:
    """What `Results.text` made. Raises `ResultsError`."""
    try:
        data: Any = json.loads(text)
        curves = {
            str(name): {int(x): _outcome(found) for x, found in points.items()}
            for name, points in data["curves"].items()
        }
        return Results([str(run) for run in data["runs"]], curves)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ResultsError("it is not what --json writes") from None


def merged(parts: Iterable[Results]) -> Results:
    """All curves, all points, and at each point the rounds of all parts, one after the other.

    A contender that has figures in one part and a reason for having none in another has figures.
    """
    whole = Results()
    for part in parts:
        whole.runs += part.runs
        for name, points in part.curves.items():
            known = whole.curves.setdefault(name, {})
            for x, outcome in points.items():
                known[x] = joined(known.get(x, {}), outcome)
    return whole


def joined(first: Outcome, second: Outcome) -> Outcome:
    """The rounds of both."""
    outcome: Outcome = {}
    for name in dict.fromkeys((*first, *second)):
        parts = [found[name] for found in (first, second) if name in found]
        results = [result for part in parts for result in part.results]
        reason = "" if results else next((part.reason for part in parts if part.reason), "")
        outcome[name] = Measured(results, reason)
    return outcome


def _plain(outcome: Outcome) -> dict[str, object]:
    return {
        name: measured.reason or [dict(result) for result in measured.results]
        for name, measured in outcome.items()
    }


def _outcome(found: Mapping[str, Any]) -> Outcome:
    return {
        str(name): Measured(reason=rounds)
        if isinstance(rounds, str)
        else Measured([{str(key): float(value) for key, value in one.items()} for one in rounds])
        for name, rounds in found.items()
    }
