"""Which watches are told of a change, and when."""

import itertools
import random

import pytest

from dunena.store.limits import REMOVALS_MAX
from dunena.watches import limits
from dunena.watches.pending import PendingUpdate
from dunena.watches.selector import Selector
from dunena.watches.updates import UpdatePart
from tests.support.watching import Follower, Watched


def frames_of(pending: PendingUpdate) -> list[str]:
    frames = []
    while not pending.is_done:
        frames.append(pending.next_frame().decode())
    return frames


@pytest.mark.parametrize(
    "selector",
    [
        {"key": "team-a"},
        {"keys": ("x", "team-a", "team-a")},
        {"pattern": "team-a"},
        {"pattern": "team-*"},
        {"pattern": "*"},
        {"pattern": "*-a"},
        {"pattern": "????-?"},
    ],
)
def test_a_watch_is_told_of_its_keys_in_its_namespace(selector: dict) -> None:
    watched, follower = Watched(), Follower()
    watched.follow(follower, ns="n", **selector)
    watched.set("team-a", "1", "n")
    watched.set("team-a", "2", "other")
    watched.set("team", "3", "n")
    watched.store.delete("n", "team-a")
    found = [frame for frame in follower.frames() if "team=" not in frame]
    assert found == ["1 team-a=1", "4 team-a!delete"]
    watched.table.unfollow(watched.feed_id(ns="n", **selector), follower)
    watched.set("team-a", "4", "n")
    assert follower.frames() == []
    assert watched.table.feed_count == 0
    assert watched.table.feeds_of("n", "team-a") == []


def test_watches_of_one_selector_share_their_frames() -> None:
    watched, first, second = Watched(), Follower(), Follower()
    for follower in (first, second):
        watched.follow(follower, pattern="a*")
    watched.set("a1")
    watched.set("a2")
    assert watched.table.feed_count == 1
    assert len(first.batches) == 1
    assert first.batches[0] is second.batches[0]
    assert first.frames() == ["1 a1=1", "2 a2=1"]


def test_a_group_is_one_update_at_its_last_revision() -> None:
    watched, all_keys, one_key = Watched(), Follower(), Follower()
    watched.follow(all_keys, pattern="*")
    watched.follow(one_key, key="a")
    with watched.store.group():
        watched.set("a", "1")
        watched.set("b", "1")
        with watched.store.group():
            watched.set("a", "2")
        watched.set("c", "1")
        assert all_keys.frames() == []
    assert all_keys.frames() == ["4 a=2 b=1 c=1"]
    assert one_key.frames() == ["4 a=2"]
    watched.set("c", "2")
    assert all_keys.frames() == ["5 c=2"]


def test_a_group_that_fails_is_told_as_far_as_it_came() -> None:
    watched, follower = Watched(), Follower()
    watched.follow(follower, pattern="*")

    def fail() -> None:
        with watched.store.group():
            watched.set("a", "1")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    watched.set("b", "1")
    assert follower.frames() == ["1 a=1", "2 b=1"]


def test_a_clear_is_a_reset_for_those_that_had_something() -> None:
    watched, pattern, present, missing = Watched(), Follower(), Follower(), Follower()
    watched.follow(pattern, pattern="x*")
    watched.follow(present, key="a")
    watched.follow(missing, key="b")
    watched.set("a")
    for follower in (pattern, present, missing):
        follower.frames()
    watched.store.clear()
    assert pattern.frames() == present.frames() == ["2 reset"]
    assert missing.frames() == []


def test_a_watch_is_not_told_of_what_it_may_not_read() -> None:
    watched, follower = Watched(), Follower()

    def may_read(_ns: str, key: str) -> bool:
        return key != "secret"

    watched.set("secret")
    feed = watched.follow(follower, pattern="*", audience=may_read)
    watched.set("secret", "2")
    watched.set("open")
    watched.store.delete("", "secret")
    assert follower.frames() == ["3 open=1"]
    assert frames_of(watched.table.first_update(feed, None, 0)) == ["4 open=1 reset"]
    assert frames_of(watched.table.first_update(feed, 0, 0)) == ["4 open=1"]


