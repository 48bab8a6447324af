"""What came of a suite's tests, judged by the list of what Wine cannot do."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from winekit.beyond import name_in
from winekit.results import FAILED, PASSED, SKIPPED, STARTED, Result


@dataclass(slots=True)
class Report:
    """The ids of tests by what came of them; `untrue` are names of the list whose tests passed."""

    passed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    hung: list[str] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether every failure is one that the list expects, and some test ran."""
        return not self.failed and not self.hung and bool(self.passed or self.listed)

    def counts(self) -> str:
        """The numbers in one line."""
        unexpected = len(self.failed) + len(self.hung)
        return (
            f"{len(self.passed)} passed, {unexpected} failed, {len(self.skipped)} skipped, "
            f"{len(self.listed)} listed"
        )

    def complaints(self) -> list[str]:
        """A line for each test that failed against expectation, and each name to take out."""
        return [
            *(f"failed: {test}" for test in self.failed),
            *(f"hung or ended its process: {test}" for test in self.hung),
            *(f"listed, but passes: {name}" for name in self.untrue),
        ]


def judge(results: Iterable[Result], beyond: Mapping[str, str]) -> Report:
    """The report of results in the order they were written: pairs of a test's id and an outcome.

    A test that was started and has no other outcome is one that its process did not survive.
    """
    outcomes = dict(results)
    report = Report()
    seen: dict[str, bool] = {}
    for test, outcome in outcomes.items():
        name = name_in(beyond, test)
        has_failed = outcome in (FAILED, STARTED)
        if name is not None and outcome != SKIPPED:
            seen[name] = seen.get(name, False) or has_failed
        if has_failed and name is not None:
            report.listed.append(test)
        elif outcome == STARTED:
            report.hung.append(test)
        else:
            _list_of(report, outcome).append(test)
    report.untrue = [name for name, has_failed in seen.items() if not has_failed]
    return report


def _list_of(report: Report, outcome: str) -> list[str]:
    return {PASSED: report.passed, SKIPPED: report.skipped, FAILED: report.failed}[outcome]
