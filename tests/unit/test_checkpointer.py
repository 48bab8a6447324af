"""Shortening and rewriting the journal, and retrying after failures."""

import logging
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dunena.persistence.disk import journal as journal_module
from dunena.persistence.disk.checkpointer import CHECKPOINT_SECONDS, Checkpointer
from dunena.persistence.disk.mirror import RETRY_SECONDS
from dunena.persistence.policy import Fsync
from dunena.store.entry import Change
from tests.support.kept import Kept

pytestmark = pytest.mark.usefixtures("ordered_locks")

LATER = 2000.0


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path / "values")
    yield kept
    kept.close()


def checkpointer_of(kept: Kept, *, forces: bool = True, was_forced: bool = True) -> Checkpointer:
    """Make a checkpointer of the storage's parts, to be used instead of the storage's own."""
    storage = kept.storage
    return Checkpointer(
        storage.records,
        storage.journal,
        storage.files,
        storage.mirror,
        0,
        forces=forces,
        was_forced=was_forced,
    )


def let_files_follow(kept: Kept) -> None:
    kept.storage.mirror.step(LATER, 100)


def test_an_empty_journal_needs_no_checkpoint(kept: Kept) -> None:
    checkpointer = checkpointer_of(kept)
    assert checkpointer.shorten(LATER) is None
    assert checkpointer.renew(LATER) is None


def test_the_journal_is_shortened_at_most_once_a_period(kept: Kept) -> None:
    checkpointer = checkpointer_of(kept)
    kept.set("a", 1)
    kept.append()
    let_files_follow(kept)
    assert len(kept.journal()) == 1
    assert checkpointer.shorten(LATER) is None
    assert kept.journal() == []
    kept.set("b", 1)
    kept.append()
    let_files_follow(kept)
    due = LATER + CHECKPOINT_SECONDS
    for now in (LATER, due - 0.01):
        assert checkpointer.shorten(now) == due
        assert len(kept.journal()) == 1
    assert checkpointer.shorten(due) is None
    assert kept.journal() == []


def test_the_journal_is_shortened_only_after_the_files_are_written(kept: Kept) -> None:
    checkpointer = checkpointer_of(kept)
    kept.set("a", 1)
    kept.append()
    assert checkpointer.shorten(LATER) is None
    assert len(kept.journal()) == 1
    let_files_follow(kept)
    assert checkpointer.shorten(LATER) is None, "a call that deleted nothing does not count"
    assert kept.journal() == []


