"""What came is parsed bit by bit, answered in its order, and kept no longer than it has to be."""

from dunena.server.http.request_queue import RequestQueue
from dunena.server.limits import TURN_LOOK_BYTES

GET = b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def make_queue() -> RequestQueue:
    return RequestQueue(1_000, lambda _: True)


def test_requests_come_out_in_their_order_and_a_part_at_a_time() -> None:
    queue = make_queue()
    count = 3 * TURN_LOOK_BYTES // len(GET)
    stream = b"".join(GET % number for number in range(count))
    queue.feed(stream[:1_000])
    queue.feed(stream[1_000:])
    sizes, targets = [], []
    while queue.has_work:
        if queue.whole:
            targets.append(queue.pop().target)
        else:
            sizes.append(queue.parse())
    assert targets == [f"/{number}" for number in range(count)]
    assert sum(sizes) == len(stream)
    assert len(sizes) >= 3
    assert max(sizes) == TURN_LOOK_BYTES


def test_what_comes_while_a_part_is_parsed_is_behind_it() -> None:
    queue = make_queue()
    queue.feed(GET % 1 + b" " * TURN_LOOK_BYTES)
    assert queue.parse() == TURN_LOOK_BYTES
    queue.feed(b"x")
    assert queue.parse() == len(GET % 1) + 1


def test_the_rest_behind_an_upgrade_is_whole_and_taken_once() -> None:
    queue = make_queue()
    rest = bytes(range(256)) * 64
    queue.feed(UPGRADE + rest)
    queue.parse()
    assert queue.pop().wants_upgrade
    assert queue.take_rest() == rest
    assert not queue.has_work
    assert not queue.whole


def test_a_peer_that_ended_is_not_in_the_middle_of_a_request() -> None:
    queue = make_queue()
    assert not queue.is_peer_sending
    queue.feed((GET % 1)[:-2])
    queue.parse()
    assert queue.is_peer_sending
    queue.has_peer_ended = True
    assert not queue.is_peer_sending


def test_nothing_is_kept_of_what_is_dropped() -> None:
    queue = make_queue()
    queue.feed(GET % 1 + (GET % 2)[:-2])
    queue.parse()
    queue.feed(b"x")
    queue.drop()
    assert not queue.has_work
    assert not queue.whole
    assert queue.parser.held_bytes <= len(GET % 2)
