"""The disk operations by which values are stored.

All accesses of journal, records and files to the disk go through `Disk`, so that a test can pass a
simulated disk that tears writes, loses unsynced data, is full, or stops between any two operations.
`real_disk` implements it for the machine's file system.

``replace_file`` and ``rename`` are atomic: other programs, and the next start after a crash, see
the state before or after. Only ``sync`` guarantees that data is on the device (a file's content, or
the names in its folder).

Paths are absolute and of type str: in loops over many keys, a path object would cost more than the
call that it is for.
"""

import os
from collections.abc import Collection
from typing import NamedTuple, Protocol

from dunena.plain_files import FileKind


class Stamp(NamedTuple):
    """The properties of a file that change with its content, so that it need not be read."""

    inode: int
    modified_ns: int
    size: int


class Draft(NamedTuple):
    """A file that is written and not in its place yet; it will have ``stamp`` there."""

    path: str
    stamp: Stamp


class Names(NamedTuple):
    """The names in a folder; ``others`` are links, pipes and the like."""

    folders: list[str]
    files: list[str]
    others: list[str]


class AppendFile(Protocol):
    """A file opened for appending; all methods raise OSError."""

    @property
    def inode(self) -> int:
        """The inode of the open file, which may have lost its name meanwhile."""

    def append(self, data: bytes) -> None:
        """Append the data; after a failure, a part of it may be in the file."""

    def cut(self, size: int) -> None:
        """Truncate the file to ``size`` bytes."""

    def sync(self) -> None:
        """Force appended data to the device; may be called from another thread."""

    def close(self) -> None:
        """Close the file; no other method may be called afterwards."""


class Disk(Protocol):
    """A file system; every method raises OSError as the real one does."""

    def read(self, path: str, bytes_max: int | None = None) -> bytes:
        """Return a file's content; raise the same errors as `read_stamped`."""

    def read_stamped(self, path: str, bytes_max: int | None = None) -> tuple[bytes, Stamp]:
        """Return a plain file's content, and its stamp from before it was read.

        Raise `NotPlainError` for a link or anything else, `FileTooLargeError` for more than
        ``bytes_max`` bytes.
        """

    def stamp(self, path: str) -> Stamp | None:
        """Return the stamp of whatever is at a path, of a link itself; None if nothing is."""

    def kind(self, path: str) -> FileKind | None:
        """Return the kind of what is at a path, of a link itself; None if nothing is."""

    def is_link_to_folder(self, path: str) -> bool:
        """Return whether a path is a link to a folder."""

    def names(self, folder: str) -> Names:
        """Return the names in a folder, in no particular order."""

    def is_folder(self, path: str) -> bool:
        """Return whether a path is a folder, not a link to one."""

    def identity(self, folder: str) -> tuple[int, ...] | None:
        """Return what distinguishes a folder from others of the same path; None if none is."""

    def exists(self, path: str) -> bool:
        """Return whether anything is at a path, including a link."""

    def make_folder(self, path: str) -> None:
        """Make a folder in one that exists, unless it exists; raise OSError.

        The parent is not made: one that was moved away or unmounted would get an empty double.
        """

    def make_root(self, path: str) -> None:
        """Make a folder that a user named, and its parents, unless they exist; raise OSError."""

    def replace_file(self, path: str, content: bytes, temporary: str, *, sync: bool) -> Stamp:
        """Write ``content`` to ``path`` by a draft in the folder ``temporary``; return its stamp.

        With ``sync``, content and name are on the device when it returns. If it fails, the path
        is unchanged. A replaced file's mode is preserved; anything but a file is not replaced.
        """

    def write_draft(
        self, path: str, content: bytes, temporary: str, *, sync: bool = False
    ) -> Draft:
        """Do the first half of `replace_file`: write a draft for ``path``, and return it.

        If it fails, the draft is removed. With ``sync`` its content is on the device.
        """

    def put_in_place(self, draft: Draft, path: str) -> Stamp:
        """Do the second half: move the draft to ``path``; return the stamp of the file there.

        It is the draft's stamp, unless the system does not permit replacing the file (a single file
        mounted into a container). Then the file is overwritten, which a crash can interrupt. If
        the method fails, the path is unchanged and the draft is removed.
        """

    def discard(self, draft: Draft) -> None:
        """Remove a draft that is not needed; never fails."""

    def rename(self, source: str, target: str) -> None:
        """Move a file or folder; a file at the target is replaced."""

    def remove(self, path: str) -> None:
        """Remove a plain file, if there is one; anything else is not removed."""

    def remove_folder(self, path: str) -> None:
        """Remove a folder, which must be empty."""

    def append_to(self, path: str) -> AppendFile:
        """Open a file for appending; create it if it does not exist."""

    def sync(self, paths: Collection[str]) -> None:
        """Force files, folders, and the names of all in their folders to the device.

        A path that does not exist is skipped, as the sync of its folder records that; so is one
        that is neither file nor folder. May be called from another thread.
        """


def join(folder: str, name: str) -> str:
    """Return the path of a name in a folder."""
    return f"{folder}{os.sep}{name}"


def parent_of(path: str) -> str:
    """Return the path of the folder that contains a path."""
    return path.rpartition(os.sep)[0]


def name_of(path: str) -> str:
    """Return the last name of a path."""
    return path.rpartition(os.sep)[2]
