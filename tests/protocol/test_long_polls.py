"""Requests of `GET /watch` that wait for one update."""

import json
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.protocol.clients import (
    SECONDS_MAX,
    Client,
    Clients,
    RawConnection,
    Reply,
    http,
    open_objects,
    unique,
)
from tests.protocol.test_event_streams import figures, values_of, write
from tests.protocol.test_limits import metric_of
from tests.protocol.test_tokens import Guarded, bearer
from tests.support.event_stream import EventStreamClient
from tests.support.fixtures import StartServer
from tests.support.refusing import commits_refused
from tests.support.server import ServerProcess
from tests.support.tokens import ALL, OVERLAY, write_tokens


@pytest.fixture
def writer(clients: Clients) -> Client:
    return clients.objects()


def position_of(reply: Reply) -> str:
    """The position that the next request continues from."""
    assert reply.headers["cache-control"] == "no-store"
    position = reply.headers["etag"].strip('"')
    if reply.status == 200:
        assert position == f"{reply.json['epoch']}-{reply.json['rev']}"
    return position


def wait_until_subscriptions_are(server: ServerProcess, count: int) -> None:
    until = time.monotonic() + SECONDS_MAX
    while metric_of(figures(server), "subscriptions") != count:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_polls_follow_a_key_over_one_connection(
    shared_server: ServerProcess, writer: Client, raw: RawConnection
) -> None:
    key = unique()
    write(writer, key=key, value=1)
    raw.request("GET", f"/watch?key={key}&wait=30")
    reply = raw.read_reply()
    assert (reply.status, reply.json["reset"], values_of(reply.json)) == (200, True, {key: 1})
    for number in range(3):
        raw.request("GET", f"/watch?key={key}&wait=30&since={position_of(reply)}")
        http(shared_server, "POST", "/set", {"key": unique(), "value": "another"})
        write(writer, key=key, value=number + 10)
        reply = raw.read_reply()
        assert values_of(reply.json) == {key: number + 10}
        assert "reset" not in reply.json
    writer.send({"action": "delete", "key": key})
    writer.heard()
    raw.request("GET", f"/watch?key={key}&wait=30&since={position_of(reply)}")
    assert values_of(raw.read_reply().json) == {key: "delete"}, "that was missed is told at once"


def test_a_poll_that_hears_nothing_is_204_after_its_time(
    shared_server: ServerProcess, writer: Client, raw: RawConnection
) -> None:
    key = unique()
    raw.request("GET", f"/watch?key={key}&wait=1")
    first = raw.read_reply()
    began = time.monotonic()
    raw.request("GET", f"/watch?key={key}&wait=1.5&since={position_of(first)}")
    rev = write(writer, key=unique(), value="another key")
    reply = raw.read_reply()
    assert reply.status == 204
    assert time.monotonic() - began >= 1.5
    assert position_of(reply) == f"{first.json['epoch']}-{rev}", "where to continue"
    raw.request("GET", "/get/none")
    assert raw.read_reply().status == 200


def test_a_change_elsewhere_in_the_value_wakes_no_poll_of_a_path(
    writer: Client, raw: RawConnection
) -> None:
    key = unique()
    write(writer, key=key, value={"a": 1, "b": 1})
    raw.request("GET", f"/watch?key={key}&path=/a&wait=30")
    position = position_of(raw.read_reply())
    raw.request("GET", f"/watch?key={key}&path=/a&wait=30&since={position}")
    write(writer, key=key, value={"a": 1, "b": 2})
    rev = write(writer, key=key, value={"a": 2, "b": 2})
    reply = raw.read_reply().json
    assert (reply["rev"], values_of(reply)) == (rev, {key: 2})


