"""The segments of a journal: which there are, and where the one that is appended to ends.

A failed append is cut away again before the next one, so that no torn line is ever followed by a
whole one. Nothing here takes a lock: `Journal` says when it holds which.
"""

import errno
from collections.abc import Sequence
from contextlib import suppress

from dunena.persistence.disk.disk import Disk, join, name_of
from dunena.persistence.disk.journal_format import header_line, seed_of
from dunena.persistence.disk.journal_reader import SUFFIX, Segment, revision_before


class Segments:
    """All segments in a folder; methods raise OSError as the disk does.

    ``listed`` has them oldest first, ``current`` among them, which is appended to; ``size`` counts
    the bytes of whole lines in that one, and ``is_torn`` says that a part of a line may be behind
    them.
    """

    def __init__(self, disk: Disk, folder: str) -> None:
        self._disk = disk
        self._folder = folder
        self._header_size = 0  # of the current segment's first line
        self._leftovers: set[str] = set()  # of tries that failed: nothing is lost with them
        self.listed: list[Segment] = []
        self.current: Segment | None = None
        self.size = 0
        self.is_torn = False

    @property
    def bytes_total(self) -> int:
        """Bytes of all segments."""
        return sum(segment.size for segment in self.listed) + self.size

    @property
    def oldest(self) -> Segment | None:
        """None as well for a segment that waits for its first line: another would get its name."""
        if not self.listed:
            return None
        oldest = self.listed[0]
        return None if oldest is self.current and not self.holds_lines else oldest

    @property
    def holds_lines(self) -> bool:
        """Whether there is more than its header in the current segment."""
        return self.size > self._header_size

    def begin(self, revision: int, last_revision: int, *, forces: bool) -> Segment:
        """The one that is appended to from now on, as there is none or the line does not fit.

        It begins with ``revision``, behind ``last_revision``; its header says whether the journal
        ``forces`` files to the device.
        """
        path = join(self._folder, f"{revision:020d}-{last_revision:020d}{SUFFIX}")
        # A crash may have left the name behind, or a segment without a commit that can go.
        self._disk.remove(path)
        self.listed = [segment for segment in self.listed if segment.path != path]
        self._leftovers.add(path)
        file = self._disk.append_to(path)
        segment = Segment(
            path, last_revision, file=file, is_named=False, seed=seed_of(name_of(path))
        )
        header = header_line(segment.seed, forces=forces)
        try:
            file.append(header)
        except OSError:
            file.close()
            raise
        self._leftovers.discard(path)
        self.end_current()
        self.listed.append(segment)
        self.current = segment
        self.size = self._header_size = len(header)
        return segment

    def write(self, segment: Segment, line: bytes) -> None:
        """Append a line to the current segment, all of it or nothing."""
        assert segment.file is not None
        try:
            segment.file.append(line)
        except OSError:
            self.is_torn = True
            with suppress(OSError):  # then it is tried again before the next append
                self.cut_torn()
            raise
        self.size += len(line)

    def cut_torn(self) -> None:
        """Leave whole lines alone in the current segment."""
        if self.is_torn:
            assert self.current is not None
            assert self.current.file is not None
            self.current.file.cut(self.size)
            self.is_torn = False

    def end_current(self) -> None:
        """Append to another one from now on."""
        if self.current is not None:
            self.current.size = self.size
        self.current = None
        self.is_torn = False
        self.size = self._header_size = 0

    def end_superfluous(self, revision: int) -> Segment | None:
        """The oldest one if all in it is up to a revision; nothing more is appended to it."""
        segment = self.oldest
        if segment is None or segment.last_revision > revision:
            return None
        if segment is self.current:
            # If its deletion is lost, it must not come back with what was taken back.
            self.cut_torn()
            self.end_current()
        return segment

    def expect(self, path: str) -> None:
        """A segment is written there: what `sweep` finds of it, unless it is listed, can go."""
        self._leftovers.add(path)

    def list_base(self, segment: Segment) -> None:
        """List one that stands for all up to its revision: before those that go on from there."""
        self._leftovers.discard(segment.path)
        revision = segment.last_revision
        later = [s for s in self.listed if s.last_revision > revision or s is self.current]
        self.listed[len(self.listed) - len(later) :] = [segment, *later]

    def sweep(self) -> None:
        """Remove what is left of tries that failed."""
        for path in list(self._leftovers):
            self._disk.remove(path)
            self._leftovers.discard(path)


def holds_commits(segment: Segment) -> bool:
    """Whether the next segment's name would be another one."""
    return segment.last_revision > (revision_before(segment.path) or 0)


def check_names(disk: Disk, segments: Sequence[Segment]) -> None:
    """Raise `OSError` unless every open file still has its name."""
    for segment in segments:
        if segment.file is None:
            continue
        there = disk.stamp(segment.path)
        if there is None or there.inode != segment.file.inode:
            raise FileNotFoundError(errno.ENOENT, "the journal in .dunena was moved or removed")


def force_segments(disk: Disk, segments: Sequence[Segment], current: Segment | None) -> None:
    """Force what is in them, and their names, to the device; all but ``current`` are closed."""
    for segment in segments:
        if segment.file is None:
            continue
        segment.file.sync()
        if segment is not current:
            close_segment(segment)
    unnamed = [segment for segment in segments if not segment.is_named]
    if unnamed:
        disk.sync({segment.path for segment in unnamed})
    for segment in unnamed:
        segment.is_named = True


def close_segment(segment: Segment) -> None:
    """Close its file, if it is open."""
    if segment.file is not None:
        segment.file.close()
        segment.file = None
