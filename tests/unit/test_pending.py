"""What a reader has not been told: conflated, in parts, and never more than it must be."""

import tracemalloc

import pytest

from dunena.store.entry import Entry
from dunena.watches import limits
from dunena.watches.feed import WatchFeed
from dunena.watches.pending import PendingUpdate
from dunena.watches.selector import Selector
from dunena.watches.updates import KeyState, UpdatePart
from tests.support.watching import PlainForm, entry, part, removal

LARGE = b"x" * limits.PART_BYTES_MAX
"""A value that is a part of its own."""


def new_feed() -> WatchFeed:
    return WatchFeed(Selector("", pattern="*"), PlainForm(), [])


def read(pending: PendingUpdate) -> list[str]:
    """All frames; long values are cut."""
    frames = []
    while not pending.is_done:
        frames.append(pending.next_frame().replace(LARGE, b"large").decode())
    return frames


def test_updates_become_one_with_the_newest_of_each_key() -> None:
    pending = PendingUpdate(new_feed())
    assert pending.is_done
    pending.add(part(entry("a", b"1"), entry("b", b"1"), revision=2))
    pending.add(part(entry("a", b"2"), revision=3))
    pending.add(part(removal("b"), revision=4))
    assert pending.key_count == 2
    assert read(pending) == ["4 a=2 b!delete"]
    assert pending.key_count == 0


def test_an_update_without_changes_is_told_too() -> None:
    pending = PendingUpdate(new_feed())
    pending.add(part(revision=5))
    assert read(pending) == ["5"]


def test_a_first_update_repeats_the_id_once_and_tells_all() -> None:
    told: list[KeyState] = [entry("b", b"2"), entry("a", b"1")]
    pending = PendingUpdate(new_feed(), told, 7, is_reset=True, request_id=9)
    assert pending.is_first
    pending.add(part(entry("a", b"3"), revision=8))
    assert read(pending) == ["7 a=1 b=2 reset id 9", "8 a=3"]


def test_an_empty_first_update_is_told() -> None:
    assert read(PendingUpdate(new_feed(), [], 7)) == ["7"]


def test_a_large_update_is_sent_in_parts_at_one_revision() -> None:
    pending = PendingUpdate(new_feed(), [entry(key, LARGE) for key in "cba"], 3, is_reset=True)
    first = pending.next_frame().replace(LARGE, b"large")
    assert first == b"3 a=large reset more"
    assert pending.is_within_update
    pending.add(part(entry("b", b"new"), entry("c", b"new"), revision=5))
    assert read(pending) == ["3 b=large more", "3 c=large", "5 b=new c=new"]
    assert not pending.is_within_update


def test_a_part_has_a_limited_number_of_changes() -> None:
    told: list[KeyState] = [entry("k", b"-hidden")] * (limits.PART_CHANGES_MAX + 1)
    assert read(PendingUpdate(new_feed(), told, 1, is_reset=True)) == ["1 reset more", "1"]


def test_a_reset_drops_what_is_pending_and_voids_the_parts_that_were_sent() -> None:
    pending = PendingUpdate(new_feed(), [entry("b", LARGE), entry("a", LARGE)], 3, request_id=1)
    pending.next_frame()
    pending.add(part(revision=4, is_reset=True))
    pending.add(part(entry("c", b"1"), removal("c"), entry("d", b"1"), revision=6))
    assert read(pending) == ["6 d=1 reset"]


def test_a_reset_keeps_the_id_of_a_first_update_that_was_not_sent() -> None:
    pending = PendingUpdate(new_feed(), [entry("a", b"1")], 3, request_id=1)
    pending.add(part(revision=4, is_reset=True))
    assert read(pending) == ["4 reset id 1"]


