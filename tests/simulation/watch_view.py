"""One watch as a client keeps it, and what must hold of it at each update.

The numbers are those of the properties of the contract:

1. *cut*: with an update applied, the client has what was committed at its revision, and no other;
   and that revision is never in the midst of a transaction;
2. *monotone*: positions never go back within an epoch;
3. *converge*: with all read, the client has the last state; with a rate, within its interval;
4. *resume*: a position that can be continued is, without a reset, with one change for each key;
5. *never uncommitted*: whatever any part tells was committed;
6. *bounded*: what waits for a slow reader is at most two references for each key and watch, and few
   values that are out of date;
7. *update before reply*: a reader that keeps up is told of each change as it is committed, and
   before whoever made it is answered;
8. *linearizable*: revisions are the one order of everything, and who asks later is told no less;
9. *bank*: the sum of all accounts is 0 in whatever is read of them at once;
10. *once*: a request that is sent again because its answer was lost is carried out once;
13. *time*: what is to happen at a time does so within 50 ms;
15. *standards*: merges, patches and pointers do what the examples of their standards say.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import orjson

from tests.simulation.committed import Committed, Cut, Written, part_at
from tests.simulation.spec_model import Asked, BrokenPromiseError

TIMER_MS = 2
"""How much later a timer may be than it was set to."""

Position = tuple[str, int]


@dataclass(frozen=True)
class Selected:
    """What a watch asks for: its fields, and the keys that they select of those there are."""

    fields: dict[str, Any]
    matches: Callable[[str], bool]

    @property
    def path(self) -> str | None:
        """The path, None for none."""
        return self.fields.get("path")

    @property
    def name(self) -> str:
        """What names the watch: one text for equal selectors."""
        return json.dumps(self.fields, sort_keys=True)

    @property
    def is_of_all_accounts(self) -> bool:
        """Whether it shows all accounts at once, and nothing else."""
        return "keys" in self.fields and self.fields["keys"][0].startswith("account")


@dataclass
class Question:
    """A `watch` that was sent: its id, the position to continue from, and what was known then."""

    request_id: int
    since: Position | None
    known: int


@dataclass(eq=False)
class View:
    """A watch of a client; ``may_read`` are the rights that its updates may have been made under.

    ``is_begun``: the first update came over this connection. ``is_watched``: no `unwatch` was sent
    since. ``figures`` count the kinds of updates.
    """

    selected: Selected
    interval_ms: float | None = None
    position: Position | None = None
    values: dict[str, Any] = field(default_factory=dict)
    may_read: list[Callable[[str], bool]] = field(default_factory=lambda: [lambda _: True])
    questions: dict[int, Question] = field(default_factory=dict)
    is_begun: bool = False
    is_watched: bool = True
    _is_ended: bool = False  # what comes is of a watch that was ended, up to the next first update
    _parts: list[dict[str, Any]] = field(default_factory=list)
    _is_first: bool = False
    _told_at: int | None = None
    _is_second: bool = False
    _rights_changes: int = 0  # that no update was heard of yet
    # What was over when the watch began: no read returns it, and it is about to be removed.
    _overdue: set[str] = field(default_factory=set)
    _overdue_by_rights: set[str] = field(default_factory=set)
    figures: Counter[str] = field(default_factory=Counter)

    def ask(self, question: Question, interval_ms: float | None, *, is_new: bool) -> None:
        """A `watch` was sent, over a new connection or after the end of the last watch."""
        self.questions[question.request_id] = question
        self.interval_ms = interval_ms
        self.is_watched = True
        if is_new:
            self._is_ended = True
            self.is_begun = False
            self._parts = []

    def disconnect(self) -> None:
        """What came of an update in parts is worth nothing."""
        self.questions.clear()
        self.is_begun, self._parts = False, []
        self._rights_changes = 0
        del self.may_read[:-1]

    def change_rights(self, may_read: Callable[[str], bool]) -> None:
        """The rights of the client have changed."""
        self.may_read.append(may_read)
        self._rights_changes += self.is_watched

    def note_overdue(self, keys: set[str]) -> None:
        """These keys are not shown by an update that a change of rights may have caused by now."""
        if self._rights_changes:
            self._overdue_by_rights |= keys
        else:
            self._overdue_by_rights.clear()

    def unwatch(self) -> None:
        """An `unwatch` was sent; what still comes is of no use."""
        self.disconnect()
        self.is_watched, self._is_ended = False, True

    def take(
        self,
        part: dict[str, Any],
        request_id: int | None,
        sent_at: int,
        committed: Committed,
        asked: dict[int, Asked],
        *,
        is_slow: bool,
    ) -> None:
        """Take in an update, or a part of one."""
        question = None if request_id is None else self.questions.get(request_id)
        if self._is_ended and question is None:
            return
        self._is_ended = False
        if part["epoch"] != committed.epoch:
            raise BrokenPromiseError(f"1 cut: epoch {part['epoch']} in {committed.epoch}")
        if question is not None:
            self._begin(part, question, asked[question.request_id], committed)
        elif not (self.is_begun or self.questions):
            raise BrokenPromiseError(f"1 cut: nobody asked for {part}")
        self._expect_committed(part, committed)
        self._parts.append(part)
        if not part.get("more"):
            parts, self._parts = self._parts, []
            self._complete(parts, sent_at, committed, is_slow=is_slow)

    def expect_told(self, revision: int, committed: Committed) -> None:
        """7: a reader that keeps up was told of everything up to a revision."""
        if self.is_begun and not self.questions and self.position and self.interval_ms is None:
            missed = self.changes(committed, self.position[1], revision)
            if missed:
                raise BrokenPromiseError(
                    f"7 update before reply: {revision} is answered, but {missed[0].revision} was"
                    f" not told to {self.selected.fields}"
                )

    def expect_all(self, committed: Committed, now: int) -> None:
        """3: nothing is left to tell, but what a rate withholds."""
        if not self.is_begun or self.position is None or self.questions:
            raise BrokenPromiseError(f"3 converge: no first update for {self.selected.fields}")
        missed = self.changes(committed, self.position[1], committed.revision)
        if self.interval_ms is not None:
            missed = [cut for cut in missed if cut.committed_at + self.interval_ms < now]
        if missed:
            raise BrokenPromiseError(
                f"3 converge: {self.selected.fields} is at {self.position[1]}, and not at"
                f" {missed[-1].revision}"
            )
        del self.may_read[:-1]
        cut = committed.find(self.position[1])
        if cut is None or self.values != self.shown(cut, self.may_read[0]):
            raise BrokenPromiseError(f"3 converge: {self.selected.fields} has {self.values}")

    def changes(self, committed: Committed, after: int, to: int) -> list[Cut]:
        """Return the cuts in (after, to] that change what the watch shows."""
        return [cut for cut in committed.between(after, to) if self.is_changed_by(cut)]

    def is_changed_by(self, cut: Cut) -> bool:
        """Whether a group of changes changes what the watch shows."""
        selects_named = "pattern" not in self.selected.fields
        if cut.is_clear and not selects_named:
            return True
        return any(self._is_changed(written) for written in cut.changes)

    def shown(self, cut: Cut, may_read: Callable[[str], bool]) -> dict[str, Any]:
        """Return what the watch shows of a state."""
        selected = self.selected
        shown = {}
        for (_, key), value in cut.values.items():
            if selected.matches(key) and may_read(key) and key not in self._overdue:
                part = part_at(value, selected.path)
                if part is not None:
                    shown[key] = part
        return shown

    # --- inside ---

    def _begin(
        self, part: dict[str, Any], question: Question, asked: Asked, committed: Committed
    ) -> None:
        """The first update: with all there is, or what changed since the position."""
        for request_id in [name for name in self.questions if name <= question.request_id]:
            del self.questions[request_id]
        self._parts, self._is_first, self.is_begun = [], True, True
        has_reset = bool(part.get("reset"))
        since = question.since
        if (since is None or since[0] != part["epoch"]) and not has_reset:
            raise BrokenPromiseError(f"4 resume: {since} was continued in {part['epoch']}")
        if asked.may_be_of_other_rights and not has_reset:
            raise BrokenPromiseError(f"4 resume: {since} was continued with other rights")
        if part["rev"] < max(asked.revision, question.known):
            raise BrokenPromiseError(f"8 linearizable: {part['rev']} was over when it was asked")
        since_then = committed.between(asked.revision, part["rev"])
        if asked.can_resume and has_reset and not any(cut.is_clear for cut in since_then):
            raise BrokenPromiseError(f"4 resume: {since} was not continued")
        if has_reset:
            self._overdue = set(asked.overdue)
        if since is not None and not has_reset:
            self.figures["resumed"] += 1

    def _expect_committed(self, part: dict[str, Any], committed: Committed) -> None:
        """5: a part tells nothing that was not committed; and nothing that was not asked for."""
        selected = self.selected
        for change in part["changes"]:
            key, revision = change["key"], change["rev"]
            if not selected.matches(key):
                raise BrokenPromiseError(f"1 cut: {selected.fields} does not select {key}")
            if not any(may_read(key) for may_read in self.may_read):
                raise BrokenPromiseError(f"1 cut: {key} may not be read")
            if revision > part["rev"]:
                raise BrokenPromiseError(f"2 monotone: {change} in {part['rev']}")
            written = committed.written(revision, ("", key))
            if written is None:
                raise BrokenPromiseError(f"5 never uncommitted: {change} at {part['rev']}")
            value, kind = written
            shown = part_at(value, selected.path)
            told = change.get("value")
            if shown != told or (told is None and change["event"] != _event(value, kind)):
                raise BrokenPromiseError(f"5 never uncommitted: {change}, committed was {written}")

    def _complete(
        self, parts: list[dict[str, Any]], sent_at: int, committed: Committed, *, is_slow: bool
    ) -> None:
        """An update is complete: apply it as a client does."""
        revision = parts[-1]["rev"]
        is_first, self._is_first = self._is_first, False
        before = self.position
        if before is not None and before[0] != committed.epoch:
            before = None
        if before is not None and revision < before[1]:
            raise BrokenPromiseError(f"2 monotone: {revision} after {before[1]}")
        if any(one["rev"] > other["rev"] for one, other in pairwise(parts)):
            raise BrokenPromiseError(f"2 monotone: {parts}")
        is_by_rights = self._expect_reset(parts, is_first, before, committed)
        self._apply(parts, is_first=is_first)
        self.position = (committed.epoch, revision)
        self.figures["updates"] += 1
        self.figures["in parts"] += len(parts) > 1
        self.figures["resets"] += any("reset" in part for part in parts) and not is_first
        self._expect_cut(revision, committed)
        if is_first:
            self._is_second = True
        elif not (is_slow or is_by_rights or self.questions or self._rights_changes):
            assert before is not None
            if self.interval_ms is None:
                self._expect_live(parts, before[1], sent_at, committed)
            else:
                self._expect_paced(self.interval_ms, before[1], sent_at, committed)
        self._told_at = sent_at

    def _apply(self, parts: list[dict[str, Any]], *, is_first: bool) -> None:
        """Apply all parts together; 4: each key is told once."""
        told = set()
        for part in parts:
            if part.get("reset"):
                self.values = {}
                if not is_first:
                    self._overdue = set(self._overdue_by_rights)
            for change in part["changes"]:
                # An update in parts that takes too much memory goes on at a newer revision.
                name = (change["key"], part["rev"])
                if name in told:
                    raise BrokenPromiseError(f"4 resume: {change['key']} is told twice")
                told.add(name)
                self._overdue.discard(change["key"])
                if "value" in change:
                    self.values[change["key"]] = change["value"]
                else:
                    self.values.pop(change["key"], None)

    def _expect_cut(self, revision: int, committed: Committed) -> None:
        """1 and 9: what the client has is what was committed at a revision."""
        cut = committed.find(revision)
        if cut is None:
            raise BrokenPromiseError(f"1 cut: {revision} is in the midst of a change, or of none")
        while self.values != self.shown(cut, self.may_read[0]):
            if len(self.may_read) == 1:
                raise BrokenPromiseError(
                    f"1 cut: {self.selected.fields} has {self.values} at {revision}, committed was"
                    f" {self.shown(cut, self.may_read[0])}"
                )
            del self.may_read[0]
        if self.selected.is_of_all_accounts and sum(self.values.values()):
            raise BrokenPromiseError(f"9 bank: {self.values}")

    def _expect_reset(
        self,
        parts: list[dict[str, Any]],
        is_first: bool,
        before: Position | None,
        committed: Committed,
    ) -> bool:
        """4: a watch that goes on begins anew only after a clear, or as rights have changed.

        Return whether they have.
        """
        if is_first or not any(part.get("reset") for part in parts):
            return False
        after = 0 if before is None else before[1]
        if any(cut.is_clear for cut in committed.between(after, parts[-1]["rev"])):
            return False
        if not self._rights_changes:
            raise BrokenPromiseError(f"4 resume: a reset for nothing at {parts[-1]['rev']}")
        self._rights_changes -= 1
        if len(self.may_read) > 1:
            del self.may_read[0]
        return True

    def _expect_live(
        self, parts: list[dict[str, Any]], before: int, sent_at: int, committed: Committed
    ) -> None:
        """7: each change is an update of its own, sent when it is committed."""
        revision = parts[-1]["rev"]
        changes = self.changes(committed, before, revision)
        is_bookmark = not (parts[0]["changes"] or parts[0].get("reset"))
        if len(changes) > 1 or is_bookmark is bool(changes):
            raise BrokenPromiseError(f"7 update before reply: {parts} has {changes}")
        if changes and changes[0].revision != revision:
            raise BrokenPromiseError(f"7 update before reply: {parts} for {changes}")
        if changes and sent_at != changes[0].committed_at:
            late = sent_at - changes[0].committed_at
            raise BrokenPromiseError(f"7 update before reply: {parts} came {late} ms late")

    def _expect_paced(
        self, interval_ms: float, before: int, sent_at: int, committed: Committed
    ) -> None:
        """3: a watch with a rate is told no more often, and no later."""
        assert self._told_at is not None
        is_second, self._is_second = self._is_second, False
        if not is_second and sent_at < self._told_at + int(interval_ms):
            raise BrokenPromiseError(f"3 converge: two updates in {sent_at - self._told_at} ms")
        changes = self.changes(committed, before, self.position[1] if self.position else 0)
        if changes:
            due = max(changes[0].committed_at, self._told_at + interval_ms)
            if sent_at > due + TIMER_MS:
                raise BrokenPromiseError(f"3 converge: told {sent_at - due} ms late")

    def _is_changed(self, written: Written) -> bool:
        if written.entry_id is None:
            return False
        key, path = written.entry_id[1], self.selected.path
        if not self.selected.matches(key) or not self.may_read[-1](key):
            return False
        if path is None or written.kind == "clear":
            return True
        return _text(part_at(written.before, path)) != _text(part_at(written.value, path))


def _event(value: Any, kind: str) -> str:
    """How a key goes: from the path, if only nothing stands there."""
    return kind if value is None else "delete"


def _text(value: Any) -> bytes:
    return orjson.dumps(value)
