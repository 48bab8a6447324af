"""Taking over what a log has at once: at the start, after an absence, and after a gap."""

from collections.abc import Callable, Sequence

from dunena.persistence.log import Contents, LogBatch, OpKind, Record
from dunena.server.shared.answers import SharedAnswers
from dunena.server.shared.session_table import SharedSessionTable
from dunena.server.shared.store import SharedStore
from dunena.store.entry import BY_REVISION, Entry
from dunena.watches.watch_table import WatchTable


def _make_nothing(_batch: LogBatch) -> None:
    """Make nothing: there is no own proposal."""


class LogTakeover:
    """Takes over entries and notes; followers are told the difference. To be used in a tick."""

    def __init__(
        self,
        store: SharedStore,
        answers: SharedAnswers,
        sessions: SharedSessionTable,
        watches: WatchTable,
    ) -> None:
        self._store = store
        self._answers = answers
        self._sessions = sessions
        self._watches = watches

    def load(
        self,
        contents: Contents,
        now: int,
        own: LogBatch | None = None,
        make_own: Callable[[LogBatch], None] = _make_nothing,
    ) -> None:
        """Take over all that a log has, in place of what the store has; ``now`` is Unix ms.

        ``own`` is the node's own proposal if it is among it: ``make_own`` makes it, on what the
        store has. All is one group, as what was before that proposal is told after it.
        """
        store = self._store
        is_other_run = contents.epoch != store.epoch
        with store.group():
            if own is not None:
                make_own(own)
            store.load_log(contents)
            if is_other_run:
                self._watches.begin_anew(now)
        if is_other_run:
            self._answers.forget()
        self._take_in_notes(contents, now)
        self._sessions.load(contents.notes)

    def repair(
        self,
        newest: Contents,
        removed: Sequence[Record],
        now: int,
        own: LogBatch | None = None,
        make_own: Callable[[LogBatch], None] = _make_nothing,
    ) -> None:
        """Take over the newest state of what was changed; ``now`` is Unix ms.

        ``own`` is the node's own proposal among it: ``make_own`` makes it, at its place. All is
        one group, as what was overtaken is missing in between.
        """
        store = self._store
        own_first = None if own is None else _first_revision_of(own)
        gone = (record for record in removed if record.op.kind is not OpKind.NOTE)
        changes: list[Entry | Record] = [*newest.entries, *gone]
        changes.sort(key=BY_REVISION)
        with store.group():
            for change in changes:
                if own is not None and own_first is not None and change.revision >= own_first:
                    make_own(own)
                    own_first = None
                if isinstance(change, Entry):
                    self._take_over(change)
                else:
                    self._remove(change)
            if own is not None and own_first is not None:
                make_own(own)
            store.positions.disorder()  # the own proposal may have been told before
            store.reach(newest.revision)
        self._take_in_notes(newest, now)
        for note in [*newest.notes.values(), *removed]:
            if note.op.kind is OpKind.NOTE:
                self._sessions.take_in(note)

    def _take_over(self, entry: Entry) -> None:
        standing = self._store.table.find(entry.ns, entry.key)
        if standing is None or standing.revision < entry.revision:
            self._store.take_over(entry)

    def _remove(self, removal: Record) -> None:
        """Remove what the store still has, or remember a removal that it has missed."""
        store, op = self._store, removal.op
        if op.kind is OpKind.CLEAR:
            if removal.revision > store.revision:
                store.make(removal)
            return
        standing = store.table.find(op.ns, op.key)
        if standing is None:
            store.remember_removal(removal)
        elif standing.revision < removal.revision:
            store.make(removal)

    def _take_in_notes(self, contents: Contents, now: int) -> None:
        for note in sorted(contents.notes.values(), key=BY_REVISION):
            self._answers.take_in(note, now)


def _first_revision_of(batch: LogBatch) -> int:
    """Return the revision of the first record of a batch; that of the batch if it has none."""
    return next((record.revision for group in batch.groups for record in group), batch.revision)
