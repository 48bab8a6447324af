"""Server-sent events of `GET /watch`."""

import socket
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.protocol.clients import (
    SECONDS_MAX,
    Client,
    Clients,
    RawConnection,
    http,
    open_objects,
    unique,
)
from tests.protocol.test_limits import metric_of
from tests.protocol.test_tokens import Guarded, bearer
from tests.support.event_stream import EventStreamClient
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess
from tests.support.shared_mode import is_later
from tests.support.tokens import ALL, OVERLAY, write_tokens
from tests.support.watched_state import WatchedState

MEBIBYTE = 1024 * 1024


@pytest.fixture
def writer(clients: Clients) -> Client:
    return clients.objects()


def write(client: Client, **fields: Any) -> int:
    """Set a key and wait until that is stored; its revision."""
    return client.ask({"action": "set", "id": 1, "rev": True, **fields})["result"]["rev"]


def stream(server: ServerProcess, query: str, **headers: str) -> EventStreamClient:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return EventStreamClient(server, query, named)


def values_of(update: Any) -> dict[str, Any]:
    return {change["key"]: change.get("value", change.get("event")) for change in update["changes"]}


def streams_of(server: ServerProcess) -> int:
    return metric_of(figures(server), 'connections{protocol="event-stream"}')


def figures(server: ServerProcess) -> str:
    return http(server, "GET", "/metrics").body.decode()


def wait_until_streams_are(server: ServerProcess, count: int) -> None:
    until = time.monotonic() + SECONDS_MAX
    while streams_of(server) != count:
        assert time.monotonic() < until
        time.sleep(0.01)


# --- what a stream is told ---


def test_a_stream_begins_with_what_stands_and_goes_on_with_changes(
    shared_server: ServerProcess, writer: Client
) -> None:
    ns = unique("ns")
    rev = write(writer, key="team-a", value={"score": 2}, ns=ns)
    write(writer, key="other", value=1, ns=ns)
    with stream(shared_server, f"pattern=team-*&ns={ns}") as events:
        assert events.headers["content-type"] == "text/event-stream"
        assert events.headers["cache-control"] == "no-store"
        assert events.headers["x-accel-buffering"] == "no"
        assert events.headers["connection"] == "close"
        assert "content-length" not in events.headers
        first = events.update()
        assert events.reader.retry_ms == 1000
        where = {"pattern": "team-*", "ns": ns, "epoch": first["epoch"]}
        change = {"key": "team-a", "rev": rev, "value": {"score": 2}}
        assert first == {**where, "rev": first["rev"], "reset": True, "changes": [change]}
        rev = write(writer, key="team-b", value="x\ny\r\u2028", ns=ns)
        change = {"key": "team-b", "rev": rev, "value": "x\ny\r\u2028"}
        assert events.update() == {**where, "rev": rev, "changes": [change]}
        writer.send({"action": "delete", "key": "team-a", "ns": ns})
        last = events.update()
        assert is_later(last["rev"], rev, 1)
        change = {"key": "team-a", "rev": last["rev"], "event": "delete"}
        assert last == {**where, "rev": last["rev"], "changes": [change]}


def test_a_transaction_is_one_event(shared_server: ServerProcess, writer: Client) -> None:
    keys = [unique(), unique()]
    with stream(shared_server, f"keys={keys[0]},{keys[1]}") as events:
        assert events.update()["changes"] == []
        ops = [{"op": "set", "key": key, "value": 1} for key in keys]
        writer.ask({"action": "txn", "ops": ops, "id": 1})
        assert values_of(events.update()) == dict.fromkeys(keys, 1)


def test_a_path_shows_a_part_and_hides_changes_elsewhere(
    shared_server: ServerProcess, writer: Client
) -> None:
    key = unique()
    write(writer, key=key, value={"home": {"score": 1}, "guest": 0})
    with stream(shared_server, f"key={key}&path=/home/score") as events:
        assert values_of(events.update()) == {key: 1}
        write(writer, key=key, value={"home": {"score": 1}, "guest": 5})
        write(writer, key=key, value={"home": {"score": 2}, "guest": 5})
        assert values_of(events.update()) == {key: 2}