def test_changes_of_one_tick_are_one_update(shared_server: ServerProcess, writer: Client) -> None:
    ns = unique("ns")
    with ExitStack() as stack:
        polls = [stack.enter_context(RawConnection(shared_server)) for _ in range(20)]
        for poll in polls:
            poll.request("GET", f"/watch?pattern=*&ns={ns}&wait=9")
            position = position_of(poll.read_reply())
            poll.request("GET", f"/watch?pattern=*&ns={ns}&wait=9&since={position}")
        wait_until_subscriptions_are(shared_server, 20)
        sets = [
            {"op": "set", "key": f"k{number}", "value": "x" * 1000, "ns": ns}
            for number in range(900)
        ]
        writer.ask({"action": "txn", "ops": sets, "id": 1})
        for poll in polls:
            reply = read_any_reply(poll)
            assert len(reply.json["changes"]) == 900
            assert "more" not in reply.json


def read_any_reply(raw: RawConnection) -> Reply:
    """A reply that may be sent in chunks."""
    reply = raw.read_reply()
    if reply.headers.get("transfer-encoding") != "chunked":
        return reply
    body = b""
    while True:
        line = b""
        while not line.endswith(b"\r\n"):
            line += raw.take(1)
        body += raw.take(int(line, 16))
        assert raw.take(2) == b"\r\n"
        if line == b"0\r\n":
            return Reply(reply.status, reply.headers, body)


