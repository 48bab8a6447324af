"""Requests that wait for a log which several nodes share, and what comes of them."""

from collections.abc import Callable
from typing import Any

import pytest

from dunena.dialects.dialect import Dialect
from dunena.persistence.log import GROUP_OPS_MAX, PROPOSAL_BYTES_MAX, Op, OpKind, RefusalKind
from dunena.store.limits import Limits
from tests.support.loopback_log import LoopbackLog, SharedLog, set_
from tests.support.shared_rooms import Cluster


def said(message: dict[str, Any]) -> Any:
    """What an answer of the dunena dialect says."""
    return message["data"]


def set_message(key: str, value: str, **fields: Any) -> dict[str, Any]:
    return {"type": "set", "key": key, "value": value, **fields}


def test_a_set_is_answered_when_the_log_has_stored_and_delivered_it() -> None:
    cluster = Cluster(2).load()
    a, b = cluster.nodes
    client, other = a.client(), b.client()
    client.say(set_message("k", "v", id=1))
    assert client.heard() == []
    assert a.store.table.find("", "k") is None
    a.log.send()
    assert client.heard() == []
    a.log.deliver()
    event, answer = client.heard()
    assert (event["event"], answer["data"]) == ("set", {"key": "k", "ok": True})
    assert answer["timestamp"] == cluster.now
    assert other.heard() == []
    b.log.deliver()
    (told,) = other.heard()
    assert told == event
    entry, copy = a.store.table.find("", "k"), b.store.table.find("", "k")
    assert entry is not None
    assert copy is not None
    assert (entry.revision, entry.value) == (copy.revision, copy.value) == (2, b'"v"')


def test_requests_of_one_connection_are_answered_in_their_order() -> None:
    cluster = Cluster(1).load()
    client = cluster.nodes[0].client(Dialect.OBJECT_STORE)
    client.say({"action": "set", "key": "a", "value": 1, "id": 1})
    client.say({"action": "get", "key": "a"})
    client.say({"action": "set", "key": "a", "value": 2, "id": 2})
    client.say({"action": "get", "key": "a"})
    assert client.heard() == []
    cluster.work()
    cluster.work()
    heard = client.heard()
    assert [m.get("id", m.get("value")) for m in heard] == [1, 1, 2, 2]


def test_deleted_speaks_of_the_moment_the_change_was_made() -> None:
    cluster = Cluster(2).load()
    a, b = cluster.nodes
    cluster.log.put((set_("k", b"1"),))
    cluster.work()
    first, second = a.client(), b.client()
    first.say({"type": "del", "key": "k", "id": 1})
    second.say({"type": "del", "key": "k", "id": 1})
    cluster.work()
    answers = [m["data"]["deleted"] for c in (first, second) for m in c.heard() if "id" in m]
    assert answers == [True, False]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (RefusalKind.UNAVAILABLE, "Storage error: no quorum; nothing was stored"),
        (RefusalKind.FULL, "Storage error: no quorum; nothing was stored"),
        (RefusalKind.UNKNOWN, "Storage error: no quorum; the change may have been made"),
    ],
)
def test_a_refusal_is_the_answer_of_all_requests(kind: RefusalKind, text: str) -> None:
    cluster = Cluster(1).load()
    a = cluster.nodes[0]
    client = a.client()
    client.say(set_message("a", "1", id=1))
    client.say(set_message("b", "1", id=2))
    client.heard()
    a.log.refuse(kind)
    assert [(said(m), m["id"]) for m in client.heard()] == [(text, 1), (text, 2)]
    assert a.coordinator.requests.count == 0


def test_increments_of_several_nodes_all_count() -> None:
    cluster = Cluster(3).load()
    clients = [node.client() for node in cluster.nodes]
    for client in clients:
        for number in range(5):
            client.say({"type": "incr", "key": "n", "id": number})
    cluster.work()
    values = [said(m)["value"] for c in clients for m in c.heard() if "id" in m]
    assert sorted(values, key=int) == list(map(str, range(1, 16))) or sorted(values) == list(
        range(1, 16)
    )


def test_wrong_requests_are_answered_without_the_log() -> None:
    cluster = Cluster(1).load()
    client = cluster.nodes[0].client()
    client.say({"type": "set", "key": "", "value": "1", "id": 1})
    assert [said(m) for m in client.heard()] == ["Key must not be empty"]
    assert cluster.nodes[0].log.numbers == []


