"""The I/O-free core of the client: what it sends, and how it handles messages."""

import json
from math import inf
from typing import Any

import pytest

from dunena.client import feeds
from dunena.client.address import Address
from dunena.client.backoff import FIRST_SECONDS, SECONDS_MAX, Backoff
from dunena.client.errors import (
    ClosedError,
    ConflictError,
    Error,
    NoAnswerError,
    RequestError,
    TooSlowError,
)
from dunena.client.feeds import Events, Messages, Update, Watch, value_of
from dunena.client.protocol import SILENT_BEATS_MAX, WAITING_MAX, ClientProtocol
from dunena.client.requests import RESEND_SECONDS_MAX, PendingRequest


class Talk:
    """A core, and a hand that plays its server."""

    def __init__(self, *, is_connected: bool = True) -> None:
        self.woken = 0
        self.times = (0.0, 0.0)
        self.protocol = ClientProtocol(self._wake, lambda: self.times)
        if is_connected:
            self.connect()

    def connect(self) -> list[Any]:
        self.protocol.connected()
        return self.sent()

    def _wake(self) -> None:
        self.woken += 1

    def sent(self) -> list[Any]:
        """What is to be sent, without the first word about events."""
        messages = [json.loads(raw) for raw in self.protocol.outgoing]
        self.protocol.outgoing.clear()
        return [message for message in messages if "channel" not in message]

    def hear(self, *messages: Any) -> None:
        for message in messages:
            self.protocol.receive(json.dumps(message).encode())

    def pong(self, number: int) -> None:
        self.hear({"type": "pong", "timestamp": 1, "id": number})

    def watch(self, *keys: str, ns: str = "") -> Watch:
        watch = Watch(keys, ns, lambda: None)
        self.protocol.follow(watch)
        return watch


def taken(feed: Any) -> list[Any]:
    items = []
    while (item := feed.take()) is not None:
        items.append(item)
    return items


def read(talk: Talk, *keys: str) -> PendingRequest:
    return talk.protocol.read(keys, "")


def answer(request: PendingRequest) -> dict[str, Any]:
    assert request.is_done
    return {key: value_of(raw) if raw else "missing" for key, raw in request.result().items()}


def update(key: str, value: Any) -> dict[str, Any]:
    return {"key": key, "value": value}


# --- requests ---


def test_a_write_completes_when_its_pong_arrives():
    talk = Talk()
    done = []
    request = talk.protocol.write({"k": None}, "app", 5, True)
    request.on_done = lambda: done.append(True)
    assert talk.sent() == [
        {"action": "set", "key": "k", "ns": "app", "value": None, "ttl": 5, "durable": True},
        {"type": "ping", "id": 1},
    ]
    assert not request.is_done
    talk.pong(1)
    assert request.is_done
    assert done == [True]
    assert request.result() is None


def test_an_error_belongs_to_the_oldest_request():
    talk = Talk()
    first, second = (talk.protocol.write({key: 1}, "", None, None) for key in "ab")
    talk.hear({"error": "no"})
    talk.pong(1)
    talk.pong(2)
    with pytest.raises(RequestError, match=r"^no$"):
        first.result()
    assert second.result() is None


def test_a_request_fails_with_its_first_error():
    talk = Talk()
    request = talk.protocol.write({"a": 1, "b": 2}, "", None, None)
    talk.hear({"error": "first"}, {"error": "second"})
    talk.pong(1)
    with pytest.raises(RequestError, match=r"^first$"):
        request.result()


def test_requests_with_refused_pings_complete_at_the_next_pong():
    talk = Talk()
    requests = [talk.protocol.write({key: 1}, "", None, None) for key in "abc"]
    refused = {"type": "error", "data": "Rate limit exceeded", "timestamp": 1}
    talk.hear(refused, refused, refused, refused)
    talk.pong(3)
    for request in requests[:2]:
        with pytest.raises(RequestError, match="Rate limit"):
            request.result()
    assert requests[2].result() is None


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"a": (1, float("-inf"))}])
def test_a_value_json_cannot_represent_raises_type_error_and_is_not_sent(value: Any):
    talk = Talk()
    with pytest.raises(TypeError, match="no JSON"):
        talk.protocol.write({"k": value}, "", None, None)
    assert talk.sent() == []


def test_a_value_of_null_numbers_and_tuples_is_sent_as_json():
    talk = Talk()
    talk.protocol.write({"k": [None, 1.5, {"x": (2,)}]}, "", None, None)
    assert talk.sent()[0]["value"] == [None, 1.5, {"x": [2]}]


@pytest.mark.parametrize("was_there", [True, False])
def test_a_deletion_returns_whether_the_key_existed(was_there: bool):
    talk = Talk()
    request = talk.protocol.delete("k", "", None)
    assert talk.sent()[0] == {"type": "del", "key": "k", "id": 1}
    talk.hear({"type": "result", "data": {"key": "k", "deleted": was_there}, "id": 1})
    talk.pong(1)
    assert request.result() is was_there