def test_a_clear_does_not_tell_which_keys_there_were_that_may_not_be_read() -> None:
    watched, follower = Watched(), Follower()
    watched.set("secret")
    watched.follow(follower, key="secret", audience=lambda _ns, key: key != "secret")
    watched.store.clear()
    assert follower.frames() == []


def test_a_change_elsewhere_in_a_value_is_not_told() -> None:
    watched, follower = Watched(), Follower()
    watched.follow(follower, key="a", path="/x")
    watched.set("a", "1")
    watched.set("a", "-elsewhere")
    assert follower.frames() == ["1 a=1"]


def test_a_paced_feed_makes_no_frames() -> None:
    watched, follower = Watched(), Follower()
    watched.follow(follower, key="a", is_paced=True)
    watched.set("a", "1")
    assert [batch.frames for batch in follower.batches] == [[b""]]


def test_a_large_group_is_told_in_parts() -> None:
    watched, follower = Watched(), Follower()
    watched.follow(follower, pattern="*")
    large = "x" * limits.PART_BYTES_MAX
    with watched.store.group():
        watched.set("a", large)
        watched.set("b", large)
        watched.set("c", "1")
    frames = [frame.replace(large, "large") for frame in follower.frames()]
    assert frames == ["3 a=large more", "3 b=large more", "3 c=1"]


# --- the state that a watch begins with ---


@pytest.mark.parametrize(
    ("selector", "keys"),
    [
        ({"key": "a1"}, ["a1"]),
        ({"keys": ("b1", "a1", "none")}, ["a1", "b1"]),
        ({"pattern": "a*"}, ["a1", "a2"]),
        ({"pattern": "*"}, ["a1", "b1", "a2"]),
        ({"pattern": "?1"}, ["a1", "b1"]),
        ({"key": "none"}, []),
    ],
)
def test_the_first_update_is_what_stands(selector: dict, keys: list[str]) -> None:
    watched = Watched()
    for key in ("a1", "b1", "a2"):
        watched.set(key)
    watched.set("a1", "elsewhere", "n")
    feed = watched.follow(Follower(), **selector)
    first = watched.table.first_update(feed, None, 0, "id")
    changes = "".join(f" {key}=1" for key in keys)
    assert frames_of(first) == [f"4{changes} reset id id"]


def test_the_first_update_does_not_show_what_has_expired() -> None:
    watched = Watched()
    watched.store.set("", "a", b"1", 1000)
    watched.store.set("", "b", b"1", 1001)
    feed = watched.follow(Follower(), pattern="*")
    assert frames_of(watched.table.first_update(feed, None, 999)) == ["2 a=1 b=1 reset"]
    assert frames_of(watched.table.first_update(feed, None, 1000)) == ["2 b=1 reset"]


def test_a_position_is_continued_with_the_net_changes_since() -> None:
    watched = Watched()
    for key in ("a", "b", "c"):
        watched.set(key)
    feed = watched.follow(Follower(), pattern="*")
    watched.set("b", "2")
    watched.set("b", "3")
    watched.set("d")
    watched.store.delete("", "d")
    watched.store.delete("", "a")
    assert frames_of(watched.table.first_update(feed, 3, 0)) == ["8 b=3 d!delete a!delete"]
    assert frames_of(watched.table.first_update(feed, 8, 0)) == ["8"]
    watched.store.clear()
    assert frames_of(watched.table.first_update(feed, 8, 0)) == ["9 reset"]


# --- positions of quiet watches ---


