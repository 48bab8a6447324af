"""The disk engine: what lies in the folder, and what happens when writing it fails."""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dunena.persistence.disk import engine as engine_module
from dunena.persistence.disk import mirror as mirror_module
from dunena.persistence.disk.atomic import folds_case
from dunena.persistence.disk.engine import DiskEngine
from dunena.persistence.disk.policy import Fsync
from dunena.persistence.interface import OpenError, StorageError
from dunena.store.entry import Change
from dunena.store.names import is_name
from dunena.store.store import Store

LATER = 4_000_000_000_000


class Kept:
    """A store whose changes an engine keeps, and that can be opened again."""

    def __init__(self, folder: Path, fsync: Fsync = Fsync.NO) -> None:
        self.folder = folder
        self.fsync = fsync
        self.engine = DiskEngine(folder, fsync)
        self.changes: list[Change] = []
        self.store = Store(self.changes.append)
        loaded = self.engine.open(None)
        self.store.load(loaded.entries, loaded.revision)

    def commit(self) -> None:
        changes, self.changes[:] = list(self.changes), []
        try:
            self.engine.commit(changes)
        except StorageError:
            self.store.undo(changes)
            raise

    def set(self, key: str, value: object, ns: str = "", expires_at: int | None = None) -> None:
        self.store.set(ns, key, json.dumps(value).encode(), expires_at)

    def values(self) -> dict[tuple[str, str], object]:
        return {(e.ns, e.key): json.loads(e.value) for e in self.store.entries()}

    def again(self) -> "Kept":
        self.engine.close()
        return Kept(self.folder, self.fsync)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path / "values")
    yield kept
    kept.engine.close()


