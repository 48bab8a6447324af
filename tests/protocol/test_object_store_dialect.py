"""The object-store dialect: values of any kind, and updates to every subscriber."""

import json
from typing import Any

import pytest

from tests.protocol.clients import Client, Clients, http, open_objects, unique
from tests.support.server import ServerProcess

VALUES = [
    None,
    True,
    False,
    0,
    -1,
    2**53 + 1,
    2**64 - 1,
    -(2**63),
    1.5,
    -0.1,
    1e300,
    5e-324,
    "",
    "żółw 🐢 \u2028 \x7f",
    '\0\n\t"\\/',
    [],
    {},
    [[], [[]], {}],
    {"z": 1, "a": {"z": [1, "2", None], "a": True}, "": 0},
    {"ключ": "значение", "1": 1, "0": 0},
    {"a": [{"b": [{"c": [0.1, 100000, "x"]}]}]},
]


def nested(depth: int) -> Any:
    """Lists in lists."""
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


def subscribe(key: str, **fields: Any) -> dict[str, Any]:
    return {"action": "subscribe", "key": key, **fields}


def put(key: str, value: Any, **fields: Any) -> dict[str, Any]:
    return {"action": "set", "key": key, "value": value, **fields}


def fetch(key: str, **fields: Any) -> dict[str, Any]:
    return {"action": "get", "key": key, **fields}


# --- set, get ---


def test_a_new_connection_is_sent_nothing(objects: Client):
    assert objects.heard() == []


def test_set_sends_no_reply(objects: Client):
    key = unique()
    objects.send(put(key, 1))
    assert objects.heard() == []
    assert objects.ask(fetch(key)) == {"key": key, "value": 1}


def test_get_of_a_missing_key_is_null(objects: Client):
    key = unique()
    assert objects.ask(fetch(key)) == {"key": key, "value": None}


def test_get_does_not_subscribe(clients: Clients):
    reader, writer = clients.objects(), clients.objects()
    key = unique()
    reader.ask(fetch(key))
    writer.send(put(key, 1))
    writer.heard()
    assert reader.heard() == []


@pytest.mark.parametrize("value", VALUES, ids=lambda value: json.dumps(value)[:30])
def test_updates_and_get_return_a_value_unchanged(clients: Clients, value: Any):
    writer, reader = clients.objects(), clients.objects()
    key = unique()
    reader.follow(key)
    writer.send(put(key, value))
    # The text is compared too: 1 and 1.0 are equal in Python, and so are objects in any order.
    wanted = json.dumps(value, ensure_ascii=False)
    for update in (reader.receive(), writer.ask(fetch(key))):
        assert update == {"key": key, "value": value}
        assert json.dumps(update["value"], ensure_ascii=False) == wanted


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("1.0", "1.0"),
        ("-0.0", "-0.0"),
        ("1E5", "100000.0"),
        ("9007199254740993", "9007199254740993"),
        ("18446744073709551615", "18446744073709551615"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("0.1", "0.1"),
        ('"\\u00e9\\ud83d\\udc22"', '"é🐢"'),
        ('"\\/"', '"/"'),
        ('{"b":1,"a":{"d":1,"c":2}}', '{"b":1,"a":{"d":1,"c":2}}'),
        (" [ 1 , 2 ] ", "[1,2]"),
    ],
)
def test_a_value_is_returned_as_the_compact_text_of_the_sent_json(
    objects: Client, sent: str, stored: str
):
    key = unique()
    objects.send(f'{{"action":"set","key":"{key}","value":{sent}}}')
    objects.send(fetch(key))
    assert objects.receive_text() == f'{{"key":"{key}","value":{stored}}}'


@pytest.mark.parametrize("depth", [100, 250])
def test_a_deeply_nested_value_is_stored(objects: Client, depth: int):
    key = unique()
    objects.send(put(key, nested(depth)))
    assert objects.ask(fetch(key))["value"] == nested(depth)


def test_an_object_with_many_keys_keeps_their_order(objects: Client):
    key = unique()
    value = {f"field {number * 7919 % 5000}": number for number in range(5000)}
    objects.send(put(key, value))
    assert list(objects.ask(fetch(key))["value"]) == list(value)


