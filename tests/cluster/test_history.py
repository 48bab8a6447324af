"""The checker finds what it looks for: in what one server did, with a lie put into it."""

import copy
from collections.abc import Callable

import pytest

from tests.cluster.clients import KEYS, NS, Clients
from tests.cluster.history import (
    ACCOUNT,
    COUNTER,
    History,
    Outcome,
    Update,
    Write,
    problems,
    summarize,
)
from tests.protocol.clients import http
from tests.support.server import ServerProcess

SECONDS = 2


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> History:
    """The history of one server that keeps its values itself, whose clients lose connections."""
    with ServerProcess(tmp_path_factory.mktemp("values")) as server:
        url = f"ws://127.0.0.1:{server.port}"
        clients = Clients([url, url], seed=1)
        clients.start()
        # The roamers connect anew all the time: nothing else needs to happen.
        clients.writers[0].is_over.wait(SECONDS)
        return clients.finish(lambda _: http(server, "GET", f"/kv?ns={NS}").json, 2)


def test_a_server_alone_keeps_all_promises(recorded: History) -> None:
    assert problems(recorded) == [], summarize(recorded)
    assert len(recorded.writes) > 50
    assert len(recorded.counted) > 20
    assert recorded.transfers > 20
    assert all(len(updates) > 20 for updates in recorded.followed.values())


def first_follower(history: History) -> list[Update]:
    return next(iter(history.followed.values()))


def last_own(history: History) -> Write:
    return [write for write in history.writes if write.outcome is Outcome.ACKNOWLEDGED][-1]


def lose_a_write(history: History) -> None:
    write = last_own(history)
    history.final[1][write.key] = {"n": write.number - KEYS}


def make_a_refused_write(history: History) -> None:
    write = last_own(history)
    write.outcome = Outcome.REFUSED


def invent_a_value(history: History) -> None:
    history.final[0][last_own(history).key] = {"n": 10**9}


def count_twice(history: History) -> None:
    history.final[0][COUNTER] += 1


def answer_one_number_to_two(history: History) -> None:
    first, second, *_ = history.counted
    history.counted[first] = history.counted[second]


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


def hold_more_at_one_node(history: History) -> None:
    history.final[1]["ghost"] = 1


def acknowledge_at_another_place(history: History) -> None:
    last_own(history).rev = history.writes[0].rev
    last_own(history).key = history.writes[0].key


def ask_nobody(history: History) -> None:
    history.final.clear()


@pytest.mark.parametrize(
    ("lie", "complaint"),
    [
        (lose_a_write, "node 1 lost own-"),
        (make_a_refused_write, "which was refused"),
        (invent_a_value, "which was never sent"),
        (count_twice, "node 0 counted"),
        (answer_one_number_to_two, "told the same count"),
        (swap_two_updates, "went back from"),
        (swap_two_values_of_a_key, " after "),
        (tell_a_change_late, "was told of"),
        (give_a_change_another_place, "another saw"),
        (tear_a_transfer, "saw accounts of"),
        (miss_a_change, "ended with other values of"),
        (hold_more_at_one_node, "nodes 0 and 1 differ in ['ghost']"),
        (acknowledge_at_another_place, "was acknowledged at the place of"),
        (ask_nobody, "no node was asked"),
    ],
)
def test_a_lie_is_found(recorded: History, lie: Callable[[History], None], complaint: str) -> None:
    history = copy.deepcopy(recorded)
    lie(history)
    found = problems(history)
    assert [problem for problem in found if complaint in problem], found
