"""The channels of messages, which all nodes of a log share.

A message is told to the log, also for the subscribers of its own node: so all that are subscribed
to a channel get the messages of each publisher in one order. Nothing is stored, and who is not
connected misses it. Channels on which only the server sends are those of the node alone.
"""

import logging

from dunena.dialects import channels
from dunena.dialects.errors import StoreUnavailableError, TooLargeError
from dunena.hub import Hub, is_for_messages
from dunena.persistence.log import Log
from dunena.server.tick import Tick
from dunena.store.values import InvalidJsonError, decode, encode

_log = logging.getLogger(__name__)


class SharedChannels:
    """Carries messages between the hub of a node and the log."""

    def __init__(self, log: Log, hub: Hub, tick: Tick) -> None:
        self._log = log
        self._hub = hub
        self._tick = tick

    def tell(self, channel: str, data: bytes) -> None:
        """Send a message (JSON) to the subscribers of all nodes.

        Raise `TooLargeError`, and `StoreUnavailableError` if there is no connection, or this node
        may only read.
        """
        size_max = self._log.value_bytes_max
        if len(data) > size_max:
            raise TooLargeError(f"Data exceeds max size ({size_max} bytes)")
        reason = self._log.tell(channel, data)
        if reason is not None:
            raise StoreUnavailableError(reason)

    def listen(self, channel: str, *, wanted: bool) -> None:
        """Receive the messages of a channel from now on, or no more."""
        self._log.listen(channel, wanted=wanted)

    def receive(self, channel: str, data: bytes) -> None:
        """Send a message that a node has told to the subscribers of this one, in a tick."""
        if not is_for_messages(channel):
            return
        try:
            encoded = encode(decode(data))  # who else may publish there need not send JSON
        except InvalidJsonError:
            _log.warning("a message of channel %r is no JSON, and left out", channel)
            return
        self._tick.run(self._deliver, (channel, encoded))

    def _deliver(self, message: tuple[str, bytes], now: int) -> None:
        channel, data = message
        channels.deliver(self._hub, channel, data, now)
