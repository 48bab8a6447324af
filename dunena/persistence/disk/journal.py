"""The journal: every change, appended before anybody hears of it.

Format. A segment is a text file, ``<first revision>-<last revision before it>.log``; a line is one
commit::

    <crc32 of the rest, 8 hex digits> [[kind, revision, ns, key, expires_at, value], ...]\n

The array is JSON; a commit is therefore there as a whole or not at all. ``kind`` is a
`ChangeKind`'s value; only a set has all six members, a clear has the first two.

Reading a segment stops at the first line that is not whole: behind a torn write nothing was
forced to the device. A failed append is cut away again before the next one, so that no torn line
is ever followed by a whole one. A segment that does not follow on what was read before it is not
read: a device may keep a later file and lose an earlier one.

A segment is deleted when all its changes are in their files. As a device may forget a deletion,
the last revision that needs no journal is kept elsewhere and passed to `Journal.open`.
"""

import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson

from dunena.persistence.disk.disk import AppendFile, Disk, join, name_of
from dunena.store.entry import Change, ChangeKind

SEGMENT_BYTES_MAX = 16 * 1024 * 1024
"""When a segment is full the next one begins: so much is kept at most of what is in files already,
for each key that is written all the time."""

SUFFIX = ".log"


_SET = ChangeKind.SET.value


@dataclass(frozen=True, slots=True)
class Recorded:
    """A change as the journal has it; ``value`` is None where it removed the key."""

    kind: ChangeKind
    revision: int
    ns: str = ""
    key: str = ""
    expires_at: int | None = None
    value: bytes | None = None


@dataclass(slots=True, eq=False)
class Segment:
    """One file of the journal.

    ``modified_ns`` is 0 where only this run has written to it; ``size`` is counted in bytes when
    no more will be appended; ``file`` is open while something
    in it may not be on the device, ``is_named`` says that its name is.
    """

    path: str
    last_revision: int
    modified_ns: int = 0
    size: int = 0
    file: AppendFile | None = None
    is_named: bool = True


@dataclass(slots=True)
class Replay:
    """What a journal held when it was opened.

    ``dropped_bytes`` is what followed the last whole line of torn segments. Segments that follow
    on something that is missing are ``ignored``. The first one follows on ``base``.
    """

    commits: list[tuple[Segment, list[Recorded]]] = field(default_factory=list)
    dropped_bytes: int = 0
    ignored: list[str] = field(default_factory=list)
    base: int = 0


