"""The last sequence of each subject that this node was told of; no I/O."""

from heapq import heappop, heappush
from typing import Final

from dunena.persistence.jetstream.naming import SubjectNames

TOMBSTONES_MS: Final = 65 * 60 * 1000
"""How long the place of a removed key is known: some minutes longer than the stream keeps it."""

STEP_MS: Final = 10_000
"""What the stream lets go of within this time is counted together."""

SURE_MS: Final = 5000
"""How long before its time a message is no longer counted on: clocks of servers differ."""


class Places:
    """Subject -> the sequence of the newest message that this node was told of.

    A condition on a key is that this is still the last one. What the stream has let go of, or will
    have, is forgotten: there the condition is that there is no message.
    """

    __slots__ = ("_ends", "_names", "_places", "_steps", "_to_forget")

    def __init__(self, names: SubjectNames) -> None:
        self._names = names
        self._places: dict[str, int] = {}
        self._to_forget: list[tuple[int, str, int]] = []
        self._ends: dict[str, int] = {}  # of what the stream lets go of: the step of that time
        self._steps: dict[int, int] = {}  # how many are of each step

    def __len__(self) -> int:
        return len(self._places)

    def of(self, subject: str) -> int:
        """Return the sequence of a subject's newest message, 0 for none."""
        return self._places.get(subject, 0)

    def put(self, subject: str, sequence: int, freed_at: int | None = None) -> None:
        """Note a message of a subject, of which the stream lets go at Unix ms; None for never."""
        self._places[subject] = sequence
        if freed_at is not None or subject in self._ends:
            self._forget_end(subject)
            if freed_at is not None:
                step = self._ends[subject] = freed_at // STEP_MS
                self._steps[step] = self._steps.get(step, 0) + 1

    def least(self, now: int) -> int:
        """Return how many messages the stream has at the least at Unix ms."""
        sure = (now + SURE_MS) // STEP_MS
        lasting = len(self._places) - len(self._ends)
        return lasting + sum([count for step, count in self._steps.items() if step > sure])

    def is_sure(self, subject: str, now: int) -> bool:
        """Whether a subject has a message that the stream still has to have at Unix ms."""
        if subject not in self._places:
            return False
        step = self._ends.get(subject)
        return step is None or step > (now + SURE_MS) // STEP_MS

    def replace(self, other: "Places") -> None:
        """Take over all that another one knows, and nothing else."""
        self._places = other._places
        self._to_forget = other._to_forget
        self._ends = other._ends
        self._steps = other._steps

    def forget_at(self, subject: str, sequence: int, due: int) -> None:
        """Forget a subject at a time (the log's, Unix ms) unless it has a newer message then."""
        heappush(self._to_forget, (due, subject, sequence))

    def forget_due(self, now: int) -> None:
        """Forget what is due."""
        while self._to_forget and self._to_forget[0][0] <= now:
            _, subject, sequence = heappop(self._to_forget)
            if self._places.get(subject) == sequence:
                self._forget(subject)

    def clear(self, sequence: int) -> None:
        """Forget all keys: a CLEAR at ``sequence`` has removed them, and the stream lets go."""
        start = len(self._names.prefix)
        cleared = [
            subject
            for subject, place in self._places.items()
            if place < sequence and subject.find(".", start) > 0
        ]
        for subject in cleared:
            self._forget(subject)

    def _forget(self, subject: str) -> None:
        del self._places[subject]
        self._forget_end(subject)

    def _forget_end(self, subject: str) -> None:
        step = self._ends.pop(subject, None)
        if step is not None:
            self._steps[step] -= 1
            if not self._steps[step]:
                del self._steps[step]