def test_a_failure_to_shorten_is_logged_once_until_it_succeeds(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    checkpointer = checkpointer_of(kept)
    now = LATER
    for _ in range(2):
        kept.set("a", now)
        kept.append()
        let_files_follow(kept)
        kept.disk.fail = lambda name, path: name == "sync" and path.name == "a.json"
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                now += RETRY_SECONDS + CHECKPOINT_SECONDS
                kept.storage.mirror.step(now, 100)
                assert checkpointer.shorten(now) == now + RETRY_SECONDS
        assert [record.message for record in caplog.records] == [
            "the journal cannot be shortened for now: No space left on device"
        ]
        caplog.clear()
        kept.disk.fail = lambda _name, _path: False
        now += RETRY_SECONDS + CHECKPOINT_SECONDS
        kept.storage.mirror.step(now, 100)
        assert checkpointer.shorten(now) is None
        assert kept.journal() == []


def test_the_journal_is_synced_before_its_segments_are_deleted(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES_MAX", 1)
    checkpointer = checkpointer_of(kept)
    kept.set("a", 1)
    kept.append()
    let_files_follow(kept)
    kept.set("a", 2)
    kept.append()
    assert kept.storage.journal.synced_revision == 0
    checkpointer.forget(1)
    assert kept.storage.journal.synced_revision == 2
    assert len(kept.journal()) == 1


def test_a_rewritten_journal_excludes_a_commit_that_may_be_taken_back(
    kept: Kept,
) -> None:
    checkpointer = checkpointer_of(kept)
    kept.set("first", 1)
    kept.append()
    kept.set("held", 1)
    held, kept.changes[:] = list(kept.changes), []
    kept.storage.append(held)
    assert not checkpointer.write_journal_anew(), "the last commit is in progress"
    assert len(kept.journal()) == 1
    kept.storage.enqueue(held)
    kept.set("later", 1)
    kept.append()
    assert checkpointer.write_journal_anew()
    base, last = [path.read_bytes() for path in kept.journal()]
    assert [key in base for key in (b"first", b"held", b"later")] == [True, True, False]
    assert [key in last for key in (b"first", b"held", b"later")] == [False, False, True]
    assert kept.storage.journal.synced_revision == 3


@pytest.mark.parametrize(
    ("forces", "was_forced", "written"),
    [(True, True, True), (True, False, False), (False, True, False)],
)
def test_the_journal_records_forced_files_only_if_all_were_forced(
    kept: Kept, forces: bool, was_forced: bool, written: bool
) -> None:
    checkpointer = checkpointer_of(kept, forces=forces, was_forced=was_forced)
    assert checkpointer.forces is forces
    assert kept.storage.mirror.remembers_unsynced is forces
    assert kept.storage.journal.forces is written


def test_begin_to_force_records_the_flushed_revision_once(
    kept: Kept,
) -> None:
    checkpointer = checkpointer_of(kept, forces=False)
    kept.disk.done.clear()
    checkpointer.begin_to_force()
    assert checkpointer.forces
    assert kept.storage.journal.forces
    assert kept.disk.done != []
    kept.disk.done.clear()
    checkpointer.begin_to_force()
    assert kept.disk.done == []


def test_nothing_is_synced_without_fsync_until_a_sync_is_requested(kept: Kept) -> None:
    kept.set("a", 1)
    kept.commit()
    kept.disk.done.clear()
    kept.set("a", 2)
    kept.commit()
    assert "sync" not in [name for name, _ in kept.disk.done]
    kept.set("a", 3)
    kept.append()
    kept.storage.sync()
    kept.step(2.0)
    assert ("sync", kept.folder / "a.json") in kept.disk.done


def test_the_journal_is_truncated_only_after_all_files_are_written(tmp_path: Path) -> None:
    kept = Kept(tmp_path, Fsync.EVERYSEC)
    kept.disk.fail = lambda name, path: name == "replace" and path.name == "a.json"
    kept.set("a", 1)
    kept.append()
    kept.step(2.0)
    assert len(kept.journal()) == 1
    kept.disk.fail = lambda name, path: name == "sync" and path.name == "a.json"
    kept.step(2.0)
    assert kept.files() == {"a.json"}
    assert len(kept.journal()) == 1
    kept.disk.fail = lambda _name, _path: False
    kept.step(2.0)
    assert kept.journal() == []
    kept.close()


def test_a_value_file_is_rewritten_after_its_sync_failed(tmp_path: Path) -> None:
    kept = Kept(tmp_path, Fsync.EVERYSEC)
    kept.disk.fail = lambda name, path: name == "sync" and path.name == "a.json"
    kept.set("a", 1)
    kept.append()
    kept.step(2.0)
    kept.disk.fail = lambda _name, _path: False
    kept.disk.done.clear()
    kept.step(2.0)
    kept.step(2.0)
    assert ("replace", tmp_path / "a.json") in kept.disk.done
    kept.close()


@pytest.mark.skipif(sys.platform == "win32", reason="nothing that is open is removed there")
def test_a_removed_journal_is_rewritten(tmp_path: Path) -> None:
    kept = Kept(tmp_path, Fsync.EVERYSEC)
    kept.disk.fail = lambda name, path: name == "replace" and path.name == "a.json"
    kept.set("a", 1)
    kept.append()
    kept.step(2.0)
    shutil.rmtree(tmp_path / ".dunena" / "journal")
    kept.storage.check_folder()
    assert "moved or removed" in str(kept.storage.failure)
    kept.set("b", 1)
    with pytest.raises(OSError, match="moved or removed"):
        kept.append()
    kept.step(2.0)
    assert kept.storage.failure is None
    kept.set("b", 2)
    kept.append()
    kept = kept.crash()
    assert kept.values() == {("", "a"): 1, ("", "b"): 2}
    kept.close()


def test_the_journal_is_rewritten_after_a_failed_sync(
    tmp_path: Path,
) -> None:
    kept = Kept(tmp_path, Fsync.EVERYSEC)
    kept.set("a", 1)
    kept.append()
    kept.disk.fail = lambda name, path: name == "sync" and path.suffix == ".log"
    with pytest.raises(OSError, match="No space left"):
        kept.storage.sync()
    (old,) = kept.journal()
    kept.disk.fail = lambda _name, _path: False
    with pytest.raises(OSError, match="No space left"):
        kept.storage.sync()  # it would be told that all is well
    kept.step(2.0)
    assert kept.storage.failure is None
    assert old not in kept.journal()
    assert kept.read("a.json") == 1
    kept.close()


def kept_with_a_stuck_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    """A storage with short segments and one value whose file cannot be written."""
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES_MAX", 2000)
    kept = Kept(folder, Fsync.EVERYSEC)
    kept.disk.fail = lambda name, path: name == "replace" and path.name == "stuck.json"
    kept.set("stuck", "here")
    return kept


def test_an_unwritable_file_does_not_keep_the_journal_from_being_truncated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = kept_with_a_stuck_file(tmp_path, monkeypatch)
    for number in range(300):
        kept.set("k", f"{number} {'x' * 100}")
        kept.append()
        kept.step(1.0)
    assert sum(path.stat().st_size for path in kept.journal()) < 5 * 2000
    kept = kept.crash()
    assert kept.values()["", "stuck"] == "here"
    kept.close()
    assert kept.read("stuck.json") == "here"


def test_a_pending_commit_delays_journal_renewal_without_new_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = kept_with_a_stuck_file(tmp_path, monkeypatch)
    kept.append()
    held: list[Change] = []
    for number in range(100):
        kept.set("k", f"{number} {'x' * 100}")
        changes, kept.changes[:] = list(kept.changes), []
        kept.storage.append(changes)
        if held:
            kept.storage.enqueue(held)
        held = changes  # there is always one that waits for the device
        kept.step(0.01)
    segments = len(kept.journal())
    assert segments < 20
    kept.storage.enqueue(held)
    for _ in range(5):
        kept.step(1.0)
    assert len(kept.journal()) < segments
    kept = kept.crash()
    assert kept.values()["", "stuck"] == "here"
    kept.close()


def test_a_commit_rolled_back_before_a_journal_rewrite_is_not_recovered(
    tmp_path: Path,
) -> None:
    kept = Kept(tmp_path, Fsync.ALWAYS)
    kept.set("a", 1)
    kept.append()
    kept.set("a", 2)
    changes, kept.changes[:] = list(kept.changes), []
    kept.storage.append(changes)
    kept.disk.fail = lambda name, path: name == "sync" and path.suffix == ".log"
    with pytest.raises(OSError, match="No space left"):
        kept.storage.sync()
    kept.disk.fail = lambda _name, _path: False
    kept.step()  # it waits for what becomes of that commit
    kept.storage.take_back(changes)
    kept.step(2.0)
    assert kept.storage.failure is None
    kept = kept.crash()
    assert kept.values() == {("", "a"): 1}
