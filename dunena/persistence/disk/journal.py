"""The journal: every change, appended before anybody hears of it. `journal_format` says how.

A failed append is cut away again before the next one, so that no torn line is ever followed by a
whole one. A segment is deleted when all its changes are in their files. As a device may forget a
deletion, the last revision that needs no journal is kept elsewhere and passed to `Journal.open`.

A failed sync may have dropped what was to be written, and the next one would not tell: from then
on the segments are not trusted. Nothing is appended until `renew` has written everything that
files do not surely show into a new segment, which stands for all before it. The same replaces
segments that cannot go because of a few files that cannot be written.
"""

import errno
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from dunena.persistence.disk import locks
from dunena.persistence.disk.disk import Disk, join, name_of
from dunena.persistence.disk.journal_format import (
    FileStep,
    Stamps,
    by_hand_line,
    carried_out_line,
    commit_line,
    encode_line,
    header_line,
    plan_line,
    seed_of,
)
from dunena.persistence.disk.journal_reader import (
    SUFFIX,
    Replay,
    Segment,
    base_path,
    read_journal,
    revision_before,
)
from dunena.persistence.disk.locks import LockRank
from dunena.store.entry import Change

SEGMENT_BYTES_MAX = 16 * 1024 * 1024
"""When a segment is full the next one begins: so much is kept at most of what is in files already,
for each key that is written all the time."""

WRITE_BYTES = 1024 * 1024
"""What `renew` hands to the system at once."""


