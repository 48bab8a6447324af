"""The log lines of refused clients."""

import logging

import pytest

from dunena.server.access.refusals import NAMES_MAX, PERIOD_SECONDS, Refusals, origin_option
from dunena.settings import Settings


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.seconds = 5.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def refusals(clock: Clock, caplog: pytest.LogCaptureFixture) -> Refusals:
    caplog.set_level(logging.WARNING)
    return Refusals(Settings(), 3000, clock)


def test_a_refused_host_is_logged_once_per_period(refusals, clock, caplog) -> None:
    for _ in range(3):
        refusals.tell_host("show.example:3000", "show.example")
    assert len(caplog.messages) == 1
    clock.seconds += PERIOD_SECONDS
    refusals.tell_host("show.example:3000", "show.example")
    assert len(caplog.messages) == 2
    assert all("--allow-host show.example" in line for line in caplog.messages)


def test_many_refusals_of_one_kind_do_not_hide_another_kind(refusals, caplog) -> None:
    for number in range(3 * NAMES_MAX):
        refusals.tell_origin(f"http://site-{number}.example")
    assert len(caplog.messages) == NAMES_MAX
    refusals.tell_origin("null")
    refusals.tell_host("show.example", "show.example")
    assert len(caplog.messages) == NAMES_MAX + 2


@pytest.mark.parametrize(
    "origin",
    ["null", "file://", "app://", "app://.", "capacitor://localhost", "https://a.example:8443",
     "chrome-extension://abc", "http://[fe80::1]:80", "https://a.example/"],
)  # fmt: skip
def test_origin_option_recommends_a_valid_origin(origin: str) -> None:
    assert origin_option(origin) == f"--allow-origin {origin}"


@pytest.mark.parametrize(
    "origin",
    ["", "*", "NULL", "a b", "http://a,http://b", "http://a;rm -rf .", "http://$(id)", "http://`id`",
     "http://a\x1b", "http://a&b", "-x://a", "http://\xff", "//a", "http://" + "a" * 500],
)  # fmt: skip
def test_an_invalid_or_unsafe_origin_is_not_recommended(refusals, caplog, origin: str) -> None:
    assert origin_option(origin) is None
    refusals.tell_origin(origin)
    (line,) = caplog.messages
    assert "--allow" not in line
    assert line.isprintable()


@pytest.mark.parametrize("name", ["\x1b[31m", "a\r\nb", "\x9b31m\x85", "http://" + "a" * 60_000])
def test_a_name_of_a_client_is_logged_short_and_printable(refusals, caplog, name: str) -> None:
    refusals.tell_origin(name)
    refusals.tell_get_write_of_page(name)
    refusals.tell_cross_site(name)
    refusals.tell_host(name, None)
    refusals.tell_slow_reader(name, "its answers")
    refusals.tell_file(name, "may not be read", "to serve it: let it be read")
    assert len(caplog.messages) == 6
    for line in caplog.messages:
        assert line.isprintable()
        assert len(line) < 500


@pytest.mark.parametrize("host", ["", "localhost:1@a.example", "$(id)", "\x1b[31m"])
def test_an_invalid_host_is_not_recommended(refusals, caplog, host: str) -> None:
    refusals.tell_host(host, None)
    (line,) = caplog.messages
    assert "--allow" not in line
    assert line.isprintable()


def test_every_other_refusal_is_logged_with_a_remedy(refusals, caplog) -> None:
    refusals.tell_cross_site("/cache/k")
    refusals.tell_guesser("192.0.2.1")
    refusals.tell_crowd("192.0.2.1", 1000)
    refusals.tell_full(10_000)
    refusals.tell_rate("192.0.2.1", 50)
    refusals.tell_rate("", 50)
    refusals.tell_file("/www/a.html", "may not be read", "to serve it: let it be read")
    remedies = (
        "--allow-origin", "the right one", "--max-connections-per-address", "ulimit -n", "--rate",
        "--rate", "to serve it",
    )  # fmt: skip
    for line, remedy in zip(caplog.messages, remedies, strict=True):
        assert remedy in line
