"""One random history of a store on a simulated disk, checked against a plain dictionary.

A history is a number of runs of the keeper, each ended by a clean stop, the death of the process
or a power cut, at any operation of the disk; recovery itself included. What a run finds must be
what the promise of its ``--fsync`` policy allows.

The promise. Death of the process: everything acknowledged. Power cut: with "always", everything
acknowledged; with "everysec", the acknowledged history up to a point no earlier than the last
sync; with "no", every change acknowledged as durable whose key was not changed since. Always: a
commit as a whole or not at all, no revision twice, no half value.

What was not acknowledged when a run ended, or could not be taken back from a device that failed,
may be there or not.

Between two runs other hands write and remove files, whatever the date of each. What they did stays,
but for one thing: after a power cut a file that is gone may be one that was lost with it. They put
what is no file in a file's place: it stays there, and the journal has the value. They move the
whole folder away from under a run, and back: nothing is lost by that.

A bit that flips in one of the keeper's own files may cost what the file said, but never in silence,
and no key gets a value that it never had.
"""

import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random

import orjson

from dunena.persistence.disk.disk import name_of, parent_of
from dunena.persistence.disk.files import decode_file_name
from dunena.persistence.disk.folder_storage import ALL_FILES, FolderStorage
from dunena.persistence.disk.journal_format import FileStep
from dunena.persistence.interface import FormatError
from dunena.persistence.policy import Fsync
from dunena.plain_files import FileKind
from dunena.store.entry import Change, EntryId
from dunena.store.store import Store
from tests.simulation.simulated_disk import SimulatedDisk, Stop

ROOT = Path("/values")
PRIVATE = ROOT / ".dunena"
_BELOW_PRIVATE = str(PRIVATE / "_")[:-1]
_JOURNAL = str(PRIVATE / "journal")
PLACES: Sequence[EntryId] = [("", "a"), ("", "b"), ("", "c d"), ("n", "a"), ("n", "e"), ("m", "f")]

CLOCKS = (0, 10**18, 4 * 10**18, -(10**15))
"""Unix time in ns, as a clock may say that nobody set, or somebody set wrongly."""

_NOT_READ = frozenset({"tmp", "quarantine"})
"""Folders of the keeper's in which a flipped bit is nobody's loss, or that of a value's file."""

Stored = tuple[bytes, int | None, bytes | None]
State = dict[EntryId, Stored]
"""Value and expiry of every key, and what is merged into the value then."""


class BrokenPromiseError(AssertionError):
    """A run found what must not be."""


class Run:
    """The keeper as the engine uses it, with a store, in one thread."""

    def __init__(self, disk: SimulatedDisk, fsync: Fsync, now: float) -> None:
        self.fsync = fsync
        self.storage = FolderStorage(disk, ROOT, PRIVATE, fsync, find_boot=lambda: str(disk.boots))
        self.replaced: set[EntryId] = set()  # files that are being replaced
        self._watch_plans()
        self.storage.prepare()
        loaded = self.storage.open(folds_case=False)
        self.changes: list[Change] = []
        self.store = Store(self.changes.append)
        self.store.load(loaded.entries, loaded.revision)
        self.now = now
        self.steps_meanwhile: Callable[[], bool] = lambda: False

    def _watch_plans(self) -> None:
        journal = self.storage.journal
        plan, shown = journal.plan, journal.carried_out

        def watched_plan(steps: list[FileStep]) -> None:
            plan(steps)
            self.replaced |= {step.entry_id for step in steps}

        def watched_shown(steps: list[FileStep]) -> None:
            shown(steps)
            self.replaced -= {step.entry_id for step in steps}

        journal.plan, journal.carried_out = watched_plan, watched_shown

    def state(self) -> State:
        return {(e.ns, e.key): (e.value, e.expires_at, e.then) for e in self.store.entries()}

    def commit(self, changes: list[Change], *, durable: bool) -> bool:
        """Whether the changes are acknowledged; if not, they are undone."""
        if self.storage.failure is not None:
            self.store.undo(changes)
            return False
        try:
            self.storage.append(changes)
        except OSError:
            self.store.undo(changes)
            return False
        if durable or self.fsync is Fsync.ALWAYS:
            if self.steps_meanwhile():
                self.storage.step(self.now)  # of the changes before
            try:
                self.storage.sync()
            except OSError:
                self.take_back(changes)
                return False
        self.storage.enqueue(changes)
        return True

    def take_back(self, changes: list[Change]) -> None:
        with suppress(OSError):
            self.storage.take_back(changes)
        self.store.undo(changes)


