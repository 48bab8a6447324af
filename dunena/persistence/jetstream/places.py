"""The last sequence of each subject that this node was told of; no I/O."""

from heapq import heappop, heappush
from typing import Final

from dunena.persistence.jetstream.naming import SubjectNames

TOMBSTONES_MS: Final = 65 * 60 * 1000
"""How long the place of a removed key is known: some minutes longer than the stream keeps it."""


class Places:
    """Subject -> the sequence of the newest message that this node was told of.

    A condition on a key is that this is still the last one. What the stream has let go of, or will
    have, is forgotten: there the condition is that there is no message.
    """

    __slots__ = ("_names", "_places", "_to_forget")

    def __init__(self, names: SubjectNames) -> None:
        self._names = names
        self._places: dict[str, int] = {}
        self._to_forget: list[tuple[int, str, int]] = []

    def __len__(self) -> int:
        return len(self._places)

    def of(self, subject: str) -> int:
        """Return the sequence of a subject's newest message, 0 for none."""
        return self._places.get(subject, 0)

    def put(self, subject: str, sequence: int) -> None:
        """Note a message of a subject."""
        self._places[subject] = sequence

    def replace(self, other: "Places") -> None:
        """Take over all that another one knows, and nothing else."""
        self._places = other._places
        self._to_forget = other._to_forget

    def forget_at(self, subject: str, sequence: int, due: int) -> None:
        """Forget a subject at a time (the log's, Unix ms) unless it has a newer message then."""
        heappush(self._to_forget, (due, subject, sequence))

    def forget_due(self, now: int) -> None:
        """Forget what is due."""
        while self._to_forget and self._to_forget[0][0] <= now:
            _, subject, sequence = heappop(self._to_forget)
            if self._places.get(subject) == sequence:
                del self._places[subject]

    def clear(self, sequence: int) -> None:
        """Forget all keys: a CLEAR at ``sequence`` has removed them, and the stream lets go."""
        start = len(self._names.prefix)
        cleared = [
            subject
            for subject, place in self._places.items()
            if place < sequence and subject.find(".", start) > 0
        ]
        for subject in cleared:
            del self._places[subject]
