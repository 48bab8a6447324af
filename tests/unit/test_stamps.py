"""dunena/persistence/disk/stamps.py: the stamps of files, packed."""

import struct

import pytest

from dunena.persistence.disk.disk import Stamp
from dunena.persistence.disk.stamps import StampTable
from tests.support.stamp_tables import table_of

A, B = Stamp(1, 2, 3), Stamp(4, 5, 6)


@pytest.mark.parametrize(
    "stamp",
    [
        Stamp(0, 0, 0),
        Stamp(12345, 1_790_000_000_123_456_789, 101),
        Stamp(2**63 - 1, 2**63 - 1, 2**63 - 1),
        Stamp(2**63 - 1, -(2**63), 0),
        Stamp(0, -1, 2**63 - 1),
    ],
)
def test_a_stamp_comes_out_as_it_went_in(stamp: Stamp):
    table = table_of({("n", "k"): stamp})
    assert table.get(("n", "k")) == stamp
    assert table.numbers_of("n", "k") == tuple(stamp)
    assert table.all_numbers() == struct.pack("=3q", *stamp)


def test_a_key_without_a_file_has_none():
    table = table_of({("n", "k"): A})
    for entry_id in (("", "k"), ("n", "j"), ("k", "n")):
        assert table.get(entry_id) is None
        assert table.numbers_of(*entry_id) is None
        assert not table.has(entry_id)
        table.discard(entry_id)
    assert table.has(("n", "k"))
    table.discard(("n", "k"))
    assert not table.has(("n", "k"))
    assert list(table.entry_ids()) == []
    assert table.all_numbers() == b""


def test_a_new_stamp_replaces_the_one_before():
    table = table_of({("", "k"): A, ("n", "k"): A})
    table.set(("", "k"), B)
    assert table.get(("", "k")) == B
    assert table.get(("n", "k")) == A
    assert table.all_numbers() == struct.pack("=6q", *B, *A)


def test_keys_are_listed_by_namespace_or_all():
    table = table_of({("", "a"): A, ("n", "a"): B, ("n", "b"): A})
    assert sorted(table.entry_ids()) == [("", "a"), ("n", "a"), ("n", "b")]
    assert sorted(table.entry_ids("n")) == [("n", "a"), ("n", "b")]
    assert list(table.entry_ids("")) == [("", "a")]
    assert list(table.entry_ids("none")) == []


def test_keys_may_come_and_go_while_they_are_listed():
    table = table_of({("n", str(number)): A for number in range(10)})
    for entry_id in table.entry_ids("n"):
        table.discard(entry_id)
        table.set(("new", entry_id[1]), A)
    assert sorted(table.entry_ids()) == [("new", str(number)) for number in range(10)]


def test_an_empty_namespace_is_forgotten():
    table = StampTable()
    for number in range(3):
        table.set((f"n{number}", "k"), A)
        table.discard((f"n{number}", "k"))
    assert not table._by_ns
