"""The messages `watch` and `unwatch`, which are the same in both dialects."""

from typing import Any

from dunena.dialects.client_watches import BegunWatch, FormFactory
from dunena.dialects.dialect import Message, RequestId, request_id_of
from dunena.dialects.errors import (
    InvalidFieldError,
    InvalidMessageError,
    LimitError,
    PositionAheadError,
    TooManyError,
)
from dunena.dialects.fields import refuse_unknown
from dunena.dialects.ops.pointer import parse_pointer
from dunena.dialects.services import NameRule, Services, namespace_of
from dunena.dialects.subscriptions import Subscriptions
from dunena.store.globs import has_mark_between_stars, star_count
from dunena.watches.limits import (
    RATE_MAX,
    RATE_MIN,
    REQUEST_ID_CHARS_MAX,
    STARS_MAX,
    WATCH_KEYS_MAX,
)
from dunena.watches.pending import PendingUpdate
from dunena.watches.selector import Selector

_MS_PER_SECOND = 1000

_FIELDS = ("key", "keys", "pattern", "ns", "path", "maxRate", "since")
_RESERVED = ("deltas",)
"""Fields of watches to come, that a client may send to every server."""


def watch(
    services: Services,
    followed: Subscriptions,
    message: Message,
    now: int,
    make_form: FormFactory,
    name_rule: NameRule,
) -> bytes | PendingUpdate | None:
    """Begin a watch, or replace the one with the same selector; return its first update.

    Raise `ClientError` for a wrong message and above the limits, and `PositionAheadError` if the
    client knows more than this server.
    """
    _check_fields(message)
    selector = selector_of(message, name_rule)
    interval_ms = interval_ms_of(message)
    since = since_of(services, message, selector)
    request_id = request_id_of(message)
    if isinstance(request_id, str) and len(request_id) > REQUEST_ID_CHARS_MAX:
        raise LimitError(f"id exceeds max length ({REQUEST_ID_CHARS_MAX})")
    followed.await_nothing(selector)
    begun = followed.watch(services, selector, make_form, interval_ms)
    if begun is None:
        return None
    return first_update(services, begun, since, now, request_id)


def watch_again(
    services: Services, followed: Subscriptions, now: int
) -> list[bytes | PendingUpdate]:
    """Return updates with the whole state of all watches, since the client's rights have changed.

    ``services`` are those of the new rights.
    """
    begun = followed.watch_again(services)
    return [first_update(services, watch, None, now) for watch in begun]


def unwatch(followed: Subscriptions, message: Message, name_rule: NameRule) -> None:
    """End the watch with this selector; do nothing if there is none."""
    _check_fields(message)
    followed.unwatch(selector_of(message, name_rule))


def _check_fields(message: Message) -> None:
    refuse_unknown(message, _FIELDS, _RESERVED)


def selector_of(message: Message, name_rule: NameRule) -> Selector:
    """Return what a message selects; raise `ClientError` if that is wrong or missing."""
    given = [name for name in ("key", "keys", "pattern") if message.get(name) is not None]
    if not given:
        raise InvalidMessageError.missing("key")
    if len(given) > 1:
        raise InvalidFieldError("A watch has one of key, keys and pattern")
    ns = namespace_of(message, name_rule)
    path = message.get("path")
    if path is not None:
        parse_pointer(path)
    if given == ["key"]:
        return Selector(ns, key=name_rule(message["key"], "Key"), path=path)
    if given == ["pattern"]:
        return Selector(ns, pattern=_pattern_of(message, name_rule), path=path)
    keys = message["keys"]
    if not isinstance(keys, list):
        raise InvalidFieldError("Keys must be a list")
    if len(keys) > WATCH_KEYS_MAX:
        raise TooManyError("Keys", WATCH_KEYS_MAX)
    return Selector(ns, keys=tuple([name_rule(key, "Key") for key in keys]), path=path)


def _pattern_of(message: Message, name_rule: NameRule) -> str:
    """Return the pattern of a message; raise `ClientError` for one that is slow to compare."""
    pattern = name_rule(message["pattern"], "Pattern")
    if star_count(pattern) > STARS_MAX:
        raise TooManyError("Asterisks of a pattern", STARS_MAX)
    if has_mark_between_stars(pattern):
        raise LimitError('Pattern has a "?" between two "*"')
    return pattern


def interval_ms_of(message: Message) -> float | None:
    """Return the time between two updates that ``maxRate`` asks for; None if it is not given."""
    rate = message.get("maxRate")
    if rate is None:
        return None
    if type(rate) not in (int, float) or not RATE_MIN <= rate <= RATE_MAX:
        raise InvalidFieldError(f"maxRate must be a number from {RATE_MIN} to {RATE_MAX:g}")
    return float(_MS_PER_SECOND / rate)


def since_of(services: Services, message: Message, selector: Selector) -> int | None:
    """Return the revision to continue from; None for none, or one of another epoch.

    Raise `PositionAheadError` if this server has not reached it.
    """
    since: Any = message.get("since")
    if since is None:
        return None
    epoch = since.get("epoch") if isinstance(since, dict) else None
    revision = since.get("rev") if isinstance(since, dict) else None
    if not isinstance(epoch, str) or type(revision) is not int or revision < 0:
        raise InvalidFieldError("since must have an epoch and a rev")
    if epoch != services.epoch:
        return None
    if revision > services.unrestricted_store.revision:
        raise PositionAheadError(selector)
    return revision


def first_update(
    services: Services,
    begun: BegunWatch,
    since: int | None,
    now: int,
    request_id: RequestId = None,
) -> bytes | PendingUpdate:
    """Return the first update of a watch: its frame, or if it is large the update itself.

    Also if older updates for the selector may wait: with it the queue keeps them apart.
    """
    first = services.watches.first_update(begun.feed, since, now, request_id)
    return first if begun.is_again or not first.is_small else first.next_frame()
