"""Reading the journal when a folder is opened, however the last run ended.

Two kinds of faults look alike and must be distinguished. A *torn end*: the machine lost data that
was not forced to the device, in any order, so everything after the first invalid line is ignored.
*Damage*: a line that was on the device is broken; the lines after it are as valid as those before.
A fault is damage if the machine was not booted since the journal was last put in order (then no
data was lost), or if a later line says that everything up to it was on the device.

This module changes no file: `Replay` says which segments have to be cut, moved or kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from dunena.persistence.disk.disk import AppendFile, Disk, join, name_of
from dunena.persistence.disk.journal_format import (
    MAGIC,
    READABLE_VERSIONS,
    FileStates,
    Line,
    Recorded,
    lines_of,
    recorded,
    seed_of,
    stamp_of,
)
from dunena.persistence.interface import Damage, DamageKind
from dunena.plain_files import FileTooLargeError, NotPlainError
from dunena.store.entry import ChangeKind, EntryId

SUFFIX = ".log"
_BASE = "-base-"
"""Part of the name of a segment that replaces all earlier ones."""


@dataclass(slots=True, eq=False)
class Segment:
    """One file of the journal.

    ``size`` is its size in bytes, set when nothing more will be appended. ``file`` is open while a
    part of it may not be on the device; ``is_named``: its name is on the device.
    """

    path: str
    last_revision: int
    size: int = 0
    file: AppendFile | None = None
    is_named: bool = True
    seed: int = 0


@dataclass(slots=True)
class Replay:
    """The content of a journal when it was opened, and what has to be done with its segments.

    ``commits`` lead from revision ``base`` to ``last_revision``; ``files`` are the possible stamps
    of the keys' files if only this server wrote them. ``is_complete``: the machine was not booted
    since the journal was put in order, so no data was lost. ``is_forced``: files were forced to the
    device.

    ``segments`` stay. Of these, ``torn`` ones have to be cut to their size, and ``damaged`` ones
    copied to quarantine before. ``useless`` ones have to be removed, ``unreadable`` ones moved to
    quarantine. ``dropped_bytes`` is the size of all torn ends.
    """

    commits: list[list[Recorded]] = field(default_factory=list)
    files: dict[EntryId, FileStates] = field(default_factory=dict)
    base: int = 0
    last_revision: int = 0
    is_complete: bool = True
    is_forced: bool = True
    dropped_bytes: int = 0
    segments: list[Segment] = field(default_factory=list)
    torn: list[Segment] = field(default_factory=list)
    useless: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    damages: list[Damage] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether the journal has no commits, so that the files hold everything."""
        return not self.commits

    def states_of(self, entry_id: EntryId) -> FileStates:
        """Return the possible stamps of a key's file, to add to them."""
        return self.files.setdefault(entry_id, FileStates())


@dataclass(slots=True)
class _Text:
    """A segment as found: its path, its text and its lines."""

    path: str
    text: bytes
    lines: list[Line]

    @property
    def complete_lines(self) -> Iterable[list[Any]]:
        return (line.members for line in self.lines if line.members is not None)


def base_path(folder: str, revision: int, number: int) -> str:
    """Return the path of a segment that replaces all up to a revision; ``number`` orders them."""
    return join(folder, f"{revision:020d}{_BASE}{number:04d}{SUFFIX}")


def read_journal(
    disk: Disk, folder: str, flushed: int | None, *, boot: str | None, last_boot: str | None
) -> Replay:
    """Read the commits after revision ``flushed`` from the segments in a folder.

    With None, an unknown revision, the first segment is accepted as the beginning. ``boot``
    identifies the present boot of the machine, ``last_boot`` the one in which the journal was last
    put in order; None if unknown.
    """
    texts, strangers = [], []
    for name in sorted(chain(*disk.names(folder))):
        if not name.endswith(SUFFIX):
            continue
        path = join(folder, name)
        try:
            text = disk.read(path)
        except (NotPlainError, FileTooLargeError) as error:
            strangers.append(Damage(path, f"is {error.strerror}", DamageKind.RECORD))
        else:
            texts.append(_Text(path, text, list(lines_of(name, text))))
    replay = _Reader(texts, flushed, boot, last_boot).read()
    replay.unreadable += [damage.path for damage in strangers]
    replay.damages += strangers
    return replay


