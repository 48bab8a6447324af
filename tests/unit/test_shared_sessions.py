"""Sessions that all nodes of a log know: begun here, resumed there, ended by whoever is left."""

from collections.abc import Iterable
from typing import Any

import orjson
import pytest

from dunena.dialects.grants import Grant, Right
from dunena.persistence.log import GROUP_OPS_MAX, LEASE_MS, LogState, Op, OpKind, RefusalKind
from dunena.server.shared.session_notes import PREFIX
from dunena.sessions.limits import SHARED_SESSION_KEYS_MAX, WILL_OPERATIONS_MAX
from dunena.sessions.session import SessionState
from tests.support.shared_rooms import Cluster, LaneClient, SharedRooms

OTHER = Grant("other", frozenset((Right.READ, Right.WRITE)), digest=b"other")

GONE = [{"op": "set", "key": "gone", "value": 1}]
"""A will."""


def ask_session(client: LaneClient, **fields: Any) -> dict[str, Any]:
    """Ask for a session; return the data of the answer."""
    answers = client.ask({"type": "session", "id": 1, **fields})
    (answer,) = [message for message in answers if message.get("id") == 1]
    assert answer["type"] == "result", answer
    return answer["data"]


def put(client: LaneClient, key: str = "k", value: str = "v") -> None:
    client.ask({"type": "set", "key": key, "value": value, "ephemeral": True})


def values(node: SharedRooms) -> dict[str, Any]:
    return {entry.key: orjson.loads(entry.value) for entry in node.store.entries()}


