"""Reading a request to follow keys or a channel over HTTP: ``GET /watch`` with its query."""

import re
from typing import Any, NamedTuple

from dunena.dialects.client_watches import FormFactory
from dunena.dialects.errors import InvalidFieldError
from dunena.dialects.http_updates import EventUpdates, JsonUpdates, ValueEvents
from dunena.dialects.services import Services, unicode_name
from dunena.dialects.watching import interval_ms_of, selector_of, since_of
from dunena.watches.limits import WAIT_SECONDS_MAX, WAIT_SECONDS_MIN
from dunena.watches.selector import Selector

QueryFields = dict[str, list[str]]
"""The values of each field of a query, in their order."""

_NUMBER = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII).fullmatch
_POSITION = re.compile(r"([^-]+)-(\d{1,15})", re.ASCII).fullmatch


class WatchQuery(NamedTuple):
    """What a request wants to follow.

    ``since`` is the position to continue from as a message has it, None for none. ``interval_ms``
    is the time between two updates, None for no limit. ``wait_seconds`` is how long a request waits
    for one update; None for a stream of all updates.
    """

    selector: Selector
    make_form: FormFactory
    since: dict[str, Any] | None
    interval_ms: float | None
    wait_seconds: float | None

    def revision(self, services: Services) -> int | None:
        """Return the revision to continue from; None for none, or one of another epoch.

        Raise `PositionAheadError` if this server has not reached it.
        """
        return since_of(services, {"since": self.since}, self.selector)


class ChannelQuery(NamedTuple):
    """The channel whose messages a request wants to follow, as a stream."""

    channel: str
    wait_seconds: None = None

    def revision(self, services: Services) -> None:
        """Return None: a channel has no past.

        Raise `ClientError` if the channel may not be read.
        """
        services.check_subscription(self.channel)
        services.channel(self.channel)


HttpFollowing = WatchQuery | ChannelQuery
"""What a request wants to follow."""


def read_following(fields: QueryFields, last_event_id: str | None) -> HttpFollowing:
    """Read a query; raise `ClientError` for a wrong one.

    ``last_event_id`` is the header that a client sends when it connects again: it is newer than the
    ``since`` of its address, and counts instead.
    """
    message = _message_of(fields)
    if "channel" in message:
        return ChannelQuery(_channel_of(message))
    selector = selector_of(message, unicode_name)
    wait_seconds = wait_seconds_of(message.get("wait"))
    if wait_seconds is not None:
        for name in ("maxRate", "format"):
            if name in message:
                raise InvalidFieldError(f"{name} is for streams: leave it or wait out")
    return WatchQuery(
        selector,
        JsonUpdates if wait_seconds is not None else _events_of(message, selector),
        _since_of_event(last_event_id) if last_event_id else _since_of_query(message),
        interval_ms_of(message),
        wait_seconds,
    )


def _channel_of(message: dict[str, Any]) -> str:
    for name in ("key", "keys", "pattern", "ns", "path", "since", "maxRate", "format", "wait"):
        if name in message:
            raise InvalidFieldError(f"{name} is for keys: leave it or channel out")
    return unicode_name(message["channel"], "Channel")


def _message_of(fields: QueryFields) -> dict[str, Any]:
    """Make the message `watch` with the fields of a query.

    The last one of a repeated field counts, and an empty ``path``, ``ns``, ``since``, ``wait``,
    ``format`` or ``maxRate`` is none. A single ``keys`` is a list with commas between the keys. If
    ``keys`` is repeated, each is one key, which may have commas.
    """
    message: dict[str, Any] = {name: values[-1] for name, values in fields.items()}
    for name in ("path", "ns", "since", "wait", "format", "maxRate"):
        if not message.get(name):
            message.pop(name, None)
    if "keys" in fields:
        keys = fields["keys"]
        message["keys"] = keys if len(keys) > 1 else keys[0].split(",")
    if _NUMBER(message.get("maxRate", "")):
        message["maxRate"] = float(message["maxRate"])
    return message


def wait_seconds_of(text: str | None) -> float | None:
    """Read the ``wait`` of a query; None if it is missing or empty.

    Raise `InvalidFieldError` for anything but a number of seconds within the limits.
    """
    if not text:
        return None
    if not (_NUMBER(text) and WAIT_SECONDS_MIN <= float(text) <= WAIT_SECONDS_MAX):
        raise InvalidFieldError(
            f"wait must be a number from {WAIT_SECONDS_MIN:g} to {WAIT_SECONDS_MAX:g}"
        )
    return float(text)


def _events_of(message: dict[str, Any], selector: Selector) -> FormFactory:
    form = message.get("format")
    if form is None:
        return EventUpdates
    if form != "value":
        raise InvalidFieldError('format can only be "value"')
    if selector.key is None:
        raise InvalidFieldError("format=value is for one key")
    return ValueEvents


def _since_of_query(message: dict[str, Any]) -> dict[str, Any] | None:
    text = message.get("since")
    if text is None:
        return None
    found = _POSITION(text)
    if found is None:
        raise InvalidFieldError("since must be <epoch>-<rev>")
    return {"epoch": found[1], "rev": int(found[2])}


def _since_of_event(text: str) -> dict[str, Any]:
    """Read a header: one that is no position is of another server, so it cannot be continued."""
    found = _POSITION(text)
    return {"epoch": found[1], "rev": int(found[2])} if found else {"epoch": "", "rev": 0}
