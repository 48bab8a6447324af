"""The session of a client and what it presents, without input and output."""

import json
from typing import Any

import pytest

from dunena.client.errors import RequestError
from dunena.client.presence import Session
from dunena.client.protocol import BEAT_SECONDS_MAX, BEAT_SECONDS_MIN, ClientProtocol
from dunena.client.requests import PendingRequest


class Talk:
    """A client, and a server that answers what the test says."""

    def __init__(self, session: Session | None = None) -> None:
        self.protocol = ClientProtocol(lambda: None, lambda: (0.0, 0.0), "", session, "lobby")

    def connect(self) -> list[Any]:
        self.protocol.connected()
        return self.sent()

    def sent(self) -> list[Any]:
        """What was sent but for pings and the subscription to events."""
        messages = [json.loads(raw) for raw in self.protocol.outgoing]
        self.protocol.outgoing.clear()
        self._last_id = max((m.get("id", 0) for m in messages), default=0)
        return [m for m in messages if m.get("type") not in ("ping", "subscribe", "unsubscribe")]

    def hear(self, *messages: Any) -> None:
        for message in messages:
            self.protocol.receive(json.dumps(message).encode())

    def pong(self) -> None:
        """Answer all that was sent."""
        self.hear({"type": "pong", "timestamp": 1, "id": self._last_id})

    def beat(self) -> list[Any]:
        """Let a beat pass; what is sent then."""
        assert self.protocol.beat()
        return self.sent()

    def begin(self, *, resumed: bool, secret: str = "secret-1") -> list[Any]:
        """Connect, and tell whether the session was resumed; what is sent then."""
        question = self.connect()[0]
        answer = {"session": "s", "resume": secret, "resumed": resumed, "timeout": 1, "grace": 1}
        self.hear({"result": answer, "id": question["id"]})
        self.hear({"type": "pong", "timestamp": 1, "id": question["id"]})
        return self.sent()

    def present(self, key: str, state: Any, ns: str = "") -> PendingRequest:
        return self.protocol.present(key, state, ns)


def presence(key: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"action": "set", "key": key, **more, "value": value, "ephemeral": True}


def test_the_session_is_the_first_message_of_each_connection_and_resumed_by_its_secret():
    will = ({"op": "set", "key": "left", "value": "Ada"}, {"op": "delete", "key": "k", "ns": ""})
    talk = Talk(Session(timeout=8000, grace=5000, name="Ada", will=will))
    talk.protocol.write({"k": 1}, "", None, None)
    first, second = talk.connect()
    assert second["key"] == "k"
    left = {"ns": "lobby", **will[0]}
    asked = {"timeout": 8000, "grace": 5000, "name": "Ada", "will": [left, will[1]]}
    assert first == {"action": "session", **asked, "id": first["id"]}
    talk.protocol.disconnected()
    talk.begin(resumed=False)
    talk.protocol.disconnected()
    first = talk.connect()[0]
    assert first == {"action": "session", **asked, "resume": "secret-1", "id": first["id"]}


def test_a_session_of_defaults_leaves_out_what_it_does_not_say():
    first = Talk(Session()).connect()[0]
    assert first == {"action": "session", "id": first["id"]}


def test_a_client_without_a_session_asks_for_none():
    assert Talk().connect() == []


def test_a_will_that_is_no_json_raises_type_error():
    with pytest.raises(TypeError):
        Talk(Session(will=[{"op": "set", "key": "k", "value": float("nan")}]))


def test_a_refused_session_is_known_and_the_connection_goes_on():
    talk = Talk(Session(timeout=1))
    talk.connect()
    talk.hear({"error": "Timeout must be from 2000 to 60000"})
    talk.pong()
    assert isinstance(talk.protocol.session_error, RequestError)
    request = talk.present("ada", 1)
    assert talk.sent() == [presence("ada", 1)]
    talk.pong()
    assert request.result() is None


def test_a_session_that_is_refused_for_a_moment_is_asked_for_again_with_its_secret():
    talk = Talk(Session(grace=1000))
    talk.begin(resumed=False)
    talk.present("ada", 1)
    talk.sent()
    talk.pong()
    talk.protocol.disconnected()
    for code in ("unavailable", "unknown"):
        question = talk.connect()[0] if code == "unavailable" else talk.beat()[0]
        assert question["resume"] == "secret-1"
        refusal = {"error": "Storage error: no quorum", "code": code, "id": question["id"]}
        talk.hear(refusal, {"type": "pong", "timestamp": 1, "id": question["id"]})
        assert talk.sent() == [], "what is presented waits"
        assert isinstance(talk.protocol.session_error, RequestError)
    (question,) = talk.beat()
    answer = {"session": "s", "resume": "secret-1", "resumed": True, "timeout": 1, "grace": 1}
    talk.hear({"result": answer, "id": question["id"]})
    talk.pong()
    assert talk.sent() == talk.beat() == []
    assert talk.protocol.session_error is None


def test_what_is_presented_and_was_refused_for_a_moment_is_set_at_a_later_beat():
    talk = Talk()
    talk.connect()
    talk.present("ada", 1)
    talk.sent()
    talk.pong()
    talk.protocol.disconnected()
    assert talk.connect() == [presence("ada", 1)]
    talk.hear({"error": "Storage error: no quorum", "code": "unavailable"})
    talk.pong()
    assert talk.beat() == [presence("ada", 1)]
    talk.pong()
    assert talk.beat() == []


