"""Detecting that folders were moved away or replaced since they were opened, so that nothing is
written to others in their place."""

import errno
import logging
from collections.abc import Sequence
from typing import Final

from dunena.persistence.disk.disk import Disk

GONE = "the folder was moved, removed or replaced while in use"

_INODE_MAX: Final = 2**64 - 1

_log = logging.getLogger(__name__)


class FolderIdentity:
    """Stores the identities of folders, of which the first contains the others; thread-safe.

    ``failure`` is the reason why they cannot be used, as of the last `check`; None if they can.
    Methods raise OSError as the disk does.
    """

    def __init__(self, disk: Disk, folders: Sequence[str]) -> None:
        self._disk = disk
        self._identities = {folder: disk.identity(folder) for folder in folders}
        self._root = folders[0]
        self.failure: str | None = None

    @property
    def inode(self) -> int:
        """The inode number of the first folder; a copy of the folder has another one.

        ReFS on Windows has 128 bits for it, of which both halves count, and JSON has 64.
        """
        identity = self._identities[self._root]
        return 0 if identity is None else identity[-1] % _INODE_MAX

    def check(self) -> None:
        """Raise FileNotFoundError if a folder is missing or is another one than at first."""
        for folder, identity in self._identities.items():
            if self._disk.identity(folder) != identity:
                if self.failure is None:
                    _log.error("%s: %s; put it back, or start dunena anew", folder, GONE)
                self.failure = GONE
                raise FileNotFoundError(errno.ENOENT, GONE)
        if self.failure is not None:
            self.failure = None
            _log.warning("the folder %s is back", self._root)
