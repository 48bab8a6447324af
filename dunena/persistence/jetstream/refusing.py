"""Whether the stream stores nothing of what it is sent though it answers; no I/O."""

from typing import Final

from dunena.persistence.jetstream import headers as header
from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.wire import Message

PROBE_BYTES_MAX: Final = 64 * 1024
"""A probe is as large as what was refused, but no larger."""

PROBE_FREED_S: Final = 1
"""How long the stream keeps a probe that it has stored; JetStream takes whole seconds."""

_NAME: Final = "probe"


class Refusing:
    """Remembers what was refused last, until something as large is stored.

    A server may take a marker that replaces one of its size, but no batch, so a marker that is
    stored says little. ``reason`` is why nothing is stored, None if something is.
    """

    __slots__ = ("_size", "reason")

    def __init__(self) -> None:
        self.reason: str | None = None
        self._size = 0

    @property
    def needs_probe(self) -> bool:
        """Whether a marker alone would not tell that changes are stored again."""
        return self.reason is not None and self._size > 0

    def note_refusal(self, reason: str, size: int) -> None:
        """Learn that something of so many bytes besides the marker was refused."""
        self.reason = reason
        self._size = size

    def note_stored(self, size: int) -> None:
        """Learn that something of so many bytes besides the marker was stored."""
        if size >= min(self._size, PROBE_BYTES_MAX):
            self.reason = None

    def probe(self, marker: Message, batch: str, names: SubjectNames) -> list[Message]:
        """Return a batch of a marker, and of the removal of a note that nobody has.

        Nodes take nothing from it. Its data only takes room, for a moment.
        """
        subject = names.subject_of_note(_NAME)
        gone = {header.OPERATION: header.PURGE, header.FREED_AFTER: str(PROBE_FREED_S)}
        data = b"\0" * max(0, min(self._size, PROBE_BYTES_MAX) - len(subject))
        parts = [marker, Message(names.written_to(subject), gone, data)]
        for number, part in enumerate(parts, 1):
            batch_headers = {header.BATCH: batch, header.BATCH_SEQUENCE: str(number)}
            parts[number - 1] = part._replace(headers={**part.headers, **batch_headers})
        parts[-1].headers[header.COMMIT] = "1"
        return parts
