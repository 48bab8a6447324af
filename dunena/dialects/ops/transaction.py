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
    InvalidFieldError,
    NoRevisionError,
    TooLargeError,
    TooManyError,
)
from dunena.dialects.ops.draft import Costs, DraftValue, encode_checked
from dunena.dialects.ops.missing import Encoded
from dunena.dialects.ops.operation import Answer, Operation, Surroundings
from dunena.dialects.services import Holder, Services, check_value_size, end_of
from dunena.store.entry import Change, Entry, EntryId, owner_of
from dunena.store.limits import REPLY_VALUES_BYTES_MAX
from dunena.store.merge_patch import merge_encoded
from dunena.store.quota import growth_of, size_of


class _Draft:
    """A key while operations are applied; ``entry`` is what the store has, None for no key.

    ``outcome`` is the value after the last of them, as JSON, and ``last`` the number of that one.
    ``owner`` is the session that the key belongs to, None if it is not ephemeral.
    """

    __slots__ = ("entry", "expires_at", "is_changed", "last", "outcome", "owner", "then", "value")

    def __init__(self, entry: Entry | None) -> None:
        self.entry = entry
        self.value = DraftValue(None if entry is None else entry.value)
        self.outcome: bytes | None = None
        self.expires_at = None if entry is None else entry.expires_at
        self.then = None if entry is None else entry.then
        self.owner = owner_of(entry)
        self.is_changed = False
        self.last = 0


