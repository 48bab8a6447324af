"""The object store's protocol without a socket: the whole of each answer, and what it leaves."""

from typing import Any

import pytest

from dunena.dialects.dialect import Dialect
from dunena.dialects.errors import ClientError, LimitError
from dunena.dialects.object_store import INVALID_FORMAT, entry_id_of, error_text, read, write
from dunena.dialects.services import Services
from dunena.hub import Hub
from dunena.store.limits import Limits
from dunena.store.store import Store
from tests.support.rooms import Client, Rooms

NOW = 1_700_000_000_000


@pytest.fixture
def rooms() -> Rooms:
    return Rooms(Limits(value_bytes_max=10))


@pytest.fixture
def client(rooms: Rooms) -> Client:
    return rooms.client(Dialect.OBJECT_STORE)


def standing(rooms: Rooms) -> dict[tuple[str, str], tuple[bytes, int | None]]:
    entries = rooms.store.entries()
    return {(entry.ns, entry.key): (entry.value, entry.expires_at) for entry in entries}


@pytest.mark.parametrize("place", [{"key": "k"}, {"key": "k", "ns": "n"}, {"key": "é", "ns": "ü"}])
def test_a_value_is_stored_read_and_deleted_under_its_namespace(
    rooms: Rooms, client: Client, place: dict[str, str]
) -> None:
    assert client.ask({"action": "set", **place, "value": [1]}) == []
    assert standing(rooms) == {(place.get("ns", ""), place["key"]): (b"[1]", None)}
    assert client.ask({"action": "get", **place}) == [{**place, "value": [1]}]
    elsewhere = {"key": place["key"], "ns": "other"}
    assert client.ask({"action": "get", **elsewhere}) == [{**elsewhere, "value": None}]
    assert client.ask({"action": "delete", **elsewhere}) == []
    assert client.ask({"action": "delete", **place}) == []
    assert standing(rooms) == {}
    assert client.ask({"action": "get", **place}) == [{**place, "value": None}]


def test_a_subscriber_gets_the_current_value_and_every_change(rooms: Rooms, client: Client) -> None:
    place = {"key": "k", "ns": "n"}
    assert client.ask({"action": "subscribe", "key": "k"}) == []
    client.ask({"action": "set", **place, "value": 1})
    assert client.ask({"action": "subscribe", **place}) == [{**place, "value": 1}]
    assert client.ask({"action": "set", **place, "value": 2}) == [{**place, "value": 2}]
    assert client.ask({"action": "delete", **place}) == [{**place, "value": None}]
    assert client.ask({"action": "unsubscribe", **place}) == []
    assert client.ask({"action": "set", **place, "value": 3}) == []
    assert rooms.services.hub.followed_keys() == [("", "k")]


@pytest.mark.parametrize("action", ["get", "subscribe"])
def test_an_expired_value_is_absent(rooms: Rooms, client: Client, action: str) -> None:
    rooms.tick.run(lambda *_: rooms.store.set("", "k", b"1", rooms.now), None)
    answers = client.ask({"action": action, "key": "k"})
    assert answers == ([{"key": "k", "value": None}] if action == "get" else [])


@pytest.mark.parametrize("durable", [True, False, None])
@pytest.mark.parametrize("action", ["set", "delete"])
def test_a_change_is_as_durable_as_its_sender_asks(
    rooms: Rooms, client: Client, action: str, durable: bool | None
) -> None:
    client.ask({"action": "set", "key": "k", "value": 1})
    client.ask({"action": action, "key": "k", "value": 2, "durable": durable})
    assert rooms.engine.committed[-1].is_durable is bool(durable)


def test_a_ttl_counts_from_now(rooms: Rooms, client: Client) -> None:
    client.ask({"action": "set", "key": "k", "value": 1, "ttl": 1500})
    assert standing(rooms)["", "k"] == (b"1", rooms.now + 1500)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"action": "no such", "key": "k"}, INVALID_FORMAT),
        ({"action": 1, "key": "k"}, INVALID_FORMAT),
        ({"action": ["get"], "key": "k"}, INVALID_FORMAT),
        ({"action": "get"}, INVALID_FORMAT),
        ({"action": "set", "key": "k"}, INVALID_FORMAT),
        ({"action": "get", "key": 1}, INVALID_FORMAT),
        ({"action": "set", "key": "k", "value": 1, "durable": 1}, INVALID_FORMAT),
        ({"action": "get", "key": ""}, "Key must not be empty"),
        ({"action": "delete", "key": "\n"}, "Key contains invalid characters"),
        ({"action": "get", "key": "k", "ns": "\n"}, "Namespace contains invalid characters"),
        ({"action": "set", "key": "k", "value": "x" * 11}, "Value exceeds max size (10 bytes)"),
        (
            {"action": "set", "key": "k", "value": 1, "ttl": -1},
            "TTL must be a non-negative integer",
        ),
    ],
)
def test_errors_name_limits_and_have_one_text_otherwise(
    rooms: Rooms, client: Client, message: dict[str, Any], text: str
) -> None:
    assert client.ask(message) == [{"error": text}]
    assert standing(rooms) == {}


def test_the_text_of_an_error_that_has_a_name_is_its_own() -> None:
    assert error_text(LimitError("why")) == "why"
    assert error_text(ClientError("why")) == INVALID_FORMAT == "Invalid message format"


@pytest.mark.parametrize(
    ("message", "text"),
    [({"value": 1}, "Missing key"), ({"key": "k"}, "Missing value")],
)
def test_http_errors_name_the_missing_field(
    rooms: Rooms, message: dict[str, Any], text: str
) -> None:
    with pytest.raises(ClientError) as caught:
        write(rooms.services, message, rooms.now)
    assert caught.value.text == text


def test_http_answers_are_the_value_itself() -> None:
    store = Store()
    services = Services(store, store, Hub())
    message = {"key": "k", "ns": "n", "value": {"a": None}, "ttl": 5}
    body = b'{"key":"k","value":{"a":null},"ns":"n"}'
    assert write(services, message, NOW) == body
    assert [entry.expires_at for entry in store.entries()] == [NOW + 5]
    assert read(services, "n", "k", NOW) == body
    assert read(services, "n", "k", NOW + 5) == b'{"key":"k","value":null,"ns":"n"}'
    assert read(services, "", "k", NOW) == b'{"key":"k","value":null}'


@pytest.mark.parametrize(
    ("message", "entry_id"),
    [({"key": "k", "ns": "n"}, ("n", "k")), ({"key": "é", "ns": None}, ("", "é"))],
)
def test_a_message_names_a_key_in_a_namespace(
    message: dict[str, Any], entry_id: tuple[str, str]
) -> None:
    assert entry_id_of(message) == entry_id


def test_messages_are_counted_by_their_action(rooms: Rooms, client: Client) -> None:
    for key in "ab":
        client.ask({"action": "get", "key": key})
    client.ask({"action": "set"})
    client.ask({"action": "no such"})
    assert rooms.services.stats.object_store == {"get": 2, "set": 1}