class Journal:
    """The segments in a folder. `append` raises OSError, and then nothing was added.

    One thread appends changes, another says what becomes of files; `sync` and `forget` may be
    called from any. ``stamps`` are looked up for each change that is appended.
    """

    def __init__(
        self, disk: Disk, folder: str, stamps: Stamps, wall_step_ms: Callable[[], int] = lambda: 0
    ) -> None:
        self._disk = disk
        self._wall_step_ms = wall_step_ms
        self.folder = folder
        self._stamps = stamps
        self.forces = False  # written into each segment: whether files are forced to the device
        # Of what follows; held for an append, never for a sync.
        self._lock = locks.make_lock(LockRank.JOURNAL)
        self._segments: list[Segment] = []
        self._current: Segment | None = None
        self._size = 0  # of the current segment, whole lines alone
        self._header_size = 0  # and of its first line
        self._last_revision = 0
        self._revision_before_last = 0  # without the last commit
        self._is_torn = False  # behind the whole lines there may be a part of one
        self._take_backs = 0
        self._has_unsynced_notes = False
        self._has_unsynced_back = False  # without it a refused commit would stand
        self._synced_revision = 0
        self._leftovers: set[str] = set()  # of tries that failed: nothing is lost with them
        self._failure: OSError | None = None  # since then the segments are not trusted
        # A file must not be closed while another thread forces it to the device.
        self._closing = locks.make_lock(LockRank.JOURNAL_FILES)

    @property
    def synced_revision(self) -> int:
        """Every change up to this one is on the device."""
        return self._synced_revision

    @property
    def last_revision(self) -> int:
        """Of the last change that was appended and not taken back."""
        return self._last_revision

    @property
    def failure(self) -> OSError | None:
        """Why nothing can be appended before `renew`; None while it can."""
        return self._failure

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

    def open(
        self, flushed: int | None, boot: str | None = None, last_boot: str | None = None
    ) -> Replay:
        """Read what is there beyond a revision; later appends go to a new segment.

        `read_journal` says what the arguments mean.
        """
        self._disk.make_folder(self.folder)
        replay = read_journal(self._disk, self.folder, flushed, boot=boot, last_boot=last_boot)
        for path in replay.useless:
            self._disk.remove(path)
        self._segments = list(replay.segments)
        self._last_revision = self._synced_revision = replay.last_revision
        return replay

    def cut_torn_ends(self, replay: Replay) -> None:
        """Cut away what `open` did not read: the next run must find whole lines alone."""
        for segment in replay.torn:
            file = self._disk.append_to(segment.path)
            try:
                file.cut(segment.size)
            finally:
                file.close()
            if not segment.size:
                self._segments.remove(segment)
                self._disk.remove(segment.path)
        self._disk.sync({self.folder, *(segment.path for segment in self._segments)})

    # --- appending ---

    def append(self, changes: Sequence[Change]) -> None:
        """Add one commit."""
        with self._lock:
            segment = self._ready_segment(changes[0].revision)
            step_ms, synced = self._wall_step_ms(), self._synced_revision
            line = commit_line(segment.seed, synced, changes, self._stamps, step_ms)
            size = len(line)
            if self._size + size > SEGMENT_BYTES_MAX and self._holds_commits(segment):
                segment = self._new_segment(changes[0].revision)
                line = commit_line(segment.seed, synced, changes, self._stamps, step_ms)
                size = len(line)
            self._write(segment, line)
            self._revision_before_last = self._last_revision
            self._last_revision = segment.last_revision = changes[-1].revision

    def plan(self, steps: Iterable[FileStep]) -> None:
        """Files are about to be replaced or removed."""
        self._append_note(plan_line, steps)

    def carried_out(self, steps: Iterable[FileStep]) -> None:
        """Record that planned file steps were carried out; `append` must know their stamps."""
        self._append_note(carried_out_line, steps)

    def found_by_hand(self, steps: Iterable[FileStep]) -> None:
        """Another hand changed these files before the journal was opened."""
        self._append_note(by_hand_line, steps)

    def take_back(self) -> None:
        """Remove the last commit again: it could not be forced to the device.

        When that fails, nothing is trusted until `renew`, which leaves the commit out.
        """
        with self._lock:
            revision, self._last_revision = self._last_revision, self._revision_before_last
            self._synced_revision = min(self._synced_revision, self._last_revision)
            self._take_backs += 1
            segment = self._current
            if segment is None or segment.last_revision != revision:
                return  # `renew` leaves it out
            segment.last_revision = self._last_revision
            first = self._last_revision + 1
            try:
                if self._is_torn:
                    self._cut_torn()
                self._write(segment, encode_line(segment.seed, ["back", first]))
                self._has_unsynced_back = True
            except OSError as error:
                self._failure = self._failure or error
                raise

    # --- the device ---

    def sync(self, *, with_notes: bool = False) -> bool:
        """Force every change appended so far to the device; whether there was any.

        ``with_notes`` asks for what was said of files as well. May be called from another thread.
        When it fails, nothing is trusted until `renew`.
        """
        with self._closing:
            with self._lock:
                if self._failure is not None:
                    raise self._failure
                self._cut_torn()
                segments, current = list(self._segments), self._current
                covered, take_backs = self._last_revision, self._take_backs
                has_notes, self._has_unsynced_notes = self._has_unsynced_notes, False
                has_back, self._has_unsynced_back = self._has_unsynced_back, False
            try:
                self._check(segments)
                is_new = covered > self._synced_revision or has_back
                is_wanted = is_new or (with_notes and has_notes)
                if is_wanted:
                    self._force(segments, current)
            except OSError as error:
                self._failure = error
                raise
            with self._lock:
                self._has_unsynced_notes |= has_notes and not is_wanted
                if take_backs == self._take_backs:
                    self._synced_revision = max(self._synced_revision, covered)
            return is_wanted

    def check(self) -> None:
        """Find out whether what is open is what is in the folder; raise OSError if not."""
        with self._closing:
            with self._lock:
                segments = list(self._segments)
            try:
                self._check(segments)
            except OSError as error:
                self._failure = error
                raise

    def forget(self, revision: int) -> None:
        """Everything up to a revision needs no journal: delete the segments that hold no more.

        May be called from another thread.
        """
        with self._closing:
            self._sweep()
            while (segment := self._superfluous(revision)) is not None:
                self._remove(segment)

    def end_segment(self) -> int:
        """Append to another one from now on; the last revision in those there are."""
        with self._lock:
            if self._failure is None:
                self._cut_torn()
            current = self._current
            # One without a commit would share its name with the next.
            if current is not None and (self._failure or self._holds_commits(current)):
                self._end_current()
            return self._last_revision

    def renew(self, base: int, revision: int, changes: Iterable[Change]) -> None:
        """Write the changes into one segment that stands for all up to ``revision``.

        ``base`` is the last revision that files show for good; ``changes`` are in their order.
        None of the segments up to ``revision`` is appended to any more.
        """
        with self._closing:
            with self._lock:
                # After a failure all of them, what was taken back since included.
                old = [
                    segment
                    for segment in self._segments
                    if segment is not self._current
                    and (self._failure is not None or segment.last_revision <= revision)
                ]
            self._disk.make_folder(self.folder)
            self._begin_with(self._base_path(revision), base, revision, changes)
            for superseded in old:
                self._remove(superseded)
            if self._failure is not None:
                # What was refused must not come back with a deletion that is lost.
                self._disk.sync({self.folder})
                self._synced_revision = self._last_revision
                self._failure = None

    def close(self) -> None:
        """Close the files; `append` must not be called afterwards."""
        with self._closing:
            with suppress(OSError):  # the next start does it
                self._sweep()
            unused = None if self._holds_lines else self._current
            self._current = None
            for segment in self._segments:
                _close(segment)
            if unused is not None:
                self._disk.remove(unused.path)

    # --- inside ---

    def _ready_segment(self, revision: int) -> Segment:
        """The one to append to, with whole lines alone in it; under the lock."""
        if self._failure is not None:
            raise self._failure
        if self._is_torn:
            self._cut_torn()
        return self._current or self._new_segment(revision)

    def _append_note(
        self, encode: Callable[[int, Iterable[FileStep]], bytes], steps: Iterable[FileStep]
    ) -> None:
        with self._lock:
            segment = self._ready_segment(self._last_revision + 1)
            self._write(segment, encode(segment.seed, steps))
            self._has_unsynced_notes = True

    def _write(self, segment: Segment, line: bytes) -> None:
        assert segment.file is not None
        try:
            segment.file.append(line)
        except OSError:
            self._is_torn = True
            with suppress(OSError):  # then it is tried again before the next append
                self._cut_torn()
            raise
        self._size += len(line)

    def _new_segment(self, revision: int) -> Segment:
        """The one that is appended to from now on, as there is none or the line does not fit."""
        path = join(self.folder, f"{revision:020d}-{self._last_revision:020d}{SUFFIX}")
        # A crash may have left the name behind, or a segment without a commit that can go.
        self._disk.remove(path)
        self._segments = [s for s in self._segments if s.path != path]
        self._leftovers.add(path)
        file = self._disk.append_to(path)
        segment = Segment(
            path, self._last_revision, file=file, is_named=False, seed=seed_of(name_of(path))
        )
        header = header_line(segment.seed, forces=self.forces)
        try:
            file.append(header)
        except OSError:
            file.close()
            raise
        self._leftovers.discard(path)
        self._end_current()
        self._segments.append(segment)
        self._current = segment
        self._size = self._header_size = len(header)
        return segment

    @property
    def _holds_lines(self) -> bool:
        """Whether there is more than its header in the current segment."""
        return self._size > self._header_size

    def _holds_commits(self, segment: Segment) -> bool:
        """Whether the next segment's name would be another one."""
        return segment.last_revision > (revision_before(segment.path) or 0)

    def _end_current(self) -> None:
        if self._current is not None:
            self._current.size = self._size
        self._current = None
        self._is_torn = False
        self._size = self._header_size = 0

    def _begin_with(self, path: str, base: int, revision: int, changes: Iterable[Change]) -> None:
        """Write a segment that stands for all before it."""
        segment = Segment(path, revision, seed=seed_of(name_of(path)))
        self._leftovers.add(path)
        file = self._disk.append_to(path)
        try:
            for lines in _batched(self._base_lines(segment.seed, base, changes)):
                file.append(lines)
                segment.size += len(lines)
        finally:
            file.close()
        self._disk.sync({path, self.folder})
        with self._lock:
            self._leftovers.discard(path)
            later = [s for s in self._segments if s.last_revision > revision or s is self._current]
            self._segments[len(self._segments) - len(later) :] = [segment, *later]

    def _base_path(self, revision: int) -> str:
        """A name behind those of all segments up to a revision, and of earlier tries."""
        number = 1
        while self._disk.exists(path := base_path(self.folder, revision, number)):
            number += 1
        return path

    def _base_lines(self, seed: int, base: int, changes: Iterable[Change]) -> Iterator[bytes]:
        yield header_line(seed, forces=self.forces)
        yield encode_line(seed, ["base", base])
        for change in changes:
            yield commit_line(seed, 0, [change], self._stamps, self._wall_step_ms())
        yield encode_line(seed, ["end"])

    def _check(self, segments: list[Segment]) -> None:
        """Raise `OSError` unless every open file still has its name."""
        for segment in segments:
            if segment.file is None:
                continue
            there = self._disk.stamp(segment.path)
            if there is None or there.inode != segment.file.inode:
                reason = "the journal in .dunena was moved or removed"
                raise FileNotFoundError(errno.ENOENT, reason)

    def _force(self, segments: list[Segment], current: Segment | None) -> None:
        for segment in segments:
            if segment.file is None:
                continue
            segment.file.sync()
            if segment is not current:
                _close(segment)
        unnamed = [segment for segment in segments if not segment.is_named]
        if unnamed:
            self._disk.sync({segment.path for segment in unnamed})
        for segment in unnamed:
            segment.is_named = True

    def _sweep(self) -> None:
        for path in list(self._leftovers):
            self._disk.remove(path)
            self._leftovers.discard(path)

    def _superfluous(self, revision: int) -> Segment | None:
        """The oldest segment if it can go; nothing is appended to it any more."""
        with self._lock:
            segment = self._oldest()
            if segment is None or segment.last_revision > revision:
                return None
            if segment is self._current:
                # If its deletion is lost, it must not come back with what was taken back.
                self._cut_torn()
                self._end_current()
            return segment

    def _oldest(self) -> Segment | None:
        """None as well for a segment that waits for its first line: another would get its name."""
        if not self._segments:
            return None
        oldest = self._segments[0]
        return None if oldest is self._current and not self._holds_lines else oldest

    def _remove(self, segment: Segment) -> None:
        _close(segment)
        self._disk.remove(segment.path)
        with self._lock:
            self._segments.remove(segment)

    def _cut_torn(self) -> None:
        if self._is_torn:
            assert self._current is not None
            assert self._current.file is not None
            self._current.file.cut(self._size)
            self._is_torn = False


def _batched(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines together, so much at a time as is handed to the system at once."""
    batch: list[bytes] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if size >= WRITE_BYTES:
            yield b"".join(batch)
            batch, size = [], 0
    yield b"".join(batch)


def _close(segment: Segment) -> None:
    if segment.file is not None:
        segment.file.close()
        segment.file = None