class _Reader:
    def __init__(
        self, texts: list[_Text], flushed: int | None, boot: str | None, last_boot: str | None
    ) -> None:
        self._texts = texts
        self._flushed = flushed
        self._is_in_base = False
        self._is_disordered = False  # the lines of the current segment are out of order
        self._was_disordered = False  # those of an earlier segment were
        is_complete = boot is not None and boot == last_boot
        revision = flushed or 0
        self._replay = Replay(base=revision, last_revision=revision, is_complete=is_complete)
        headers = [line for text in texts for line in text.complete_lines if line[0] == MAGIC]
        self._replay.is_forced = all(line[2] for line in headers)
        # Valid lines say that changes up to this revision were on the device.
        self._synced = max(
            (line[0] for text in texts for line in text.complete_lines if isinstance(line[0], int)),
            default=0,
        )

    def read(self) -> Replay:
        replay = self._replay
        for text in self._texts:
            if not text.text and not replay.is_complete:
                replay.useless.append(text.path)
            elif not any(True for _ in text.complete_lines) or not _is_readable(text):
                self._give_up(text)
            elif _BASE in name_of(text.path):
                self._read_base(text)
            elif self._follows(text):
                self._read_lines(text)
            else:
                replay.unreadable.append(text.path)
                reason = "follows a part of the journal that is missing"
                replay.damages.append(Damage(text.path, reason, DamageKind.RECORD))
        replay.is_complete = replay.is_complete and not self._was_disordered
        return replay

    def _give_up(self, text: _Text) -> None:
        """Reject a segment without usable lines: a torn first write, or an unreadable file."""
        replay = self._replay
        if text.text and b"\n" not in text.text:
            replay.dropped_bytes += len(text.text)
            replay.useless.append(text.path)
            return
        replay.unreadable.append(text.path)
        reason = "is damaged, or of another version of dunena" if text.text else "is empty"
        replay.damages.append(Damage(text.path, reason, DamageKind.RECORD))

    def _follows(self, text: _Text) -> bool:
        """Return whether a segment continues the one before, or that one's lost rest."""
        replay, after = self._replay, revision_before(text.path)
        if after is None or after <= replay.last_revision:
            return True
        if self._flushed is None and not replay.segments:
            replay.base = replay.last_revision = after
            return True
        if not (replay.is_complete or after <= self._synced):
            return False
        reason = "follows a part of the journal that is missing; the changes in that are lost"
        replay.damages.append(Damage(text.path, reason, DamageKind.RECORD))
        return True

    def _read_base(self, text: _Text) -> None:
        """Read a segment that replaces all earlier ones, if it is complete."""
        replay = self._replay
        members = [line.members for line in text.lines]
        is_complete = None not in members and members[-1] == ["end"]
        revision = _first_revision(text.path)
        is_needless = revision <= (self._flushed or 0)
        # While it was not finished, the segments that it should replace were kept.
        if not is_complete and replay.segments:
            is_damaged = ["end"] in members and replay.last_revision < revision
            is_usable = is_damaged and replay.is_complete
        else:
            is_damaged = not is_complete
            # It was finished: the earlier segments were removed when it was on the device.
            is_ended = ["end"] in members and text is self._texts[0]
            is_usable = is_complete or is_ended or replay.is_complete or revision <= self._synced
        if is_needless or not (is_usable or is_damaged):
            replay.useless.append(text.path)
            return
        if not is_usable:
            self._give_up(text)
            return
        base = next((line[1] for line in text.complete_lines if line[0] == "base"), replay.base)
        replay.useless += [segment.path for segment in replay.segments]
        replay.segments.clear()
        replay.torn.clear()
        replay.damaged.clear()
        replay.damages.clear()
        replay.commits.clear()
        replay.files.clear()
        replay.base = max(base, self._flushed or 0)
        self._is_in_base = True
        self._read_lines(text)
        self._is_in_base = False
        replay.last_revision = max(replay.last_revision, revision)

    def _read_lines(self, text: _Text) -> None:
        replay = self._replay
        name = name_of(text.path)
        segment = Segment(text.path, replay.last_revision, len(text.text), seed=seed_of(name))
        broken, first_commit = 0, len(replay.commits)
        self._is_disordered = _is_disordered(text, is_base=self._is_in_base)
        for index, line in enumerate(text.lines):
            if line.members is not None:
                self._take(line.members, segment)
            elif self._goes_on(text.lines, index + 1):
                broken += 1
            else:
                segment.size = line.start
                self._drop_end(text, line.start)
                replay.torn.append(segment)
                break
        if self._is_disordered:
            self._was_disordered = True
            _put_in_order(replay.commits, first_commit)
            reason = "has lines that are not where they were written"
            replay.damaged.append(text.path)
            replay.damages.append(Damage(text.path, reason, DamageKind.RECORD))
        elif broken:
            reason = f"{broken} of its lines cannot be read; the changes in them are lost"
            replay.damaged.append(text.path)
            replay.damages.append(Damage(text.path, reason, DamageKind.RECORD))
        replay.segments.append(segment)
        replay.last_revision = max(replay.last_revision, segment.last_revision)

    def _drop_end(self, text: _Text, start: int) -> None:
        """Drop the end of a segment; have a copy made in quarantine if it has a line end."""
        self._replay.dropped_bytes += len(text.text) - start
        if b"\n" in text.text[start:]:
            self._replay.damaged.append(text.path)

    def _goes_on(self, lines: list[Line], index: int) -> bool:
        """Return whether the lines after a broken one are valid, so that it is damage."""
        for line in lines[index:]:
            if line.members is None:
                continue
            if self._replay.is_complete:
                return True
            if isinstance(line.members[0], int):
                return bool(line.members[1][1] <= self._synced)
        return False

    def _take(self, members: list[Any], segment: Segment) -> None:
        replay, kind = self._replay, members[0]
        if isinstance(kind, int):
            self._take_commit(recorded(members), segment)
        elif kind == "plan":
            for ns, key, before, after in members[1:]:
                replay.states_of((ns, key)).planned(stamp_of(before), stamp_of(after))
        elif kind in {"shown", "by hand"}:
            if kind == "by hand":
                _drop_changes(replay, {(ns, key) for ns, key, _ in members[1:]})
            for ns, key, after in members[1:]:
                replay.states_of((ns, key)).carried_out(stamp_of(after))
        elif kind == "back":
            _drop_taken_back(replay, members[1])
            segment.last_revision = members[1] - 1

    def _take_commit(self, commit: list[Recorded], segment: Segment) -> None:
        replay = self._replay
        segment.last_revision = max(segment.last_revision, commit[-1].revision)
        if self._is_in_base or self._is_disordered:  # there each key of a clear has its own line
            replay.commits.append(commit)
        else:
            _drop_taken_back(replay, commit[0].revision)
            if segment.last_revision > (self._flushed or 0):
                replay.commits.append(commit)
        for change in commit:
            if change.kind is not ChangeKind.CLEAR:
                replay.states_of((change.ns, change.key)).changed(change.stamp)


