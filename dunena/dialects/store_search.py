"""``GET /search``: a text in the names and the values of all keys of all namespaces.

Theory of operation. No index is kept: a search reads everything, in portions, and other requests
are served in between. Names are compared first, then values as the JSON text that is stored, a
large one in slices. After a number of keys or bytes the search ends with a cursor, by which the
next request goes on. The cursor names the last key that was looked at and may be read, so that it
tells nobody of other keys, and so that keys that come and go meanwhile shift nothing.
"""

import base64
from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import orjson

from dunena.dialects.errors import InvalidFieldError
from dunena.dialects.http_api import HttpResult, LateHttpResult, Query, page_count
from dunena.dialects.key_search import KEYS_AT_ONCE_MAX, Work, glob
from dunena.dialects.listing import described, previews
from dunena.dialects.services import Services
from dunena.store.entry import EntryId
from dunena.store.limits import SEARCH_CHARS_MAX, SEARCHED_BYTES_MAX, SEARCHED_KEYS_MAX

PORTION_BYTES_MAX = 65_536
"""Bytes of values that are searched in one turn: some 0.2 ms of work, 1 ms beyond ASCII."""

_NAMESPACE_KEYS = 10  # what it costs to begin with a namespace, in keys
_EXCERPT_CHARS_MAX = 200
_EXCERPT_BEFORE_CHARS = 15
_SEEN_CHARS = 25  # a match so far in front is seen in the beginning of the value
_UTF8_BYTES_MAX = 4  # bytes of one character


class _Found(NamedTuple):
    """A key that was found, and the text around the place if that is inside its value."""

    place: EntryId
    match: Literal["key", "value"]
    excerpt: str


class StoreSearch:
    """One search; raise `ClientError` for a wrong query.

    ``q`` is the text, ``count`` the most keys to find, ``cursor`` that of the answer before.
    """

    def __init__(self, services: Services, query: Query) -> None:
        text = query.get("q", "")
        if not 0 < len(text) <= SEARCH_CHARS_MAX:
            raise InvalidFieldError(f"q must be a text of 1 to {SEARCH_CHARS_MAX} characters")
        self._services = services
        self._store = services.unrestricted_store
        self._names = _name_matcher(text.lower())
        self._needles = _needles_of(text)
        self._overlap = _UTF8_BYTES_MAX * max(len(needle) for needle in self._needles)
        self._count = page_count(query)
        self._last = _place_of(query.get("cursor", ""))
        self._found: list[_Found] = []
        self._keys_searched = self._bytes_searched = 0
        self._keys_in_turn = self._bytes_in_turn = 0

    def work(self) -> Work[LateHttpResult]:
        """Search in portions, until enough is found or one request has done its share."""
        is_over = False
        from_ns, after = self._last
        for ns in self._store.namespaces():
            if ns >= from_ns:
                is_over = yield from self._search_namespace(ns, after if ns == from_ns else "")
                if is_over:
                    break
        return partial(self._answer, _cursor_of(self._last) if is_over else None)

    def _search_namespace(self, ns: str, after: str) -> Work[bool]:
        """Search the keys of a namespace after one; return whether the request is over."""
        table, may_read = self._store.table, self._services.store.may_read
        self._keys_in_turn += _NAMESPACE_KEYS
        while True:
            while not table.place_keys(ns, KEYS_AT_ONCE_MAX):
                yield from self._next_turn()
            keys = table.key_order(ns).after(after, KEYS_AT_ONCE_MAX)
            for key in keys:
                self._keys_in_turn += 1
                if self._keys_in_turn >= KEYS_AT_ONCE_MAX:
                    yield from self._next_turn()
                if not may_read(ns, key):
                    continue
                entry = table.find(ns, key)
                if entry is not None:
                    yield from self._look_at((ns, key), entry.value)
                self._last = ns, key
                if self._is_over:
                    return True
            if len(keys) < KEYS_AT_ONCE_MAX:
                return False
            # By the last one's name: keys may have come and gone meanwhile.
            after = keys[-1]

    @property
    def _is_over(self) -> bool:
        return (
            len(self._found) >= self._count
            or self._keys_searched >= SEARCHED_KEYS_MAX
            or self._bytes_searched >= SEARCHED_BYTES_MAX
        )

    def _next_turn(self) -> Work[None]:
        self._keys_in_turn = self._bytes_in_turn = 0
        yield

    def _look_at(self, place: EntryId, value: bytes) -> Work[None]:
        """Note an entry if its name or its value matches."""
        self._keys_searched += 1
        if self._names(place[1].lower()):
            self._found.append(_Found(place, "key", ""))
            return
        self._bytes_searched += len(value)
        start = 0
        while True:
            if self._bytes_in_turn >= PORTION_BYTES_MAX:
                yield from self._next_turn()
            end = start + PORTION_BYTES_MAX
            # A slice begins and ends within a character: those belong to its neighbours, too.
            text = value[start : end + self._overlap].decode(errors="ignore")
            self._bytes_in_turn += len(text)
            at = self._find(text)
            if at >= 0:
                is_seen = start == 0 and at < _SEEN_CHARS
                excerpt = "" if is_seen else _excerpt(text, at)
                self._found.append(_Found(place, "value", excerpt))
                return
            start = end
            if start >= len(value):
                return

    def _find(self, text: str) -> int:
        """Return where a needle is in a text, -1 if none is."""
        lowered = text.lower()
        for needle in self._needles:
            at = lowered.find(needle)
            if at >= 0:
                return at
        return -1

    def _answer(self, cursor: str | None, now: int) -> HttpResult:
        """Answer with what stands under the keys that were found."""
        entries = []
        for (ns, key), match, excerpt in self._found:
            entry = self._services.store.peek(ns, key, now)
            if entry is not None:
                shown = {"ns": ns, **described(entry), **previews(entry), "match": match}
                entries.append(shown | {"excerpt": excerpt} if excerpt else shown)
        return 200, orjson.dumps(
            {
                "searched": self._keys_searched,
                "cursor": cursor,
                "revision": self._store.revision,
                "timestamp": now,
                "entries": entries,
            }
        )


def _name_matcher(text: str) -> Callable[[str], object]:
    """Return what says whether a lower-case name matches: a glob as a whole, else a part of it."""
    if "*" in text or "?" in text:
        return glob(text)
    return lambda name: text in name


def _needles_of(text: str) -> tuple[str, ...]:
    """Return what to look for in the JSON of values: the text, also as it is inside a string."""
    escaped = orjson.dumps(text)[1:-1].decode()
    return tuple(dict.fromkeys((text.lower(), escaped.lower())))


def _excerpt(text: str, at: int) -> str:
    """Return the text around a place in it."""
    start = max(0, at - _EXCERPT_BEFORE_CHARS)
    return text[start : start + _EXCERPT_CHARS_MAX]


def _cursor_of(place: EntryId) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def _place_of(cursor: str) -> EntryId:
    """Return the namespace and the key that a cursor names; without one those before all others."""
    if not cursor:
        return "", ""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        place = orjson.loads(base64.urlsafe_b64decode(padded))
    except ValueError:
        place = None
    match place:
        case [str(ns), str(key)]:
            return ns, key
    raise InvalidFieldError("cursor must be that of the answer before")