@pytest.mark.parametrize("was_there", [True, False])
@pytest.mark.parametrize(("key", "ns"), [("ß", ""), ("k", "ß"), ("\n", "")])
def test_a_deletion_without_a_reply_returns_whether_a_prior_read_found_the_key(
    key: str, ns: str, was_there: bool
):
    talk = Talk()
    request = talk.protocol.delete(key, ns, None)
    actions = [message["action"] for message in talk.sent() if "action" in message]
    assert actions == ["subscribe", "unsubscribe", "delete"]
    if was_there:
        talk.hear({**update(key, None), "ns": ns})
    talk.pong(1)
    assert not request.is_done
    talk.pong(2)
    assert request.result() is was_there


def test_a_refused_deletion_without_a_reply_raises_request_error():
    talk = Talk()
    request = talk.protocol.delete("ß", "", None)
    talk.pong(1)
    talk.hear({"error": "Read-only"})
    talk.pong(2)
    with pytest.raises(RequestError, match="Read-only"):
        request.result()


def test_a_read_distinguishes_null_from_a_missing_key():
    talk = Talk()
    request = read(talk, "a", "b")
    assert [(m.get("action"), m.get("key")) for m in talk.sent()] == [
        ("subscribe", "a"),
        ("unsubscribe", "a"),
        ("subscribe", "b"),
        ("unsubscribe", "b"),
        (None, None),
    ]
    talk.hear(update("a", None))
    talk.pong(1)
    assert answer(request) == {"a": None, "b": "missing"}


def test_consecutive_reads_of_a_key_return_the_value_current_at_each():
    talk = Talk()
    first, second = read(talk, "k"), read(talk, "k")
    talk.hear(update("k", 1))
    talk.pong(1)
    talk.hear(update("k", 2))
    talk.pong(2)
    assert (answer(first), answer(second)) == ({"k": 1}, {"k": 2})


# --- operations ---


def operate(talk: Talk, key: str = "k") -> PendingRequest:
    return talk.protocol.operate("incr", {"key": key, "by": 1, "min": None})


def tell_epoch(talk: Talk, epoch: str | None) -> list[Any]:
    """Answer the question for the epoch, which was just sent; return what is sent then."""
    question, ping = talk.sent()
    assert question == {"type": "mget", "keys": [], "rev": True}
    data = {"result": {}} if epoch is None else {"result": {}, "epoch": epoch, "revs": {}}
    talk.hear({"type": "result", "data": data, "timestamp": 1})
    talk.pong(ping["id"])
    return talk.sent()


def operated(*, epoch: str | None = "e1") -> tuple[Talk, PendingRequest, dict[str, Any]]:
    """A talk with an operation that was sent, and its message."""
    talk = Talk()
    request = operate(talk)
    message, _ = tell_epoch(talk, epoch)
    return talk, request, message


def reconnected(talk: Talk, epoch: str | None) -> list[Any]:
    """Connect again to a server's run of this epoch; return what is sent then."""
    talk.protocol.disconnected()
    talk.protocol.connected()
    return tell_epoch(talk, epoch)


def test_an_operation_is_answered_with_the_data_of_its_result():
    talk, request, message = operated()
    assert message.pop("idempotencyKey").isalnum()
    assert message == {"action": "incr", "key": "k", "by": 1, "id": 2}
    talk.hear({"result": {"rev": 5, "value": 3}, "id": 2})
    assert not request.is_done
    talk.pong(2)
    assert request.result() == {"rev": 5, "value": 3}


def test_each_operation_has_its_own_idempotency_key():
    talk, _, first = operated()
    operate(talk)
    assert talk.sent()[0]["idempotencyKey"] != first["idempotencyKey"]


def test_only_the_first_operation_of_a_connection_waits_for_the_epoch():
    talk, _, _ = operated()
    operate(talk)
    assert [message.get("action") for message in talk.sent()] == ["incr", None]


def test_a_client_without_operations_does_not_ask_for_the_epoch():
    talk = Talk()
    talk.protocol.query("history", {"key": "k", "limit": None})
    assert talk.sent() == [{"action": "history", "key": "k", "id": 1}, {"type": "ping", "id": 1}]
    talk.protocol.disconnected()
    assert [message.get("action") for message in talk.connect()] == ["history", None]


def test_requests_made_while_an_operation_waits_for_the_epoch_are_sent_after_it():
    talk = Talk()
    operate(talk, "a")
    talk.protocol.write({"b": 1}, "", None, None)
    read(talk, "c")
    operate(talk, "d")
    sent = tell_epoch(talk, "e1")
    assert [message["key"] for message in sent if "key" in message] == ["a", "b", "c", "c", "d"]


