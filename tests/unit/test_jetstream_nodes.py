"""Which nodes are alive."""

import pytest

from dunena.persistence.jetstream.nodes import (
    NodeTable,
    marker_data,
    marker_fields,
)
from dunena.persistence.jetstream.wire import Message
from dunena.persistence.log import LEASE_MS

START_MS = 1_796_025_600_000


def marker(sequence: int, since: int, second: int, *, gone: bool = False) -> Message:
    headers = {
        "Nats-Sequence": str(sequence),
        "Nats-Time-Stamp": f"2026-11-30T08:00:{second:02}Z",
    }
    if gone:
        headers["KV-Operation"] = "PURGE"
    return Message("", headers, b"" if gone else marker_data(None, since))


@pytest.mark.parametrize(("number", "since"), [(None, 0), (3, 9)])
def test_a_marker_comes_back_from_its_data(number: int | None, since: int) -> None:
    assert marker_fields(marker_data(number, since)) == (number, since)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"1",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"proposal":"1","since":2}',
        b'{"proposal":1,"since":null}',
        b'{"proposal":true,"since":1}',
        b'{"proposal":1,"since":-1}',
        b'{"proposal":1,"since":' + b"9" * 5000 + b"}",
    ],
)
def test_a_marker_of_others_says_nothing(data: bytes) -> None:
    assert marker_fields(data) == (None, 0)


def test_no_marker_is_before_the_first_one() -> None:
    nodes = NodeTable()
    nodes.take("b", marker(5, 10**9, 0))
    assert nodes.since_of("b") == 5


def test_nodes_are_alive_for_the_lease_and_the_longest_known_comes_first() -> None:
    nodes = NodeTable()
    nodes.take("b", marker(5, 0, 0))
    nodes.take("a", marker(9, 0, 5))
    nodes.take("b", marker(12, 5, 6))
    assert nodes.live(START_MS + 6000, "a") == ("b", "a")
    assert nodes.last_sign_of("b") == START_MS + 6000
    assert nodes.last_sign_of("c") is None
    assert nodes.since_of("b") == 5
    assert nodes.since_of("c") == 0
    assert nodes.live(START_MS + 6000 + LEASE_MS, "a") == ("b", "a")
    assert nodes.live(START_MS + 6001 + LEASE_MS, "a") == ("a",)


def test_this_node_is_alive_in_any_case() -> None:
    nodes = NodeTable()
    nodes.take("b", marker(5, 0, 0))
    assert nodes.live(START_MS, "me") == ("b", "me")


def test_a_node_that_says_so_has_gone_until_it_is_back() -> None:
    nodes = NodeTable()
    nodes.take("b", marker(5, 0, 0))
    nodes.take("b", marker(7, 0, 1, gone=True))
    assert nodes.live(START_MS + 1000, "a") == ("a",)
    assert nodes.last_sign_of("b") == START_MS + 1000
    nodes.take("b", marker(8, 0, 2))
    assert nodes.live(START_MS + 2000, "a") == ("b", "a")


def test_all_nodes_have_the_same_rank_whichever_markers_they_saw() -> None:
    early, late = NodeTable(), NodeTable()
    early.take("b", marker(5, 0, 0))
    for nodes in (early, late):
        nodes.take("c", marker(7, 0, 0))
        nodes.take("b", marker(9, 5, 1))
    assert early.live(START_MS + 1000, "b") == late.live(START_MS + 1000, "b") == ("b", "c")


def test_nodes_are_forgotten_after_an_hour() -> None:
    nodes = NodeTable()
    nodes.take("b", marker(5, 0, 0))
    nodes.forget_old(START_MS + 3_600_000)
    assert nodes.last_sign_of("b") is not None
    nodes.forget_old(START_MS + 3_600_001)
    assert nodes.last_sign_of("b") is None
