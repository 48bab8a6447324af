"""Options as they are typed, and settings that contradict each other."""

import pytest
import typer

from dunena.cli.setting_options import settings_of, with_values
from dunena.setting_table import GivenSettings


@pytest.mark.parametrize(
    ("typed", "parsed"),
    [
        ([], []),
        (["--get-writes"], ["--get-writes", "auto"]),
        (["--get-writes", "--port", "1"], ["--get-writes", "auto", "--port", "1"]),
        (["--port", "1", "--get-writes"], ["--port", "1", "--get-writes", "auto"]),
        (["--get-writes", "a-secret"], ["--get-writes", "a-secret"]),
        (["--get-writes=a-secret", "--port", "1"], ["--get-writes=a-secret", "--port", "1"]),
        (["--token"], ["--token"]),
    ],
)
def test_an_option_that_may_stand_alone_gets_its_value(typed: list[str], parsed: list[str]) -> None:
    assert with_values(typed) == parsed


@pytest.mark.parametrize("secret", ["", "short", "with/a/slash/in-it", "ä" * 20, "1"])
def test_a_secret_that_would_not_do_is_refused_with_what_to_do(secret: str) -> None:
    with pytest.raises(typer.BadParameter, match="--get-writes alone makes one"):
        settings_of(GivenSettings(get_writes=secret), None, None)


def test_the_token_is_no_secret_for_addresses() -> None:
    given = GivenSettings(token="0123456789abcdef", get_writes="0123456789abcdef")
    with pytest.raises(typer.BadParameter, match="the token must not stand in addresses"):
        settings_of(given, None, None)


@pytest.mark.parametrize("text", ["", "uvloop", "uvloop:", ":new", "a b:c", "a:b:c", "a..b:c"])
def test_what_is_no_event_loop_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="MODULE:FUNCTION, such as uvloop"):
        settings_of(GivenSettings(event_loop=text), None, None)
