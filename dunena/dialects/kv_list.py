"""``GET /kv``: the values of all keys that match a pattern, as one object or one table.

Theory of operation. The answer is one state of the store, that of the moment at which it is sent: a
transaction is in it as a whole or not at all, and what is not kept yet is only in an answer that
waits for its commit. But finding and showing thousands of values takes long. So this is done
before, in portions, with what the store has then. At the end each key is looked up once more; what
is another entry by then is shown anew, and keys that came meanwhile are found by their revisions.
"""

from collections.abc import Callable
from functools import partial

import orjson

from dunena.dialects.errors import InvalidFieldError, TooLargeError, TooManyError
from dunena.dialects.formats import Table, TableRow, changes_by_itself, csv_head, csv_lines
from dunena.dialects.http_api import Query
from dunena.dialects.key_search import Work, glob
from dunena.dialects.kv_reading import CSV, check_rows_size, hashed_answer
from dunena.dialects.kv_request import JSON, KvAnswer
from dunena.dialects.preconditions import Preconditions
from dunena.dialects.services import Services, namespace_of, unicode_name
from dunena.store.entry import Entry
from dunena.store.limits import LISTED_BYTES_MAX, LISTED_KEYS_MAX

LateAnswer = Callable[[int], KvAnswer]
"""Makes the answer for the time at which it is sent, Unix ms; it may be called again."""

PORTION_KEYS_MAX = 200
PORTION_BYTES_MAX = 65_536
"""Keys, and bytes of their values, that are shown in one turn: some 2 ms of work. One value is."""

_FORMATS = ("json", "rows", "csv")


class _Shown:
    """What is shown of an entry.

    ``text`` is JSON, or CSV with the columns ``head``, for which it is made; ``columns`` are its
    own.
    """

    __slots__ = ("columns", "entry", "head", "rows", "text")

    def __init__(self, entry: Entry, text: bytes, table: Table | None = None) -> None:
        self.entry = entry
        self.text = text
        self.rows: list[TableRow] = [] if table is None else table.rows
        self.columns: tuple[str, ...] = () if table is None else tuple(table.columns)
        self.head: tuple[str, ...] = ()


