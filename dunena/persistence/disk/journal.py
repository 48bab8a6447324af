"""The journal: every change is appended to it before it is acknowledged or published.

`journal_format` describes its lines. The journal consists of segments, which `journal_segments`
lists. A segment is deleted when all its changes are in their files. As a device may lose a
deletion, the last revision that needs no journal is stored elsewhere and passed to `Journal.open`.

A failed sync may have dropped data that was to be written, and the next sync would not report that.
So after a failure the segments are not trusted, and nothing is appended until `renew` has written
all changes that may be missing in files to a new segment, the base, which replaces all segments
before it (`journal_base`). `renew` also replaces segments that are needed only for a few files that
cannot be written.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from dunena.persistence.disk import locks
from dunena.persistence.disk.disk import Disk
from dunena.persistence.disk.journal_base import base_lines, free_base_path, write_base
from dunena.persistence.disk.journal_format import (
    FileStep,
    by_hand_line,
    carried_out_line,
    commit_line,
    encode_line,
    plan_line,
)
from dunena.persistence.disk.journal_reader import Replay, Segment, read_journal
from dunena.persistence.disk.journal_segments import (
    Segments,
    check_names,
    close_segment,
    force_segments,
    holds_commits,
)
from dunena.persistence.disk.locks import LockRank
from dunena.persistence.disk.stamps import StampTable
from dunena.store.entry import Change

SEGMENT_BYTES_MAX = 16 * 1024 * 1024
"""Size at which the next segment begins: it limits the bytes that stay in the journal although they
are in files already, for each key that is written all the time."""


class Journal:
    """The journal in a folder; all methods raise OSError. After a failed `append` nothing is added.

    One thread appends changes, another one notes on files; `sync` and `forget` may be called in
    any. ``stamps`` has the stamps of the files of appended changes. ``wall_step_ms`` returns by how
    much the wall clock is ahead of the entries' clock.
    """

    def __init__(
        self,
        disk: Disk,
        folder: str,
        stamps: StampTable,
        wall_step_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        self._disk = disk
        self._wall_step_ms = wall_step_ms
        self.folder = folder
        self._stamps = stamps
        self.forces = False  # written into each segment: whether files are forced to the device
        # Guards the attributes below; held during an append, never during a sync.
        self._lock = locks.make_lock(LockRank.JOURNAL)
        self._segments = Segments(disk, folder)
        self._last_revision = 0
        self._revision_before_last = 0  # that before the last commit
        self._take_backs = 0
        self._has_unsynced_notes = False
        self._has_unsynced_back = False  # a line that takes a commit back
        self._synced_revision = 0
        self._failure: OSError | None = None  # if not None, the segments are not trusted
        # A file must not be closed while another thread forces it to the device.
        self._closing = locks.make_lock(LockRank.JOURNAL_FILES)

    @property
    def synced_revision(self) -> int:
        """The revision up to which every change is on the device."""
        return self._synced_revision

    @property
    def last_revision(self) -> int:
        """The revision of the last change that was appended and not taken back."""
        return self._last_revision

    @property
    def failure(self) -> OSError | None:
        """The error since which nothing can be appended before `renew`; None without one."""
        return self._failure

    @property
    def bytes_total(self) -> int:
        """The size of all segments in bytes."""
        with self._lock:
            return self._segments.bytes_total

    @property
    def oldest_end(self) -> float:
        """The last revision of the oldest segment, which can be deleted once files show it.

        Infinity if there is no segment that could be deleted.
        """
        with self._lock:
            segment = self._segments.oldest
            return float("inf") if segment is None else segment.last_revision

    def open(
        self, flushed: int | None, boot: str | None = None, last_boot: str | None = None
    ) -> Replay:
        """Read the changes after revision ``flushed``; later appends go to a new segment.

        `read_journal` describes the arguments and the result.
        """
        self._disk.make_folder(self.folder)
        replay = read_journal(self._disk, self.folder, flushed, boot=boot, last_boot=last_boot)
        for path in replay.useless:
            self._disk.remove(path)
        self._segments.listed = list(replay.segments)
        self._last_revision = self._synced_revision = replay.last_revision
        return replay

    def cut_torn_ends(self, replay: Replay) -> None:
        """Truncate segments to what `open` read, so that the next run finds only whole lines."""
        for segment in replay.torn:
            file = self._disk.append_to(segment.path)
            try:
                file.cut(segment.size)
            finally:
                file.close()
            if not segment.size:
                self._segments.listed.remove(segment)
                self._disk.remove(segment.path)
        self._disk.sync({self.folder, *(segment.path for segment in self._segments.listed)})

    # --- appending ---

    def append(self, changes: Sequence[Change]) -> None:
        """Append one commit, which has at least one change."""
        lock = self._lock
        lock.acquire()  # every commit does: compiled code takes `with` for a long way round
        try:
            segment = self._ready_segment(changes[0].revision)
            step_ms, synced = self._wall_step_ms(), self._synced_revision
            line = commit_line(segment.seed, synced, changes, self._stamps, step_ms)
            if self._segments.size + len(line) > SEGMENT_BYTES_MAX and holds_commits(segment):
                segment = self._begin_segment(changes[0].revision)
                line = commit_line(segment.seed, synced, changes, self._stamps, step_ms)
            self._segments.write(segment, line)
            self._revision_before_last = self._last_revision
            self._last_revision = segment.last_revision = changes[-1].revision
        finally:
            lock.release()

    def plan(self, steps: Iterable[FileStep]) -> None:
        """Record that files are about to be replaced or removed."""
        self._append_note(plan_line, steps)

    def carried_out(self, steps: Iterable[FileStep]) -> None:
        """Record that planned file steps were carried out; `append` must know their stamps."""
        self._append_note(carried_out_line, steps)

    def found_by_hand(self, steps: Iterable[FileStep]) -> None:
        """Record that others had changed these files before the journal was opened."""
        self._append_note(by_hand_line, steps)

    def take_back(self) -> None:
        """Append that the last commit does not count: it could not be forced to the device.

        If that fails, the segments are not trusted until `renew`, which leaves the commit out.
        """
        with self._lock:
            revision, self._last_revision = self._last_revision, self._revision_before_last
            self._synced_revision = min(self._synced_revision, self._last_revision)
            self._take_backs += 1
            segment = self._segments.current
            if segment is None or segment.last_revision != revision:
                return  # `renew` leaves it out
            segment.last_revision = self._last_revision
            first = self._last_revision + 1
            try:
                self._segments.cut_torn()
                self._segments.write(segment, encode_line(segment.seed, ["back", first]))
                self._has_unsynced_back = True
            except OSError as error:
                self._failure = self._failure or error
                raise

    # --- the device ---

    def sync(self, *, with_notes: bool = False) -> bool:
        """Force all appended changes to the device; return whether there were unsynced ones.

        ``with_notes`` forces the notes on files too. May be called from another thread. If it
        fails, the segments are not trusted until `renew`.
        """
        with self._closing:
            with self._lock:
                if self._failure is not None:
                    raise self._failure
                self._segments.cut_torn()
                segments, current = list(self._segments.listed), self._segments.current
                covered, take_backs = self._last_revision, self._take_backs
                has_notes, self._has_unsynced_notes = self._has_unsynced_notes, False
                has_back, self._has_unsynced_back = self._has_unsynced_back, False
            try:
                check_names(self._disk, segments)
                is_new = covered > self._synced_revision or has_back
                is_wanted = is_new or (with_notes and has_notes)
                if is_wanted:
                    force_segments(self._disk, segments, current)
            except OSError as error:
                self._failure = error
                raise
            with self._lock:
                self._has_unsynced_notes |= has_notes and not is_wanted
                if take_backs == self._take_backs:
                    self._synced_revision = max(self._synced_revision, covered)
            return is_wanted

    def check(self) -> None:
        """Raise OSError unless the open segments are still the files in the folder."""
        with self._closing:
            with self._lock:
                segments = list(self._segments.listed)
            try:
                check_names(self._disk, segments)
            except OSError as error:
                self._failure = error
                raise

    def forget(self, revision: int) -> None:
        """Delete the segments without changes after ``revision``: the others are in files.

        May be called from another thread.
        """
        with self._closing:
            self._segments.sweep()
            while (segment := self._end_superfluous(revision)) is not None:
                self._remove(segment)

    def end_segment(self) -> int:
        """End the current segment; return the last revision in all segments."""
        with self._lock:
            if self._failure is None:
                self._segments.cut_torn()
            current = self._segments.current
            # A segment without a commit would have the same name as the next one.
            if current is not None and (self._failure or holds_commits(current)):
                self._segments.end_current()
            return self._last_revision

    def renew(self, base: int, revision: int, changes: Iterable[Change]) -> None:
        """Write a base, which replaces all segments up to ``revision``, and delete these.

        Up to revision ``base`` all changes are in files on the device. ``changes`` are the later
        ones that may be missing in files, in their order. The replaced segments must be ended.
        """
        with self._closing:
            with self._lock:
                # After a failure all of them, including commits that were taken back since.
                old = [
                    segment
                    for segment in self._segments.listed
                    if segment is not self._segments.current
                    and (self._failure is not None or segment.last_revision <= revision)
                ]
            self._disk.make_folder(self.folder)
            self._write_base(base, revision, changes)
            for superseded in old:
                self._remove(superseded)
            if self._failure is not None:
                # A lost deletion must not restore refused changes.
                self._disk.sync({self.folder})
                self._synced_revision = self._last_revision
                self._failure = None

    def close(self) -> None:
        """Close the files; `append` must not be called afterwards."""
        with self._closing:
            with suppress(OSError):  # the next start removes them
                self._segments.sweep()
            unused = None if self._segments.holds_lines else self._segments.current
            self._segments.current = None
            for segment in self._segments.listed:
                close_segment(segment)
            if unused is not None:
                self._disk.remove(unused.path)

    # --- inside ---

    def _ready_segment(self, revision: int) -> Segment:
        """Return the segment to append to, without a torn line; the caller holds the lock."""
        if self._failure is not None:
            raise self._failure
        if self._segments.is_torn:
            self._segments.cut_torn()
        return self._segments.current or self._begin_segment(revision)

    def _begin_segment(self, revision: int) -> Segment:
        return self._segments.begin(revision, self._last_revision, forces=self.forces)

    def _append_note(
        self, encode: Callable[[int, Iterable[FileStep]], bytes], steps: Iterable[FileStep]
    ) -> None:
        with self._lock:
            segment = self._ready_segment(self._last_revision + 1)
            self._segments.write(segment, encode(segment.seed, steps))
            self._has_unsynced_notes = True

    def _write_base(self, base: int, revision: int, changes: Iterable[Change]) -> None:
        """Write a base and list it in place of the segments that it replaces."""
        path = free_base_path(self._disk, self.folder, revision)
        self._segments.expect(path)
        lines = base_lines(
            path, base, changes, self._stamps, self._wall_step_ms, forces=self.forces
        )
        segment = write_base(self._disk, path, revision, lines)
        with self._lock:
            self._segments.list_base(segment)

    def _end_superfluous(self, revision: int) -> Segment | None:
        with self._lock:
            return self._segments.end_superfluous(revision)

    def _remove(self, segment: Segment) -> None:
        close_segment(segment)
        self._disk.remove(segment.path)
        with self._lock:
            self._segments.listed.remove(segment)