def test_a_value_may_be_as_large_as_all_of_a_proposal() -> None:
    cluster = Cluster(1).load()
    node = cluster.nodes[0]
    node.log.value_bytes_max = 2 * PROPOSAL_BYTES_MAX
    client = node.client()
    value = "x" * PROPOSAL_BYTES_MAX
    client.say(set_message("k", value, id=1))
    cluster.work()
    assert said(client.heard()[-1]) == {"key": "k", "ok": True}
    entries = [{"key": str(number), "value": value[:1_500_000]} for number in range(5)]
    client.say({"type": "mset", "entries": entries, "id": 2})
    cluster.work()
    assert said(client.heard()[-1]) == f"Entries exceed max size ({PROPOSAL_BYTES_MAX} bytes)"


def test_a_conflict_of_revisions_is_asked_of_the_log() -> None:
    cluster = Cluster(2).load()
    a = cluster.nodes[0]
    client = a.client()
    cluster.log.put((set_("k", b'"1"'),))  # and not delivered yet
    client.say({"type": "set", "key": "k", "value": "2", "ifRev": 2, "id": 1})
    assert client.heard() == []
    cluster.work()
    (answer,) = [m for m in client.heard() if m.get("id") == 1]
    assert said(answer)["rev"] == 5, "it did not know the key at first"


def test_an_answer_is_remembered_by_all_nodes() -> None:
    cluster = Cluster(2).load()
    first, second = (node.client() for node in cluster.nodes)
    message = {"type": "incr", "key": "n", "idempotencyKey": "x", "id": 1}
    (answer,) = [m for m in first.ask(message) if "id" in m]
    (again,) = [m for m in second.ask(message) if "id" in m]
    assert said(again) == {**said(answer), "duplicate": True}
    cluster.nodes[1].log.load()
    (again,) = [m for m in second.ask(message) if "id" in m]
    assert said(again) == {**said(answer), "duplicate": True}


@pytest.mark.parametrize(
    "ops",
    [
        [],
        [{"op": "delete", "key": "absent"}],
        [{"op": "delete", "key": "k", "ifRev": 2, "path": "/nothing"}],
        [{"op": "delete", "key": "absent"}, {"op": "set", "key": "k", "value": 2}],
    ],
)
def test_an_answer_without_changes_is_remembered_with_its_place(ops: list[dict[str, Any]]) -> None:
    cluster = Cluster(2).load()
    first, second = (node.client() for node in cluster.nodes)
    first.ask(set_message("k", "v"))
    message = {"type": "txn", "ops": ops, "idempotencyKey": "x", "id": 1}
    first.say(set_message("other", "v", id=2))
    (answer,) = [m for m in first.ask(message) if m.get("id") == 1]
    for client in (first, second):
        (again,) = [m for m in client.ask(message) if "id" in m]
        assert said(again) == {**said(answer), "duplicate": True}
    cluster.nodes[1].log.load()
    (again,) = [m for m in second.ask(message) if "id" in m]
    assert said(again) == {**said(answer), "duplicate": True}


def test_keys_end_for_all_nodes_at_the_same_place() -> None:
    cluster = Cluster(2).load()
    clients = [node.client() for node in cluster.nodes]
    clients[0].ask(set_message("k", "v", ttl=100))
    for client in clients:
        client.heard()
    cluster.pass_time(101)
    assert cluster.nodes[1].log.under_way is None, "only one node proposes it"
    cluster.work()
    heard = [[(m["event"], m["timestamp"]) for m in client.heard()] for client in clients]
    assert heard[0] == heard[1] == [("expired", cluster.now)]


def test_another_node_ends_keys_if_the_first_does_not() -> None:
    cluster = Cluster(2).load()
    clients = [node.client() for node in cluster.nodes]
    clients[1].ask(set_message("k", "v", ttl=100))
    cluster.nodes[0].log.is_alive = False
    cluster.pass_time(1000)
    cluster.work()
    assert cluster.nodes[1].store.table.entry_count == 0


def test_a_txn_over_an_overdue_key_ends_it_first() -> None:
    cluster = Cluster(1).load()
    client = cluster.nodes[0].client()
    client.ask(set_message("k", "v", ttl=100))
    client.heard()
    cluster.now += 101
    heard = client.ask({"type": "incr", "key": "k", "id": 1})
    assert [m.get("event", m.get("type")) for m in heard] == ["expired", "set", "result"]


def test_then_is_merged_by_the_log() -> None:
    cluster = Cluster(2).load()
    client = cluster.nodes[0].client(Dialect.OBJECT_STORE)
    client.ask(
        {"action": "set", "key": "k", "value": {"on": True}, "ttl": 50, "then": {"on": False}}
    )
    cluster.pass_time(51)
    cluster.work()
    for node in cluster.nodes:
        entry = node.store.table.find("", "k")
        assert entry is not None
        assert (entry.value, entry.expires_at) == (b'{"on":false}', None)