def _is_readable(text: _Text) -> bool:
    """Return whether a segment is of a known version of the format, or has no header."""
    first = next(iter(text.complete_lines))
    return bool(first[0] != MAGIC or first[1] in READABLE_VERSIONS)


def _is_disordered(text: _Text, *, is_base: bool) -> bool:
    """Return whether lines were moved or repeated: revisions only grow, except after "back".

    In a segment that replaces all earlier ones, several lines may have the same revision.
    """
    last = 0
    for line in text.complete_lines:
        if isinstance(line[0], int):
            first = line[1][1]
            if first < last or (first == last and not is_base):
                return True
            last = line[-1][1]
        elif line[0] == "back":
            last = min(last, line[1] - 1)
    return False


def _put_in_order(commits: list[list[Recorded]], start: int) -> None:
    """Sort commits from a position on by their revisions; keep the first of equal ones."""
    ordered = {commit[0].revision: commit for commit in reversed(commits[start:])}
    commits[start:] = [ordered[revision] for revision in sorted(ordered)]


def _first_revision(path: str) -> int:
    return int(name_of(path).partition("-")[0])


def revision_before(path: str) -> int | None:
    """Return the last revision before a segment, from its name; None for any other name."""
    before = name_of(path).removesuffix(SUFFIX).partition("-")[2]
    return int(before) if before.isdecimal() else None


def _drop_taken_back(replay: Replay, revision: int) -> None:
    """Drop commits from ``revision`` on: they were undone, and later ones have their revisions."""
    while replay.commits and replay.commits[-1][-1].revision >= revision:
        replay.commits.pop()


def _drop_changes(replay: Replay, entry_ids: set[EntryId]) -> None:
    """Drop all changes of keys that others have changed since."""
    commits = (
        [change for change in commit if (change.ns, change.key) not in entry_ids]
        for commit in replay.commits
    )
    replay.commits = [commit for commit in commits if commit]
