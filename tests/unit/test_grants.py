"""Grants: keys and namespaces outside of a grant cannot be read, written or observed."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.dialects import http_api
from dunena.dialects.dialect import Dialect
from dunena.dialects.errors import ForbiddenError
from dunena.dialects.grants import EVERYTHING, NOTHING, Globs, Grant, Right
from dunena.dialects.listing import Listing
from dunena.dialects.views import Views
from tests.support.rooms import Client, Rooms
from tests.support.work import outcome

READ, WRITE = frozenset({Right.READ}), frozenset({Right.WRITE})
BOTH = READ | WRITE


class House:
    """Rooms with one client who may do everything, and others who may not."""

    def __init__(self) -> None:
        self.rooms = Rooms()
        self.views = Views(self.rooms.services)
        self.owner = self.rooms.client(Dialect.DUNENA)
        self.owner.ask({"type": "unsubscribe", "channel": "cache-events"})

    def client(self, grant: Grant, dialect: Dialect = Dialect.AUTO) -> Client:
        return self.rooms.client(dialect, self.views.of(grant))

    def set(self, key: str, value: str, **fields: str) -> None:
        self.owner.ask({"type": "set", "key": key, "value": value, **fields})


@pytest.fixture
def house() -> House:
    return House()


def forbidden(what: str, key: str, ns: str = "") -> str:
    return f'Not permitted: {what} "{key}"' + (f' in "{ns}"' if ns else "")


def test_an_unrestricted_grant_gets_the_services_themselves(house: House) -> None:
    assert house.views.of(EVERYTHING) is house.rooms.services
    assert house.views.of(Grant("a", BOTH)) is house.rooms.services
    one = Grant("a", BOTH, keys=("a", "*"))
    assert house.views.of(one) is house.rooms.services
    part = Grant("a", BOTH, keys=("a",))
    assert house.views.of(part) is not house.rooms.services
    assert house.views.of(part) is house.views.of(Grant("a", BOTH, keys=("a",)))


@pytest.mark.parametrize(
    ("message", "what"),
    [
        ({"type": "get", "key": "b"}, "read"),
        ({"type": "mget", "keys": ["a", "b"]}, "read"),
        ({"type": "set", "key": "b", "value": ""}, "write"),
        ({"type": "del", "key": "b"}, "write"),
        ({"type": "mset", "entries": [{"key": k, "value": "new"} for k in "ab"]}, "write"),
    ],
)
def test_keys_outside_a_grant_are_forbidden_in_the_dunena_dialect(
    house: House, message: Any, what: str
) -> None:
    house.set("a", "old")
    house.set("b", "old")
    client = house.client(Grant("part", BOTH, keys=("a",)), Dialect.DUNENA)
    (reply,) = client.ask({**message, "id": 7})
    assert reply["type"] == "error"
    assert reply["data"] == forbidden(what, "b")
    assert reply["id"] == 7
    (shown,) = house.owner.ask({"type": "mget", "keys": ["a", "b"]})
    assert shown["data"]["result"] == {"a": "old", "b": "old"}, "all or none"
    assert house.rooms.services.stats.forbidden == 1


@pytest.mark.parametrize(
    ("message", "what"),
    [
        ({"action": "get", "key": "b"}, "read"),
        ({"action": "subscribe", "key": "b"}, "read"),
        ({"action": "set", "key": "b", "value": 1}, "write"),
        ({"action": "delete", "key": "b"}, "write"),
    ],
)
def test_keys_outside_a_grant_are_forbidden_in_the_object_store_dialect(
    house: House, message: Any, what: str
) -> None:
    house.set("b", "old")
    client = house.client(Grant("part", BOTH, keys=("a",)), Dialect.OBJECT_STORE)
    assert client.ask(message) == [{"error": forbidden(what, "b")}]
    house.set("b", "new")
    assert client.heard() == [], "and it is not followed"


def test_read_and_write_rights_are_checked_per_namespace(house: House) -> None:
    reader = house.client(Grant("r", READ, namespaces=("show",)), Dialect.OBJECT_STORE)
    writer = house.client(Grant("w", WRITE, namespaces=("", "show")), Dialect.OBJECT_STORE)
    place = {"key": "k", "ns": "show"}
    assert writer.ask({"action": "set", **place, "value": 1}) == []
    assert writer.ask({"action": "set", "key": "k", "value": 1}) == []
    assert writer.ask({"action": "get", **place}) == [{"error": forbidden("read", "k", "show")}]
    assert reader.ask({"action": "get", **place})[0]["value"] == 1
    assert reader.ask({"action": "get", "key": "k"}) == [{"error": forbidden("read", "k")}]
    assert reader.ask({"action": "set", **place, "value": 2}) == [
        {"error": forbidden("write", "k", "show")}
    ]


def test_events_of_keys_outside_a_grant_are_not_sent(house: House) -> None:
    client = house.client(Grant("part", READ, keys=("a",)))
    house.set("b", "1")
    house.set("a", "22")
    house.owner.ask({"type": "del", "key": "b"})
    house.owner.ask({"type": "del", "key": "a"})
    heard = [(one["event"], one["data"]["key"]) for one in client.heard()]
    assert heard == [("set", "a"), ("delete", "a")]
    client.ask({"type": "unsubscribe", "channel": "cache-events"})
    house.set("a", "1")
    assert client.heard() == []
    (reply,) = client.ask({"type": "subscribe", "channel": "cache-events"})
    assert reply["type"] == "subscribed"
    assert reply["data"] == {"channel": "cache-events"}
    house.set("a", "1")
    assert [one["event"] for one in client.heard()] == ["set"]


def test_a_clear_event_is_sent_to_a_restricted_grant(house: House) -> None:
    client = house.client(Grant("part", READ, keys=("a",)))
    house.set("b", "1")
    house.rooms.tick.run(lambda *_: house.rooms.store.clear(), None)
    assert [one["event"] for one in client.heard()] == ["clear"]


def test_a_grant_without_read_gets_no_events(house: House) -> None:
    client = house.client(Grant("w", WRITE), Dialect.DUNENA)
    house.set("a", "1")
    assert client.heard() == []
    (reply,) = client.ask({"type": "subscribe", "channel": "cache-events"})
    assert reply["data"] == "Not permitted: read events"
    (reply,) = client.ask({"type": "subscribe", "channel": "news"})
    assert reply["data"] == 'Not permitted: read channel "news"'


def test_no_client_can_subscribe_to_the_event_channel_of_another_grant(house: House) -> None:
    grant = Grant("part", READ, keys=("a",))
    house.client(grant)
    spy = house.client(Grant("w", WRITE), Dialect.DUNENA)
    (reply,) = spy.ask({"type": "subscribe", "channel": grant.events_channel})
    assert reply["data"] == "Channel contains invalid characters"


def test_listings_leave_out_keys_that_may_not_be_read(house: House) -> None:
    for key in ("a1", "a2", "b"):
        house.set(key, "v")
    house.set("a3", "v", ns="show")
    house.set("x", "v", ns="hidden")
    services = house.views.of(Grant("part", READ, keys=("a*",)))
    now = house.rooms.now
    assert json.loads(outcome(http_api.list_keys(services, {}, now))(now)[1])["keys"] == [
        "a1",
        "a2",
    ]
    listing = Listing(services)
    page = json.loads(outcome(listing.page({}))(now)[1])
    assert page["total"] == 2
    assert page["revision"] == house.rooms.store.revision
    assert [one["key"] for one in page["entries"]] == ["a1", "a2"]
    names = json.loads(outcome(listing.namespaces({}))(now)[1])["namespaces"]
    assert names == [{"ns": "", "keys": 2}, {"ns": "show", "keys": 1}]
    with pytest.raises(ForbiddenError):
        listing.one("b", {}, now)
    with pytest.raises(ForbiddenError):
        listing.some(b'{"keys":["a1","b"]}', now)
    house.set("a0", "v")
    assert json.loads(outcome(http_api.list_keys(services, {}, now))(now)[1])["keys"] == [
        "a0",
        "a1",
        "a2",
    ]
    unread = Listing(house.views.of(NOTHING))
    assert json.loads(outcome(unread.page({}))(now)[1])["total"] == 0
    assert json.loads(outcome(unread.namespaces({}))(now)[1])["total"] == 0


def test_only_an_admin_may_flush_the_store(house: House) -> None:
    house.set("a", "1")
    with pytest.raises(ForbiddenError, match="admin"):
        http_api.flush(house.views.of(Grant("part", BOTH, keys=("a",))))
    house.rooms.tick.run(
        lambda *_: http_api.flush(house.views.of(Grant("x", frozenset({Right.ADMIN})))), None
    )
    assert house.rooms.store.entry_count == 0


def test_a_cached_get_is_not_answered_after_its_right_is_revoked(house: House) -> None:
    """A reply that was cached under a grant must not be sent after the grant changed."""
    house.set("a", "1")
    message = json.dumps({"action": "get", "key": "a"}).encode()
    client = house.client(Grant("part", READ, keys=("a",)), Dialect.OBJECT_STORE)
    for _ in range(2):
        assert client.ask(message)[0]["value"] == "1"
    client.conversation.use_services(house.views.of(Grant("part", READ, keys=("b",))))
    client.rooms.tick.run(client.conversation.receive, message)
    assert client.heard() == [{"error": forbidden("read", "a")}]
    assert not client.conversation.answer_cached_get(message, house.rooms.now)


def test_subscriptions_end_when_their_right_is_revoked(house: House) -> None:
    client = house.client(Grant("part", READ))
    for key in ("a", "b"):
        client.ask({"action": "subscribe", "key": key})
    client.ask({"type": "subscribe", "channel": "cache-events"})
    less = Grant("part", READ, keys=("a",))
    lost = client.conversation.use_services(house.views.of(less))
    assert [error.text for error in lost] == [forbidden("read", "b")]
    house.set("b", "1")
    assert client.heard() == []
    house.set("a", "1")
    assert [one.get("event", one.get("key", "")) for one in client.heard()] == [
        "a",
        "set",
    ]
    lost = client.conversation.use_services(house.views.of(Grant("part", WRITE)))
    assert [error.text for error in lost] == [forbidden("read", "a"), "Not permitted: read events"]
    house.set("a", "2")
    assert client.heard() == []


def test_subscriptions_that_stay_permitted_continue_after_a_grant_changes(house: House) -> None:
    part = Grant("part", READ, keys=("a",))
    client = house.client(part)
    client.ask({"action": "subscribe", "key": "a"})
    wider = Grant("part", READ, keys=("a", "b"))
    house.views.keep([wider])
    assert client.conversation.use_services(house.views.of(wider)) == []
    house.set("a", "1")
    house.set("b", "1")
    told = [one.get("data", one)["key"] for one in client.heard()]
    assert told == ["a"], "an object-store client follows what it named"
    assert list(house.rooms.services.hub.audiences) == [wider.events_channel]


def test_views_are_kept_only_for_current_grants(house: House) -> None:
    stays, goes = Grant("s", READ, keys=("a",)), Grant("g", READ, keys=("a",))
    client = house.client(stays, Dialect.DUNENA)
    services = house.views.of(stays)
    house.client(goes)
    house.views.keep({stays})
    assert house.views.of(stays) is services
    assert list(house.rooms.services.hub.audiences) == [stays.events_channel]
    house.set("a", "1")
    assert [one["event"] for one in client.heard()] == ["set"]


@pytest.mark.parametrize(
    ("patterns", "name", "matches"),
    [
        (("*",), "", True),
        (("",), "", True),
        (("",), "a", False),
        (("a",), "ab", False),
        (("a*",), "ab", True),
        (("?",), "a", True),
        (("?",), "ab", False),
        (("[a]",), "a", False),
        (("[a]",), "[a]", True),
        (("a", "b*"), "bc", True),
        (("a|b",), "a", False),
        (("*",), "with\nline", True),
        ((), "", False),
        ((), "a", False),
    ],
)
def test_globs_match_names_against_patterns(
    patterns: tuple[str, ...], name: str, matches: bool
) -> None:
    assert (name in Globs(patterns)) is matches


KEYS = ["a", "ab", "b", "ba"]
REQUESTS = st.builds(
    lambda kind, keys, ns: {"kind": kind, "keys": keys, **({"ns": ns} if ns else {})},
    st.sampled_from(
        ["get", "mget", "set", "mset", "del", "object get", "subscribe", "object set", "delete"]
    ),
    st.lists(st.sampled_from(KEYS), min_size=1, max_size=3),
    st.sampled_from(["", "n"]),
)


def as_message(request: dict[str, Any], secret: str) -> dict[str, Any]:
    ns = {"ns": request["ns"]} if "ns" in request else {}
    kind, keys = request["kind"], request["keys"]
    match kind.split():
        case ["mget"]:
            return {"type": kind, "keys": keys, **ns}
        case ["mset"]:
            entries = [{"key": key, "value": secret} for key in keys]
            return {"type": kind, "entries": entries, **ns}
        case ["subscribe" | "delete"]:
            return {"action": kind, "key": keys[0], **ns}
        case ["object", action]:
            return {"action": action, "key": keys[0], "value": secret, **ns}
        case _:
            return {"type": kind, "key": keys[0], "value": secret, **ns}


@given(
    requests=st.lists(st.tuples(st.booleans(), REQUESTS), max_size=25),
    grant=st.builds(
        Grant,
        st.just("part"),
        st.frozensets(st.sampled_from(Right)),
        st.lists(st.sampled_from(["*", "a*", "?", "b", ""]), max_size=2).map(tuple),
        st.lists(st.sampled_from(["*", "", "n"]), max_size=2).map(tuple),
    ),
)
def test_random_requests_read_and_write_only_what_a_grant_permits(
    requests: list[tuple[bool, dict[str, Any]]], grant: Grant
) -> None:
    """Values name the request that wrote them, so that any leak shows."""
    house = House()
    guest = house.client(grant)
    keys, namespaces = Globs(grant.keys), Globs(grant.namespaces)

    def may(right: Right, ns: str, key: str) -> bool:
        return right in grant.rights and key in keys and ns in namespaces

    for number, (is_guest, request) in enumerate(requests):
        message = as_message(request, f"secret {number} ")
        before = {(e.ns, e.key): e.value for e in house.rooms.store.entries()}
        if is_guest:
            told = guest.ask(message)
        else:
            house.owner.ask(message)
            told = guest.heard()
        if is_guest:
            after = {(e.ns, e.key): e.value for e in house.rooms.store.entries()}
            for ns, key in before.keys() | after.keys():
                if before.get((ns, key)) != after.get((ns, key)):
                    assert may(Right.WRITE, ns, key)
        for heard in told:
            if "error" in heard or heard.get("type") == "error":
                continue
            if heard.get("channel") == "cache":
                # Its namespace is not told; that such a key may be seen somewhere is.
                assert any(may(Right.READ, one, heard["data"]["key"]) for one in ("", "n"))
            for number in re.findall(r"secret (\d+) ", json.dumps(heard)):
                _, written = requests[int(number)]
                places = [(written.get("ns", ""), key) for key in written["keys"]]
                assert any(may(Right.READ, ns, key) for ns, key in places)


FULL = Grant("full", frozenset(Right))
SHOW = Grant("show", frozenset([Right.READ, Right.WRITE]), ("score", "team-*"), ("show",))


@pytest.mark.parametrize(
    ("other", "is_covered"),
    [
        (SHOW, True),
        (Grant("same", SHOW.rights, SHOW.keys, SHOW.namespaces), True),
        (Grant("less", frozenset([Right.READ]), ("score",), ("show",)), True),
        (Grant("more rights", frozenset(Right), ("score",), ("show",)), False),
        (Grant("more keys", frozenset([Right.READ]), ("score", "a"), ("show",)), False),
        (Grant("all keys", frozenset([Right.READ]), ("*",), ("show",)), False),
        (Grant("more namespaces", frozenset([Right.READ]), ("score",), ("show", "")), False),
        (Grant("a channel", frozenset([Right.WRITE]), ("score",), ("show",), ("chat",)), False),
        (Grant("no channel", frozenset([Right.READ]), ("score",), ("show",), ()), True),
        (FULL, False),
    ],
    ids=lambda one: one.name if isinstance(one, Grant) else str(one),
)
def test_a_grant_covers_what_permits_no_more(other: Grant, is_covered: bool) -> None:
    assert SHOW.covers(other) is is_covered
    assert FULL.covers(other)
    assert EVERYTHING.covers(other)