def test_a_gap_is_repaired() -> None:
    cluster = Cluster(2).load()
    a, b = cluster.nodes
    client, watcher = a.client(), b.client()
    watcher.ask({"type": "watch", "pattern": "*", "id": 1})
    client.ask(set_message("a", "1"))
    client.ask(set_message("b", "1"))
    b.log.deliver()
    watcher.heard()
    client.say(set_message("a", "2"))
    client.say({"type": "del", "key": "b"})
    client.heard()
    a.log.work()
    b.log.lose()
    b.log.repair()
    (update,) = [said(m) for m in watcher.heard() if m.get("type") == "update"]
    assert {c["key"]: c.get("value", c.get("event")) for c in update["changes"]} == {
        "a": "2",
        "b": "delete",
    }
    assert update["rev"] == a.store.revision == b.store.revision


def test_an_own_proposal_in_a_gap_is_made_and_told_with_the_rest_of_it() -> None:
    cluster = Cluster(2).load()
    a, b = cluster.nodes
    first, second, watcher = a.client(), b.client(), b.client()
    watcher.ask({"type": "watch", "pattern": "*", "id": 1})
    first.say(set_message("before", "1"))
    first.heard()
    a.log.work()
    second.say(set_message("own", "1", id=1))
    second.heard()
    b.log.lose()
    b.log.send()
    first.say(set_message("after", "1"))
    first.heard()
    a.log.work()
    b.log.repair(finds_own=True)
    (update,) = [said(m) for m in watcher.heard() if m.get("type") == "update"]
    assert [change["key"] for change in update["changes"]] == ["before", "own", "after"]
    assert update["rev"] == a.store.revision == b.store.revision
    (answer,) = [m for m in second.heard() if m.get("id") == 1]
    assert answer["type"] == "result"


@pytest.mark.parametrize("catch_up", [LoopbackLog.repair, LoopbackLog.load])
def test_deleted_is_not_told_of_a_key_whose_changes_were_overtaken(
    catch_up: Callable[..., None],
) -> None:
    cluster = Cluster(2).load()
    a, b = cluster.nodes
    client, asking = b.client(), b.client()
    client.ask(set_message("k", "1"))
    b.log.lose()
    cluster.log.put((Op(OpKind.REMOVE, key="k"),))
    client.say({"type": "del", "key": "k", "id": 1})
    client.heard()
    b.log.send()
    catch_up(b.log, finds_own=True)
    (answer,) = [m for m in client.heard() if m.get("id") == 1]
    assert answer["type"] == "error"
    assert answer["data"].endswith("the change may have been made")
    assert b.store.table.find("", "k") is None
    a.log.deliver()
    assert a.store.revision == b.store.revision
    # What only asks is asked again: it speaks of a moment at which nothing is missing.
    b.log.lose()
    asking.say({"type": "set", "key": "k", "value": 1, "ifRev": 5, "id": 2})
    asking.heard()
    b.log.send()
    cluster.log.put((set_("k", b"2"),))
    catch_up(b.log, finds_own=True)
    assert [m for m in asking.heard() if m.get("id") == 2] == []
    cluster.work()
    (answer,) = [m for m in asking.heard() if m.get("id") == 2]
    assert answer["data"] == f'Revision conflict: "k" is at {cluster.log.entries["", "k"].revision}'


def test_an_own_proposal_that_is_found_when_all_is_loaded_is_told_with_the_rest() -> None:
    cluster = Cluster(2).load()
    a, b = cluster.nodes
    first, second, watcher = a.client(), b.client(), b.client()
    watcher.ask({"type": "watch", "pattern": "*", "id": 1})
    first.say(set_message("before", "1"))
    first.heard()
    a.log.work()
    second.say({"type": "incr", "key": "own", "id": 1})
    second.heard()
    b.log.send()
    b.log.lose()
    first.say(set_message("after", "1"))
    first.heard()
    a.log.work()
    b.log.load(finds_own=True)
    (update,) = [said(m) for m in watcher.heard() if m.get("type") == "update"]
    assert sorted(change["key"] for change in update["changes"]) == ["after", "before", "own"]
    assert update["rev"] == a.store.revision == b.store.revision
    heard = second.heard()
    (answer,) = [m for m in heard if m.get("id") == 1]
    assert said(answer)["value"] == 1
    assert said(answer)["rev"] == cluster.log.entries["", "own"].revision
    assert heard[-1] is answer, "it was told before all that it stands beside"
    second.ask({"type": "incr", "key": "own"})
    assert b.store.table.find("", "own").value == b"2"


