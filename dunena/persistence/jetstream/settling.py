"""Finds out what a condition that did not hold means; no I/O."""

from collections.abc import Callable
from enum import Enum
from typing import Final, Protocol

from dunena.persistence.jetstream.attempts import CurrentProposal
from dunena.persistence.jetstream.places import Places
from dunena.persistence.jetstream.stream_requests import StreamRequests, read_sequence
from dunena.persistence.jetstream.wire import Cancellable, Link, LinkFault, Message

PROBE_TIMEOUT_S: Final = 1.0


class SettlingHost(Protocol):
    """What the settling needs of the log."""

    @property
    def position(self) -> int:
        """The sequence up to which everything was delivered."""

    def catch_up(self, then: Callable[[], None]) -> None:
        """Call ``then`` when everything was delivered that the stream has at this moment."""

    def lose(self, what: str) -> None:
        """Learn that the stream has lost something, and load everything anew."""


class Settled(Enum):
    """CHANGED: something that the proposal is about was changed, and this node was told of that.

    AGAIN: it is to be sent again, perhaps with other conditions. UNMARKED: the stream has not got
    this node's marker any more.
    """

    CHANGED = "changed"
    AGAIN = "again"
    UNMARKED = "unmarked"


class Settling:
    """Waits until what conflicted was delivered, and asks for what the stream has let go of.

    The servers do not say which condition it was. The log never guesses.
    """

    __slots__ = ("_handle", "_host", "_link", "_marker", "_places", "_requests", "_token")

    def __init__(
        self,
        link: Link,
        requests: StreamRequests,
        places: Places,
        marker: str,
        host: SettlingHost,
    ) -> None:
        self._link = link
        self._requests = requests
        self._places = places
        self._marker = marker
        self._host = host
        self._token: object | None = None
        self._handle: Cancellable | None = None

    @property
    def is_active(self) -> bool:
        """Whether something is being settled."""
        return self._token is not None

    def begin(
        self,
        current: CurrentProposal | None,
        place: int,
        end: Callable[[Settled], None],
        *,
        asks: bool,
    ) -> None:
        """Settle a conflict of a proposal, or of a marker alone.

        ``place`` is the sequence of the marker that was to be followed. ``asks``: if nothing was
        changed, ask for the last sequences.
        """
        token = self._token = object()

        def finish(settled: Settled) -> None:
            self._token = None
            end(settled)

        def go_on() -> None:
            if self._token is not token:
                return
            if self._is_changed(current):
                if current is not None and current.may_be_stored:
                    # Nothing of it is stored, if the stream is what was delivered. Where an older
                    # copy was put in its place, it may be at a sequence that had something else.
                    self._ask_for_marker(place, finish, Settled.CHANGED)
                else:
                    finish(Settled.CHANGED)
            elif asks:
                is_waited_for = current is not None and not current.is_given_up
                expected = current.expected if current is not None and is_waited_for else {}
                self._probe(list(expected), current, place, finish)
            else:
                finish(Settled.AGAIN)

        self._host.catch_up(go_on)

    def cancel(self) -> None:
        """End it; nothing is called any more."""
        self._token = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _is_changed(self, current: CurrentProposal | None) -> bool:
        """Whether a condition of a proposal does not hold any more.

        What was sent of it cannot be stored then: the change that it did not know is delivered, and
        all attempts would have had to be before that.
        """
        if current is None or current.is_given_up:
            return False
        places = self._places
        conditions = current.draft.conditions
        return any(places.of(subject) > place for subject, place in conditions.items())

    def _ask_for_marker(
        self, place: int, finish: Callable[[Settled], None], settled: Settled
    ) -> None:
        """End with ``settled`` if the last marker is the one that was delivered."""

        def take(answer: Message | LinkFault) -> None:
            self._handle = None
            found = None if isinstance(answer, LinkFault) else read_sequence(answer)
            if not isinstance(found, int) or found > self._host.position:
                finish(Settled.AGAIN)
            elif found == place:
                finish(settled)
            elif found == 0:
                finish(Settled.UNMARKED)
            else:
                self._host.lose("has another marker of this node than was delivered")
                finish(Settled.AGAIN)

        self._handle = self._link.request(
            self._requests.last_message(self._marker), PROBE_TIMEOUT_S, take
        )

    def _probe(
        self,
        subjects: list[str],
        current: CurrentProposal | None,
        place: int,
        finish: Callable[[Settled], None],
    ) -> None:
        """Ask for the last sequence of each subject, and of the marker at the end."""
        if not subjects:
            self._ask_for_marker(place, finish, Settled.AGAIN)
            return
        subject = subjects.pop()

        def take(answer: Message | LinkFault) -> None:
            self._handle = None
            found = None if isinstance(answer, LinkFault) else read_sequence(answer)
            if not isinstance(found, int) or found > self._host.position:
                finish(Settled.AGAIN)
            else:
                if current is not None:
                    self._take_found(current, subject, found)
                self._probe(subjects, current, place, finish)

        self._handle = self._link.request(
            self._requests.last_message(subject), PROBE_TIMEOUT_S, take
        )

    def _take_found(self, current: CurrentProposal, subject: str, found: int) -> None:
        known = current.draft.conditions[subject]
        # Either the stream has let go of it, or this node has forgotten the place of what is gone.
        # What was delivered since it asked is a change.
        if self._places.of(subject) <= known and (found == 0 or known == 0):
            current.expected[subject] = found
