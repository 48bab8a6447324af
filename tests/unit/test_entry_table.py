"""The table of entries: lookups, key order, deadlines and counts."""

import random

import pytest

from dunena.store.entry import Entry
from dunena.store.entry_table import EntryTable
from dunena.store.expiry import NEVER
from dunena.store.limits import Eviction, Limits
from dunena.store.quota import Quota, growth_of, size_of

NOW = 1_000_000


def entry(key: str, value: bytes = b"1", expires_at: int | None = None, ns: str = "") -> Entry:
    return Entry(ns, key, value, expires_at, 1)


def sorted_keys(table: EntryTable, ns: str = "") -> list[str]:
    while not table.place_keys(ns, 2):
        pass
    return table.key_order(ns).page(0, 1000)


def test_put_and_take_return_the_replaced_or_removed_entry() -> None:
    table = EntryTable()
    first, second = entry("k"), entry("k", b"22")
    assert table.put(first) is None
    assert table.find("", "k") is first
    assert table.put(second) is first
    assert (table.holds(first), table.holds(second)) == (False, True)
    assert list(table.entries()) == [second]
    assert table.take("", "k") is second
    assert (table.find("", "k"), table.holds(second)) == (None, False)
    assert table.namespaces == {}, "no namespace is empty"


def test_keys_are_listed_and_counted_per_namespace() -> None:
    table = EntryTable()
    for ns, key in (("", "a"), ("n", "b"), ("n", "c")):
        table.put(entry(key, ns=ns))
    assert [set(table.keys(ns)) for ns in ("", "n", "none")] == [{"a"}, {"b", "c"}, set()]
    assert [table.key_count(ns) for ns in ("", "n", "none")] == [1, 2, 0]
    assert [table.find(ns, "b") is None for ns in ("", "n", "none")] == [True, False, True]


def test_the_key_order_follows_added_and_removed_keys() -> None:
    table = EntryTable()
    for key in ("b", "a", "C"):
        table.put(entry(key))
    assert sorted_keys(table) == ["C", "a", "b"]
    order = table.key_order("")
    table.put(entry("a", b"2"))
    table.take("", "b")
    table.put(entry("B"))
    assert sorted_keys(table) == ["B", "C", "a"]
    assert table.key_order("") is order
    assert sorted_keys(table, "other") == []
    for key in "BCa":
        table.take("", key)
    assert sorted_keys(table) == []
    table.put(entry("z"))
    assert sorted_keys(table) == ["z"]


def test_an_unread_key_order_is_dropped_after_many_changes() -> None:
    table = EntryTable()
    table.put(entry("k"))
    order = table.key_order("")
    for number in range(3000):
        table.put(entry("x"))
        table.take("", "x")
        if number == 10:
            assert table.key_order("") is order
    assert table.key_order("") is not order
    assert table.place_keys("", 9)
    assert table.key_order("").page(0, 9) == ["k"]


def test_a_key_order_read_regularly_is_kept() -> None:
    table = EntryTable()
    table.put(entry("k"))
    order = table.key_order("")
    for number in range(3000):
        table.put(entry("x"))
        table.take("", "x")
        if number % 100 == 0:
            assert table.key_order("") is order


def test_deadlines_of_replaced_entries_do_not_accumulate() -> None:
    table = EntryTable()
    for step in range(10_000):
        table.put(entry("k", expires_at=NOW + step + 1))
    assert len(table.deadlines) < 200
    due = table.deadlines.pop_due(NOW + 10_000, 10_000)
    assert [one for one in due if table.holds(one)] == [table.find("", "k")]


def test_deadlines_of_removed_entries_do_not_accumulate() -> None:
    table = EntryTable()
    for number in range(1000):
        table.put(entry("k", expires_at=NOW + number))
        table.put(entry("k"))
        table.put(entry("j", expires_at=NOW + number))
        table.take("", "j")
    assert len(table.deadlines) < 200


