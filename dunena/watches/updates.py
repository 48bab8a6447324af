"""The parts of updates, and how they become frames."""

from collections.abc import Callable
from typing import Protocol

from dunena.store.entry import Change, Entry
from dunena.store.positions import Removal
from dunena.watches.limits import PART_BYTES_MAX, PART_CHANGES_MAX, PART_DECODED_BYTES_MAX
from dunena.watches.parts import DecodedPath

KeyState = Entry | Removal
"""What an update tells of a key: its entry, or that it was removed."""

RequestId = str | float | None
"""The number of a request, which its first update repeats."""


class UpdatePart:
    """An update, or a part of one: what it changes, and the revision that it leads to.

    ``is_reset``: what was told before does not hold any more. ``now`` is Unix ms;
    ``replaced_bytes`` is what the entries take that the changes replaced.
    """

    __slots__ = ("changes", "is_reset", "now", "replaced_bytes", "revision")

    def __init__(
        self,
        changes: list[KeyState],
        revision: int,
        now: int,
        *,
        is_reset: bool = False,
        replaced_bytes: int = 0,
    ) -> None:
        self.changes = changes
        self.revision = revision
        self.now = now
        self.is_reset = is_reset
        self.replaced_bytes = replaced_bytes


class UpdateForm(Protocol):
    """How the updates of one feed are written: the envelope, the selector and the path.

    ``pointer`` is the decoded path, None for whole values.
    """

    pointer: DecodedPath | None

    def is_other_value(self, change: Change) -> bool:
        """Return whether a change of an entry changes what is shown of it."""

    def change(self, told: KeyState, *, shows_missing: bool) -> bytes | None:
        """Encode a change; None if nothing is to be shown of it.

        That is an entry that has nothing at the path, unless ``shows_missing`` as a removal.
        """

    def frame(
        self,
        changes: list[bytes],
        revision: int,
        now: int,
        *,
        is_reset: bool,
        has_more: bool,
        request_id: RequestId = None,
    ) -> bytes:
        """Make the frame of an update from encoded changes."""

    def bookmark(self, revision: int, now: int) -> bytes:
        """Make the frame of an update that only tells the position."""


def take_part(
    form: UpdateForm,
    told: list[KeyState],
    *,
    shows_missing: bool,
    shows: Callable[[KeyState], object] | None = None,
) -> list[bytes]:
    """Encode changes from the end of ``told``, which are removed from it, until a part is full.

    Those for which ``shows`` is false are left out.
    """
    encoded: list[bytes] = []
    size = decoded = 0
    for _ in range(PART_CHANGES_MAX):
        if not told:
            break
        change = None
        if shows is None or shows(told[-1]):
            if form.pointer is not None and isinstance(told[-1], Entry):
                size_before, decoded = decoded, decoded + len(told[-1].value)
                if size_before and decoded > PART_DECODED_BYTES_MAX:
                    break
            change = form.change(told[-1], shows_missing=shows_missing)
        if change is not None:
            if encoded and size + len(change) > PART_BYTES_MAX:
                break
            encoded.append(change)
            size += len(change)
        told.pop()
    return encoded