class Journal:
    """The segments in a folder. `append` raises OSError, and then nothing was added.

    One thread appends; `sync` and `forget` may be called from others.
    """

    def __init__(self, disk: Disk, folder: str) -> None:
        self._disk = disk
        self.folder = folder
        self._lock = threading.Lock()  # of what follows; held for an append, never for a sync
        self._segments: list[Segment] = []
        self._current: Segment | None = None
        self._size = 0  # of the current segment, whole lines alone
        self._last_revision = 0
        self._before_last = (0, 0)  # size and last revision without the last commit
        self._is_torn = False  # behind them there may be a part of one
        self._take_backs = 0
        self._is_cut_synced = True  # else a commit that was taken back may come back
        self._synced_revision = 0
        # A file must not be closed while another thread forces it to the device.
        self._closing = threading.Lock()

    @property
    def synced_revision(self) -> int:
        """Every change up to this one is on the device."""
        return self._synced_revision

    @property
    def bytes_total(self) -> int:
        """Bytes of all segments."""
        with self._lock:
            earlier = sum(segment.size for segment in self._segments)
            return earlier + self._size

    @property
    def oldest_end(self) -> float:
        """The last revision of the oldest segment: when that is shown, the segment can go."""
        with self._lock:
            segment = self._oldest()
            return float("inf") if segment is None else segment.last_revision

    def open(self, shown: int | None) -> Replay:
        """Read what is there beyond the revision ``shown``; later appends go to a new segment.

        None for a revision that is not known: then the first segment is taken as it is.
        """
        self._disk.make_folder(self.folder)
        replay = Replay()
        self._last_revision = replay.base = shown or 0
        found = (name for name in self._disk.names(self.folder).files if name.endswith(SUFFIX))
        for path in (join(self.folder, name) for name in sorted(found)):
            after = _revision_before(path)
            is_anchored = shown is not None or bool(self._segments)
            if is_anchored and after is not None and after > self._last_revision:
                replay.ignored.append(path)
            else:
                if not is_anchored:
                    replay.base = after or 0
                self._read_segment(path, replay, shown or 0)
        self._disk.sync({segment.path for segment in self._segments})
        self._synced_revision = self._last_revision
        return replay

    def append(self, changes: Sequence[Change]) -> None:
        """Add one commit."""
        line = _line(changes)
        size = len(line)
        with self._lock:
            if self._is_torn:
                self._cut_torn()
            segment = self._current
            if segment is None or (self._size and self._size + size > SEGMENT_BYTES_MAX):
                segment = self._new_segment(changes[0].revision)
            assert segment.file is not None
            try:
                segment.file.append(line)
            except OSError:
                self._is_torn = True
                with suppress(OSError):  # then it is tried again before the next append
                    self._cut_torn()
                raise
            self._before_last = (self._size, self._last_revision)
            self._size += size
            self._last_revision = segment.last_revision = changes[-1].revision

    def take_back(self) -> None:
        """Remove the last commit again: it could not be forced to the device."""
        with self._lock:
            assert self._current is not None
            self._size, self._last_revision = self._before_last
            self._current.last_revision = self._last_revision
            self._synced_revision = min(self._synced_revision, self._last_revision)
            self._take_backs += 1
            self._is_cut_synced = False
            self._is_torn = True
            self._cut_torn()

    def sync(self) -> bool:
        """Force everything appended so far to the device; whether there was anything.

        May be called from another thread.
        """
        with self._closing:
            with self._lock:
                self._cut_torn()
                segments, current = list(self._segments), self._current
                covered, take_backs = self._last_revision, self._take_backs
            is_wanted = covered > self._synced_revision or not self._is_cut_synced
            if is_wanted:
                self._force(segments, current)
            with self._lock:
                if take_backs == self._take_backs:
                    self._is_cut_synced = True
                    self._synced_revision = max(self._synced_revision, covered)
            return is_wanted

    def forget(self, revision: int) -> None:
        """Everything up to a revision needs no journal: delete the segments that hold no more.

        May be called from another thread.
        """
        with self._closing:
            while (segment := self._superfluous(revision)) is not None:
                if segment.file is not None:
                    segment.file.close()
                    segment.file = None
                self._disk.remove(segment.path)
                with self._lock:
                    self._segments.remove(segment)

    def close(self) -> None:
        """No more appends."""
        with self._closing:
            unused = None if self._size else self._current
            self._current = None
            for segment in self._segments:
                if segment.file is not None:
                    segment.file.close()
                    segment.file = None
            if unused is not None:
                self._disk.remove(unused.path)

    def _force(self, segments: list[Segment], current: Segment | None) -> None:
        for segment in segments:
            if segment.file is None:
                continue
            segment.file.sync()
            if segment is not current:
                segment.file.close()
                segment.file = None
        unnamed = [segment for segment in segments if not segment.is_named]
        if unnamed:
            self._disk.sync({segment.path for segment in unnamed})
        for segment in unnamed:
            segment.is_named = True

    def _superfluous(self, revision: int) -> Segment | None:
        """The oldest segment if it can go; nothing is appended to it any more."""
        with self._lock:
            segment = self._oldest()
            if segment is None or segment.last_revision > revision:
                return None
            if segment is self._current:
                # If its deletion is lost, it must not come back with what was taken back.
                self._cut_torn()
                segment.size = self._size
                self._current = None
                self._size = 0
            return segment

    def _oldest(self) -> Segment | None:
        """None as well for a segment that waits for its first line: another would get its name."""
        if not self._segments or (self._segments[0] is self._current and not self._size):
            return None
        return self._segments[0]

    def _read_segment(self, path: str, replay: Replay, shown: int) -> None:
        text, stamp = self._disk.read_stamped(path)
        segment = Segment(path, 0, stamp.modified_ns)
        read = 0
        for line_size, commit in _commits(text):
            read += line_size
            segment.last_revision = commit[-1].revision
            if segment.last_revision > shown:
                _drop_taken_back(replay, commit[0].revision)
                replay.commits.append((segment, commit))
        replay.dropped_bytes += len(text) - read
        if not text:
            self._disk.remove(path)
        if read:  # else its name is free for the next one
            self._segments.append(segment)
            self._last_revision = max(self._last_revision, segment.last_revision)
            segment.size = read
        if read < len(text):
            # Cut away at once: the next run must find whole lines alone.
            file = self._disk.append_to(path)
            try:
                file.cut(read)
            finally:
                file.close()

    def _new_segment(self, revision: int) -> Segment:
        """The one that is appended to from now on, as there is none or the line does not fit."""
        current = self._current
        path = join(self.folder, f"{revision:020d}-{self._last_revision:020d}{SUFFIX}")
        file = self._disk.append_to(path)
        try:
            file.cut(0)  # a name that a crash left behind
        except OSError:
            file.close()
            with suppress(OSError):  # it is empty: no harm if it stays
                self._disk.remove(path)
            raise
        segment = Segment(path, self._last_revision, file=file, is_named=False)
        if current is not None:
            current.size = self._size
        self._segments.append(segment)
        self._current = segment
        self._size = 0
        return segment

    def _cut_torn(self) -> None:
        if self._is_torn:
            assert self._current is not None
            assert self._current.file is not None
            self._current.file.cut(self._size)
            self._is_torn = False


def _revision_before(path: str) -> int | None:
    """The last revision before a segment, as its name says; None if the name is another's."""
    before = name_of(path).removesuffix(SUFFIX).partition("-")[2]
    return int(before) if before.isdecimal() else None


def _drop_taken_back(replay: Replay, revision: int) -> None:
    """What was taken back gave its revisions to what came after it."""
    while replay.commits and replay.commits[-1][1][-1].revision >= revision:
        replay.commits.pop()


def _line(changes: Sequence[Change]) -> bytes:
    payload = orjson.dumps([_members(change) for change in changes])
    return b"%08x %s\n" % (zlib.crc32(payload), payload)


def _members(change: Change) -> tuple[Any, ...]:
    entry = change.entry
    if entry is not None:
        value = orjson.Fragment(entry.value)
        return _SET, change.revision, change.ns, change.key, entry.expires_at, value
    kind = change.kind.value
    if change.cleared is None:
        return kind, change.revision, change.ns, change.key
    return kind, change.revision


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
