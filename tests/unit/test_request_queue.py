"""The queue of received bytes and parsed requests of an HTTP connection."""

from dunena.server.http.request_queue import RequestQueue
from dunena.server.limits import TURN_LOOK_BYTES

GET = b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def make_queue() -> RequestQueue:
    return RequestQueue(1_000, lambda _: True)


def test_requests_are_parsed_in_parts_and_returned_in_order() -> None:
    queue = make_queue()
    count = 3 * TURN_LOOK_BYTES // len(GET)
    stream = b"".join(GET % number for number in range(count))
    queue.feed(stream[:1_000])
    queue.feed(stream[1_000:])
    sizes, targets = [], []
    while queue.has_work:
        if queue.complete:
            targets.append(queue.pop().target)
        else:
            sizes.append(queue.parse())
    assert targets == [f"/{number}" for number in range(count)]
    assert sum(sizes) == len(stream)
    assert len(sizes) >= 3
    assert max(sizes) == TURN_LOOK_BYTES


def test_bytes_fed_between_parts_are_parsed_last() -> None:
    queue = make_queue()
    queue.feed(GET % 1 + b" " * TURN_LOOK_BYTES)
    assert queue.parse() == TURN_LOOK_BYTES
    queue.feed(b"x")
    assert queue.parse() == len(GET % 1) + 1


def test_take_rest_returns_all_bytes_after_an_upgrade_and_empties_the_queue() -> None:
    queue = make_queue()
    rest = bytes(range(256)) * 64
    queue.feed(UPGRADE + rest)
    queue.parse()
    assert queue.pop().wants_upgrade
    assert queue.take_rest() == rest
    assert not queue.has_work
    assert not queue.complete


def test_is_peer_sending_is_true_until_the_request_or_the_peer_ends() -> None:
    queue = make_queue()
    assert not queue.is_peer_sending
    queue.feed((GET % 1)[:-2])
    queue.parse()
    assert queue.is_peer_sending
    queue.has_peer_ended = True
    assert not queue.is_peer_sending


def test_drop_discards_bytes_and_requests() -> None:
    queue = make_queue()
    queue.feed(GET % 1 + (GET % 2)[:-2])
    queue.parse()
    queue.feed(b"x")
    queue.drop()
    assert not queue.has_work
    assert not queue.complete
    assert queue.parser.held_bytes <= len(GET % 2)
