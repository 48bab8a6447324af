"""The text files in their folder: which file shows what, and writing them.

Rules. The file of a key is named as the store names its file, but ends with ``.txt``; that of a
member is ``<key>.<member>.txt``; a namespace is a folder. A file is replaced as a whole, and only
if its text is another one. When its key or member is gone, its text is empty, but the file stays: a
program that shows it would go on showing the last text of a missing file.

The names of all files that were made are kept in a file of the folder, before the first of them is
written. So a later start empties the files of what is gone meanwhile, and a file of somebody else
is not replaced without a word.
"""

import hashlib
import logging
import re
from typing import NamedTuple

import orjson

from dunena.persistence.file_system import (
    TEXT_SUFFIX,
    Disk,
    Stamp,
    join,
    text_file_name,
    text_folder_name,
)
from dunena.plain_files import FileKind
from dunena.server.limits import TEXT_FILES_MAX, TEXT_PERIOD_MS
from dunena.server.text_files.rendering import Rendering, render
from dunena.store.entry import EntryId

OWN_FOLDER = ".text-files"
"""The folder for drafts, the names and the lock, inside the folder of text files."""

RETRY_MS = 1000
"""Time until a file that could not be written is tried again."""

LOOK_MS = 1000
"""Time between two looks at whether others have changed or removed files."""

LOOKED_AT_MAX = 1000
"""Files looked at in one of them, some 3 ms of work: all there may be are looked at in 10 s."""

_FAILURES_AT_ONCE_MAX = 10  # of files in one pass: if so many fail, others will too
_NAMES_FILE = "names.json"
_NAMES_BYTES_MAX = 16 * 1024 * 1024  # of the longest names there may be, a third of it
_DIGEST_BYTES = 16
# What the rules of names let through: nothing that leads elsewhere.
_is_part = re.compile(r"[-A-Za-z0-9_~@+=,()\[\]{}!'& %][-A-Za-z0-9_.~@+=,()\[\]{}!'& %]*").fullmatch

_Owner = tuple[EntryId, str | None]
"""A key, and a member of its value or None."""

_log = logging.getLogger(__name__)


class _Key:
    """A key that has files: its value as JSON, None for none, and its members that have files."""

    __slots__ = ("encoded", "members", "waits_until")

    def __init__(self) -> None:
        self.encoded: bytes | None = None
        self.members: set[str | None] = set()
        self.waits_until = 0


class _Written(NamedTuple):
    """What was written to a file, and the properties of the file then."""

    digest: bytes
    stamp: Stamp


class _Job(NamedTuple):
    """A file to write; ``is_last``: what it shows is gone."""

    name: str
    text: str
    owner: _Owner
    is_last: bool


