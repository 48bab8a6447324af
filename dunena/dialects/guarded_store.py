"""The view of the store that a grant permits."""

from collections.abc import Sequence

from dunena.dialects.errors import ForbiddenError
from dunena.dialects.grants import Globs, Grant, Right
from dunena.store.entry import Change, Entry
from dunena.store.quota import Outcome, Write
from dunena.store.store import Store
from dunena.store.view import StoreView


class GuardedStore(StoreView):
    """A store that permits what a grant does, and raises `ForbiddenError` for all else.

    Lists omit keys that may not be read, as if they did not exist.
    """

    __slots__ = (
        "_grant",
        "_keys",
        "_may_read",
        "_may_write",
        "_namespaces",
        "_unrestricted",
        "_visible_keys",
    )

    def __init__(self, unrestricted: Store, grant: Grant) -> None:
        self._unrestricted = unrestricted
        self._grant = grant
        self._keys = Globs(grant.keys)
        self._namespaces = Globs(grant.namespaces)
        self._may_read = Right.READ in grant.rights
        self._may_write = Right.WRITE in grant.rights
        self._visible_keys: dict[str, str] = {}  # namespace -> a key of it that may be read

    def may_read(self, ns: str, key: str) -> bool:
        """Return whether the grant permits to see a key's value and changes."""
        return self._may_read and self._is_within(ns, key)

    def get(self, ns: str, key: str, now: int) -> Entry | None:
        """Like `Store.get`; raises `ForbiddenError` for a key that may not be read."""
        self._check_read(ns, key)
        return self._unrestricted.get(ns, key, now)

    def read(self, ns: str, key: str, now: int) -> Entry | None:
        """Like `Store.read`; raises `ForbiddenError` for a key that may not be read."""
        self._check_read(ns, key)
        return self._unrestricted.read(ns, key, now)

    def peek(self, ns: str, key: str, now: int) -> Entry | None:
        """Like `Store.peek`; raises `ForbiddenError` for a key that may not be read."""
        self._check_read(ns, key)
        return self._unrestricted.peek(ns, key, now)

    def has(self, ns: str, key: str, now: int) -> bool:
        """Like `Store.has`; raises `ForbiddenError` for a key that may not be read."""
        self._check_read(ns, key)
        return self._unrestricted.has(ns, key, now)

    def namespaces(self) -> list[str]:
        """Like `Store.namespaces`, without those in which no key may be read."""
        return [ns for ns in self._unrestricted.namespaces() if self._has_visible_key(ns)]

    def set(
        self,
        ns: str,
        key: str,
        value: bytes,
        expires_at: int | None = None,
        *,
        then: bytes | None = None,
        owner: str | None = None,
        is_durable: bool = False,
    ) -> Change:
        """Like `Store.set`; raises `ForbiddenError` for a key that may not be written."""
        self._check_write(ns, key)
        return self._unrestricted.set(
            ns, key, value, expires_at, then=then, owner=owner, is_durable=is_durable
        )

    def delete(self, ns: str, key: str, *, is_durable: bool = False) -> Change | None:
        """Like `Store.delete`; raises `ForbiddenError` for a key that may not be written."""
        self._check_write(ns, key)
        return self._unrestricted.delete(ns, key, is_durable=is_durable)

    def check_writes(self, ns: str, writes: Sequence[Write]) -> None:
        """Like `Store.check_writes`; raises `ForbiddenError` if one of them is not permitted."""
        for key, _ in writes:
            self._check_write(ns, key)
        self._unrestricted.check_writes(ns, writes)

    def check_outcome(self, outcome: Outcome) -> None:
        """Like `Store.check_outcome`; raises `ForbiddenError` if a change is not permitted."""
        for ns, key in outcome:
            self._check_write(ns, key)
        self._unrestricted.check_outcome(outcome)

    def clear(self) -> Change:
        """Like `Store.clear`; raises `ForbiddenError` without the right admin."""
        if Right.ADMIN not in self._grant.rights:
            raise ForbiddenError.needs_admin()
        return self._unrestricted.clear()

    def _has_visible_key(self, ns: str) -> bool:
        """Return whether a namespace has a key that may be read."""
        if not self._may_read or ns not in self._namespaces:
            return False
        known = self._visible_keys.get(ns)
        if known is not None and self._unrestricted.peek(ns, known, 0) is not None:
            return True
        for key in self._unrestricted.table.keys(ns):
            if key in self._keys:
                self._visible_keys[ns] = key
                return True
        self._visible_keys.pop(ns, None)
        return False

    def _is_within(self, ns: str, key: str) -> bool:
        return key in self._keys and ns in self._namespaces

    def _check_read(self, ns: str, key: str) -> None:
        if not (self._may_read and self._is_within(ns, key)):
            raise ForbiddenError.to("read", ns, key)

    def _check_write(self, ns: str, key: str) -> None:
        if not (self._may_write and self._is_within(ns, key)):
            raise ForbiddenError.to("write", ns, key)