def test_max_rate_unites_changes(shared_server: ServerProcess, writer: Client) -> None:
    key = unique()
    with stream(shared_server, f"key={key}&maxRate=4") as events:
        events.update()
        began = time.monotonic()
        for number in range(50):
            write(writer, key=key, value=number)
        seen = []
        while not seen or seen[-1] != {key: 49}:
            seen.append(values_of(events.update()))
        assert len(seen) <= 2 + (time.monotonic() - began) * 4


@pytest.mark.parametrize("name", ["Last_Event_ID", "since"])
def test_a_stream_goes_on_from_a_position(
    shared_server: ServerProcess, writer: Client, name: str
) -> None:
    ns = unique("ns")
    write(writer, key="a", value=1, ns=ns)
    write(writer, key="b", value=1, ns=ns)
    with stream(shared_server, f"pattern=*&ns={ns}") as events:
        events.update()
        position = events.reader.last_id
    write(writer, key="b", value=2, ns=ns)
    query = f"pattern=*&ns={ns}"
    old = f"{position.partition('-')[0]}-0"
    if name == "since":
        opened = stream(shared_server, f"{query}&since={position}")
    else:
        # The header is newer than the address, which stays the same.
        opened = stream(shared_server, f"{query}&since={old}", Last_Event_ID=position)
    with opened as events:
        update = events.update()
        assert ("reset" not in update, values_of(update)) == (True, {"b": 2})
        position = events.reader.last_id
    with stream(shared_server, query, Last_Event_ID=position) as events:
        assert events.update()["changes"] == [], "the first update always comes"


@pytest.mark.parametrize("position", ["another-1", "0123456789-5", "no position", "1", "-"])
def test_a_position_that_cannot_be_continued_gets_a_reset(
    shared_server: ServerProcess, writer: Client, position: str
) -> None:
    key = unique()
    write(writer, key=key, value=1)
    with stream(shared_server, f"key={key}", Last_Event_ID=position) as events:
        update = events.update()
        assert (update["reset"], values_of(update)) == (True, {key: 1})


def test_only_the_last_part_of_a_large_update_has_an_id(
    shared_server: ServerProcess, writer: Client
) -> None:
    ns, large = unique("ns"), "x" * 200_000
    entries = [{"op": "set", "key": f"k{number}", "value": large} for number in range(8)]
    with stream(shared_server, f"pattern=*&ns={ns}") as events:
        events.update()
        before = events.reader.last_id
        writer.ask({"action": "txn", "ops": entries, "ns": ns, "id": 1})
        parts = [events.event()]
        while parts[-1].json.get("more"):
            assert parts[-1].last_id == before
            parts.append(events.event())
        assert len(parts) > 1
        assert parts[-1].last_id != before
        told = [change["key"] for part in parts for change in part.json["changes"]]
        assert sorted(told) == [f"k{number}" for number in range(8)]


def test_clear_is_a_reset(start_server: StartServer) -> None:
    server = start_server("--no-persist")
    http(server, "POST", "/set", {"key": "a", "value": 1})
    with stream(server, "pattern=*") as events, stream(server, "key=a&format=value") as value:
        events.update()
        assert value.event().data == "1"
        http(server, "POST", "/flush")
        update = events.update()
        assert (update["reset"], update["changes"]) == (True, [])
        assert value.event().kind == "gone"


# --- the value alone ---


def test_format_value_tells_the_value_alone(shared_server: ServerProcess, writer: Client) -> None:
    key = unique()
    with stream(shared_server, f"key={key}&path=/a&format=value") as events:
        first = events.event()
        assert (first.kind, first.data) == ("gone", "null")
        for value in ("two\nlines\r\n", {"b": [1, None]}, "", 0):
            rev = write(writer, key=key, value={"a": value})
            event = events.event()
            assert (event.kind, event.json) == ("value", value)
            assert event.last_id.endswith(f"-{rev}")
        position = events.reader.last_id
        write(writer, key=key, value={"b": 1})
        assert events.event().kind == "gone"
    write(writer, key=key, value={"a": 1})
    with stream(shared_server, f"key={key}&format=value", Last_Event_ID=position) as events:
        assert events.event().json == {"a": 1}
        position = events.reader.last_id
    with stream(shared_server, f"key={key}&format=value", Last_Event_ID=position) as events:
        events.wait_for(position)
        write(writer, key=key, value=2)
        assert events.event().data == "2", "and nothing before it, as nothing had changed"
        writer.send({"action": "delete", "key": key})
        assert events.event().kind == "gone"


