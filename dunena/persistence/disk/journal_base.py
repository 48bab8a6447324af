"""Writing a base: a segment that replaces all segments before it.

It has the changes that may be missing in files on the device. Its first line is the last revision
up to which files have every change; its last line marks its end. A base without that line was not
written completely and is ignored.
"""

from collections.abc import Callable, Iterable, Iterator

from dunena.persistence.disk.disk import Disk, name_of, parent_of
from dunena.persistence.disk.journal_format import (
    commit_line,
    encode_line,
    header_line,
    seed_of,
)
from dunena.persistence.disk.journal_reader import Segment, base_path
from dunena.persistence.disk.stamps import StampTable
from dunena.store.entry import Change

WRITE_BYTES = 1024 * 1024
"""Bytes after which the lines are written in one call."""


def free_base_path(disk: Disk, folder: str, revision: int) -> str:
    """Return an unused path for a base; it sorts after the segments up to ``revision``."""
    number = 1
    while disk.exists(path := base_path(folder, revision, number)):
        number += 1
    return path


def base_lines(
    path: str,
    base: int,
    changes: Iterable[Change],
    stamps: StampTable,
    wall_step_ms: Callable[[], int],
    *,
    forces: bool,
) -> Iterator[bytes]:
    """Make the lines of a base at ``path``; ``changes`` are after revision ``base``, in order."""
    seed = seed_of(name_of(path))
    yield header_line(seed, forces=forces)
    yield encode_line(seed, ["base", base])
    for change in changes:
        yield commit_line(seed, 0, [change], stamps, wall_step_ms())
    yield encode_line(seed, ["end"])


def write_base(disk: Disk, path: str, revision: int, lines: Iterable[bytes]) -> Segment:
    """Write a base up to ``revision`` and force it to the device; raise OSError."""
    segment = Segment(path, revision, seed=seed_of(name_of(path)))
    file = disk.append_to(path)
    try:
        for portion in _batched(lines):
            file.append(portion)
            segment.size += len(portion)
    finally:
        file.close()
    disk.sync({path, parent_of(path)})
    return segment


def _batched(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Join lines to portions of about `WRITE_BYTES`."""
    batch: list[bytes] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if size >= WRITE_BYTES:
            yield b"".join(batch)
            batch, size = [], 0
    yield b"".join(batch)
