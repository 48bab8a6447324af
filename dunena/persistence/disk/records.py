"""The records in ``.dunena/``: format, expiry times, long names, revisions and the last run.

Each record is ``<CRC-32, 8 hex digits> <content>``. The checksum includes the record's purpose and
name, so that a damaged record, or one in the place of another, is rejected.
An expiry also has a checksum of its value: it is written before the value, and a crash between the
two must not give the old value the new expiry. What is merged into the value at that time is in the
same record.
"""

import hashlib
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from dunena.persistence.disk.disk import Disk, join, name_of
from dunena.persistence.disk.files import name_hash
from dunena.persistence.interface import Damage, DamageKind
from dunena.plain_files import FileTooLargeError, NotPlainError
from dunena.store.limits import EXPIRES_AT_MS_MAX

REVISION_RESERVE = 100_000
"""Revisions reserved on disk at a time: after a crash, revisions continue above all that were used,
and only one commit in so many has to write the record."""

REVISION_LEAP = 10_000_000
"""Added to the known revision if the record is damaged: more than many killed runs reserve."""

_BYTES_MAX = 1 << 16  # of a record of names and numbers
_CHECKSUM_BYTES = 9  # the checksum and the space after it


class DamagedRecordError(Exception):
    """The checksum of a record is wrong."""


class Run(NamedTuple):
    """How a folder was opened: the boot of the machine (None if unknown), whether files are forced
    to the device, the folder's inode number, the revision that loading it got, and the version of
    the folder's format (0 if it was not recorded)."""

    boot: str | None
    is_forced: bool
    inode: int
    revision: int = 0
    format_version: int = 0


class FormatRecord(NamedTuple):
    """The record of a folder's format: its version, from 1 on, and the dunena that gave it that."""

    version: int
    dunena: str


class Expiry(NamedTuple):
    """The record of an expiry: when, Unix ms, and the checksum of the value that it belongs to.

    ``then`` is the JSON that is merged into the value at that time; None if the value goes.
    """

    expires_at: int
    checksum: int
    then: bytes | None = None


