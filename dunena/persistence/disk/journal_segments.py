"""The list of a journal's segments, and appending lines to the current one.

After a failed append the segment is truncated before the next one, so that no line ever follows a
torn one. This module takes no locks; its caller, `Journal`, does.
"""

import errno
from collections.abc import Sequence
from contextlib import suppress

from dunena.persistence.disk.disk import Disk, join, name_of
from dunena.persistence.disk.journal_format import header_line, seed_of
from dunena.persistence.disk.journal_reader import SUFFIX, Segment, revision_before


class Segments:
    """All segments in a folder; methods raise OSError as the disk does.

    ``listed`` are the segments, oldest first. ``current`` is the one that lines are appended to,
    None before `begin`. ``size`` is the size of its whole lines in bytes; ``is_torn``: a part of a
    line may follow them.
    """

    def __init__(self, disk: Disk, folder: str) -> None:
        self._disk = disk
        self._folder = folder
        self._header_size = 0  # of the current segment's first line
        self._leftovers: set[str] = set()  # paths of incomplete, unneeded segments
        self.listed: list[Segment] = []
        self.current: Segment | None = None
        self.size = 0
        self.is_torn = False

    @property
    def bytes_total(self) -> int:
        """The size of all segments in bytes."""
        return sum(segment.size for segment in self.listed) + self.size

    @property
    def oldest(self) -> Segment | None:
        """The oldest segment; None if there is none, or only one without a line.

        It must not be ended, as the next segment would have the same name.
        """
        if not self.listed:
            return None
        oldest = self.listed[0]
        return None if oldest is self.current and not self.holds_lines else oldest

    @property
    def holds_lines(self) -> bool:
        """Whether the current segment has lines after its header."""
        return self.size > self._header_size

    def begin(self, revision: int, last_revision: int, *, forces: bool) -> Segment:
        """Create the segment to append to from now on, and return it.

        Its first commit has ``revision``, the last one before it ``last_revision``. ``forces`` is
        written in its header: whether files are forced to the device.
        """
        path = join(self._folder, f"{revision:020d}-{last_revision:020d}{SUFFIX}")
        # There may be a file of that name after a crash, or a segment without a commit.
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
        """Append a line to the current segment, completely or not at all."""
        assert segment.file is not None
        try:
            segment.file.append(line)
        except OSError:
            self.is_torn = True
            with suppress(OSError):  # it is tried again before the next append
                self.cut_torn()
            raise
        self.size += len(line)

    def cut_torn(self) -> None:
        """Truncate the current segment to its whole lines if an append failed."""
        if self.is_torn:
            assert self.current is not None
            assert self.current.file is not None
            self.current.file.cut(self.size)
            self.is_torn = False

    def end_current(self) -> None:
        """Append no more to the current segment, if there is one."""
        if self.current is not None:
            self.current.size = self.size
        self.current = None
        self.is_torn = False
        self.size = self._header_size = 0

    def end_superfluous(self, revision: int) -> Segment | None:
        """Return the oldest segment and end it, if it has no changes after ``revision``.

        Return None if there is no such segment.
        """
        segment = self.oldest
        if segment is None or segment.last_revision > revision:
            return None
        if segment is self.current:
            # A lost deletion must not restore a line that was to be cut.
            self.cut_torn()
            self.end_current()
        return segment

    def expect(self, path: str) -> None:
        """Let `sweep` remove the segment at ``path``, unless it is listed before."""
        self._leftovers.add(path)

    def list_base(self, segment: Segment) -> None:
        """List a base instead of the segments up to its revision, before the later ones."""
        self._leftovers.discard(segment.path)
        revision = segment.last_revision
        replaced: list[Segment] = []
        later: list[Segment] = []
        for listed in self.listed:  # not in the order of their last revisions, if some were undone
            is_later = listed.last_revision > revision or listed is self.current
            (later if is_later else replaced).append(listed)
        self.listed = [*replaced, segment, *later]

    def sweep(self) -> None:
        """Remove the files of segments that could not be written completely."""
        for path in list(self._leftovers):
            self._disk.remove(path)
            self._leftovers.discard(path)


def holds_commits(segment: Segment) -> bool:
    """Return whether a segment has a commit, so that the next one gets another name."""
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
    """Force the segments and their names to the device; close all but ``current``."""
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
    """Close the file of a segment, if it is open."""
    if segment.file is not None:
        segment.file.close()
        segment.file = None
