"""The checker finds what it looks for: in what one server did, with a lie put into it."""

import pickle
from collections.abc import Callable

import pytest

from tests.cluster import lies
from tests.cluster.cast import Clients
from tests.cluster.checks import problems
from tests.cluster.clients import NS
from tests.cluster.counts import summarize
from tests.cluster.history import History
from tests.protocol.clients import http
from tests.support.server import ServerProcess

SECONDS = 5

pytestmark = pytest.mark.timeout(180)


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
    assert recorded.duplicates > 0
    assert recorded.repeats
    assert recorded.reads
    assert recorded.sums
    assert recorded.begun > 2
    assert any(one.is_resumed for one in recorded.resumes)
    for told in (recorded.values, recorded.events, recorded.messages):
        assert all(len(streams[0].items) > 20 for streams in told.values())
    assert all(len(updates) > 20 for updates in recorded.followed.values())


@pytest.mark.parametrize(
    ("lie", "complaint"),
    [
        (lies.lose_a_write, "node 1 lost own-"),
        (lies.make_a_refused_write, "which was refused"),
        (lies.invent_a_value, "which was never sent"),
        (lies.acknowledge_what_is_not_there, "is lost: the key is at"),
        (lies.answer_before_an_earlier_write, "came before a write that was answered earlier"),
        (lies.answer_before_the_update, "before its watch was told"),
        (lies.pass_by_a_condition, " was to follow "),
        (lies.make_what_its_condition_forbade, "which was refused"),
        (lies.read_an_old_value, " showed "),
        (lies.read_a_part_of_a_transfer, "a read of all accounts had 3"),
        (lies.count_twice, "node 0 counted"),
        (lies.answer_one_number_to_two, "told the same count"),
        (lies.count_backwards, "was asked for after a greater one was answered"),
        (lies.answer_otherwise_when_asked_again, "to the same request"),
        (lies.make_it_again_when_asked_again, "to the same request"),
        (lies.swap_two_updates, "went back from"),
        (lies.swap_two_values_of_a_key, " after "),
        (lies.tell_a_change_late, "was told of"),
        (lies.tell_a_key_twice, "was told twice of a key"),
        (lies.give_a_change_another_place, "another saw"),
        (lies.tear_a_transfer, "saw accounts of"),
        (lies.miss_a_change, "ended with other values of"),
        (lies.miss_a_change_for_a_while, " without own-"),
        (lies.resume_without_what_was_missed, " without "),
        (lies.begin_anew_in_spite_of_a_position, "began anew at"),
        (lies.begin_another_epoch, "there were several epochs"),
        (lies.hold_more_at_one_node, "nodes 0 and 1 differ in ['ghost']"),
        (lies.acknowledge_at_another_place, "was acknowledged at the place of"),
        (lies.ask_nobody, "no node was asked"),
        (lies.tell_a_subscriber_an_older_value, "subscriber at node 0 was told own-"),
        (lies.tell_subscribers_two_orders, "subscribers disagree on the order of race-0"),
        (lies.tell_a_subscriber_a_wrong_last_value, "was told other last values"),
        (lies.tell_a_subscriber_nothing_of_a_key, "was told other last values"),
        (lies.swap_two_events, "listener at node 0 was told of"),
        (lies.tell_an_event_twice, "was told twice of the"),
        (lies.tell_a_removal_first, "after its removal"),
        (lies.swap_two_messages, "heard 1 of"),
        (lies.remove_the_key_of_a_session, "its session had it from"),
        (lies.end_a_session_within_its_grace, "a session was lost after 1.0 s"),
        (lies.leave_the_key_of_a_session, "node 0 still has ['guest-1']"),
        (lies.leave_a_key_that_has_expired, "node 0 still has ['once-1-1']"),
        (lies.run_a_will_twice, "wills of"),
        (lies.run_no_will, "wills of"),
        (lies.end_the_session_of_a_new_owner, "its session had it from"),
    ],
)
def test_a_lie_is_found(recorded: History, lie: Callable[[History], None], complaint: str) -> None:
    # Several times as quick as a deep copy.
    history = pickle.loads(pickle.dumps(recorded))
    lie(history)
    found = problems(history)
    assert [problem for problem in found if complaint in problem], found
