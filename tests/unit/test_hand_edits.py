"""Hand edits of files become changes, whenever they are found."""

import errno
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dunena.persistence.disk import hand_edits
from dunena.persistence.disk.everything import PORTION_REST_SECONDS
from dunena.persistence.disk.hand_edits import UNFINISHED_SECONDS, UNFINISHED_TRIES, HandEdits
from dunena.persistence.interface import OutsideChange
from tests.support.kept import Kept


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path / "values")
    yield kept
    kept.close()


class Hands:
    """Somebody at the files; `see` is what the watcher and the engine's thread do."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.times_found = 0
        self.edits = HandEdits(kept.disk, kept.storage, self._found)

    def _found(self) -> None:
        self.times_found += 1

    def write(self, name: str, text: str) -> Path:
        path = self.kept.folder / name
        path.parent.mkdir(exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_text(text)
        return draft.replace(path)

    def see(self, *names: str) -> list[OutsideChange]:
        self.edits.touch({str(self.kept.folder / name) for name in names})
        self.edits.step(self.kept.now)
        return self.edits.collect()

    def take_over(self, changes: list[OutsideChange]) -> None:
        self.apply(changes)
        if self.kept.changes:
            self.kept.commit()

    def apply(self, changes: list[OutsideChange]) -> None:
        for change in changes:
            if change.value is None:
                self.kept.store.delete(change.ns, change.key, from_disk=True)
            else:
                self.kept.store.set(change.ns, change.key, change.value, from_disk=True)


@pytest.fixture
def hands(kept: Kept) -> Hands:
    return Hands(kept)


def test_own_writes_are_not_found_as_hand_edits(kept: Kept, hands: Hands) -> None:
    kept.set("k", 1)
    kept.set("n", 2, "app")
    kept.commit()
    assert hands.see("k.json", "app", "app/n.json") == []
    kept.store.clear()
    kept.commit()
    assert hands.see("k.json", "app", "app/n.json") == []
    assert hands.times_found == 0


def test_created_changed_removed_and_renamed_files_become_changes(kept: Kept, hands: Hands) -> None:
    hands.write("k.json", "1")
    assert hands.see("k.json") == [OutsideChange("", "k", b"1")]
    assert hands.see("k.json") == []
    path = hands.write("k.json", '{ "a": 2 }')
    changes = hands.see("k.json")
    assert changes == [OutsideChange("", "k", b'{"a":2}')]
    hands.take_over(changes)
    assert path.read_text() == '{ "a": 2 }'  # it says what it should: left as that hand wrote it
    path.rename(path.with_name("l.json"))
    changes = hands.see("k.json", "l.json")
    assert set(changes) == {OutsideChange("", "k", None), OutsideChange("", "l", b'{"a":2}')}
    hands.take_over(changes)
    assert kept.files() == {"l.json"}
    (kept.folder / "l.json").unlink()
    hands.take_over(hands.see("l.json"))
    assert kept.again().values() == {}


def test_adding_or_removing_a_folder_sets_or_deletes_its_keys(kept: Kept, hands: Hands) -> None:
    hands.write("app/a.json", "1")
    hands.write("app/b.json", "2")
    hands.write("app/notes.txt", "3")
    changes = hands.see("app")
    assert set(changes) == {OutsideChange("app", "a", b"1"), OutsideChange("app", "b", b"2")}
    hands.take_over(changes)
    (kept.folder / "app").rename(kept.folder.parent / "elsewhere")
    changes = hands.see("app")
    assert set(changes) == {OutsideChange("app", "a", None), OutsideChange("app", "b", None)}
    hands.take_over(changes)
    assert kept.values() == {}


def test_temporary_files_of_editors_are_ignored(kept: Kept, hands: Hands) -> None:
    for name in (".k.json.swp", "k.json~", ".hidden.json", "k.json.tmp", "desktop.ini"):
        hands.write(name, "1")
        assert hands.see(name) == []


def test_an_incomplete_file_is_read_again_later(kept: Kept, hands: Hands) -> None:
    kept.set("k", "old")
    kept.commit()
    hands.write("k.json", '{"a": ')
    assert hands.see("k.json") == []
    hands.write("k.json", '{"a": 1}')
    kept.now += UNFINISHED_SECONDS
    hands.edits.step(kept.now)
    assert hands.edits.collect() == [OutsideChange("", "k", b'{"a":1}')]
    assert kept.storage.files.damages() == []
    assert hands.edits.step(kept.now) is None


def test_a_file_that_stays_invalid_is_logged_once_and_changes_nothing(
    kept: Kept, hands: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    path = hands.write("k.json", '{\n  "a": x\n}')
    assert hands.see("k.json") == []
    for _ in range(UNFINISHED_TRIES + 2):
        kept.now += UNFINISHED_SECONDS
        hands.edits.step(kept.now)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"{path}" in caplog.text
    assert "line 2, column" in caplog.text
    assert len(kept.storage.files.damages()) == 1
    hands.write("k.json", "1")
    assert hands.see("k.json") == [OutsideChange("", "k", b"1")]
    assert kept.storage.files.damages() == []


def test_a_hand_edit_overrides_a_pending_file_write(kept: Kept, hands: Hands) -> None:
    kept.set("k", "first", expires_at=4_000_000_000_000)
    kept.append()
    kept.step()
    kept.set("k", "waiting")
    kept.append()
    hands.write("k.json", '"by hand"')
    changes = hands.see("k.json")
    kept.step(2.0)
    assert kept.read("k.json") == "by hand"
    hands.take_over(changes)
    assert kept.read("k.json") == "by hand"
    kept = kept.again()
    assert kept.values() == {("", "k"): "by hand"}
    kept.close()


def test_a_change_before_a_hand_edit_is_applied_leaves_file_and_store_equal(
    kept: Kept, hands: Hands
) -> None:
    kept.set("k", "old")
    kept.commit()
    for text in ('"by hand"', None):
        if text is None:
            (kept.folder / "k.json").unlink()
        else:
            hands.write("k.json", text)
        changes = hands.see("k.json")
        kept.set("k", "between")
        kept.commit()
        hands.take_over(changes)
        stored = kept.values().get(("", "k"))
        assert (kept.read("k.json") if kept.files() else None) == stored


def test_a_file_recreated_after_a_manual_deletion_is_kept(kept: Kept, hands: Hands) -> None:
    kept.set("k", 1)
    kept.commit()
    (kept.folder / "k.json").unlink()
    changes = hands.see("k.json")
    hands.write("k.json", "2")
    hands.take_over(changes)
    assert kept.read("k.json") == 2
    assert hands.see("k.json") == [OutsideChange("", "k", b"2")]


def test_changes_put_back_are_collected_after_newer_ones(hands: Hands) -> None:
    hands.write("k.json", "1")
    hands.write("l.json", "1")
    changes = hands.see("k.json", "l.json")
    hands.write("k.json", "2")
    hands.edits.touch({str(hands.kept.folder / "k.json")})
    hands.edits.step(hands.kept.now)
    hands.edits.put_back(changes)
    assert hands.edits.collect() == [OutsideChange("", "l", b"1"), OutsideChange("", "k", b"2")]


def test_hand_edits_during_the_load_are_found_in_steps(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hand_edits, "PATHS_PER_STEP", 2)
    for key in ("same", "changed", "removed", "other"):
        kept.set(key, 1, "n" if key == "other" else "")
    kept.commit()
    for name in ("damaged", "finished"):
        (kept.folder / f"{name}.json").write_text("[")
    kept = kept.again()
    hands = Hands(kept)
    hands.write("finished.json", "[]")
    hands.write("changed.json", "2")
    (kept.folder / "removed.json").unlink()
    hands.write("new.json", "3")
    hands.write("m/new.json", "4")
    hands.edits.look_at_everything(kept.now + 1)
    assert hands.edits.step(kept.now) == kept.now + 1
    assert hands.edits.collect() == []
    kept.now += 1
    steps = 0
    while hands.edits.step(kept.now) is not None:
        steps += 1
    assert steps >= 2
    assert [Path(damage.path).name for damage in kept.storage.files.damages()] == ["damaged.json"]
    assert caplog.records == []  # it was said at the start
    assert set(hands.edits.collect()) == {
        OutsideChange("", "changed", b"2"),
        OutsideChange("", "removed", None),
        OutsideChange("", "new", b"3"),
        OutsideChange("", "finished", b"[]"),
        OutsideChange("m", "new", b"4"),
    }
    kept.close()


def test_an_unreadable_path_hides_no_other_hand_edit(
    kept: Kept, hands: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"k{number}.json" for number in range(60)]
    for name in names:
        hands.write(name, "1")
    kept.disk.fail = lambda name, path: name == "stamp" and path.name == "k7.json"
    assert len(hands.see(*names)) == 59
    for _ in range(2):
        assert hands.see(*names) == []
    assert [damage.kind.value for damage in kept.storage.files.damages()] == ["unreadable"]
    assert len(caplog.records) == 1
    kept.disk.fail = lambda _name, _path: False
    assert hands.see("k7.json") == [OutsideChange("", "k7", b"1")]
    assert kept.storage.files.damages() == []


def test_an_unreadable_folder_hides_no_other_hand_edit(kept: Kept, hands: Hands) -> None:
    kept.set("k", 1, "locked")
    kept.commit()
    kept.disk.fail = lambda name, path: name in {"names", "stamp"} and "locked" in path.parts
    hands.write("k.json", "1")
    hands.edits.look_at_everything(kept.now)
    while hands.edits.step(kept.now) is not None:
        kept.now += 1
    assert hands.edits.collect() == [OutsideChange("", "k", b"1")]
    assert kept.values()[("locked", "k")] == 1
    assert {damage.kind.value for damage in kept.storage.files.damages()} == {"unreadable"}


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_replacing_a_folder_by_a_link_deletes_its_keys_and_reports_the_link(
    kept: Kept, hands: Hands, tmp_path: Path
) -> None:
    kept.set("k", 1, "app")
    kept.commit()
    (kept.folder / "app").rename(tmp_path / "app")
    (kept.folder / "app").symlink_to(tmp_path / "app", target_is_directory=True)
    changes = hands.see("app")
    assert changes == [OutsideChange("app", "k", None)]
    hands.take_over(changes)
    kept.set("k", 2, "app")
    kept.commit()
    assert (tmp_path / "app" / "k.json").read_text() == "1"
    assert hands.see("app", "app/k.json") == []
    assert [damage.reason for damage in kept.storage.files.damages()] == [
        "a link to a folder, which is not followed"
    ]


def test_moving_the_store_folder_away_deletes_no_key(
    kept: Kept, hands: Hands, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept.set("k", 1)
    kept.commit()
    assert hands.see("k.json") == []
    kept.folder.rename(tmp_path / "elsewhere")
    for _ in range(2):
        assert hands.see("k.json") == []
    assert len(caplog.records) == 1
    (tmp_path / "elsewhere").rename(kept.folder)
    (kept.folder / "k.json").unlink()
    assert hands.see("k.json") == [OutsideChange("", "k", None)]


def test_all_paths_are_scanned_periodically(
    kept: Kept, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hand_edits, "PATHS_PER_STEP", 2)
    for number in range(5):
        kept.set(f"k{number}", 1)
    kept.commit()
    hands.edits.everything.period_seconds = 10.0
    due = hands.edits.step(kept.now)
    for round_ in range(2, 4):
        assert due == kept.now + 10
        kept.now = due
        hands.write("k3.json", str(round_))
        steps = 0
        while due <= kept.now:
            due = hands.edits.step(kept.now)
            steps += 1
            if due is not None and due < kept.now + 1:
                assert due in {kept.now, kept.now + PORTION_REST_SECONDS}
                kept.now = due
        assert steps >= 3
        assert hands.edits.collect() == [OutsideChange("", "k3", str(round_).encode())]


def test_is_catching_up_lasts_until_the_scan_for_missed_edits_ends(hands: Hands) -> None:
    everything, kept = hands.edits.everything, hands.kept
    everything.ask(kept.now)
    assert not everything.is_catching_up
    everything.ask(kept.now, is_missing=True)
    assert everything.is_catching_up
    while hands.edits.step(kept.now) is not None:
        assert everything.is_catching_up
    assert not everything.is_catching_up


@pytest.mark.parametrize("first", [None, "2"])
def test_an_edit_that_was_found_survives_a_crash_after_the_commit_of_one_before_it(
    kept: Kept, hands: Hands, first: str | None
) -> None:
    path = hands.write("k.json", "1")
    hands.take_over(hands.see("k.json"))
    if first is None:
        path.unlink()
    else:
        hands.write("k.json", first)
    before = hands.see("k.json")
    hands.write("k.json", "3")
    assert hands.see("k.json") == [OutsideChange("", "k", b"3")]
    hands.apply(before)
    kept.append()
    assert kept.crash().values() == {("", "k"): 3}


def test_an_edit_that_was_found_survives_a_crash_after_a_commit_of_a_client(
    kept: Kept, hands: Hands
) -> None:
    hands.write("k.json", "1")
    hands.take_over(hands.see("k.json"))
    hands.write("k.json", "3")
    assert hands.see("k.json") == [OutsideChange("", "k", b"3")]
    kept.set("k", 2)
    kept.append()
    assert kept.crash().values() == {("", "k"): 3}


def test_an_edit_that_was_taken_over_is_no_edit_after_a_crash(kept: Kept, hands: Hands) -> None:
    hands.write("k.json", "1")
    hands.apply(hands.see("k.json"))
    kept.append()
    kept.set("k", 2)
    kept.append()
    assert kept.crash().values() == {("", "k"): 2}


def test_an_edit_that_was_read_while_the_folder_was_away_is_found_again(
    kept: Kept, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise OSError(errno.ENOENT, "moved")

    hands.write("k.json", "1")
    monkeypatch.setattr(kept.storage._identity, "check", away)
    assert hands.see("k.json") == []
    monkeypatch.undo()
    assert hands.see("k.json") == [OutsideChange("", "k", b"1")]


def test_an_edit_of_the_stored_value_is_no_edit_after_a_crash(kept: Kept, hands: Hands) -> None:
    kept.set("k", 1)
    kept.commit()
    hands.write("k.json", " 1")
    assert hands.see("k.json") == [OutsideChange("", "k", b"1")]
    for value in (1, 2):
        kept.set("k", value)
        kept.append()
    assert kept.crash().values() == {("", "k"): 2}


def test_a_removal_that_is_seen_twice_is_one_change(kept: Kept, hands: Hands) -> None:
    kept.set("k", 1)
    kept.commit()
    (kept.folder / "k.json").unlink()
    removals = hands.see("k.json")
    assert removals == [OutsideChange("", "k", None)]
    assert hands.see("k.json") == []
    hands.apply(removals)
    kept.set("k", 2)  # by a client, before the file is written
    assert hands.see("k.json") == []
    kept.commit()
    assert (kept.folder / "k.json").read_text() == "2"
    (kept.folder / "k.json").unlink()
    assert hands.see("k.json") == removals


def test_a_file_that_is_moved_away_and_back_is_found_each_time(kept: Kept, hands: Hands) -> None:
    kept.set("k", 1)
    kept.commit()
    path, elsewhere = kept.folder / "k.json", kept.folder.parent / "elsewhere.json"
    for _ in range(2):
        path.rename(elsewhere)
        assert hands.see("k.json") == [OutsideChange("", "k", None)]
        elsewhere.rename(path)
        assert hands.see("k.json") == [OutsideChange("", "k", b"1")]