@pytest.mark.parametrize(
    "refusal",
    [
        {"type": "error", "data": "Rate limit exceeded", "timestamp": 1},
        {"type": "error", "data": "Unknown type: mget", "timestamp": 1},
        {"type": "result", "data": "odd", "timestamp": 1},
        {"type": "result", "data": {"epoch": 5}, "timestamp": 1},
        {"type": "result", "data": {"epoch": ""}, "timestamp": 1},
    ],
)
def test_operations_are_sent_if_the_server_does_not_tell_its_epoch(refusal: dict[str, Any]):
    talk = Talk()
    request = operate(talk)
    number = talk.sent()[-1]["id"]
    talk.hear(refusal)
    talk.pong(number)
    assert [message.get("action") for message in talk.sent()] == ["incr", None]
    talk.hear({"error": "Invalid message format"})
    talk.pong(number + 1)
    with pytest.raises(RequestError, match=r"^Invalid message format$"):
        request.result()


def test_operations_are_sent_at_the_pong_of_a_beat_if_that_of_the_epoch_query_was_refused():
    talk = Talk()
    request = operate(talk)
    refusal = {"type": "error", "data": "Rate limit exceeded", "timestamp": 1}
    talk.hear(refusal, refusal)
    talk.sent()
    talk.protocol.beat()
    talk.pong(talk.sent()[-1]["id"])
    message, ping = talk.sent()
    talk.hear({"result": {"rev": 1}, "id": message["id"]})
    talk.pong(ping["id"])
    assert request.result() == {"rev": 1}


def test_an_unanswered_operation_is_sent_again_with_its_key_to_the_same_run_of_the_server():
    talk, request, first = operated()
    for _ in range(3):
        again, ping = reconnected(talk, "e1")
        assert again == {**first, "id": ping["id"]}
    talk.hear({"result": {"rev": 5, "value": 3, "duplicate": True}, "id": ping["id"]})
    talk.pong(ping["id"])
    assert request.result()["value"] == 3


@pytest.mark.parametrize(("before", "after"), [("e1", "e2"), ("e1", None), (None, None)])
def test_an_unanswered_operation_fails_if_the_server_may_have_been_restarted(
    before: str | None, after: str | None
):
    talk, request, _ = operated(epoch=before)
    late = talk.protocol.write({"late": 1}, "", None, None)
    talk.sent()
    assert [message.get("key") for message in reconnected(talk, after)] == ["late", None]
    with pytest.raises(NoAnswerError, match=r"restarted.*may or may not have been done"):
        request.result()
    assert not late.is_done


@pytest.mark.parametrize("clock", [0, 1])
@pytest.mark.parametrize(("seconds", "is_sent"), [(RESEND_SECONDS_MAX, True), (100.1, False)])
def test_an_operation_is_not_sent_again_when_the_server_may_have_forgotten_it(
    clock: int, seconds: float, is_sent: bool
):
    talk, request, _ = operated()
    talk.times = (seconds, -5.0) if clock == 0 else (0.0, seconds)
    assert bool(reconnected(talk, "e1")) is is_sent
    assert request.is_done is not is_sent
    if not is_sent:
        with pytest.raises(NoAnswerError, match="No answer came in 100 s"):
            request.result()


def test_an_operation_that_was_not_sent_before_may_be_sent_to_any_run():
    talk = Talk()
    request = operate(talk)
    talk.sent()  # the connection ends before the epoch is known
    talk.times = (500.0, 500.0)
    message, _ = reconnected(talk, "e2")
    assert message["action"] == "incr"
    assert not request.is_done


def test_the_order_of_requests_stays_over_a_lost_connection():
    talk, _, _ = operated()
    talk.protocol.write({"b": 1}, "", None, None)
    operate(talk, "c")
    talk.protocol.disconnected()
    talk.protocol.write({"d": 1}, "", None, None)
    operate(talk, "e")
    talk.protocol.connected()
    talk.sent()
    talk.protocol.write({"f": 1}, "", None, None)
    assert talk.sent() == []
    talk.hear({"type": "result", "data": {"epoch": "e1"}, "timestamp": 1})
    talk.pong(talk.protocol._last_id)
    sent = [message["key"] for message in talk.sent() if "key" in message]
    assert sent == ["k", "b", "c", "d", "e", "f"]


def test_a_forgotten_operation_is_not_sent_again():
    talk, request, _ = operated()
    talk.protocol.forget(request)
    assert reconnected(talk, "e1") == []


def test_subscriptions_do_not_wait_for_the_epoch():
    talk, _, _ = operated()
    watch = talk.watch("w")
    talk.protocol.disconnected()
    talk.protocol.connected()
    sent = talk.sent()
    assert [message.get("key") for message in sent] == [None, None, "w", None]
    talk.pong(sent[1]["id"])
    talk.hear(update("w", 1))
    talk.pong(sent[-1]["id"])
    assert taken(watch) == [Update("w", 1)]


