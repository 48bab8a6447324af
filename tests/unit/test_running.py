"""The ports that are tried when one is in use."""

from dunena.cli.running import ports_to_try
from dunena.cli.start_mode import DOUBLE_CLICKED, TYPED


def test_only_the_given_port_is_tried_from_a_command_line() -> None:
    assert list(ports_to_try(3000, TYPED)) == [3000]


def test_a_double_click_tries_nearby_ports_then_distant_ones() -> None:
    ports = list(ports_to_try(3000, DOUBLE_CLICKED))
    assert ports[:20] == list(range(3000, 3020))
    assert ports[20:22] == [3100, 3200]
    assert ports[-1] == 4000


def test_no_port_above_65535_is_tried() -> None:
    assert list(ports_to_try(65_530, DOUBLE_CLICKED)) == list(range(65_530, 65_536))
