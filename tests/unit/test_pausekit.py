"""tests/bench/pauses.py and its parts: what they read and print, without a server."""

import pytest

from tests.bench.pausekit.explaining import Sample, during
from tests.bench.pausekit.explaining import parse as parse_samples
from tests.bench.pausekit.probes import Late, ProberError, Waits, parse, without_stolen
from tests.bench.pauses import row

MS = 1_000_000


def test_late_answers_and_figures_are_read():
    waits = parse('late 5000000 1250.5\nlate 9000000 2000.0\n{"count": 7}\n')
    assert waits == Waits([Late(5_000_000, 1250.5), Late(9_000_000, 2000.0)], {"count": 7})
    assert waits.late[0].ended_ns == 6_250_500


@pytest.mark.parametrize("output", ["", "late 5\n{}", "no figures", "late x 1\n{}"])
def test_what_is_no_output_of_the_prober_is_refused(output):
    with pytest.raises(ProberError):
        parse(output)


def test_a_wait_is_the_machines_if_a_witness_was_late_for_half_of_it():
    late = [Late(10 * MS, 4000), Late(20 * MS, 4000), Late(30 * MS, 4000)]
    witnessed = [Late(11 * MS, 2000), Late(20 * MS, 1900), Late(33 * MS, 5000)]
    assert without_stolen(late, witnessed) == late[1:]


def test_samples_are_read_with_their_functions():
    lines = [
        " 123 40.000000001: \n",
        "\tffff1 do_idle ([kernel.kallsyms])\n",
        "\tffff2 main (python)\n",
        "\n",
        " 124 40.000000900: \n",
        "\tffff1 collect (python)\n",
    ]
    assert list(parse_samples(lines)) == [
        Sample(123, 40_000_000_001, ("do_idle", "main")),
        Sample(124, 40_000_000_900, ("collect",)),
    ]


def test_what_threads_did_is_told_by_number_of_samples():
    samples = [
        Sample(1, 50, ("send", "main")),
        Sample(2, 60, ("collect", "run")),
        Sample(2, 70, ("collect", "run")),
        Sample(2, 99, ("later",)),
    ]
    assert during(samples, 50, 70, main=1) == [
        "  thread 2: 2 samples",
        "    in    collect 2",
        "    below collect 2, run 2",
        "  event loop: 1 samples",
        "    in    send 1",
        "    below send 1, main 1",
    ]
    assert during(samples, 0, 10, main=1) == ["  it was not running"]


def test_a_row_counts_pauses_by_length_without_those_of_the_machine():
    ours = [Late(0, 1500.0), Late(5 * MS, 6000.0)]
    waits = Waits([*ours, Late(90 * MS, 12_000.0)], {"count": 3000, "p99_us": 812.0})
    assert row("dunena", waits, ours) == (
        "| dunena | 3 | 2 | 1 | 1 | 0 | 6.0 | 812 | 1, longest 12.0 ms |"
    )
