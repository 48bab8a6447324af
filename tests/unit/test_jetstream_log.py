"""The log of a node, at simulated servers."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random

import pytest

from dunena.persistence.jetstream.log import MESSAGE_OVERHEAD_BYTES, JetStreamLog
from dunena.persistence.jetstream.stream_requests import stream_config
from dunena.persistence.jetstream.terms import LogTerms
from dunena.persistence.jetstream.wire import Message
from dunena.persistence.log import (
    Contents,
    LogBatch,
    LogState,
    Op,
    OpKind,
    Proposal,
    Record,
    Refusal,
    RefusalKind,
)
from dunena.server.status.store_report import UNANSWERED_MS_MAX
from tests.simulation.simulated_stream import (
    Entry,
    Faults,
    NodeTime,
    Process,
    SimulatedCluster,
    SimulatedLink,
    VirtualTime,
)

SET = Op(OpKind.SET, "", "a", b"1")


class Follower:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.loaded: list[Contents] = []
        self.batches: list[LogBatch] = []
        self.revision = 0
        self.refused: dict[int, Refusal] = {}
        self.heard: list[tuple[str, bytes]] = []
        self.states = 0
        self.may_miss = False

    def load(self, contents: Contents, own: LogBatch | None = None) -> None:
        self.loaded.append(contents)

    def apply(self, batches: Sequence[LogBatch]) -> None:
        self.batches += [batch for batch in batches if batch.groups or batch.number is not None]
        self.revision = batches[-1].revision

    def repair(
        self, entries: Contents, removed: Sequence[Record], own: LogBatch | None = None
    ) -> None:
        assert self.may_miss, "nothing was lost"

    def refuse(self, number: int, refusal: Refusal) -> None:
        self.refused[number] = refusal

    def message(self, channel: str, data: bytes) -> None:
        self.heard.append((channel, data))

    def change_state(self) -> None:
        self.states += 1


class World:
    """Servers, and the nodes that a test starts."""

    def __init__(self) -> None:
        self.time = VirtualTime()
        self.cluster = SimulatedCluster(self.time, Random(1), "show", Faults())

    def start(self, name: str, **terms: object) -> tuple[JetStreamLog, Follower]:
        process = Process()
        link = SimulatedLink(self.cluster, process)
        node_terms = LogTerms("show", **terms)  # type: ignore[arg-type]
        log = JetStreamLog(link, NodeTime(self.time, process), node_terms, name)
        follower = Follower()
        log.start(follower)
        return log, follower

    def run(self, seconds: float = 1.0) -> None:
        self.time.run_until(self.time.now_s + seconds)


@pytest.fixture
def world() -> World:
    return World()


def test_a_node_makes_the_stream_and_is_ready(world: World) -> None:
    log, follower = world.start("n1")
    assert log.status.state is LogState.STARTING
    world.run()
    status = log.status
    assert (status.state, status.nodes, status.reason) == (LogState.READY, ("n1",), None)
    assert status.is_writable
    assert status.is_connected
    (contents,) = follower.loaded
    assert (contents.revision, contents.entries, contents.notes) == (1, [], {})  # its mark
    assert world.cluster.config is not None
    assert follower.states >= 1


def test_what_is_proposed_is_told_to_all_in_the_same_way(world: World) -> None:
    (log, follower), (_, other) = world.start("n1"), world.start("n2")
    world.run()
    log.propose(Proposal(1, ((SET,), (Op(OpKind.REMOVE, "", "b"), SET))))
    assert follower.batches == []
    world.run()
    (own,), (foreign,) = follower.batches, other.batches
    assert (own.node, own.number) == ("n1", 1)
    assert (foreign.node, foreign.number) == ("n1", None)
    assert own.groups == foreign.groups
    assert [len(group) for group in own.groups] == [1, 2]
    assert log.figures.commits == 1
    assert log.figures.changes == 3
    assert log.last_sign_of("n1") == own.timestamp


def test_a_question_is_answered_with_an_empty_batch(world: World) -> None:
    (log, follower), (_, other) = world.start("n1"), world.start("n2")
    world.run()
    log.propose(Proposal(1, ()))
    world.run()
    (batch,) = follower.batches
    assert (batch.number, batch.groups) == (1, ())
    assert other.batches == []
    assert other.revision >= batch.revision  # it is told too that there was something


def test_a_reader_makes_nothing_and_proposes_nothing(world: World) -> None:
    log, follower = world.start("r1", is_reader=True)
    world.run(5)
    assert world.cluster.config is None
    assert log.status.state is LogState.STARTING
    assert log.status.reason == "stream not found"
    world.start("n1")
    world.run(5)
    assert log.status.state is LogState.READY
    assert log.status.nodes == ("n1", "r1")
    log.propose(Proposal(1, ((SET,),)))
    assert follower.refused == {}
    world.run()
    assert follower.refused[1].kind is RefusalKind.UNAVAILABLE
    assert not any("r1" in subject for subject in world.cluster.replicas[0].last)


def test_a_reader_hears_messages_and_tells_none(world: World) -> None:
    log, _ = world.start("n1")
    reader, follower = world.start("r1", is_reader=True)
    world.run(5)
    reader.listen("chat", wanted=True)
    assert reader.tell("chat", b"1") == "this server may only read"
    assert log.tell("chat", b"2") is None
    world.run()
    assert follower.heard == [("chat", b"2")]


def test_a_stream_that_cannot_be_a_log_is_waited_for(world: World) -> None:
    config = {**stream_config(LogTerms("show")), "allow_direct": False}
    world.cluster.create(config)
    log, follower = world.start("n1")
    world.run(3)
    assert log.status.state is LogState.STARTING
    assert log.status.reason == "allow_direct of the stream KV_show is False"
    log.propose(Proposal(1, ((SET,),)))
    world.run()
    assert follower.refused[1] == Refusal(RefusalKind.UNAVAILABLE, log.status.reason)
    config["allow_direct"] = True
    world.run(3)
    assert log.status.state is LogState.READY


def test_what_no_server_stores_is_refused_and_does_not_block(world: World) -> None:
    log, follower = world.start("n1")
    world.run()
    assert log.value_bytes_max == world.cluster.max_payload - MESSAGE_OVERHEAD_BYTES
    large = Op(OpKind.SET, "", "a", b'"' + b"x" * world.cluster.max_payload + b'"')
    log.propose(Proposal(1, ((large,),)))
    world.run()
    assert follower.refused[1].kind is RefusalKind.INVALID
    world.cluster.is_full = True
    log.propose(Proposal(2, ((SET,),)))
    world.run()
    assert follower.refused[2].kind is RefusalKind.FULL
    world.cluster.is_full = False
    log.propose(Proposal(3, ((SET,),)))
    world.run()
    assert [batch.number for batch in follower.batches if batch.number] == [3]


@pytest.mark.parametrize("takes_markers", [False, True], ids=["three servers", "one server"])
def test_a_full_stream_is_told_until_it_stores_again(world: World, *, takes_markers: bool) -> None:
    world.cluster.takes_markers = takes_markers
    log, follower = world.start("n1")
    world.run()
    assert log.status.refusal is None
    world.cluster.is_full = True
    value = Op(OpKind.SET, "", "a", b"1" * 1000)
    log.propose(Proposal(1, ((value,),)))
    world.run(0.1)
    assert follower.refused[1].kind is RefusalKind.FULL
    for _ in range(50):
        world.run(0.5)
        status = log.status
        assert (status.state, status.refusal) == (LogState.READY, "maximum bytes exceeded")
    world.cluster.is_full = False
    world.run(2.5)
    assert log.status.refusal is None, "nobody has to try first"
    before = log.figures.changes
    world.run(10)
    assert log.figures.changes == before, "there is nothing to find out any more"
    log.propose(Proposal(2, ((value,),)))
    world.run()
    assert [batch.number for batch in follower.batches if batch.number] == [2]


def test_what_is_smaller_does_not_tell_that_a_stream_is_no_longer_full(world: World) -> None:
    log, follower = world.start("n1")
    world.run()
    world.cluster.is_full = True
    log.propose(Proposal(1, ((Op(OpKind.SET, "", "a", b"1" * 1000),),)))
    world.run(0.1)
    world.cluster.is_full = False
    log.propose(Proposal(2, ((SET,),)))
    world.run(0.1)
    assert [batch.number for batch in follower.batches if batch.number] == [2]
    assert log.status.refusal is not None
    world.run(2.5)
    assert log.status.refusal is None


def test_a_silent_log_is_stale_and_refuses_at_once_after_a_time_out(world: World) -> None:
    log, follower = world.start("n1", timeout_s=4.0)
    world.run()
    world.cluster.leader = None
    log.propose(Proposal(1, ((SET,),)))
    world.run(0.5)
    assert log.status.state is LogState.READY
    world.run(3.4)
    status = log.status
    assert status.state is LogState.STALE
    assert status.stale_ms >= 3000
    assert status.reason is not None
    assert follower.refused == {}
    world.run(0.2)
    assert follower.refused.pop(1).kind in (RefusalKind.UNKNOWN, RefusalKind.UNAVAILABLE)
    log.propose(Proposal(2, ((SET,),)))
    world.run(0.01)
    assert follower.refused[2].kind is RefusalKind.UNAVAILABLE
    world.cluster.leader = 1
    world.run(5)
    assert log.status.state is LogState.READY
    assert log.status.is_writable
    assert follower.batches == []
    log.propose(Proposal(3, ((SET,),)))
    world.run()
    assert [batch.number for batch in follower.batches] == [3]


@pytest.mark.parametrize("is_reader", [False, True], ids=["writer", "reader"])
def test_a_stream_that_is_gone_is_told_as_such(world: World, *, is_reader: bool) -> None:
    world.start("n0")
    log, _ = world.start("n1", is_reader=is_reader)
    world.run(5)
    assert log.status.state is LogState.READY
    world.cluster.delete()
    world.run(4.1)
    status = log.status
    assert status.state is LogState.STALE
    assert status.stale_ms >= UNANSWERED_MS_MAX
    assert status.reason == "stream not found"
    world.cluster.make_anew()
    world.run(5)
    assert log.status.state is LogState.READY


@pytest.mark.parametrize("is_reader", [False, True], ids=["writer", "reader"])
@pytest.mark.parametrize("is_busy", [False, True], ids=["idle", "busy"])
def test_a_stream_that_is_made_unfit_is_warned_of_and_written_to(
    world: World, *, is_busy: bool, is_reader: bool
) -> None:
    writer, seen = world.start("n0")
    log, _ = world.start("n1", is_reader=is_reader)
    world.run(5)
    assert log.status.warning is None
    assert world.cluster.config is not None
    before, world.cluster.config = world.cluster.config, {**world.cluster.config, "max_age": 1}
    number = 0

    def run(seconds: int) -> None:
        nonlocal number
        for _ in range(10 * seconds):
            if is_busy:
                number += 1
                writer.propose(Proposal(number, ((SET,),)))
            world.run(0.1)

    run(4)
    status = log.status
    assert (status.state, status.stale_ms) == (LogState.READY, 0)
    assert status.warning == "max_age of the stream KV_show is 1"
    writer.propose(Proposal(number + 1, ((SET,),)))
    world.run()
    assert seen.batches[-1].number == number + 1
    number += 1
    world.cluster.config = before
    run(4)
    assert log.status.warning is None


def test_a_node_that_may_write_no_more_refuses_at_once_and_says_why(world: World) -> None:
    log, follower = world.start("n1")
    world.run()
    (link,) = world.cluster.links
    link.deny("$KV.show.>")
    log.propose(Proposal(1, ((SET, SET),)))
    world.run(0.2)
    sentence = "NATS does not let this login publish to $KV.show.>"
    assert follower.refused.pop(1) == Refusal(RefusalKind.UNAVAILABLE, sentence)
    world.run(60)
    status = log.status
    assert (status.state, status.refusal, status.warning) == (LogState.READY, sentence, sentence)
    log.propose(Proposal(2, ((SET,),)))
    world.run(0.2)
    assert follower.refused.pop(2) == Refusal(RefusalKind.UNAVAILABLE, sentence)
    link.deny()
    world.run(5)
    assert (log.status.refusal, log.status.warning) == (None, None)
    log.propose(Proposal(3, ((SET,),)))
    world.run()
    assert follower.batches[-1].number == 3


def test_what_a_server_loses_is_soon_sent_again_and_then_less_often(world: World) -> None:
    log, follower = world.start("n1")
    world.run()
    world.cluster.is_leaderless = True  # takes it, and loses it
    sent: list[float] = []

    def note(message: Message) -> None:
        if message.subject.endswith(".a"):
            sent.append(world.time.now_s)

    (link,) = world.cluster.links
    link.sent = note
    log.propose(Proposal(1, ((SET,),)))
    world.run(8)
    gaps = [later - sooner for sooner, later in pairwise(sent)]
    assert [round(gap, 1) for gap in gaps] == [0.5, 1.0, 2.0, 2.0, 2.0]
    world.cluster.is_leaderless = False
    world.run(2.1)
    assert [batch.number for batch in follower.batches] == [1]
    sent.clear()
    world.cluster.is_leaderless = True
    log.propose(Proposal(2, ((SET,),)))
    world.run(0.4)
    world.cluster.is_leaderless = False
    world.run(0.2)
    assert [batch.number for batch in follower.batches] == [1, 2]


def test_what_is_large_is_given_more_time(world: World) -> None:
    log, _ = world.start("n1")
    world.run()
    world.cluster.is_leaderless = True
    sent: list[float] = []
    (link,) = world.cluster.links
    link.sent = lambda message: sent.append(world.time.now_s) if message.subject[-2:] == ".a" else 0
    log.propose(Proposal(1, ((Op(OpKind.SET, "", "a", b"1" * 1024 * 1000),),)))
    world.run(3)
    assert round(sent[1] - sent[0], 1) == 1.0


def test_a_connection_that_is_lost_is_the_reason_and_no_right(world: World) -> None:
    log, _ = world.start("n1", timeout_s=4.0)
    world.run()
    (link,) = world.cluster.links
    link.deny("$KV.show.>")
    world.run(5)
    assert log.status.refusal is not None
    link.cut(60)
    world.run(5)
    assert (log.status.state, log.status.reason) == (LogState.STALE, "connection lost")
    link.deny()
    world.run(70)
    assert (log.status.reason, log.status.refusal, log.status.warning) == (None, None, None)


def test_what_may_be_stored_is_not_said_to_be_denied(world: World) -> None:
    log, follower = world.start("n1", timeout_s=4.0)
    world.run()
    (link,) = world.cluster.links
    world.cluster.has_quorum = False
    log.propose(Proposal(1, ((SET,),)))
    world.run(0.1)  # it is with the servers
    link.deny("$KV.show.>")
    world.run(4)
    assert follower.refused.pop(1).kind is RefusalKind.UNKNOWN


@pytest.mark.parametrize("is_reader", [False, True], ids=["writer", "reader"])
@pytest.mark.parametrize(
    ("denied", "verb"),
    [("$JS.API.STREAM.INFO.KV_show", "publish"), ("dn.show.log.>", "subscribe")],
)
def test_a_right_that_is_missing_to_follow_is_warned_of(
    world: World, denied: str, verb: str, *, is_reader: bool
) -> None:
    world.start("n0")
    log, _ = world.start("n1", is_reader=is_reader)
    world.run(5)
    link = world.cluster.links[1]
    link.deny(denied)
    world.run(4)
    for _ in range(100):
        world.run(0.1)
        status = log.status
        assert (status.state, status.refusal) == (LogState.READY, None)
        assert status.warning == f"NATS does not let this login {verb} to {denied}"
    link.deny()
    world.run(5)
    assert log.status.warning is None


@pytest.mark.parametrize("denied", ["$JS.API.STREAM.INFO.KV_show", "$JS.API.DIRECT.GET.KV_show"])
def test_a_node_that_may_not_load_asks_now_and_then_and_says_why(world: World, denied: str) -> None:
    log, _ = world.start("n1")
    (link,) = world.cluster.links
    link.deny(denied)
    asked: list[str] = []
    link.sent = lambda message: asked.append(message.subject)
    world.run(20)
    assert log.status.state is LogState.STARTING
    assert log.status.reason == f"NATS does not let this login publish to {denied}"
    assert 15 <= asked.count(denied) <= 60
    link.deny()
    world.run(5)
    assert log.status.state is LogState.READY


def test_what_a_reader_need_not_do_is_no_missing_right(world: World) -> None:
    world.start("n0")
    log, _ = world.start("n1", is_reader=True)
    world.run(5)
    world.cluster.links[1].deny("dn.show.ch.", "$KV.show.>")
    log.tell("news", b"1")
    world.run(5)
    assert log.status.warning is None


def test_a_server_without_a_leader_does_not_answer_though_it_says_so(world: World) -> None:
    world.start("n0")
    log, _ = world.start("n1", is_reader=True)
    world.run(5)
    world.cluster.is_leaderless = True
    world.run(4)
    assert log.status.state is LogState.STALE
    link = world.cluster.links[1]
    changes = link.changes_of_server
    world.run(12)
    assert link.changes_of_server > changes


@pytest.mark.parametrize("quiet_s", [2.0, 2.3, 3.1, 3.7, 4.4, 5.9])
@pytest.mark.parametrize("fault", ["no leader", "no quorum"])
def test_an_idle_node_notices_in_three_seconds_that_its_log_is_silent(
    world: World, fault: str, quiet_s: float
) -> None:
    log, _ = world.start("n1")
    world.run(quiet_s)
    assert log.status.state is LogState.READY
    if fault == "no leader":
        world.cluster.leader = None
    else:
        world.cluster.has_quorum = False
        world.cluster.quorum_lost_s = world.time.now_s
    stale_s = failing_s = 0.0
    for tenths in range(1, 60):
        world.run(0.1)
        status = log.status
        if status.state is LogState.STALE:
            stale_s = stale_s or tenths / 10
            failing_s = failing_s or (tenths / 10 if status.stale_ms >= UNANSWERED_MS_MAX else 0.0)
            assert status.reason is not None
    assert stale_s < failing_s
    assert 2.0 <= failing_s <= 4.0
    world.cluster.end_trouble()
    world.run(5)
    assert log.status.state is LogState.READY


def test_what_was_changed_is_told_before_a_conflict(world: World) -> None:
    (first, seen_first), (second, seen_second) = world.start("n1"), world.start("n2")
    world.run()
    conditional = Op(OpKind.SET, "", "a", b"2", is_conditional=True)
    first.propose(Proposal(1, ((conditional,),)))
    second.propose(Proposal(1, ((conditional,),)))
    world.run(5)
    refused = {**seen_first.refused, **seen_second.refused}
    assert [refusal.kind for refusal in refused.values()] == [RefusalKind.CONFLICT]
    assert len(seen_first.batches) == len(seen_second.batches) == 1
    loser, seen = (first, seen_first) if seen_first.refused else (second, seen_second)
    loser.propose(Proposal(2, ((conditional,),)))
    world.run()
    assert [batch.number for batch in seen.batches] == [None, 2]
    assert loser.figures.conflicts == 1


def test_a_node_that_loads_knows_of_all_removals_though_the_log_is_quiet(world: World) -> None:
    log, follower = world.start("n1")
    world.run()
    log.propose(Proposal(1, ((SET,), (Op(OpKind.REMOVE, "", "b"),))))
    world.run(7200)
    log.propose(Proposal(2, ((Op(OpKind.REMOVE, "", "c"), Op(OpKind.EXPIRE, "", "d")),)))
    world.run(1200)
    _, other = world.start("n2")
    world.run()
    (contents,) = other.loaded
    old, young = (batch.groups[-1][-1].revision for batch in follower.batches)
    assert contents.floor == old < young - 1000
    assert [(gone.op.key, gone.op.kind) for gone in contents.removed] == [
        ("c", OpKind.REMOVE),
        ("d", OpKind.EXPIRE),
    ]


def at_servers(world: World) -> tuple[dict[str, tuple[JetStreamLog, Follower]], str]:
    """Two writers and a reader, some seconds after both have stored a value; and their epoch."""
    nodes = {name: world.start(name, is_reader=name == "r1") for name in ("n1", "n2", "r1")}
    world.run(5)
    for name in ("n1", "n2"):
        nodes[name][0].propose(Proposal(1, ((Op(OpKind.SET, "", name, b"1"),),)))
    world.run(2)
    (epoch,) = {follower.loaded[-1].epoch for _, follower in nodes.values()}
    return nodes, epoch


PURGES: dict[str, tuple[int, Callable[[str], bool]]] = {
    "all": (10**9, lambda _: True),
    "what is old": (5, lambda _: True),
    "a key": (10**9, lambda subject: subject.endswith(".n1")),
    "the mark": (10**9, lambda subject: subject.endswith("=epoch")),
    "the markers": (10**9, lambda subject: "=node-" in subject),
}


@pytest.mark.parametrize("purge", PURGES)
def test_after_a_purge_all_nodes_load_what_is_left_in_another_epoch(
    world: World, purge: str, caplog: pytest.LogCaptureFixture
) -> None:
    nodes, epoch = at_servers(world)
    world.cluster.purge(*PURGES[purge])
    world.run(10)
    _, late = world.start("n3")
    world.run(2)
    found = [follower.loaded[-1] for _, follower in nodes.values()]
    keys = {tuple(sorted(entry.key for entry in contents.entries)) for contents in found}
    assert keys == {tuple(sorted(entry.key for entry in late.loaded[-1].entries))}
    (after,) = {contents.epoch for contents in found}
    assert after == late.loaded[-1].epoch != epoch
    assert any("KV_show has lost" in text for text in caplog.messages)
    loads = [len(follower.loaded) for _, follower in nodes.values()]
    world.run(100)
    assert [len(follower.loaded) for _, follower in nodes.values()] == loads, "it is over"


@pytest.mark.parametrize("seconds", [0.01, 4.0])
@pytest.mark.parametrize("more", [0, 40])
def test_after_a_restore_all_nodes_load_what_was_saved_in_another_epoch(
    world: World, seconds: float, more: int
) -> None:
    nodes, epoch = at_servers(world)
    backup = world.cluster.back_up()
    log, _ = nodes["n1"]
    for number in range(2, 8):
        log.propose(Proposal(number, ((Op(OpKind.SET, "", "lost", b"1"),),)))
        world.run(0.1)
    world.cluster.delete()
    world.run(seconds)
    world.cluster.restore(backup)
    for number in range(more):  # it is soon as long as it was
        subject = f"$KV.show.=.k{number}"
        world.cluster.receive(Message(subject, {}, b"1"), None)
    world.run(15)
    found = [follower.loaded[-1] for _, follower in nodes.values()]
    (after,) = {contents.epoch for contents in found}
    assert after != epoch
    keys = {tuple(sorted(entry.key for entry in contents.entries)) for contents in found}
    assert len(keys) == 1
    assert "lost" not in keys.pop()
    log.propose(Proposal(8, ((SET,),)))
    world.run()
    assert nodes["n2"][1].batches[-1].groups[-1][-1].op.key == "a"


def test_a_reader_that_was_cut_off_notices_a_restore_that_has_grown_since(world: World) -> None:
    nodes, epoch = at_servers(world)
    link = world.cluster.links[-1]  # the reader's
    backup = world.cluster.back_up()
    world.run(10)
    link.cut(60)
    nodes["r1"][1].may_miss = True
    world.cluster.delete()
    world.cluster.restore(backup)
    world.run(70)
    (after,) = {follower.loaded[-1].epoch for _, follower in nodes.values()}
    assert after != epoch


def test_a_restore_that_no_node_saw_is_noticed_by_the_first_one(world: World) -> None:
    nodes, epoch = at_servers(world)
    backup = world.cluster.back_up()
    for log, _ in nodes.values():
        asyncio.run(log.close())
    world.run(601)
    world.cluster.delete()
    world.cluster.restore(backup)
    (_, first), (_, second) = world.start("n4"), world.start("n5")
    world.run(2)
    (after,) = {follower.loaded[-1].epoch for follower in (first, second)}
    assert after != epoch
    assert len(first.loaded) == 1


def test_a_short_stop_of_all_nodes_begins_no_epoch(world: World) -> None:
    nodes, epoch = at_servers(world)
    for log, _ in nodes.values():
        asyncio.run(log.close())
    world.run(300)
    _, follower = world.start("n4")
    world.run(2)
    assert [contents.epoch for contents in follower.loaded] == [epoch]


def test_an_epoch_that_begins_by_hand_is_loaded_by_all(world: World) -> None:
    nodes, epoch = at_servers(world)
    world.cluster.receive(Message("$KV.show.=epoch", {}, b"restored"), None)
    world.run()
    (after,) = {follower.loaded[-1].epoch for _, follower in nodes.values()}
    assert after != epoch


def test_what_is_not_sent_yet_when_an_epoch_begins_is_refused(world: World) -> None:
    nodes, _ = at_servers(world)
    log, follower = nodes["n1"]
    world.cluster.faults.part_lost = 1.0  # so a batch is never complete
    log.propose(Proposal(2, ((SET,),)))
    world.run(0.3)
    world.cluster.receive(Message("$KV.show.=epoch", {}, b"restored"), None)
    world.run(0.3)
    world.cluster.faults.part_lost = 0.0
    world.run()
    assert follower.refused[2].kind is RefusalKind.UNAVAILABLE
    log.propose(Proposal(3, ((SET,),)))
    world.run()
    assert [batch.number for batch in follower.batches if batch.number] == [1, 3]


def test_what_was_purged_before_it_was_delivered_is_unknown_and_not_stored_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes, _ = at_servers(world)
    log, follower = nodes["n1"]
    stored = []

    def see(entry: Entry) -> None:
        stored.extend(one for one in entry.stored if one.subject.endswith(".a"))

    world.cluster.committed = see
    world.cluster.faults.flow_lost = 1.0
    log.propose(Proposal(2, ((SET,),)))
    world.run(0.02)
    assert len(stored) == 1
    world.cluster.purge(*PURGES["all"])
    world.run(0.02)
    world.cluster.faults.flow_lost = 0.0
    for _, one in nodes.values():
        one.may_miss = True
    with monkeypatch.context() as patch:
        patch.setattr(JetStreamLog, "_reload", lambda _: None)  # it takes long
        world.run(2)
    world.run(5)
    assert follower.refused[2].kind is RefusalKind.UNKNOWN
    assert len(stored) == 1
    log.propose(Proposal(3, ((SET,),)))
    world.run()
    assert follower.batches[-1].number == 3


def test_a_node_that_cannot_begin_an_epoch_is_alone_in_its_own_until_it_can(world: World) -> None:
    nodes, epoch = at_servers(world)
    world.cluster.is_full = True
    world.cluster.purge(*PURGES["all"])
    world.run(10)
    found = {follower.loaded[-1].epoch for _, follower in nodes.values()}
    assert len(found | {epoch}) == 4
    world.cluster.is_full = False
    world.run(7)
    (after,) = {follower.loaded[-1].epoch for _, follower in nodes.values()}
    assert after not in found


def test_nothing_is_taken_for_a_loss_that_is_none(world: World) -> None:
    nodes, epoch = at_servers(world)
    log, follower = nodes["n1"]
    for number in range(2, 60):
        kinds = (
            Op(OpKind.SET, "", f"k{number}", b"1", ttl_ms=1500),
            Op(OpKind.SET, "", "a", b"1"),
            Op(OpKind.REMOVE, "", f"k{number - 3}"),
            Op(OpKind.NOTE, key=f"n{number}", value=b"1", ttl_ms=1000),
        )
        log.propose(Proposal(number, (kinds, (Op(OpKind.CLEAR),)) if number % 9 == 0 else (kinds,)))
        world.run(70.0 if number % 5 == 0 else 0.7)
    assert follower.batches[-1].number == 59
    world.run(8000)
    for _, one in nodes.values():
        assert {contents.epoch for contents in one.loaded} == {epoch}
        assert len(one.loaded) == 1


def test_a_node_that_closes_says_goodbye(world: World) -> None:
    (log, _), (other, _) = world.start("n1"), world.start("n2")
    world.run(2)
    assert set(other.status.nodes) == {"n1", "n2"}
    asyncio.run(log.close())
    world.run(1)
    assert other.status.nodes == ("n2",)


def test_messages_of_channels_are_told_to_those_who_listen(world: World) -> None:
    (log, follower), (other, heard) = world.start("n1"), world.start("n2")
    world.run()
    log.listen("room 1", wanted=True)
    other.listen("room 1", wanted=True)
    other.listen("room 1", wanted=True)
    world.run(0.1)
    log.tell("room 1", b"hello")
    log.tell("room 2", b"nobody")
    world.run(0.1)
    assert follower.heard == heard.heard == [("room 1", b"hello")]
    other.listen("room 1", wanted=False)
    log.tell("room 1", b"again")
    world.run(0.1)
    assert len(heard.heard) == 1
