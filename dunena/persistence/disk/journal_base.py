"""Writing a segment that stands for all before it: for what files do not surely show yet.

It begins with the last revision that files show for good and has an end, without which nothing in
it counts: a half-written one stands for nothing.
"""

from collections.abc import Callable, Iterable, Iterator

from dunena.persistence.disk.disk import Disk, name_of, parent_of
from dunena.persistence.disk.journal_format import (
    Stamps,
    commit_line,
    encode_line,
    header_line,
    seed_of,
)
from dunena.persistence.disk.journal_reader import Segment, base_path
from dunena.store.entry import Change

WRITE_BYTES = 1024 * 1024
"""What is handed to the system at once."""


def free_base_path(disk: Disk, folder: str, revision: int) -> str:
    """A name behind those of all segments up to a revision, and of earlier tries."""
    number = 1
    while disk.exists(path := base_path(folder, revision, number)):
        number += 1
    return path


def base_lines(
    path: str,
    base: int,
    changes: Iterable[Change],
    stamps: Stamps,
    wall_step_ms: Callable[[], int],
    *,
    forces: bool,
) -> Iterator[bytes]:
    """The lines of the segment at ``path``: changes in their order, behind revision ``base``."""
    seed = seed_of(name_of(path))
    yield header_line(seed, forces=forces)
    yield encode_line(seed, ["base", base])
    for change in changes:
        yield commit_line(seed, 0, [change], stamps, wall_step_ms())
    yield encode_line(seed, ["end"])


def write_base(disk: Disk, path: str, revision: int, lines: Iterable[bytes]) -> Segment:
    """Write a segment that stands for all up to a revision; it is on the device then."""
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
