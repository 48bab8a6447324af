"""What lies in a kept folder: names, damage, expiries, revisions; and what is left alone."""

import errno
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dunena.persistence.disk import journal
from dunena.persistence.disk.paths import folds_case
from dunena.persistence.disk.real_disk import RealDisk
from dunena.persistence.interface import UntidyError
from dunena.persistence.policy import Fsync
from dunena.store.limits import EXPIRES_AT_MS_MAX
from dunena.store.names import is_name
from tests.support.kept import Kept
from tests.support.strangers import make_sparse

pytestmark = pytest.mark.usefixtures("ordered_locks")

LATER = 4_000_000_000_000


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path / "values")
    yield kept
    kept.close()


def test_values_are_stored_as_indented_json_files_by_namespace(kept: Kept) -> None:
    kept.set("player-position", {"x": 100, "y": [1]})
    kept.set("session-42", "s", "app")
    kept.commit()
    assert kept.files() == {"player-position.json", "app/session-42.json"}
    text = (kept.folder / "player-position.json").read_text()
    assert text == json.dumps({"x": 100, "y": [1]}, indent=2)


@pytest.mark.parametrize("is_in_file", [True, False])
@pytest.mark.parametrize("is_crash", [True, False])
@pytest.mark.parametrize("step_ms", [-90_000, 259_200_000])
def test_an_expiry_is_stored_in_wall_clock_time(
    kept: Kept, step_ms: int, *, is_crash: bool, is_in_file: bool
) -> None:
    kept.step_ms = step_ms
    kept.set("t", 1, expires_at=LATER)
    kept.set("last", 2, expires_at=EXPIRES_AT_MS_MAX)
    kept.commit() if is_in_file else kept.append()
    for key, expires_at in (("t", LATER), ("last", EXPIRES_AT_MS_MAX)):
        standing = kept.store.peek("", key, 0)
        assert standing is not None
        assert standing.expires_at == expires_at, "in memory it stays"
    again = kept.crash() if is_crash else kept.again()
    entry = again.store.peek("", "t", 0)
    assert entry is not None
    assert entry.expires_at == LATER + step_ms
    last = again.store.peek("", "last", 0)
    assert last is not None
    assert last.expires_at == min(EXPIRES_AT_MS_MAX, EXPIRES_AT_MS_MAX + step_ms)
    again.close()


@pytest.mark.parametrize("fsync", Fsync)
def test_values_expiries_and_the_revision_are_restored_after_a_restart(
    tmp_path: Path, fsync: Fsync
) -> None:
    kept = Kept(tmp_path, fsync)
    kept.set("a", 1)
    kept.set("b", [2], "n")
    kept.set("t", "3", expires_at=LATER)
    kept.set("k" * 512, "long")
    kept.set("x", 1, "N" * 512)
    kept.set("gone", 0)
    kept.commit()
    kept.store.delete("", "gone")
    kept.commit()
    expected = kept.values()
    again = kept.again()
    assert again.values() == expected
    entry = again.store.peek("", "t", 0)
    assert entry is not None
    assert entry.expires_at == LATER
    assert again.store.revision == 8, "a start counts as a change"
    again.close()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.sets(
        st.tuples(
            st.just("") | st.sampled_from(["n", "N", "a.json", "con", ".", "x" * 300]),
            st.text(st.sampled_from("aA.%~ /:C41\u00e9"), min_size=1, max_size=100).filter(is_name),
        ),
        max_size=20,
    ),
    folds=st.booleans(),
)
def test_unusual_names_are_restored_each_from_its_own_file(
    tmp_path_factory: pytest.TempPathFactory, places: set[tuple[str, str]], folds: bool
) -> None:
    folder = tmp_path_factory.mktemp("values")
    folds = folds or folds_case(folder)
    kept = Kept(folder, folds=folds)
    for ns, key in places:
        kept.set(key, [ns, key], ns)
        kept.commit()
    found = kept.files()
    assert len(found) == len(places)
    assert not folds or len({name.lower() for name in found}) == len(places)
    kept = kept.again()
    assert kept.values() == {(ns, key): [ns, key] for ns, key in places}
    for ns, key in places:
        kept.store.delete(ns, key)
    if places:
        kept.commit()
    assert [path.name for path in folder.iterdir()] == [".dunena"]
    kept.close()