def test_an_answer_with_a_number_belongs_to_that_request():
    talk, first, message = operated()
    second = operate(talk)
    refusal = {"type": "error", "data": "Rate limit exceeded", "timestamp": 1}
    talk.hear(refusal, refusal)  # the first operation, and its ping
    talk.hear({"result": {"rev": 2}, "id": message["id"] + 1})
    talk.pong(message["id"] + 1)
    assert second.result() == {"rev": 2}
    with pytest.raises(RequestError, match="Rate limit"):
        first.result()


def test_an_answered_request_between_refused_ones_does_not_hide_their_refusal():
    talk, first, message = operated()
    second, third, last = operate(talk), talk.protocol.barrier(), talk.protocol.barrier()
    refusal = {"type": "error", "data": "Rate limit exceeded", "timestamp": 1}
    talk.hear(refusal, refusal, {"result": {"rev": 2}, "id": message["id"] + 1}, refusal, refusal)
    talk.pong(message["id"] + 3)
    assert second.result() == {"rev": 2}
    assert last.result() is None
    for request in (first, third):
        with pytest.raises(RequestError, match="Rate limit"):
            request.result()


def test_a_conflict_raises_an_error_with_key_revision_and_operation():
    talk, request, message = operated()
    error = {"error": 'op 2: Revision conflict: "k" is at 7', "code": "conflict", "key": "k"}
    talk.hear({**error, "rev": 7, "op": 2, "id": message["id"]})
    talk.pong(message["id"])
    with pytest.raises(ConflictError, match="Revision conflict") as caught:
        request.result()
    raised = caught.value
    assert (raised.code, raised.key, raised.rev, raised.op) == ("conflict", "k", 7, 2)


def test_an_error_of_an_operation_has_its_code():
    talk, request, message = operated()
    talk.hear({"error": 'Not a number: "k"', "code": "wrong_type", "id": message["id"]})
    talk.pong(message["id"])
    with pytest.raises(RequestError, match="Not a number") as caught:
        request.result()
    assert (caught.value.code, caught.value.op) == ("wrong_type", None)


def test_an_operation_that_is_too_large_fails_and_those_around_it_are_sent_again():
    talk, before, _ = operated()
    large = talk.protocol.operate("append", {"key": "k", "values": ["x" * 1000]})
    after = operate(talk, "after")
    talk.protocol.disconnected(1009)
    with pytest.raises(RequestError, match="too large for the server"):
        large.result()
    talk.connect()
    talk.protocol.receive(b'{"type":"result","data":{"epoch":"e1"},"timestamp":1}')
    talk.pong(talk.protocol._last_id)
    assert [message["key"] for message in talk.sent() if "key" in message] == ["k", "after"]
    assert not before.is_done
    assert not after.is_done


def test_an_operation_that_is_no_json_raises_type_error_and_is_not_sent():
    talk = Talk(is_connected=False)
    for fields in ({"key": "\ud800"}, {"key": "k", "by": 2**64}, {"key": "k", "value": {1}}):
        with pytest.raises(TypeError):
            talk.protocol.operate("incr", fields)
    assert talk.connect() == []


@pytest.mark.parametrize("is_connected", [True, False])
def test_a_name_that_is_no_unicode_raises_type_error_and_harms_no_connection(is_connected: bool):
    talk = Talk(is_connected=is_connected)
    bad = "\ud800"
    for ask in (
        lambda: talk.protocol.read([bad], ""),
        lambda: talk.protocol.read(["k"], bad),
        lambda: talk.protocol.write({bad: 1}, "", None, None),
        lambda: talk.protocol.delete(bad, "", None),
        lambda: talk.protocol.query("history", {"key": bad}),
        lambda: talk.watch("k", bad),
        lambda: talk.watch("k", ns=bad),
    ):
        with pytest.raises(TypeError):
            ask()
    assert talk.sent() == []
    talk.protocol.disconnected()
    assert talk.connect() == []


# --- watching ---


def test_a_watch_yields_the_current_value_first():
    talk = Talk()
    watch = talk.watch("k")
    assert taken(watch) == []
    talk.hear(update("k", 1))
    talk.pong(1)
    talk.hear(update("k", 2), update("k", 2))
    assert taken(watch) == [Update("k", 1), Update("k", 2), Update("k", 2)]


def test_a_watch_yields_none_for_a_missing_key_at_the_pong():
    talk = Talk()
    watch = talk.watch("k")
    talk.pong(1)
    assert taken(watch) == [Update("k", None)]


def test_watches_of_one_key_in_two_namespaces_are_separate():
    talk = Talk()
    plain, spaced = talk.watch("k"), talk.watch("k", ns="app")
    talk.pong(2)
    talk.hear({"key": "k", "value": 1, "ns": "app"})
    assert taken(plain) == [Update("k", None)]
    assert taken(spaced) == [Update("k", None), Update("k", 1)]


def test_a_second_watch_of_a_key_sends_no_subscription():
    talk = Talk()
    talk.watch("k")
    talk.hear(update("k", [1]))
    talk.pong(1)
    talk.sent()
    second = talk.watch("k", "k")
    assert talk.sent() == []
    assert taken(second) == [Update("k", [1])]