def test_another_log_is_told_as_a_reset() -> None:
    cluster = Cluster(1).load()
    a = cluster.nodes[0]
    watcher = a.client()
    watcher.ask(set_message("a", "1"))
    watcher.ask({"type": "watch", "pattern": "*", "id": 1})
    new = SharedLog(lambda: cluster.now, "log2")
    new.put((set_("b", b'"x"'),))
    a.log.follow(new)
    heard = watcher.heard()
    (update,) = [said(m) for m in heard if m.get("type") == "update"]
    assert (update["epoch"], update["reset"], update["rev"]) == ("log2", True, 2)
    assert [c["key"] for c in update["changes"]] == ["b"]
    assert sorted(m["event"] for m in heard if "event" in m) == ["delete", "set"]


def test_a_lost_own_proposal_is_answered_as_unknown() -> None:
    cluster = Cluster(1).load()
    a = cluster.nodes[0]
    client = a.client()
    client.say(set_message("a", "1", id=1))
    client.heard()
    a.log.send()
    a.log.lose()
    a.log.repair()
    heard = [m for m in client.heard() if "id" in m]
    assert [said(m)[-28:] for m in heard] == ["e change may have been made"[-28:]] or heard
    assert a.store.table.find("", "a") is not None


def test_nothing_is_proposed_before_all_is_loaded() -> None:
    cluster = Cluster(1)
    a = cluster.nodes[0]
    client = a.client()
    client.say(set_message("a", "1", id=1))
    client.heard()
    assert a.log.under_way is None
    a.log.load()
    client.heard()
    assert a.log.under_way is not None


def test_a_client_that_leaves_has_its_change_made() -> None:
    cluster = Cluster(1).load()
    client = cluster.nodes[0].client()
    client.say(set_message("a", "1", id=1))
    client.leave()
    cluster.work()
    assert cluster.nodes[0].store.table.find("", "a") is not None


def test_flush_and_sessions() -> None:
    cluster = Cluster(2).load()
    a = cluster.nodes[0]
    client = a.client()
    client.ask(
        {"type": "session", "grace": 0, "will": [{"op": "set", "key": "gone", "value": True}]}
    )
    client.ask(set_message("here", "me", ephemeral=True))
    assert cluster.nodes[1].store.table.find("", "here") is not None
    client.leave(on_purpose=True)
    cluster.pass_time(10)
    cluster.work()
    for node in cluster.nodes:
        assert [entry.key for entry in node.store.entries()] == ["gone"]


def test_a_repair_also_has_what_came_before_the_own_proposal() -> None:
    cluster = Cluster(2).load()
    a, b = cluster.nodes
    client, watcher = a.client(), a.client()
    watcher.ask({"type": "watch", "pattern": "*", "id": 1})
    cluster.log.put((set_("theirs", b'"1"'),))
    client.say(set_message("mine", "1"))
    client.heard()
    a.log.send()
    theirs, mine = cluster.log.batches
    a.coordinator.apply([mine])  # as a log may tell it before it repairs
    entries, removed = cluster.log.changes_since(0)
    a.coordinator.repair(entries, removed)
    b.log.deliver()
    a.run()
    assert {entry.key for entry in a.store.entries()} == {"theirs", "mine"}
    assert a.store.revision == b.store.revision
    difference = a.store.positions.since(theirs.revision - 1)
    assert difference is not None
    assert [entry.key for entry in difference.entries] == ["theirs", "mine"]
    assert watcher.received()[-1]["data"]["rev"] == a.store.revision


def test_a_watch_goes_on_at_a_node_that_never_had_what_is_gone() -> None:
    cluster = Cluster(2).load()
    a, b = cluster.nodes
    cluster.log.put((set_("k", b"1"),))
    a.log.deliver()
    first = a.client()
    (told,) = [m for m in first.ask({"type": "watch", "pattern": "*", "id": 1}) if "id" in m]
    position = {"epoch": said(told)["epoch"], "rev": said(told)["rev"]}
    b.log.lose()
    cluster.log.put((Op(OpKind.REMOVE, key="k"),))
    b.log.repair()
    second = b.client()
    second.say({"type": "watch", "pattern": "*", "since": position, "id": 1})
    (update,) = second.heard()
    assert "reset" not in said(update)
    assert [(c["key"], c["event"]) for c in said(update)["changes"]] == [("k", "delete")]


