"""What ``.dunena/`` keeps beside the values: expiry times, long names, revisions.

Each record is ``<CRC-32, 8 hex digits> <content>``. The checksum begins with what the record is for
and its name, so that one that was damaged, or is in the place of another, is never believed.

An expiry is bound to its value by a checksum as well: it is written before the value, so a crash
between the two must not give the old value the new one's expiry.
"""

import hashlib
import zlib
from collections.abc import Callable
from typing import NamedTuple

import orjson

from dunena.persistence.disk.disk import Disk, join, name_of
from dunena.persistence.disk.files import name_hash
from dunena.persistence.interface import Damage, DamageKind
from dunena.store.limits import EXPIRES_AT_MS_MAX

REVISION_RESERVE = 100_000
"""Revisions promised to the disk at a time: after a crash the count goes on above all that were
given out, and only one commit in so many has to write the number."""

REVISION_LEAP = 10_000_000
"""Where the record of it is damaged: above what many runs that died may have promised."""

_BYTES_MAX = 1 << 16  # of a record: names and numbers
_CHECKSUM_BYTES = 9  # with the space behind it


class DamagedRecordError(Exception):
    """A record is not as it was written."""


class Run(NamedTuple):
    """How a folder was opened: in which start of the machine (None where a system does not tell),
    whether files are forced to the device, the folder's number on it, and the revision then."""

    boot: str | None
    is_forced: bool
    inode: int
    revision: int = 0


class Records:
    """The records' folder; raises OSError as the file system does."""

    def __init__(
        self, disk: Disk, folder: str, wall_step_ms: Callable[[], int] = lambda: 0
    ) -> None:
        self._disk = disk
        self._wall_step_ms = wall_step_ms
        self.folder = folder
        self.temporary = join(folder, "tmp")
        self._expiries = join(folder, "expiry")
        self.names = join(folder, "names")
        self._revision = join(folder, "revision")
        self._flushed = join(folder, "shown")
        self._address = join(folder, "server")
        self._run = join(folder, "run")
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
                record = orjson.loads(self._read(path, "expiry"))
                expiries[record["file"]] = (int(record["expiresAt"]), int(record["checksum"]))
            except (OSError, DamagedRecordError, ValueError, TypeError, KeyError) as error:
                reason = f"an expiry time that cannot be read: {error}"
                damages.append(Damage(path, reason, DamageKind.RECORD))
        return expiries, damages

    def keep_expiry(self, file: str, expires_at: int, value: bytes) -> str:
        """Bind an expiry to a value that is about to be written to ``file``; the record's path."""
        by_wall_clock = min(expires_at + self._wall_step_ms(), EXPIRES_AT_MS_MAX)
        record = {"file": file, "expiresAt": by_wall_clock, "checksum": checksum(value)}
        path = self.expiry_path(file)
        self._write(path, "expiry", orjson.dumps(record), sync=False)
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
            name = self._read(join(self.names, record), "name").decode()
        except (OSError, DamagedRecordError, UnicodeError):
            return None
        return name if name_hash(name) == record else None

    def keep_name(self, record: str, name: str) -> None:
        """Remember what a hash stands for; needed once, before the first file of that name.

        On the device when it returns: without it, the file would be nobody's.
        """
        if self.full_name(record) != name:
            self._write(join(self.names, record), "name", name.encode(), sync=True)

    # --- the running server ---

    def load_address(self) -> str | None:
        """Where the server that has the folder answers, if it said so."""
        try:
            return self._disk.read(self._address, _BYTES_MAX).decode().strip() or None
        except (OSError, UnicodeError):
            return None

    def keep_address(self, url: str) -> None:
        """Say where this server answers."""
        self._disk.replace_file(self._address, url.encode(), self.temporary, sync=False)

    def load_run(self) -> Run | None:
        """How the folder was opened last; None where nothing tells."""
        try:
            record = orjson.loads(self._read(self._run, "run"))
            return Run(
                record["boot"], record["isForced"], record["inode"], int(record.get("revision", 0))
            )
        except (OSError, DamagedRecordError, ValueError, TypeError, KeyError):
            return None

    def keep_run(self, run: Run) -> None:
        """This is how it is from now on; on the device, or a power cut would make it damage."""
        record = {
            "boot": run.boot,
            "isForced": run.is_forced,
            "inode": run.inode,
            "revision": run.revision,
        }
        self._write(self._run, "run", orjson.dumps(record), sync=True)

    # --- revision ---

    def load_revision(self) -> int | None:
        """The revision that no new change may go below; None if nothing tells it."""
        return self._load_number(self._revision, "revision")

    def load_flushed_revision(self) -> int | None:
        """The revision up to which no journal is needed; None if nothing tells it."""
        return self._load_number(self._flushed, "shown")

    @property
    def is_new(self) -> bool:
        """Whether no server has opened the folder yet."""
        return not any(
            self._disk.exists(path) for path in (self._revision, self._flushed, self._run)
        )

    def damaged(self) -> list[Damage]:
        """Of these two and the run, what is there and cannot be read."""
        loaded = {
            self._revision: self.load_revision,
            self._flushed: self.load_flushed_revision,
            self._run: self.load_run,
        }
        return [
            Damage(path, f"the {name_of(path)} cannot be read", DamageKind.RECORD)
            for path, load in loaded.items()
            if self._disk.exists(path) and load() is None
        ]

    def keep_flushed_revision(self, revision: int, *, sync: bool) -> None:
        """Every change up to ``revision`` is in its file: a journal of it is not to be replayed."""
        self._write(self._flushed, "shown", str(revision).encode(), sync=sync)

    def reserve_revision(self, revision: int) -> None:
        """See to it that a restart, even after a crash, begins at ``revision`` or above."""
        if revision > self._reserved_until:
            self._write_revision(revision + REVISION_RESERVE)

    def settle_revision(self, revision: int) -> None:
        """At a clean stop: the exact revision, so that none is skipped."""
        self._write_revision(revision)

    def _write_revision(self, revision: int) -> None:
        self._write(self._revision, "revision", str(revision).encode(), sync=True)
        self._reserved_until = revision

    # --- inside ---

    def _load_number(self, path: str, purpose: str) -> int | None:
        try:
            return int(self._read(path, purpose))
        except (OSError, DamagedRecordError, ValueError):
            return None

    def _write(self, path: str, purpose: str, content: bytes, *, sync: bool) -> None:
        text = b"%08x %s" % (_checksum_of(path, purpose, content), content)
        self._disk.replace_file(path, text, self.temporary, sync=sync)

    def _read(self, path: str, purpose: str) -> bytes:
        text = self._disk.read(path, _BYTES_MAX)
        content = text[_CHECKSUM_BYTES:]
        if text[:_CHECKSUM_BYTES] != b"%08x " % _checksum_of(path, purpose, content):
            raise DamagedRecordError("its checksum is another one")
        return content


def _checksum_of(path: str, purpose: str, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(f"{purpose} {name_of(path)}\n".encode()))


def checksum(value: bytes) -> int:
    """Of a value's compact JSON text."""
    return zlib.crc32(value)
