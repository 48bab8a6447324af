"""The rank order of the disk engine's locks."""

import re
import threading
from pathlib import Path

import pytest

from dunena.persistence.disk import locks
from dunena.persistence.disk.locks import LockRank
from tests.support.kept import Kept
from tests.support.ordered_locks import LockOrderError, OrderedLocks

DISK = Path(locks.__file__).parent


def test_taking_locks_out_of_rank_order_is_detected() -> None:
    ordered = OrderedLocks()
    made = [ordered.make_lock(rank) for rank in LockRank]
    for number, outer in enumerate(made):
        for inner in made[number + 1 :]:
            with outer, inner:
                assert len(ordered.held) == 2
    assert not ordered.wrong
    for number, outer in enumerate(made):
        for inner in made[: number + 1]:
            with outer, pytest.raises(LockOrderError):
                inner.acquire()
    assert ordered.held == []
    assert len(ordered.wrong) == sum(range(1, len(made) + 1))


def test_locks_held_by_another_thread_do_not_count() -> None:
    ordered = OrderedLocks()
    inner, outer = ordered.make_lock(LockRank.JOURNAL), ordered.make_lock(LockRank.CHECKPOINT)

    def take() -> None:
        with outer:
            pass

    with inner:
        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
    assert not ordered.wrong


def test_the_storage_takes_its_locks_in_rank_order(
    tmp_path: Path, ordered_locks: OrderedLocks
) -> None:
    kept = Kept(tmp_path)
    kept.set("k", 1)
    kept.commit()
    kept.storage.sync()
    kept.storage.check_folder()
    kept.step()
    kept.close()
    assert ordered_locks.nested == {(LockRank.JOURNAL_FILES, LockRank.JOURNAL)}


def test_a_lock_order_violation_in_the_storage_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered = OrderedLocks()
    monkeypatch.setattr(locks, "make_lock", ordered.make_lock)
    kept = Kept(tmp_path)
    journal, mirror = kept.storage.journal, kept.storage.mirror
    with journal._lock, pytest.raises(LockOrderError, match="JOURNAL_FILES while it holds JOURNAL"):
        journal.check()
    with mirror._lock, pytest.raises(LockOrderError, match="CHECKPOINT while it holds MIRROR"):
        kept.storage.sync()
    kept.close()


def test_every_lock_of_the_engine_has_a_rank() -> None:
    made = []
    for path in DISK.glob("*.py"):
        text = path.read_text("utf-8")
        if path.name != "locks.py":
            assert not re.findall(r"threading\.R?Lock\(|threading\.Condition\(\)", text), path
        made += re.findall(r"locks\.make_lock\(LockRank\.(\w+)\)", text)
    assert sorted(made) == sorted(rank.name for rank in LockRank)
