"""Operations carried out together: all or none, as one change of each key that they touch.

Theory of operation. Every operation is applied to a draft of its key, which begins as what the
store has. Only when all of them were applied, and the outcome is permitted and finds room, does the
store change: others are evicted or expire, then keys are removed, and then set in the order of
their growth, so that no step needs more room than the outcome. Each key changes once, however many
operations touch it, and all get consecutive revisions.
"""

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from dunena.dialects.errors import (
    ClientError,
    ConflictError,
    ForbiddenError,
    NoRevisionError,
)
from dunena.dialects.ops.operation import Answer, Operation, Surroundings, check_part_size
from dunena.dialects.services import Services, check_value_size, end_of
from dunena.store.entry import Change, Entry, EntryId
from dunena.store.entry_table import growth_of
from dunena.store.merge_patch import merge_encoded


class _Draft:
    """A key while operations are applied; ``entry`` is what the store has, None for no key."""

    __slots__ = ("entry", "expires_at", "is_changed", "then", "value")

    def __init__(self, entry: Entry | None) -> None:
        self.entry = entry
        self.value = None if entry is None else entry.value
        self.expires_at = None if entry is None else entry.expires_at
        self.then = None if entry is None else entry.then
        self.is_changed = False


class Transaction:
    """Carries out operations for one request at ``now`` (Unix ms)."""

    __slots__ = ("_drafts", "_now", "_services", "_surroundings")

    def __init__(self, services: Services, now: int) -> None:
        self._services = services
        self._now = now
        self._drafts: dict[EntryId, _Draft] = {}
        self._surroundings = Surroundings(
            now, services.limits.value_bytes_max, self._value_of_revision, self._earlier_values
        )

    def run(
        self,
        operations: Sequence[Operation],
        named: Callable[[ClientError, int], ClientError],
        *,
        is_durable: bool = False,
    ) -> list[Answer]:
        """Carry out all operations or none; return the answer of each, with its revision.

        They are forced to the device before the answer if ``is_durable`` or one of them asks for
        it. Raise `ClientError` for the first that cannot be done; ``named`` says in the error
        which it is.
        """
        answers: list[Answer] = []
        for number, operation in enumerate(operations):
            try:
                answers.append(self._apply(operation))
            except ClientError as error:
                raise named(error, number) from None
        is_durable = is_durable or any(operation.is_durable for operation in operations)
        revisions = self._commit(is_durable)
        results: list[Answer] = []
        for operation, answer in zip(operations, answers, strict=True):
            entry_id = (operation.ns, operation.key)
            result = {"rev": revisions[entry_id], **answer}
            if operation.returns_value:
                result["value"] = _as_json(self._drafts[entry_id].value)
            results.append(result)
        return results

    def _apply(self, operation: Operation) -> Answer:
        ns, key = operation.ns, operation.key
        self._services.store.check_outcome({(ns, key): None})  # the right to write comes first
        may_read = self._services.store.may_read(ns, key)
        if operation.returns_value and not may_read:
            raise ForbiddenError.to("read", ns, key)
        draft = self._draft_of(ns, key)
        self._check_revision(operation, draft.entry)
        is_new = draft.value is None
        value, answer = operation.result(draft.value, self._surroundings)
        if value is not None:
            check_value_size(value, self._services.limits)
        if value is None and draft.value is None:
            return answer
        if answer.get("deleted") is not False:
            draft.is_changed = True
        draft.value = value
        self._set_expiry(operation, draft, is_new=is_new)
        if value is not None and draft.then is not None:
            self._check_then(value, draft.then)
        if not may_read:
            answer.pop("value", None)
        return answer

    def _draft_of(self, ns: str, key: str) -> _Draft:
        draft = self._drafts.get((ns, key))
        if draft is None:
            entry = self._services.unrestricted_store.peek(ns, key, self._now)
            draft = self._drafts[ns, key] = _Draft(entry)
        return draft

    def _check_revision(self, operation: Operation, entry: Entry | None) -> None:
        """Compare ``ifRev`` with the state before the transaction."""
        if operation.if_rev is None:
            return
        revision = 0 if entry is None else entry.revision
        is_other_run = operation.epoch not in (None, self._services.epoch)
        if revision != operation.if_rev or is_other_run:
            raise ConflictError(operation.key, revision)

    def _set_expiry(self, operation: Operation, draft: _Draft, *, is_new: bool) -> None:
        """Set the expiry after an operation: a ttl of its own, or what stands, or the default.

        `set` without a ttl ends one, as it always did; so does a ttl with what was to be merged.
        """
        if operation.ttl is not None:
            draft.expires_at = end_of(operation.ttl, self._now)
            draft.then = operation.then
        elif is_new or operation.name == "set":
            draft.expires_at = end_of(self._services.default_ttl_ms, self._now)
            draft.then = None

    def _check_then(self, value: bytes, then: bytes) -> None:
        """Raise `ClientError` if what is merged at the end of the ttl would exceed a limit."""
        if then.startswith(b"{"):
            check_part_size(value)
        check_value_size(merge_encoded(value, then), self._services.limits)

    def _commit(self, is_durable: bool) -> dict[EntryId, int]:
        """Make the changes; return the revision of each touched key.

        That is the revision of its change, or of its entry if nothing changed, or 0 for no key.
        """
        services = self._services
        changed = {
            entry_id: draft
            for entry_id, draft in self._drafts.items()
            if draft.is_changed and not (draft.value is None and draft.entry is None)
        }
        revisions = {
            entry_id: 0 if draft.entry is None else draft.entry.revision
            for entry_id, draft in self._drafts.items()
        }
        outcome = {entry_id: draft.value for entry_id, draft in changed.items()}
        services.store.check_outcome(outcome)
        services.unrestricted_store.make_room_for(outcome)
        in_order = sorted(changed, key=lambda entry_id: _growth(entry_id, changed[entry_id]))
        with services.unrestricted_store.group():
            for ns, key in in_order:
                draft = changed[ns, key]
                change: Change | None
                if draft.value is None:
                    change = services.store.delete(ns, key, is_durable=is_durable)
                else:
                    change = services.store.set(
                        ns,
                        key,
                        draft.value,
                        draft.expires_at,
                        then=draft.then,
                        is_durable=is_durable,
                    )
                if change is not None:
                    revisions[ns, key] = change.revision
        return revisions

    def _value_of_revision(self, ns: str, key: str, revision: int) -> bytes:
        """Return the value that a key had at a revision."""
        store = self._services.unrestricted_store
        earlier = store.history.of(ns, key)
        entry = store.peek(ns, key, self._now)
        for kept in earlier if entry is None else (entry, *earlier):
            if kept.revision == revision:
                return kept.value
        raise NoRevisionError(revision)

    def _earlier_values(self, ns: str, key: str) -> list[bytes]:
        """Return the earlier values of a key that are others than its present one, newest first."""
        present = self._draft_of(ns, key).value
        history = self._services.unrestricted_store.history
        return [entry.value for entry in history.of(ns, key) if entry.value != present]


def _growth(entry_id: EntryId, draft: _Draft) -> tuple[bool, int]:
    if draft.value is None:
        return False, 0
    return True, growth_of(entry_id[1], draft.value, draft.entry)


def _as_json(value: bytes | None) -> Any:
    return None if value is None else orjson.Fragment(value)