def test_each_watch_gets_its_own_copy_of_a_value():
    talk = Talk()
    watches = [talk.watch("k"), talk.watch("k")]
    talk.hear(update("k", []))
    mine, other = (taken(watch)[0].value for watch in watches)
    mine.append(1)
    assert other == []


def test_a_read_of_a_watched_key_sends_only_a_ping_and_gets_the_latest_update():
    talk = Talk()
    watch = talk.watch("k")
    talk.hear(update("k", 1))
    talk.pong(1)
    talk.sent()
    request = read(talk, "k")
    assert talk.sent() == [{"type": "ping", "id": 2}]
    talk.hear(update("k", 2))
    talk.pong(2)
    assert answer(request) == {"k": 2}
    assert [value for _, value in taken(watch)] == [1, 2]


def test_a_subscription_outlives_its_watch_until_a_pending_read_is_answered():
    talk = Talk()
    watch = talk.watch("k")
    talk.hear(update("k", 1))
    talk.pong(1)
    request = read(talk, "k")
    talk.protocol.unfollow(watch)
    assert "unsubscribe" not in [message.get("action") for message in talk.sent()]
    talk.hear(update("k", 2))
    talk.pong(2)
    assert answer(request) == {"k": 2}
    assert talk.sent()[0] == {"action": "unsubscribe", "key": "k"}
    assert watch.is_ended


def test_a_watch_begun_during_a_read_of_its_key_gets_the_value_at_its_own_pong():
    talk = Talk()
    request = read(talk, "k")
    watch = talk.watch("k")
    talk.hear(update("k", 1))
    assert taken(watch) == []
    talk.pong(1)
    talk.hear(update("k", 2))
    talk.pong(2)
    assert answer(request) == {"k": 1}
    assert taken(watch) == [Update("k", 2)]


def test_a_refused_watch_raises_the_request_error():
    talk = Talk()
    watch = talk.watch("k")
    talk.hear({"error": "Key exceeds max length (512)"})
    talk.pong(1)
    with pytest.raises(RequestError, match="Key exceeds"):
        watch.take()


def test_updates_for_an_ended_watch_are_dropped():
    talk = Talk()
    watch = talk.watch("k")
    talk.pong(1)
    talk.protocol.unfollow(watch)
    talk.hear(update("k", 1))
    assert taken(watch) == [Update("k", None)]


def test_closed_feeds_are_unsubscribed_at_the_next_beat():
    talk = Talk()
    watch = talk.watch("k")
    events = Events(lambda: None)
    talk.protocol.follow(events)
    talk.pong(1)
    talk.sent()
    watch.is_closed = events.is_closed = True
    talk.protocol.beat()
    channel = [json.loads(raw) for raw in talk.protocol.outgoing if b"channel" in raw]
    assert channel == [{"type": "unsubscribe", "channel": "cache-events"}]
    assert {"action": "unsubscribe", "key": "k"} in talk.sent()


def test_untaken_updates_are_conflated_to_the_newest_of_each_key():
    talk = Talk()
    watch = talk.watch("a", "b")
    talk.pong(2)
    talk.hear(update("b", 0))
    talk.hear(*(update("a", number) for number in range(feeds.UPDATES_PENDING_MAX)))
    items = taken(watch)
    assert len(items) < feeds.UPDATES_PENDING_MAX
    assert items[-1] == Update("a", feeds.UPDATES_PENDING_MAX - 1)
    assert Update("b", 0) in items


# --- away and back ---


def test_a_watch_yields_only_changed_values_after_a_reconnect():
    talk = Talk()
    watch = talk.watch("same", "other", "gone", "missing")
    for number, key in enumerate(("same", "other", "gone"), 1):
        talk.hear(update(key, {"a": 1, "b": 2}))
        talk.pong(number)
    talk.pong(4)
    assert len(taken(watch)) == 4
    talk.protocol.disconnected()
    talk.hear(update("other", "too late"))
    first = talk.connect()[1]["id"]
    talk.protocol.receive(b'{"key":"same","value":{"a": 1,"b":2}}')
    talk.pong(first)
    talk.hear(update("other", {"b": 2, "a": 1}))
    talk.pong(first + 3)
    assert taken(watch) == [Update("other", {"b": 2, "a": 1}), Update("gone", None)]


def test_a_watch_reports_a_change_from_1_to_true_after_a_reconnect():
    talk = Talk()
    watch = talk.watch("k")
    talk.hear(update("k", 1))
    talk.pong(1)
    talk.protocol.disconnected()
    number = talk.connect()[-1]["id"]
    talk.hear(update("k", True))
    talk.pong(number)
    assert [value for _, value in taken(watch)] == [1, True]
    assert taken(watch) == []


