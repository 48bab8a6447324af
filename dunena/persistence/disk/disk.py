"""The operations on the disk that keeping values is made of.

Everything that journal, records and files do to the disk goes through `Disk`, so that a test can
put a disk in its place that tears writes, forgets what was not synced, fills up, or stops between
any two operations. `real_disk` has the machine's.

What each operation promises. ``replace_file`` and ``rename`` are atomic: another program, and a
crash of this one, sees before or after. Nothing is on the device itself before ``sync`` (of a
file's content and of the names in its folder).

Paths are whole ones, as text: a folder of many keys is read and written in a loop where a path
object would cost more than the call it is for.
"""

import os
from typing import NamedTuple, Protocol

from dunena.plain_files import FileKind


class Stamp(NamedTuple):
    """What tells one content of a file from another without reading it."""

    inode: int
    modified_ns: int
    size: int


class Draft(NamedTuple):
    """A file that is written and not in its place yet; ``stamp`` is what it will have there."""

    path: str
    stamp: Stamp


class Names(NamedTuple):
    """What is in a folder; ``others`` are links, pipes and the like, which are neither."""

    folders: list[str]
    files: list[str]
    others: list[str]


class AppendFile(Protocol):
    """A file that only grows at its end; all methods raise OSError."""

    @property
    def inode(self) -> int:
        """Of the file that is open, whatever its name is of by now."""

    def append(self, data: bytes) -> None:
        """Add all of the data; when it fails, a part of it may be there."""

    def cut(self, size: int) -> None:
        """Take away everything behind the first ``size`` bytes."""

    def sync(self) -> None:
        """Force what was appended to the device; may be called from another thread."""

    def close(self) -> None:
        """Close the file."""


class Disk(Protocol):
    """A file system; every method raises OSError as the real one does."""

    def read(self, path: str, bytes_max: int | None = None) -> bytes:
        """A file's content; raises as `read_stamped` does."""

    def read_stamped(self, path: str, bytes_max: int | None = None) -> tuple[bytes, Stamp]:
        """A file's content, and its stamp from before it was read.

        Only of a plain file: `NotPlainError` for a link and anything else; `FileTooLargeError` for
        more than ``bytes_max`` bytes.
        """

    def stamp(self, path: str) -> Stamp | None:
        """Of what is there now, whatever it is; None where nothing is."""

    def kind(self, path: str) -> FileKind | None:
        """What is there now; None where nothing is."""

    def is_link_to_folder(self, path: str) -> bool:
        """Whether a link is there that leads to a folder."""

    def names(self, folder: str) -> Names:
        """What is in a folder, in no order."""

    def is_folder(self, path: str) -> bool:
        """Whether a folder is there, and not a link to one."""

    def identity(self, folder: str) -> tuple[int, ...] | None:
        """What tells a folder from any other that takes its name; None where none is."""

    def exists(self, path: str) -> bool:
        """Whether anything is there, a link included."""

    def make_folder(self, path: str) -> None:
        """With its parents; it may be there already."""

    def replace_file(self, path: str, content: bytes, temporary: str, *, sync: bool) -> Stamp:
        """Make ``path`` hold ``content``, by way of a draft in the folder ``temporary``.

        With ``sync``, content and name are on the device when it returns. When it fails, the path
        is as it was. A file there keeps its mode; anything that is no file is not replaced.
        """

    def write_draft(
        self, path: str, content: bytes, temporary: str, *, sync: bool = False
    ) -> Draft:
        """The first half of `replace_file`: a file for ``path``, in the folder ``temporary``.

        When it fails, nothing of it is left. With ``sync`` its content is on the device.
        """

    def put_in_place(self, draft: Draft, path: str) -> Stamp:
        """The second half: the draft becomes ``path``; the stamp of the file that is there now.

        It is the draft's, except where the system lets no file be put in that one's place (a
        single file that is mounted into a container): that is written over, which a crash can
        leave half done. When it fails, the path is as it was, and the draft is gone.
        """

    def discard(self, draft: Draft) -> None:
        """Remove a draft that is not wanted after all; never fails."""

    def rename(self, source: str, target: str) -> None:
        """Move a file or folder; a file that was at the target is gone."""

    def remove(self, path: str) -> None:
        """Remove a file; it may be gone already. What is no plain file is left where it is."""

    def remove_folder(self, path: str) -> None:
        """Remove an empty folder."""

    def append_to(self, path: str) -> AppendFile:
        """Open a file for appending; it is made if it is not there."""

    def sync(self, paths: set[str]) -> None:
        """Force files, folders, and the names of all in their folders to the device.

        One that is gone is passed over, since its name is gone on the device then; so is what is
        neither file nor folder. May be called from another thread.
        """


def join(folder: str, name: str) -> str:
    """The path of a name in a folder."""
    return f"{folder}{os.sep}{name}"


def parent_of(path: str) -> str:
    """The folder that a path's name is in."""
    return path.rpartition(os.sep)[0]


def name_of(path: str) -> str:
    """The name at the end of a path."""
    return path.rpartition(os.sep)[2]