class History:
    """Everything that happened and what is known of it; ``run_type`` makes a run."""

    acts_max = 12
    failing_share = 0.5
    """How often a device fails when something becomes of it."""

    def __init__(self, seed: int, fsync: Fsync, run_type: type[Run] = Run) -> None:
        self.random = Random(seed)
        self.then_random = Random(f"then {seed}")
        self.step_random = Random(f"step {seed}")
        self.fsync = fsync
        self.run_type = run_type
        self.disk = SimulatedDisk(self.random, str(ROOT))
        self.now = 100.0
        self.numbers = itertools.count(10_000)
        self.acknowledged: list[State] = [{}]
        self.synced = 0  # how many of them, at least, are on the device
        self.doubtful: list[State] = []
        self.is_power_cut = False
        self.by_hand: dict[EntryId, bytes | None] = {}  # since the last run
        self.replaced: set[EntryId] = set()  # files that the last run was replacing when it died
        self.uncertain: set[EntryId] = set()
        self.had_file: dict[EntryId, bool] = {}  # before the first of them
        self.strangers: dict[EntryId, FileKind] = {}
        self.is_flipped = False  # a bit of a file of the keeper's, since the last run
        self.was_flipped = False  # or before
        self.torn: set[bytes] = set()  # what the last power cut left; it is not the keeper's
        self.highest_revision = 0
        self.values: dict[EntryId, set[bytes]] = {entry_id: set() for entry_id in PLACES}
        # What was last acknowledged as durable for a key, and the keys that were changed since.
        self.firm: dict[EntryId, Stored | None] = {}
        self.loose = set(PLACES)

    def play(self) -> None:
        """All of it; raises `BrokenPromiseError`."""
        for _ in range(self.random.randrange(1, 4)):
            self.live()
        self.disk.failing, self.disk.quota = 0.0, None
        self.disk.operations_left = -1
        run = self.start()
        self.stop(run)
        self.expect_files_alone()
        self.expect_strangers()

    def live(self) -> None:
        """One run, from the start to its end."""
        chance = self.random.random
        self.disk.failing, self.disk.quota = 0.0, None
        self.disk.operations_left = self.random.randrange(1, 160) if chance() < 0.7 else -1
        try:
            run = self.start()
            for _ in range(self.random.randrange(1, self.acts_max)):
                self.act(run)
            if chance() < 0.4:
                self.disk.failing, self.disk.quota = 0.0, None
                self.disk.is_away = False
                self.stop(run)
                self.expect_files_alone()
                return
        except Stop:
            pass
        if self.disk.was_made_anew:
            raise BrokenPromiseError("the folder was away, and another was made in its place")
        self.disk.is_away = False
        self.disk.operations_left = -1
        if chance() < 0.6:
            self.is_power_cut = True
            self.disk.cut_power()
            self.torn = set(self.disk.files().values())
        else:
            self.expect_whole_values()
        self.disk.failing, self.disk.quota = 0.0, None
        self.disk.set_clock(self.random.choice(CLOCKS))
        while chance() < 0.3:
            self.edit()
        if chance() < 0.05:
            self.flip_bit()

    # --- what happens ---

    def edit(self) -> None:
        """Another hand is at a file while no server runs."""
        entry_id = self.random.choice(PLACES)
        ns, key = entry_id
        path = ROOT / ns / f"{key}.json"
        if self.random.random() < 0.15:
            self.put_stranger(entry_id, str(path))
            return
        value = None if self.random.random() < 0.4 else orjson.dumps(next(self.numbers))
        if self.strangers.pop(entry_id, None) is not None:
            self.uncertain.add(entry_id)  # the journal may have a value for it
        elif value is None and str(path) not in self.disk.files():
            return
        content = self.disk.files().get(str(path), b"")
        had_file = self.had_file.setdefault(entry_id, str(path) in self.disk.files())
        self.disk.edit(str(path), value, self.random.choice(CLOCKS))
        self.by_hand[entry_id] = value
        is_value = _value(content) is not None
        if value is None and (entry_id in self.replaced or not is_value):
            # It was being replaced when the run died, or what went is no value.
            self.uncertain.add(entry_id)
        if value is None and not had_file:
            del self.by_hand[entry_id]  # all is as it was
        if value is not None:
            self.values[entry_id].add(value)

    def put_stranger(self, entry_id: EntryId, path: str) -> None:
        """Another hand puts something that is no file in a file's place."""
        self.strangers[entry_id] = kind = self.random.choice(
            (FileKind.LINK, FileKind.PIPE, FileKind.FOLDER)
        )
        self.had_file.setdefault(entry_id, path in self.disk.files())
        self.disk.put_stranger(path, kind)
        self.by_hand[entry_id] = None
        self.uncertain.add(entry_id)

    def flip_bit(self) -> None:
        """A device gives back another bit than was written."""
        ours = [
            name
            for name, content in self.disk.files().items()
            if content and PRIVATE in Path(name).parents and Path(name).parent.name not in _NOT_READ
        ]
        if ours:
            self.disk.flip_bit(self.random.choice(sorted(ours)))
            self.is_flipped = self.was_flipped = True

    def act(self, run: Run) -> None:
        chance = self.random.random()
        self.now += self.random.choice((0.0, 0.001, 0.3, 1.5))
        run.now = self.now
        if self.disk.is_away or self.random.random() < 0.03:
            self.disk.is_away = self.random.random() < 0.7
            if self.random.random() < 0.7:
                run.storage.check_folder()
        if chance < 0.55:
            self.commit(run)
        elif chance < 0.8:
            run.storage.step(self.now, self.random.choice((1, 2, ALL_FILES)))
        elif chance < 0.9 and self.fsync is not Fsync.NO:
            self.sync(run)
        elif chance < 0.92:
            self.disk.quota = self.random.randrange(400)
        elif self.random.random() < self.failing_share:
            self.disk.failing = 0.3
        else:
            self.disk.failing, self.disk.quota = 0.0, None

    def commit(self, run: Run) -> None:
        before = run.state()
        self.change(run)
        changes, run.changes[:] = list(run.changes), []
        if not changes:
            return
        after = run.state()
        for entry_id, (value, *_) in after.items():
            if value not in self.values[entry_id]:
                raise BrokenPromiseError(f"{entry_id}: {value!r} was never its value")
        self.doubtful.append(after)
        changed = {entry_id for entry_id in PLACES if before.get(entry_id) != after.get(entry_id)}
        self.loose |= changed
        is_durable = self.random.random() < 0.15
        if not run.commit(changes, durable=is_durable):
            if run.state() != before:
                raise BrokenPromiseError("a refused commit left something in memory")
            return
        self.acknowledged.append(after)
        self.highest_revision = max(self.highest_revision, changes[-1].revision)
        if is_durable or self.fsync is Fsync.ALWAYS:
            self.is_synced()
            self.loose -= changed
            self.firm |= {entry_id: after.get(entry_id) for entry_id in changed}

    def change(self, run: Run) -> None:
        for _ in range(self.random.choice((1, 1, 1, 2, 4))):
            chance = self.random.random()
            entry_id = self.random.choice(PLACES)
            if chance < 0.65:
                value = orjson.dumps(next(self.numbers))
                if self.random.random() < 0.3:
                    value = orjson.dumps([int(value), "x" * self.random.randrange(80)])
                self.values[entry_id].add(value)
                expires_at = 1000 + int(self.now) if self.random.random() < 0.3 else None
                then = None if expires_at is None else self.then_of(entry_id, value)
                run.store.set(*entry_id, value, expires_at, then=then)
            elif chance < 0.9:
                run.store.delete(*entry_id)
            elif chance < 0.95:
                run.store.expire(1000 + int(self.now))
            else:
                run.store.clear()

    def then_of(self, entry_id: EntryId, value: bytes) -> bytes | None:
        """What is merged into a value at its time, if anything: it may be its value then."""
        chance = self.then_random.random()
        if chance < 0.3:
            return None
        if chance < 0.6:
            then = value  # nothing changes but the expiry
        else:
            number = self.then_random.randrange(10**6, 10**9)
            then = orjson.dumps(number if chance < 0.8 else {"number": number, "none": None})
        # None of the values is an object, so all of it is replaced.
        merged = then.replace(b',"none":null', b"")
        self.values[entry_id].add(merged)
        return then

    def sync(self, run: Run) -> None:
        try:
            run.storage.sync()
        except OSError:
            return
        self.is_synced()

    def is_synced(self) -> None:
        self.synced = len(self.acknowledged) - 1
        self.doubtful.clear()

    def stop(self, run: Run) -> None:
        run.now = self.now
        run.storage.close(self.now)
        self.acknowledged = [run.state()]
        self.is_synced()

    # --- what must be ---

    def start(self) -> Run:
        self.had_file.clear()
        try:
            run = self.open_folder()
            run.steps_meanwhile = lambda: self.step_random.random() < 0.5
        except Stop:
            # It may have seen what other hands did, or not.
            self.uncertain |= set(self.by_hand)
            raise
        state = run.state()
        try:
            self.expect_promise(state)
        except BrokenPromiseError:
            if not self.is_flipped:
                raise
            self.expect_said(run, state)
            self.loose |= set(PLACES)
        if self.is_power_cut and self.fsync is Fsync.NO:
            self.loose |= set(PLACES)
        # A start counts as a change: what stands in files may be another hand's.
        if run.store.revision <= self.highest_revision and (state or self.highest_revision):
            raise BrokenPromiseError(f"revision {run.store.revision}: it was past that")
        self.highest_revision = run.store.revision
        for entry_id, (value, *_) in state.items():
            self.values[entry_id].add(value)
        self.acknowledged, self.synced, self.doubtful = [state], 0, []
        self.is_power_cut = self.is_flipped = False
        self.loose |= set(self.by_hand)
        self.by_hand.clear()
        self.had_file.clear()
        self.uncertain.clear()
        self.replaced = run.replaced
        return run

    def open_folder(self) -> Run:
        try:
            return self.run_type(self.disk, self.fsync, self.now)
        except FormatError:
            if not self.was_flipped:
                raise
            # Nothing tells the format any more: a person does what the refusal says.
            self.disk.remove(str(PRIVATE / "format"))
            return self.run_type(self.disk, self.fsync, self.now)

    def expect_promise(self, state: State) -> None:
        """What the policy promises, and what other hands did."""
        self.expect_by_hand(state)
        if self.is_power_cut and self.fsync is Fsync.NO:
            self.expect_firm(state)
        else:
            self.expect_allowed(state)

    def expect_said(self, run: Run, state: State) -> None:
        """A bit was flipped: what is missing for it was said, and nothing else came of it."""
        quarantine = str(PRIVATE / "quarantine")
        is_said = run.storage.damages() or run.storage.replay.dropped_bytes
        if not is_said and not any(name.startswith(quarantine) for name in self.disk.files()):
            raise BrokenPromiseError("something is missing, and nothing was said")
        for entry_id, (value, *_) in state.items():
            # Of a number that a power cut truncated, the journal alone can say that it is one.
            if value not in self.values[entry_id] and value not in self.torn:
                raise BrokenPromiseError(f"{entry_id}: {value!r} was never its value")

    def expect_strangers(self) -> None:
        """What other hands put in a file's place is still there."""
        for entry_id, kind in self.strangers.items():
            ns, key = entry_id
            found = self.disk.kind(str(ROOT / ns / f"{key}.json"))
            if found is not kind:
                raise BrokenPromiseError(f"{entry_id}: {found} stands where there was {kind}")

    def expect_by_hand(self, state: State) -> None:
        """What other hands did stands."""
        for entry_id, value in self.by_hand.items():
            if entry_id in self.uncertain:
                continue
            if self.is_power_cut and (value is None or self.fsync is Fsync.NO):
                continue
            if state.get(entry_id, (None,))[0] != value:
                found = state.get(entry_id)
                raise BrokenPromiseError(f"{entry_id}: {found}, but by hand {value!r}")

    def expect_allowed(self, state: State) -> None:
        is_prefix_enough = self.is_power_cut and self.fsync is Fsync.EVERYSEC
        first = self.synced if is_prefix_enough else len(self.acknowledged) - 1
        allowed = [*self.acknowledged[first:], *self.doubtful]
        if self._without_hands(state) not in map(self._without_hands, allowed):
            raise BrokenPromiseError(f"found {state}, expected one of {allowed}")

    def _without_hands(self, state: State) -> State:
        return {
            entry_id: value for entry_id, value in state.items() if entry_id not in self.by_hand
        }

    def expect_firm(self, state: State) -> None:
        for entry_id in PLACES:
            if entry_id in self.loose or entry_id in self.by_hand:
                continue
            if state.get(entry_id) != self.firm.get(entry_id):
                found, firm = state.get(entry_id), self.firm.get(entry_id)
                raise BrokenPromiseError(f"{entry_id}: {found}, not {firm}")

    def expect_whole_values(self) -> None:
        for entry_id, content in self.value_files().items():
            if content not in self.torn and _value(content) not in self.values[entry_id]:
                raise BrokenPromiseError(f"{entry_id}: the file holds {content!r}")

    def expect_files_alone(self) -> None:
        state = self.acknowledged[-1]
        values = {p: value for p, (value, *_) in state.items() if p not in self.strangers}
        shown = {entry_id: _value(content) for entry_id, content in self.value_files().items()}
        if {entry_id: value for entry_id, value in shown.items() if value is not None} != values:
            raise BrokenPromiseError(f"files alone say {shown}, not {values}")
        is_repaired = self.fsync is not Fsync.NO and not self.was_flipped
        if None in shown.values() and is_repaired:
            raise BrokenPromiseError(f"a damaged file stays: {shown}")
        journal = {
            name: content
            for name, content in self.disk.files().items()
            if content and parent_of(name) == _JOURNAL
        }
        if journal and not self.strangers:
            raise BrokenPromiseError(f"after a clean stop there is {journal}")

    def value_files(self) -> dict[EntryId, bytes]:
        found = {}
        for name, content in self.disk.files().items():
            if not name.startswith(_BELOW_PRIVATE):
                found[_place_of(name)] = content
        return found


@cache
def _place_of(path: str) -> tuple[str, str]:
    """Namespace and key of a value's file."""
    folder = parent_of(path)
    return "" if folder == str(ROOT) else name_of(folder), decode_file_name(Path(path).stem)


def _value(content: bytes) -> bytes | None:
    """The value in a file; None for none."""
    try:
        return orjson.dumps(orjson.loads(content))
    except ValueError:
        return None