@pytest.mark.parametrize(
    "key",
    [
        "a b",
        "../../etc/passwd",
        "a/b\\c",
        "CON",
        "ключ",
        "🐢" * 128,  # 512 bytes
        "e\u0301 is not \u00e9",
        "x" * 512,
        '"quoted"',
        "%41",
        "__proto__",
        "\u202e\u2028\ufeff",
    ],
)
def test_any_unicode_name_is_a_valid_key(objects: Client, key: str):
    objects.send(subscribe(key))
    objects.send(put(key, key))
    assert objects.receive() == {"key": key, "value": key}
    assert objects.ask(fetch(key)) == {"key": key, "value": key}


def test_keys_that_look_alike_are_different(objects: Client):
    base = unique("Look")
    keys = [base, base.lower(), base + " ", " " + base, base + ".", base + "\u0301", base + "%20"]
    for number, key in enumerate(keys):
        objects.send(put(key, number))
    assert [objects.ask(fetch(key))["value"] for key in keys] == list(range(len(keys)))


# --- subscribe, unsubscribe ---


def test_subscribe_to_an_existing_key_sends_its_value_at_once(objects: Client):
    key = unique()
    objects.send(put(key, {"x": 100, "y": 200}))
    assert objects.ask(subscribe(key)) == {"key": key, "value": {"x": 100, "y": 200}}


def test_subscribe_to_a_missing_key_sends_nothing(objects: Client):
    key = unique()
    objects.send(subscribe(key))
    assert objects.heard() == []


def test_subscribe_to_a_stored_null_sends_it(objects: Client):
    key = unique()
    objects.send(put(key, None))
    assert objects.ask(subscribe(key)) == {"key": key, "value": None}


def test_a_set_sends_an_update_to_every_subscriber_and_the_setter(clients: Clients):
    setter, *others = (clients.objects() for _ in range(5))
    stranger = clients.objects()
    key = unique()
    for client in (setter, *others):
        client.follow(key)
    setter.send(put(key, [1]))
    for client in (setter, *others):
        assert client.receive() == {"key": key, "value": [1]}
    assert stranger.heard() == []


def test_every_set_sends_an_update_in_order(clients: Clients):
    writer, reader = clients.objects(), clients.objects()
    key = unique()
    reader.follow(key)
    for number in range(500):
        writer.send(put(key, number))
    writer.heard()
    assert reader.updates(key) == list(range(500))


def test_a_set_of_the_same_value_sends_an_update(objects: Client):
    key = unique()
    objects.follow(key)
    objects.send(put(key, 1))
    objects.send(put(key, 1))
    assert objects.updates(key) == [1, 1]


def test_subscribing_twice_sends_the_value_again_and_each_update_once(objects: Client):
    key = unique()
    objects.send(put(key, 1))
    assert objects.ask(subscribe(key)) == {"key": key, "value": 1}
    assert objects.ask(subscribe(key)) == {"key": key, "value": 1}
    objects.send(put(key, 2))
    assert objects.updates(key) == [2]


def test_unsubscribe_ends_the_updates(objects: Client):
    key, other = unique(), unique()
    objects.follow(key)
    objects.follow(other)
    objects.send({"action": "unsubscribe", "key": key})
    objects.send(put(key, 1))
    objects.send(put(other, 2))
    assert objects.heard() == [{"key": other, "value": 2}]


def test_unsubscribe_from_a_key_never_followed_sends_nothing(objects: Client):
    objects.send({"action": "unsubscribe", "key": unique()})
    assert objects.heard() == []


def test_a_disconnected_subscriber_does_not_affect_others(
    clients: Clients, shared_server: ServerProcess
):
    stays = clients.objects()
    key = unique()
    stays.follow(key)
    with open_objects(shared_server) as leaver:
        leaver.follow(key)
    stays.send(put(key, 1))
    assert stays.updates(key) == [1]


def test_a_subscriber_gets_updates_of_exactly_the_followed_key(objects: Client):
    key = unique("Key")
    objects.follow(key)
    for other in (key.lower(), key + " ", key + "/x", key[:-1]):
        objects.send(put(other, 1))
    assert objects.heard() == []


# --- what ends a value ---


def test_deleting_a_key_sends_an_update_to_null(clients: Clients):
    writer, reader = clients.objects(), clients.objects()
    key = unique()
    reader.follow(key)
    writer.send(put(key, 1))
    writer.send({"action": "delete", "key": key})
    writer.send({"action": "delete", "key": key})  # nothing is there any more: no update
    assert writer.heard() == []
    assert reader.heard() == [{"key": key, "value": 1}, {"key": key, "value": None}]
    assert reader.ask(fetch(key)) == {"key": key, "value": None}
    reader.send(subscribe(key))
    assert reader.heard() == [], "it does not exist"