# --- what is refused ---

WRONG = {
    "": "Missing field: key",
    "key=": "Key must not be empty",
    "key=a&pattern=*": "A watch has one of key, keys and pattern",
    "keys=a,,b": "Key must not be empty",
    "keys=" + ",".join(map(str, range(1001))): "Keys exceed max count (1000)",
    "key=a%00": "Key contains invalid characters",
    "key=" + "k" * 2000: "Key exceeds max length (512)",
    "pattern=*a*b*c*d*e*": "Asterisks of a pattern exceed max count (4)",
    "key=a&path=b": "Path must be a JSON Pointer",
    "key=a&maxRate=fast": "maxRate must be a number from 0.1 to 100",
    "key=a&maxRate=nan": "maxRate must be a number from 0.1 to 100",
    "key=a&maxRate=0": "maxRate must be a number from 0.1 to 100",
    "key=a&since=5": "since must be <epoch>-<rev>",
    "key=a&since=-5": "since must be <epoch>-<rev>",
    "key=a&since=e-" + "9" * 20: "since must be <epoch>-<rev>",
    "key=a&format=text": 'format can only be "value"',
    "keys=a,b&format=value": "format=value is for one key",
    "pattern=a&format=value": "format=value is for one key",
    "key=a&wait=0.5": "wait must be a number from 1 to 60",
    "key=a&wait=61": "wait must be a number from 1 to 60",
    "key=a&wait=1e1": "wait must be a number from 1 to 60",
    "key=a&wait=1&format=value": "format is for streams: leave it or wait out",
    "key=a&wait=1&maxRate=1": "maxRate is for streams: leave it or wait out",
    "key=%ff": "Bad request target",
}


@pytest.mark.parametrize(("query", "text"), WRONG.items(), ids=[query[:25] for query in WRONG])
def test_a_wrong_query_is_400_and_the_connection_goes_on(
    raw: RawConnection, query: str, text: str
) -> None:
    for _ in range(2):
        raw.request("GET", f"/watch?{query}")
        reply = raw.read_reply()
        assert (reply.status, reply.json["error"]) == (400, text)
        assert reply.json.get("code", "no target") in ("invalid", "limit", "no target")
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["content-type"] == "application/json"


def test_keys_are_a_list_with_commas_or_repeated(
    shared_server: ServerProcess, writer: Client
) -> None:
    ns = unique("ns")
    for key in ("a", "b", "a,b"):
        write(writer, key=key, value=key, ns=ns)
    for query, keys in {
        "keys=a,b": {"a", "b"},
        "keys=a%2Cb": {"a", "b"},
        "keys=a": {"a"},
        "keys=a,b&keys=a": {"a,b", "a"},
        "key=a,b": {"a,b"},
    }.items():
        with stream(shared_server, f"{query}&ns={ns}") as events:
            assert set(values_of(events.update())) == keys, query


def test_a_position_ahead_of_the_server_is_awaited_and_then_503(
    shared_server: ServerProcess, writer: Client
) -> None:
    ns = unique("ns")
    rev = write(writer, key="a", value=1, ns=ns)
    epoch = http(shared_server, "GET", "/info").json["epoch"]
    with RawConnection(shared_server) as raw:
        for query in ("", "&wait=1"):
            began = time.monotonic()
            raw.request("GET", f"/watch?pattern=*&ns={ns}&since={epoch}-{rev + 1000}{query}")
            reply = raw.read_reply()
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
            assert reply.json == {"error": "The position is ahead of this server", "code": "busy"}
            assert time.monotonic() - began >= 2
    with RawConnection(shared_server) as raw:
        raw.request("GET", f"/watch?pattern=*&ns={ns}&since={epoch}-{rev + 1}&wait=5")
        raw.request("GET", "/get/none")
        write(writer, key="b", value=1, ns=unique("ns"))
        write(writer, key="b", value=1, ns=ns)
        assert values_of(raw.read_reply().json) == {"b": 1}
        assert raw.read_reply().json["value"] is None


