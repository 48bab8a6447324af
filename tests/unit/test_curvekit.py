"""tests/bench/curvekit: curves, axes, charts, joining runs and the command line."""

import json
import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from tests.bench.curvekit import axes, charts, starting, tables
from tests.bench.curvekit.charts import Chart, Line
from tests.bench.curvekit.command import main
from tests.bench.curvekit.curves import CURVES, named, only_at
from tests.bench.curvekit.results import Results, ResultsError, merged, parse
from tests.bench.speedkit.contenders import bun, dunena
from tests.bench.speedkit.medians import Spread
from tests.bench.speedkit.rounds import Measured

SVG = "{http://www.w3.org/2000/svg}"


def runs(*cpu_us):
    return Measured([{"cpu_us": float(value)} for value in cpu_us])


class TestCurves:
    def test_names_of_curves_and_pictures_are_unique(self):
        assert len({curve.name for curve in CURVES}) == len(CURVES)
        pictures = [picture.name for curve in CURVES for picture in curve.pictures]
        assert len({*pictures}) == len(pictures)

    def test_named_keeps_the_order_of_the_curves(self):
        assert named(["value", "keys"]) == named(["keys", "value"])
        assert named(None) == list(CURVES)

    def test_named_raises_for_an_unknown_name(self):
        with pytest.raises(KeyError, match="abacus"):
            named(["abacus"])

    def test_points_grow(self):
        for curve in CURVES:
            assert all(before < after for before, after in pairwise(curve.xs))
            assert len({curve.point(x).name for x in curve.xs}) == len(curve.xs)

    def test_dunena_can_do_all_and_bun_all_but_starting_on_keys(self):
        for curve in CURVES:
            for x in curve.xs:
                assert dunena().talk(curve.point(x))
                if not curve.is_start:
                    assert bun(None).talk(curve.point(x))
        assert starting.can_start(dunena())
        assert not starting.can_start(bun(None))

    def test_keys_have_numbers_that_the_load_generator_can_write(self):
        for curve in CURVES:
            assert all(curve.point(x).keys <= 10**6 for x in curve.xs)

    @pytest.mark.parametrize(
        ("name", "limit", "last"),
        [
            ("connections", 100_000, [10_000, 20_000]),
            ("connections", 19_900, [10_000, 19_900]),
            ("connections", 10_000, [3000, 10_000]),
            # One of them is the publisher's.
            ("subscribers", 924, [300, 923]),
            ("keys", 924, [100_000, 1_000_000]),
        ],
    )
    def test_a_curve_ends_where_the_machine_allows_no_more_connections(self, name, limit, last):
        (curve,) = named([name])
        assert curve.reachable(lambda wanted: min(wanted, limit))[-2:] == last

    def test_a_curve_can_be_measured_at_some_of_its_points_alone(self):
        (curve,) = named(["connections"])
        assert only_at(curve, [20_000, 1, 5]).xs == (1, 20_000)
        assert only_at(curve, None) == curve


class TestAxes:
    @pytest.mark.parametrize(
        ("values", "least", "most", "ticks"),
        [
            ([1.3, 7], 1, 10, (1, 2, 5, 10)),
            ([0.04, 0.3], 0.02, 0.5, (0.02, 0.05, 0.1, 0.2, 0.5)),
            ([2, 2], 2, 5, (2, 5)),
            ([7, 7], 5, 10, (5, 10)),
            ([9, 90_000], 5, 100_000, (10, 100, 1000, 10_000, 100_000)),
        ],
    )
    def test_an_axis_begins_and_ends_at_marks_around_the_values(self, values, least, most, ticks):
        axis = axes.around(values)
        assert (axis.least, axis.most, axis.ticks) == (least, most, ticks)

    def test_an_axis_along_values_has_powers_of_ten(self):
        assert axes.along([1, 20_000]).ticks == (1, 10, 100, 1000, 10_000)
        assert axes.along([10, 10**6]).ticks == (10, 100, 1000, 10_000, 100_000, 1_000_000)

    def test_an_axis_of_sizes_has_powers_of_sixteen(self):
        axis = axes.along([16, 4 << 20], is_bytes=True)
        assert [axes.bytes_label(tick) for tick in axis.ticks] == [
            "16 B", "256 B", "4 KB", "64 KB", "1 MB",
        ]  # fmt: skip

    def test_an_axis_of_a_single_value_has_it_in_the_middle(self):
        axis = axes.along([64])
        assert axis.ticks == (64,)
        assert axis.share(64) == pytest.approx(0.5)

    def test_equal_ratios_are_equally_far_apart(self):
        axis = axes.Axis(1, 100, ())
        assert [axis.share(value) for value in (1, 10, 100)] == pytest.approx([0, 0.5, 1])

    @pytest.mark.parametrize(
        ("value", "text"), [(0.05, "0.05"), (1, "1"), (20, "20"), (1_000_000, "1,000,000")]
    )
    def test_label_formats_numbers(self, value, text):
        assert axes.label(value) == text

    @pytest.mark.parametrize(
        ("value", "text"), [(16, "16 B"), (1024, "1 KB"), (4 << 20, "4 MB"), (0.5, "0.5 B")]
    )
    def test_bytes_label_formats_sizes(self, value, text):
        assert axes.bytes_label(value) == text


