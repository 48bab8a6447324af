"""The files follow: values written to and read from the folder, some time behind the journal.

What a key's file should hold is noted by the server's thread; `step`, called by one thread of the
engine's, brings the files there. Of several changes to a key only the last is written: at once
when the key was quiet, once in a period while it changes all the time.

Everything that looks at files while the server runs happens in that same thread, so that a file
we wrote ourselves is known from one that another hand wrote by its stamp alone.

A value's file and its expiry record are two files; the record is written first and names the
value by a checksum, so that neither is ever taken for the other's.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path

from dunena.persistence.disk.disk import Disk, Stamp
from dunena.persistence.disk.layout import Found, Layout
from dunena.persistence.disk.pace import Pace
from dunena.persistence.disk.records import Records, checksum
from dunena.persistence.effects import Effect, Place
from dunena.persistence.interface import Damage, Progress
from dunena.store.entry import Entry
from dunena.store.values import InvalidJsonError, decode_file, encode, encode_readable

RETRY_SECONDS = 1.0
"""After a file that could not be written."""

FAILURES_PER_STEP_MAX = 16
"""One file with something in its way must not hold up the others; but when so many cannot be
written it is the disk, and there is no use in trying all of them each time."""

ENTRIES_PER_PROGRESS = 1000
"""Some tens of ms."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Wanted:
    """What a key's file should hold: changes ``first`` to ``last``, which it does not show.

    ``is_stored`` says that another hand wrote it there.
    """

    entry: Entry | None
    is_stored: bool
    first: int
    last: int


Journaled = Callable[[int, float], float | None]
"""Whether all changes up to a revision may be shown at a time: None, or when to ask again."""