def test_limits_are_400_before_the_stream_begins(start_server: StartServer) -> None:
    server = start_server("--no-persist")
    with ExitStack() as stack:
        for number in range(256):
            stack.enter_context(stream(server, f"pattern=*{number}"))
        for wait in ("", "&wait=1"):
            reply = http(server, "GET", f"/watch?pattern=*one-more{wait}")
            assert reply.status == 400
            assert reply.json == {
                "error": "Patterns of all clients exceed max count (256)",
                "code": "limit",
            }
        stack.enter_context(stream(server, "pattern=*0"))


def test_head_gets_the_head_alone(raw: RawConnection) -> None:
    for query, kind in (("", "text/event-stream"), ("&wait=9", "application/json")):
        raw.request("HEAD", f"/watch?key=a{query}")
        reply = raw.read_reply(is_head=True)
        assert (reply.status, reply.headers["content-type"]) == (200, kind)
        assert "content-length" not in reply.headers


def test_requests_reads_each_event_when_it_is_sent(shared_server: ServerProcess) -> None:
    # Without chunks it waits for 512 bytes, which are several events.
    key = unique()
    address = f"http://127.0.0.1:{shared_server.port}/watch?key={key}&format=value"
    with requests.get(address, stream=True, timeout=SECONDS_MAX) as response:
        lines = response.iter_lines()
        while next(lines) != b"event: gone":
            pass
        for number in range(10):
            http(shared_server, "POST", "/set", {"key": key, "value": number})
            while not (line := next(lines)).startswith(b"data: "):
                pass
            assert line in (b"data: null", b"data: %d" % number)
            if line == b"data: null":
                while next(lines) != b"data: %d" % number:
                    pass


def test_an_http_1_0_client_gets_a_stream(raw: RawConnection) -> None:
    raw.send("GET /watch?key=none HTTP/1.0\r\n\r\n")
    raw.wait_for_data()
    raw.end_writing()
    received = raw.read_to_end()
    assert b"event: update\ndata: {" in received
    assert received.endswith(b'"reset":true,"changes":[]}\n\n')
    assert b"chunked" not in received


def test_a_page_of_another_origin_is_refused_or_may_read(shared_server: ServerProcess) -> None:
    foreign = {"Origin": "https://elsewhere.example"}
    assert http(shared_server, "GET", "/watch?key=a", headers=foreign).status == 403
    own = "http://localhost:9999"
    with stream(shared_server, "key=a", Origin=own) as events:
        assert events.headers["access-control-allow-origin"] == own
    refused = http(shared_server, "GET", "/watch", headers={"Origin": own})
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (400, own)


# --- rights ---


@pytest.fixture
def guarded(start_server: StartServer, tmp_path: Path) -> Guarded:
    file = write_tokens(tmp_path, ALL + OVERLAY)
    return Guarded(start_server("--tokens", str(file)), file)


def test_a_stream_shows_what_its_token_may_read(guarded: Guarded) -> None:
    for key in ("score", "secret"):
        guarded.http("director", "POST", "/set", {"key": key, "value": 1})
    refused = guarded.http(None, "GET", "/watch?pattern=*")
    assert refused.status == 401
    with EventStreamClient(guarded.server, "pattern=*", bearer("overlay")) as events:
        assert values_of(events.update()) == {"score": 1}
        guarded.http("director", "POST", "/set", {"key": "secret", "value": 2})
        guarded.change(ALL + '[overlay]\ntoken = "overlay"\nrights = ["read"]\nkeys = ["secret"]\n')
        update = events.update()
        assert (update["reset"], values_of(update)) == (True, {"secret": 2})
        position = events.reader.last_id
        guarded.http("director", "POST", "/set", {"key": "score", "value": 3})
        guarded.http("director", "POST", "/set", {"key": "secret", "value": 3})
        assert values_of(events.update()) == {"secret": 3}
        guarded.change(ALL)
        assert events.read_to_end() == [], "the token is no longer valid"
    headers = {**bearer("overlay"), "Last-Event-ID": position}
    assert http(guarded.server, "GET", "/watch?pattern=*", headers=headers).status == 401


# --- the connection ---


