"""The messages that nodes tell each other and that are stored nowhere; no I/O."""

from collections.abc import Callable

from dunena.persistence.jetstream.naming import SubjectNames, decode_token
from dunena.persistence.jetstream.wire import Cancellable, Link, Message


class NodeChannels:
    """The channels of a node.

    ``receive`` gets the channel and the data of each message of those that it listens to.
    """

    __slots__ = ("_link", "_names", "_receive", "_subscriptions")

    def __init__(
        self, link: Link, names: SubjectNames, receive: Callable[[str, bytes], None]
    ) -> None:
        self._link = link
        self._names = names
        self._receive = receive
        self._subscriptions: dict[str, Cancellable] = {}

    def tell(self, channel: str, data: bytes) -> None:
        """Send a message to all nodes that listen."""
        self._link.publish(Message(self._names.subject_of_channel(channel), {}, data))

    def listen(self, channel: str, *, wanted: bool) -> None:
        """Begin or end to receive the messages of a channel."""
        if wanted and channel not in self._subscriptions:
            subject = self._names.subject_of_channel(channel)
            self._subscriptions[channel] = self._link.subscribe(subject, self._take)
        elif not wanted and channel in self._subscriptions:
            self._subscriptions.pop(channel).cancel()

    def _take(self, message: Message) -> None:
        channel = decode_token(message.subject[len(self._names.channels) :])
        if channel is not None and channel in self._subscriptions:
            self._receive(channel, message.data)
