"""`dunena import` stores the entries of a file; it connects by `connect_options`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from typer import Argument

from dunena.cli.connect_options import Json, Token, Url, exit_on_error, options_of, refusal
from dunena.cli.failure import fail
from dunena.cli.output import is_for_people, say_json
from dunena.cli.permitted import Permitted
from dunena.client.address import DEFAULT_URL
from dunena.client.errors import RequestError
from dunena.desktop.terminal import say

if TYPE_CHECKING:
    from dunena.client.blocking import Store
    from dunena.client.transactions import OperationOptions

_BATCH_ENTRIES_MAX = 500
_BATCH_BYTES_MAX = 1_000_000
"""Less than any server refuses, one with a shared store too; an entry may be larger by itself."""

_REFUSED_MAX = 100
"""Refused entries after which an import ends: the other entries would be refused too."""


def import_(
    file: Annotated[
        Path, Argument(metavar="FILE", help="What export wrote.", exists=True, dir_okay=False)
    ],
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Store what a file of export holds.

    Doing it twice changes nothing more, and what was interrupted goes on where it stopped. Keys
    that are not in the file stay as they are.

    Example: dunena import values.zip
    """
    from dunena.cli.archive import entry_of, open_lines
    from dunena.cli.progress import ProgressLine
    from dunena.client.blocking import Store
    from dunena.store.merge_patch import merge

    options = options_of(url, token)
    mark = _Mark(file, options.address.authority)
    skipped, expired, stored = mark.read(), 0, 0
    total = _count_lines(file)
    with (
        exit_on_error(options),
        Store(options) as store,
        open_lines(file) as lines,
        ProgressLine("Importing", total) as progress,
    ):
        if not Permitted.of(store.info()).may("write"):
            fail("the token may write nothing, so nothing was stored; give another with --token")
        batch = _Batch(store, options.token)
        for number, raw in enumerate(lines, 1):
            if number <= skipped or not raw.strip():
                continue
            entry = entry_of(raw, number)
            ttl = _ttl(entry)
            if ttl is not None and ttl <= 0:
                if "then" not in entry:
                    expired += 1
                    continue
                entry["value"], ttl = merge(entry["value"], entry["then"]), None
            stored += 1
            if batch.add(entry, ttl, len(raw)):
                if not batch.refused:  # else the next import is to try these again
                    mark.write(number)
                progress(number)
            if len(batch.refused) >= _REFUSED_MAX:
                fail(_told(batch, stored, "and the rest was not tried"))
        batch.store()
    mark.remove()
    if batch.refused:
        fail(_told(batch, stored, "all others were"))
    if as_json or not is_for_people():
        say_json({"stored": stored, "expired": expired, "skipped": skipped})
    else:
        say(f"Stored {stored:,} keys." + (f" {expired:,} had expired." if expired else ""))


def _told(batch: "_Batch", tried: int, others: str) -> str:
    """Make the line that says how many keys were not stored, and why the first was not."""
    count = f"{len(batch.refused):,} of {tried:,} keys"
    return f"not stored: {count}, {others}; the first is {batch.refused[0]}"


class _Batch:
    """Entries of one namespace that are sent together; ``refused`` says which were not stored."""

    def __init__(self, store: "Store", token: str | None) -> None:
        self._store = store
        self._token = token
        self._entries: dict[str, Any] = {}
        self._timed: dict[str, OperationOptions] = {}
        self._ns = ""
        self._bytes = 0
        self.refused: list[str] = []

    def add(self, entry: dict[str, Any], ttl: int | None, size: int) -> bool:
        """Add an entry of ``size`` bytes with ``ttl`` ms; return whether all entries are stored."""
        ns, key = entry.get("ns", ""), entry["key"]
        if ns != self._ns or key in self._entries:
            self.store()
        self._ns = ns
        self._entries[key] = entry["value"]
        if ttl is not None:
            self._timed[key] = {"ttl": ttl, "ns": ns, "then": entry.get("then")}
        self._bytes += size
        if len(self._entries) < _BATCH_ENTRIES_MAX and self._bytes < _BATCH_BYTES_MAX:
            return False
        self.store()
        return True

    def store(self) -> None:
        """Store the entries gathered so far, and note those that are refused."""
        entries, self._entries, self._bytes = self._entries, {}, 0
        timed, self._timed = self._timed, {}
        lasting = {key: value for key, value in entries.items() if key not in timed}
        try:
            if lasting:
                # 0 is no expiry. Without a ttl the server would use its default, for new keys.
                self._store.mset(lasting, ns=self._ns, ttl=0)
        except RequestError:
            for key, value in lasting.items():  # one by one, to find the refused ones
                self._set(key, value, {"ttl": 0, "ns": self._ns})
        try:
            with self._store.txn() as transaction:
                for key, options in timed.items():
                    transaction.set(key, entries[key], **options)
        except RequestError:
            for key, options in timed.items():
                self._set(key, entries[key], options)

    def _set(self, key: str, value: Any, options: "OperationOptions") -> None:
        try:
            self._store.set(key, value, **options)
        except RequestError as error:
            self.refused.append(f"{_place(key, self._ns)}: {refusal(error, self._token)}")


def _place(key: str, ns: str) -> str:
    return f"{key} of namespace {ns}" if ns else key


class _Mark:
    """The number of lines already imported, in a file beside the imported one until the end."""

    def __init__(self, file: Path, server: str) -> None:
        self._path = file.with_name(f"{file.name}.{server.replace(':', '-')}.imported")
        status = file.stat()
        self._about = [status.st_size, status.st_mtime_ns]

    def read(self) -> int:
        """Return the number of lines that were stored; 0 if the imported file has changed since."""
        try:
            *about, count = orjson.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return 0
        return int(count) if about == self._about else 0

    def write(self, count: int) -> None:
        """Record that the first ``count`` lines are stored."""
        try:
            self._path.write_bytes(orjson.dumps([*self._about, count]))
        except OSError:  # the folder cannot be written: the next import begins at the first line
            return

    def remove(self) -> None:
        """Remove the note of how far the import came: everything is stored."""
        self._path.unlink(missing_ok=True)


def _ttl(entry: dict[str, Any]) -> int | None:
    """Return the ms until an entry expires, by the clock of this machine; None if it does not."""
    expires_at = entry.get("expiresAt")
    return None if expires_at is None else int(expires_at - time.time() * 1000)


def _count_lines(file: Path) -> int:
    from dunena.cli.archive import open_lines

    with open_lines(file) as lines:
        return sum(1 for _ in lines)