def test_a_quiet_watch_is_told_the_position_once_a_minute() -> None:
    watched, quiet, busy = Watched(), Follower(), Follower()
    for follower, key in ((quiet, "quiet"), (busy, "busy")):
        feed = watched.follow(follower, key=key)
        watched.table.first_update(feed, None, watched.now)
    told_at = []
    for second in range(200):
        watched.now = 1000 + 1000 * second
        watched.set("busy")
        watched.table.tell_quiet(watched.now)
        if quiet.frames():
            told_at.append(second)
    assert told_at == [60, 120, 180]
    assert [frame for frame in busy.frames() if "=" not in frame] == []


def test_a_batch_with_a_position_takes_no_change() -> None:
    watched, follower = Watched(), Follower()
    watched.follow(follower, key="a")
    watched.table.tell_quiet(limits.QUIET_MS + 1)
    watched.set("a")
    assert [len(batch.frames) for batch in follower.batches] == [1, 1]


def test_a_quiet_watch_is_told_before_removals_are_forgotten() -> None:
    watched, follower = Watched(), Follower()
    feed = watched.follow(follower, key="quiet")
    watched.table.first_update(feed, None, watched.now)
    position = 0
    for number in range(3 * REMOVALS_MAX // 2):
        watched.set(f"k{number}")
        watched.store.delete("", f"k{number}")
        if number % 1000 == 0:
            watched.table.tell_quiet(watched.now)
            for frame in follower.frames():
                position = int(frame)
        assert position >= watched.store.positions.floor
    assert position > 0


# --- cost ---


@pytest.mark.parametrize("selector", [{"pattern": "*7"}, {"pattern": "1*"}, {"pattern": "none*"}])
@pytest.mark.parametrize("since", [None, 0])
def test_a_large_namespace_is_looked_through_in_parts(selector: dict, since: int | None) -> None:
    watched, follower = Watched(), Follower()
    count = limits.PART_CHANGES_MAX * 3 + 1
    for number in range(count):
        watched.set(str(number))
    feed = watched.follow(follower, **selector)
    compared: list[str] = []
    matches = feed.matches

    def compare(key: str) -> object:
        compared.append(key)
        return matches(key)

    feed.matches = compare  # type: ignore[method-assign]
    first = watched.table.first_update(feed, since, 0)
    assert compared == []
    assert not first.is_small
    watched.set("17", "new")
    compared.clear()
    first.add(follower.batches[0].parts[0] if follower.batches else UpdatePart([], count + 1, 0))
    told: dict[str, str] = {}
    resets = []
    looked_at = [0]
    while not first.is_done:
        frame = first.next_frame().decode()
        looked_at.append(len(compared))
        if frame:
            words = [word for word in frame.split()[1:] if word != "more"]
            resets.append("reset" in words)
            told.update(word.split("=") for word in words if word != "reset")
    steps = [after - before for before, after in itertools.pairwise(looked_at)]
    assert max(steps) <= limits.PART_CHANGES_MAX
    assert len(compared) == count
    assert resets == [since is None] + [False] * (len(resets) - 1)
    expected = {str(number): "1" for number in range(count) if matches(str(number))}
    if "17" in expected:
        expected["17"] = "new"
    assert told == expected


def test_a_small_first_update_fits_one_part() -> None:
    assert limits.SMALL_UPDATE_CHANGES_MAX <= limits.PART_CHANGES_MAX


def test_what_was_looked_through_in_parts_may_be_united_with_later_changes() -> None:
    watched, follower = Watched(), Follower()
    for number in range(limits.PART_CHANGES_MAX + 1):
        watched.set(str(number))
    feed = watched.follow(follower, pattern="*7")
    first = watched.table.first_update(feed, None, 0)
    entry = watched.store.set("", "7", b"new").entry
    assert entry is not None
    first.add(
        UpdatePart([entry], entry.revision, 0, replaced_bytes=limits.SUPERSEDED_BYTES_MAX + 1)
    )
    told: dict[str, str] = {}
    while not first.is_done:
        words = first.next_frame().decode().split()[1:]
        told.update(word.split("=") for word in words if "=" in word)
    others = (str(number) for number in range(limits.PART_CHANGES_MAX + 1))
    assert told == {key: "1" for key in others if key.endswith("7")} | {"7": "new"}


def test_patterns_that_are_no_prefix_are_counted_once_each() -> None:
    watched = Watched()
    for number in range(limits.GLOBS_MAX):
        assert watched.table.has_room_for(Selector("", pattern="?"))
        watched.follow(Follower(), pattern=f"*{number}")
    assert not watched.table.has_room_for(Selector("", pattern="?"))
    assert watched.table.has_room_for(Selector("", pattern="*0"))
    assert not watched.table.has_room_for(Selector("n", pattern="*0"))
    assert watched.table.has_room_for(Selector("", pattern="a*"))
    assert watched.table.has_room_for(Selector("", key="a"))


def test_a_pattern_with_several_wildcards_counts_for_more() -> None:
    watched = Watched()
    for number in range(limits.GLOBS_MAX // limits.SEVERAL_WILDCARDS_WEIGHT - 1):
        watched.follow(Follower(), pattern=f"*{number}*")
    assert watched.table.has_room_for(Selector("", pattern="*-*"))
    watched.follow(Follower(), pattern="?")
    for pattern in ("*-*", "?-?", "a?*-?"):
        assert not watched.table.has_room_for(Selector("", pattern=pattern))
    assert watched.table.has_room_for(Selector("", pattern="*0*"))
    for number in range(limits.SEVERAL_WILDCARDS_WEIGHT - 1):
        assert watched.table.has_room_for(Selector("", pattern="*"))
        watched.follow(Follower(), pattern=f"*{number}")
    assert not watched.table.has_room_for(Selector("", pattern="?a"))


def test_watches_come_and_go_without_a_trace() -> None:
    watched, chance = Watched(), random.Random(1)
    follower = Follower()
    selectors: list[dict] = [{"pattern": f"{'x' * n}*"} for n in range(5)]
    selectors += [{"pattern": f"*{n}"} for n in range(5)]
    selectors += [{"key": str(n)} for n in range(5)] + [{"keys": (str(n), "k")} for n in range(5)]
    for _ in range(2):
        chance.shuffle(selectors)
        for selector in selectors:
            watched.follow(follower, **selector)
        chance.shuffle(selectors)
        for selector in selectors:
            watched.table.unfollow(watched.feed_id(**selector), follower)
            watched.table.unfollow(watched.feed_id(**selector), follower)
    table = watched.table
    assert (table._feeds, table._by_key, table._by_prefix, table._by_glob) == ({}, {}, {}, {})
    assert (len(table._by_look), table._glob_weights, table.feed_count) == (0, 0, 0)


def test_the_prefixes_of_a_key_are_found_among_others_while_they_come_and_go() -> None:
    watched, chance, follower = Watched(), random.Random(1), Follower()
    present: set[str] = set()
    for _ in range(300):
        prefix = "".join(chance.choices("ab", k=chance.randrange(6)))
        if prefix in present:
            present.remove(prefix)
            watched.table.unfollow(watched.feed_id(pattern=f"{prefix}*"), follower)
        else:
            present.add(prefix)
            watched.follow(follower, pattern=f"{prefix}*")
        for _ in range(5):
            key = "".join(chance.choices("ab", k=chance.randrange(1, 8)))
            found = [feed.selector.prefix for feed in watched.table.feeds_of("", key)]
            assert found == sorted(other for other in present if key.startswith(other))


def test_only_the_prefixes_of_the_nearest_one_are_compared_with_a_key() -> None:
    watched = Watched()
    for number in range(1000):
        watched.follow(Follower(), pattern=f"prefix-{number:04}-{'x' * (number % 50)}*")
    watched.follow(Follower(), pattern="prefix-0500*")
    assert len(watched.table.feeds_of("", "prefix-0500-x")) == 2
    assert watched.table.feeds_of("", "another-key") == []
    prefixes = watched.table._by_prefix[""]
    assert prefixes._of_nearest == {"prefix-0500-": ["prefix-0500", "prefix-0500-"]}