class Records:
    """Reads and writes the records in ``folder``; methods raise OSError as the disk does.

    ``wall_step_ms`` returns how far the wall clock is ahead of the clock of expiries.
    """

    def __init__(
        self, disk: Disk, folder: str, wall_step_ms: Callable[[], int] = lambda: 0
    ) -> None:
        self._disk = disk
        self._wall_step_ms = wall_step_ms
        self.folder = folder
        self.temporary = join(folder, "tmp")
        self.expiries = join(folder, "expiry")
        self.names = join(folder, "names")
        self.revision_path = join(folder, "revision")
        self.flushed_path = join(folder, "shown")
        self._address = join(folder, "server")
        self.run_path = join(folder, "run")
        self.format_path = join(folder, "format")
        self._reserved_until = 0

    def prepare(self) -> None:
        """Make the folders and remove drafts of a killed run."""
        for folder in self.folders:
            self._disk.make_folder(folder)
        for draft in self._disk.names(self.temporary).files:
            self._disk.remove(join(self.temporary, draft))

    @property
    def folders(self) -> list[str]:
        """The paths of all folders for records."""
        return [self.folder, self.temporary, self.expiries, self.names]

    # --- format ---

    def load_format(self) -> FormatRecord | None:
        """Read the version of the folder's format; None if it was never recorded.

        Raise `DamagedRecordError` for a record that is not valid. A program of any version has to
        be able to read it, so the form of this record never changes; it may get further members.
        """
        try:
            record = orjson.loads(self._read(self.format_path, "format"))
            version, dunena = record["format"], record["dunena"]
        except FileNotFoundError:
            return None
        except (NotPlainError, FileTooLargeError, ValueError, TypeError, KeyError) as error:
            raise DamagedRecordError("it is no record of a format") from error
        if type(version) is not int or version < 1 or not isinstance(dunena, str):
            raise DamagedRecordError("it is no record of a format")
        return FormatRecord(version, dunena)

    def keep_format(self, record: FormatRecord) -> None:
        """Write the version of the folder's format; it is on the device on return."""
        members = {"format": record.version, "dunena": record.dunena}
        self.rewrite(self.format_path, "format", orjson.dumps(members))

    def rewrite(self, path: str, purpose: str, content: bytes) -> None:
        """Write a record with its checksum; it is on the device on return."""
        self._write(path, purpose, content, sync=True)

    # --- expiry ---

    def load_expiries(self) -> tuple[dict[str, Expiry], list[Damage]]:
        """Read all expiries, by the relative path of the value's file; and the damaged records."""
        expiries = {}
        damages = []
        for name in self._disk.names(self.expiries).files:
            path = join(self.expiries, name)
            try:
                # What is merged into a value may be as long as a value.
                record = orjson.loads(self._read(path, "expiry", bytes_max=None))
                expiries[record["file"]] = _expiry_of(record)
            except (OSError, DamagedRecordError, ValueError, TypeError, KeyError) as error:
                reason = f"an expiry time that cannot be read: {error}"
                damages.append(Damage(path, reason, DamageKind.RECORD))
        return expiries, damages

    def keep_expiry(
        self, file: str, expires_at: int, value: bytes, then: bytes | None = None
    ) -> str:
        """Write the expiry (Unix ms) of a value that will be written to ``file``.

        ``then`` is the JSON that is merged into it at that time; None if the value goes. Return the
        record's path.
        """
        by_wall_clock = min(expires_at + self._wall_step_ms(), EXPIRES_AT_MS_MAX)
        record = {"file": file, "expiresAt": by_wall_clock, "checksum": checksum(value)}
        if then is not None:
            record["then"] = orjson.Fragment(then)
        path = self.expiry_path(file)
        self._write(path, "expiry", orjson.dumps(record), sync=False)
        return path

    def drop_expiry(self, file: str) -> str:
        """Remove the expiry of the value in ``file``; return the path of the removed record."""
        path = self.expiry_path(file)
        self._disk.remove(path)
        return path

    def expiry_path(self, file: str) -> str:
        """Return the path of the expiry record of the value in ``file``."""
        # A hash of the path has no separator and is short.
        return join(self.expiries, hashlib.sha256(file.encode()).hexdigest()[:32])

    # --- long names ---

    def full_name(self, record: str) -> str | None:
        """Return the name that was shortened to this hash; None without a valid record."""
        try:
            name = self._read(join(self.names, record), "name").decode()
        except (OSError, DamagedRecordError, UnicodeError):
            return None
        return name if name_hash(name) == record else None

    def keep_name(self, record: str, name: str) -> None:
        """Write the full name of a hash, once, before the first file of that name.

        The record is on the device on return: without it the file would have no key.
        """
        if self.full_name(record) != name:
            self._write(join(self.names, record), "name", name.encode(), sync=True)

    # --- the running server ---

    def load_address(self) -> str | None:
        """Return the URL of the server that uses the folder; None if it is not recorded."""
        try:
            return self._disk.read(self._address, _BYTES_MAX).decode().strip() or None
        except (OSError, UnicodeError):
            return None

    def keep_address(self, url: str) -> None:
        """Write the URL of this server."""
        self._disk.replace_file(self._address, url.encode(), self.temporary, sync=False)

    def load_run(self) -> Run | None:
        """Return how the folder was last opened; None without a valid record."""
        try:
            record = orjson.loads(self._read(self.run_path, "run"))
            return Run(
                record["boot"],
                record["isForced"],
                record["inode"],
                int(record.get("revision", 0)),
                int(record.get("format", 0)),
            )
        except (OSError, DamagedRecordError, ValueError, TypeError, KeyError):
            return None

    def keep_run(self, run: Run) -> None:
        """Write how the folder is opened now.

        The record is on the device on return: otherwise a torn end after a power cut would count as
        damage.
        """
        record = {
            "boot": run.boot,
            "isForced": run.is_forced,
            "inode": run.inode,
            "revision": run.revision,
            "format": run.format_version,
        }
        self._write(self.run_path, "run", orjson.dumps(record), sync=True)

    # --- revision ---

    def load_revision(self) -> int | None:
        """Return the revision that new changes must exceed; None without a valid record."""
        return self._load_number(self.revision_path, "revision")

    def load_flushed_revision(self) -> int | None:
        """Return the revision up to which no journal is needed; None without a valid record."""
        return self._load_number(self.flushed_path, "shown")

    @property
    def is_new(self) -> bool:
        """Return whether no server has opened the folder yet."""
        return not any(
            self._disk.exists(path)
            for path in (self.revision_path, self.flushed_path, self.run_path)
        )

    def damaged(self) -> list[Damage]:
        """Return damages for the two revisions and the run whose records are not valid."""
        loaded = {
            self.revision_path: self.load_revision,
            self.flushed_path: self.load_flushed_revision,
            self.run_path: self.load_run,
        }
        return [
            Damage(path, f"the {name_of(path)} cannot be read", DamageKind.RECORD)
            for path, load in loaded.items()
            if self._disk.exists(path) and load() is None
        ]

    def keep_flushed_revision(self, revision: int, *, sync: bool) -> None:
        """Record that every change up to ``revision`` is in its file, and needs no journal."""
        self._write(self.flushed_path, "shown", str(revision).encode(), sync=sync)

    def reserve_revision(self, revision: int) -> None:
        """Make sure that a restart, even after a crash, begins at ``revision`` or above."""
        if revision > self._reserved_until:
            self._write_revision(revision + REVISION_RESERVE)

    def settle_revision(self, revision: int) -> None:
        """Write the exact revision at a clean stop, so that none is skipped."""
        self._write_revision(revision)

    def _write_revision(self, revision: int) -> None:
        self._write(self.revision_path, "revision", str(revision).encode(), sync=True)
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

    def _read(self, path: str, purpose: str, bytes_max: int | None = _BYTES_MAX) -> bytes:
        text = self._disk.read(path, bytes_max)
        content = text[_CHECKSUM_BYTES:]
        if text[:_CHECKSUM_BYTES] != b"%08x " % _checksum_of(path, purpose, content):
            raise DamagedRecordError("its checksum is another one")
        return content


def _expiry_of(record: dict[str, Any]) -> Expiry:
    then = orjson.dumps(record["then"]) if "then" in record else None
    return Expiry(int(record["expiresAt"]), int(record["checksum"]), then)


def _checksum_of(path: str, purpose: str, content: bytes) -> int:
    return zlib.crc32(content, zlib.crc32(f"{purpose} {name_of(path)}\n".encode()))


def checksum(value: bytes) -> int:
    """Return the CRC-32 of a value's compact JSON text."""
    return zlib.crc32(value)