@pytest.mark.parametrize("count", [1, 5, 2500])
def test_a_large_update_is_one_body_in_chunks(
    shared_server: ServerProcess, writer: Client, raw: RawConnection, count: int
) -> None:
    ns = unique("ns")
    value = {"a": "x" * (1_000_000 // count), "b": 1}
    for start in range(0, count, 500):
        ops = [
            {"op": "set", "key": f"k{number}", "value": value}
            for number in range(start, min(start + 500, count))
        ]
        writer.ask({"action": "txn", "ops": ops, "ns": ns, "id": 1})
    for _ in range(2):
        raw.request("GET", f"/watch?pattern=*&ns={ns}&wait=1")
        reply = read_any_reply(raw)
        assert reply.headers["transfer-encoding"] == "chunked"
        assert reply.json["reset"]
        assert values_of(reply.json) == {f"k{number}": value for number in range(count)}
    # Of a path that no value has, there is nothing to tell in any part.
    raw.request("GET", f"/watch?pattern=*&ns={ns}&path=/none&wait=1")
    reply = read_any_reply(raw)
    assert (reply.json["reset"], reply.json["changes"]) == (True, [])
    raw.send(f"GET /watch?pattern=*&ns={ns}&wait=1 HTTP/1.0\r\n\r\n")
    assert "transfer-encoding" not in raw.read_reply().headers
    assert len(json.loads(raw.read_to_end())["changes"]) == count


def test_requests_behind_a_poll_wait_for_their_turn(
    shared_server: ServerProcess, writer: Client, raw: RawConnection
) -> None:
    key = unique()
    raw.request("GET", f"/watch?key={key}&wait=30")
    since = position_of(raw.read_reply())
    for _ in range(3):
        raw.request("GET", f"/watch?key={key}&wait=30&since={since}")
        raw.request("GET", f"/get/{key}")
    write(writer, key=key, value=5)
    for _ in range(3):
        assert values_of(raw.read_reply().json) == {key: 5}
        assert raw.read_reply().json["value"] == 5


def test_a_client_that_leaves_frees_everything(start_server: StartServer) -> None:
    server = start_server("--no-persist")
    since = position_of(http(server, "GET", "/watch?key=k&wait=1"))
    with ExitStack() as stack:
        for _ in range(20):
            raw = stack.enter_context(RawConnection(server))
            raw.request("GET", f"/watch?key=k&wait=60&since={since}")
        wait_until_subscriptions_are(server, 20)
    wait_until_subscriptions_are(server, 0)


def test_a_poll_of_a_client_that_sends_no_more_is_answered(raw: RawConnection) -> None:
    raw.request("GET", "/watch?key=none&wait=60")
    since = position_of(raw.read_reply())
    raw.request("GET", f"/watch?key=none&wait=60&since={since}")
    raw.end_writing()
    assert raw.read_reply().status == 204
    assert raw.read_to_end() == b""


def test_a_stop_answers_polls(start_server: StartServer) -> None:
    server = start_server("--no-persist")
    since = position_of(http(server, "GET", "/watch?key=k&wait=1"))
    with RawConnection(server) as raw, RawConnection(server) as ahead:
        raw.request("GET", f"/watch?key=k&wait=60&since={since}")
        ahead.request("GET", f"/watch?key=k&wait=60&since={since}9")
        wait_until_subscriptions_are(server, 1)
        assert server.stop() == 0
        reply = raw.read_reply()
        assert (reply.status, reply.headers["connection"]) == (204, "close")
        assert raw.read_to_end() == b""
        assert ahead.read_reply().status == 503


def test_a_poll_ends_when_its_token_changes(start_server: StartServer, tmp_path: Path) -> None:
    file = write_tokens(tmp_path, ALL + OVERLAY)
    guarded = Guarded(start_server("--tokens", str(file)), file)
    guarded.http("director", "POST", "/set", {"key": "secret", "value": 1})
    with RawConnection(guarded.server) as raw:
        raw.request("GET", "/watch?pattern=*&wait=60", bearer("overlay"))
        first = raw.read_reply()
        assert first.json["changes"] == []
        query = f"pattern=*&wait=60&since={position_of(first)}"
        raw.request("GET", f"/watch?{query}", bearer("overlay"))
        guarded.change(ALL + OVERLAY.replace("score", "secret"))
        assert raw.read_reply().status == 204
        raw.request("GET", f"/watch?{query}", bearer("overlay"))
        reply = raw.read_reply().json
        assert (reply["reset"], values_of(reply)) == (True, {"secret": 1})
        raw.request("GET", f"/watch?{query}", bearer("overlay"))
        raw.read_reply()


def test_a_thousand_polls_of_one_key_wake_at_once(start_server: StartServer) -> None:
    server = start_server("--no-persist")
    since = position_of(http(server, "GET", "/watch?key=k&wait=1"))
    with ExitStack() as stack, open_objects(server) as writer:
        polls = [stack.enter_context(RawConnection(server)) for _ in range(1000)]
        for poll in polls:
            poll.request("GET", f"/watch?key=k&wait=60&since={since}")
        wait_until_subscriptions_are(server, 1000)
        rev = write(writer, key="k", value="v" * 1000)
        for poll in polls:
            reply = poll.read_reply()
            assert (reply.json["rev"], reply.json["changes"][0]["value"]) == (rev, "v" * 1000)
        wait_until_subscriptions_are(server, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="a folder in use cannot be moved there")
def test_nothing_that_was_refused_is_told(start_server: StartServer, tmp_path: Path) -> None:
    """While the disk fails now and then, a poller and a stream see only what was stored."""
    folder = tmp_path / "values"
    server = start_server("--fsync", "always", folder=folder)
    stored: list[int] = [0]
    http(server, "POST", "/set", {"key": "k", "value": 0})
    told: list[Any] = []
    with (
        EventStreamClient(server, "key=k") as events,
        RawConnection(server) as raw,
        open_objects(server) as writer,
    ):
        raw.request("GET", "/watch?key=k&wait=60")
        reply = raw.read_reply()
        events.update()
        refusals = 0
        until = time.monotonic() + SECONDS_MAX
        with commits_refused(folder):
            number = 0
            while (refusals < 3 or len(stored) < 10) and time.monotonic() < until:
                number += 1
                raw.request("GET", f"/watch?key=k&wait=60&since={position_of(reply)}")
                while True:
                    answer = writer.ask({"action": "set", "key": "k", "value": number, "id": 1})
                    if "error" not in answer:
                        break
                    refusals += 1
                    number += 1
                stored.append(number)
                reply = raw.read_reply()
                told.append(reply.json["changes"][0]["value"])
        assert refusals
        assert told == stored[1:]
        assert [events.update()["changes"][0]["value"] for _ in told] == told
