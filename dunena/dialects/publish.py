"""Publishing a change to its followers, in the form of each dialect."""

from dunena.dialects.messages import cache_event, followed_update, missing_update
from dunena.hub import CACHE_EVENTS, Hub
from dunena.store.entry import Change


def publish_change(hub: Hub, change: Change, now: int) -> None:
    """Publish the change to the topics of its key and of the cache events; ``now`` in Unix ms."""
    if change.cleared is None:
        topic = hub.key_topic(change.ns, change.key)
        if topic is not None:
            entry = change.entry
            if entry is None:
                topic.publish(missing_update(change.ns, change.key))
            else:
                topic.publish(followed_update(topic, entry))
    else:
        for ns, key in hub.followed_keys():
            topic = hub.key_topic(ns, key)
            if topic is not None and key in change.cleared.get(ns, ()):
                topic.publish(missing_update(ns, key))
    listeners = hub.channel_topic(CACHE_EVENTS)
    if listeners is not None:
        listeners.publish(cache_event(change, now))
    if hub.audiences:
        _publish_to_audiences(hub, change, now)


def _publish_to_audiences(hub: Hub, change: Change, now: int) -> None:
    event: bytes | None = None
    for channel, may_read in hub.audiences.items():
        listeners = hub.channel_topic(channel)
        # Everyone may see a clear, since it affects the keys they may read.
        if listeners is not None and (
            change.cleared is not None or may_read(change.ns, change.key)
        ):
            event = event or cache_event(change, now)
            listeners.publish(event)
