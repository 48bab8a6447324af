"""What a grant lets through reaches the store as it was asked for; all else is refused by name."""

from collections.abc import Callable

import pytest

from dunena.dialects.errors import ForbiddenError
from dunena.dialects.grants import Globs, Grant, Right
from dunena.dialects.guarded_store import GuardedStore
from dunena.store.entry import Change
from dunena.store.errors import WriteRefusedError
from dunena.store.limits import Limits
from dunena.store.quota import quota_of
from dunena.store.store import Store

NOW = 1_700_000_000_000
READ, WRITE, ADMIN = (frozenset({right}) for right in (Right.READ, Right.WRITE, Right.ADMIN))


@pytest.fixture
def store() -> Store:
    return Store()


def guarded(store: Store, rights: frozenset[Right]) -> GuardedStore:
    """Keys that begin with ``a``, in the namespace ``n``."""
    return GuardedStore(store, Grant("part", rights, keys=("a*",), namespaces=("n",)))


def refused(request: Callable[[], object]) -> str:
    with pytest.raises(ForbiddenError) as caught:
        request()
    return caught.value.text


@pytest.mark.parametrize(
    ("ns", "key", "may"),
    [("n", "a", True), ("n", "ab", True), ("n", "b", False), ("", "a", False), ("m", "b", False)],
)
def test_both_the_key_and_its_namespace_must_be_permitted(
    store: Store, ns: str, key: str, may: bool
) -> None:
    place = f'"{key}"' + (f' in "{ns}"' if ns else "")
    reader, writer = guarded(store, READ), guarded(store, WRITE)
    assert reader.may_read(ns, key) is may
    assert writer.may_read(ns, key) is False
    for read in (reader.get, reader.peek):
        if may:
            assert read(ns, key, NOW) is None
        else:
            assert refused(lambda read=read: read(ns, key, NOW)) == f"Not permitted: read {place}"
    for write in (
        lambda: writer.set(ns, key, b"1"),
        lambda: writer.delete(ns, key),
        lambda: writer.check_writes(ns, [("a", b"1"), (key, b"1")]),
    ):
        if may:
            write()
        elif ns == "n":
            assert refused(write) == f"Not permitted: write {place}"
        else:
            assert refused(write).startswith("Not permitted: write ")
    assert [(e.ns, e.key) for e in store.entries()] == []


def test_each_right_permits_only_its_own_operations(store: Store) -> None:
    reader, writer = guarded(store, READ), guarded(store, WRITE)
    assert refused(lambda: reader.set("n", "a", b"1")) == 'Not permitted: write "a" in "n"'
    assert refused(lambda: reader.delete("n", "a")) == 'Not permitted: write "a" in "n"'
    assert refused(lambda: reader.check_writes("n", [("a", b"1")])) == (
        'Not permitted: write "a" in "n"'
    )
    assert refused(lambda: writer.get("n", "a", NOW)) == 'Not permitted: read "a" in "n"'
    assert refused(lambda: writer.peek("n", "a", NOW)) == 'Not permitted: read "a" in "n"'


def test_guarded_reads_return_unexpired_entries(store: Store) -> None:
    store.set("n", "a", b"1", NOW)
    reader = guarded(store, READ)
    for read in (reader.get, reader.peek):
        entry = read("n", "a", NOW - 1)
        assert entry is not None
        assert entry.value == b"1"
        assert read("n", "a", NOW) is None
    assert (store.hits, store.misses) == (1, 1), "only a get counts"


@pytest.mark.parametrize("is_durable", [True, False])
def test_guarded_writes_have_the_requested_expiry_and_durability(
    store: Store, is_durable: bool
) -> None:
    changes: list[Change] = []
    store.observe(changes.append)
    writer = guarded(store, WRITE)
    change = writer.set("n", "a", b"1", NOW + 5, is_durable=is_durable)
    assert change.entry is not None
    assert (change.entry.value, change.entry.expires_at) == (b"1", NOW + 5)
    gone = writer.delete("n", "a", is_durable=is_durable)
    assert changes == [change, gone]
    assert [one.is_durable for one in changes] == [is_durable, is_durable]
    assert writer.set("n", "a", b"1").entry.expires_at is None
    assert writer.delete("n", "a").is_durable is changes[2].is_durable is False


def test_guarded_writes_over_the_quota_are_refused() -> None:
    writer = guarded(Store(quota=quota_of(Limits(entries_max=1))), WRITE)
    writer.check_writes("n", [("a", b"1")])
    writer.set("n", "a", b"1")
    writer.check_writes("n", [("a", b"2")])
    with pytest.raises(WriteRefusedError):
        writer.check_writes("n", [("a", b"1"), ("ab", b"1")])


def test_only_an_admin_can_clear_the_store(store: Store) -> None:
    entry = store.set("m", "b", b"1").entry
    needed = "Not permitted: this needs the right admin"
    assert refused(guarded(store, READ | WRITE).clear) == needed
    assert store.entry_count == 1
    assert guarded(store, ADMIN).clear().cleared == {"m": {"b": entry}}
    assert store.entry_count == 0


def test_only_namespaces_with_a_readable_key_are_listed(store: Store) -> None:
    grant = Grant("part", READ, keys=("a*",), namespaces=("n", "m", "o"))
    reader = GuardedStore(store, grant)
    assert reader.namespaces() == []
    for ns, key in (("n", "b"), ("n", "a1"), ("m", "b"), ("o", "a"), ("p", "a")):
        store.set(ns, key, b"1")
    assert reader.namespaces() == ["n", "o"]
    assert GuardedStore(store, Grant("w", WRITE)).namespaces() == []
    store.set("n", "a2", b"1")
    store.delete("n", "a1")
    assert reader.namespaces() == ["n", "o"], "another key takes its place"
    store.delete("n", "a2")
    assert reader.namespaces() == ["o"]
    store.set("n", "a3", b"1")
    assert reader.namespaces() == ["n", "o"]


class CountedGlobs(Globs):
    """Globs that remember which names they were asked for."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        super().__init__(patterns)
        self.asked: list[str] = []

    def __contains__(self, name: str) -> bool:
        self.asked.append(name)
        return super().__contains__(name)


def test_a_namespace_is_not_searched_again_while_the_found_key_exists(
    store: Store,
) -> None:
    store.set("n", "a", b"1", NOW)
    reader = guarded(store, READ)
    reader._keys = keys = CountedGlobs(("a*",))
    for _ in range(3):
        assert reader.namespaces() == ["n"]
    assert keys.asked == ["a"]
    store.delete("n", "a")
    store.set("n", "ab", b"1")
    for _ in range(3):
        assert reader.namespaces() == ["n"]
    assert keys.asked == ["a", "ab"]