class Transaction:
    """Carries out operations for one request at ``now`` (Unix ms).

    ``holder`` has the session that ephemeral keys belong to; without one there can be none.
    """

    __slots__ = (
        "_answered",
        "_drafts",
        "_ended",
        "_holder",
        "_now",
        "_owner",
        "_services",
        "_surroundings",
    )

    def __init__(self, services: Services, now: int, holder: Holder | None = None) -> None:
        now = services.unrestricted_store.time_of_request(now)
        self._services = services
        self._now = now
        self._holder = holder
        self._owner: str | None = None  # the sender's session, if a key is to be its own
        self._ended: set[EntryId] = set()
        self._answered = 0  # bytes of the values in the answers
        self._drafts: dict[EntryId, _Draft] = {}
        self._surroundings = Surroundings(now, self._value_of_revision, self._earlier_values)

    def run(
        self,
        operations: Sequence[Operation],
        named: Callable[[ClientError, int], ClientError],
        *,
        is_durable: bool = False,
    ) -> list[Answer]:
        """Carry out all operations or none; return the answer of each, with its revision.

        A sender that may not read the key gets no revision of what was changed before.

        They are forced to the device before the answer if ``is_durable`` or one of them asks for
        it. Raise `ClientError` for the first that cannot be done; ``named`` says in the error
        which it is.
        """
        answers: list[Answer] = []
        for number, operation in enumerate(operations):
            try:
                answers.append(self._apply(operation, number))
            except ClientError as error:
                raise named(error, number) from None
        for draft in self._drafts.values():
            try:
                self._finish(draft)
            except ClientError as error:
                raise named(error, draft.last) from None
        self._check_answers(operations)
        is_durable = is_durable or any(operation.is_durable for operation in operations)
        revisions = self._commit(is_durable)
        results: list[Answer] = []
        for operation, answer in zip(operations, answers, strict=True):
            entry_id = (operation.ns, operation.key)
            result = dict(answer)
            if entry_id in revisions:
                result = {"rev": revisions[entry_id], **answer}
            if operation.returns_value:
                result["value"] = _as_json(self._drafts[entry_id].outcome)
            results.append(result)
        return results

    def end(self, keys: Sequence[EntryId]) -> None:
        """Begin with the deletion of keys of a session that ends, whatever its rights are."""
        for ns, key in keys:
            draft = self._draft_of(ns, key)
            draft.value.put_encoded(None)
            draft.expires_at = draft.then = draft.owner = None
            draft.is_changed = True
        self._ended.update(keys)

    def _apply(self, operation: Operation, number: int) -> Answer:
        ns, key = operation.ns, operation.key
        check_rights(self._services, operation)
        may_read = self._services.store.may_read(ns, key)
        draft = self._draft_of(ns, key)
        self._check_revision(operation, draft.entry)
        draft.last = number
        is_new = draft.value.is_missing
        answer = operation.apply(draft.value, self._surroundings)
        if draft.value.present_encoded is not None:
            check_value_size(draft.value.present_encoded, self._services.limits)
        if is_new and draft.value.is_missing:
            return answer
        if answer.get("deleted") is not False:
            draft.is_changed = True
        self._set_expiry(operation, draft, is_new=is_new)
        self._set_owner(operation, draft, is_new=is_new)
        if not may_read:
            answer.pop("value", None)
            answer.pop("length", None)
        elif operation.returns_value:
            answer.pop("value", None)  # the whole value follows
        else:
            self._keep_value(answer)
        return answer

    def _keep_value(self, answer: Answer) -> None:
        """Encode the value of an answer, which the operations that follow could change."""
        value = answer.get("value")
        if isinstance(value, dict | list | Encoded):
            text = value.text if isinstance(value, Encoded) else encode_checked(value)
            self._add_answered(len(text))
            answer["value"] = orjson.Fragment(text)

    def _finish(self, draft: _Draft) -> None:
        """Encode the outcome of a key; raise `ClientError` if it exceeds a limit."""
        outcome = draft.outcome = draft.value.encoded()
        if outcome is None or not draft.is_changed:
            return
        check_value_size(outcome, self._services.limits)
        if draft.then is not None:
            self._check_then(draft, outcome, draft.then)

    def _check_answers(self, operations: Sequence[Operation]) -> None:
        """Raise `TooLargeError` if the answer would be too large."""
        for operation in operations:
            if operation.returns_value:
                outcome = self._drafts[operation.ns, operation.key].outcome
                self._add_answered(0 if outcome is None else len(outcome))

    def _add_answered(self, size: int) -> None:
        self._answered += size
        bytes_max = max(REPLY_VALUES_BYTES_MAX, self._services.limits.value_bytes_max)
        if self._answered > bytes_max:
            raise TooLargeError(f"Values exceed max size of one reply ({bytes_max} bytes)")

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

    def _set_owner(self, operation: Operation, draft: _Draft, *, is_new: bool) -> None:
        """Let the key belong to the sender's session, or to none, as the operation says.

        If it says nothing, `set` makes it an ordinary one, and the others leave it as it is.
        """
        if operation.is_ephemeral:
            if self._holder is None:
                raise InvalidFieldError("Ephemeral needs a session: send it over the WebSocket")
            if self._owner is None:
                self._owner = self._holder.owner
            draft.owner = self._owner
        elif is_new or operation.is_ephemeral is False or operation.name == "set":
            draft.owner = None

    def _check_owned(self, changed: dict[EntryId, _Draft]) -> None:
        """Raise `TooManyError` if the sender's session would own too many keys."""
        holder, owner = self._holder, self._owner
        if holder is None or owner is None:
            return
        growth = sum(
            (draft.owner == owner and draft.outcome is not None) - (owner_of(draft.entry) == owner)
            for draft in changed.values()
        )
        count = self._services.unrestricted_store.count_owned(owner)
        if growth > 0 and count + growth > holder.keys_max:
            raise TooManyError("Ephemeral keys", holder.keys_max)

    def _check_then(self, draft: _Draft, value: bytes, then: bytes) -> None:
        """Raise `ClientError` if what is merged at the end of the ttl would exceed a limit."""
        if then.startswith(b"{"):
            if draft.value.is_decoded:
                Costs().add_decoded(value)  # it was counted, but may have grown
            else:
                self._surroundings.costs.add_decoded(value)
        check_value_size(merge_encoded(value, then), self._services.limits)

    def _commit(self, is_durable: bool) -> dict[EntryId, int]:
        """Make the changes; return the revision of each touched key.

        That is the revision of its change. If nothing changed, it is that of its entry, or 0 for no
        key, and left out if the key may not be read.
        """
        services = self._services
        changed = {
            entry_id: draft
            for entry_id, draft in self._drafts.items()
            if draft.is_changed and not (draft.outcome is None and draft.entry is None)
        }
        revisions = {
            entry_id: 0 if draft.entry is None else draft.entry.revision
            for entry_id, draft in self._drafts.items()
            if services.store.may_read(*entry_id)
        }
        self._check_owned(changed)
        outcome = {entry_id: _size_of(entry_id, draft) for entry_id, draft in changed.items()}
        # Of a session that ends its keys go without a right to them, and make room for the rest.
        services.store.check_outcome({one: None for one in outcome if one not in self._ended})
        services.unrestricted_store.check_outcome(outcome)
        services.unrestricted_store.make_room_for(outcome)
        in_order = sorted(
            changed, key=lambda entry_id: _growth(outcome[entry_id], changed[entry_id])
        )
        with services.unrestricted_store.group():
            for ns, key in in_order:
                draft = changed[ns, key]
                change: Change | None
                if (ns, key) in self._ended and draft.outcome is None:
                    change = services.unrestricted_store.delete(ns, key)
                elif draft.outcome is None:
                    change = services.store.delete(ns, key, is_durable=is_durable)
                else:
                    change = services.store.set(
                        ns,
                        key,
                        draft.outcome,
                        draft.expires_at,
                        then=draft.then,
                        owner=draft.owner,
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
        draft = self._draft_of(ns, key)
        present = draft.value.encoded()
        standing = () if draft.entry is None else (draft.entry,)
        entries = (*standing, *self._services.unrestricted_store.history.of(ns, key))
        return [entry.value for entry in entries if entry.value != present]


def check_rights(services: Services, operation: Operation) -> None:
    """Raise `ForbiddenError` if the rights do not permit an operation."""
    ns, key = operation.ns, operation.key
    services.store.check_outcome({(ns, key): None})  # the right to write comes first
    needs_reading = operation.returns_value or operation.is_conditional
    if needs_reading and not services.store.may_read(ns, key):
        raise ForbiddenError.to("read", ns, key)


def _size_of(entry_id: EntryId, draft: _Draft) -> int | None:
    return None if draft.outcome is None else size_of(entry_id[1], draft.outcome, draft.then)


def _growth(size: int | None, draft: _Draft) -> tuple[bool, int]:
    return (False, 0) if size is None else (True, growth_of(size, draft.entry))


def _as_json(value: bytes | None) -> Any:
    return None if value is None else orjson.Fragment(value)