class ValueList:
    """The answer to one request; raise `ClientError` for a wrong query."""

    def __init__(self, services: Services, query: Query, conditions: Preconditions) -> None:
        self._services = services
        self._store = services.unrestricted_store
        self._conditions = conditions
        self._ns = namespace_of(query, unicode_name)
        self._pattern = query.get("pattern") or "*"
        self._matches = glob(self._pattern)
        self._format = query.get("format") or "json"
        if self._format not in _FORMATS:
            raise InvalidFieldError(f"format must be one of: {', '.join(_FORMATS)}")
        self._shown: dict[str, _Shown] = {}
        self._begun_at = self._store.revision
        self._undos = self._store.undos

    def work(self) -> Work[LateAnswer]:
        """Find the keys and show their values, in portions. Raise `ClientError` above a limit."""
        services, store = self._services, self._store
        order = yield from services.search.matching(store, services.store, self._ns, self._pattern)
        _check_count(order.count)
        keys = order.page(0, LISTED_KEYS_MAX)
        in_turn = size = total = 0
        for key in keys:
            entry = store.table.find(self._ns, key)
            if entry is None:
                continue
            shown = self._shown[key] = self._show(entry, store.now)
            total += len(shown.text) or len(entry.value)
            _check_size(total)
            in_turn, size = in_turn + 1, size + len(entry.value)
            if in_turn >= PORTION_KEYS_MAX or size >= PORTION_BYTES_MAX:
                yield
                in_turn = size = 0
        if self._format == "csv":
            yield from self._write_lines(keys)
        return partial(self._answer, keys)

    def _write_lines(self, keys: list[str]) -> Work[None]:
        """Make the lines of all values for the columns of all, in portions."""
        known = [self._shown[key] for key in keys if key in self._shown]
        columns = _columns_of(known)
        in_turn = size = 0
        for shown in known:
            if in_turn >= PORTION_KEYS_MAX or size >= PORTION_BYTES_MAX:
                yield
                in_turn = size = 0
            _use_columns(shown, columns)
            in_turn, size = in_turn + 1, size + len(shown.text)

    def _show(self, entry: Entry, now: int) -> _Shown:
        """Show an entry, but for the lines of CSV."""
        if self._format == "json":
            return _Shown(entry, b"%b:%b" % (orjson.dumps(entry.key), entry.value))
        table = Table(LISTED_BYTES_MAX)
        try:
            check_rows_size(entry.value)
            table.add(orjson.loads(entry.value), now, entry.key)
        except TooLargeError as error:
            error.fields["key"] = entry.key
            raise
        if self._format == "csv":
            return _Shown(entry, b"", table)  # the columns are known only at the end
        return _Shown(entry, orjson.dumps(table.rows)[1:-1])  # without the brackets of the list

    def _answer(self, keys: list[str], now: int) -> KvAnswer:
        """Answer with what stands under the keys, and those that came since they were found."""
        found = self._standing(self._completed(keys), now)
        _check_count(len(found))
        if self._format == "csv":
            body = _csv_of(found)
            return hashed_answer(self._conditions, body, CSV)
        _check_size(sum(len(shown.text) for shown in found))
        joined = b",".join(shown.text for shown in found if shown.text)
        body = (b"{%b}" if self._format == "json" else b"[%b]") % joined
        return hashed_answer(self._conditions, body, JSON)

    def _standing(self, keys: list[str], now: int) -> list[_Shown]:
        """Return what is shown of the entries of the keys; other entries are shown anew."""
        found: list[_Shown] = []
        is_table = self._format != "json"
        for key in keys:
            entry = self._store.peek(self._ns, key, now)
            if entry is None:
                continue
            shown = self._shown.get(key)
            if (
                shown is None
                or shown.entry is not entry
                or (is_table and changes_by_itself(entry.value))
            ):
                shown = self._shown[key] = self._show(entry, now)
            found.append(shown)
        return found

    def _completed(self, keys: list[str]) -> list[str]:
        """Return all keys that match now, in order: those that were found, and newer ones."""
        store = self._store
        if store.revision == self._begun_at and store.undos == self._undos:
            return keys
        # Changes that were taken back have no revision by which they could be found.
        newer = store.positions.since(self._begun_at) if store.undos == self._undos else None
        if newer is None:
            return sorted(key for key in store.table.keys(self._ns) if self._is_wanted(key))
        known = set(keys)
        added = [
            entry.key
            for entry in newer.entries
            if entry.ns == self._ns and entry.key not in known and self._is_wanted(entry.key)
        ]
        return sorted([*keys, *added]) if added else keys

    def _is_wanted(self, key: str) -> bool:
        return bool(self._matches(key)) and self._services.store.may_read(self._ns, key)


def _csv_of(found: list[_Shown]) -> bytes:
    columns = _columns_of(found)
    for shown in found:
        _use_columns(shown, columns)
    lines = b"".join(shown.text for shown in found)
    _check_size(len(lines))
    return csv_head(columns) + lines


def _columns_of(found: list[_Shown]) -> tuple[str, ...]:
    """Return the columns of all rows; raise `TooLargeError` if they make too many cells."""
    columns = tuple(dict.fromkeys(column for shown in found for column in shown.columns))
    _check_size(len(columns) * sum(len(shown.rows) for shown in found))
    return columns


def _use_columns(shown: _Shown, columns: tuple[str, ...]) -> None:
    """Make the lines of CSV for these columns, unless they are made."""
    if shown.head is not columns and shown.head != columns:
        shown.text = csv_lines(columns, shown.rows)
        shown.head = columns


def _check_count(count: int) -> None:
    if count > LISTED_KEYS_MAX:
        raise TooManyError("Keys", LISTED_KEYS_MAX)


def _check_size(size: int) -> None:
    if size > LISTED_BYTES_MAX:
        raise TooLargeError(f"Values exceed max size of one reply ({LISTED_BYTES_MAX} bytes)")
