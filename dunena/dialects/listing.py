"""Listings of the store for people: entries with size, revision and expiry.

A page of a listing is requested by its position, so that it can be shown without those before it.
"""

from functools import partial

import orjson

from dunena.dialects.errors import ClientError, InvalidMessageError, WrongTypeError
from dunena.dialects.http_api import (
    HttpResult,
    LateHttpResult,
    Query,
    body_object,
    page_count,
    whole_number,
)
from dunena.dialects.key_search import Work, glob
from dunena.dialects.services import Services, namespace_of, unicode_name
from dunena.store.entry import Entry, EphemeralEntry
from dunena.store.limits import PAGE_KEYS_MAX

PREVIEW_CHARS_MAX = 200
"""Characters of a value's JSON in a listing: one line of a table; a page of 1,000 stays small."""

_UTF8_BYTES_MAX = 4  # bytes of one character


class Listing:
    """Makes the listings of one view of the store."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def page(self, query: Query) -> Work[LateHttpResult]:
        """Answer ``GET /entries`` with a page of a namespace's entries in the order of their keys.

        ``offset`` is the number of matching entries before the page; ``order`` is ``asc`` or
        ``desc``. Raise `ClientError` for a wrong query.
        """
        ns = namespace_of(query, unicode_name)
        offset = whole_number(query, "offset", 0)
        count = page_count(query)
        direction = query.get("order", "asc")
        if direction not in ("asc", "desc"):
            raise ClientError('order must be "asc" or "desc"')
        services = self._services
        keys = yield from services.search.matching(
            services.unrestricted_store, services.store, ns, query.get("pattern", "*")
        )
        if direction == "asc":
            wanted = keys.page(offset, count)
        else:
            end = max(0, keys.count - offset)
            start = max(0, end - count)
            wanted = keys.page(start, end - start)[::-1]
        return partial(self._answer, ns, wanted, total=keys.count, offset=offset)

    def some(self, body: bytes, now: int) -> HttpResult:
        """Answer ``POST /entries`` with the entries of the given keys that exist."""
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

    def one(self, key: str, query: Query, now: int) -> HttpResult:
        """Answer ``GET /entries/{key}`` with the entry and its whole value; null if missing."""
        ns = namespace_of(query, unicode_name)
        entry = self._services.store.read(ns, unicode_name(key, "Key"), now)
        shown: dict[str, object] | None = None
        if entry is not None:
            shown = {**described(entry), "value": orjson.Fragment(entry.value)}
            if entry.then is not None:
                shown["then"] = orjson.Fragment(entry.then)
        return 200, orjson.dumps({"timestamp": now, "entry": shown})

    def namespaces(self, query: Query) -> Work[LateHttpResult]:
        """Answer ``GET /namespaces`` with the sorted names and the number of keys in each.

        "" stands for keys without a namespace.
        """
        matches = glob(query.get("pattern", "*"))
        names = [ns for ns in self._services.store.namespaces() if matches(ns)]
        offset = whole_number(query, "offset", 0)
        shown = []
        for ns in names[offset : offset + page_count(query)]:
            count = yield from self._key_count(ns)
            shown.append({"ns": ns, "keys": count})
        body = orjson.dumps({"total": len(names), "offset": offset, "namespaces": shown})
        return lambda _now: (200, body)

    def _key_count(self, ns: str) -> Work[int]:
        services = self._services
        if services.store is services.unrestricted_store:
            return services.unrestricted_store.table.key_count(ns)
        yield
        keys = yield from services.search.matching(services.unrestricted_store, services.store, ns)
        return keys.count

    def _answer(self, ns: str, keys: list[str], now: int, **more: int) -> HttpResult:
        store = self._services.store
        entries = [
            {**described(entry), **previews(entry)}
            for entry in (store.peek(ns, key, now) for key in keys)
            if entry is not None
        ]
        revision = self._services.unrestricted_store.revision
        return 200, orjson.dumps(
            {**more, "revision": revision, "timestamp": now, "entries": entries}
        )


def described(entry: Entry) -> dict[str, object]:
    """Return what a listing says of an entry besides its value."""
    described: dict[str, object] = {
        "key": entry.key,
        "size": entry.size,
        "revision": entry.revision,
        "expiresAt": entry.expires_at,
    }
    if isinstance(entry, EphemeralEntry):
        described["session"] = entry.owner
    return described


def previews(entry: Entry) -> dict[str, object]:
    """Return the beginning of an entry's value, and of its ``then`` if it has one."""
    if entry.then is None:
        return {"preview": _preview(entry.value)}
    return {"preview": _preview(entry.value), "thenPreview": _preview(entry.then)}


def _preview(value: bytes) -> str:
    """Return the beginning of a value's JSON text, cut between characters."""
    head = value[: PREVIEW_CHARS_MAX * _UTF8_BYTES_MAX]
    return head.decode(errors="ignore")[:PREVIEW_CHARS_MAX]
