"""The rules for fields that both dialects share, at their edges and to the letter."""

from dataclasses import replace
from typing import Any

import pytest

from dunena.dialects.errors import (
    ClientError,
    ForbiddenError,
    InvalidFieldError,
    LimitError,
    TooLargeError,
    WrongTypeError,
)
from dunena.dialects.services import (
    REPEATED_BYTES_MAX,
    REPEATED_MAX,
    GetCache,
    NameRule,
    Services,
    check_value_size,
    durability_of,
    expiry_of,
    namespace_of,
    printable_name,
    unicode_name,
)
from dunena.hub import CACHE_EVENTS
from dunena.store.limits import EXPIRES_AT_MS_MAX, KEY_BYTES_MAX, Limits
from tests.support.rooms import Rooms

NOW = 1_700_000_000_000


@pytest.fixture
def services() -> Services:
    return Rooms().services


@pytest.mark.parametrize("rule", [printable_name, unicode_name])
@pytest.mark.parametrize("kind", ["Key", "Namespace", "Channel"])
@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        (None, WrongTypeError, "{} must be a string"),
        (1, WrongTypeError, "{} must be a string"),
        (["k"], WrongTypeError, "{} must be a string"),
        ("", LimitError, "{} must not be empty"),
        ("k" * (KEY_BYTES_MAX + 1), LimitError, "{} exceeds max length (512)"),
        ("é" * (KEY_BYTES_MAX // 2 + 1), LimitError, "{} exceeds max length (512)"),
        ("a\nb", LimitError, "{} contains invalid characters"),
        ("\x7f", LimitError, "{} contains invalid characters"),
    ],
)
def test_an_invalid_name_is_refused_with_its_kind(
    rule: NameRule, kind: str, name: Any, error: type[ClientError], text: str
) -> None:
    with pytest.raises(ClientError) as caught:
        rule(name, kind)
    assert type(caught.value) is error
    assert caught.value.text == text.format(kind)


@pytest.mark.parametrize("name", ["k", " ", "~", "k" * KEY_BYTES_MAX])
def test_printable_ascii_is_a_name_in_both_dialects(name: str) -> None:
    assert printable_name(name, "Key") == unicode_name(name, "Key") == name


@pytest.mark.parametrize("name", ["é", "é" * (KEY_BYTES_MAX // 2), "\u2028", "🐢"])
def test_names_with_other_characters_are_valid_in_one_dialect(name: str) -> None:
    assert unicode_name(name, "Key") == name
    with pytest.raises(LimitError, match=r"^Key contains invalid characters$"):
        printable_name(name, "Key")


@pytest.mark.parametrize("message", [{}, {"ns": None}, {"ns": ""}])
def test_a_namespace_may_be_left_out(message: dict[str, Any]) -> None:
    assert namespace_of(message, printable_name) == ""


def test_a_namespace_is_checked_by_the_rule_of_its_dialect() -> None:
    assert namespace_of({"ns": "é"}, unicode_name) == "é"
    with pytest.raises(LimitError, match=r"^Namespace contains invalid characters$"):
        namespace_of({"ns": "é"}, printable_name)
    for ns in (0, False, [], {}):
        with pytest.raises(WrongTypeError, match=r"^Namespace must be a string$"):
            namespace_of({"ns": ns}, unicode_name)


@pytest.mark.parametrize(
    ("ttl", "expires_at"),
    [
        (0, None),
        (0.0, None),
        (1, NOW + 1),
        (60000.0, NOW + 60000),
        (EXPIRES_AT_MS_MAX - NOW, EXPIRES_AT_MS_MAX),
        (EXPIRES_AT_MS_MAX - NOW + 1, EXPIRES_AT_MS_MAX),
        (1e300, EXPIRES_AT_MS_MAX),
    ],
)
@pytest.mark.parametrize("default_ttl_ms", [0, 5])
def test_a_ttl_overrides_the_default_ttl(
    services: Services, default_ttl_ms: int, ttl: float, expires_at: int | None
) -> None:
    services = replace(services, default_ttl_ms=default_ttl_ms)
    assert expiry_of(services, {"ttl": ttl}, NOW) == expires_at


@pytest.mark.parametrize("message", [{}, {"ttl": None}])
def test_a_missing_ttl_is_the_default_ttl(services: Services, message: dict[str, Any]) -> None:
    assert expiry_of(services, message, NOW) is None
    assert expiry_of(replace(services, default_ttl_ms=5), message, NOW) == NOW + 5


@pytest.mark.parametrize("ttl", [-1, -1.0, 0.5, True, False, "1", [], {}])
def test_an_invalid_ttl_is_refused(services: Services, ttl: Any) -> None:
    with pytest.raises(InvalidFieldError, match=r"^TTL must be a non-negative integer$"):
        expiry_of(services, {"ttl": ttl}, NOW)


@pytest.mark.parametrize("durable", [0, 1, "true", [], {}])
def test_durable_must_be_a_boolean(durable: Any) -> None:
    assert durability_of({}) is durability_of({"durable": None}) is False
    assert durability_of({"durable": False}) is False
    assert durability_of({"durable": True}) is True
    with pytest.raises(WrongTypeError, match=r"^Durable must be a boolean$"):
        durability_of({"durable": durable})


@pytest.mark.parametrize("encoded", [b"1234567890", b'"1234567890"', b'"' + b"\\n" * 10 + b'"'])
def test_the_size_of_a_value_is_that_of_its_text(encoded: bytes) -> None:
    check_value_size(encoded, Limits(value_bytes_max=10))
    with pytest.raises(TooLargeError, match=r"^Value exceeds max size \(9 bytes\)$"):
        check_value_size(encoded, Limits(value_bytes_max=9))


def test_a_get_is_cached_by_its_bytes_unless_it_is_long() -> None:
    cache = GetCache()
    assert cache.entry_ids == {}
    text, long = b"x" * REPEATED_BYTES_MAX, b"x" * (REPEATED_BYTES_MAX + 1)
    cache.remember(text, ("n", "k"))
    cache.remember(long, ("n", "k"))
    assert cache.entry_ids == {text: ("n", "k")}


def test_cached_gets_are_dropped_over_the_limit() -> None:
    cache = GetCache()
    for number in range(REPEATED_MAX):
        cache.remember(b"%d" % number, ("", "k"))
    assert len(cache.entry_ids) == REPEATED_MAX
    cache.remember(b"last", ("", "k"))
    assert cache.entry_ids == {b"last": ("", "k")}


def test_the_events_channel_is_the_one_the_grant_permits(services: Services) -> None:
    assert services.channel("news") == "news"
    assert services.channel(CACHE_EVENTS) == CACHE_EVENTS
    some = replace(services, events="some")
    assert some.channel(CACHE_EVENTS) == "some"
    none = replace(services, events=None)
    assert none.channel("news") == "news"
    with pytest.raises(ForbiddenError, match=r"^Not permitted: read events$"):
        none.channel(CACHE_EVENTS)