def luminance(colour):
    """Relative luminance, as WCAG 2.2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


class TestCharts:
    CHART = Chart(
        "What a <get> costs",
        "connections",
        "CPU us",
        [
            Line("dunena", {1: Spread(20, 18, 25), 100: Spread(7, 7, 7), 10: Spread(9, 8, 9)}),
            Line("Bun & others", {1: Spread(15, 15, 15), 100: Spread(6, 6, 6)}),
        ],
    )

    def test_a_chart_is_an_svg_with_its_title_axes_and_legend(self):
        root = ET.fromstring(charts.svg(self.CHART))
        texts = [element.text for element in root.iter(f"{SVG}text")]
        for text in ("What a <get> costs", "connections", "CPU us", "dunena", "Bun & others"):
            assert text in texts
        for tick in ("1", "10", "100", "5", "20", "50"):
            assert tick in texts
        assert root.find(f"{SVG}title").text == self.CHART.title
        assert root.get("role") == "img"

    def test_each_line_goes_through_its_points_from_left_to_right(self):
        root = ET.fromstring(charts.svg(self.CHART))
        lines = [
            [tuple(map(float, pair.split(","))) for pair in element.get("points").split()]
            for element in root.iter(f"{SVG}polyline")
        ]
        assert [len(line) for line in lines] == [3, 2]
        (left, high), (_, middle), (right, low) = lines[0]
        assert (left, right) == (charts.LEFT, charts.RIGHT)
        assert charts.TOP <= high < middle < low <= charts.BOTTOM  # cost falls, and y with it

    def test_points_have_bars_from_the_least_to_the_most_where_rounds_differ(self):
        drawn = charts.svg(self.CHART)
        (bars,) = re.findall(r'd="([^"]+)" stroke="#\w+" stroke-width="5"', drawn)
        assert bars.count("M") == 2

    def test_there_is_room_for_the_last_number_of_an_axis(self):
        for curve in CURVES:
            line = Line("dunena", {x: Spread(1, 1, 1) for x in curve.xs})
            root = ET.fromstring(charts.svg(Chart("a", "b", "c", [line], curve.is_bytes)))
            for text in root.iter(f"{SVG}text"):
                if text.get("text-anchor") == "middle":
                    width = charts.LETTER * len(text.text)
                    assert float(text.get("x")) + width / 2 <= charts.WIDTH

    def test_contenders_have_marks_of_different_forms(self):
        drawn = charts.svg(self.CHART)
        assert drawn.count("<circle") == 3 + 1
        assert drawn.count('h8v8h-8z" fill') == 2 + 1

    def test_a_chart_without_a_point_raises_value_error(self):
        with pytest.raises(ValueError, match="nothing to draw"):
            charts.svg(Chart("a", "b", "c", [Line("dunena", {})]))

    @pytest.mark.parametrize("page", ["#ffffff", "#1e2129", "#0d1117"])
    def test_colours_stand_out_from_light_and_dark_pages(self, page):
        # WCAG 2.2 asks for 3 to 1 for graphical objects (1.4.11).
        for colour in (charts.GREY, *charts.COLOURS):
            assert contrast(colour, page) >= 3, colour

    def test_there_is_a_mark_for_each_colour(self):
        assert len({*charts.MARKS}) == len({*charts.COLOURS}) == len(charts.MARKS)


class TestResults:
    def test_results_are_read_as_they_were_written(self):
        written = Results(["today"], {"keys": {10: {"dunena": runs(1, 2)}, 9: {"Bun": runs(3)}}})
        assert parse(written.text()) == written

    def test_a_reason_is_kept(self):
        written = Results([], {"keys": {10: {"Bun": Measured(reason="has no such request")}}})
        assert parse(written.text()) == written

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[]",
            "{}",
            '{"runs": [], "curves": {"keys": 1}}',
            '{"runs": [], "curves": {"a": {"b": {}}}}',
        ],
    )
    def test_other_texts_raise_results_error(self, text):
        with pytest.raises(ResultsError, match="not what --json writes"):
            parse(text)

    def test_merged_has_all_curves_points_and_rounds(self):
        one = Results(["a"], {"keys": {10: {"dunena": runs(1), "Bun": runs(2)}}})
        two = Results(["b"], {"keys": {10: {"dunena": runs(3), "x": runs(4)}, 20: {"x": runs(5)}}})
        three = Results(["c"], {"value": {16: {"x": runs(6)}}})
        whole = merged([one, two, three])
        assert whole.runs == ["a", "b", "c"]
        assert whole.curves == {
            "keys": {
                10: {"dunena": runs(1, 3), "Bun": runs(2), "x": runs(4)},
                20: {"x": runs(5)},
            },
            "value": {16: {"x": runs(6)}},
        }
        assert one.curves["keys"][10]["dunena"] == runs(1)

    def test_figures_win_over_a_reason_for_having_none(self):
        failed = Results([], {"keys": {10: {"Bun": Measured(reason="failed: no memory")}}})
        went = Results([], {"keys": {10: {"Bun": runs(1)}}})
        assert merged([failed, went]).curves["keys"][10] == {"Bun": runs(1)}
        assert merged([failed, failed]).curves["keys"][10]["Bun"].reason == "failed: no memory"


class TestTables:
    @pytest.fixture
    def points(self):
        return {
            100: {"dunena": runs(3, 5, 4), "Bun": runs(2, 2, 2)},
            10: {"dunena": runs(6), "Bun": Measured(reason="failed: no memory")},
        }

    def test_a_table_has_a_row_for_each_point_with_the_range_of_its_ratios(self, points):
        (curve,) = named(["keys"])
        rows = tables.picture_table(curve, curve.pictures[0], points, "Bun").splitlines()
        assert rows[4:] == [
            "| 10 | 6.00 | - |",
            "| 100 | 4.00 (2.00: 1.50-2.50) | 2.00 |",
            "",
            "Bun at 10: failed: no memory",
        ]

    def test_a_chart_has_a_line_for_each_contender_with_figures(self, points):
        (curve,) = named(["keys"])
        chart = tables.chart(curve, curve.pictures[0], points)
        assert chart.lines == [
            Line("dunena", {100: Spread(4, 3, 5), 10: Spread(6, 6, 6)}),
            Line("Bun", {100: Spread(2, 2, 2)}),
        ]
        memory = tables.chart(curve, curve.pictures[1], points)
        assert memory.lines == []

    def test_sizes_are_told_in_units_of_bytes(self):
        (curve,) = named(["value"])
        text = tables.picture_table(curve, curve.pictures[0], {4096: {"dunena": runs(1)}}, "Bun")
        assert "| 4 KB | 1.00 |" in text


def test_status_kb_is_a_field_of_the_process_or_says_that_it_ended():
    status = "Name:\tdunena\nVmHWM:\t  52000 kB\nVmRSS:\t  51000 kB\n"
    assert starting.status_kb(status, "VmRSS") == 51000
    with pytest.raises(RuntimeError, match="it ended"):
        starting.status_kb("Name:\tdunena\nState:\tZ (zombie)\n", "VmRSS")


class TestCommand:
    def test_list_names_all_curves_and_servers(self, capsys):
        assert main(["--list", "--variant", "mine=python"]) == 0
        output = capsys.readouterr().out
        assert all(curve.name in output for curve in CURVES)
        assert "servers: dunena, mine, Bun\n" in output

    @pytest.mark.parametrize("option", ["--only", "--contender"])
    def test_main_refuses_an_unknown_name(self, option, capsys):
        assert main([option, "abacus"]) == 2
        assert "abacus is unknown" in capsys.readouterr().err

    def test_main_refuses_a_file_that_has_no_results(self, tmp_path, capsys):
        assert main(["--from-json", str(tmp_path / "gone.json")]) == 2
        assert "gone.json" in capsys.readouterr().err

    def test_runs_that_were_kept_are_joined_told_and_drawn(self, tmp_path, capsys):
        files = []
        for number, name in enumerate(("keys", "keys", "value")):
            points = {16: {"dunena": runs(4), "Bun": runs(2)}}
            files.append(tmp_path / f"{number}.json")
            files[-1].write_text(Results([f"run of {name}"], {name: points}).text())
        pictures, kept = tmp_path / "pictures", tmp_path / "all.json"
        joined = ["--from-json", *map(str, files), "--json", str(kept)]
        assert main([*joined, "--pictures", str(pictures)]) == 0
        output = capsys.readouterr().out
        assert (output.count("- run of keys"), output.count("- run of value")) == (2, 1)
        assert output.count("| 16 | 4.00 (2.00) | 2.00 |") == 1
        assert output.count("| 16 B | 4.00 (2.00) | 2.00 |") == 1
        # Nothing was measured of memory.
        names = sorted(path.name for path in pictures.iterdir())
        assert names == ["curve-keys.svg", "curve-value.svg"]
        assert len(json.loads(kept.read_text())["curves"]["keys"]["16"]["dunena"]) == 2
