"""The steps of `dunena restore`: checking the file, comparing, the copy, and the changes."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import orjson

from dunena.backup.form import BackupError
from dunena.backup.pages import write_page
from dunena.backup.reading import BackupReader, KeptEntry
from dunena.backup.restore_plan import Plan, make_plan
from dunena.cli.backup_places import BackupPlace
from dunena.cli.failure import fail
from dunena.cli.new_file import write_new
from dunena.cli.output import count_of
from dunena.cli.progress import ProgressLine
from dunena.desktop.terminal import say
from dunena.store.entry import EntryId


@contextmanager
def open_backup(path: Path) -> Iterator[BackupReader]:
    """Open a backup and check all of it; end the program with one line if it is none."""
    try:
        with path.open("rb") as file:
            backup = BackupReader(file, path.stat().st_size)
            with ProgressLine("Checking", len(backup.entries) + len(backup.pages)) as progress:
                backup.check(progress)
            yield backup
    except BackupError as error:
        fail(f"{path} cannot be restored: {error}")
    except OSError as error:
        fail(f"{error.filename or path}: {error.strerror or error}")


class Restore:
    """One restore of a backup into a place; with ``deletes`` keys that are not in it go.

    ``copy`` is the backup of what was there before, once it is made; None for none. ``refused`` are
    the changes that were refused, with the reasons.
    """

    def __init__(
        self, file: Path, backup: BackupReader, place: BackupPlace, *, deletes: bool
    ) -> None:
        self._file = file
        self._backup = backup
        self._place = place
        self._deletes = deletes
        self._plan = Plan()
        self._mark = _Mark(file, place.label)
        self._earlier_copy: Path | None = None
        self.copy: Path | None = None
        self.refused: list[str] = []
        self.pages_written = 0

    def compare(self) -> Plan:
        """Find out what is to be changed."""
        backup = self._backup
        with TemporaryFile() as file, ProgressLine("Comparing", len(backup.entries)) as progress:
            self._place.save(file, has_pages=False)
            there = {(one.ns, one.key): one for one in _reader(file).entries}
            self._plan = make_plan(
                backup.entries, there, _now(), deletes=self._deletes, progress=progress
            )
            earlier = self._mark.read_copy()
            if earlier is not None and _has_what_is_lost(earlier, self._plan, there):
                self._earlier_copy = earlier
        return self._plan

    def refuse_full_store(self) -> None:
        """End the program if there is anything that is not in the backup, or otherwise."""
        plan = self._plan
        there = plan.same + plan.changed + plan.kept
        if plan.changed or plan.kept:
            fail(
                f"{self._place.shown} has {there:,} keys already, {plan.changed + plan.kept:,} of "
                "them not as in the backup: --replace makes everything as it was, --merge keeps "
                "the keys that are not in it, --dry-run only says what would change"
            )

    def carry_out(self, *, has_copy: bool) -> None:
        """Make all changes, with a backup of what is there before, if it is to be made."""
        plan = self._plan
        if self._mark.exists:
            say("An earlier restore of this file was interrupted: this one ends it.", error=True)
            self.copy = self._earlier_copy
        if has_copy and plan.loses and self.copy is None:
            self.copy = self._save_copy()
        if not plan.steps:
            self._mark.remove()
            return
        self._mark.write(self.copy)
        with ProgressLine("Restoring", len(plan.steps)) as progress:
            self.refused = self._place.change(plan.steps, progress)
        if not self.refused:
            self._mark.remove()

    def write_pages(self, root: Path) -> None:
        """Write the pages of the backup into a folder."""
        for name in self._backup.pages:
            self.pages_written += write_page(root, name, self._backup.page(name))

    def told(self, *, dry_run: bool) -> str:
        """Return what was done, or would be, in words."""
        plan, manifest = self._plan, self._backup.manifest
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(manifest.made_at / 1000))
        verb = "It would add" if dry_run else "Added"
        change = "change" if dry_run else "changed"
        added = f"{verb} {count_of(plan.new, 'key')} and {change} {plan.changed:,}"
        lines = [
            f"{self._file} was made on {made} by dunena {manifest.dunena}.",
            f"{added}; {plan.same:,} the same.",
        ]
        if plan.deleted:
            lines.append(
                f"{'It would delete' if dry_run else 'Deleted'} {count_of(plan.deleted, 'key')}."
            )
        if plan.kept:
            lines.append(f"Keys that are not in it and stay: {plan.kept:,}.")
        if plan.expired:
            lines.append(f"Keys in it that have expired since and are left out: {plan.expired:,}.")
        if self.pages_written:
            lines.append(f"Wrote {count_of(self.pages_written, 'page file')}.")
        elif self._backup.pages:
            lines.append(
                f"It has {count_of(len(self._backup.pages), 'page file')} as well; see --www."
            )
        if self.copy is not None:
            lines.append(f"What was there before is in {self.copy}.")
        return "\n".join(lines)

    # --- inside ---

    def _save_copy(self) -> Path:
        stamp = time.strftime("%Y-%m-%d-%H%M%S")
        name, number = f"before-restore-{self._place.label}-{stamp}", 1
        copy = self._file.with_name(f"{name}.zip")
        while copy.exists():  # of a restore in the same second
            number += 1
            copy = self._file.with_name(f"{name}-{number}.zip")
        with write_new(copy) as file:
            missing = self._place.save(file, has_pages=True)
        if missing:
            fail(f"{missing[0]}, so nothing was changed; --without-copy goes on without a copy")
        return copy


class _Mark:
    """A file beside the backup while it is being restored; it names the copy from before."""

    def __init__(self, file: Path, label: str) -> None:
        self._path = file.with_name(f"{file.name}.{label}.restoring")

    @property
    def exists(self) -> bool:
        """Whether a restore was interrupted."""
        return self._path.exists()

    def read_copy(self) -> Path | None:
        """Return the copy that the interrupted restore made; None if it made none."""
        try:
            text = orjson.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return None
        return Path(text) if isinstance(text, str) else None

    def write(self, copy: Path | None) -> None:
        """Record that a restore has begun."""
        text = orjson.dumps(None if copy is None else str(copy))
        draft = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
        try:
            draft.write_bytes(text)
            # Whole or not at all: an empty record would have the next restore make a second copy.
            draft.replace(self._path)
        except OSError:  # the folder cannot be written: the next restore compares all the same
            with suppress(OSError):
                draft.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the record: everything is restored."""
        self._path.unlink(missing_ok=True)


def _has_what_is_lost(copy: Path, plan: Plan, there: dict[EntryId, KeptEntry]) -> bool:
    """Return whether a backup has every value that a plan changes or deletes, as it is there.

    The copy that an interrupted restore made has not what was written since.
    """
    lost = {(step.ns, step.key) for step in plan.steps} & there.keys()
    if not lost:
        return True
    try:
        with copy.open("rb") as file:
            entries = BackupReader(file, file.seek(0, 2)).entries
            others = make_plan(entries, there, _now(), deletes=True).steps
    except (OSError, BackupError):
        return False
    return lost.isdisjoint((step.ns, step.key) for step in others)


def _reader(file: IO[bytes]) -> BackupReader:
    try:
        return BackupReader(file, file.seek(0, 2))
    except BackupError as error:
        fail(f"what is there cannot be compared: {error}")


def _now() -> int:
    return int(time.time() * 1000)
