"""Makes the attempts to store a proposal or a marker: one at a time, and pauses between; no I/O."""

from collections.abc import Callable
from typing import Final

from dunena.persistence.jetstream.attempts import CurrentProposal
from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.records import BATCH_PREFIX
from dunena.persistence.jetstream.refusing import Refusing
from dunena.persistence.jetstream.wire import Cancellable, Link, LinkFault, Message, Scheduler

ATTEMPT_TIMEOUTS_S: Final = (0.5, 1.0, 2.0)
"""How long the first, the second, and each later attempt waits for its answer. A server that stops,
or is no longer the leader, loses what it was sent; and to send it again is safe.
"""

ATTEMPT_BYTES_PER_S: Final = 2 * 1024 * 1024
"""What is larger is given more time: so fast are the servers at least."""

PAUSES_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Between attempts that were not stored for certain."""


class Attempting:
    """What is under way: an attempt, or a pause before the next one.

    ``go_on`` is called after a pause, ``take`` with what an attempt was about (None for a marker
    alone) and its answer. ``sent`` is what the attempt under way is about. ``probe_size`` is the
    bytes besides the marker of the attempt that was made last without a proposal.
    """

    __slots__ = (
        "_count", "_go_on", "_handle", "_is_pausing", "_link", "_names", "_node", "_pauses",
        "_scheduler", "_take", "_timeouts", "probe_size", "sent",
    )  # fmt: skip

    def __init__(
        self,
        link: Link,
        scheduler: Scheduler,
        names: SubjectNames,
        node: str,
        go_on: Callable[[], None],
        take: Callable[[CurrentProposal | None, Message | LinkFault], None],
    ) -> None:
        self._link = link
        self._scheduler = scheduler
        self._names = names
        self._node = node
        self._go_on = go_on
        self._take = take
        self._handle: Cancellable | None = None
        self._is_pausing = False
        self._count = 0
        self._pauses = 0
        self._timeouts = 0
        self.sent: CurrentProposal | None = None
        self.probe_size = 0

    @property
    def is_active(self) -> bool:
        """Whether an attempt is under way or waited for."""
        return self._handle is not None

    def send(self, current: CurrentProposal | None, marker: Message, refusing: Refusing) -> None:
        """Make an attempt to store a marker, with a proposal or a probe if there is one."""
        self._count += 1
        self.sent = current
        self.probe_size = 0
        batch = f"{BATCH_PREFIX}{self._node}-{self._count}"
        if current is not None:
            parts, last = current.draft.messages(marker, batch, current.expected)
        elif refusing.needs_probe:
            *parts, last = refusing.probe(marker, batch, self._names)
            self.probe_size = len(last.data) + len(last.subject)
        else:
            parts, last = [], marker
        publish = self._link.publish
        for part in parts:
            publish(part)
        size = self.probe_size if current is None else current.draft.size
        limit_s = ATTEMPT_TIMEOUTS_S[min(self._timeouts, len(ATTEMPT_TIMEOUTS_S) - 1)]
        timeout_s = limit_s + size / ATTEMPT_BYTES_PER_S
        self._handle = self._link.request(last, timeout_s, self._take_answer)

    def wait(self, seconds: float, then: Callable[[], None]) -> None:
        """Make no attempt for a while, and call ``then``."""

        def end() -> None:
            self._handle = None
            then()

        self._handle = self._scheduler.call_later(seconds, end)

    def pause(self, seconds: float | None = None) -> None:
        """Make the next attempt after a while."""
        if seconds is None:
            seconds = PAUSES_S[min(self._pauses, len(PAUSES_S) - 1)]
            self._pauses += 1
        self._is_pausing = True
        self.wait(seconds, self._resume)

    def end_pause(self) -> None:
        """Make at once the attempt that would be made after a pause."""
        if self._is_pausing and self._handle is not None:
            self._handle.cancel()
            self._handle = None
            self._resume()

    def drop(self) -> None:
        """End what is under way: nothing is called any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self.sent = None
        self._is_pausing = False
        self._pauses = 0
        self._timeouts = 0

    def _resume(self) -> None:
        self._is_pausing = False
        self._go_on()

    def _take_answer(self, answer: Message | LinkFault) -> None:
        self._handle = None
        sent, self.sent = self.sent, None
        if answer is LinkFault.TIMEOUT:
            self._timeouts += 1
        self._take(sent, answer)