def test_outdated_values_are_not_held_without_limit() -> None:
    pending = PendingUpdate(new_feed(), [entry(key, LARGE) for key in "cba"], 3, request_id=1)
    pending.next_frame()
    pending.add(part(entry("b", b"2"), revision=4, replaced=limits.SUPERSEDED_BYTES_MAX))
    assert pending.is_within_update
    pending.add(part(removal("b"), entry("d", b"1"), revision=5, replaced=1))
    # The parts go on, now to the newest revision: the value of b is not held any more.
    assert pending.key_count == 3
    assert read(pending) == ["5 b!delete more", "5 c=large more", "5 d=1"]


@pytest.mark.parametrize("begins", [False, True])
def test_a_united_reset_stays_a_reset_until_it_is_sent(*, begins: bool) -> None:
    told: list[KeyState] = [entry(key, LARGE) for key in "ba"]
    pending = PendingUpdate(new_feed(), told, 3, is_reset=True, request_id=1)
    sent = [pending.next_frame().replace(LARGE, b"large").decode()] if begins else []
    pending.add(part(removal("b"), revision=4, replaced=limits.SUPERSEDED_BYTES_MAX + 1))
    sent += read(pending)
    assert sent == (
        ["3 a=large reset more id 1", "4 b!delete"] if begins else ["4 a=large reset id 1"]
    )


def test_what_stands_at_no_path_is_told_only_to_readers_that_may_have_had_it() -> None:
    pending = PendingUpdate(new_feed(), [entry("a", b"-")], 1, is_reset=True)
    pending.add(part(entry("a", b"-"), revision=2))
    assert read(pending) == ["1 reset", "2 a!missing"]


def test_what_is_taken_is_one_update() -> None:
    pending = PendingUpdate(new_feed())
    pending.add(part(entry("a", b"1"), revision=2, replaced=5))
    pending.add(part(revision=3, is_reset=True))
    pending.add(part(entry("b", b"1"), revision=4, replaced=6))
    taken = pending.take()
    assert (taken.revision, taken.is_reset, taken.replaced_bytes) == (4, True, 11)
    pending.add(part(entry("b", b"2"), revision=5, replaced=7))
    assert pending.take().replaced_bytes == 7
    assert [change.key for change in taken.changes] == ["b"]
    assert pending.is_done


@pytest.mark.parametrize("has_begun", [False, True])
def test_a_reader_that_stops_costs_less_than_5_mb_for_100_000_keys(*, has_begun: bool) -> None:
    count, value_bytes, batch = 100_000, 100, 100
    replaced_bytes = entry("key-10000", bytes(value_bytes)).memory_bytes * batch
    stored: dict[str, Entry] = {}

    def write_all(readers: list[PendingUpdate]) -> None:
        for start in range(0, count, batch):
            numbers = range(start, start + batch)
            entries = [entry(f"key-{number}", bytes([65] * value_bytes)) for number in numbers]
            stored.update((one.key, one) for one in entries)
            for reader in readers:
                reader.add(UpdatePart(entries, 1, 1, replaced_bytes=replaced_bytes))

    tracemalloc.start()
    try:
        readers = [PendingUpdate(new_feed())]
        write_all(readers)
        if has_begun:
            readers[0].next_frame()
        tracemalloc.reset_peak()
        for _ in range(2):
            write_all(readers)
        assert readers[0].key_count == count
        _, most = tracemalloc.get_traced_memory()
        readers.clear()
        least, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most - least < 5_000_000


@pytest.mark.parametrize(
    ("count", "size", "is_small"),
    [
        (limits.SMALL_UPDATE_CHANGES_MAX, 1, True),
        (limits.SMALL_UPDATE_CHANGES_MAX + 1, 1, False),
        (1, limits.SMALL_UPDATE_BYTES_MAX, True),
        (1, limits.SMALL_UPDATE_BYTES_MAX + 1, False),
    ],
)
def test_a_first_update_is_small_up_to_both_limits(
    *, count: int, size: int, is_small: bool
) -> None:
    told: list[KeyState] = [entry("k", b"x" * size)] * count
    assert PendingUpdate(new_feed(), told, 1).is_small is is_small