class TextFolder:
    """The text files below ``root``, an absolute path without links; for one thread.

    ``failure`` says in one line what is not as it should be, None if all is well. ``written`` and
    ``failures`` count files that were and could not be written since the start, ``last_error`` is
    the reason of the last of these failures. Times are Unix ms of the server's clock.
    """

    def __init__(self, disk: Disk, root: str, *, folds_case: bool) -> None:
        self._disk = disk
        self._root = root
        self._shown_root = root.replace("\\\\?\\", "")  # how Windows writes a long path
        self._folds_case = folds_case
        self._private = join(root, OWN_FOLDER)
        self._identity: tuple[int, ...] | None = None
        self._keys: dict[EntryId, _Key] = {}
        self._changed: dict[EntryId, None] = {}
        self._timers: dict[EntryId, int] = {}
        self._owners: dict[str, _Owner] = {}
        self._waiting: dict[str, EntryId] = {}  # name -> the key of a member that it cannot show
        self._without_file: dict[EntryId, None] = {}  # keys that have not all their files
        self._again: dict[EntryId, None] = {}  # of these, those for which there may be one now
        self._written: dict[str, _Written] = {}
        self._looked_at = 0
        self._to_look_at: list[str] = []
        self._told: set[str] = set()  # names of files of which the log says that others change them
        self._recorded: set[str] = set()
        self._unrecorded: set[str] = set()  # names given in this `write`, before they are recorded
        self._gone: dict[str, None] = {}  # recorded names without an owner, the oldest first
        self._to_empty: dict[str, None] = {}  # of these, those that may hold a text
        self._problems: dict[EntryId | str, str] = {}
        self.failure: str | None = None
        self.written = self.failures = 0
        self.last_error: str | None = None

    def open(self) -> None:
        """Make the folder if it is missing, and learn which files were made before.

        Raise OSError if that is impossible.
        """
        self._make()
        for name in self._disk.names(self._private).files:
            if name.endswith(".tmp"):
                self._disk.remove(join(self._private, name))  # of a write that was interrupted

    # --- what is to be shown ---

    @property
    def entry_ids(self) -> list[EntryId]:
        """The keys that have files."""
        return list(self._keys)

    def show(self, entry_id: EntryId, encoded: bytes | None) -> None:
        """Show another value (JSON) of a key, None for none, at the next `write`."""
        key = self._keys.get(entry_id)
        if key is None:
            key = self._keys[entry_id] = _Key()
        key.encoded = encoded
        self._changed[entry_id] = None
        self._timers.pop(entry_id, None)

    def empty_others(self) -> None:
        """Empty the files that were made before and show none of the present keys."""
        owned = {
            self._name_of(entry_id, member)
            for entry_id, key in self._keys.items()
            for member in (render(key.encoded, 0).texts if key.encoded is not None else (None,))
        }
        for name in sorted(self._recorded - owned):
            if self._disk.exists(self._path_of(name)):
                self._gone[name] = self._to_empty[name] = None
            else:
                self._recorded.discard(name)

    @property
    def next_at(self) -> int | None:
        """When there is something to write; None for not before something changes."""
        times = [self._keys[entry_id].waits_until for entry_id in self._changed]
        return min([*times, *self._timers.values()], default=None)

    # --- writing ---

    def write(self, now: int, *, is_last: bool = False) -> None:
        """Write what is due; what cannot be written is tried again later (`failure`).

        With ``is_last`` also what would have to wait, since the last write of its key was shortly
        before.
        """
        jobs: list[_Job] = []
        self._unrecorded.clear()
        due = [
            entry_id
            for entry_id in self._changed
            if is_last or self._keys[entry_id].waits_until <= now
        ]
        due += [entry_id for entry_id, at in self._timers.items() if at <= now]
        due = list(dict.fromkeys(due))
        for entry_id in due:
            jobs += self._jobs_of(entry_id, now)
        try:
            self._record([job.name for job in jobs])
        except OSError as error:
            self._fail("", _reason_of(error))
            for entry_id in due:
                self._wait(entry_id, now + RETRY_MS)
        else:
            self._problems.pop("", None)
            failed = self._write_all(jobs)
            for entry_id in due:
                if entry_id in failed:
                    self._wait(entry_id, now + RETRY_MS)
                else:
                    self._settle(entry_id, now)
        self._changed |= {entry_id: None for entry_id in self._again if entry_id in self._keys}
        self._again.clear()
        self._report()

    def check(self, now: int) -> None:
        """Make the folder again if it has vanished or was replaced, with all its files."""
        try:
            is_there = self._disk.identity(self._root) == self._identity
            if is_there and self._disk.is_folder(self._private):
                self._problems.pop(self._root, None)
                self._look_at_files(now)
                return
            self._make()
        except OSError as error:
            self._fail(self._root, f"the folder cannot be made: {_reason_of(error)}")
            self._report()
            return
        self._problems.pop(self._root, None)
        _log.warning("%s was removed or replaced: its text files are made again", self._shown_root)
        self._written.clear()
        self._gone.clear()
        self._to_empty.clear()
        for entry_id, key in self._keys.items():
            key.waits_until = now
            self._changed[entry_id] = None

    def _look_at_files(self, now: int) -> None:
        """Let files be written again that others have changed or removed, a portion at a time."""
        if now < self._looked_at + LOOK_MS:
            return
        self._looked_at = now
        if not self._to_look_at:
            self._to_look_at = list(self._owners)
        for name in self._to_look_at[:LOOKED_AT_MAX]:
            known, owner = self._written.get(name), self._owners.get(name)
            if known is None or owner is None or owner[0] not in self._keys:
                continue
            if self._disk.stamp(self._path_of(name)) != known.stamp:
                if name not in self._told:  # some program may do so again and again
                    self._told.add(name)
                    _log.warning(
                        "%s in %s was changed: it is written again", name, self._shown_root
                    )
                del self._written[name]
                self._changed[owner[0]] = None
        del self._to_look_at[:LOOKED_AT_MAX]

    # --- inside: names ---

    def _name_of(self, entry_id: EntryId, member: str | None) -> str:
        """Return the path of a file below the root, with slashes on every system."""
        ns, key = entry_id
        name = text_file_name(key, member, folds_case=self._folds_case)
        if not ns:
            return name
        return f"{text_folder_name(ns, folds_case=self._folds_case)}/{name}"

    def _path_of(self, name: str) -> str:
        folder, _, file = name.rpartition("/")
        return join(join(self._root, folder) if folder else self._root, file)

    def _make(self) -> None:
        """Make the folder, and read the names that it has; raise OSError."""
        self._disk.make_root(self._root)
        if not self._disk.is_folder(self._root):
            raise NotADirectoryError(0, "it is a link")
        if not self._disk.is_folder(self._private):
            if self._disk.exists(self._private):
                raise NotADirectoryError(0, f"{OWN_FOLDER} in it is no folder")
            self._disk.make_folder(self._private)
        self._recorded = self._read_names()
        self._identity = self._disk.identity(self._root)

    def _read_names(self) -> set[str]:
        path = join(self._private, _NAMES_FILE)
        try:
            names = orjson.loads(self._disk.read(path, _NAMES_BYTES_MAX))
        except FileNotFoundError:
            return set()
        except ValueError:
            _log.warning("%s is damaged: files that it names count as somebody else's", path)
            return set()
        return {name for name in names if _is_name(name)} if isinstance(names, list) else set()

    def _record(self, names: list[str]) -> None:
        """Keep names before their files are written; raise OSError if that is impossible."""
        new = set(names) - self._recorded
        if not new:
            return
        for name in sorted(new):
            if self._disk.kind(self._path_of(name)) is FileKind.FILE:
                _log.warning("%s in %s was there before, and is replaced", name, self._shown_root)
        self._keep(self._recorded | new)

    def _keep(self, names: set[str]) -> None:
        path = join(self._private, _NAMES_FILE)
        content = orjson.dumps(sorted(names), option=orjson.OPT_INDENT_2)
        self._disk.replace_file(path, content, self._private, sync=False)
        self._recorded = names

    # --- inside: what to write ---

    def _jobs_of(self, entry_id: EntryId, now: int) -> list[_Job]:
        """Return the files of a key, with those of members that it has no more."""
        key = self._keys[entry_id]
        shown = Rendering({None: ""}) if key.encoded is None else render(key.encoded, now)
        if shown.changes_at is None:
            self._timers.pop(entry_id, None)
        else:
            self._timers[entry_id] = shown.changes_at
        self._problems.pop(entry_id, None)
        if shown.fault:
            self._problems[entry_id] = f"{entry_id[1]} has {shown.fault}"
        texts = dict(shown.texts) | dict.fromkeys(key.members - shown.texts.keys(), "")
        jobs: list[_Job] = []
        for member, text in texts.items():
            is_last = key.encoded is None or member not in shown.texts
            job = _Job(self._name_of(entry_id, member), text, (entry_id, member), is_last)
            if self._take_name(job):
                key.members.add(member)
                jobs.append(job)
            else:
                key.members.discard(member)
        return jobs

    def _take_name(self, job: _Job) -> bool:
        """Give a file to what it is to show; return whether that was possible.

        A file that shows a whole key shows no member.
        """
        (ns_and_key, member), owner = job.owner, self._owners.get(job.name)
        if owner is not None and owner != job.owner:
            if member is not None:
                self._problems[ns_and_key] = f"{job.name} shows the key {owner[0][1]}"
                self._waiting[job.name] = ns_and_key
                return False
            self._problems[owner[0]] = f"{job.name} shows the key {ns_and_key[1]}"
            self._waiting[job.name] = owner[0]
            self._keys[owner[0]].members.discard(owner[1])
        if job.name not in self._recorded and job.name not in self._unrecorded:
            if len(self._owners) >= TEXT_FILES_MAX:
                self._report_no_room(ns_and_key)
                return False
            if len(self._recorded) + len(self._unrecorded) >= TEXT_FILES_MAX:
                self._remove_oldest()
            self._unrecorded.add(job.name)
        self._owners[job.name] = job.owner
        self._gone.pop(job.name, None)
        self._to_empty.pop(job.name, None)
        return True

    def _report_no_room(self, entry_id: EntryId) -> None:
        """Report a key that gets no file, unless there is nothing to show of it any more."""
        if self._keys[entry_id].encoded is not None:
            self._problems[entry_id] = f"there are {TEXT_FILES_MAX} files, and no more are made"
            self._without_file[entry_id] = None
        else:
            self._without_file.pop(entry_id, None)

    def _remove_oldest(self) -> None:
        """Remove the file of what has been gone for longest, to make room for another one."""
        oldest = next(iter(self._gone), None)
        if oldest is not None:
            del self._gone[oldest]
            self._to_empty.pop(oldest, None)
            self._written.pop(oldest, None)
            self._recorded.discard(oldest)
            try:
                self._disk.remove(self._path_of(oldest))
            except OSError:
                _log.info("%s in %s is empty and cannot be removed", oldest, self._shown_root)

    # --- inside: writing ---

    def _write_all(self, jobs: list[_Job]) -> set[EntryId]:
        """Write files; return the keys of those that could not be written.

        Those of what is gone come first: a start waits for a moment only.
        """
        self._write_empty_ones()
        failures = 0
        failed: set[EntryId] = set()
        for job in jobs:
            entry_id = job.owner[0]
            if failures < _FAILURES_AT_ONCE_MAX:
                try:
                    self._write(job.name, job.text)
                except OSError as error:
                    failures += 1
                    self._fail(entry_id, f"{job.name}: {_reason_of(error)}")
                else:
                    if job.is_last:
                        self._release(job)
                    continue
            failed.add(entry_id)
        return failed

    def _settle(self, entry_id: EntryId, now: int) -> None:
        """Note that all files of a key are written, as far as it can have them."""
        self._changed.pop(entry_id, None)
        key = self._keys[entry_id]
        key.waits_until = now + TEXT_PERIOD_MS
        if key.encoded is None:
            del self._keys[entry_id]

    def _wait(self, entry_id: EntryId, until: int) -> None:
        self._changed[entry_id] = None
        self._timers.pop(entry_id, None)
        self._keys[entry_id].waits_until = until

    def _release(self, job: _Job) -> None:
        """Let go of a file whose key or member is gone: it is empty from now on."""
        entry_id, member = job.owner
        self._keys[entry_id].members.discard(member)
        self._owners.pop(job.name, None)
        self._gone[job.name] = None
        waiting = self._waiting.pop(job.name, None)
        if waiting is not None:
            self._without_file[waiting] = None
        self._again |= self._without_file
        self._without_file.clear()

    def _write_empty_ones(self) -> None:
        for name in list(self._to_empty):
            try:
                self._write(name, "")
            except OSError as error:
                self._fail(name, f"{name}: {_reason_of(error)}")
                return
            self._problems.pop(name, None)
            del self._to_empty[name]

    def _write(self, name: str, text: str) -> None:
        """Replace a file, unless it has this text; raise OSError."""
        content = text.encode()
        digest = hashlib.blake2b(content, digest_size=_DIGEST_BYTES).digest()
        known = self._written.get(name)
        if known is not None and known.digest == digest:
            return
        folder = name.rpartition("/")[0]
        if folder and not self._disk.is_folder(join(self._root, folder)):
            if self._disk.exists(join(self._root, folder)):
                raise NotADirectoryError(0, f"{folder} is no folder")
            self._disk.make_folder(join(self._root, folder))
        path = self._path_of(name)
        stamp = self._disk.replace_file(path, content, self._private, sync=False)
        self._written[name] = _Written(digest, stamp)
        self.written += 1

    def _fail(self, what: EntryId | str, reason: str) -> None:
        """Note that something could not be written."""
        self._problems[what] = self.last_error = reason
        self.failures += 1

    def _report(self) -> None:
        """Set `failure`, and log when it begins and when it ends."""
        problems = list(self._problems.values())
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        failure = f"{problems[0]}{more}" if problems else None
        if failure is not None and self.failure is None:
            _log.error("text files in %s are not as they should be: %s", self._shown_root, failure)
        elif failure is None and self.failure is not None:
            _log.warning("text files in %s are written again", self._shown_root)
        self.failure = failure


def _is_name(name: object) -> bool:
    """Return whether it is the name of a text file that leads nowhere else."""
    if not isinstance(name, str) or not name.endswith(TEXT_SUFFIX):
        return False
    parts = name.split("/")
    return len(parts) <= 2 and all(_is_part(part) for part in parts)


def _reason_of(error: OSError) -> str:
    return error.strerror or str(error)
