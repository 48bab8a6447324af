"""The messages `publish`, `subscribe` and `unsubscribe` of channels, in both dialects.

Nothing is stored, and a channel exists as long as somebody is subscribed to it.
"""

from typing import Any

from dunena.dialects.dialect import Message
from dunena.dialects.errors import InvalidMessageError, TooLargeError
from dunena.dialects.fields import NAMESPACE, refuse_unknown
from dunena.dialects.messages import channel_message
from dunena.dialects.services import NameRule, Services, is_too_large
from dunena.dialects.subscriptions import Subscriptions
from dunena.hub import Hub
from dunena.store.values import encode

_FIELDS_OF_MESSAGE = ("channel", "data")


def publish(services: Services, message: Message, now: int, name_rule: NameRule) -> dict[str, Any]:
    """Send the ``data`` of a message to all who are subscribed; return the data of its answer.

    Raise `ClientError` if a field is missing or wrong, or the channel may not be written.
    """
    channel = channel_of(message, name_rule)
    refuse_unknown(message, _FIELDS_OF_MESSAGE, NAMESPACE)
    if "data" not in message:
        raise InvalidMessageError.missing("data")
    publish_data(services, channel, message["data"], now)
    return {"channel": channel}


def publish_data(services: Services, channel: str, data: Any, now: int) -> None:
    """Send any JSON value to all who are subscribed to a channel; ``now`` is in Unix ms.

    Raise `ClientError` if it is too large, the channel may not be written, or the servers that
    share it cannot be reached.
    """
    services.check_publication(channel)
    encoded = encode(data)
    if is_too_large(encoded, services.limits):
        raise TooLargeError(f"Data exceeds max size ({services.limits.value_bytes_max} bytes)")
    hub = services.hub
    if hub.relay is None:
        deliver(hub, channel, encoded, now)
    else:
        hub.relay.tell(channel, encoded)  # it comes back to the subscribers at this server
    hub.messages_published += 1


def deliver(hub: Hub, channel: str, data: bytes, now: int) -> None:
    """Send a message (JSON) to all who are subscribed here; ``now`` is in Unix ms."""
    followed = hub.channel_topic(channel)
    if followed is not None:
        hub.messages_queued += len(followed)
        followed.send(channel_message(channel, data, now), now)


def subscribe(
    services: Services, followed: Subscriptions, message: Message, name_rule: NameRule
) -> dict[str, Any]:
    """Subscribe to a channel; return the data of the answer.

    Raise `ClientError` if the channel is missing or wrong, or may not be read.
    """
    channel = channel_of(message, name_rule)
    services.check_subscription(channel)
    followed.subscribe(services.channel(channel))
    return {"channel": channel}


def unsubscribe(
    services: Services, followed: Subscriptions, message: Message, name_rule: NameRule
) -> None:
    """End a subscription to a channel; do nothing if there is none."""
    followed.unsubscribe(services.channel(channel_of(message, name_rule)))


def channel_of(message: Message, name_rule: NameRule) -> str:
    """Return the channel of a message; raise `ClientError` if it is missing or wrong."""
    try:
        channel = message["channel"]
    except KeyError:
        raise InvalidMessageError.missing("channel") from None
    return name_rule(channel, "Channel")
