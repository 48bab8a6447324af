"""Lies about what one server did, each of which the checker has to find."""

import copy

from tests.cluster.history import (
    ACCOUNT,
    COUNTER,
    GUEST,
    ONCE,
    OWN,
    RACE,
    WILLS,
    History,
    Outcome,
    Resume,
    Stream,
    Update,
    Write,
)
from tests.cluster.writers import KEYS


def first_follower(history: History) -> list[Update]:
    return next(iter(history.followed.values()))


def last_own(history: History) -> Write:
    acknowledged = (one for one in history.writes if one.outcome is Outcome.ACKNOWLEDGED)
    return [write for write in acknowledged if write.key.startswith(OWN)][-1]


def first_stream(told: dict[str, list[Stream]]) -> Stream:
    return next(iter(told.values()))[0]


def lose_a_write(history: History) -> None:
    write = last_own(history)
    history.final[1][write.key] = {"n": write.number - KEYS}


def make_a_refused_write(history: History) -> None:
    write = last_own(history)
    write.outcome = Outcome.REFUSED


def invent_a_value(history: History) -> None:
    history.final[0][last_own(history).key] = {"n": 10**9}


def acknowledge_what_is_not_there(history: History) -> None:
    """The last race for a key had another write, which nobody has seen."""
    race = next(one for one in reversed(history.writes) if one.key.startswith(RACE))
    late = copy.deepcopy(race)
    late.rev, late.value, late.outcome = 10**9, {"w": 0, "n": 0}, Outcome.ACKNOWLEDGED
    history.writes.append(late)


def answer_before_an_earlier_write(history: History) -> None:
    """One that began after another was answered, and has a place before it."""
    first, second = (one for one in history.writes[:2] if one.outcome is Outcome.ACKNOWLEDGED)
    first, second = sorted((first, second), key=lambda one: one.rev)
    first.began_at, first.ended_at = second.ended_at + 1, second.ended_at + 2


def answer_before_the_update(history: History) -> None:
    last_own(history).told = last_own(history).rev - 1


def pass_by_a_condition(history: History) -> None:
    """Another write came between that which was to be followed and this one."""
    races = [one for one in history.writes if one.outcome is Outcome.ACKNOWLEDGED]
    races = sorted((one for one in races if one.key == f"{RACE}0"), key=lambda one: one.rev)
    races[-1].after = races[-3].rev


def make_what_its_condition_forbade(history: History) -> None:
    race = next(one for one in history.writes if one.key.startswith(RACE) and one.rev)
    race.outcome = Outcome.REFUSED


def read_an_old_value(history: History) -> None:
    history.reads[-1].rev = history.reads[-1].least - 1


def read_a_part_of_a_transfer(history: History) -> None:
    history.sums[-1] = 3


def count_twice(history: History) -> None:
    history.final[0][COUNTER] += 1


def answer_one_number_to_two(history: History) -> None:
    first, second, *_ = history.counted.values()
    first.number = second.number


def count_backwards(history: History) -> None:
    one, *_, other = history.counted.values()
    one.number, other.number = other.number, one.number


def answer_otherwise_when_asked_again(history: History) -> None:
    history.repeats[0].second["rev"] += 1


def make_it_again_when_asked_again(history: History) -> None:
    del history.repeats[0].second["duplicate"]


def swap_two_updates(history: History) -> None:
    updates = first_follower(history)
    updates[5], updates[6] = updates[6], updates[5]


def swap_two_values_of_a_key(history: History) -> None:
    """Of one key, but not their revisions."""
    key = last_own(history).key
    changes = [
        one for update in first_follower(history) for one in update.changes if one.key == key
    ]
    changes[-2].value, changes[-1].value = changes[-1].value, changes[-2].value


def tell_a_change_late(history: History) -> None:
    updates = first_follower(history)
    updates[-2].changes += updates[3].changes


def tell_a_key_twice(history: History) -> None:
    update = next(one for one in reversed(first_follower(history)) if one.changes)
    update.changes.append(update.changes[-1])


def give_a_change_another_place(history: History) -> None:
    """What a node with an order of its own would do: the same revisions for other changes."""
    updates = [one for one in first_follower(history)[1:] if len(one.changes) == 1]
    one, other = updates[4].changes[0], updates[5].changes[0]
    one.key, other.key = other.key, one.key
    one.value, other.value = other.value, one.value


def tear_a_transfer(history: History) -> None:
    update = next(
        one
        for one in reversed(first_follower(history))
        if sum(change.key.startswith(ACCOUNT) for change in one.changes) == 2
    )
    update.changes.remove(next(one for one in update.changes if one.key.startswith(ACCOUNT)))


