"""The WebSocket protocol of RFC 6455: frames, closing, and clients that do not read."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.protocol.clients import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    SECONDS_MAX,
    TEXT,
    Client,
    Clients,
    RawConnection,
    frame,
    http,
    open_client,
    open_dunena,
    text,
    unique,
)
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

MEBIBYTE = 1 << 20


def ping(request_id: int) -> dict[str, Any]:
    return {"type": "ping", "id": request_id}


def code(number: int, reason: str = "") -> bytes:
    """The payload of a close frame."""
    return number.to_bytes(2) + reason.encode()


def assert_closed_with(raw: RawConnection, number: int) -> None:
    """A close frame with this code, and then the end."""
    closing = raw.read_close()
    assert closing.close_code == number
    closing.payload[2:].decode()
    assert raw.read_to_end() == b""


# --- messages in pieces ---


@pytest.mark.parametrize("pieces", [2, 3, 21])
def test_a_fragmented_message_is_answered(raw: RawConnection, pieces: int):
    raw.open()
    message = b'{"type":"ping","id":7}'
    size = -(-len(message) // pieces)
    parts = [message[start : start + size] for start in range(0, len(message), size)]
    for number, part in enumerate(parts):
        is_final = number == len(parts) - 1
        raw.send(frame(CONTINUATION if number else TEXT, part, is_final=is_final))
    assert raw.read_message()["id"] == 7


def test_fragments_may_be_empty(raw: RawConnection):
    raw.open()
    raw.send(frame(TEXT, b"", is_final=False) + frame(CONTINUATION, b"", is_final=False))
    raw.send(frame(CONTINUATION, b'{"type":"ping"}', is_final=False) + frame(CONTINUATION, b""))
    assert raw.read_message()["type"] == "pong"


def test_a_character_may_be_split_between_fragments(raw: RawConnection):
    raw.open("/")
    key = unique("ż")
    message = f'{{"action":"get","key":"{key}"}}'.encode()
    cut = message.index(b"\xc5") + 1
    raw.send(frame(TEXT, message[:cut], is_final=False) + frame(CONTINUATION, message[cut:]))
    assert raw.read_message() == {"key": key, "value": None}


def test_control_frames_may_come_between_fragments(raw: RawConnection):
    raw.open()
    raw.send(
        frame(TEXT, b'{"type":', is_final=False)
        + frame(PING, b"between")
        + frame(PONG, b"unasked")
        + frame(CONTINUATION, b'"ping"}')
    )
    answer = raw.read_frame()
    assert (answer.opcode, answer.payload) == (PONG, b"between")
    assert raw.read_message()["type"] == "pong"


def test_a_connection_may_come_byte_by_byte(raw: RawConnection):
    raw.open()
    long = {**ping(2), "padding": "x" * 300}
    stream = (
        text(ping(1))
        + text(long)
        + frame(PING, b"p")
        + frame(TEXT, b'{"type":', is_final=False)
        + frame(CONTINUATION, b'"ping"}')
        + frame(CLOSE, code(1000))
    )
    for byte in stream:
        raw.send(bytes((byte,)))
    assert [raw.read_message()["id"] for _ in range(2)] == [1, 2]
    assert raw.read_frame().opcode == PONG
    assert raw.read_message()["type"] == "pong"
    assert_closed_with(raw, 1000)


@pytest.mark.parametrize("size", [0, 1, 124, 125, 126, 127, 65_534, 65_535, 65_536, 100_000])
def test_payloads_of_every_length_encoding_are_accepted(raw: RawConnection, size: int):
    raw.open("/")
    key = unique()
    value = "x" * size
    raw.send(text({"action": "set", "key": key, "value": value}))
    raw.send(text({"action": "get", "key": key}))
    assert raw.read_message()["value"] == value


def test_many_frames_in_one_packet_are_answered_in_order(raw: RawConnection):
    raw.open()
    raw.send(b"".join(text(ping(number)) + frame(PING, str(number)) for number in range(2000)))
    for number in range(2000):
        assert raw.read_message()["id"] == number
        answer = raw.read_frame()
        assert (answer.opcode, answer.payload) == (PONG, str(number).encode())


def test_frames_split_at_any_byte_are_answered_in_order(raw: RawConnection):
    raw.open()
    stream = b"".join(text(ping(number)) for number in range(500))
    for start in range(0, len(stream), 17):
        raw.send(stream[start : start + 17])
    assert [raw.read_message()["id"] for _ in range(500)] == list(range(500))


# --- ping, pong ---


@pytest.mark.parametrize("payload", [b"", b"x", b"\xff\x00", b"x" * 125])
def test_a_ping_is_answered_with_a_pong_of_its_payload(raw: RawConnection, payload: bytes):
    raw.open()
    raw.send(frame(PING, payload))
    answer = raw.read_frame()
    assert (answer.opcode, answer.is_final, answer.payload) == (PONG, True, payload)


def test_an_unsolicited_pong_is_ignored(raw: RawConnection):
    raw.open()
    raw.send(frame(PONG, b"x") + text(ping(1)))
    assert raw.read_message()["id"] == 1


def test_the_ping_of_the_websockets_library_is_answered(dunena: Client):
    assert dunena.connection.ping().wait(SECONDS_MAX)


# --- closing ---


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        code(1000),
        code(1000, "good bye"),
        code(1001),
        code(1011, "ż"),
        code(3000),
        code(4999, "x" * 123),
    ],
)
def test_a_close_is_answered_with_its_code(raw: RawConnection, payload: bytes):
    raw.open()
    raw.send(frame(CLOSE, payload))
    assert raw.read_close().payload[:2] == payload[:2]
    assert raw.read_to_end() == b""


def test_requests_before_a_close_are_answered_before_it(raw: RawConnection):
    raw.open()
    raw.send(b"".join(text(ping(number)) for number in range(10)) + frame(CLOSE, code(1000)))
    assert [raw.read_message()["id"] for _ in range(10)] == list(range(10))
    assert_closed_with(raw, 1000)


def test_frames_after_a_close_are_ignored(raw: RawConnection):
    key = unique()
    raw.open("/")
    raw.send(
        frame(CLOSE, code(1000))
        + text({"action": "set", "key": key, "value": 1})
        + frame(PING, b"x")
    )
    assert_closed_with(raw, 1000)
    assert http(raw.server, "GET", f"/get/{key}").json["value"] is None


def test_a_close_may_come_inside_a_message(raw: RawConnection):
    raw.open()
    raw.send(frame(TEXT, b'{"type":', is_final=False) + frame(CLOSE, code(1000, "enough")))
    assert_closed_with(raw, 1000)


@pytest.mark.parametrize(
    "payload",
    [b"\x03", *map(code, (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535))],
)
def test_a_close_with_an_invalid_code_closes_with_1002(raw: RawConnection, payload: bytes):
    raw.open()
    raw.send(frame(CLOSE, payload))
    assert_closed_with(raw, 1002)


def test_a_close_with_a_reason_of_invalid_utf_8_closes_with_1002_or_1007(raw: RawConnection):
    raw.open()
    raw.send(frame(CLOSE, code(1000) + b"\xff\xfe"))
    assert raw.read_close().close_code in (1002, 1007)
    assert raw.read_to_end() == b""


def test_a_client_may_disconnect_without_a_close_frame(raw: RawConnection, clients: Clients):
    witness = clients.dunena()
    raw.open()
    raw.end_writing()
    raw.read_to_end()
    assert witness.ask({"type": "ping"})["type"] == "pong"


def connections(server: ServerProcess) -> int:
    return http(server, "GET", "/info").json["connections"]


def until(condition: Callable[[], bool], seconds_max: float) -> bool:
    """Whether it comes true in time; for what no message tells of."""
    deadline = time.monotonic() + seconds_max
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.parametrize("how", ["handshake", "half-close", "reset"])
def test_a_closed_connection_is_no_longer_counted(server: ServerProcess, how: str):
    with RawConnection(server) as raw:
        raw.open()
        assert connections(server) == 1
        if how == "handshake":
            raw.send(frame(CLOSE, code(1000)))
            assert_closed_with(raw, 1000)
        elif how == "half-close":
            raw.end_writing()
            raw.read_to_end()
    assert until(lambda: connections(server) == 0, 1)


def test_subscriptions_of_a_closed_connection_are_removed(server: ServerProcess):
    def subscriptions() -> int:
        return http(server, "GET", "/stats").json["cache"]["subscriptions"]

    with open_dunena(server) as client:
        client.ask({"type": "ping"})
        for number in range(100):
            client.follow(f"follow-{number}")
        client.ask({"type": "subscribe", "channel": "news"})
        assert subscriptions() == 102  # and the events every client begins with
    assert until(lambda: subscriptions() == 0, 1)


def test_a_closed_subscriber_gets_no_update_and_does_not_affect_others(
    raw: RawConnection, clients: Clients
):
    other = clients.objects()
    key = unique()
    raw.open("/")
    raw.send(text({"action": "subscribe", "key": key}) + frame(CLOSE, code(1000)))
    raw.read_close()  # it stays half open: its end was not said
    other.follow(key)
    other.send({"action": "set", "key": key, "value": 1})
    assert other.updates(key) == [1]
    assert raw.read_to_end() == b""


# --- what is not permitted ---

VIOLATIONS = {
    "unmasked": (frame(TEXT, b"{}", is_masked=False), 1002),
    "unmasked and empty": (frame(TEXT, b"", is_masked=False), 1002),
    "unmasked close": (frame(CLOSE, b"", is_masked=False), 1002),
    "first reserved bit": (frame(TEXT, b"{}", reserved=4), 1002),
    "second reserved bit": (frame(TEXT, b"{}", reserved=2), 1002),
    "third reserved bit": (frame(TEXT, b"{}", reserved=1), 1002),
    "reserved bit of a ping": (frame(PING, b"", reserved=4), 1002),
    "unknown opcode 3": (frame(0x3, b""), 1002),
    "unknown opcode 7": (frame(0x7, b"x"), 1002),
    "unknown control opcode B": (frame(0xB, b""), 1002),
    "unknown control opcode F": (frame(0xF, b""), 1002),
    "long ping": (frame(PING, b"x" * 126), 1002),
    "long close": (frame(CLOSE, code(1000, "x" * 124)), 1002),
    "ping in fragments": (frame(PING, b"x", is_final=False), 1002),
    "close in fragments": (frame(CLOSE, code(1000), is_final=False), 1002),
    "continuation of nothing": (frame(CONTINUATION, b"x"), 1002),
    "text inside a text": (frame(TEXT, b"{", is_final=False) + frame(TEXT, b"}"), 1002),
    "binary inside a text": (frame(TEXT, b"{", is_final=False) + frame(BINARY, b"}"), 1002),
    "text of no UTF-8": (frame(TEXT, b'"\xff"'), 1007),
    "text of an encoded surrogate": (frame(TEXT, b'"\xed\xa0\x80"'), 1007),
    "text cut in a character": (frame(TEXT, b'"\xc5'), 1007),
    "overlong form": (frame(TEXT, b'"\xc0\xaf"'), 1007),
    "fragments of no UTF-8": (
        frame(TEXT, b'"\xc5', is_final=False) + frame(CONTINUATION, b'x"'),
        1007,
    ),
    "JSON around no UTF-8": (frame(TEXT, b'{"type":"ping","x":"\xf0\x9f"}'), 1007),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_protocol_violation_closes_with_its_code(raw: RawConnection, name: str):
    stream, number = VIOLATIONS[name]
    raw.open()
    raw.send(text(ping(1)) + stream + text(ping(2)))
    assert raw.read_message()["id"] == 1, "what came before it is answered"
    assert_closed_with(raw, number)


@pytest.mark.parametrize("size", [126, 65_536])
@pytest.mark.parametrize("first", [0xC1, 0x83, 0x89, 0x09])
def test_an_invalid_frame_header_closes_with_1002_before_the_payload(
    raw: RawConnection, first: int, size: int
):
    raw.open()
    raw.send(bytes((first, 0x80 | 127)) + size.to_bytes(8))
    assert_closed_with(raw, 1002)


MESSAGE_MAX = 6 * 1000 + 65_536
"""The longest message of a server whose values have up to 1,000 bytes."""


@pytest.fixture(scope="module")
def small_server(tmp_path_factory: pytest.TempPathFactory):
    """A server with a small limit, so that being over it costs a test nothing."""
    with ServerProcess(tmp_path_factory.mktemp("small"), "--max-value", "1000") as server:
        yield server


@pytest.mark.parametrize("size", [MESSAGE_MAX + 1, 2**31, 2**63 - 1, 2**64 - 1])
def test_a_message_over_the_limit_closes_with_1009_before_the_payload(
    small_server: ServerProcess, size: int
):
    with RawConnection(small_server) as raw:
        raw.open()
        raw.send(bytes((0x81, 0xFF)) + size.to_bytes(8))
        assert_closed_with(raw, 1009)


def test_a_message_of_exactly_the_limit_is_accepted(small_server: ServerProcess):
    with RawConnection(small_server) as raw:
        raw.open()
        message = b'{"type":"ping"}'
        raw.send(frame(TEXT, message + b" " * (MESSAGE_MAX - len(message))))
        assert raw.read_message()["type"] == "pong"


def test_fragments_over_the_message_limit_close_with_1009(small_server: ServerProcess):
    with RawConnection(small_server) as raw:
        raw.open()
        raw.send(frame(TEXT, b" " * 1000, is_final=False))
        with suppress(ConnectionError):
            for _ in range(MESSAGE_MAX // 1000 + 1):
                raw.send(frame(CONTINUATION, b" " * 1000, is_final=False))
        assert_closed_with(raw, 1009)


def test_a_message_of_many_tiny_fragments_is_answered(raw: RawConnection):
    raw.open()
    message = b'{"type":"ping"}' + b" " * 50_000
    raw.send(frame(TEXT, message[:1], is_final=False))
    raw.send(b"".join(frame(CONTINUATION, bytes((b,)), is_final=False) for b in message[1:]))
    raw.send(frame(CONTINUATION, b""))
    assert raw.read_message()["type"] == "pong"


def test_an_uncompressed_message_is_accepted_after_offering_compression(raw: RawConnection):
    offer = "permessage-deflate; client_max_window_bits"
    reply = raw.upgrade(headers={"Sec-WebSocket-Extensions": offer})
    assert reply.status == 101
    assert raw.read_message()["type"] == "connected"
    raw.send(text(ping(1)))  # a client need not compress, whatever was agreed
    assert raw.read_message()["id"] == 1


# --- readers that do not read ---


def memory_bytes(server: ServerProcess) -> int:
    """What the server's process holds of the machine's memory now."""
    if sys.platform != "linux":
        pytest.skip("no /proc to ask how much memory a process holds")
    status = Path(f"/proc/{server.process.pid}/status").read_text("ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


VALUE_BYTES = 4 * MEBIBYTE


def test_many_small_gets_of_a_large_value_do_not_fill_the_memory(start_server: StartServer):
    server = start_server("--no-persist")
    with RawConnection(server) as raw:
        raw.open("/")
        raw.send(text({"action": "set", "key": "k", "value": "x" * VALUE_BYTES}))
        raw.send(text({"action": "get", "key": "k"}))
        assert len(raw.read_message()["value"]) == VALUE_BYTES
        before = memory_bytes(server)
        raw.send(text({"action": "get", "key": "k"}) * 500)
        # Others are served, and the requests above were read long before they are.
        with open_dunena(server) as witness:
            for _ in range(50):
                assert witness.ask({"type": "ping"})["type"] == "pong"
        assert memory_bytes(server) - before < 64 * MEBIBYTE, "of 2 GiB asked for"
        # None of them was forgotten.
        for _ in range(10):
            assert len(raw.read_message()["value"]) == VALUE_BYTES


def test_many_pipelined_gets_over_http_do_not_fill_the_memory(start_server: StartServer):
    server = start_server("--no-persist")
    http(server, "POST", "/set", {"key": "k", "value": "x" * VALUE_BYTES})
    with RawConnection(server) as raw:
        raw.request("GET", "/get/k")
        assert raw.read_reply().status == 200
        before = memory_bytes(server)
        for _ in range(500):
            raw.request("GET", "/get/k")
        for _ in range(50):
            assert http(server, "GET", "/health/live").status == 200
        assert memory_bytes(server) - before < 64 * MEBIBYTE, "of 2 GiB asked for"
        for _ in range(10):
            assert len(raw.read_reply().json["value"]) == VALUE_BYTES


def test_bytes_after_a_protocol_violation_do_not_fill_the_memory(start_server: StartServer):
    server = start_server("--no-persist")
    with RawConnection(server) as raw:
        raw.open()
        before = memory_bytes(server)
        raw.send(frame(TEXT, b"{}", is_masked=False))
        with suppress(ConnectionError):
            for _ in range(300):
                raw.send(b"x" * MEBIBYTE)
        assert memory_bytes(server) - before < 64 * MEBIBYTE
    assert http(server, "GET", "/health/live").status == 200


def test_updates_for_a_subscriber_that_does_not_read_are_conflated(start_server: StartServer):
    server = start_server("--no-persist")
    with RawConnection(server) as sleeper, open_client(server, "/", speaks_dunena=False) as reader:
        sleeper.open("/")
        sleeper.send(text({"action": "subscribe", "key": "k"}) + frame(PING, b""))
        assert sleeper.read_frame().opcode == PONG
        reader.follow("k")
        before = memory_bytes(server)
        for number in range(100):
            reader.send({"action": "set", "key": "k", "value": [number, "x" * MEBIBYTE]})
            assert reader.receive()["value"][0] == number
        assert memory_bytes(server) - before < 32 * MEBIBYTE
        seen = [sleeper.read_message()["value"][0]]
        while seen[-1] != 99:
            seen.append(sleeper.read_message()["value"][0])
        assert seen == sorted(set(seen)), "nothing twice, nothing older after something newer"
        assert len(seen) < 50
        reader.send({"action": "set", "key": "k", "value": "after"})
        assert reader.receive() == sleeper.read_message() == {"key": "k", "value": "after"}
    assert "updates_conflated_total 0" not in metrics_of(server)


def test_a_listener_that_does_not_read_its_events_is_disconnected(start_server: StartServer):
    server = start_server("--no-persist")
    with RawConnection(server) as sleeper, RawConnection(server) as writer:
        sleeper.open("/ws")
        writer.open("/")
        event = text({"action": "set", "key": "k" * 500, "value": 1})
        for _ in range(200):
            writer.send(event * 1_000 + text({"action": "get", "key": "none"}))
            assert writer.read_message() == {"key": "none", "value": None}
            if 'refusals_total{cause="slow-reader"} 1' in metrics_of(server):
                break
        else:
            raise AssertionError("100 MB of events wait for a client that reads none")
        last = sleeper.read_close()
        assert (last.close_code, last.payload[2:]) == (1013, b"events are read too slowly")
    assert any("does not read" in line for line in server.errors)


def metrics_of(server: ServerProcess) -> str:
    return http(server, "GET", "/metrics").body.decode()


def test_a_large_reply_does_not_disconnect_its_reader(start_server: StartServer):
    """A large reply must not count as a backlog of unread events."""
    server = start_server("--no-persist")
    keys = [f"k{number}" for number in range(3)]
    with RawConnection(server) as raw, open_dunena(server) as writer:
        for key in keys:
            writer.ask({"type": "set", "key": key, "value": "x" * (VALUE_BYTES // 2)})
        raw.open()
        raw.send(text({"type": "mget", "keys": keys, "id": "large"}))
        # The reply is on its way, but not read, while events come for the same client.
        raw.wait_for_data()
        for number in range(10):
            writer.ask({"type": "set", "key": "small", "value": str(number)})
        reply = raw.read_message()
        assert reply["id"] == "large"
        assert set(map(len, reply["data"]["result"].values())) == {VALUE_BYTES // 2}
        assert [raw.read_message()["event"] for _ in range(10)] == ["set"] * 10


def test_a_slow_reader_gets_all_its_replies(start_server: StartServer):
    server = start_server("--no-persist")
    count = 100
    with RawConnection(server) as raw:
        raw.open("/")
        raw.send(text({"action": "set", "key": "k", "value": "x" * MEBIBYTE}))
        requests = (text({"action": "get", "key": "k"}) + frame(PING, b"p")) * count
        sender = threading.Thread(target=raw.send, args=(requests,))
        sender.start()
        for _ in range(count):
            assert len(raw.read_message()["value"]) == MEBIBYTE
            assert raw.read_frame().opcode == PONG
        sender.join()


SUBSCRIPTIONS_MAX = 100_000
TOO_MANY_SUBSCRIPTIONS = f"Subscriptions exceed max count ({SUBSCRIPTIONS_MAX})"


def test_the_subscriptions_of_a_client_are_limited(start_server: StartServer):
    server = start_server("--no-persist")

    def follow(key: str) -> bytes:
        return text({"action": "subscribe", "key": key})

    mark = {"key": "mark", "value": None}
    with RawConnection(server) as raw:
        raw.open("/")
        for start in range(0, SUBSCRIPTIONS_MAX, 10_000):
            raw.send(b"".join(follow(str(start + number)) for number in range(10_000)))
            raw.send(text({"action": "get", "key": "mark"}))
            assert raw.read_message() == mark, "up to the limit there is no error"
        raw.send(follow("one too many"))
        assert raw.read_message() == {"error": TOO_MANY_SUBSCRIPTIONS}
        # What is followed already costs nothing, and what is given up makes room.
        raw.send(follow("0") + text({"action": "unsubscribe", "key": "0"}) + follow("another"))
        raw.send(follow("one too many") + text({"action": "get", "key": "mark"}))
        assert raw.read_message() == {"error": TOO_MANY_SUBSCRIPTIONS}
        assert raw.read_message() == mark
        # It goes on, with what it follows.
        raw.send(text({"action": "set", "key": "99999", "value": 1}))
        assert raw.read_message() == {"key": "99999", "value": 1}


# --- with a library of JavaScript ---

NODE_CLIENT = """
const WebSocket = require('ws');
const ws = new WebSocket(process.argv[2], { perMessageDeflate: true });
const seen = [];
ws.on('pong', (data) => { seen.push(data.toString()); ws.close(4000, 'done'); });
ws.on('message', (data) => {
  const message = JSON.parse(data);
  seen.push(message.type);
  if (message.type === 'connected') {
    ws.send('{"type":', { fin: false });
    ws.send('"ping"}', { fin: true });
  }
  if (message.type === 'pong') ws.ping('here?');
});
ws.on('close', (code, reason) => {
  seen.push(code, reason.toString());
  console.log(JSON.stringify(seen));
});
"""


def test_the_ws_library_of_node_exchanges_messages(
    shared_server: ServerProcess, node: Path, node_modules: Path
):
    done = subprocess.run(
        [node, "-e", NODE_CLIENT, "x", shared_server.ws_url],
        capture_output=True,
        timeout=30,
        check=True,
        env={"NODE_PATH": str(node_modules), "PATH": str(node.parent)},
    )
    assert done.stdout.strip() == b'["connected","pong","here?",4000,"done"]'
