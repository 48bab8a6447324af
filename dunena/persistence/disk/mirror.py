"""The files follow: values written to and read from the folder, some time behind the journal.

What a key's file should hold is noted by the server's thread; `step`, called by one thread of the
engine's, brings the files there. Of several changes to a key only the last is written: at once
when the key was quiet, once in a `PERIOD_SECONDS` while it changes all the time.

Everything that looks at files while the server runs happens in that same thread, so that a file
we wrote ourselves is known from one that another hand wrote by its stamp alone.

A value's file and its expiry record are two files; the record is written first and names the
value by a checksum, so that neither is ever taken for the other's.
"""

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path

from dunena.persistence.disk.disk import Disk, Stamp
from dunena.persistence.disk.layout import Found, Layout
from dunena.persistence.disk.records import Records, checksum
from dunena.persistence.effects import Effect, Place
from dunena.persistence.interface import Damage
from dunena.store.entry import Entry
from dunena.store.values import InvalidJsonError, decode_file, encode, encode_readable

PERIOD_SECONDS = 1.0
"""Between two writes of one key's file under constant changes: sixty a second would wear the
device out and be read by nobody. After as long a rest a key counts as quiet."""

FIRST_PAUSE_SECONDS = 0.02
PAUSE_GROWTH = 5
"""A quiet key's file follows at once; from then on each write waits longer than the one before,
up to the period, so that two changes by hand are both seen at once and a stream of them is not."""

RETRY_SECONDS = 1.0
"""After a file that could not be written."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Wanted:
    """What a key's file should hold; ``revision`` is the first change that it does not show."""

    entry: Entry | None
    is_stored: bool
    revision: int


@dataclass(slots=True)
class _Pause:
    """How long a key's file rests after a write, and until when."""

    until: float
    seconds: float