class Mirror:
    """Keeps the folder equal to what was noted.

    No file shows a change before ``journaled`` allows it: a device might keep the file and lose
    the journal, and with it the rest of what was changed together.
    """

    def __init__(self, disk: Disk, layout: Layout, records: Records, journaled: Journaled) -> None:
        self._disk = disk
        self._journaled = journaled
        self._layout = layout
        self._records = records
        self._quarantine = records.folder / "quarantine"
        self._lock = threading.Lock()  # of the next three, which both threads use
        self._wanted: dict[Place, _Wanted] = {}
        self._due: list[tuple[float, int, Place]] = []
        self._noted_revision = 0
        self._count = 0
        self._paces: dict[Place, Pace] = {}
        self._stamps: dict[Place, Stamp] = {}
        self._foreign: set[Place] = set()  # whose stamp is of a file that another hand wrote
        self._expiring: set[Place] = set()
        self._unsynced: set[Path] = set()
        self._damaged: dict[Place, Damage] = {}
        self._unreadable: list[Damage] = []
        self._failing: dict[Place, str] = {}  # why the last try did not work

    # --- the server's thread ---

    def note(
        self, effects: dict[Place, Effect], revision: int, last: int, now: float
    ) -> float | None:
        """Changes ``revision`` to ``last`` were kept: the files should show them.

        When the first of those that were not waiting yet is due; None if all were.
        """
        first_due: float | None = None
        with self._lock:
            self._noted_revision = last
            for place, effect in effects.items():
                before = self._wanted.get(place)
                first = revision if before is None else before.first
                self._wanted[place] = _Wanted(effect.after, effect.is_stored, first, last)
                if before is None:
                    pace = self._paces.get(place)
                    due = now if pace is None else max(now, pace.until)
                    self._push(due, place)
                    first_due = due if first_due is None else min(first_due, due)
        return first_due

    @property
    def behind_count(self) -> int:
        """Keys whose file does not show the latest change yet."""
        return len(self._wanted)

    @property
    def failure(self) -> str | None:
        """A file that cannot be written at present, and why; None while all can."""
        return next(iter(list(self._failing.values())), None)

    @property
    def shown_revision(self) -> int:
        """Every change up to this one is in its file."""
        with self._lock:
            if not self._wanted:
                return self._noted_revision
            return min(wanted.first for wanted in self._wanted.values()) - 1

    # --- the engine's thread ---

    def load(self, revision: int, progress: Progress | None = None) -> list[Entry]:
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
            if progress is not None and len(entries) % ENTRIES_PER_PROGRESS == 0:
                progress(len(entries))
        return entries

    def modified_ns(self, place: Place) -> int | None:
        """When a key's file was changed, as it was read; None without a file."""
        stamp = self._stamps.get(place)
        return None if stamp is None else stamp.modified_ns

    def step(self, now: float) -> float | None:
        """Write what is due; when to come back, None for when something was noted."""
        while batch := self._take_due(now):
            later = self._journaled(max(wanted.last for _, wanted in batch), now)
            if later is None:
                self._bring_all(batch, now)
            else:
                self._postpone((place for place, _ in batch), later)
        with self._lock:
            self._paces = {p: pace for p, pace in self._paces.items() if not pace.is_rested(now)}
            return self._due[0][0] if self._due else None

    def flush(self, now: float) -> bool:
        """Write everything that is noted, due or not; whether all of it worked."""
        with self._lock:
            batch = list(self._wanted.items())
        # Every one is tried, whatever became of those before it.
        outcomes = [self._bring(place, wanted, now) for place, wanted in batch]
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

    def _postpone(self, places: Iterable[Place], due: float) -> None:
        with self._lock:
            for place in places:
                self._push(due, place)

    def _take_due(self, now: float) -> list[tuple[Place, _Wanted]]:
        batch = []
        with self._lock:
            while self._due and self._due[0][0] <= now:
                place = heappop(self._due)[2]
                wanted = self._wanted.get(place)
                if wanted is not None:
                    batch.append((place, wanted))
        return batch

    def _bring_all(self, batch: list[tuple[Place, _Wanted]], now: float) -> None:
        failures = 0
        for number, (place, wanted) in enumerate(batch):
            if failures == FAILURES_PER_STEP_MAX:
                # Those that were not tried come first next time.
                rest = (place for place, _ in batch[number:])
                self._postpone(rest, now + RETRY_SECONDS / 2)
                return
            if not self._bring(place, wanted, now):
                failures += 1
                self._postpone([place], now + RETRY_SECONDS)

    def _bring(self, place: Place, wanted: _Wanted, now: float) -> bool:
        """Make one file show what is wanted; False if the disk refuses."""
        try:
            self._apply(place, wanted)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            if not self._failing:
                _log.error("files cannot be written and will follow later: %s", reason)
            self._failing[place] = reason
            return False
        if self._failing.pop(place, None) is not None and not self._failing:
            _log.warning("files are written again")
        with self._lock:
            pace = self._paces.setdefault(place, Pace())
            pace.done(now)
            if self._wanted.get(place) is wanted:
                del self._wanted[place]
            else:  # it changed meanwhile
                self._push(pace.until, place)
        return True

    def _apply(self, place: Place, wanted: _Wanted) -> None:
        if wanted.is_stored and self._is_shown(place, wanted.entry):
            self._drop_expiry(place)
        elif wanted.entry is None:
            self._remove(place)
        else:
            self._write(place, wanted.entry)

    def _is_shown(self, place: Place, entry: Entry | None) -> bool:
        """Whether the file is as another hand left it, and nothing of ours came between.

        The file is not read for it: that hand may be changing it again at this very moment, and
        what it writes then must not be taken for something of ours.
        """
        path = self._layout.actual(place)
        self._unsynced.add(path)  # that hand may not have forced it to the device
        stamp = self._disk.stamp(path)
        if entry is None and stamp is None:
            self._stamps.pop(place, None)
            return True
        if stamp != self._stamps.get(place):
            return True  # it was there once more (or took the file away), and will be heard of
        return place in self._foreign

    def _write(self, place: Place, entry: Entry) -> None:
        self._set_damage_aside(place)
        self._layout.make_way(place)
        if entry.expires_at is not None:
            self._expiring.add(place)
            name = self._layout.relative(place)
            self._unsynced.add(self._records.keep_expiry(name, entry.expires_at, entry.value))
        path = self._layout.canonical(place)
        self._note_unsynced(place, path)
        content = encode_readable(entry.value)
        temporary = self._records.temporary
        self._stamps[place] = self._disk.replace_file(path, content, temporary, sync=False)
        self._foreign.discard(place)
        if entry.expires_at is None:
            self._drop_expiry(place)
        alias = self._layout.forget_alias(place)
        if alias is not None:
            self._disk.remove(alias)

    def _remove(self, place: Place) -> None:
        self._set_damage_aside(place)
        path = self._layout.actual(place)
        self._foreign.discard(place)
        self._stamps.pop(place, None)
        self._disk.remove(path)
        self._layout.forget_alias(place)
        self._note_unsynced(place, path)
        self._layout.drop_folder(place[0])
        self._drop_expiry(place)

    def _note_unsynced(self, place: Place, path: Path) -> None:
        self._unsynced.add(path)
        if place[0]:
            self._unsynced.add(path.parent)  # the namespace's folder may have come, or may go

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
        self._foreign.add(found.place)
        self._supersede(found.place, value)
        return value

    def _supersede(self, place: Place, value: bytes) -> None:
        """What was to be written is older than what stands there now."""
        with self._lock:
            wanted = self._wanted.get(place)
            if wanted is None or (wanted.entry is not None and wanted.entry.value == value):
                return
            entry = Entry(*place, value, None, wanted.last)
            self._wanted[place] = _Wanted(entry, True, wanted.first, wanted.last)

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
