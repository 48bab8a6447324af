"""Searching the keys of a namespace in portions: other requests are served at each ``yield``.

The keys found are cached until a key is added or deleted: the next page of an unchanged store needs
no further search.
"""

from collections import OrderedDict
from collections.abc import Callable, Generator
from typing import TypeVar

from dunena.store.globs import glob_matcher
from dunena.store.key_order import KeyOrder, order_of
from dunena.store.store import Store
from dunena.store.view import StoreView

KEYS_AT_ONCE_MAX = 1000
"""Keys that are sorted or compared with a pattern in one turn: some 1 ms of work."""

_KEPT_MAX = 16  # searches: those of a few people, each with a pattern or two

_Result = TypeVar("_Result")
Work = Generator[None, None, _Result]
"""Work in portions: each ``yield`` ends one, the generator returns the result."""


class KeySearch:
    """The cached searches in one view of the store."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        # (namespace, pattern) -> the order that was searched, its version, and the keys found
        self._found: OrderedDict[tuple[str, str], tuple[KeyOrder, int, KeyOrder]] = OrderedDict()

    def matching(
        self, store: Store, seen: StoreView, ns: str, pattern: str = "*"
    ) -> Work[KeyOrder]:
        """The keys of ``store`` that are ``seen`` and match, in order."""
        while not store.table.place_keys(ns, KEYS_AT_ONCE_MAX):
            yield
        order = store.table.key_order(ns)
        if seen is store and pattern in ("", "*"):
            return order
        name, version = (ns, pattern), order.version
        kept = self._found.get(name)
        if kept is None or kept[0] is not order or kept[1] != version:
            found = yield from _filtered(seen, ns, order, pattern)
            kept = self._found[name] = (order, version, order_of(found))
        self._found.move_to_end(name)
        if len(self._found) > _KEPT_MAX:
            self._found.popitem(last=False)
        return kept[2]


def glob(pattern: str) -> Callable[[str], object]:
    """Return a function whose result is true for keys that match the glob ``pattern``."""
    return glob_matcher(pattern)


def _filtered(seen: StoreView, ns: str, order: KeyOrder, pattern: str) -> Work[list[str]]:
    matches = glob(pattern or "*")
    found: list[str] = []
    keys = order.page(0, KEYS_AT_ONCE_MAX)
    while keys:
        found += [key for key in keys if matches(key) and seen.may_read(ns, key)]
        if len(keys) == KEYS_AT_ONCE_MAX:
            yield
        # By the last one's name: keys may have come and gone meanwhile.
        keys = order.after(keys[-1], KEYS_AT_ONCE_MAX)
    return found