def test_unanswered_requests_are_sent_again_in_order_after_a_reconnect():
    talk = Talk(is_connected=False)
    early = talk.protocol.write({"early": 1}, "", None, None)
    assert talk.sent() == []
    assert [m.get("key") for m in talk.connect()] == ["early", None]
    late = talk.protocol.write({"late": 1}, "", None, None)
    talk.protocol.disconnected()
    waiting = read(talk, "k")
    asked = [message["key"] for message in talk.connect() if "key" in message]
    assert asked == ["early", "late", "k", "k"]
    talk.hear(update("k", 7))
    talk.pong(1000)
    assert early.is_done
    assert late.is_done
    assert answer(waiting) == {"k": "missing"}, "an update before the pong of its own is no answer"


def test_only_the_largest_message_fails_after_a_close_for_its_size():
    talk = Talk()
    before = talk.protocol.write({"before": 1}, "", None, None)
    large = talk.protocol.write({"small": 1, "large": "x" * 100}, "", None, None)
    after = read(talk, "after")
    talk.protocol.disconnected(1009)
    assert large.is_done
    with pytest.raises(RequestError, match=r"too large for the server .* \(1\d\d bytes\)$"):
        large.result()
    assert [m.get("key") for m in talk.connect()] == ["before", None, "after", "after", None]
    talk.pong(1000)
    assert before.result() is None
    assert answer(after) == {"after": "missing"}


@pytest.mark.parametrize("code", [None, 1001, 1006, 1012])
def test_no_message_fails_after_a_close_for_another_reason(code: int | None):
    talk = Talk()
    large = talk.protocol.write({"large": "x" * 100}, "", None, None)
    talk.protocol.disconnected(code)
    assert not large.is_done
    assert [m.get("key") for m in talk.connect()] == ["large", None]


def test_a_close_for_a_messages_size_without_a_request_fails_nothing():
    talk = Talk()
    talk.protocol.disconnected(1009)
    assert talk.connect() == []


def test_a_watch_whose_key_is_too_large_fails_and_is_not_subscribed_to_again():
    talk = Talk()
    watch = talk.watch("k" * 100)
    other = talk.watch("other")
    talk.protocol.disconnected(1009)
    with pytest.raises(RequestError, match="too large"):
        watch.take()
    assert [m.get("key") for m in talk.connect()] == ["other", None]
    talk.protocol.unfollow(watch)
    talk.hear(update("other", 1))
    assert taken(other) == [Update("other", 1)]


def test_a_watch_begun_anew_also_fails_if_its_key_is_too_large():
    talk = Talk()
    talk.protocol.unfollow(talk.watch("k" * 100))
    watch = talk.watch("k" * 100)
    talk.protocol.disconnected(1009)
    assert len(talk.connect()) == 2, "the watch was not told, so it subscribes once more"
    talk.protocol.disconnected(1009)
    with pytest.raises(RequestError, match="too large"):
        watch.take()
    assert talk.connect() == []


def test_a_read_cut_off_by_a_disconnect_is_answered_by_a_watch_of_its_key():
    talk = Talk()
    request = read(talk, "k")
    talk.protocol.disconnected()
    watch = talk.watch("k")
    messages = talk.connect()
    assert [m.get("action") for m in messages] == ["subscribe", None, None]
    talk.hear(update("k", 1))
    talk.pong(messages[1]["id"])
    talk.pong(messages[2]["id"])
    assert answer(request) == {"k": 1}
    assert taken(watch) == [Update("k", 1)]


def test_a_forgotten_request_is_not_sent_again_after_a_reconnect():
    talk = Talk()
    sent = talk.protocol.write({"sent": 1}, "", None, None)
    talk.protocol.forget(sent)
    talk.protocol.disconnected()
    waiting = talk.protocol.write({"waiting": 1}, "", None, None)
    talk.protocol.forget(waiting)
    assert talk.connect() == []


def test_requests_beyond_the_limit_fail_while_not_connected():
    talk = Talk(is_connected=False)
    for _ in range(WAITING_MAX):
        assert not talk.protocol.barrier().is_done
    with pytest.raises(Error, match="Not connected"):
        talk.protocol.barrier().result()


def test_a_connection_is_dead_after_too_many_beats_without_a_message():
    talk = Talk()
    for _ in range(3 * SILENT_BEATS_MAX):
        assert talk.protocol.beat()
        talk.hear({"type": "connected", "data": {"id": "x"}})
    assert talk.protocol.beat(), "what came since the last one was heard"
    beats = [talk.protocol.beat() for _ in range(SILENT_BEATS_MAX)]
    assert beats == [True] * (SILENT_BEATS_MAX - 1) + [False]
    assert talk.sent()[-1]["type"] == "ping"