def test_revisions_continue_above_all_issued_after_a_crash(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.set("a", 1)
    kept.commit()
    again = kept.crash()
    assert again.store.revision > 1
    again.set("a", 2)
    again.commit()
    before = again.store.revision
    again = again.again()
    assert again.store.revision == before + 1, "a start counts as a change"
    again.close()


@pytest.mark.parametrize("end", [Kept.again, Kept.crash], ids=["stop", "crash"])
def test_each_start_has_a_revision_of_its_own_even_if_nothing_is_changed(
    tmp_path: Path, end: Callable[[Kept], Kept]
) -> None:
    (tmp_path / "a.json").write_text("1")
    kept = Kept(tmp_path)
    for _ in range(3):
        before = kept.store.revision
        kept = end(kept)
        assert kept.store.revision > before
        assert {entry.revision for entry in kept.store.entries()} == {kept.store.revision}
    kept.close()


def test_starts_of_a_folder_without_a_change_stay_at_revision_0(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    for _ in range(2):
        assert kept.store.revision == 0
        kept = kept.again()
    kept.close()


THEN = {"on": False, "text": None, "more": "x" * 100_000}


@pytest.mark.parametrize("is_in_file", [True, False])
@pytest.mark.parametrize("is_crash", [True, False])
def test_what_is_to_be_merged_into_a_value_is_restored(
    kept: Kept, *, is_crash: bool, is_in_file: bool
) -> None:
    kept.set("t", {"on": True, "text": "Ada"}, expires_at=LATER, then=THEN)
    kept.set("zero", 1, "app", expires_at=LATER, then=0)
    kept.set("gone", 1, expires_at=LATER)
    kept.store.set("", "null", b"1", LATER, then=b"null")
    kept.commit() if is_in_file else kept.append()
    again = kept.crash() if is_crash else kept.again()
    assert again.storage.damages() == []
    found = {entry.key: entry.then for entry in again.store.entries()}
    assert {entry.expires_at for entry in again.store.entries()} == {LATER}
    assert found == {"t": orjson.dumps(THEN), "zero": b"0", "gone": None, "null": b"null"}
    again.store.expire(LATER)  # its time came while no server ran
    merged = {"on": False, "more": THEN["more"]}
    expected = {("", "t"): merged, ("app", "zero"): 0, ("", "null"): None}
    assert again.values() == expected
    again.commit() if is_in_file else again.append()
    last = again.crash() if is_crash else again.again()
    assert last.values() == expected
    assert {entry.expires_at for entry in last.store.entries()} == {None}
    last.close()
    assert list((kept.folder / ".dunena" / "expiry").iterdir()) == []


def test_a_change_by_hand_cancels_what_is_to_be_merged(kept: Kept) -> None:
    kept.set("t", 1, expires_at=LATER, then=2)
    kept.commit()
    kept.close()
    (kept.folder / "t.json").write_text("3")
    again = kept.reopened()
    entry = again.store.peek("", "t", LATER)
    assert entry is not None
    assert (entry.value, entry.expires_at, entry.then) == (b"3", None, None)
    again.close()


def test_an_expiry_record_does_not_apply_to_a_replaced_value(kept: Kept) -> None:
    kept.set("a", "old", expires_at=LATER)
    kept.commit()
    # A crash between the expiry record of a later write and its value leaves this behind.
    kept.storage.records.keep_expiry("b.json", LATER, b'"new"')
    (kept.folder / "b.json").write_text('"old"')
    (kept.folder / "a.json").write_text('"edited while it was off"')
    again = kept.again()
    for key in ("a", "b"):
        entry = again.store.peek("", key, 0)
        assert entry is not None
        assert entry.expires_at is None
    again.close()


@pytest.mark.parametrize("ns", ["", "app"])
@pytest.mark.parametrize("is_unreadable", [False, True])
def test_an_expiry_record_without_a_file_does_not_outlive_the_next_write(
    kept: Kept, ns: str, *, is_unreadable: bool
) -> None:
    # A crash before the file of the first write leaves the record alone.
    name = f"{ns}/a b.json".lstrip("/")
    kept.storage.records.keep_expiry(name, LATER, b"1", b"2")
    if is_unreadable:
        (kept.folder / ns).mkdir(exist_ok=True)
        (kept.folder / name).write_text("{")
    again = kept.again()
    again.set("a b", 1, ns)
    again.commit()
    assert list((kept.folder / ".dunena" / "expiry").iterdir()) == []
    last = again.again()
    entry = last.store.peek(ns, "a b", 0)
    assert entry is not None
    assert (entry.expires_at, entry.then) == (None, None)
    last.close()


def test_a_set_without_ttl_drops_the_expiry_record(kept: Kept) -> None:
    kept.set("a", 1, expires_at=LATER)
    kept.commit()
    kept.set("a", 1)
    kept.commit()
    assert list((kept.folder / ".dunena" / "expiry").iterdir()) == []


def test_a_folder_of_the_original_server_is_loaded_unchanged(tmp_path: Path) -> None:
    originals = {
        "player-position": {"x": 1},
        "caf\u00e9": "raw unicode",
        "UPPER": 1e20,
        "100%": None,
    }
    for key, value in originals.items():
        (tmp_path / f"{key}.json").write_text(json.dumps(value, indent=2), "utf-8")
    (tmp_path / "big.json").write_text("100000000000000000000")
    kept = Kept(tmp_path)
    assert kept.values() == {("", key): value for key, value in originals.items()} | {
        ("", "big"): 1e20
    }
    assert kept.storage.files.damages() == []
    kept.set("caf\u00e9", "set anew")
    kept.commit()
    assert "caf\u00e9.json" not in kept.files()
    kept = kept.again()
    assert kept.values()["", "caf\u00e9"] == "set anew"
    kept.close()


def test_deleting_a_key_removes_its_file_with_a_foreign_name(tmp_path: Path) -> None:
    (tmp_path / "caf\u00e9.json").write_text("1")
    kept = Kept(tmp_path)
    kept.store.delete("", "caf\u00e9")
    kept.commit()
    assert kept.files() == set()
    kept.close()


def test_a_foreign_file_is_renamed_when_a_key_collides_by_case(tmp_path: Path) -> None:
    (tmp_path / "Foo.json").write_text("1")
    (tmp_path / "App").mkdir()
    (tmp_path / "App" / "k.json").write_text("2")
    kept = Kept(tmp_path, folds=True)
    kept.set("foo", "lower")
    kept.set("k", "lower", "app")
    kept.commit()
    assert kept.files() == {"%46oo.json", "foo.json", "%41pp/k.json", "app/k.json"}
    kept = kept.again()
    assert kept.values() == {
        ("", "Foo"): 1,
        ("", "foo"): "lower",
        ("App", "k"): 2,
        ("app", "k"): "lower",
    }
    kept.close()


def test_the_regular_file_of_two_for_one_key_is_loaded(tmp_path: Path) -> None:
    Kept(tmp_path).close()  # by then its records are there
    (tmp_path / "a.json").write_text('"regular"')
    (tmp_path / "%61.json").write_text('"other"')
    (tmp_path / "n").mkdir()
    (tmp_path / "%6e").mkdir()
    (tmp_path / "n" / "k.json").write_text("1")
    (tmp_path / "%6e" / "k.json").write_text("2")
    kept = Kept(tmp_path)
    assert kept.values() == {("", "a"): "regular", ("n", "k"): 1}
    assert {Path(damage.path).name for damage in kept.storage.files.damages()} == {
        "%61.json",
        "%6e",
    }
    kept.close()


DAMAGED = {
    "empty": b"",
    "half": b'{"a": ',
    "binary": b"\x00\xff\x00",
    "twice": b'{"a":1,"a":2}',
    "past": b"18446744073709551617",
}


def test_a_damaged_file_is_reported_kept_and_quarantined_when_its_key_is_set(
    tmp_path: Path,
) -> None:
    for key, content in DAMAGED.items():
        (tmp_path / f"{key}.json").write_bytes(content)
    (tmp_path / "good.json").write_text("1")
    kept = Kept(tmp_path)
    assert kept.values() == {("", "good"): 1}
    assert {Path(damage.path).stem for damage in kept.storage.files.damages()} == set(DAMAGED)
    assert {(tmp_path / f"{key}.json").read_bytes() for key in DAMAGED} == set(DAMAGED.values())
    for _ in range(2):
        (tmp_path / "half.json").write_bytes(DAMAGED["half"])
        kept = kept.again()
        kept.set("half", "whole")
        kept.commit()
    quarantine = tmp_path / ".dunena" / "quarantine"
    assert {path.name for path in quarantine.iterdir()} == {"half.json", "half-2.json"}
    assert (quarantine / "half.json").read_bytes() == DAMAGED["half"]
    assert len(kept.storage.files.damages()) == len(DAMAGED) - 1
    assert json.loads((tmp_path / "half.json").read_text()) == "whole"
    kept.close()


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    others = [".DS_Store", "notes.txt", "a.json.tmp", ".hidden.json", "n/deep/x.json", "n/.x.json"]
    for name in others:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    kept = Kept(tmp_path)
    assert kept.values() == {}
    kept.set("k", 1)
    kept.store.clear()
    kept.commit()
    assert kept.files() == set(others)
    kept.close()


def test_links_are_not_followed_and_do_not_block_other_files(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.json").write_text("1")
    folder = tmp_path / "values"
    folder.mkdir()
    (folder / "n").symlink_to(outside, target_is_directory=True)
    kept = Kept(folder)
    assert kept.values() == {}
    for number in range(40):
        kept.set(f"y{number}", 1, "n")
    kept.set("z", 1)
    kept.append()
    for _ in range(3):
        kept.step(1.0)
    assert [path.name for path in outside.iterdir()] == ["x.json"]
    assert kept.read("z.json") == 1
    assert kept.storage.mirror.failure is not None
    assert kept.storage.mirror.behind_count == 40
    kept = kept.again()
    assert len(kept.values()) == 41  # the journal holds what cannot be shown
    (folder / "n").unlink()
    kept.step(2.0)
    assert len(kept.files()) == 41
    assert kept.storage.mirror.failure is None
    kept.close()
    assert kept.journal() == []


def test_unfinished_drafts_are_deleted_at_the_start(tmp_path: Path) -> None:
    drafts = tmp_path / ".dunena" / "tmp"
    drafts.mkdir(parents=True)
    (drafts / "99-0.tmp").write_text("half")
    kept = Kept(tmp_path)
    assert list(drafts.iterdir()) == []
    kept.close()


@pytest.mark.parametrize("fsync", Fsync)
def test_a_crash_loses_no_acknowledged_change_and_restores_no_deleted_key(
    tmp_path: Path, fsync: Fsync
) -> None:
    kept = Kept(tmp_path, fsync)
    kept.set("a", 1, expires_at=LATER)
    kept.set("gone", 1)
    kept.commit()
    kept.set("a", 2, expires_at=LATER + 1)
    kept.set("b", [3], "n")
    kept.store.delete("", "gone")
    kept.append()
    expected = kept.values()
    kept = kept.crash()
    assert kept.values() == expected
    entry = kept.store.peek("", "a", 0)
    assert entry is not None
    assert entry.expires_at == LATER + 1
    kept.step()
    assert kept.files() == {"a.json", "n/b.json"}
    kept.store.clear()
    kept.append()
    kept = kept.crash().crash()
    assert kept.values() == {}
    kept.close()
    assert kept.files() == set()


def test_a_clean_stop_leaves_an_empty_journal_and_complete_files(kept: Kept) -> None:
    kept.set("a", 1)
    kept.set("t", 2, expires_at=LATER)
    kept.append()
    kept.close()
    assert kept.journal() == []
    assert (kept.read("a.json"), kept.read("t.json")) == (1, 2)


def test_value_files_are_written_after_the_journal_is_synced(tmp_path: Path) -> None:
    kept = Kept(tmp_path, Fsync.EVERYSEC)
    kept.set("a", 1)
    kept.append()
    kept.step()
    order = [name for name, path in kept.disk.done if path.suffix in {".json", ".log"}]
    assert order.index("sync") < order.index("replace")
    kept.disk.fail = lambda name, path: name == "sync" and path.suffix == ".log"
    kept.set("b", 1)
    kept.append()
    kept.step(5.0)
    assert "b.json" not in kept.files()
    kept.disk.fail = lambda _name, _path: False
    kept.step(1.0)
    assert "b.json" in kept.files()
    kept.close()


def test_a_failed_file_write_refuses_no_commit(kept: Kept) -> None:
    kept.disk.fail = lambda name, path: name == "replace" and path.suffix == ".json"
    for value in range(3):
        kept.set("a", value)
        kept.commit()
    assert kept.storage.mirror.failure == "a.json: no space left on device"
    assert kept.files() == set()
    kept.disk.fail = lambda _name, _path: False
    kept.step(2.0)
    assert kept.read("a.json") == 2
    assert kept.storage.mirror.failure is None


def test_a_stop_with_failing_file_writes_keeps_the_journal(kept: Kept) -> None:
    kept.disk.fail = lambda name, path: name == "replace" and path.suffix == ".json"
    kept.set("a", 1)
    kept.append()
    again = kept.again()
    assert again.values() == {("", "a"): 1}
    again.close()
    assert again.read("a.json") == 1


def test_file_modification_times_do_not_affect_recovery(tmp_path: Path) -> None:
    for number in range(30):
        path = tmp_path / f"k{number}.json"
        path.write_text("1")
        os.utime(path, (4_000_000_000, 4_000_000_000) if number % 2 else (0, 0))
    kept = Kept(tmp_path, Fsync.EVERYSEC)
    for number in range(30):
        kept.set(f"k{number}", 2)
    kept.append()
    kept = kept.crash()
    assert set(kept.values().values()) == {2}
    kept.store.clear()
    kept.append()
    kept = kept.crash()
    assert kept.values() == {}
    kept.close()


@pytest.mark.parametrize("method", ["put_in_place", "remove"])
def test_what_a_device_did_though_it_reported_a_failure_is_no_hand_edit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    kept = Kept(tmp_path, Fsync.EVERYSEC)
    kept.set("k", 0)
    kept.commit()
    carry_out = getattr(kept.disk, method)

    def carry_out_and_fail(*arguments: object) -> None:
        carry_out(*arguments)
        raise OSError(errno.EIO, "failed")

    if method == "remove":
        kept.store.delete("", "k")
    else:
        kept.set("k", 1)
    kept.append()
    with monkeypatch.context() as failing:
        failing.setattr(kept.disk, method, carry_out_and_fail)
        kept.step(2.0)
    kept.set("k", 2)
    kept.append()
    kept.storage._checkpointer.write_journal_anew()
    kept = kept.crash()
    assert kept.values() == {("", "k"): 2}
    kept.close()


def test_a_clear_that_is_in_the_journal_removes_what_files_were_written_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a clear waits for its sync, files are still written for the changes before it."""
    monkeypatch.setattr(journal, "SEGMENT_BYTES_MAX", 1)
    kept = Kept(tmp_path, Fsync.ALWAYS)
    kept.set("first", 1)
    kept.commit()
    kept.set("before", 1)
    kept.append()
    kept.store.clear()
    kept.storage.append(kept.changes)
    kept.step(2.0)
    assert kept.files() == {"first.json", "before.json"}, "no file goes before it is stored"
    (tmp_path / "edited.json").write_text("2")
    kept.storage.sync()
    kept = kept.crash()
    assert kept.values() == {("", "edited"): 2}
    kept.close()


def test_hand_edits_between_a_crash_and_the_start_are_kept(tmp_path: Path) -> None:
    kept = Kept(tmp_path, Fsync.EVERYSEC)
    for key in ("edited", "removed", "quiet", "made"):
        kept.set(key, 1)
    kept.commit()
    for key in ("edited", "removed", "quiet", "made"):
        kept.set(key, 2)
    kept.store.delete("", "made")
    kept.append()
    (tmp_path / "edited.json").write_text("3")
    os.utime(tmp_path / "edited.json", (0, 0))
    (tmp_path / "removed.json").unlink()
    (tmp_path / "made.json").write_text("4")
    expected = {("", "edited"): 3, ("", "quiet"): 2, ("", "made"): 4}
    for _ in range(3):  # a start that is killed must not forget it
        kept = kept.crash()
        assert kept.values() == expected
    kept.set("edited", 5)
    kept.append()
    kept = kept.crash()
    assert kept.values() == {**expected, ("", "edited"): 5}
    kept.close()


@pytest.mark.parametrize("purpose", ["expiry", "names", "revision", "shown", "run"])
def test_a_flipped_bit_in_a_record_is_detected_and_loses_no_value(
    tmp_path: Path, purpose: str
) -> None:
    kept = Kept(tmp_path, Fsync.EVERYSEC)
    kept.set("t", 1, expires_at=LATER)
    kept.set("l" * 400, 2)
    kept.commit()
    kept.close()
    entry_id = tmp_path / ".dunena" / purpose
    (record,) = [entry_id] if entry_id.is_file() else list(entry_id.iterdir())
    text = record.read_bytes()
    for position in range(len(text)):
        record.write_bytes(text[:position] + bytes([text[position] ^ 1]) + text[position + 1 :])
        again = kept.reopened()
        values = again.values()
        assert values["", "t"] == 1
        assert all(key in {"t", "l" * 400} for _, key in values)
        assert again.storage.damages(), position
        assert again.store.revision >= 2
        again.storage.journal.close()
        record.write_bytes(text)


def test_a_damaged_journal_line_loses_only_itself_and_is_quarantined(
    tmp_path: Path,
) -> None:
    kept = Kept(tmp_path, Fsync.EVERYSEC)
    for number in range(5):
        kept.set(f"k{number}", number)
        kept.append()
    (segment,) = kept.journal()
    text = segment.read_bytes()
    segment.write_bytes(text.replace(b'"k1"', b'"k9"'))
    kept = kept.crash()
    assert {key for _, key in kept.values()} == {"k0", "k2", "k3", "k4"}
    assert [damage.path for damage in kept.storage.damages()] == [str(segment)]
    (copy,) = (tmp_path / ".dunena" / "quarantine").iterdir()
    assert b'"k9"' in copy.read_bytes()
    kept.close()


def test_a_folder_replaced_after_the_open_is_not_written_to(tmp_path: Path) -> None:
    folder, away = tmp_path / "values", tmp_path / "away"
    kept = Kept(folder, Fsync.EVERYSEC)
    kept.set("a", 1)
    kept.commit()
    folder.rename(away)
    for replace in (lambda: None, folder.mkdir):
        replace()
        kept.storage.check_folder()
        assert "was moved, removed or replaced" in str(kept.storage.failure)
        with pytest.raises(OSError, match="was moved, removed or replaced"):
            kept.storage.probe()
        assert kept.step(2.0) is not None
    assert list(folder.iterdir()) == []
    folder.rmdir()
    away.rename(folder)
    kept.storage.check_folder()
    assert kept.storage.failure is None
    kept.storage.probe()
    kept.set("a", 2)
    kept.commit()
    assert kept.read("a.json") == 2
    kept.close()


@pytest.mark.parametrize("call", ["probe", "step"])
def test_a_folder_moved_away_in_the_middle_is_not_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    folder, away = tmp_path / "values", tmp_path / "away"
    kept = Kept(folder, Fsync.EVERYSEC)
    kept.set("a", 1)
    kept.set("b", 1, ns="n")
    kept.append()
    kept.disk.fail = lambda name, _path: name == "replace"
    kept.step(2.0)
    kept.disk.fail = lambda _name, _path: False
    assert kept.storage.mirror.failure is not None
    is_folder = RealDisk.is_folder

    def move_away(disk: RealDisk, path: str) -> bool:
        if not away.exists():
            folder.rename(away)
        return is_folder(disk, path)

    with monkeypatch.context() as patch:
        patch.setattr(RealDisk, "is_folder", move_away)
        if call == "probe":
            with pytest.raises(OSError, match="No such file"):
                kept.storage.probe()
        else:
            kept.step(4.0)
    assert not folder.exists()
    away.rename(folder)
    kept.step(6.0)
    assert (kept.read("a.json"), kept.read("n/b.json")) == (1, 1)
    kept.close()


def test_a_folder_is_known_by_a_number_of_128_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ReFS on Windows has them: those of folders differ in the upper half."""
    number = 7 << 64

    def identity(_disk: RealDisk, _path: str) -> tuple[int, ...]:
        return 1, number

    monkeypatch.setattr(RealDisk, "identity", identity)
    kept = Kept(tmp_path / "values")
    kept.set("a", 1)
    kept.append()
    kept = kept.crash()
    assert kept.storage.replay.is_complete
    number = 8 << 64
    kept = kept.crash()
    assert not kept.storage.replay.is_complete, "it is a copy"
    kept.close()


def test_close_raises_when_the_folder_is_gone(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "values", Fsync.EVERYSEC)
    kept.set("a", 1)
    kept.append()
    (tmp_path / "values").rename(tmp_path / "away")
    with pytest.raises(OSError, match="was moved, removed or replaced"):
        kept.close()


def is_journal(_name: str, path: Path) -> bool:
    return "journal" in path.parts


@pytest.mark.parametrize("are_files_written", [True, False])
def test_a_stop_with_a_failed_journal_tells_whether_a_change_may_be_lost(
    tmp_path: Path, *, are_files_written: bool
) -> None:
    kept = Kept(tmp_path / "values", Fsync.EVERYSEC)
    kept.set("b", 1)
    kept.commit()
    kept.set("a", 1)
    kept.append()
    if are_files_written:
        kept.step(0.1)  # too early for the journal to be shortened
    kept.disk.fail = is_journal
    with pytest.raises(UntidyError if are_files_written else OSError, match=r"(?i)no space left"):
        kept.close()
    assert ("a.json" in kept.files()) is are_files_written
    again = kept.reopened()
    assert again.values() == {("", "a"): 1, ("", "b"): 1}
    again.close()


@pytest.mark.parametrize("fsync", [Fsync.NO, Fsync.EVERYSEC])
def test_a_stop_that_cannot_record_its_end_has_lost_nothing(tmp_path: Path, fsync: Fsync) -> None:
    kept = Kept(tmp_path / "values", fsync)
    kept.set("a", 1)
    kept.append()
    kept.disk.fail = lambda name, path: name == "replace" and ".dunena" in path.parts
    with pytest.raises(UntidyError, match="no space left"):
        kept.close()
    again = kept.reopened()
    assert again.values() == {("", "a"): 1}
    again.close()


def test_removed_private_folders_are_recreated(tmp_path: Path) -> None:
    kept = Kept(tmp_path, Fsync.EVERYSEC)
    for folder in ("journal", "tmp", "expiry", "names"):
        shutil.rmtree(tmp_path / ".dunena" / folder)
        kept.set("a", folder, expires_at=LATER)
        with suppress(OSError):
            kept.append()
        kept.storage.probe()
        kept.set("a", folder, expires_at=LATER)
        kept.commit()
        assert kept.read("a.json") == folder
    kept.close()


def test_value_files_are_written_after_a_private_folder_was_removed(tmp_path: Path) -> None:
    kept = Kept(tmp_path, Fsync.EVERYSEC)
    kept.set("z", 1)
    kept.append()
    for folder in ("tmp", "expiry", "names"):
        shutil.rmtree(tmp_path / ".dunena" / folder)
        kept.set("a", folder, expires_at=LATER)
        kept.set("l" * 400, folder)
        kept.append()
        for _ in range(3):
            kept.step(2.0)
        assert kept.read("a.json") == folder
        assert kept.storage.mirror.failure is None
    kept.close()


@pytest.mark.parametrize("name", ["run", "revision", "shown"])
def test_an_oversized_record_is_reported_and_does_not_prevent_the_start(
    tmp_path: Path, name: str
) -> None:
    kept = Kept(tmp_path, Fsync.EVERYSEC)
    kept.set("a", 1)
    kept.append()
    kept.storage.journal.close()
    os.truncate(tmp_path / ".dunena" / name, 1 << 40)
    kept = kept.reopened()
    assert kept.values() == {("", "a"): 1}
    assert [damage.path for damage in kept.storage.damages()] == [str(tmp_path / ".dunena" / name)]
    kept.close()


def test_a_copy_without_the_last_run_record_has_all_acknowledged_changes(
    tmp_path: Path,
) -> None:
    kept = Kept(tmp_path / "first", Fsync.EVERYSEC)
    kept.set("a", 1)
    kept.commit()
    kept.set("a", 2)
    kept.append()
    kept.storage.journal.close()
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    (tmp_path / "second" / ".dunena" / "run").unlink()
    copied = Kept(tmp_path / "second", Fsync.EVERYSEC)
    assert copied.values() == {("", "a"): 2}
    copied.close()


def test_a_stop_that_takes_too_long_leaves_the_rest_to_the_next_start(tmp_path: Path) -> None:
    kept = Kept(tmp_path, Fsync.EVERYSEC)
    for number in range(200):
        kept.set(f"k{number}", number)
    kept.append()
    looks = iter([False])
    kept.storage.close(kept.now, lambda: next(looks, True))
    assert 0 < len(kept.files()) < 200
    kept = kept.reopened()
    assert len(kept.values()) == 200
    kept.close()
    assert len(kept.files()) == 200


def test_a_folder_copied_after_a_crash_has_all_acknowledged_changes(
    tmp_path: Path,
) -> None:
    kept = Kept(tmp_path / "first", Fsync.EVERYSEC)
    for key in ("a", "b"):
        kept.set(key, 1)
    kept.commit()
    kept.set("a", 2)
    kept.store.delete("", "b")
    kept.set("c", 3)
    kept.append()
    kept.storage.journal.close()
    shutil.copytree(tmp_path / "first", tmp_path / "second")  # no file is the same any more
    copied = Kept(tmp_path / "second", Fsync.EVERYSEC)
    assert copied.values() == {("", "a"): 2, ("", "c"): 3}
    copied.close()


unix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such things")


def damaged(kept: Kept) -> dict[str, tuple[str, str]]:
    return {
        Path(damage.path).relative_to(kept.folder).as_posix(): (damage.kind.value, damage.reason)
        for damage in kept.storage.files.damages()
    }


def make_strangers(folder: Path) -> None:
    outside = folder.parent / "outside"
    (outside / "app").mkdir(parents=True)
    (outside / "secret.json").write_text('"secret"')
    (outside / "app" / "k.json").write_text('"secret"')
    (folder / "folder.json").mkdir(parents=True)
    (folder / "folder.json" / "k.json").write_text("1")
    os.mkfifo(folder / "pipe.json")
    (folder / "zero.json").symlink_to("/dev/zero")
    (folder / "link.json").symlink_to(outside / "secret.json")
    (folder / "linked").symlink_to(outside / "app", target_is_directory=True)
    (folder / "notes").symlink_to(outside / "secret.json")
    make_sparse(folder / "sparse.json")
    (folder / "large.json").write_text('"' + "x" * 1001 + '"')
    (folder / "fits.json").write_text('"' + "\\u0001" * 1000 + '"')


STRANGERS = {
    "folder.json": ("stranger", "a folder, not a plain file"),
    "pipe.json": ("stranger", "a pipe, not a plain file"),
    "zero.json": ("stranger", "a link, not a plain file"),
    "link.json": ("stranger", "a link, not a plain file"),
    "linked": ("stranger", "a link to a folder, which is not followed"),
    "sparse.json": ("size", f"more than {6 * 1000 + (1 << 20)} bytes"),
    "large.json": ("size", "more than 1000 bytes"),
}


@unix_only
def test_irregular_and_oversized_files_are_reported_and_left_alone(tmp_path: Path) -> None:
    make_strangers(tmp_path / "values")
    kept = Kept(tmp_path / "values", value_bytes_max=1000)
    assert kept.values() == {("", "fits"): "\1" * 1000}
    assert damaged(kept) == STRANGERS
    for name in STRANGERS:
        kept.set(name.removesuffix(".json"), "mine")
    kept.set("k", "mine", "linked")
    kept.commit()
    quarantine = kept.folder / ".dunena" / "quarantine"
    assert {path.name for path in quarantine.iterdir()} == {"sparse.json", "large.json"}
    failure = kept.storage.mirror.failure
    assert failure is not None
    assert failure.endswith(("not a plain file", "not a folder"))
    assert set(damaged(kept)) == set(STRANGERS) - {"sparse.json", "large.json"}
    for name in STRANGERS:
        kept.store.delete("", name.removesuffix(".json"))
    kept.store.delete("linked", "k")
    kept.now += 2
    kept.commit()
    assert kept.storage.mirror.failure is None
    assert set(damaged(kept)) == set(STRANGERS) - {"sparse.json", "large.json"}
    assert (tmp_path / "outside" / "app" / "k.json").read_text() == '"secret"'
    assert (tmp_path / "outside" / "secret.json").read_text() == '"secret"'
    kept.close()


@unix_only
def test_a_value_file_is_written_once_the_folder_in_its_place_is_gone(tmp_path: Path) -> None:
    tmp_path.joinpath("k.json").mkdir()
    kept = Kept(tmp_path)
    kept.set("k", 1)
    kept.commit()
    assert kept.storage.mirror.failure == "k.json: a folder, not a plain file"
    assert kept.storage.mirror.behind_count == 1
    (tmp_path / "k.json").rmdir()
    kept.now += 2
    kept.step()
    assert kept.read("k.json") == 1
    assert kept.storage.mirror.failure is None
    kept.close()


@pytest.mark.skipif(sys.platform != "linux", reason="names elsewhere are always text")
def test_names_that_are_not_utf_8_are_reported_and_left_alone(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path)
    os.mkdir(raw + b"/f\xff")  # noqa: PTH102 - no path object can be made of it everywhere
    for name in (b"/k\xff.json", b"/f\xff/k.json"):
        with open(raw + name, "w") as file:  # noqa: PTH123
            file.write("1")
    (tmp_path / "good.json").write_text("1")
    kept = Kept(tmp_path)
    assert kept.values() == {("", "good"): 1}
    shown = {
        Path(damage.display_path).name: damage.reason for damage in kept.storage.files.damages()
    }
    assert shown == {
        "k\\xff.json": "not a key's file name",
        "f\\xff": "not a namespace's name",
    }
    kept.close()


def test_an_unreadable_folder_is_reported_and_the_others_are_loaded(tmp_path: Path) -> None:
    for name in ("open", "lost+found"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "k.json").write_text("1")
    kept = Kept(tmp_path, fail=lambda name, path: name == "names" and path.name == "lost+found")
    assert kept.values() == {("open", "k"): 1}
    kind, _ = damaged(kept)["lost+found"]
    assert kind == "unreadable"
    kept.close()
