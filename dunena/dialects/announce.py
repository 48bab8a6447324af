"""One change to everyone who follows it, in the form each dialect has for it."""

from dunena.dialects.messages import NULL, cache_event, value_update
from dunena.frames import text_frame
from dunena.hub import CACHE_EVENTS, Follower, Hub
from dunena.store.entry import Change


def announce(hub: Hub, change: Change, now: int) -> None:
    """Push the change to the followers of its key and of the cache events; ``now`` in Unix ms."""
    if change.cleared is None:
        value = NULL if change.entry is None else change.entry.value
        _update(hub, change.ns, change.key, value)
    else:
        for ns, key in hub.followed_keys():
            if key in change.cleared.get(ns, ()):
                _update(hub, ns, key, NULL)
    listeners = hub.channel_followers(CACHE_EVENTS)
    if listeners is not None:
        _push_to_all(listeners, cache_event(change, now))


def _update(hub: Hub, ns: str, key: str, value: bytes) -> None:
    followers = hub.key_followers(ns, key)
    if followers is not None:
        _push_to_all(followers, value_update(ns, key, value))


def _push_to_all(followers: dict[Follower, None], payload: bytes) -> None:
    frame = text_frame(payload)
    for follower in followers:
        follower.push(frame)