def test_close_ends_all_waiting_requests_watches_and_event_feeds():
    talk = Talk()
    sent = talk.protocol.barrier()
    watch, events = talk.watch("k"), Events(lambda: None)
    talk.protocol.follow(events)
    talk.protocol.close()
    for request in (sent, talk.protocol.barrier()):
        with pytest.raises(ClosedError):
            request.result()
    late, late_events = talk.watch("k"), Events(lambda: None)
    talk.protocol.follow(late_events)
    assert all(source.is_ended for source in (watch, events, late, late_events))


# --- events ---


def test_events_are_subscribed_to_only_while_a_feed_follows_them():
    talk = Talk(is_connected=False)
    events = Events(lambda: None)
    talk.protocol.follow(events)
    talk.protocol.connected()
    assert b'"subscribe"' in talk.protocol.outgoing[0]
    data = {"key": "k", "size": 3, "ns": "app"}
    talk.hear({"channel": "cache", "event": "set", "data": data, "timestamp": 9})
    talk.hear({"channel": "cache", "event": "clear", "data": {}, "timestamp": 10})
    assert taken(events) == [("set", "k", "app", 3, 9), ("clear", None, "", None, 10)]
    talk.protocol.unfollow(events)
    assert b'"unsubscribe"' in talk.protocol.outgoing[-1]


def test_too_many_untaken_events_end_the_feed_with_too_slow_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(feeds, "EVENTS_PENDING_MAX", 3)
    events = Events(lambda: None)
    for number in range(5):
        events.tell({"event": "clear", "data": {}, "timestamp": number})
    assert [events.take().timestamp for _ in range(3)] == [0, 1, 2]
    with pytest.raises(TooSlowError):
        events.take()


@pytest.mark.parametrize("raw", [b"[]", b"1", b'"x"', b'{"type":"news"}', b'{"type":"pong"}'])
def test_an_unknown_or_invalid_message_is_ignored(raw: bytes):
    talk = Talk()
    request = talk.protocol.barrier()
    talk.protocol.receive(raw)
    assert not request.is_done


# --- addresses and pauses ---


@pytest.mark.parametrize(
    ("written", "websocket", "http"),
    [
        ("ws://localhost:3000", "ws://localhost:3000/ws", "http://localhost:3000"),
        ("localhost:3000", "ws://localhost:3000/ws", "http://localhost:3000"),
        ("http://h/", "ws://h:80/ws", "http://h:80"),
        ("https://h", "wss://h:443/ws", "https://h:443"),
        ("wss://h/store/ws", "wss://h:443/store/ws", "https://h:443/store"),
        ("ws://[::1]:1/ws", "ws://[::1]:1/ws", "http://[::1]:1"),
    ],
)
def test_parse_reads_the_http_and_websocket_urls_of_an_address(
    written: str, websocket: str, http: str
):
    address = Address.parse(written)
    assert address.websocket_url == f"{websocket}?protocol=auto"
    assert address.url == http


@pytest.mark.parametrize("written", ["", "ftp://h", "ws://", "ws://h:x", "ws://h?token=1"])
def test_parse_rejects_an_invalid_address(written: str):
    with pytest.raises(ValueError, match=r"address|[Pp]ort"):
        Address.parse(written)


def test_parse_rejects_a_token_in_an_address():
    with pytest.raises(ValueError, match="token"):
        Address.parse("ws://:secret@h")


def test_target_leaves_out_empty_query_fields():
    address = Address("h", 1, prefix="/a b")
    assert address.target("/keys", {"ns": "", "cursor": 0}) == "/a%20b/keys?cursor=0"


@pytest.mark.parametrize("end", ["", "/", "/ws", "/ws/"])
def test_an_address_may_have_a_path_prefix(end: str):
    address = Address.parse(f"https://h/a/b%20c{end}")
    assert address.url == "https://h:443/a/b%20c"
    assert address.websocket_url == "wss://h:443/a/b%20c/ws?protocol=auto"
    assert address.target("/keys", {}) == "/a/b%20c/keys"
    assert Address.parse(f"ws://ws{end}").url == "http://ws:80"


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_backoff_grows_to_a_limit_and_starts_over_after_success(share: float):
    backoff = Backoff(lambda: share)
    factor = 0.5 + share / 2
    pauses = [backoff.next() for _ in range(20)]
    assert pauses[0] == FIRST_SECONDS * factor
    assert pauses == sorted(pauses)
    assert pauses[-1] == SECONDS_MAX * factor
    backoff.succeeded()
    assert backoff.next() == pauses[0]


# --- channels ---


def channel_message(channel: str, data: Any, *, event: str = "message") -> dict[str, Any]:
    return {"channel": channel, "event": event, "data": data, "timestamp": 5}


def subscribe(talk: Talk, channel: str) -> Messages:
    messages = Messages(channel, lambda: None)
    talk.protocol.follow(messages)
    return messages


def channel_requests(talk: Talk) -> list[tuple[str, str]]:
    """What was sent of channels but for the events."""
    messages = [json.loads(raw) for raw in talk.protocol.outgoing]
    talk.protocol.outgoing.clear()
    return [(m["action"], m["channel"]) for m in messages if "action" in m and "channel" in m]