class Mirror:
    """Keeps the folder equal to what was noted."""

    def __init__(self, disk: Disk, layout: Layout, records: Records) -> None:
        self._disk = disk
        self._layout = layout
        self._records = records
        self._quarantine = records.folder / "quarantine"
        self._lock = threading.Lock()  # of the next three, which both threads use
        self._wanted: dict[Place, _Wanted] = {}
        self._due: list[tuple[float, int, Place]] = []
        self._noted_revision = 0
        self._count = 0
        self._pauses: dict[Place, _Pause] = {}
        self._stamps: dict[Place, Stamp] = {}
        self._expiring: set[Place] = set()
        self._unsynced: set[Path] = set()
        self._damaged: dict[Place, Damage] = {}
        self._unreadable: list[Damage] = []
        self.failure: str | None = None

    # --- the server's thread ---

    def note(self, effects: dict[Place, Effect], revision: int, last: int, now: float) -> None:
        """Changes ``revision`` to ``last`` were kept: the files should show them."""
        with self._lock:
            self._noted_revision = last
            for place, effect in effects.items():
                before = self._wanted.get(place)
                first = revision if before is None else before.revision
                self._wanted[place] = _Wanted(effect.after, effect.is_stored, first)
                if before is None:
                    pause = self._pauses.get(place)
                    self._push(now if pause is None else max(now, pause.until), place)

    @property
    def behind_count(self) -> int:
        """Keys whose file does not show the latest change yet."""
        return len(self._wanted)

    @property
    def shown_revision(self) -> int:
        """Every change up to this one is in its file."""
        with self._lock:
            if not self._wanted:
                return self._noted_revision
            return min(wanted.revision for wanted in self._wanted.values()) - 1

    # --- the engine's thread ---

    def load(self, revision: int) -> list[Entry]:
        """Every entry of the folder, at ``revision``. What is damaged is noted and left alone."""
        expiries, self._unreadable = self._records.load_expiries()
        self._noted_revision = revision
        entries = []
        for found in self._layout.scan(self._unreadable):
            value = self._read(found)
            if value is None:
                continue
            self._layout.adopt(found)
            name = self._layout.relative(found.place)
            expires_at, bound_to = expiries.get(name, (None, None))
            if name in expiries:
                self._expiring.add(found.place)
            if bound_to != checksum(value):
                expires_at = None
            entries.append(Entry(*found.place, value, expires_at, revision))
        return entries

    def modified_ns(self, place: Place) -> int | None:
        """When a key's file was changed, as it was read; None without a file."""
        stamp = self._stamps.get(place)
        return None if stamp is None else stamp.modified_ns

    def step(self, now: float) -> float | None:
        """Write what is due; when to come back, None for when something was noted."""
        while True:
            with self._lock:
                if not self._due:
                    break
                due, _, place = self._due[0]
                if due > now:
                    return due
                heappop(self._due)
                wanted = self._wanted.get(place)
            if wanted is not None and not self._bring(place, wanted, now):
                return now + RETRY_SECONDS
        with self._lock:
            recent = now - PERIOD_SECONDS
            self._pauses = {p: pause for p, pause in self._pauses.items() if pause.until > recent}
        return None

    def flush(self) -> bool:
        """Write everything that is noted, due or not; whether all of it worked."""
        with self._lock:
            places = list(self._wanted)
        # Every one is tried, whatever became of those before it.
        outcomes = [self._bring(place, self._wanted[place], 0.0) for place in places]
        return all(outcomes)

    def sync(self) -> None:
        """Force what was written to the device."""
        paths, self._unsynced = self._unsynced, set()
        try:
            self._disk.sync(paths)
        except OSError:
            self._unsynced |= paths
            raise

    def touched(self, paths: Iterable[Path]) -> tuple[list[Found], list[tuple[Place, bytes]]]:
        """Look at paths that something touched: files that are gone, and values not written by us.

        Files that cannot be read are damaged from now on.
        """
        gone: list[Found] = []
        changed: list[tuple[Place, bytes]] = []
        for path in paths:
            for found in self._files_at(path):
                if self._disk.stamp(found.path) is None:
                    if self._is_own(found):
                        gone.append(found)
                    self._damaged.pop(found.place, None)
                    continue
                value = self._read_foreign(found)
                if value is not None:
                    changed.append((found.place, value))
        return gone, changed

    def damages(self) -> list[Damage]:
        """What cannot be read and was left where it is."""
        return [*self._unreadable, *list(self._damaged.values())]

    def damage_at(self, path: Path) -> Damage | None:
        """What is wrong with a file."""
        return next((damage for damage in self.damages() if damage.path == str(path)), None)

    # --- inside ---

    def _push(self, due: float, place: Place) -> None:
        self._count += 1
        heappush(self._due, (due, self._count, place))

    def _bring(self, place: Place, wanted: _Wanted, now: float) -> bool:
        """Make one file show what is wanted; False if the disk refuses."""
        try:
            self._apply(place, wanted)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            if self.failure is None:
                _log.error("files cannot be written and will follow later: %s", reason)
            self.failure = reason
            with self._lock:
                self._push(now + RETRY_SECONDS, place)
            return False
        if self.failure is not None:
            self.failure = None
            _log.warning("files are written again")
        with self._lock:
            pause = self._pauses.get(place)
            if pause is None or pause.until + PERIOD_SECONDS < now:
                pause = self._pauses[place] = _Pause(now + FIRST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS)
            else:
                pause.seconds = min(pause.seconds * PAUSE_GROWTH, PERIOD_SECONDS)
                pause.until = now + pause.seconds
            if self._wanted.get(place) is wanted:
                del self._wanted[place]
            else:  # it changed meanwhile
                self._push(pause.until, place)
        return True

    def _apply(self, place: Place, wanted: _Wanted) -> None:
        if wanted.entry is None:
            self._remove(place)
        elif wanted.is_stored:
            self._drop_expiry(place)
        else:
            self._write(place, wanted.entry)

    def _write(self, place: Place, entry: Entry) -> None:
        self._set_damage_aside(place)
        self._layout.make_way(place)
        if entry.expires_at is not None:
            self._expiring.add(place)
            name = self._layout.relative(place)
            self._unsynced.add(self._records.keep_expiry(name, entry.expires_at, entry.value))
        path = self._layout.canonical(place)
        content = encode_readable(entry.value)
        temporary = self._records.temporary
        self._stamps[place] = self._disk.replace_file(path, content, temporary, sync=False)
        self._unsynced.add(path)
        if entry.expires_at is None:
            self._drop_expiry(place)
        alias = self._layout.forget_alias(place)
        if alias is not None:
            self._disk.remove(alias)

    def _remove(self, place: Place) -> None:
        self._set_damage_aside(place)
        path = self._layout.actual(place)
        self._stamps.pop(place, None)
        self._disk.remove(path)
        self._layout.forget_alias(place)
        self._unsynced.add(path)
        self._layout.drop_folder(place[0])
        self._drop_expiry(place)

    def _drop_expiry(self, place: Place) -> None:
        if place in self._expiring:
            self._unsynced.add(self._records.drop_expiry(self._layout.relative(place)))
            self._expiring.discard(place)

    def _set_damage_aside(self, place: Place) -> None:
        """Move a damaged file to quarantine before its key is written or removed."""
        damage = self._damaged.get(place)
        if damage is None:
            return
        source = Path(damage.path)
        if self._disk.exists(source):
            self._disk.make_folder(self._quarantine)
            target = self._quarantine / source.name
            number = 1
            while self._disk.exists(target):
                number += 1
                target = self._quarantine / f"{source.stem}-{number}{source.suffix}"
            self._disk.rename(source, target)
        del self._damaged[place]

    # --- what other hands did ---

    def _files_at(self, path: Path) -> list[Found]:
        """The values' files that a touched path stands for: itself, or all in a folder."""
        place = self._layout.place_of(path)
        if place is not None and not self._disk.is_folder(path):
            return [Found(place, path)]
        ns = self._layout.namespace_of(path)
        if ns is None:
            return []
        known = [
            Found(place, self._layout.actual(place)) for place in self._stamps if place[0] == ns
        ]
        if not self._disk.is_folder(path):
            return known
        return known + list(self._layout.scan_namespace(ns, path, []))

    def _is_own(self, found: Found) -> bool:
        return found.place in self._stamps and found.path == self._layout.actual(found.place)

    def _read_foreign(self, found: Found) -> bytes | None:
        stamp = self._disk.stamp(found.path)
        if stamp is not None and stamp == self._stamps.get(found.place):
            return None  # we wrote it
        actual = self._layout.actual(found.place)
        if found.path != actual and self._disk.exists(actual):
            _log.warning("%s is not taken over: %s holds the same key", found.path, actual.name)
            return None
        value = self._read(found)
        if value is None:
            return None
        self._layout.adopt(found)
        with self._lock:
            # What was to be written is older than what stands there now.
            wanted = self._wanted.get(found.place)
            if wanted is not None:
                self._wanted[found.place] = _Wanted(wanted.entry, True, wanted.revision)
        return value

    def _read(self, found: Found) -> bytes | None:
        """The encoded value in a file; None if it is damaged, which is then noted."""
        try:
            stamp = self._disk.stamp(found.path)
            value = encode(decode_file(self._disk.read(found.path)))
        except (OSError, InvalidJsonError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            self._damaged[found.place] = Damage(str(found.path), reason or str(error))
            return None
        self._damaged.pop(found.place, None)
        if stamp is not None:
            self._stamps[found.place] = stamp
        return value
