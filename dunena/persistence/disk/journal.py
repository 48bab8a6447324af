"""The journal: every change, appended before anybody hears of it. `journal_format` says how.

It is made of segments, of which `journal_segments` keeps the list. One is deleted when all its
changes are in their files. As a device may forget a deletion, the last revision that needs no
journal is kept elsewhere and passed to `Journal.open`.

A failed sync may have dropped what was to be written, and the next one would not tell: from then
on the segments are not trusted. Nothing is appended until `renew` has written everything that
files do not surely show into a new segment, which stands for all before it (`journal_base`). The
same replaces segments that cannot go because of a few files that cannot be written.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from dunena.persistence.disk import locks
from dunena.persistence.disk.disk import Disk
from dunena.persistence.disk.journal_base import base_lines, free_base_path, write_base
from dunena.persistence.disk.journal_format import (
    FileStep,
    Stamps,
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
from dunena.store.entry import Change

SEGMENT_BYTES_MAX = 16 * 1024 * 1024
"""When a segment is full the next one begins: so much is kept at most of what is in files already,
for each key that is written all the time."""


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
        self._segments = Segments(disk, folder)
        self._last_revision = 0
        self._revision_before_last = 0  # without the last commit
        self._take_backs = 0
        self._has_unsynced_notes = False
        self._has_unsynced_back = False  # without it a refused commit would stand
        self._synced_revision = 0
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
            return self._segments.bytes_total

    @property
    def oldest_end(self) -> float:
        """The last revision of the oldest segment: when that is shown, the segment can go."""
        with self._lock:
            segment = self._segments.oldest
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
        self._segments.listed = list(replay.segments)
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
                self._segments.listed.remove(segment)
                self._disk.remove(segment.path)
        self._disk.sync({self.folder, *(segment.path for segment in self._segments.listed)})

    # --- appending ---

    def append(self, changes: Sequence[Change]) -> None:
        """Add one commit."""
        with self._lock:
            segment = self._ready_segment(changes[0].revision)
            step_ms, synced = self._wall_step_ms(), self._synced_revision
            line = commit_line(segment.seed, synced, changes, self._stamps, step_ms)
            if self._segments.size + len(line) > SEGMENT_BYTES_MAX and holds_commits(segment):
                segment = self._begin_segment(changes[0].revision)
                line = commit_line(segment.seed, synced, changes, self._stamps, step_ms)
            self._segments.write(segment, line)
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
        """Force every change appended so far to the device; whether there was any.

        ``with_notes`` asks for what was said of files as well. May be called from another thread.
        When it fails, nothing is trusted until `renew`.
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
        """Find out whether what is open is what is in the folder; raise OSError if not."""
        with self._closing:
            with self._lock:
                segments = list(self._segments.listed)
            try:
                check_names(self._disk, segments)
            except OSError as error:
                self._failure = error
                raise

    def forget(self, revision: int) -> None:
        """Everything up to a revision needs no journal: delete the segments that hold no more.

        May be called from another thread.
        """
        with self._closing:
            self._segments.sweep()
            while (segment := self._end_superfluous(revision)) is not None:
                self._remove(segment)

    def end_segment(self) -> int:
        """Append to another one from now on; the last revision in those there are."""
        with self._lock:
            if self._failure is None:
                self._segments.cut_torn()
            current = self._segments.current
            # One without a commit would share its name with the next.
            if current is not None and (self._failure or holds_commits(current)):
                self._segments.end_current()
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
                    for segment in self._segments.listed
                    if segment is not self._segments.current
                    and (self._failure is not None or segment.last_revision <= revision)
                ]
            self._disk.make_folder(self.folder)
            self._write_base(base, revision, changes)
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
                self._segments.sweep()
            unused = None if self._segments.holds_lines else self._segments.current
            self._segments.current = None
            for segment in self._segments.listed:
                close_segment(segment)
            if unused is not None:
                self._disk.remove(unused.path)

    # --- inside ---

    def _ready_segment(self, revision: int) -> Segment:
        """The one to append to, with whole lines alone in it; under the lock."""
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
        """Write a segment that stands for all before it, and list it."""
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
