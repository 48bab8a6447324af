"""What is in the store, for people who look at it: entries with size, revision and expiry.

A listing is asked for by position, so that a page of it can be drawn without those before it. The
matches of a pattern are kept until keys come or go: reading on in an unchanged store costs what is
read and nothing else.
"""

from collections import OrderedDict

import orjson

from dunena.dialects.cache_api import Answer, Query, body_object, glob, whole_number
from dunena.dialects.core import Core, namespace_of, unicode_name
from dunena.dialects.errors import ClientError, InvalidMessageError, WrongTypeError
from dunena.store.entry import Entry
from dunena.store.limits import PAGE_KEYS_DEFAULT, PAGE_KEYS_MAX

PREVIEW_CHARS_MAX = 200
"""Of a value's JSON text in a listing: a line of a table, and a page of a thousand stays small."""

_LISTINGS_KEPT_MAX = 16  # a few people, each with a pattern or two
_UTF8_BYTES_MAX = 4  # of one character


class Listing:
    """The listings of one store."""

    def __init__(self, core: Core) -> None:
        self._core = core
        # (namespace, pattern) -> the sorted keys it was made from, those that match
        self._matches: OrderedDict[tuple[str, str], tuple[list[str], list[str]]] = OrderedDict()

    def page(self, query: Query, now: int) -> Answer:
        """``GET /entries``: a part of a namespace's entries in the order of their keys.

        ``offset`` counts those that match; ``order`` is ``asc`` or ``desc``.
        """
        ns = namespace_of(query, unicode_name)
        offset = whole_number(query, "offset", 0)
        count = _count(query)
        keys = self._matching(ns, query.get("pattern", "*"))
        total = len(keys)
        match query.get("order", "asc"):
            case "asc":
                wanted = keys[offset : offset + count]
            case "desc":
                end = max(0, total - offset)
                wanted = keys[max(0, end - count) : end][::-1]
            case _:
                raise ClientError('order must be "asc" or "desc"')
        return self._answer(ns, wanted, now, total=total, offset=offset)

    def some(self, body: bytes, now: int) -> Answer:
        """``POST /entries``: those of the keys named that exist."""
        message = body_object(body)
        keys = message.get("keys")
        if not isinstance(keys, list):
            raise (
                InvalidMessageError.missing("keys")
                if keys is None
                else WrongTypeError("keys must be a list")
            )
        if len(keys) > PAGE_KEYS_MAX:
            raise ClientError(f"keys exceed max count ({PAGE_KEYS_MAX})")
        ns = namespace_of(message, unicode_name)
        return self._answer(ns, [unicode_name(key, "Key") for key in keys], now)

    def one(self, key: str, query: Query, now: int) -> Answer:
        """``GET /entries/{key}``: one entry with its whole value; null if there is none."""
        ns = namespace_of(query, unicode_name)
        entry = self._core.store.peek(ns, unicode_name(key, "Key"), now)
        shown: dict[str, object] | None = None
        if entry is not None:
            shown = {**_described(entry), "value": orjson.Fragment(entry.value)}
        return 200, orjson.dumps({"timestamp": now, "entry": shown})

    def namespaces(self, query: Query, _now: int) -> Answer:
        """``GET /namespaces``: names in order, with the number of keys in each; "" is none."""
        matches = glob(query.get("pattern", "*"))
        names = [ns for ns in self._core.store.namespaces() if matches(ns)]
        offset = whole_number(query, "offset", 0)
        shown = [
            {"ns": ns, "keys": len(self._core.store.sorted_keys(ns))}
            for ns in names[offset : offset + _count(query)]
        ]
        return 200, orjson.dumps({"total": len(names), "offset": offset, "namespaces": shown})

    def _answer(self, ns: str, keys: list[str], now: int, **more: int) -> Answer:
        store = self._core.store
        entries = [
            {**_described(entry), "preview": _preview(entry.value)}
            for entry in (store.peek(ns, key, now) for key in keys)
            if entry is not None
        ]
        return 200, orjson.dumps(
            {**more, "revision": store.whole.revision, "timestamp": now, "entries": entries}
        )

    def _matching(self, ns: str, pattern: str) -> list[str]:
        keys = self._core.store.sorted_keys(ns)
        if pattern in ("", "*"):
            return keys
        name = (ns, pattern)
        kept = self._matches.get(name)
        # The store makes a new list when keys come or go, and only then.
        if kept is None or kept[0] is not keys:
            matches = glob(pattern)
            kept = self._matches[name] = (keys, [key for key in keys if matches(key)])
        self._matches.move_to_end(name)
        if len(self._matches) > _LISTINGS_KEPT_MAX:
            self._matches.popitem(last=False)
        return kept[1]


def _described(entry: Entry) -> dict[str, object]:
    return {
        "key": entry.key,
        "size": entry.size,
        "revision": entry.revision,
        "expiresAt": entry.expires_at,
    }


def _preview(value: bytes) -> str:
    """The beginning of a value's JSON text; whole characters."""
    head = value[: PREVIEW_CHARS_MAX * _UTF8_BYTES_MAX]
    return head.decode(errors="ignore")[:PREVIEW_CHARS_MAX]


def _count(query: Query) -> int:
    return max(1, min(whole_number(query, "count", PAGE_KEYS_DEFAULT), PAGE_KEYS_MAX))