def test_an_expiry_sends_an_update_to_null(clients: Clients):
    writer, reader = clients.objects(), clients.objects()
    key = unique()
    reader.follow(key)
    writer.send(put(key, 1, ttl=30))
    assert reader.receive() == {"key": key, "value": 1}
    assert reader.receive() == {"key": key, "value": None}
    assert writer.ask(fetch(key)) == {"key": key, "value": None}


def test_a_flush_sends_an_update_to_null_for_followed_keys_that_had_a_value(
    clients: Clients, shared_server: ServerProcess
):
    reader = clients.objects()
    plain, scoped, missing = unique(), unique(), unique()
    for message in (subscribe(plain), subscribe(scoped, ns="app"), subscribe(missing)):
        reader.send(message)
    reader.send(put(plain, 1))
    reader.send(put(scoped, 2, ns="app"))
    reader.heard()
    http(shared_server, "POST", "/flush")
    heard = reader.heard()
    assert len(heard) == 2
    assert {"key": plain, "value": None} in heard
    assert {"key": scoped, "value": None, "ns": "app"} in heard


# --- ns, ttl ---


def test_a_namespace_has_keys_of_its_own(objects: Client):
    key, ns = unique(), unique("ключ")
    objects.follow(key)
    objects.follow(key, ns=ns)
    objects.send(put(key, "inside", ns=ns))
    assert objects.heard() == [{"key": key, "value": "inside", "ns": ns}]
    objects.send(put(key, "outside"))
    assert objects.heard() == [{"key": key, "value": "outside"}]
    assert objects.ask(fetch(key, ns=ns)) == {"key": key, "value": "inside", "ns": ns}
    assert objects.ask(fetch(key)) == {"key": key, "value": "outside"}
    assert objects.ask(subscribe(key, ns=ns)) == {"key": key, "value": "inside", "ns": ns}


def test_delete_and_unsubscribe_act_in_their_namespace(objects: Client):
    key, ns = unique(), unique("ns")
    objects.follow(key, ns=ns)
    objects.send(put(key, 1, ns=ns))
    objects.send({"action": "delete", "key": key, "ns": ns})
    assert objects.updates(key) == [1, None]
    objects.send({"action": "unsubscribe", "key": key, "ns": ns})
    objects.send(put(key, 2, ns=ns))
    assert objects.heard() == []


def test_the_update_of_an_expired_key_names_its_namespace(objects: Client):
    key, ns = unique(), unique("ns")
    objects.follow(key, ns=ns)
    objects.send(put(key, 1, ns=ns, ttl=20))
    assert objects.receive() == {"key": key, "value": 1, "ns": ns}
    assert objects.receive() == {"key": key, "value": None, "ns": ns}


def test_ttl_0_means_no_expiry(objects: Client):
    key, later = unique(), unique()
    objects.follow(later)
    objects.send(put(key, 1, ttl=0))
    objects.send(put(later, 1, ttl=30))
    assert [objects.receive()["value"] for _ in range(2)] == [1, None]
    assert objects.ask(fetch(key))["value"] == 1


# --- the connection ---


def test_a_reply_does_not_repeat_an_id(objects: Client):
    key = unique()
    assert set(objects.ask({**fetch(key), "id": 1})) == {"key", "value"}


def test_a_thousand_pipelined_requests_are_answered_in_order(objects: Client):
    key = unique()
    for number in range(500):
        objects.send(put(key, number))
        objects.send(fetch(key))
    assert [objects.receive()["value"] for _ in range(500)] == list(range(500))


def test_updates_and_replies_are_sent_in_the_order_of_the_requests(objects: Client):
    key = unique()
    objects.send(subscribe(key))
    for number in range(3):
        objects.send(put(key, number))
        objects.send(fetch(key))
    assert [objects.receive()["value"] for _ in range(6)] == [0, 0, 1, 1, 2, 2]


def test_one_client_can_have_ten_thousand_subscriptions(objects: Client):
    prefix = unique("many")
    for number in range(10_000):
        objects.send(subscribe(f"{prefix}/{number}"))
    objects.send(put(f"{prefix}/0", "first"))
    objects.send(put(f"{prefix}/9999", "last"))
    assert [message["value"] for message in objects.heard()] == ["first", "last"]
