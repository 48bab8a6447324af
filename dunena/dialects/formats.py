"""Values as programs without JSON show them: as text, as rows of a table, and as CSV; no I/O.

Rules. As text a string is itself, a timer (`dunena.dialects.ops.timer`) what it shows at a time,
and everything else its JSON. As rows an object is one row, a list has a row for each of its
elements, and everything else is one row with the column ``value``. A row has no objects inside: the
member ``score`` of a member ``home`` is in the column ``home.score``. A list inside an object is
one cell, its JSON, as are an empty object and a list inside a list: the columns do not depend on
how long a list is. The member ``timer`` of a timer is one cell too, the text that it shows.
"""

import math
import re
from collections.abc import Iterable, Sequence

import orjson

from dunena.dialects.errors import TooLargeError
from dunena.dialects.ops.timer import MS_MAX, is_timer, shown_ms
from dunena.store.limits import PARTIAL_BYTES_MAX
from dunena.store.values import JsonValue, as_text

Cell = None | bool | int | float | str
TableRow = dict[str, Cell]
"""Column -> cell, in the order of the value's members."""

_CELL_BYTES = 8  # of what is no string, about
# The last four are the same characters in full width, which some spreadsheets read alike.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?")


def text_of(encoded: bytes, now: int) -> str:
    """Return a value (JSON) as text; ``now`` is the server's time, Unix ms."""
    # Without a timer nothing is decoded. The op `timer` works up to the same size.
    if encoded.startswith(b"{") and b'"timer"' in encoded and len(encoded) <= PARTIAL_BYTES_MAX:
        text = timer_text(orjson.loads(encoded), now)
        if text is not None:
            return text
    return as_text(encoded)


def timer_text(value: JsonValue, now: int) -> str | None:
    """Return what a timer shows at ``now`` (Unix ms), as ``m:ss`` or ``h:mm:ss``.

    None if the value is no timer, or shows more than one can (`MS_MAX`). One that counts down shows
    0:00 only when it has ended.
    """
    if not is_timer(value):
        return None
    timer = value["timer"]
    shown = shown_ms(timer, now) / 1000
    if not abs(shown) * 1000 <= MS_MAX:  # infinite, too
        return None
    seconds = math.ceil(shown) if timer["rate"] < 0 else math.floor(shown)
    minutes, rest = divmod(abs(seconds), 60)
    hours, rest_minutes = divmod(minutes, 60)
    sign = "-" if seconds < 0 else ""
    if hours:
        return f"{sign}{hours}:{rest_minutes:02}:{rest:02}"
    return f"{sign}{minutes}:{rest:02}"


def changes_by_itself(encoded: bytes) -> bool:
    """Return whether a value (JSON) may be shown otherwise later although nobody changed it.

    So it is with a running timer. The answer is yes for some others too, but never wrongly no.
    """
    return b'"running":true' in encoded and b'"timer":{' in encoded


class Table:
    """The rows of one or more values, and their columns in the order in which they first came.

    Names of columns repeat those of all objects around: so the size of the rows is limited to
    ``bytes_max``, and `TooLargeError` is raised above it.
    """

    __slots__ = ("_bytes", "_bytes_max", "columns", "rows")

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self.columns: dict[str, None] = {}
        self.rows: list[TableRow] = []

    def add(self, value: JsonValue, now: int, key: str | None = None) -> None:
        """Add the rows of a value as it is shown at ``now`` (Unix ms).

        With ``key`` each row begins with the column ``key``; a member of that name is then in the
        column ``value.key``.
        """
        elements = value if isinstance(value, list) else (value,)
        for element in elements:
            row: TableRow = {}
            if key is not None:
                self._put(row, "key", key)
            if isinstance(element, dict):
                self._flatten(row, element, "", now, has_key=key is not None)
            else:
                self._put(row, "value", _cell_of(element))
            self.rows.append(row)

    def check_csv_size(self) -> None:
        """Raise `TooLargeError` if the CSV would be too large, with all its empty cells."""
        self._check(self._bytes + len(self.rows) * len(self.columns))

    def _flatten(
        self, row: TableRow, value: dict[str, JsonValue], prefix: str, now: int, *, has_key: bool
    ) -> None:
        shown = timer_text(value, now)
        for name, part in value.items():
            column = prefix + name
            if has_key and column == "key":
                column = "value.key"
            if shown is not None and name == "timer":
                self._put(row, column, shown)
            elif isinstance(part, dict) and part:
                self._flatten(row, part, f"{column}.", now, has_key=False)
            else:
                self._put(row, column, _cell_of(part))

    def _put(self, row: TableRow, column: str, cell: Cell) -> None:
        self._bytes += len(column) + (len(cell) if isinstance(cell, str) else _CELL_BYTES)
        self._check(self._bytes)
        row[column] = cell  # of two members that come to the same name, the last one
        self.columns[column] = None

    def _check(self, size: int) -> None:
        if size > self._bytes_max:
            raise TooLargeError(f"Rows exceed max size ({self._bytes_max} bytes)")


def csv_lines(columns: Sequence[str], rows: Iterable[TableRow]) -> bytes:
    """Return rows as lines of CSV (RFC 4180) in UTF-8; without columns there are none.

    A null is an empty cell, as one that is missing.

    A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@`` as a formula, which
    could send other cells away. So a text like that gets an apostrophe in front, unless it is a
    number.
    """
    return _lines([[_csv_cell(row.get(column)) for column in columns] for row in rows])


def csv_head(columns: Sequence[str]) -> bytes:
    """Return the first line of the CSV, the names of the columns."""
    return _lines([[_harmless(column) for column in columns]])


def _lines(rows: list[list[str]]) -> bytes:
    import csv  # imported here, as a start does not need it
    import io

    text = io.StringIO(newline="")
    csv.writer(text).writerows(row for row in rows if row)
    return text.getvalue().encode()


def _cell_of(value: JsonValue) -> Cell:
    if isinstance(value, dict | list):
        return orjson.dumps(value).decode()
    cell: Cell = value
    return cell


def _csv_cell(cell: Cell) -> str:
    if cell is None:
        return ""
    return _harmless(cell) if isinstance(cell, str) else orjson.dumps(cell).decode()


def _harmless(text: str) -> str:
    if text.lstrip(" ").startswith(_FORMULA) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text
