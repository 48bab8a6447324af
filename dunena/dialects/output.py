"""What a conversation gives its client: answers, and what it is subscribed to."""

from abc import abstractmethod

from dunena.hub import Batch, Subscriber
from dunena.watches.pending import PendingUpdate


class Output(Subscriber):
    """Queues what one client is to get, in order: it is sent when the tick ends."""

    __slots__ = ()

    @abstractmethod
    def put(self, piece: bytes | PendingUpdate) -> None:
        """Queue the finished frame of an answer, or the first update of a watch."""

    @abstractmethod
    def push(self, batch: Batch) -> None:
        """Queue updates, events or messages that the client is subscribed to."""

    @abstractmethod
    def kill(self) -> None:
        """Drop everything, now and later."""
