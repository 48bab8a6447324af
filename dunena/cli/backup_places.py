"""Where a backup is taken of and restored to: a running server, or a folder that none uses."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

from typer import Option

from dunena import __version__
from dunena.cli.connect_options import http_client, options_of, refusal
from dunena.cli.failure import fail
from dunena.client.errors import RequestError

if TYPE_CHECKING:
    from dunena.backup.restore_plan import Step
    from dunena.backup.transactions import TransactionBatch
    from dunena.client.http import Http

REFUSED_MAX = 100
"""Refused changes after which a restore ends: the others would be refused too."""

Folder = Annotated[
    Path | None,
    Option(
        "--cache-dir",
        metavar="DIR",
        file_okay=False,
        show_default=False,
        help="A folder of values that no server uses.",
    ),
]

_VALUE_BYTES_MAX = 1 << 30
"""Every value of a folder is read, whatever the limit of its server is."""


class BackupPlace(ABC):
    """One place; ``label`` names it in the names of files, ``shown`` for people."""

    label: str
    shown: str

    @abstractmethod
    def save(self, file: IO[bytes], *, has_pages: bool) -> list[str]:
        """Write a backup into a file; return why something is missing in it, in sentences."""

    @abstractmethod
    def change(self, steps: "Sequence[Step]", progress: Callable[[int], None]) -> list[str]:
        """Make changes; return those that were refused, with the reasons."""


class ServerPlace(BackupPlace):
    """A running server."""

    def __init__(self, server: "Http", authority: str, token: str | None) -> None:
        self._server = server
        self._token = token
        self.label = authority.replace(":", "-").replace("[", "").replace("]", "")
        self.shown = f"the server at {authority}"

    def save(self, file: IO[bytes], *, has_pages: bool) -> list[str]:
        """Download a backup."""
        query: dict[str, object] = {} if has_pages else {"pages": "false"}
        for piece in self._server.download("/backup", query):
            file.write(piece)
        return []

    def change(self, steps: "Sequence[Step]", progress: Callable[[int], None]) -> list[str]:
        """Make the changes by transactions, and one by one where a transaction is refused."""
        from dunena.backup.transactions import batches_of

        refused: list[str] = []
        done = 0
        for batch in batches_of(steps, _now):
            refused += self._send(batch)
            done += len(batch.steps)
            progress(done)
            if len(refused) >= REFUSED_MAX:
                break
        return refused

    def _send(self, batch: "TransactionBatch") -> list[str]:
        from dunena.backup.transactions import batches_of

        try:
            self._server.ask("POST", "/txn", body=batch.body)
        except RequestError as error:
            if len(batch.steps) == 1:
                return [f"{_named(batch.steps[0])}: {refusal(error, self._token)}"]
            alone = (one for step in batch.steps for one in batches_of([step], _now))
            return [reason for one in alone for reason in self._send(one)]
        return []


class FolderPlace(BackupPlace):
    """A folder for values that no server uses, and the folder of pages beside it, if any.

    One that ``may_be_missing`` is empty then, and made by the first change.
    """

    def __init__(self, folder: Path, pages: Path | None, *, may_be_missing: bool) -> None:
        self._folder = folder
        self._may_be_missing = may_be_missing
        self._pages = pages
        name = folder.absolute().name or "folder"
        self.label = "".join(char if char.isalnum() or char in "-_" else "-" for char in name)
        self.shown = f"the folder {folder}"

    def save(self, file: IO[bytes], *, has_pages: bool) -> list[str]:
        """Make a backup of what is in the folder."""
        from dunena.backup.pages import read_pages
        from dunena.backup.writing import Snapshot, write_backup
        from dunena.persistence.folder import read_folder
        from dunena.persistence.interface import Damage, Loaded

        loaded, damages = Loaded(), list[Damage]()
        if self._folder.exists() or not self._may_be_missing:
            loaded, damages = read_folder(self._folder, _VALUE_BYTES_MAX)
        snapshot = Snapshot(loaded.entries, loaded.revision, _now())
        pages = read_pages(self._pages) if has_pages and self._pages is not None else ()
        for piece in write_backup(snapshot, __version__, pages):
            file.write(piece)
        return [f"{one.display_path}: {one.reason}" for one in damages]

    def change(self, steps: "Sequence[Step]", progress: Callable[[int], None]) -> list[str]:
        """Make the changes in the folder, which no server may use meanwhile."""
        from dunena.backup.transactions import OPERATIONS_MAX
        from dunena.persistence.offline import open_offline

        with open_offline(self._folder, _VALUE_BYTES_MAX) as folder:
            for done, step in enumerate(steps, 1):
                if step.held is None:
                    folder.store.delete(step.ns, step.key)
                else:
                    folder.store.set(step.ns, step.key, step.value, step.expires_at, then=step.then)
                if done % OPERATIONS_MAX == 0:
                    folder.commit(durable=False)
                    progress(done)
            folder.commit(durable=True)
        return []


@contextmanager
def open_place(
    url: str,
    token: str | None,
    folder: Path | None,
    pages: Path | None,
    *,
    may_be_missing: bool = False,
) -> Iterator[BackupPlace]:
    """Open the folder if there is one, else the server; end the program with one line if not."""
    from dunena.persistence.interface import InUseError, OpenError, StorageError

    if folder is None:
        authority = options_of(url, token).address.authority
        with http_client(url, token) as server:
            yield ServerPlace(server, authority, token)
        return
    try:
        yield FolderPlace(folder, pages, may_be_missing=may_be_missing)
    except InUseError as error:
        where = f"--url {error.url}" if error.url else "--url"
        fail(f"a server is using {folder}; name it with {where} in place of --cache-dir")
    except (OpenError, StorageError) as error:
        fail(error.reason)


def _named(step: "Step") -> str:
    return f"{step.key} of namespace {step.ns}" if step.ns else step.key


def _now() -> int:
    return int(time.time() * 1000)
