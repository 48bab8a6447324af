"""The journal: every change, appended before anybody hears of it.

Format. A segment is a text file, ``<first revision>.log``; a line is one commit::

    <crc32 of the rest, 8 hex digits> [[kind, revision, ns, key, expires_at, value], ...]\\n

The array is JSON; a commit is therefore there as a whole or not at all. ``kind`` is a
`ChangeKind`'s value; only a set has all six members, a clear has the first two.

Reading stops at the first line that is not whole: behind a torn write nothing was acknowledged. A
failed append is cut away again before the next one, so that no torn line is ever followed by a
whole one that was.

A segment is deleted when all its changes are in their files.
"""

import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from dunena.persistence.disk.disk import AppendFile, Disk
from dunena.store.entry import Change, ChangeKind

SEGMENT_BYTES_MAX = 16 * 1024 * 1024
"""When a segment is full the next one begins: so much is kept at most of what is in files already,
for each key that is written all the time."""

SUFFIX = ".log"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A change as the journal has it; ``value`` is None where it removed the key."""

    kind: ChangeKind
    revision: int
    ns: str = ""
    key: str = ""
    expires_at: int | None = None
    value: bytes | None = None


@dataclass(slots=True)
class Segment:
    """One file of the journal. ``modified_ns`` is 0 where only this run has written to it."""

    path: Path
    last_revision: int
    modified_ns: int = 0


@dataclass(slots=True)
class Replay:
    """What a journal held when it was opened.

    ``dropped_bytes`` is what followed the last whole line of a torn segment. Segments behind it
    are ``ignored``: what they hold was not on the device before what is missing.
    """

    commits: list[tuple[Segment, list[Recorded]]] = field(default_factory=list)
    dropped_bytes: int = 0
    ignored: list[Path] = field(default_factory=list)


class Journal:
    """The segments in a folder. `append` raises OSError, and then nothing was added."""

    def __init__(self, disk: Disk, folder: Path) -> None:
        self._disk = disk
        self._folder = folder
        self._segments: list[Segment] = []
        self._file: AppendFile | None = None
        self._size = 0  # of the current segment, whole lines alone
        self._before_last = (0, 0)  # size and last revision without the last commit
        self._is_torn = False  # behind them there may be a part of one
        self._unsynced: list[AppendFile] = []  # earlier segments
        self._is_name_synced = True
        self._is_synced = True
        # A file must not be closed while the other thread forces it to the device.
        self._closing = threading.Lock()

    @property
    def is_synced(self) -> bool:
        """Whether everything appended is on the device."""
        return self._is_synced

    @property
    def size(self) -> int:
        """Bytes of the current segment."""
        return self._size

    @property
    def first_revision_end(self) -> float:
        """The last revision of the oldest segment: shown so far, that one can go."""
        return self._segments[0].last_revision if self._segments else float("inf")

    def open(self) -> Replay:
        """Read what is there; later appends go to a new segment."""
        self._disk.make_folder(self._folder)
        replay = Replay()
        found = [item for item in self._disk.items(self._folder) if not item.is_folder]
        for path in sorted(item.path for item in found if item.path.suffix == SUFFIX):
            if replay.dropped_bytes:
                replay.ignored.append(path)
            else:
                self._read_segment(path, replay)
        return replay

    def append(self, changes: Sequence[Change]) -> None:
        """Add one commit."""
        line = _line(changes)
        if self._file is None or (self._size and self._size + len(line) > SEGMENT_BYTES_MAX):
            self._begin_segment(changes[0].revision)
        assert self._file is not None
        self._cut_torn()
        try:
            self._file.append(line)
        except OSError:
            self._is_torn = True
            self._cut_torn()
            raise
        self._before_last = (self._size, self._segments[-1].last_revision)
        self._size += len(line)
        self._segments[-1].last_revision = changes[-1].revision
        self._is_synced = False

    def take_back(self) -> None:
        """Remove the last commit again: it could not be forced to the device."""
        self._size, self._segments[-1].last_revision = self._before_last
        self._is_torn = True
        self._cut_torn()

    def sync(self) -> None:
        """Force everything appended so far to the device. May be called from another thread."""
        with self._closing:
            # Told before the sync what it covers: what is appended meanwhile is not.
            self._is_synced = True
            try:
                self._sync()
            except OSError:
                self._is_synced = False
                raise

    def forget(self, revision: int) -> None:
        """Everything up to a revision is in its files: delete the segments that hold no more.

        Nothing happens while the other thread syncs: the next call will do it.
        """
        if self._closing.acquire(blocking=False):
            try:
                self._forget(revision)
            finally:
                self._closing.release()

    def close(self) -> None:
        """No more appends."""
        with self._closing:
            for file in self._unsynced:
                file.close()
            self._unsynced.clear()
            if self._file is not None:
                self._close_current()

    def _sync(self) -> None:
        earlier, current = list(self._unsynced), self._file
        for file in earlier:
            file.sync()
            file.close()
            self._unsynced.remove(file)
        if current is not None:
            current.sync()
        if not self._is_name_synced:
            self._is_name_synced = True
            self._disk.sync({segment.path for segment in self._segments})

    def _forget(self, revision: int) -> None:
        while self._segments and self._segments[0].last_revision <= revision:
            is_current = len(self._segments) == 1 and self._file is not None
            if is_current and not self._size:
                return
            if is_current:
                self._close_current()
            self._disk.remove(self._segments.pop(0).path)

    def _read_segment(self, path: Path, replay: Replay) -> None:
        stamp = self._disk.stamp(path)
        segment = Segment(path, 0, 0 if stamp is None else stamp.modified_ns)
        self._segments.append(segment)
        text = self._disk.read(path)
        read = 0
        for line_size, commit in _commits(text):
            read += line_size
            segment.last_revision = commit[-1].revision
            replay.commits.append((segment, commit))
        replay.dropped_bytes = len(text) - read
        if replay.dropped_bytes:
            # Cut away at once: the next run must not find it in front of segments of this one.
            file = self._disk.append_to(path)
            file.cut(read)
            file.sync()
            file.close()

    def _begin_segment(self, revision: int) -> None:
        if self._file is not None:
            self._unsynced.append(self._file)
            self._file = None
        path = self._folder / f"{revision:020d}{SUFFIX}"
        self._file = self._disk.append_to(path)
        self._file.cut(0)  # a name that a crash left behind empty-handed
        self._segments.append(Segment(path, revision - 1))
        self._size = 0
        self._is_torn = False
        self._is_name_synced = False

    def _cut_torn(self) -> None:
        if self._is_torn:
            assert self._file is not None
            self._file.cut(self._size)
            self._is_torn = False

    def _close_current(self) -> None:
        assert self._file is not None
        self._file.close()
        self._file = None
        self._size = 0


def _line(changes: Sequence[Change]) -> bytes:
    payload = orjson.dumps([_members(change) for change in changes])
    return b"%08x %s\n" % (zlib.crc32(payload), payload)


def _members(change: Change) -> list[Any]:
    members: list[Any] = [change.kind.value, change.revision]
    if change.cleared is None:
        members += [change.ns, change.key]
    if change.entry is not None:
        members += [change.entry.expires_at, orjson.Fragment(change.entry.value)]
    return members


def _commits(text: bytes) -> Iterator[tuple[int, list[Recorded]]]:
    """Size and changes of each whole line, up to the first that is not."""
    position = 0
    while (end := text.find(b"\n", position)) >= 0:
        commit = _read_line(text[position:end])
        if commit is None:
            return
        yield end + 1 - position, commit
        position = end + 1


def _read_line(line: bytes) -> list[Recorded] | None:
    try:
        checksum, payload = int(line[:8], 16), line[9:]
        if line[8:9] != b" " or zlib.crc32(payload) != checksum:
            return None
        return [_recorded(*members) for members in orjson.loads(payload)] or None
    except (ValueError, TypeError):
        return None


def _recorded(
    kind: str,
    revision: int,
    ns: str = "",
    key: str = "",
    expires_at: int | None = None,
    *value: Any,
) -> Recorded:
    encoded = orjson.dumps(value[0]) if value else None
    return Recorded(ChangeKind(kind), revision, ns, key, expires_at, encoded)
