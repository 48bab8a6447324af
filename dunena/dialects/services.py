"""What the handlers of both dialects work with, and their common rules for fields."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from dunena.dialects.errors import (
    ForbiddenError,
    InvalidFieldError,
    LimitError,
    TooLargeError,
    WrongTypeError,
)
from dunena.dialects.grants import EVERYTHING, ChannelRights, Grant
from dunena.dialects.key_search import KeySearch
from dunena.dialects.message_stats import MessageStats
from dunena.dialects.plain_set import PlainKeys
from dunena.dialects.remembered_answers import RememberedAnswers
from dunena.hub import CACHE_EVENTS, RESERVED_CHANNELS, Hub
from dunena.sessions.session import SessionHolder
from dunena.store.entry import EntryId
from dunena.store.limits import EXPIRES_AT_MS_MAX, KEY_BYTES_MAX, Limits
from dunena.store.names import has_control_character
from dunena.store.store import Store
from dunena.store.values import text_size
from dunena.store.view import StoreView
from dunena.watches.watch_table import WatchTable

REPEATED_MAX: Final = 4096
"""Messages of a dialect that are cached: with the next limit, at most two megabytes."""

REPEATED_BYTES_MAX: Final = 256

CHARACTER_BYTES_MAX: Final = 4
"""Longest character in UTF-8 (RFC 3629, 3)."""

Holder = SessionHolder[Grant]
"""What a connection has of its session."""

NameRule = Callable[[Any, str], str]
"""The type of `printable_name` and `unicode_name`: checks a name of the given kind."""


class GetCache:
    """A cache of `get` messages: from their bytes to the key that they request.

    Programs request the same few keys again and again, and decoding the request is most of the work
    of answering it. ``entry_ids`` has those of the object store, ``dunena_ids`` those of the dunena
    dialect. They are read directly, as every message is looked up in one of them.
    """

    __slots__ = ("dunena_ids", "entry_ids")

    def __init__(self) -> None:
        self.entry_ids: dict[bytes, EntryId] = {}
        self.dunena_ids: dict[bytes, EntryId] = {}

    def remember(self, text: bytes, entry_id: EntryId) -> None:
        """Cache an answered message of the object store with the key that it requested."""
        _remember(self.entry_ids, text, entry_id)

    def remember_dunena(self, text: bytes, entry_id: EntryId) -> None:
        """Cache an answered message of the dunena dialect with the key that it requested."""
        _remember(self.dunena_ids, text, entry_id)


def _remember(cache: dict[bytes, EntryId], text: bytes, entry_id: EntryId) -> None:
    """Cache a message, unless it is long."""
    if len(text) <= REPEATED_BYTES_MAX:
        if len(cache) >= REPEATED_MAX:
            cache.clear()  # a client of so many keys does not profit from a cache
        cache[text] = entry_id


@dataclass(frozen=True, slots=True)
class Services:
    """What a request works with: the store, the hub, limits and counters, as a grant may use them.

    ``store`` is what the request may see and change of ``unrestricted_store``, or that itself.
    ``events`` is the hub's channel of all changes that may be seen; None if none may.
    ``plain_keys`` are what `read_plain_set` remembers.
    ``default_ttl_ms`` is for writes that name no ttl; 0 is no expiry.
    ``answers`` are those of requests with an idempotency key, of all grants; ``scope`` keeps those
    of one grant from the others, and from the same token with other rights. ``channel_rights`` say
    which channels of messages may be used; None permits all. ``grant`` is whose they are.
    """

    store: StoreView
    unrestricted_store: Store
    hub: Hub
    limits: Limits = field(default_factory=Limits)
    get_cache: GetCache = field(default_factory=GetCache)
    stats: MessageStats = field(default_factory=MessageStats)
    events: str | None = CACHE_EVENTS
    search: KeySearch = field(default_factory=KeySearch)
    default_ttl_ms: int = 0
    answers: RememberedAnswers = field(default_factory=RememberedAnswers)
    scope: bytes = b""
    watches: WatchTable = field(default_factory=WatchTable)
    channel_rights: ChannelRights | None = None
    grant: Grant = EVERYTHING
    plain_keys: PlainKeys = field(default_factory=PlainKeys)

    @property
    def epoch(self) -> str:
        """The name of the unbroken run of revisions that the store is in."""
        return self.unrestricted_store.epoch

    def channel(self, name: str) -> str:
        """Return the hub's channel for the channel that a client names.

        Raise `ForbiddenError` if the grant permits no events.
        """
        if name != CACHE_EVENTS:
            return name
        if self.events is None:
            raise ForbiddenError.to_see_events()
        return self.events

    def check_subscription(self, name: str) -> None:
        """Raise `ForbiddenError` if the grant permits no subscription to a channel.

        That of the events depends on `events` alone.
        """
        rights = self.channel_rights
        if rights is not None and name != CACHE_EVENTS and not rights.may_read(name):
            raise ForbiddenError.to_channel("read", name)

    def check_publication(self, name: str) -> None:
        """Raise `ForbiddenError` if no client, or not this grant, may publish to a channel."""
        if name in RESERVED_CHANNELS:
            raise ForbiddenError.reserved_channel(name)
        if self.channel_rights is not None and not self.channel_rights.may_write(name):
            raise ForbiddenError.to_channel("write", name)


def printable_name(value: Any, kind: str) -> str:
    """Check a key, namespace or channel of the dunena dialect, printable ASCII, and return it.

    ``kind`` is "Key", "Namespace" or "Channel" and begins each error's text. Raise `ClientError`
    for what is no string, empty, too long or has other characters.
    """
    name = _sized_name(value, kind)
    if not (name.isascii() and name.isprintable()):
        raise LimitError(f"{kind} contains invalid characters")
    return name


def unicode_name(value: Any, kind: str) -> str:
    """Check a key or namespace of the object-store dialect and return it.

    It may hold any characters but control characters. ``kind`` and the errors are as for
    `printable_name`.
    """
    name = _sized_name(value, kind)
    if has_control_character(name):
        raise LimitError(f"{kind} contains invalid characters")
    return name


def namespace_of(message: dict[str, Any], name_rule: NameRule) -> str:
    """Return the ``ns`` of a message, checked by a rule; "" if it is missing, null or ""."""
    ns = message.get("ns")
    return "" if ns is None or ns == "" else name_rule(ns, "Namespace")


def expiry_of(services: Services, message: dict[str, Any], now: int) -> int | None:
    """Return the Unix ms at which a message's ``ttl`` ends; None if it is 0, for no expiry.

    A message without ``ttl`` has the server's default. Raise `InvalidFieldError` for a wrong one.
    """
    ttl = services.default_ttl_ms if message.get("ttl") is None else ttl_of(message)
    return end_of(ttl, now) if ttl else None


def ttl_of(message: dict[str, Any]) -> int | None:
    """Return the ``ttl`` of a message in ms; None if it is missing or null.

    Raise `InvalidFieldError` for a wrong one.
    """
    ttl = message.get("ttl")
    if ttl is None:
        return None
    if type(ttl) is float and ttl.is_integer():
        ttl = int(ttl)  # JSON has one kind of number: some languages write 60000 as 60000.0
    if type(ttl) is not int or ttl < 0:
        raise InvalidFieldError("TTL must be a non-negative integer")
    return ttl


def end_of(ttl: int, now: int) -> int | None:
    """Return the Unix ms at which a ttl ends that begins now; None if it is 0, for no expiry."""
    return min(now + ttl, EXPIRES_AT_MS_MAX) if ttl else None


def durability_of(message: dict[str, Any]) -> bool:
    """Return whether the sender of a message waits until the change is on the device.

    Raise `WrongTypeError` if ``durable`` is no boolean.
    """
    durable = message.get("durable")
    if durable is None:
        return False
    if type(durable) is not bool:
        raise WrongTypeError("Durable must be a boolean")
    return durable


def check_value_size(encoded: bytes, limits: Limits) -> None:
    """Raise `TooLargeError` for a value (JSON) whose UTF-8 text is over the limit."""
    if is_too_large(encoded, limits):
        raise TooLargeError(f"Value exceeds max size ({limits.value_bytes_max} bytes)")


def is_too_large(encoded: bytes, limits: Limits) -> bool:
    """Return whether the UTF-8 text of a value (JSON) is over the limit."""
    # The text is never longer than its JSON, so its size is computed only if the JSON is over.
    return len(encoded) > limits.value_bytes_max and text_size(encoded) > limits.value_bytes_max


def _sized_name(value: Any, kind: str) -> str:
    if not isinstance(value, str):
        raise WrongTypeError(f"{kind} must be a string")
    if not value:
        raise LimitError(f"{kind} must not be empty")
    # Most names are so short that their size need not be computed.
    if len(value) * CHARACTER_BYTES_MAX > KEY_BYTES_MAX and len(value.encode()) > KEY_BYTES_MAX:
        raise LimitError(f"{kind} exceeds max length ({KEY_BYTES_MAX})")
    return value