def test_replace_all_replaces_all_entries_and_returns_the_previous_ones() -> None:
    table = EntryTable(Quota(Limits(entries_max=9)))
    table.put(entry("k", expires_at=NOW))
    table.put(entry("j", ns="n"))
    stood = table.namespaces
    order = table.key_order("")
    assert table.replace_all({}) is stood
    assert {ns: list(keys) for ns, keys in stood.items()} == {"": ["k"], "n": ["j"]}
    assert (table.entry_count, table.value_bytes, table.deadlines.next) == (0, 0, NEVER)
    assert list(table.entries()) == []
    assert table.replace_all(stood) == {}
    assert (table.entry_count, table.value_bytes, table.deadlines.next) == (2, 2, NOW)
    assert table.key_order("") is not order
    assert sorted_keys(table) == ["k"]


def test_growth_counts_the_largest_value_of_each_key() -> None:
    table = EntryTable()
    table.put(entry("k", b"333"))
    table.put(entry("m", b"333", ns="n"))
    assert table.growth("", [("k", b"55555"), ("new", b"1"), ("new", b"22")]) == (1, 2 + 3 + 2)
    assert table.growth("", [("new", b"22"), ("new", b"1")]) == (1, 3 + 2)
    assert table.growth("", [("m", b"1")]) == (1, 2)
    assert table.growth("", [("k", b"1"), ("k", b"4444")]) == (0, 1)
    assert table.growth("", []) == (0, 0)


def test_growth_ignores_keys_whose_value_shrinks() -> None:
    table = EntryTable()
    table.put(entry("k", b"333"))
    assert table.growth("", [("k", b"1"), ("j", b"1")]) == (1, 2)
    assert growth_of(size_of("k", b"1"), table.find("", "k")) == -2
    assert growth_of(size_of("ä", b"1"), None) == 3


@pytest.mark.parametrize("seed", range(10))
def test_quota_counters_match_the_entries_after_random_operations(seed: int) -> None:
    draw = random.Random(seed)
    quota = Quota(Limits(entries_max=1000, eviction=Eviction.LRU))
    table = EntryTable(quota)
    model: dict[tuple[str, str], Entry] = {}
    taken_out: list[dict[str, dict[str, Entry]]] = []
    for _ in range(500):
        ns, key = draw.choice(["", "n"]), draw.choice("abcdefgh")
        match draw.randrange(8):
            case 0 | 1 if (ns, key) in model:
                assert table.take(ns, key) is model.pop((ns, key))
            case 2 if draw.random() < 0.1:
                taken_out.append(table.replace_all({}))
                model.clear()
            case 3 if taken_out:
                namespaces = taken_out.pop()
                table.replace_all(namespaces)
                model = {(e.ns, e.key): e for keys in namespaces.values() for e in keys.values()}
            case 4:
                assert sorted_keys(table, ns) == sorted(key for ns_, key in model if ns_ == ns)
            case _:
                expires_at = draw.choice([None, NOW + draw.randrange(100)])
                one = entry(key, b"1" * draw.randrange(1, 9), expires_at, ns)
                assert table.put(one) is model.get((ns, key))
                model[ns, key] = one
        assert {(e.ns, e.key): e for e in table.entries()} == model
        assert table.entry_count == quota.entries == len(model)
        assert table.value_bytes == sum(len(one.value) for one in model.values())
        assert quota.bytes == table.value_bytes + len(model)
        standing = [one.expires_at for one in model.values() if one.expires_at is not None]
        assert table.deadlines.next <= min(standing, default=NEVER)


def test_a_new_entry_shares_the_names_of_the_one_that_it_replaces():
    table = EntryTable()
    ns, key = "some names", "some key"
    first = Entry("".join(ns), "".join(key), b"1", None, 1)
    second = Entry("".join(list(ns)), "".join(list(key)), b"2", None, 2)
    assert second.key is not first.key
    table.put(first)
    table.put(second)
    assert second.ns is first.ns
    assert second.key is first.key
    assert table.find(ns, key) is second
