"""Making a backup from the entries of a moment, piece by piece; no I/O."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dunena.backup.form import (
    ENTRIES,
    LEFT_OUT_MAX,
    MANIFEST,
    PAGES,
    Checksum,
    EntryLine,
    Manifest,
    value_file,
)
from dunena.backup.zip_stream import Deflating, ZipStream, packed_whole
from dunena.store.entry import Entry, EphemeralEntry


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The store at one moment, by references to its entries, which do not change.

    ``now`` is Unix ms of the clock that the expiries are in, which lags that of the wall by
    ``step_ms``. ``entries`` are taken out of the list while a backup is made of it.
    """

    entries: list[Entry]
    revision: int
    now: int
    step_ms: int = 0


class Page:
    """A file of the folder of pages: its name with slashes, and its content in pieces.

    ``pieces`` raises `OSError` at its first piece if the file cannot be read.
    """

    __slots__ = ("name", "pieces")

    def __init__(self, name: str, pieces: Iterator[bytes]) -> None:
        self.name = name
        self.pieces = pieces


@dataclass(slots=True)
class _Counts:
    """What a manifest counts."""

    keys: int = 0
    expiring: int = 0
    value_bytes: int = 0
    pages: int = 0
    namespaces: set[str] = field(default_factory=set)
    left_out: list[str] = field(default_factory=list)


def write_backup(snapshot: Snapshot, version: str, pages: Iterable[Page] = ()) -> Iterator[bytes]:
    """Yield the bytes of a backup; ``version`` is that of this dunena.

    Keys that end with a session, and those past their expiry, are left out. A file of pages that
    cannot be read is left out and named; `OSError` is raised if it cannot be read to its end.
    """
    made_at = snapshot.now + snapshot.step_ms
    archive = ZipStream(datetime.fromtimestamp(made_at / 1000, UTC))
    checksum, counts = Checksum(), _Counts()
    lines = Deflating()
    packed, digest = bytearray(), hashlib.sha256()
    entries = snapshot.entries
    entries.reverse()
    while entries:
        entry = entries.pop()  # so that what was replaced meanwhile is freed as soon as it can be
        line = _line_of(entry, snapshot)
        if line is None:
            continue
        counts.keys += 1
        counts.expiring += line.expires_at is not None
        counts.value_bytes += len(entry.value)
        counts.namespaces.add(entry.ns)
        checksum.add(line.file, hashlib.sha256(entry.value).hexdigest())
        encoded = line.encode()
        digest.update(encoded)
        packed += lines.add(encoded)
        yield archive.add(line.file, entry.value)
    for page in pages:
        yield from _write_page(page, archive, checksum, counts)
    packed += lines.size_with_end()[1]
    checksum.add(ENTRIES, digest.hexdigest())
    yield archive.add_packed(ENTRIES, packed_whole(lines, bytes(packed)))
    manifest = Manifest(
        dunena=version,
        made_at=made_at,
        revision=snapshot.revision,
        keys=counts.keys,
        namespaces=len(counts.namespaces - {""}),
        expiring=counts.expiring,
        value_bytes=counts.value_bytes,
        pages=counts.pages,
        sha256=checksum.text,
        left_out=counts.left_out,
    )
    yield archive.add(MANIFEST, manifest.encode())
    yield from archive.finish()


def _line_of(entry: Entry, snapshot: Snapshot) -> EntryLine | None:
    """Return the line of an entry; None if it is in no backup."""
    if isinstance(entry, EphemeralEntry):
        return None
    expires_at = entry.expires_at
    if expires_at is not None:
        if expires_at <= snapshot.now and entry.then is None:
            return None
        expires_at += snapshot.step_ms
    return EntryLine(value_file(entry.ns, entry.key), entry.ns, entry.key, expires_at, entry.then)


def _write_page(
    page: Page, archive: ZipStream, checksum: Checksum, counts: _Counts
) -> Iterator[bytes]:
    try:
        piece = next(page.pieces, b"")
    except OSError as error:
        if len(counts.left_out) < LEFT_OUT_MAX:
            counts.left_out.append(f"{page.name}: {error.strerror or error}")
        return
    counts.pages += 1
    digest = hashlib.sha256()
    yield archive.begin(f"{PAGES}{page.name}")
    while piece:
        digest.update(piece)
        yield archive.more(piece)
        piece = next(page.pieces, b"")
    checksum.add(f"{PAGES}{page.name}", digest.hexdigest())
    yield archive.end()