def notes(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """The notes of sessions that the log has, by id."""
    found = cluster.log.notes.items()
    return {
        name.removeprefix(PREFIX): orjson.loads(note.op.value)
        for name, note in found
        if name.startswith(PREFIX) and note.op.value
    }


def pass_time(cluster: Cluster, ms: int) -> None:
    """Let time pass in steps, as timers ring, and the log work meanwhile."""
    for _ in range(ms // 250):
        cluster.pass_time(250)
        cluster.work()


def kill(node: SharedRooms) -> None:
    """A node is gone, without a word."""
    node.log.is_alive = False
    node.cluster.nodes.remove(node)


def two() -> tuple[Cluster, SharedRooms, SharedRooms]:
    cluster = Cluster(2).load()
    return cluster, *cluster.nodes


def begin(**terms: Any) -> tuple[Cluster, SharedRooms, SharedRooms, LaneClient, dict[str, Any]]:
    """Two nodes, and a client of the first that has a session of these terms; its answer."""
    cluster, a, b = two()
    client = a.client()
    return cluster, a, b, client, ask_session(client, **terms)


def test_a_session_is_a_note_that_has_no_secret() -> None:
    cluster, a, b, client, answer = begin(grace=5000, name="me", will=[])
    (note,) = notes(cluster).values()
    assert list(notes(cluster)) == [answer["session"]]
    assert answer["resumed"] is False
    assert (note["node"], note["grace"], note["name"], note["lostAt"]) == ("n0", 5000, "me", None)
    secret = answer["resume"].partition(".")[2]
    assert len(secret) >= 32
    assert secret not in str(cluster.log.batches)
    assert b.parts.session_table.terms == a.parts.session_table.terms
    assert len(b.parts.session_table) == 0
    assert client.timeout_ms == answer["timeout"]


def test_a_session_that_could_not_be_stored_has_not_begun() -> None:
    _, a, _ = two()
    client = a.client()
    client.say({"type": "session", "id": 1, "grace": 5000})
    a.run()
    assert client.holder.session is None
    a.log.refuse(RefusalKind.UNAVAILABLE)
    (answer,) = client.heard()
    assert answer["data"] == "Storage error: no quorum; nothing was stored"
    assert client.holder.session is None
    assert len(a.parts.session_table) == 0
    assert ask_session(client, grace=1000)["grace"] == 1000


def test_an_ephemeral_key_begins_a_session_in_its_own_group() -> None:
    cluster, a, b = two()
    client = a.client()
    client.say({"type": "set", "key": "k", "value": "v", "ephemeral": True})
    client.say({"type": "set", "key": "l", "value": "v", "ephemeral": True})
    cluster.work()
    first, second = cluster.log.batches[-1].groups
    assert [record.op.kind for record in first] == [OpKind.SET, OpKind.NOTE]
    assert [record.op.kind for record in second] == [OpKind.SET]
    session = client.holder.session
    assert session is not None
    assert {first[0].op.owner, second[0].op.owner} == {session.id}
    assert values(b) == {"k": "v", "l": "v"}
    assert session.secret.startswith(session.id + ".")


def test_a_request_that_fails_begins_no_session() -> None:
    cluster, a, _ = two()
    client = a.client()
    ops = [
        {"op": "set", "key": "k", "value": 1, "ephemeral": True},
        {"op": "set", "key": "l", "value": 1, "ifRev": 5},
    ]
    (answer,) = client.ask({"type": "txn", "ops": ops, "id": 1})
    assert answer["code"] == "conflict"
    assert client.holder.session is None
    assert notes(cluster) == {}
    assert len(a.parts.session_table) == 0


@pytest.mark.parametrize("grace", [0, 5000])
def test_a_client_that_leaves_on_purpose_ends_its_session_everywhere(grace: int) -> None:
    cluster, a, b, client, _ = begin(grace=grace)
    put(client)
    client.leave(on_purpose=True)
    pass_time(cluster, 250)
    assert values(a) == values(b) == {}
    assert notes(cluster) == {}
    assert cluster.log.batches[-1].groups[-1][-1].op.kind is OpKind.NOTE
    assert a.parts.session_table.ended_count == 1
    assert a.parts.session_table.terms == b.parts.session_table.terms == {}


def test_a_lost_connection_is_noted_and_its_session_ends_after_its_grace() -> None:
    cluster, a, b, client, answer = begin(grace=2000, will=GONE)
    put(client)
    client.leave()
    lost_at = cluster.now
    cluster.work()
    assert notes(cluster)[answer["session"]]["lostAt"] == lost_at
    pass_time(cluster, 1750)
    assert values(b) == {"k": "v"}
    pass_time(cluster, 500)
    assert values(a) == values(b) == {"gone": 1}
    assert notes(cluster) == {}
    last = [record.op.kind for record in cluster.log.batches[-1].groups[-1]]
    assert last == [OpKind.REMOVE, OpKind.SET, OpKind.NOTE]


def test_a_session_is_resumed_at_another_node() -> None:
    cluster, a, b, client, begun = begin(grace=2000)
    put(client)
    client.leave()
    pass_time(cluster, 1000)
    other = b.client()
    resumed = ask_session(other, resume=begun["resume"])
    assert (resumed["session"], resumed["resume"]) == (begun["session"], begun["resume"])
    assert (resumed["resumed"], resumed["grace"]) == (True, 2000)
    assert notes(cluster)[begun["session"]] == {
        **notes(cluster)[begun["session"]],
        "node": "n1",
        "lostAt": None,
    }
    pass_time(cluster, 3000)
    assert values(a) == values(b) == {"k": "v"}
    assert len(a.parts.session_table) == 0
    removals = [
        record
        for batch in cluster.log.batches
        for group in batch.groups
        for record in group
        if record.op.kind is OpKind.REMOVE
    ]
    assert removals == []
    other.leave()
    pass_time(cluster, 2500)
    assert values(a) == values(b) == {}


def test_a_connection_whose_session_is_resumed_at_another_node_is_displaced() -> None:
    cluster, _, b, client, begun = begin(grace=2000)
    other = b.client()
    assert ask_session(other, resume=begun["resume"])["resumed"] is True
    assert client.is_displaced
    assert not client.is_expelled
    assert client.holder.session is None
    client.leave()
    pass_time(cluster, 3000)
    assert list(notes(cluster)) == [begun["session"]]


@pytest.mark.parametrize("flaw", ["secret", "scope", "id"])
def test_only_who_has_the_secret_and_the_same_rights_resumes_a_session(flaw: str) -> None:
    cluster, _, b, client, begun = begin(grace=5000)
    client.leave()
    cluster.work()
    secret = begun["resume"] + "x" if flaw == "secret" else begun["resume"]
    secret = "x" + secret if flaw == "id" else secret
    other = b.client(grant=OTHER) if flaw == "scope" else b.client()
    answer = ask_session(other, resume=secret)
    assert answer["resumed"] is False
    assert answer["session"] != begun["session"]


def test_the_sessions_of_a_node_that_dies_end_with_their_keys_and_wills() -> None:
    cluster, a, b, client, _ = begin(grace=4000, will=GONE)
    put(client)
    a.log.last_sign = cluster.now
    kill(a)
    pass_time(cluster, LEASE_MS - 250)
    assert values(b) == {"k": "v"}
    pass_time(cluster, 2000)
    assert values(b) == {"gone": 1}
    assert notes(cluster) == {}
    assert b.parts.session_table.ended_count == 1


def test_a_session_of_a_dead_node_has_its_grace_from_that_ones_last_sign() -> None:
    cluster, a, b, client, begun = begin(grace=20_000)
    put(client)
    kill(a)
    pass_time(cluster, 19_000)
    assert values(b) == {"k": "v"}
    other = b.client()
    assert ask_session(other, resume=begun["resume"])["resumed"] is True
    pass_time(cluster, 30_000)
    assert values(b) == {"k": "v"}


def test_a_will_does_not_run_without_the_rights_that_it_had() -> None:
    cluster, a, b = two()
    a.grants[OTHER.scope] = OTHER
    client = a.client(grant=OTHER)
    ask_session(client, will=GONE)
    put(client)
    kill(a)
    pass_time(cluster, LEASE_MS + 2000)
    assert values(b) == {}
    assert notes(cluster) == {}
    assert b.parts.session_table.failed_wills == 1


def test_the_next_node_stands_by() -> None:
    cluster = Cluster(3).load()
    a, b, c = cluster.nodes
    client = c.client()
    ask_session(client)
    put(client)
    kill(c)
    cluster.nodes.remove(a)  # it lives, and does nothing
    pass_time(cluster, LEASE_MS + 2000)
    assert values(b) == {"k": "v"}
    pass_time(cluster, 3000)
    assert values(b) == {}


def test_a_key_that_somebody_else_took_over_stays() -> None:
    cluster, a, b, client, _ = begin(grace=2000)
    put(client)
    put(client, "l")
    client.leave()
    other = b.client()
    put(other, "l", "other")
    other.ask({"type": "set", "key": "k", "value": "plain"})
    pass_time(cluster, 3000)
    assert values(a) == values(b) == {"k": "plain", "l": "other"}


def test_a_key_that_is_taken_over_at_the_same_moment_stays() -> None:
    cluster, a, b = two()
    client = a.client()
    put(client)
    client.leave()
    a.ring()
    a.run()
    assert a.log.under_way is not None  # the end of the session
    b.client().ask({"type": "set", "key": "k", "value": "other", "ephemeral": True})
    cluster.work()
    assert values(a) == values(b) == {"k": "other"}
    assert len(notes(cluster)) == 1


def test_a_session_that_is_resumed_elsewhere_while_it_ends_does_not_end() -> None:
    cluster, a, _b, client, begun = begin(grace=2000)
    put(client)
    client.leave()
    cluster.work()
    cluster.now += 2000
    a.ring()
    a.run()
    assert a.log.under_way is not None
    cluster.log.put((_note_of(cluster, begun["session"], node="n1", lostAt=None),))
    cluster.work()
    pass_time(cluster, 1000)
    assert values(a) == {"k": "v"}
    assert list(notes(cluster)) == [begun["session"]]


def _note_of(cluster: Cluster, session_id: str, **fields: Any) -> Op:
    value = orjson.dumps({**notes(cluster)[session_id], **fields})
    return Op(OpKind.NOTE, key=PREFIX + session_id, value=value)


def test_an_end_that_is_refused_is_tried_again() -> None:
    cluster, a, b = two()
    client = a.client()
    put(client)
    client.leave()
    a.ring()
    a.run()
    a.log.refuse(RefusalKind.UNAVAILABLE)
    assert a.parts.session_table.postponed_count == 1
    pass_time(cluster, 1500)
    assert values(b) == {}
    assert a.parts.session_table.postponed_count == 0


def test_an_end_that_was_made_without_an_answer_is_learned_of() -> None:
    cluster, a, b = two()
    client = a.client()
    put(client)
    client.leave()
    a.ring()
    a.run()
    a.log.store_unnoticed()
    cluster.work()
    pass_time(cluster, 1500)
    assert values(b) == values(a) == {}
    assert len(a.parts.session_table) == 0


def test_a_session_that_began_without_an_answer_ends() -> None:
    cluster, a, b = two()
    client = a.client()
    client.say({"type": "set", "key": "k", "value": "v", "ephemeral": True})
    a.run()
    a.log.store_unnoticed()
    cluster.work()
    assert client.holder.session is None
    pass_time(cluster, 500)
    assert values(a) == values(b) == {}
    assert notes(cluster) == {}


def test_a_node_that_finds_its_sessions_ended_expels_their_connections() -> None:
    cluster, a, b, client, begun = begin(grace=2000)
    put(client)
    a.log.is_alive = False  # it is cut off
    cluster.nodes.remove(a)
    pass_time(cluster, LEASE_MS + 3000)
    assert values(b) == {}
    a.log.is_alive = True
    cluster.nodes.append(a)
    cluster.work()
    assert client.is_expelled
    assert client.holder.session is None
    assert values(a) == {}
    client.leave()
    assert ask_session(a.client(), resume=begun["resume"])["resumed"] is False


def test_a_node_that_was_away_itself_ends_no_session_of_others() -> None:
    cluster, a, b = two()
    client = b.client()
    ask_session(client, grace=1000)
    put(client)
    b.log.last_sign = cluster.now
    pass_time(cluster, LEASE_MS)
    b.log.is_alive = False  # as a node sees it that is behind
    b.log.last_sign = cluster.now - LEASE_MS
    cluster.now += 1000
    a.ring()
    a.run()
    assert a.log.under_way is not None
    assert a.log.under_way.groups == ()
    b.log.is_alive = True  # which it learns with the answer
    cluster.work()
    pass_time(cluster, 1000)
    assert values(a) == {"k": "v"}


def test_no_session_ends_as_the_log_was_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, a, b = two()
    client, other = a.client(), b.client()
    ask_session(client, grace=1000)
    begun = ask_session(other, grace=1000)
    put(client)
    pass_time(cluster, LEASE_MS)
    signs = {node.log.node: cluster.now for node in (a, b)}
    for node in (a, b):
        monkeypatch.setattr(node.log, "last_sign_of", signs.get)
    cluster.now += LEASE_MS + 5000
    signs["n1"] = cluster.now  # it is quicker to be back
    a.log.is_alive = False  # so it seems
    pass_time(cluster, 1000)
    assert ask_session(b.client(), resume=begun["resume"])["resumed"] is True
    signs["n0"] = cluster.now
    a.log.is_alive = True
    pass_time(cluster, 4000)
    assert values(a) == values(b) == {"k": "v"}
    assert not client.is_expelled


def test_a_key_of_a_session_without_a_note_is_removed() -> None:
    cluster, a, b = two()
    cluster.log.put((Op(OpKind.SET, key="k", value=b"1", owner="nobody"),))
    cluster.work()
    assert values(a) == {"k": 1}
    pass_time(cluster, 1250)
    assert values(a) == values(b) == {}


def test_a_session_of_more_keys_than_it_may_have_ends_in_several_steps() -> None:
    cluster, a, b, client, begun = begin(will=GONE)
    keys = [f"k{number}" for number in range(1_000)]  # another version of the server lets it
    cluster.log.put(*((Op(OpKind.SET, "", key, b"1", owner=begun["session"]),) for key in keys))
    cluster.work()
    assert len(values(b)) == 1_000
    client.leave()
    pass_time(cluster, 4000)
    assert values(a) == values(b) == {"gone": 1}
    assert notes(cluster) == {}


def test_a_node_that_loads_everything_makes_its_table_of_the_notes() -> None:
    cluster, a, b = two()
    client, other = a.client(), b.client()
    kept, taken = ask_session(client, grace=2000), ask_session(other, grace=2000)
    third = a.client()
    ended = ask_session(third, grace=2000)
    cluster.log.put((Op(OpKind.NOTE, key=PREFIX + ended["session"]),))
    a.log.lose()
    a.log.load()
    a.run()
    assert set(a.parts.session_table.terms) == {kept["session"], taken["session"]}
    assert client.holder.session is not None
    assert client.holder.session.id == kept["session"]
    assert third.is_expelled
    assert not client.is_expelled


def test_a_gap_that_is_repaired_has_the_notes_too() -> None:
    cluster, a, b = two()
    client, third = a.client(), a.client()
    begun, ended = ask_session(client, grace=2000), ask_session(third, grace=2000)
    other = b.client()
    other.say({"type": "session", "id": 1, "resume": begun["resume"]})
    b.run()
    b.log.work()
    cluster.log.put((Op(OpKind.NOTE, key=PREFIX + ended["session"]),))
    a.log.lose()
    a.log.repair()
    assert client.is_displaced
    assert third.is_expelled
    assert list(a.parts.session_table.terms) == [begun["session"]]


def test_what_a_lost_connection_sent_before_belongs_to_its_session() -> None:
    cluster, _, b, client, begun = begin(grace=2000)
    put(client)
    client.say({"type": "set", "key": "k", "value": "new", "ephemeral": True})
    client.leave()
    cluster.work()
    assert values(b) == {"k": "new"}
    assert ask_session(b.client(), resume=begun["resume"])["resumed"] is True
    pass_time(cluster, 3000)
    assert values(b) == {"k": "new"}
    assert list(notes(cluster)) == [begun["session"]]


def test_two_connections_that_resume_a_session_at_once_do_not_share_it() -> None:
    cluster, a, _, client, begun = begin(grace=2000)
    first, second = a.client(), a.client()
    for one in (first, second, client):
        one.say({"type": "session", "id": 1, "resume": begun["resume"]})
    client.say({"type": "set", "key": "k", "value": "v", "ephemeral": True})
    cluster.work()
    holders = [one for one in (first, second, client) if one.holder.session is not None]
    assert holders == [client]
    assert (first.is_displaced, second.is_displaced) == (True, True)


def test_a_connection_that_loses_its_session_in_the_same_moment_begins_another() -> None:
    cluster, a, _, client, begun = begin(grace=2000)
    other = a.client()
    other.say({"type": "session", "id": 1, "resume": begun["resume"]})
    client.say({"type": "set", "key": "k", "value": "v", "ephemeral": True})
    cluster.work()
    assert other.holder.session is not None
    assert client.holder.session is not None
    assert other.holder.session.id == begun["session"] != client.holder.session.id
    owner = a.store.table.find("", "k")
    assert getattr(owner, "owner", None) == client.holder.session.id


def test_a_connection_that_resumes_another_session_ends_its_own() -> None:
    cluster, _, b, client, begun = begin(grace=2000)
    client.leave()
    other = b.client()
    put(other)
    assert ask_session(other, resume=begun["resume"])["resumed"] is True
    pass_time(cluster, 500)
    assert values(b) == {}
    assert list(notes(cluster)) == [begun["session"]]


def test_changed_rights_change_the_note() -> None:
    cluster, a, _, client, begun = begin(grace=2000)
    client.holder.change_rights(OTHER)
    a.sessions.table.change_rights(lambda grant: grant, cluster.now)
    cluster.work()
    assert notes(cluster)[begun["session"]]["scope"] == OTHER.scope.hex()


def test_a_token_that_is_withdrawn_ends_lost_sessions_without_their_will() -> None:
    cluster, a, b, client, _ = begin(grace=5000, will=GONE)
    put(client)
    client.leave()
    cluster.work()
    a.sessions.table.change_rights(lambda _grant: None, cluster.now)
    pass_time(cluster, 250)
    assert values(b) == {}
    assert notes(cluster) == {}


def test_a_server_that_stops_leaves_its_sessions_to_the_others() -> None:
    cluster, a, b, client, begun = begin(grace=5000)
    put(client)
    a.sessions.stop()
    client.leave()
    kill(a)
    cluster.work()
    pass_time(cluster, 2000)
    assert ask_session(b.client(), resume=begun["resume"])["resumed"] is True
    pass_time(cluster, 20_000)
    assert values(b) == {"k": "v"}


def test_a_server_that_stops_ends_the_sessions_that_nobody_can_resume() -> None:
    cluster, a, b = two()
    client, other = a.client(), a.client()
    ask_session(client, grace=5000)
    put(client)
    put(other, "l")
    a.sessions.stop()
    client.leave()
    other.leave()
    a.log.change_state(LogState.STALE)
    assert not a.sessions.end_left()
    a.log.change_state(LogState.READY)
    assert a.sessions.end_left()
    cluster.work()
    assert values(b) == {"k": "v"}
    assert len(notes(cluster)) == 1


def test_the_state_of_sessions_is_counted_where_they_are_held() -> None:
    cluster, a, b, client, _ = begin(grace=5000)
    assert (a.sessions.table.connected_count, b.sessions.table.connected_count) == (1, 0)
    client.leave()
    assert (a.sessions.table.connected_count, a.sessions.table.lost_count) == (0, 1)
    (session,) = [a.parts.session_table.session_of(session_id) for session_id in notes(cluster)]
    assert session is not None
    assert session.state is SessionState.LOST


def put_many(client: LaneClient, names: Iterable[str], **fields: Any) -> dict[str, Any]:
    """Set ephemeral keys at once; return the answer."""
    ops = [{"op": "set", "key": n, "value": {}, "ephemeral": True, **fields} for n in names]
    answers = client.ask({"type": "txn", "ops": ops, "id": 7})
    (answer,) = [message for message in answers if message.get("id") == 7]
    return answer


def test_a_session_with_all_the_keys_it_may_have_and_a_will_ends_as_one_group() -> None:
    cluster, a, b = two()
    numbers = range(SHARED_SESSION_KEYS_MAX)
    wills = [f"will-{number}" for number in range(WILL_OPERATIONS_MAX)]
    client = a.client()
    ask_session(client, will=[{"op": "merge", "key": key, "value": {"on": 0}} for key in wills])
    put_many(client, [f"k{number}" for number in numbers[:300]], ttl=100)
    put_many(client, [f"k{number}" for number in numbers[300:600]], ttl=100, then={"on": 0})
    put_many(client, [f"k{number}" for number in numbers[600:]])
    ops = [{"op": "set", "key": key, "value": {}, "ttl": 100} for key in wills]
    b.client().ask({"type": "txn", "ops": ops})
    for node in (a, b):
        node.parts.expiry.cancel()
    cluster.pass_time(100)
    count = len(cluster.log.batches)
    client.leave()
    pass_time(cluster, 250)
    assert values(a) == values(b) == {key: {"on": 0} for key in wills}
    assert notes(cluster) == {}
    assert a.parts.session_table.failed_wills == 0
    (batch,) = cluster.log.batches[count:]
    changes = [(record.op.kind, len(group)) for group in batch.groups for record in group]
    ends = [kind for kind, size in changes if size == 1]
    assert ends == [OpKind.EXPIRE] * 400  # each before the group, as it was due
    assert sum(map(len, batch.groups)) == GROUP_OPS_MAX


def test_a_session_may_have_only_keys_that_go_in_one_proposal() -> None:
    _, a, b = two()
    client = a.client()
    names = [f"k{number}" for number in range(SHARED_SESSION_KEYS_MAX)]
    text = f"Ephemeral keys exceed max count ({SHARED_SESSION_KEYS_MAX})"
    assert put_many(client, [*names, "more"])["data"] == text
    assert put_many(client, names)["type"] == "result"
    (error,) = client.ask({"type": "set", "key": "more", "value": 1, "ephemeral": True, "id": 1})
    assert (error["data"], error["code"]) == (text, "limit")
    assert put_many(client, names[:2])["type"] == "result"
    assert len(values(b)) == SHARED_SESSION_KEYS_MAX


def test_keys_that_are_under_way_together_count_for_a_session() -> None:
    cluster, a, b = two()
    client = a.client()
    put_many(client, [f"k{number}" for number in range(SHARED_SESSION_KEYS_MAX - 2)])
    client.say({"type": "del", "key": "k0"})
    for name in "abcde":
        client.say({"type": "set", "key": name, "value": 1, "ephemeral": True, "id": name})
    cluster.work()
    answers = {answer["id"]: answer["type"] for answer in client.received() if "id" in answer}
    assert answers == {"a": "result", "b": "result", "c": "result", "d": "error", "e": "error"}
    assert len(values(b)) == SHARED_SESSION_KEYS_MAX
    assert values(a) == values(b)
