"""What `dunena doctor` finds at real servers."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from dunena.persistence.jetstream.examination import examine_store
from dunena.persistence.jetstream.findings import StoreFinding
from dunena.persistence.jetstream.permissions import permissions_of
from dunena.persistence.jetstream.stream_requests import StreamRequests, stream_config
from dunena.persistence.jetstream.terms import LogTerms
from dunena.persistence.jetstream.wire import Message
from dunena.persistence.log import LogBatch
from dunena.persistence.policy import StoreSettings
from tests.cluster.node import node_at
from tests.cluster.room import room_at, run
from tests.support.nats_cluster import Cluster

VALUE_BYTES_MAX = 1_000_000


def found(store: StoreSettings, value_bytes_max: int = VALUE_BYTES_MAX) -> dict[str, StoreFinding]:
    """The findings by what they are about."""
    return {one.about: one for one in examine_store(store, value_bytes_max)}


def make_stream(url: str, bucket: str, **other: Any) -> None:
    """Make a stream, as a node does but for some settings."""

    async def make() -> None:
        async with room_at(url) as room:
            await room.connected()
            terms = LogTerms(bucket, replicas=1)
            config = stream_config(terms) | other
            subject = StreamRequests(terms).create().subject
            answer = await room.ask(subject, json.dumps(config).encode())
            assert isinstance(answer, Message)
            assert "error" not in json.loads(answer.data), answer

    run(make())


def test_a_server_without_the_stream_is_good(single: Cluster):
    findings = found(StoreSettings(single.urls, bucket="none"))
    assert {one.about: one.level for one in findings.values()} == {
        "server": "ok", "largest value": "ok", "JetStream": "ok", "rights": "ok",
        "more rights": "note", "stream": "ok",
    }  # fmt: skip
    assert findings["stream"].text == "KV_none is not there; the first node makes it"


def test_the_examination_changes_nothing(single: Cluster):
    make_stream(single.urls[0], "kept")

    async def put() -> int:
        async with room_at(single.urls[0]) as room:
            await room.connected()
            for number in range(3):
                await room.ask(f"$KV.kept.a.{number}", b"1")
            answer = await room.ask(StreamRequests(LogTerms("kept")).info().subject)
            assert isinstance(answer, Message)
            state = json.loads(answer.data)["state"]
            return int(state["messages"]) + int(state["last_seq"])

    before = asyncio.run(put())
    found(StoreSettings(single.urls, bucket="kept"))
    found(StoreSettings(single.urls, bucket="kept", is_reader=True))
    assert before == 6
    assert asyncio.run(put()) == 9


def test_a_reader_cannot_begin_without_the_stream(single: Cluster):
    finding = found(StoreSettings(single.urls, bucket="none", is_reader=True))["stream"]
    assert finding.level == "bad"
    assert "start a node that writes first" in finding.advice


def test_a_stream_with_other_settings_is_named_with_them(single: Cluster):
    make_stream(single.urls[0], "odd", max_msgs_per_subject=5, deny_delete=False)
    finding = found(StoreSettings(single.urls, bucket="odd"))["stream"]
    assert finding.level == "bad"
    assert "max_msgs_per_subject of the stream KV_odd is 5" in finding.text
    assert "deny_delete" in finding.advice


def test_a_stream_that_can_be_used_but_was_made_otherwise_is_a_note(single: Cluster):
    make_stream(single.urls[0], "other", deny_delete=False)
    finding = found(StoreSettings(single.urls, bucket="other"))["stream"]
    assert (finding.level, finding.text) == ("note", "KV_other was made otherwise: deny_delete")


def test_one_copy_is_a_note_and_three_that_are_level_are_good(single: Cluster, three: Cluster):
    make_stream(single.urls[0], "one")
    assert found(StoreSettings(single.urls, bucket="one"))["copies"].level == "note"
    make_stream(three.urls[0], "three", num_replicas=3)
    three.wait_until_followed("KV_three")
    findings = found(StoreSettings(three.urls, bucket="three"))
    assert findings["copies"].text == "KV_three is on 3 servers, which are level"
    assert findings["sync"].level == "note"


def test_a_server_that_is_away_is_a_note_while_another_answers(single: Cluster):
    findings = examine_store(StoreSettings(("nats://localhost:1", *single.urls)), VALUE_BYTES_MAX)
    servers = [one for one in findings if one.about == "server"]
    assert [one.level for one in servers] == ["note", "ok"]
    assert "localhost:1: Connection refused" in servers[0].text


def test_no_server_at_all_is_bad():
    findings = examine_store(StoreSettings(("nats://localhost:1",)), VALUE_BYTES_MAX)
    assert [(one.about, one.level) for one in findings] == [("server", "bad")]


def test_values_that_are_larger_than_messages_are_bad(single: Cluster):
    limit = 1_048_576 - 2048
    assert found(StoreSettings(single.urls), limit)["largest value"].level == "ok"
    finding = found(StoreSettings(single.urls), limit + 1)["largest value"]
    assert finding.level == "bad"
    assert "set max_payload: 1048577" in finding.advice


def test_a_server_without_jetstream_is_bad(nats_server: Path, tmp_path: Path):
    with Cluster(nats_server, tmp_path, has_jetstream=False) as cluster:
        findings = found(StoreSettings(cluster.urls))
    assert findings["JetStream"].level == "bad"
    assert "switch it on" in findings["JetStream"].advice


@pytest.mark.parametrize("is_reader", [False, True])
def test_the_least_rights_are_enough_and_each_one_less_is_named(
    nats_server: Path, tmp_path: Path, is_reader: bool
):
    rights = permissions_of("show", is_reader=is_reader)
    users = [_user("all", rights.publish, rights.subscribe)]
    users += [
        _user(f"p{number}", [one for one in rights.publish if one != left_out], rights.subscribe)
        for number, left_out in enumerate(rights.publish)
    ]
    users += [
        _user(f"s{number}", rights.publish, [one for one in rights.subscribe if one != left_out])
        for number, left_out in enumerate(rights.subscribe[:2])
    ]
    configuration = f"authorization: {{ users: {json.dumps(users)} }}"
    with Cluster(nats_server, tmp_path, configuration=configuration) as cluster:

        def rights_of(name: str) -> StoreFinding:
            store = StoreSettings(
                cluster.urls, bucket="show", is_reader=is_reader, user=name, password="x"
            )
            return found(store)["rights"]

        store = StoreSettings(
            cluster.urls, bucket="show", is_reader=is_reader, user="all", password="x"
        )
        assert "more rights" not in found(store)
        assert rights_of("all").level == "ok"
        for number, left_out in enumerate(rights.publish):
            finding = rights_of(f"p{number}")
            assert finding.level == "bad"
            assert f'publish to "{left_out.lower().removesuffix(">")}' in finding.text
        for number, left_out in enumerate(rights.subscribe[:2]):
            finding = rights_of(f"s{number}")
            assert finding.level == "bad"
            assert f'subscription to "{left_out.lower()}"' in finding.text


MORE = {
    "dn.show.log.>": "publish to dn.show.log.> (nodes take what is there for stored)",
    "$JS.API.STREAM.DELETE.KV_show": "publish to $JS.API.STREAM.DELETE.KV_show (removes all)",
    "$JS.API.STREAM.UPDATE.KV_show": "publish to $JS.API.STREAM.UPDATE.KV_show (changes settings)",
    "$JS.API.STREAM.MSG.DELETE.KV_show":
        "publish to $JS.API.STREAM.MSG.DELETE.KV_show (removes a value unseen)",
}  # fmt: skip
MORE_OF_A_READER = {
    "$KV.show.>": "publish to $KV.show.> (writes)",
    "dn.show.ch.>": "publish to dn.show.ch.> (sends messages to channels)",
    "$JS.API.STREAM.CREATE.KV_show": "publish to $JS.API.STREAM.CREATE.KV_show (makes the stream)",
    "$JS.API.STREAM.PURGE.KV_show": "publish to $JS.API.STREAM.PURGE.KV_show (removes all unseen)",
}


@pytest.mark.parametrize("size", [1, 3])
def test_each_right_that_is_too_much_is_named_and_nothing_comes_of_trying_it(
    nats_server: Path, tmp_path: Path, size: int
):
    users = [{"user": "admin", "password": "x"}]
    cases: list[tuple[str, bool, str]] = []
    for is_reader in (False, True):
        rights = permissions_of("show", is_reader=is_reader)
        more = MORE | (MORE_OF_A_READER if is_reader else {})
        for number, (subject, text) in enumerate(more.items()):
            name = f"{'r' if is_reader else 'w'}{number}"
            users.append(_user(name, [*rights.publish, subject], rights.subscribe))
            cases.append((name, is_reader, text))
    configuration = f"authorization: {{ users: {json.dumps(users)} }}"

    async def follow(cluster: Cluster) -> None:
        login = {"user": "admin", "password": "x"}
        async with node_at(cluster.urls, "show", **login) as node:
            await node.set("a", b"1")
            revisions = [batch.revision for batch in node.batches if batch.groups]
            for name, is_reader, text in cases:
                store = StoreSettings(
                    cluster.urls, bucket="show", is_reader=is_reader, user=name, password="x"
                )
                findings = {
                    one.about: one
                    for one in await asyncio.to_thread(examine_store, store, VALUE_BYTES_MAX)
                }
                assert findings["rights"].level == "ok"
                finding = findings["more rights"]
                assert (finding.level, finding.text) == (
                    "note",
                    f"this user may do more than a node has to: {text}",
                )
            last = await node.set("b", b"1")
            assert isinstance(last, LogBatch)
            assert [batch.revision for batch in node.batches if batch.groups] == [
                *revisions, last.revision,
            ]  # fmt: skip
            assert (node.loads, node.told, sorted(node.values)) == (1, [], ["a", "b"])
            assert node.log.status.warning is None

    with Cluster(nats_server, tmp_path, size=size, configuration=configuration) as cluster:
        run(follow(cluster))


def _user(name: str, publish: Any, subscribe: Any) -> dict[str, Any]:
    return {
        "user": name,
        "password": "x",
        "permissions": {"publish": list(publish), "subscribe": list(subscribe)},
    }
