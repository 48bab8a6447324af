"""Whether folders are still the ones that were opened: what another hand moved away or put in their
place is left alone."""

import errno
import logging
from collections.abc import Sequence

from dunena.persistence.disk.disk import Disk

GONE = "the folder was moved, removed or replaced while in use"

_log = logging.getLogger(__name__)


class FolderIdentity:
    """Remembers folders, of which the first holds the others; any thread may ask.

    ``failure`` is why they cannot be used, as of the last `check`; None while they can. Methods
    raise OSError as the disk does.
    """

    def __init__(self, disk: Disk, folders: Sequence[str]) -> None:
        self._disk = disk
        self._identities = {folder: disk.identity(folder) for folder in folders}
        self._root = folders[0]
        self.failure: str | None = None

    @property
    def inode(self) -> int:
        """The first folder's number on its device; a copy of it has another."""
        identity = self._identities[self._root]
        return 0 if identity is None else identity[-1]

    def check(self) -> None:
        """Raise FileNotFoundError if a folder is not the one that was remembered."""
        for folder, identity in self._identities.items():
            if self._disk.identity(folder) != identity:
                if self.failure is None:
                    _log.error("%s: %s; put it back, or start dunena anew", folder, GONE)
                self.failure = GONE
                raise FileNotFoundError(errno.ENOENT, GONE)
        if self.failure is not None:
            self.failure = None
            _log.warning("the folder %s is back", self._root)
