"""What the log needs of a connection to NATS, and of time; no I/O.

`link` implements it with a library, and tests with a simulated stream.
"""

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple, Protocol


class Message(NamedTuple):
    """A message of NATS; header names are case-sensitive."""

    subject: str
    headers: dict[str, str]
    data: bytes


class LinkFault(Enum):
    """Why a request has no answer.

    TIMEOUT: none came in time, so it may have been carried out. NO_RESPONDERS: nobody serves the
    subject, DISCONNECTED: there was no connection to send it, TOO_LARGE: it exceeds the servers'
    ``max_payload``, DENIED: this login may not send it; it was not carried out in these four cases.
    """

    TIMEOUT = "timeout"
    NO_RESPONDERS = "no responders"
    DISCONNECTED = "disconnected"
    TOO_LARGE = "too large"
    DENIED = "denied"


class Denial(NamedTuple):
    """What the servers have not let this login do; ``subject`` is in small letters."""

    is_subscription: bool
    subject: str


TakeAnswer = Callable[[Message | LinkFault], None]
"""Is called once with the answer of a request, never while the request is being made."""


class Cancellable(Protocol):
    """Something that is under way."""

    def cancel(self) -> None:
        """End it: nothing is called any more. May be called again, and after its end."""


class Link(Protocol):
    """A connection to a cluster of NATS servers, which is made again whenever it is lost."""

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection at this moment."""

    @property
    def max_payload(self) -> int:
        """The most bytes of headers and data of one message; 0 before the first connection."""

    @property
    def reason(self) -> str | None:
        """Why there is no connection; None if there is one."""

    def on_change(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` whenever the connection is made or lost."""

    def on_denied(self, take: Callable[[Denial], bool]) -> None:
        """Call ``take`` with each denial, before the requests that it ends; it returns whether it
        tells people of it.
        """

    def start(self) -> None:
        """Begin to connect, again and again until it succeeds."""

    def publish(self, message: Message) -> None:
        """Send a message without an answer; it is dropped while there is no connection."""

    def request(self, message: Message, timeout_s: float, answer: TakeAnswer) -> Cancellable:
        """Send a message and wait for one answer."""

    def request_many(
        self,
        message: Message,
        timeout_s: float,
        take_part: Callable[[Message], bool],
        done: Callable[[LinkFault | None], None],
    ) -> Cancellable:
        """Send a message and wait for several answers.

        Each goes to ``take_part``, which returns True for the last one; ``timeout_s`` is the
        longest wait for each of them. ``done`` is called once, with None after the last.
        """

    def change_server(self) -> None:
        """Leave the present server for another one: it is there, and does not answer."""

    def subscribe(self, subject: str, receive: Callable[[Message], None]) -> Cancellable:
        """Receive the messages of a subject, also after each new connection."""

    def subscribe_again(self) -> None:
        """Try once more to subscribe where that was denied."""

    async def close(self) -> None:
        """Send what was published, and disconnect for good."""


class Scheduler(Protocol):
    """Time, as the loop has it."""

    def now_s(self) -> float:
        """Return the present time of a monotonic clock in seconds."""

    def call_later(self, seconds: float, action: Callable[[], None]) -> Cancellable:
        """Call ``action`` once, after so many seconds."""