def test_streams_are_counted_and_shown(start_server: StartServer) -> None:
    server = start_server("--no-persist")
    with stream(server, "keys=a,b", User_Agent="player/2", Origin="http://localhost:1") as events:
        events.update()
        assert streams_of(server) == 1
        assert metric_of(figures(server), "subscriptions") == 2
        assert http(server, "GET", "/stats").json["eventStreams"] == 1
        connections = http(server, "GET", "/server").json["connections"]
        assert (connections["webSocket"], connections["eventStream"]) == (0, 1)
        (shown,) = connections["shown"]
        assert shown.pop("address").startswith("127.0.0.1:")
        assert shown == {
            "origin": "http://localhost:1",
            "program": "player/2",
            "dialect": "event-stream",
            "token": "",
            "subscriptions": 2,
            "unsentBytes": 0,
            "session": None,
            "sessionName": "",
        }
    wait_until_streams_are(server, 0)
    assert metric_of(figures(server), "subscriptions") == 0


def test_streams_through_a_proxy_count_for_their_clients(start_server: StartServer) -> None:
    server = start_server("--proxy-header", "127.0.0.1", "--max-connections-per-address", "2")
    crowd = {"X_Forwarded_For": "198.51.100.7"}
    with stream(server, "key=a", **crowd), stream(server, "key=a", **crowd):
        reply = http(server, "GET", "/watch?key=a", headers={"X-Forwarded-For": "198.51.100.7"})
        assert reply.status == 429
        assert reply.json == {"error": "Too many connections from this address", "code": "rate"}
        with stream(server, "key=a", X_Forwarded_For="198.51.100.8") as other:
            other.update()


def test_a_stop_ends_streams_in_order(start_server: StartServer) -> None:
    server = start_server("--no-persist")
    with stream(server, "key=a") as events:
        events.update()
        assert server.stop() == 0
        assert events.read_to_end() == []


def test_a_client_that_sends_no_more_has_left(shared_server: ServerProcess) -> None:
    with stream(shared_server, "key=none") as events:
        events.update()
        events.socket.shutdown(socket.SHUT_WR)
        assert events.read_to_end() == []


def test_what_a_client_sends_after_its_request_is_ignored(
    shared_server: ServerProcess, writer: Client
) -> None:
    key = unique()
    with stream(shared_server, f"key={key}") as events:
        events.update()
        events.socket.sendall(b"GET /get/a HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
        write(writer, key=key, value=1)
        assert values_of(events.update()) == {key: 1}


def test_requests_before_a_stream_are_answered_first(
    shared_server: ServerProcess, raw: RawConnection
) -> None:
    head = f"Host: 127.0.0.1:{shared_server.port}\r\n\r\n"
    raw.send(f"GET /get/a HTTP/1.1\r\n{head}GET /watch?key=none HTTP/1.1\r\n{head}")
    assert raw.read_reply().json["key"] == "a"
    assert raw.read_reply().headers["content-type"] == "text/event-stream"


def test_a_slow_reader_gets_the_newest_values(start_server: StartServer) -> None:
    server = start_server("--no-persist")
    state = WatchedState()
    with stream(server, "pattern=*") as events, open_objects(server) as writer:
        state.take(events.event().json)
        for number in range(60):
            ops = [
                {"op": "set", "key": f"k{key}", "value": f"{number}:{'x' * 50_000}"}
                for key in range(20)
            ]
            writer.ask({"action": "txn", "ops": ops, "id": 1})
        conflated = metric_of(figures(server), "updates_conflated_total")
        assert conflated > 0
        received = 0
        while not state.values or any(v[:3] != "59:" for v in state.values.values()):
            event = events.event()
            received += len(event.data)
            if state.take(event.json):
                assert len({value[:3] for value in state.values.values()}) == 1, "a txn is whole"
        assert received < 30 * MEBIBYTE, "most of what was written is not sent"


def test_streams_of_one_key_share_their_frames(start_server: StartServer) -> None:
    """Each reader gets the same bytes, in the order of their tick."""
    server = start_server("--no-persist")
    with ExitStack() as stack, open_objects(server) as writer:
        readers = [stack.enter_context(stream(server, "key=k")) for _ in range(50)]
        for reader in readers:
            reader.update()
        for number in range(20):
            writer.send({"action": "set", "key": "k", "value": number})
        for reader in readers:
            told = [reader.update()["changes"][0]["value"] for _ in range(20)]
            assert told == list(range(20))
