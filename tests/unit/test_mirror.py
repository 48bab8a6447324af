"""Writing the value files: how often, and after failures."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dunena.persistence.disk import mirror
from tests.support.kept import Kept

pytestmark = pytest.mark.usefixtures("ordered_locks")


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path / "values")
    yield kept
    kept.close()


def writes(kept: Kept, name: str) -> int:
    return kept.disk.done.count(("replace", kept.folder / name))


def test_sixty_changes_a_second_are_written_about_ten_times_a_second(
    kept: Kept,
) -> None:
    end = kept.now + 10
    number = 0
    while kept.now < end:
        number += 1
        kept.set("k", number)
        kept.append()
        kept.step(1 / 60)
    assert 10 <= writes(kept, "k.json") <= 14
    due = kept.storage.step(kept.now)
    assert due is not None
    assert due <= kept.now + 1
    kept.step(due - kept.now)
    assert kept.read("k.json") == number
    assert kept.storage.mirror.behind_count == 0


def test_a_step_writes_a_limited_number_of_files_and_is_due_again_at_once(kept: Kept) -> None:
    for number in range(5):
        kept.set(f"k{number}", number)
        kept.append()
    due = kept.storage.step(kept.now, 2)
    assert due is not None
    assert due <= kept.now
    assert len(kept.files()) == 2
    assert kept.storage.mirror.behind_count == 3
    kept.storage.step(kept.now, 2)
    assert kept.storage.step(kept.now, 2) is None
    assert len(kept.files()) == 5


def test_unwritten_commits_are_conflated_by_key(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "CHANGES_LEFT_MAX", 10)
    for number in range(100):
        kept.set("k", number)
        kept.append()
        assert len(kept.storage.mirror._left) <= 10
    kept.step()
    assert kept.read("k.json") == 99


def test_behind_count_includes_commits_before_the_next_step(kept: Kept) -> None:
    kept.set("k", 1)
    kept.append()
    assert kept.storage.mirror.behind_count == 1
    kept.step()
    assert kept.storage.mirror.behind_count == 0


def test_the_file_of_a_rarely_changed_key_is_written_at_once(kept: Kept) -> None:
    for value in range(3):
        kept.set("k", value)
        kept.append()
        kept.step()
        assert kept.read("k.json") == value
        kept.step(3.0)


def test_a_failed_file_write_is_retried(kept: Kept) -> None:
    kept.disk.fail = lambda name, path: path.name == "k.json"
    kept.set("k", 1)
    kept.set("other", 1)
    kept.append()
    due = kept.step()
    assert due is not None
    assert kept.files() == {"other.json"}
    kept.disk.fail = lambda _name, _path: False
    kept.step(due - kept.now)
    assert kept.files() == {"k.json", "other.json"}


def test_a_failed_write_keeps_the_previous_file_content(kept: Kept) -> None:
    kept.set("k", "good")
    kept.commit()
    kept.disk.fail = lambda name, path: path.suffix == ".json"
    kept.set("k", "new")
    kept.commit()
    assert kept.read("k.json") == "good"
    kept.store.delete("", "k")
    kept.commit()
    assert kept.read("k.json") == "good"
    kept.disk.fail = lambda _name, _path: False
    kept.step(2.0)
    assert kept.files() == set()
