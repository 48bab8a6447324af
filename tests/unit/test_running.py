"""The start of a server: the ports that are tried, and what is loaded later."""

import errno
import sys

import pytest

from dunena.cli.running import load_http_api, load_rest, ports_to_try
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


UPGRADE = "dunena.server.http.upgrade"


class NoDescriptors:
    """Finds no module while the process has no descriptor left for its file."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == UPGRADE:
            raise OSError(errno.EMFILE, "Too many open files")


def test_a_server_without_descriptors_starts_and_loads_the_rest_when_needed(
    monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, UPGRADE, raising=False)
        patch.setattr(sys, "meta_path", [NoDescriptors(), *sys.meta_path])
        load_rest(is_everything=False)
        assert UPGRADE not in sys.modules
    assert "Too many open files" in caplog.text
    load_rest(is_everything=False)
    assert UPGRADE in sys.modules


def test_the_first_request_of_kv_needs_no_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "dunena.server.kv_requests", raising=False)
    load_http_api()
    assert "dunena.server.kv_requests" in sys.modules