@pytest.fixture
def folding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the file system for one that folds case."""
    monkeypatch.setattr(engine_module, "folds_case", lambda _folder: True)


def files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and ".dunena" not in path.parts
    }


def test_a_folder_is_what_the_contract_says(kept: Kept) -> None:
    kept.set("player-position", {"x": 100, "y": [1]})
    kept.set("session-42", "s", "app")
    kept.commit()
    assert files(kept.folder) == {"player-position.json", "app/session-42.json"}
    text = (kept.folder / "player-position.json").read_text()
    assert text == json.dumps({"x": 100, "y": [1]}, indent=2)


@pytest.mark.parametrize("fsync", Fsync)
def test_everything_comes_back(tmp_path: Path, fsync: Fsync) -> None:
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
    assert again.store.revision == 7
    again.engine.close()


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
def test_awkward_names_come_back_each_from_its_own_file(
    tmp_path_factory: pytest.TempPathFactory, places: set[tuple[str, str]], folds: bool
) -> None:
    folder = tmp_path_factory.mktemp("values")
    folds = folds or folds_case(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_module, "folds_case", lambda _folder: folds)
        kept = Kept(folder)
        for ns, key in places:
            kept.set(key, [ns, key], ns)
            kept.commit()
        found = files(folder)
        assert len(found) == len(places)
        assert not folds or len({name.lower() for name in found}) == len(places)
        kept = kept.again()
        assert kept.values() == {(ns, key): [ns, key] for ns, key in places}
        for ns, key in places:
            kept.store.delete(ns, key)
        if places:
            kept.commit()
        assert [path.name for path in folder.iterdir()] == [".dunena"]
        kept.engine.close()


def test_revisions_go_on_above_all_given_out_even_after_a_crash(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.set("a", 1)
    kept.commit()
    kept.engine._lock.release()  # the process is gone; nothing else was done
    again = Kept(tmp_path)
    assert again.store.revision > 1
    again.set("a", 2)
    again.commit()
    before = again.store.revision
    assert again.again().store.revision == before


def test_an_expiry_belongs_to_its_value_alone(kept: Kept) -> None:
    kept.set("a", "old", expires_at=LATER)
    kept.commit()
    # A crash between the expiry record of a later write and its value leaves this behind.
    kept.engine._records.keep_expiry("b.json", LATER, b'"new"', force=False)
    (kept.folder / "b.json").write_text('"old"')
    (kept.folder / "a.json").write_text('"edited while it was off"')
    again = kept.again()
    for key in ("a", "b"):
        entry = again.store.peek("", key, 0)
        assert entry is not None
        assert entry.expires_at is None
    again.engine.close()


def test_a_set_without_ttl_drops_the_expiry_record(kept: Kept) -> None:
    kept.set("a", 1, expires_at=LATER)
    kept.commit()
    kept.set("a", 1)
    kept.commit()
    assert list((kept.folder / ".dunena" / "expiry").iterdir()) == []


def test_a_folder_of_the_original_loads_as_it_is(tmp_path: Path) -> None:
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
    assert kept.engine.damages() == []
    kept.set("caf\u00e9", "set anew")
    kept.commit()
    assert "caf\u00e9.json" not in files(tmp_path)
    assert kept.again().values()["", "caf\u00e9"] == "set anew"


def test_a_deleted_key_takes_its_foreign_name_with_it(tmp_path: Path) -> None:
    (tmp_path / "caf\u00e9.json").write_text("1")
    kept = Kept(tmp_path)
    kept.store.delete("", "caf\u00e9")
    kept.commit()
    assert files(tmp_path) == set()
    kept.engine.close()


@pytest.mark.usefixtures("folding")
def test_where_case_is_folded_a_foreign_file_makes_way(tmp_path: Path) -> None:
    (tmp_path / "Foo.json").write_text("1")
    (tmp_path / "App").mkdir()
    (tmp_path / "App" / "k.json").write_text("2")
    kept = Kept(tmp_path)
    kept.set("foo", "lower")
    kept.set("k", "lower", "app")
    kept.commit()
    assert files(tmp_path) == {"%46oo.json", "foo.json", "%41pp/k.json", "app/k.json"}
    assert kept.again().values() == {
        ("", "Foo"): 1,
        ("", "foo"): "lower",
        ("App", "k"): 2,
        ("app", "k"): "lower",
    }


def test_of_two_files_for_one_key_the_regular_one_counts(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('"regular"')
    (tmp_path / "%61.json").write_text('"other"')
    (tmp_path / "n").mkdir()
    (tmp_path / "%6e").mkdir()
    (tmp_path / "n" / "k.json").write_text("1")
    (tmp_path / "%6e" / "k.json").write_text("2")
    kept = Kept(tmp_path)
    assert kept.values() == {("", "a"): "regular", ("n", "k"): 1}
    assert {Path(damage.path).name for damage in kept.engine.damages()} == {"%61.json", "%6e"}
    kept.engine.close()


DAMAGED = {
    "empty": b"",
    "half": b'{"a": ',
    "binary": b"\x00\xff\x00",
    "twice": b'{"a":1,"a":2}',
    "past": b"18446744073709551617",
}


def test_damage_is_reported_left_alone_and_set_aside_when_the_key_is_set(tmp_path: Path) -> None:
    for key, content in DAMAGED.items():
        (tmp_path / f"{key}.json").write_bytes(content)
    (tmp_path / "good.json").write_text("1")
    kept = Kept(tmp_path)
    assert kept.values() == {("", "good"): 1}
    assert {Path(damage.path).stem for damage in kept.engine.damages()} == set(DAMAGED)
    assert {(tmp_path / f"{key}.json").read_bytes() for key in DAMAGED} == set(DAMAGED.values())
    for _ in range(2):
        (tmp_path / "half.json").write_bytes(DAMAGED["half"])
        kept = kept.again()
        kept.set("half", "whole")
        kept.commit()
    quarantine = tmp_path / ".dunena" / "quarantine"
    assert {path.name for path in quarantine.iterdir()} == {"half.json", "half-2.json"}
    assert (quarantine / "half.json").read_bytes() == DAMAGED["half"]
    assert len(kept.engine.damages()) == len(DAMAGED) - 1
    assert json.loads((tmp_path / "half.json").read_text()) == "whole"
    kept.engine.close()


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
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
    assert files(tmp_path) == set(others)
    kept.engine.close()


def test_a_link_leads_nowhere(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.json").write_text("1")
    folder = tmp_path / "values"
    folder.mkdir()
    (folder / "n").symlink_to(outside, target_is_directory=True)
    kept = Kept(folder)
    assert kept.values() == {}
    kept.set("y", 1, "n")
    with pytest.raises(StorageError):
        kept.commit()
    assert files(outside) == {"x.json"}
    assert kept.values() == {}
    kept.engine.close()


def test_a_second_engine_is_refused(kept: Kept) -> None:
    with pytest.raises(OpenError, match="another dunena is using"):
        DiskEngine(kept.folder, Fsync.NO).open(None)


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OpenError, match="cannot use the folder"):
        DiskEngine(tmp_path / "file" / "below", Fsync.NO).open(None)


def test_half_written_drafts_are_swept(tmp_path: Path) -> None:
    drafts = tmp_path / ".dunena" / "tmp"
    drafts.mkdir(parents=True)
    (drafts / "99-0.tmp").write_text("half")
    kept = Kept(tmp_path)
    assert list(drafts.iterdir()) == []
    kept.engine.close()


@pytest.mark.parametrize("failing_write", range(5))
def test_a_failed_commit_leaves_files_as_they_were(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, failing_write: int
) -> None:
    kept.set("a", "old", expires_at=LATER)
    kept.set("b", "old")
    kept.set("c", "old", "n")
    kept.commit()
    before = {name: (kept.folder / name).read_bytes() for name in files(kept.folder)}
    values = kept.values()
    count = 0
    real = mirror_module.replace_file

    def failing(path: Path, content: bytes, temporary: Path, *, force: bool = False) -> None:
        nonlocal count
        count += 1
        if count == failing_write + 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, content, temporary, force=force)

    monkeypatch.setattr(mirror_module, "replace_file", failing)
    kept.set("a", "new")
    kept.set("d", "new")
    kept.store.delete("n", "c")
    kept.set("b", "new")
    kept.set("e", "new")
    kept.set("f", "new", "m")
    with pytest.raises(StorageError) as caught:
        kept.commit()
    assert caught.value.reason == "no space left on device"
    assert {name: (kept.folder / name).read_bytes() for name in files(kept.folder)} == before
    assert kept.values() == values
    entry = kept.again().store.peek("", "a", 0)
    assert entry is not None
    assert entry.expires_at == LATER


def test_probe_says_whether_writing_works(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.engine.probe()

    def failing(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(engine_module, "replace_file", failing)
    with pytest.raises(StorageError, match="read-only"):
        kept.engine.probe()
