"""What every dialect works on, and the rules for fields that they share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dunena.dialects.errors import ForbiddenError, LimitError, TooLargeError, WrongTypeError
from dunena.dialects.key_search import KeySearch
from dunena.dialects.message_stats import MessageStats
from dunena.hub import CACHE_EVENTS, EntryId, Hub
from dunena.store.limits import EXPIRES_AT_MS_MAX, KEY_BYTES_MAX, Limits
from dunena.store.names import has_control_character
from dunena.store.store import Store
from dunena.store.values import text_size
from dunena.store.view import StoreView

REPEATED_MAX = 4096
"""Messages that are known by their bytes: with the next figure, two megabytes at most."""

REPEATED_BYTES_MAX = 256

NameRule = Callable[[Any, str], str]
"""The type of `printable_name` and `unicode_name`."""


class GetCache:
    """Object-store `get` messages by their bytes, with the key each asks for.

    Programs ask for the same few keys over and over, and most of the work of an answer is to read
    the question. ``entry_ids`` has the key that each of them asks for; it is looked into directly,
    since every message begins with that.
    """

    __slots__ = ("entry_ids",)

    def __init__(self) -> None:
        self.entry_ids: dict[bytes, EntryId] = {}

    def remember(self, text: bytes, entry_id: EntryId) -> None:
        """A message was answered that asked for a key; a long one is not kept."""
        if len(text) <= REPEATED_BYTES_MAX:
            if len(self.entry_ids) >= REPEATED_MAX:
                self.entry_ids.clear()  # who asks for so many keys gains nothing here
            self.entry_ids[text] = entry_id


@dataclass(frozen=True, slots=True)
class Services:
    """What a request works with: the store, its subscribers, limits, permissions and counts.

    ``store`` is what the request may see and change of ``whole_store``, or that itself.
    ``events`` is the hub's channel of all changes that may be seen; None if none may.
    ``default_ttl_ms`` is for writes that name no ttl; 0 is no expiry.
    """

    store: StoreView
    whole_store: Store
    hub: Hub
    limits: Limits = field(default_factory=Limits)
    get_cache: GetCache = field(default_factory=GetCache)
    stats: MessageStats = field(default_factory=MessageStats)
    events: str | None = CACHE_EVENTS
    search: KeySearch = field(default_factory=KeySearch)
    default_ttl_ms: int = 0

    def channel(self, name: str) -> str:
        """The hub's channel for one that a client names. Raises `ForbiddenError`."""
        if name != CACHE_EVENTS:
            return name
        if self.events is None:
            raise ForbiddenError.to_see_events()
        return self.events


def printable_name(value: Any, kind: str) -> str:
    """A key, namespace or channel of the dunena dialect: printable ASCII.

    ``kind`` is "Key", "Namespace" or "Channel" and opens each error's text.
    """
    name = _sized_name(value, kind)
    if not (name.isascii() and name.isprintable()):
        raise LimitError(f"{kind} contains invalid characters")
    return name


def unicode_name(value: Any, kind: str) -> str:
    """A key or namespace of the object-store dialect: UTF-8 without control characters."""
    name = _sized_name(value, kind)
    if has_control_character(name):
        raise LimitError(f"{kind} contains invalid characters")
    return name


def namespace_of(message: dict[str, Any], name_rule: NameRule) -> str:
    """The ``ns`` of a message; "" when it has none, which null and "" say too."""
    ns = message.get("ns")
    return "" if ns is None or ns == "" else name_rule(ns, "Namespace")


def expiry_of(services: Services, message: dict[str, Any], now: int) -> int | None:
    """Unix ms at which a message's ``ttl`` ends; None for 0, the server's default for none."""
    ttl = message.get("ttl")
    if ttl is None:
        ttl = services.default_ttl_ms
    elif type(ttl) is float and ttl.is_integer():
        ttl = int(ttl)  # JSON has one kind of number, and some languages write 60000 so: 60000.0
    if type(ttl) is not int or ttl < 0:
        raise LimitError("TTL must be a non-negative integer")
    return min(now + ttl, EXPIRES_AT_MS_MAX) if ttl else None


def durability_of(message: dict[str, Any]) -> bool:
    """Whether a message's sender waits until its change is on the device."""
    durable = message.get("durable")
    if durable is None:
        return False
    if type(durable) is not bool:
        raise WrongTypeError("Durable must be a boolean")
    return durable


def check_value_size(encoded: bytes, limits: Limits) -> None:
    """Refuse a value whose UTF-8 text is over the limit."""
    # The text is never longer than its JSON, so the usual value needs no second look.
    if len(encoded) > limits.value_bytes_max and text_size(encoded) > limits.value_bytes_max:
        raise TooLargeError(f"Value exceeds max size ({limits.value_bytes_max} bytes)")


def _sized_name(value: Any, kind: str) -> str:
    if not isinstance(value, str):
        raise WrongTypeError(f"{kind} must be a string")
    if not value:
        raise LimitError(f"{kind} must not be empty")
    size = len(value) if value.isascii() else len(value.encode())
    if size > KEY_BYTES_MAX:
        raise LimitError(f"{kind} exceeds max length ({KEY_BYTES_MAX})")
    return value
