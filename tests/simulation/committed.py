"""What was committed in one epoch, revision by revision; what watchers are held against."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

EntryId = tuple[str, str]
Values = dict[EntryId, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """One change of one key: what stands there then, None for nothing, and stood before.

    ``kind`` is the name of its event. A clear has one for each key that it removed, all of one
    revision; the clear of nothing has no ``entry_id``.
    """

    revision: int
    entry_id: EntryId | None
    value: Any
    before: Any
    kind: str


@dataclass(frozen=True, slots=True)
class Cut:
    """The state after a group of changes that are seen together, and when they were committed."""

    revision: int
    changes: Sequence[Written]
    values: Values
    committed_at: int

    @property
    def is_clear(self) -> bool:
        """Whether everything was removed."""
        return self.changes[0].kind == "clear"


class Committed:
    """The history of one epoch, which begins with ``values`` at ``revision``."""

    def __init__(self, epoch: str, revision: int, values: Values, now: int) -> None:
        self.epoch = epoch
        self.first_revision = revision
        loaded = [Written(revision, entry_id, v, None, "set") for entry_id, v in values.items()]
        self.cuts = [Cut(revision, loaded, values, now)]
        self._revisions = [revision]
        self._written = {(revision, entry_id): (v, "set") for entry_id, v in values.items()}
        self.newest: dict[EntryId, int] = dict.fromkeys(values, revision)

    @property
    def last(self) -> Cut:
        """The newest state."""
        return self.cuts[-1]

    @property
    def revision(self) -> int:
        """The newest revision."""
        return self._revisions[-1]

    @property
    def has_clear(self) -> bool:
        """Whether everything was removed since the epoch began."""
        return any(cut.is_clear for cut in self.cuts[1:])

    def add(self, group: Sequence[Written], now: int) -> None:
        """Changes that are seen together were committed."""
        values = dict(self.cuts[-1].values)
        for written in group:
            if written.entry_id is None:
                continue
            self._written[written.revision, written.entry_id] = written.value, written.kind
            self.newest[written.entry_id] = written.revision
            if written.value is None:
                values.pop(written.entry_id, None)
            else:
                values[written.entry_id] = written.value
        revision = group[-1].revision
        assert revision > self._revisions[-1], "revisions grow"
        self.cuts.append(Cut(revision, group, values, now))
        self._revisions.append(revision)

    def find(self, revision: int) -> Cut | None:
        """Return the state at a revision; None if that is not the last of a group."""
        index = bisect_right(self._revisions, revision) - 1
        return self.cuts[index] if index >= 0 and self._revisions[index] == revision else None

    def committed_at(self, entry_id: EntryId) -> int:
        """Return when the newest value of a key was committed."""
        return self.cuts[bisect_left(self._revisions, self.newest[entry_id])].committed_at

    def between(self, after: int, to: int) -> list[Cut]:
        """Return the cuts with ``after < revision <= to``."""
        return self.cuts[bisect_right(self._revisions, after) : bisect_right(self._revisions, to)]

    def written(self, revision: int, entry_id: EntryId) -> tuple[Any, str] | None:
        """Return what a key became at a revision and by which event; None if it did not change."""
        return self._written.get((revision, entry_id))

    def standing(self, entry_id: EntryId, revision: int) -> tuple[int, Any]:
        """Return at which revision the value of a key was written that stood at another; or 0."""
        index = bisect_right(self._revisions, revision) - 1
        for cut in reversed(self.cuts[: index + 1]):
            for written in reversed(cut.changes):
                if written.entry_id == entry_id:
                    value = written.value
                    return (0, None) if value is None else (written.revision, value)
        return 0, None


def merged(value: Any, patch: Any) -> Any:
    """Merge a patch into a value (RFC 7396, 2)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for name, part in patch.items():
        if part is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), part)
    return result


def part_at(value: Any, path: str | None) -> Any:
    """Return what stands at a JSON Pointer (RFC 6901, 4); None for nothing."""
    if not path:
        return value
    for token in path[1:].split("/"):
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdigit() and (name == "0" or name[0] != "0"):
            value = value[int(name)] if int(name) < len(value) else None
        else:
            return None
    return value
