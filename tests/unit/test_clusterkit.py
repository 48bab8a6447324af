"""tests/bench/clusterkit: medians, ratios, aims and the command line, without a server."""

import sys
from dataclasses import fields

import pytest

from tests.bench.clusterkit.figures import (
    AFTER,
    AIMS,
    DUNENA_GETS,
    GETS,
    PACED_P50,
    PEAK,
    RAW,
    READY,
    SHAPES,
    WRITES,
    Readings,
    Row,
    aims_table,
    folder,
    longest_gap,
    percentile,
    shared,
    spread,
)


@pytest.fixture
def readings():
    return Readings()


def note(readings, row, column, *values):
    for value in values:
        readings.add(row, column, value)


class TestArithmetic:
    @pytest.mark.parametrize(
        ("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1), (0.995, 100)]
    )
    def test_percentile_is_the_nearest_rank(self, share, expected):
        assert percentile(list(range(100, 0, -1)), share) == expected

    def test_percentile_of_one_value_is_it(self):
        assert percentile([7], 0.99) == 7

    def test_longest_gap_is_between_two_that_follow_each_other(self):
        assert longest_gap([1, 2, 7, 9]) == 5

    @pytest.mark.parametrize("times", [[], [3]])
    def test_longest_gap_of_fewer_than_two_is_none(self, times):
        assert longest_gap(times) == 0

    @pytest.mark.parametrize(
        ("values", "text"), [([], "-"), ([1234.5], "1,234.5"), ([3, 1, 2], "2.0 (1.0 to 3.0)")]
    )
    def test_spread_is_the_median_with_the_extremes(self, values, text):
        assert spread(values, 1) == text


class TestReadings:
    def test_table_has_a_line_for_each_row_that_was_measured(self, readings):
        note(readings, GETS, shared("a"), 2, 4, 3)
        note(readings, PACED_P50, RAW, 1)
        lines = readings.table([shared("a"), RAW]).splitlines()
        assert lines == [
            f"|  | {shared('a')} | {RAW} |",
            "| --- | ---: | ---: |",
            f"| {GETS.title} | 3.00 (2.00 to 4.00) | - |",
            f"| {PACED_P50.title} | - | 1.0 |",
        ]

    def test_plain_has_all_figures_by_their_titles(self, readings):
        note(readings, GETS, "x", 2, 4)
        assert readings.plain() == {GETS.title: {"x": [2, 4]}}

    def test_rows_of_the_table_differ(self):
        rows = [
            row
            for rows in WRITES.values()
            for row in (getattr(rows, field.name) for field in fields(rows))
        ]
        assert len(set(rows)) == len(rows) == 7 * len(SHAPES)

    def test_ratio_compares_the_same_rounds(self, readings):
        # The medians' own ratio would be 1: the second round was slow for both.
        note(readings, GETS, "x", 2, 30, 4)
        note(readings, GETS, "y", 1, 15, 2)
        assert readings.ratio((GETS, "x"), (GETS, "y")) == 2

    @pytest.mark.parametrize("other", [[], [0]])
    def test_ratio_to_nothing_is_none(self, readings, other):
        note(readings, GETS, "x", 1)
        note(readings, GETS, "y", *other)
        assert readings.ratio((GETS, "x"), (GETS, "y")) is None


class TestAims:
    def test_a_ratio_is_that_to_the_other_column(self, readings):
        note(readings, PACED_P50, shared("a"), 3)
        note(readings, PACED_P50, RAW, 2)
        assert aims_table(readings, ["a"]).splitlines()[2:] == [
            f"| p50 at 50 writes a second, of that of {RAW} | 1.5 | 1.50 |"
        ]

    def test_a_read_is_compared_with_the_folder_of_the_same_dunena(self, readings):
        for name, value in (("a", 2), ("b", 3)):
            note(readings, GETS, shared(name), value)
            note(readings, GETS, folder(name), 2)
        (line,) = aims_table(readings, ["a", "b"]).splitlines()[2:]
        assert line.endswith("| 1.05 | 1.00 | 1.50 |")

    def test_each_aim_is_told_once_all_is_measured(self, readings):
        others = WRITES[SHAPES[-1]].others
        for row in (PACED_P50, others, READY, PEAK, AFTER, GETS, DUNENA_GETS):
            for column in (shared("a"), folder("a"), RAW):
                note(readings, row, column, 1)
        assert len(aims_table(readings, ["a"]).splitlines()) == 2 + len(AIMS)

    def test_nothing_measured_is_nothing_told(self, readings):
        note(readings, Row("other"), RAW, 1)
        assert not aims_table(readings, ["a"])


@pytest.mark.skipif(sys.platform != "linux", reason="it starts NATS servers and chooses cores")
class TestCommand:
    @pytest.fixture
    def main(self):
        from tests.bench.clusterkit.command import main  # its servers need Linux

        return main

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            (["--variant", "mine"], "a variant is NAME=PYTHON"),
            (["--dunena", "abacus"], "abacus is unknown; there are dunena"),
            (["--variant", "mine=no-such-python"], "no-such-python is no program"),
        ],
    )
    def test_main_refuses_what_cannot_be_measured(self, main, arguments, text, capsys):
        assert main(arguments) == 2
        assert text in capsys.readouterr().err

    @pytest.mark.parametrize("arguments", [["--only", "abacus"], ["--rounds", "0"]])
    def test_main_refuses_wrong_usage(self, main, arguments, capsys):
        with pytest.raises(SystemExit) as raised:
            main(arguments)
        assert raised.value.code == 2
        assert "usage" in capsys.readouterr().err