def miss_a_change(history: History) -> None:
    """The last one of a key, so that the follower ends with another value."""
    key = last_own(history).key
    update = [
        one for one in first_follower(history) if any(change.key == key for change in one.changes)
    ][-1]
    update.changes = [change for change in update.changes if change.key != key]


def miss_a_change_for_a_while(history: History) -> None:
    """One of which the next is told: the end is right, and what was shown before was not."""
    key = last_own(history).key
    updates = [
        one for one in first_follower(history) if any(change.key == key for change in one.changes)
    ]
    updates[-2].changes = [change for change in updates[-2].changes if change.key != key]


def resume_without_what_was_missed(history: History) -> None:
    """As a watch does that takes a position of another node for its own."""
    roamer = list(history.followed.values())[-1]
    update = [one for one in roamer if one.is_first and one.is_resumed and one.changes][-1]
    update.changes = []


def begin_anew_in_spite_of_a_position(history: History) -> None:
    roamer = list(history.followed.values())[-1]
    update = [one for one in roamer if one.is_first and one.is_resumed][-1]
    update.is_reset = True


def begin_another_epoch(history: History) -> None:
    first_follower(history)[-1].epoch = "another"


def hold_more_at_one_node(history: History) -> None:
    history.final[1]["ghost"] = 1


def acknowledge_at_another_place(history: History) -> None:
    last_own(history).rev = history.writes[0].rev
    last_own(history).key = history.writes[0].key


def ask_nobody(history: History) -> None:
    history.final.clear()


def tell_a_subscriber_an_older_value(history: History) -> None:
    items = first_stream(history.values).items
    key = last_own(history).key
    items.append(next(item for item in items if item[0] == key))


def tell_subscribers_two_orders(history: History) -> None:
    """Of values of which nothing else is known: each agrees with all that followers saw."""
    streams = list(history.values.values())
    one, other = (f"{RACE}0", {"w": 0, "n": 1}), (f"{RACE}0", {"w": 0, "n": 2})
    streams[0][0].items[0:0] = [one, other]
    streams[1][0].items[0:0] = [other, one]


def tell_a_subscriber_a_wrong_last_value(history: History) -> None:
    first_stream(history.values).items.append((last_own(history).key, {"n": 10**9}))


def tell_a_subscriber_nothing_of_a_key(history: History) -> None:
    key = last_own(history).key
    for stream in next(iter(history.values.values())):
        stream.items = [item for item in stream.items if item[0] != key]


def swap_two_events(history: History) -> None:
    items = first_stream(history.events).items
    places = [place for place, item in enumerate(items) if item[1].startswith(ONCE)]
    items[places[0]], items[places[1]] = items[places[1]], items[places[0]]


def tell_an_event_twice(history: History) -> None:
    items = first_stream(history.events).items
    items.append(next(item for item in items if item[1].startswith(ONCE)))


def tell_a_removal_first(history: History) -> None:
    """Of a key that no follower has seen: there is no revision that could tell."""
    first_stream(history.events).items[0:0] = [("expired", f"{ONCE}x"), ("set", f"{ONCE}x")]


def swap_two_messages(history: History) -> None:
    items = first_stream(history.messages).items
    items[0], items[1] = items[1], items[0]


def first_removal(history: History) -> tuple[str, int]:
    """A key of sessions, and where it went first."""
    changes = (one for update in first_follower(history) for one in update.changes)
    removal = next(one for one in changes if one.key.startswith(GUEST) and one.value is None)
    return removal.key, removal.rev


def remove_the_key_of_a_session(history: History) -> None:
    key, rev = first_removal(history)
    life = next(one for one in history.lives if one.key == key)
    life.last = rev + 1


def end_a_session_within_its_grace(history: History) -> None:
    history.resumes.append(Resume(1, 6, is_resumed=False))


def leave_the_key_of_a_session(history: History) -> None:
    history.final[0][f"{GUEST}1"] = 1


def leave_a_key_that_has_expired(history: History) -> None:
    history.final[0][f"{ONCE}1-1"] = 1


def run_a_will_twice(history: History) -> None:
    history.final[0][WILLS] += history.unsure + 1


def run_no_will(history: History) -> None:
    history.final[0][WILLS] = history.begun - 1


def end_the_session_of_a_new_owner(history: History) -> None:
    """The end of the session before takes the key away from that which has taken it over."""
    key, rev = first_removal(history)
    life = [one for one in history.lives if one.key == key][-1]
    life.first, life.last = rev - 1, rev + 1