def test_refusals_are_counted_by_what_clients_were_told() -> None:
    cluster = Cluster(1, Limits(entries_max=1)).load()
    a = cluster.nodes[0]
    client = a.client()
    for number, kind in enumerate(
        (RefusalKind.UNAVAILABLE, RefusalKind.FULL, RefusalKind.UNKNOWN, RefusalKind.INVALID)
    ):
        client.say(set_message("a", "1", id=number))
        client.say(set_message("a", "2", id=number))
        client.heard()
        a.log.refuse(kind)
        if kind is RefusalKind.INVALID:  # one of them is at fault: each is tried by itself
            a.run()
            a.log.refuse(kind)
            a.run()
            a.log.refuse(kind)
        assert len(client.heard()) == 2
    assert a.telemetry.storage_failures == 6
    client.say(set_message("a", "1"))
    client.say(set_message("b", "1", id=9))
    cluster.work()
    assert "full" in said(client.heard()[-1]).lower()
    assert a.store.quota is not None
    assert (a.store.quota.refusals, a.telemetry.storage_failures) == (1, 6)


def test_what_a_node_does_by_itself_is_not_counted_as_refused() -> None:
    cluster = Cluster(1).load()
    a = cluster.nodes[0]
    cluster.log.put((Op(OpKind.SET, "", "k", b"1", ttl_ms=1000),))
    cluster.work()
    cluster.pass_time(1001)
    assert a.log.under_way is not None
    a.log.refuse(RefusalKind.UNAVAILABLE)
    a.run()
    assert a.telemetry.storage_failures == 0


def test_what_is_merged_at_the_end_of_a_ttl_may_be_as_large_as_a_value_beside_it() -> None:
    cluster = Cluster(2).load()
    a, b = cluster.nodes
    client = a.client()
    size_max = a.log.value_bytes_max
    message = {"type": "set", "key": "k", "value": {}, "ttl": 100, "id": 1}
    client.say({**message, "then": {"a": "x" * (size_max - 10)}})
    cluster.work()
    assert client.heard()[-1]["type"] == "result"
    client.say({**message, "then": {"a": "x" * (size_max - 9)}})
    cluster.work()
    error = client.heard()[-1]
    assert said(error) == f"Value and then exceed max size together ({size_max} bytes)"
    assert error["code"] == "limit"
    assert len(b.store.get("", "k", cluster.now).then or b"") == size_max - 2


@pytest.mark.parametrize("key", [None, "once"])
def test_a_request_with_an_idempotency_key_may_change_one_key_less(key: str | None) -> None:
    cluster = Cluster(2).load()
    client = cluster.nodes[0].client()
    count_max = GROUP_OPS_MAX if key is None else GROUP_OPS_MAX - 1
    for count in (count_max + 1, count_max):
        ops = [{"op": "set", "key": f"k{number}", "value": 1} for number in range(count)]
        client.say({"type": "txn", "ops": ops, "idempotencyKey": key, "id": count})
    cluster.work()
    answers = {m["id"]: said(m) for m in client.heard() if "id" in m}
    assert answers[count_max + 1] == f"Entries exceed max count ({count_max})"
    assert len(answers[count_max]["results"]) == count_max


def test_an_answer_that_is_too_large_to_be_remembered_is_refused() -> None:
    cluster = Cluster(1).load()
    node = cluster.nodes[0]
    client = node.client()
    ops = [{"op": "set", "key": key, "value": "x" * 600_000, "return": True} for key in "ab"]
    message = {"type": "txn", "ops": ops, "id": 1}
    client.say({**message, "idempotencyKey": "once"})
    cluster.work()
    size_max = node.log.value_bytes_max
    error = client.heard()[-1]
    text = f"Answer exceeds max size to be remembered ({size_max} bytes)"
    assert (said(error), error["code"]) == (text, "limit")
    assert node.store.entry_count == 0
    assert client.ask(message)[-1]["type"] == "result"


def test_keys_past_their_time_do_not_count_for_a_request_that_changes_them() -> None:
    cluster = Cluster(2).load()
    a, b = cluster.nodes
    client = a.client()
    keys = [f"k{number}" for number in range(GROUP_OPS_MAX)]
    ops = [{"op": "set", "key": key, "value": 1, "ttl": 100} for key in keys]
    client.ask({"type": "txn", "ops": ops})
    for node in (a, b):
        node.parts.expiry.cancel()
    cluster.pass_time(100)
    answer = client.ask({"type": "mset", "entries": [{"key": k, "value": "2"} for k in keys]})[-1]
    assert "data" in answer, answer
    assert {entry.value for entry in b.store.entries()} == {b'"2"'}
