"""What ``.dunena/`` keeps beside the values: expiry times, long names, revisions.

An expiry is bound to its value by a checksum: it is written before the value, so a crash between
the two must not give the old value the new one's expiry.
"""

import hashlib
import zlib

import orjson

from dunena.persistence.disk.disk import Disk, join
from dunena.persistence.interface import Damage, DamageKind

REVISION_RESERVE = 100_000
"""Revisions promised to the disk at a time: after a crash the count goes on above all that were
given out, and only one commit in so many has to write the number."""


class Records:
    """The records' folder; raises OSError as the file system does."""

    def __init__(self, disk: Disk, folder: str) -> None:
        self._disk = disk
        self.folder = folder
        self.temporary = join(folder, "tmp")
        self._expiries = join(folder, "expiry")
        self.names = join(folder, "names")
        self._revision = join(folder, "revision")
        self._shown = join(folder, "shown")
        self._address = join(folder, "server")
        self._reserved_until = 0

    def prepare(self) -> None:
        """Make the folders; sweep what a killed run left half-written."""
        for folder in self.folders:
            self._disk.make_folder(folder)
        for draft in self._disk.names(self.temporary).files:
            self._disk.remove(join(self.temporary, draft))

    @property
    def folders(self) -> list[str]:
        """All that records need."""
        return [self.folder, self.temporary, self._expiries, self.names]

    # --- expiry ---

    def load_expiries(self) -> tuple[dict[str, tuple[int, int]], list[Damage]]:
        """Relative path of a value's file -> (expiry in Unix ms, checksum of the value)."""
        expiries = {}
        damages = []
        for name in self._disk.names(self._expiries).files:
            path = join(self._expiries, name)
            try:
                record = orjson.loads(self._disk.read(path))
                expiries[record["file"]] = (int(record["expiresAt"]), int(record["checksum"]))
            except (OSError, ValueError, TypeError, KeyError) as error:
                damages.append(Damage(path, f"expiry record: {error}", DamageKind.RECORD))
        return expiries, damages

    def keep_expiry(self, file: str, expires_at: int, value: bytes) -> str:
        """Bind an expiry to a value that is about to be written to ``file``; the record's path."""
        record = {"file": file, "expiresAt": expires_at, "checksum": checksum(value)}
        path = self.expiry_path(file)
        self._disk.replace_file(path, orjson.dumps(record), self.temporary, sync=False)
        return path

    def drop_expiry(self, file: str) -> str:
        """The value in ``file`` has no expiry; the path of the record that is gone."""
        path = self.expiry_path(file)
        self._disk.remove(path)
        return path

    def expiry_path(self, file: str) -> str:
        """Where the expiry of a value in ``file`` is kept."""
        # A hash of the path has no separator and is short, whatever the path.
        return join(self._expiries, hashlib.sha256(file.encode()).hexdigest()[:32])

    # --- long names ---

    def full_name(self, record: str) -> str | None:
        """The name that was shortened to this hash; None if no record tells it."""
        try:
            return self._disk.read(join(self.names, record)).decode()
        except (OSError, UnicodeError):
            return None

    def keep_name(self, record: str, name: str) -> None:
        """Remember what a hash stands for; needed once, before the first file of that name.

        On the device when it returns: without it, the file would be nobody's.
        """
        path = join(self.names, record)
        if not self._disk.exists(path):
            self._disk.replace_file(path, name.encode(), self.temporary, sync=True)

    # --- the running server ---

    def load_address(self) -> str | None:
        """Where the server that has the folder answers, if it said so."""
        try:
            return self._disk.read(self._address).decode().strip() or None
        except (OSError, UnicodeError):
            return None

    def keep_address(self, url: str) -> None:
        """Say where this server answers."""
        self._disk.replace_file(self._address, url.encode(), self.temporary, sync=False)

    # --- revision ---

    def load_revision(self) -> int:
        """The revision that no new change may go below; 0 in a new folder."""
        try:
            return int(self._disk.read(self._revision))
        except (OSError, ValueError):
            return 0

    def load_shown(self) -> int | None:
        """The revision up to which no journal is needed; None if nothing tells it."""
        try:
            return int(self._disk.read(self._shown))
        except (OSError, ValueError):
            return None

    def keep_shown(self, revision: int, *, sync: bool) -> None:
        """Every change up to ``revision`` is in its file: a journal of it is not to be replayed."""
        text = str(revision).encode()
        self._disk.replace_file(self._shown, text, self.temporary, sync=sync)

    def reserve_revision(self, revision: int) -> None:
        """See to it that a restart, even after a crash, begins at ``revision`` or above."""
        if revision > self._reserved_until:
            self._write_revision(revision + REVISION_RESERVE)

    def settle_revision(self, revision: int) -> None:
        """At a clean stop: the exact revision, so that none is skipped."""
        self._write_revision(revision)

    def _write_revision(self, revision: int) -> None:
        text = str(revision).encode()
        self._disk.replace_file(self._revision, text, self.temporary, sync=True)
        self._reserved_until = revision


def checksum(value: bytes) -> int:
    """Of a value's compact JSON text."""
    return zlib.crc32(value)