def test_what_is_refused_for_good_is_not_set_again():
    talk = Talk()
    talk.connect()
    talk.present("ada", 1)
    talk.sent()
    talk.hear({"error": "Not permitted", "code": "forbidden"})
    talk.pong()
    assert talk.beat() == []


def test_a_short_timeout_makes_the_beats_quicker():
    assert Talk().protocol.beat_seconds == BEAT_SECONDS_MAX
    assert Talk(Session(grace=1000)).protocol.beat_seconds == BEAT_SECONDS_MAX
    assert Talk(Session(timeout=60_000)).protocol.beat_seconds == BEAT_SECONDS_MAX
    assert Talk(Session(timeout=3000)).protocol.beat_seconds == 1
    assert Talk(Session(timeout=1)).protocol.beat_seconds == BEAT_SECONDS_MIN


def test_later_calls_replace_the_fields_that_they_name():
    talk = Talk()
    talk.connect()
    talk.present("ada", {"name": "Ada", "ready": False})
    talk.present("ada", {"ready": True})
    talk.present("ada", {"name": None}, "other")
    talk.present("ada", "away")
    talk.present("ada", {"ready": True})
    assert talk.sent() == [
        presence("ada", {"name": "Ada", "ready": False}),
        presence("ada", {"name": "Ada", "ready": True}),
        presence("ada", {"name": None}, ns="other"),
        presence("ada", "away"),
        presence("ada", {"ready": True}),
    ]


def test_what_is_presented_is_set_again_if_the_session_was_not_resumed():
    talk = Talk(Session())
    talk.begin(resumed=False)
    talk.present("ada", {"ready": True})
    talk.present("bob", 1)
    talk.sent()
    talk.pong()
    talk.protocol.disconnected()
    assert talk.begin(resumed=True) == [], "it still stands"
    talk.protocol.disconnected()
    assert talk.begin(resumed=False) == [presence("ada", {"ready": True}), presence("bob", 1)]


def test_without_a_session_it_is_set_again_on_each_connection():
    talk = Talk()
    talk.connect()
    talk.present("ada", 1)
    talk.sent()
    talk.pong()
    for _ in range(2):
        talk.protocol.disconnected()
        assert talk.connect() == [presence("ada", 1)]
        talk.pong()


def test_what_was_not_answered_is_sent_once_more_and_not_twice():
    talk = Talk(Session())
    talk.begin(resumed=False)
    talk.present("ada", 1)
    talk.present("ada", 2)
    talk.protocol.disconnected()
    (_, *waiting) = talk.connect()
    assert waiting == [presence("ada", 1), presence("ada", 2)]
    talk.pong()
    assert talk.sent() == []


def test_what_was_to_be_set_again_and_was_not_is_sent_although_the_session_was_resumed():
    talk = Talk(Session())
    talk.begin(resumed=False)
    talk.present("ada", 1)
    talk.sent()
    talk.pong()
    talk.protocol.disconnected()
    assert talk.begin(resumed=False, secret="secret-2") == [presence("ada", 1)]
    talk.protocol.disconnected()  # before the answer
    first, *waiting = talk.connect()
    assert first["resume"] == "secret-2"
    assert waiting == [presence("ada", 1)]


def test_a_call_that_nobody_waits_for_any_more_still_counts():
    talk = Talk(Session())
    talk.protocol.forget(talk.present("ada", 1))
    assert talk.begin(resumed=False) == [presence("ada", 1)]


def test_who_leaves_is_not_set_again():
    talk = Talk()
    talk.connect()
    talk.present("ada", 1)
    talk.present("ada", None)
    assert talk.sent()[1] == {"action": "delete", "key": "ada"}
    talk.pong()
    talk.protocol.disconnected()
    assert talk.connect() == []
    talk.present("ada", {"ready": True})
    assert talk.sent() == [presence("ada", {"ready": True})], "nothing is left to merge into"


def test_a_refused_change_leaves_what_was_presented_before():
    talk = Talk()
    talk.connect()
    talk.present("ada", {"name": "Ada"})
    talk.sent()
    talk.pong()
    refused = talk.present("ada", {"bio": "too long"})
    talk.sent()
    talk.hear({"error": "Value exceeds max size (8 bytes)"})
    talk.pong()
    with pytest.raises(RequestError):
        refused.result()
    talk.present("ada", {"ready": True})
    assert talk.sent() == [presence("ada", {"name": "Ada", "ready": True})]


def test_a_refused_first_state_is_not_presented():
    talk = Talk()
    talk.connect()
    talk.present("ada", 1)
    talk.sent()
    talk.hear({"error": "Not permitted"})
    talk.pong()
    talk.protocol.disconnected()
    assert talk.connect() == []


def test_a_state_that_is_no_json_raises_type_error_and_changes_nothing():
    talk = Talk()
    talk.connect()
    talk.present("ada", {"name": "Ada"})
    with pytest.raises(TypeError):
        talk.present("ada", {"at": object()})
    talk.sent()
    talk.pong()
    talk.protocol.disconnected()
    assert talk.connect() == [presence("ada", {"name": "Ada"})]