def test_a_channel_is_subscribed_to_once_while_feeds_follow_it():
    talk = Talk()
    first, second, other = (subscribe(talk, name) for name in ("chat", "chat", "other"))
    assert channel_requests(talk) == [("subscribe", "chat"), ("subscribe", "other")]
    talk.hear(channel_message("chat", {"text": "hi"}), channel_message("other", None))
    (mine,), (theirs,) = taken(first), taken(second)
    assert mine == theirs == ({"text": "hi"}, 0, 5)
    assert mine.data is not theirs.data
    assert taken(other) == [(None, 0, 5)]
    talk.protocol.unfollow(first)
    assert channel_requests(talk) == []
    talk.protocol.unfollow(second)
    assert channel_requests(talk) == [("unsubscribe", "chat")]


def test_messages_are_no_events_and_events_are_no_messages():
    talk = Talk()
    messages, events = subscribe(talk, "cache"), Events(lambda: None)
    talk.protocol.follow(events)
    talk.hear(channel_message("cache", {"key": "k"}, event="delete"))
    talk.hear(channel_message("chat", 1), channel_message("chat", {"missed": 1}, event="gap"))
    assert taken(messages) == []
    assert [event.key for event in taken(events)] == ["k"]


def test_the_message_after_a_gap_has_the_number_of_those_that_were_missed():
    talk = Talk()
    messages = subscribe(talk, "chat")
    for event in (
        channel_message("chat", {"missed": 12}, event="gap"),
        channel_message("chat", {"missed": 3}, event="gap"),
        channel_message("chat", "a"),
        channel_message("chat", "b"),
    ):
        talk.hear(event)
    assert taken(messages) == [("a", 15, 5), ("b", 0, 5)]


def test_a_channel_is_subscribed_to_again_and_nobody_knows_what_was_missed():
    talk = Talk(is_connected=False)
    messages = subscribe(talk, "chat")
    talk.connect()
    talk.pong(1000)
    talk.hear(channel_message("chat", "a"))
    talk.protocol.disconnected()
    talk.protocol.connected()
    assert channel_requests(talk) == [("subscribe", "chat")]
    talk.hear(channel_message("chat", {"missed": 3}, event="gap"))
    talk.hear(channel_message("chat", "b"), channel_message("chat", "c"))
    assert taken(messages) == [("a", 0, 5), ("b", inf, 5), ("c", 0, 5)]


def test_a_subscription_that_had_not_begun_missed_nothing():
    talk = Talk()
    messages = subscribe(talk, "chat")
    talk.protocol.disconnected()
    talk.connect()
    talk.hear(channel_message("chat", "a"))
    assert taken(messages) == [("a", 0, 5)]


def test_a_reader_that_is_too_slow_loses_the_oldest_messages(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(feeds, "MESSAGES_PENDING_MAX", 2)
    talk = Talk()
    messages = subscribe(talk, "chat")
    talk.hear(channel_message("chat", {"missed": 5}, event="gap"))
    for number in range(4):
        talk.hear(channel_message("chat", number))
    assert taken(messages) == [(2, 7, 5), (3, 0, 5)]


def test_a_refused_subscription_fails_its_feeds():
    talk = Talk()
    messages = subscribe(talk, "chat")
    talk.hear({"error": 'Not permitted: read channel "chat"'})
    talk.pong(1000)
    with pytest.raises(RequestError, match="Not permitted"):
        messages.take()


def test_a_channel_that_is_no_unicode_raises_type_error():
    talk = Talk()
    with pytest.raises(TypeError):
        subscribe(talk, "\ud800")
    assert [message.get("type") for message in talk.connect()] == []


def test_a_message_is_published_when_its_pong_arrives():
    talk = Talk()
    request = talk.protocol.publish("chat", {"text": "ß"})
    published, ping = (json.loads(raw) for raw in list(talk.protocol.outgoing)[-2:])
    assert published == {"action": "publish", "channel": "chat", "data": {"text": "ß"}}
    assert not request.is_done
    talk.pong(ping["id"])
    assert request.result() is None
    with pytest.raises(TypeError):
        talk.protocol.publish("chat", float("inf"))


def test_a_message_without_an_answer_is_not_sent_again():
    talk = Talk(is_connected=False)
    waiting = talk.protocol.publish("chat", 1)
    assert not waiting.is_done, "it was not sent yet"
    talk.connect()
    talk.protocol.disconnected()
    with pytest.raises(NoAnswerError, match="may or may not have been published"):
        waiting.result()
    assert talk.connect() == []


def test_a_closed_subscription_ends():
    talk = Talk()
    closed, left = subscribe(talk, "chat"), subscribe(talk, "other")
    closed.is_closed = True
    talk.protocol.beat()
    assert ("unsubscribe", "chat") in channel_requests(talk)
    talk.protocol.close()
    assert left.is_ended
