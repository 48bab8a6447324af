"""Text files in their folder, on a simulated disk and on a real one, and the thread that writes."""

import errno
import logging
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from dunena.plain_files import FileKind
from dunena.server.limits import TEXT_PERIOD_MS
from dunena.server.text_files import folder as folder_module
from dunena.server.text_files.folder import LOOK_MS, OWN_FOLDER, RETRY_MS, TextFolder
from dunena.server.text_files.opening import TextFolderError, check_apart, open_folder
from dunena.server.text_files.writer import STUCK_MS, TextWriter
from dunena.store.entry import Entry, EntryId
from dunena.store.positions import Removal
from dunena.watches.selector import Selector
from dunena.watches.updates import UpdatePart
from tests.simulation.simulated_disk import SimulatedDisk, Stop

NOW = 1_700_000_000_000
DISK = "/disk"
ROOT = f"{DISK}{os.sep}text"


class Shown:
    """A folder of text files, and what is in it."""

    def __init__(self, disk: SimulatedDisk | None = None, *, folds_case: bool = False) -> None:
        self.disk = disk or SimulatedDisk(Random(1), DISK)
        self.folder = TextFolder(self.disk, ROOT, folds_case=folds_case)
        self.folder.open()
        self.now = NOW

    def show(self, key: str, value: Any, ns: str = "") -> None:
        self.folder.show((ns, key), orjson.dumps(value))

    def remove(self, key: str, ns: str = "") -> None:
        self.folder.show((ns, key), None)

    def write(self, after_ms: int = 0) -> dict[str, str]:
        """Write what is due; the files by their names, and their texts."""
        self.now += after_ms
        self.folder.write(self.now)
        return self.files()

    def files(self) -> dict[str, str]:
        private = f"{ROOT}{os.sep}{OWN_FOLDER}{os.sep}"
        return {
            path.removeprefix(f"{ROOT}{os.sep}").replace(os.sep, "/"): content.decode()
            for path, content in self.disk.files().items()
            if path.startswith(ROOT) and not path.startswith(private)
        }


@pytest.fixture
def shown() -> Shown:
    return Shown()


# --- what is in the files ---


def test_a_key_has_a_file_and_so_has_each_member(shown: Shown) -> None:
    shown.show("name", "Ada")
    shown.show("match", {"home": 2, "guest": 1})
    shown.show("score", 3, "show")
    assert shown.write() == {
        "name.txt": "Ada",
        "match.txt": '{"home":2,"guest":1}',
        "match.home.txt": "2",
        "match.guest.txt": "1",
        "show/score.txt": "3",
    }
    assert shown.folder.failure is None


def test_the_file_of_what_is_gone_is_empty(shown: Shown) -> None:
    shown.show("match", {"home": 2, "guest": 1})
    shown.write()
    shown.show("match", {"home": 3})
    assert shown.write(TEXT_PERIOD_MS)["match.guest.txt"] == ""
    shown.remove("match")
    assert set(shown.write(TEXT_PERIOD_MS).values()) == {""}
    assert shown.files().keys() == {"match.txt", "match.home.txt", "match.guest.txt"}
    assert shown.folder.entry_ids == [], "nothing is kept of a key that is gone"
    shown.show("match", {"guest": 4})
    assert shown.write(TEXT_PERIOD_MS)["match.guest.txt"] == "4"


def test_a_named_key_without_a_value_has_an_empty_file(shown: Shown) -> None:
    shown.remove("clock")
    assert shown.write() == {"clock.txt": ""}


@pytest.mark.parametrize(
    ("ns", "key", "member", "folds_case", "name"),
    [
        ("", "a/b", None, False, "a%2Fb.txt"),
        ("", "..", None, False, "%2E%2E.txt"),
        ("", "con", None, False, "%63on.txt"),
        ("", "con", "x", False, "%63on.x.txt"),
        ("", "Score", None, True, "%53core.txt"),
        ("", "Score", None, False, "Score.txt"),
        ("", "k", "Ü/..", False, "k.%C3%9C%2F.%2E.txt"),
        ("..", "k", None, False, "%2E%2E/k.txt"),
        (".text-files", "names", None, False, "%2Etext-files/names.txt"),
        ("x.txt", "k", None, False, "x%2Etxt/k.txt"),
        ("a:b", "c\\d", None, False, "a%3Ab/c%5Cd.txt"),
    ],
)
def test_names_are_those_of_the_store_and_lead_nowhere_else(
    ns: str, key: str, member: str | None, folds_case: bool, name: str
) -> None:
    shown = Shown(folds_case=folds_case)
    shown.show(key, "v" if member is None else {member: "v"}, ns)
    assert shown.write()[name] == "v"
    assert all(path.startswith(ROOT + os.sep) for path in shown.disk.files())


def test_a_key_of_any_length_has_a_name_that_fits(shown: Shown) -> None:
    shown.show("k" * 200, {"m" * 200: "v", "n" * 200: "w"})
    files = shown.write()
    assert {"v", "w"} <= set(files.values())
    assert all(len(name) <= 255 for name in files)


@pytest.mark.parametrize("key_comes_first", [True, False])
def test_a_file_that_shows_a_key_shows_no_member(shown: Shown, key_comes_first: bool) -> None:
    def show_key() -> None:
        shown.show("a.b", "the key")
        shown.write(TEXT_PERIOD_MS)

    if key_comes_first:
        show_key()
    shown.show("a", {"b": "the member", "c": 1})
    shown.write(TEXT_PERIOD_MS)
    if not key_comes_first:
        assert shown.files()["a.b.txt"] == "the member"
        show_key()
    assert shown.files()["a.b.txt"] == "the key"
    assert shown.files()["a.c.txt"] == "1"
    assert shown.folder.failure == "a.b.txt shows the key a.b"
    assert shown.folder.next_at is None
    shown.remove("a.b")
    shown.write(TEXT_PERIOD_MS)
    assert shown.write(TEXT_PERIOD_MS)["a.b.txt"] == "the member"
    assert shown.folder.failure is None


def test_a_member_gets_the_file_of_a_key_that_goes_at_the_same_time(shown: Shown) -> None:
    shown.show("a.b", "the key")
    shown.write()
    shown.show("a", {"b": "the member"})
    shown.remove("a.b")
    shown.write(TEXT_PERIOD_MS)
    assert shown.write(TEXT_PERIOD_MS)["a.b.txt"] == "the member"
    assert shown.folder.failure is None


def test_a_value_with_too_many_members_is_reported(shown: Shown) -> None:
    shown.show("k", {f"m{number}": number for number in range(101)})
    assert len(shown.write()) == 101
    assert shown.folder.failure is not None
    assert shown.folder.failure.startswith("k has more than 100 members")
    shown.show("k", {})
    shown.write(TEXT_PERIOD_MS)
    assert shown.folder.failure is None


# --- when they are written ---


def test_a_file_is_written_at_most_five_times_a_second(shown: Shown) -> None:
    texts = []
    for number in range(1000):
        shown.show("k", number)
        texts.append(shown.write(1)["k.txt"])
    assert len(set(texts)) == 5
    assert shown.folder.next_at is not None
    assert shown.folder.next_at - shown.now <= TEXT_PERIOD_MS
    assert shown.write(TEXT_PERIOD_MS)["k.txt"] == "999", "the last always comes"
    assert shown.folder.next_at is None


def test_one_key_does_not_wait_for_another(shown: Shown) -> None:
    shown.show("a", 1)
    shown.write()
    shown.show("b", 1)
    assert shown.write(1) == {"a.txt": "1", "b.txt": "1"}


def test_at_the_end_nothing_waits(shown: Shown) -> None:
    shown.show("k", 1)
    shown.write()
    shown.show("k", 2)
    shown.folder.write(shown.now, is_last=True)
    assert shown.files() == {"k.txt": "2"}


def test_an_unchanged_text_is_not_written_again(shown: Shown) -> None:
    shown.show("k", {"a": 1, "b": 2})
    shown.write()
    before = {path: shown.disk.stamp(path) for path in shown.disk.files()}
    shown.show("k", {"a": 1, "b": 3})
    shown.write(TEXT_PERIOD_MS)
    changed = {path for path, stamp in before.items() if shown.disk.stamp(path) != stamp}
    assert {path.rpartition(os.sep)[2] for path in changed} == {"k.txt", "k.b.txt"}


def test_a_running_timer_is_written_once_a_second(shown: Shown) -> None:
    timer = {"at": NOW, "ms": 3000, "rate": -1, "running": True}
    shown.show("clock", {"timer": timer})
    texts = [shown.write()["clock.txt"]]
    times = []
    while shown.folder.next_at is not None:
        times.append(shown.folder.next_at - NOW)
        texts.append(shown.write(shown.folder.next_at - shown.now)["clock.txt"])
    assert texts == ["0:03", "0:02", "0:01", "0:00"]
    assert times == [1000, 2000, 3000]
    timer = {"at": NOW, "ms": 60_000, "rate": 1, "running": True}
    shown.show("clock", {"timer": timer})
    shown.write(TEXT_PERIOD_MS)
    assert shown.folder.next_at is not None
    shown.show("clock", {"timer": timer | {"running": False}})
    shown.write(TEXT_PERIOD_MS)
    assert shown.folder.next_at is None


# --- what was there before ---


def test_a_file_of_somebody_else_is_not_replaced_without_a_word(
    shown: Shown, caplog: pytest.LogCaptureFixture
) -> None:
    shown.disk.edit(f"{ROOT}{os.sep}k.txt", b"notes", 0)
    shown.show("k", 1)
    shown.show("new", 1)
    assert shown.write()["k.txt"] == "1"
    assert [record.message for record in caplog.records] == [
        f"k.txt in {ROOT} was there before, and is replaced"
    ]
    caplog.clear()
    again = Shown(shown.disk)
    again.show("k", 2)
    assert again.write()["k.txt"] == "2"
    assert caplog.records == [], "it was made by us"


def test_a_start_empties_what_is_gone_and_leaves_what_it_did_not_make(shown: Shown) -> None:
    for key in ("stays", "goes"):
        shown.show(key, {"m": 1})
    shown.write()
    shown.disk.edit(f"{ROOT}{os.sep}notes.txt", b"notes", 0)
    again = Shown(shown.disk)
    again.show("stays", {"m": 1})
    again.folder.empty_others()
    assert again.write() == {
        "stays.txt": '{"m":1}',
        "stays.m.txt": "1",
        "goes.txt": "",
        "goes.m.txt": "",
        "notes.txt": "notes",
    }


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[1, null]", b'["../x.txt", "/x.txt", "a/b/c.txt", "..\\\\x.txt", "C:x.txt"]'],
)
def test_names_that_lead_elsewhere_are_no_names(shown: Shown, content: bytes) -> None:
    shown.disk.edit(f"{DISK}{os.sep}x.txt", b"kept", 0)
    shown.disk.edit(f"{ROOT}{os.sep}{OWN_FOLDER}{os.sep}names.json", content, 0)
    again = Shown(shown.disk)
    again.folder.empty_others()
    assert again.write() == {}
    assert again.disk.files()[f"{DISK}{os.sep}x.txt"] == b"kept"


# --- disks that fail ---


def test_a_full_disk_is_reported_once_and_recovers(
    shown: Shown, caplog: pytest.LogCaptureFixture
) -> None:
    shown.show("k", "before")
    shown.write()
    shown.disk.quota = 3
    shown.show("k", "after")
    for _ in range(5):
        assert shown.write(RETRY_MS) == {"k.txt": "before"}
        assert shown.folder.failure == f"k.txt: {os.strerror(errno.ENOSPC)}"
    shown.disk.quota = None
    assert shown.write(RETRY_MS) == {"k.txt": "after"}
    assert shown.folder.failure is None
    assert shown.folder.last_error == f"k.txt: {os.strerror(errno.ENOSPC)}"
    assert (shown.folder.written, shown.folder.failures) == (2, 5)
    levels = [record.levelno for record in caplog.records]
    assert levels == [logging.ERROR, logging.WARNING]


def test_a_name_that_cannot_be_kept_makes_no_file(shown: Shown) -> None:
    shown.disk.failing = 1.0
    shown.show("k", 1)
    assert shown.write() == {}
    assert shown.folder.failure == shown.folder.last_error == os.strerror(errno.EIO)
    assert shown.folder.failures == 1
    shown.disk.failing = 0.0
    assert shown.write(RETRY_MS) == {"k.txt": "1"}
    assert shown.folder.failure is None


@pytest.mark.parametrize("kind", [FileKind.LINK, FileKind.FOLDER, FileKind.PIPE])
def test_only_a_file_is_replaced_and_the_others_are_written(shown: Shown, kind: FileKind) -> None:
    shown.disk.put_stranger(f"{ROOT}{os.sep}k.txt", kind)
    shown.show("k", {"m": 1})
    assert shown.write()["k.m.txt"] == "1"
    assert shown.disk.kind(f"{ROOT}{os.sep}k.txt") is kind
    assert shown.folder.failure == f"k.txt: {kind}, not a plain file"


def test_a_link_in_the_place_of_a_namespace_is_not_followed(shown: Shown) -> None:
    shown.disk.put_stranger(f"{ROOT}{os.sep}show", FileKind.LINK)
    shown.show("k", 1, "show")
    assert shown.write() == {}
    assert shown.folder.failure == "show/k.txt: show is no folder"


def test_many_files_that_fail_are_not_all_tried_at_once(
    shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(100):
        shown.show(f"k{number}", "x")
    shown.write()
    tried = []

    def refuse(path: str, *_: object, **__: object) -> None:
        tried.append(path)
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(shown.disk, "replace_file", refuse)
    for number in range(100):
        shown.show(f"k{number}", "y")
    shown.write(TEXT_PERIOD_MS)
    assert len(tried) == 10
    monkeypatch.undo()
    assert set(shown.write(RETRY_MS).values()) == {"y"}
    assert shown.folder.failure is None


def test_files_are_limited_and_those_of_keys_that_are_gone_make_room(
    shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "TEXT_FILES_MAX", 3)
    for key in ("a", "b", "c", "d"):
        shown.show(key, key)
    assert len(shown.write()) == 3
    assert shown.folder.failure == "there are 3 files, and no more are made"
    assert shown.folder.next_at is None
    shown.remove("b")
    shown.write(TEXT_PERIOD_MS)
    assert shown.write(TEXT_PERIOD_MS) == {"a.txt": "a", "c.txt": "c", "d.txt": "d"}
    assert shown.folder.failure is None


def test_the_limit_holds_for_files_that_are_new_at_the_same_time(
    shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "TEXT_FILES_MAX", 4)
    for turn in range(5):
        for number in range(3):
            shown.show(f"{turn}-{number}", "x")
        assert len(shown.write(TEXT_PERIOD_MS)) <= 4
        for number in range(3):
            shown.remove(f"{turn}-{number}")
        assert len(shown.write(TEXT_PERIOD_MS)) <= 4
    assert shown.folder.failure is None


def test_a_key_that_goes_without_ever_having_a_file_is_no_trouble(
    shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "TEXT_FILES_MAX", 3)
    for key in ("a", "b", "c", "d", "e"):
        shown.show(key, key)
    shown.write()
    assert shown.folder.failure == "there are 3 files, and no more are made (and 1 more)"
    shown.remove("d")
    shown.remove("e")
    shown.write(TEXT_PERIOD_MS)
    assert shown.folder.failure is None
    assert shown.folder.next_at is None


def test_a_kill_at_any_time_leaves_whole_files_whose_names_are_kept() -> None:
    """The process ends before or within any operation, and another one goes on."""
    texts = [orjson.dumps({"m": text * 500}) for text in "abc"]
    whole = {text.decode() for text in texts} | {text * 500 for text in "abc"} | {""}
    for stops_at in range(1, 100):
        shown = Shown(SimulatedDisk(Random(stops_at), DISK))
        shown.disk.operations_left = stops_at
        try:
            for text in texts:
                shown.folder.show(("", "k"), text)
                shown.write(TEXT_PERIOD_MS)
        except Stop:
            assert set(shown.files().values()) <= whole
        else:
            break
        shown.disk.operations_left = -1
        again = Shown(shown.disk)
        again.folder.empty_others()
        assert set(again.write().values()) <= {""}, "what is gone is empty, and nothing is left"
        drafts = [path for path in again.disk.files() if path.endswith(".tmp")]
        assert drafts == []
    else:
        pytest.fail("it never came to the end")
    assert stops_at > 10


# --- a real folder ---


@pytest.fixture
def real(tmp_path: Path) -> TextFolder:
    opened, lock = open_folder(tmp_path / "text", tmp_path / "values")
    lock.release()
    return opened


def test_a_folder_that_vanishes_is_made_again_with_all_files(
    real: TextFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "text"
    real.show(("", "k"), b'{"m":1}')
    real.show(("", "gone"), b"1")
    real.write(NOW)
    real.show(("", "gone"), None)
    real.write(NOW + TEXT_PERIOD_MS)
    shutil.rmtree(root)
    real.check(NOW + 1000)
    real.write(NOW + 1000)
    assert {path.name: path.read_text() for path in root.glob("*.txt")} == {
        "k.txt": '{"m":1}',
        "k.m.txt": "1",
    }
    assert "was removed or replaced" in caplog.text
    caplog.clear()
    real.check(NOW + 2000)
    assert caplog.records == []


def test_another_folder_in_its_place_gets_all_files(real: TextFolder, tmp_path: Path) -> None:
    root = tmp_path / "text"
    real.show(("", "k"), b"1")
    real.write(NOW)
    root.rename(tmp_path / "moved")
    root.mkdir()
    real.check(NOW + 1000)
    real.write(NOW + 1000)
    assert (root / "k.txt").read_text() == "1"


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_text("by hand")])
def test_a_file_that_others_change_or_remove_is_written_again(
    real: TextFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture, change: Any
) -> None:
    path = tmp_path / "text" / "k.txt"
    real.show(("", "k"), b"1")
    real.show(("", "other"), b"2")
    real.write(NOW)
    real.check(NOW + LOOK_MS)
    change(path)
    real.check(NOW + LOOK_MS + 1)
    assert real.next_at is None, "it looks once a second"
    real.check(NOW + 2 * LOOK_MS)
    real.write(NOW + 2 * LOOK_MS)
    assert path.read_text() == "1"
    assert "k.txt" in caplog.text
    assert "other.txt" not in caplog.text
    real.check(NOW + 3 * LOOK_MS)
    assert real.next_at is None


def test_many_files_are_looked_at_in_turn(
    real: TextFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "LOOKED_AT_MAX", 2)
    for number in range(5):
        real.show(("", f"k{number}"), b"1")
    real.write(NOW)
    for path in (tmp_path / "text").glob("*.txt"):
        path.unlink()
    for turn in range(1, 4):
        real.check(NOW + turn * LOOK_MS)
        real.write(NOW + turn * LOOK_MS)
        assert len(list((tmp_path / "text").glob("*.txt"))) == min(5, 2 * turn)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_in_the_place_of_the_folder_is_not_followed(
    real: TextFolder, tmp_path: Path
) -> None:
    root, elsewhere = tmp_path / "text", tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.rmtree(root)
    root.symlink_to(elsewhere)
    real.show(("", "k"), b"1")
    real.check(NOW)
    assert real.failure == "the folder cannot be made: it is a link"
    assert list(elsewhere.iterdir()) == []
    root.unlink()
    real.check(NOW + 1000)
    real.write(NOW + 1000)
    assert real.failure is None
    assert (root / "k.txt").read_text() == "1"


def test_a_new_file_is_whole_for_every_reader(real: TextFolder, tmp_path: Path) -> None:
    path = tmp_path / "text" / "k.txt"
    sizes: set[int] = set()
    is_over = threading.Event()
    real.show(("", "k"), b'"' + b"a" * 100_000 + b'"')
    real.write(NOW)

    def read() -> None:
        while not is_over.is_set():
            sizes.add(path.stat().st_size)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 50):
        real.show(("", "k"), b'"' + b"ab"[number % 2 : number % 2 + 1] * 100_000 + b'"')
        real.write(NOW + number * TEXT_PERIOD_MS)
    is_over.set()
    reader.join()
    assert sizes == {100_000}


@pytest.mark.parametrize(
    "text_dir", [".", "values", "values/text", "values/.dunena", "x/../values"]
)
def test_the_folder_must_be_apart_from_the_values(tmp_path: Path, text_dir: str) -> None:
    with pytest.raises(TextFolderError, match="must not contain one another"):
        check_apart(tmp_path / text_dir, tmp_path / "values")
    check_apart(tmp_path / text_dir, None)
    check_apart(tmp_path / "values-of-others", tmp_path / "values")


def test_a_folder_is_that_of_one_server(tmp_path: Path) -> None:
    _, lock = open_folder(tmp_path / "text", None)
    with pytest.raises(TextFolderError, match="another dunena writes text files into"):
        open_folder(tmp_path / "text", None)
    lock.release()
    _, lock = open_folder(tmp_path / "text", None)
    lock.release()


def test_a_folder_that_cannot_be_made_is_an_error_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TextFolderError, match="give another folder with --text-dir"):
        open_folder(tmp_path / "file" / "text", None)


# --- the thread ---


def entry(key: str, value: Any, ns: str = "") -> Entry:
    return Entry(ns, key, orjson.dumps(value), None, 1, NOW)


class Written:
    """A writer on a real disk, and what it has written."""

    def __init__(self, root: Path) -> None:
        opened, self._lock = open_folder(root, None)
        self.root = root
        self.folder = opened
        self.writer = TextWriter(opened, lambda: self.now)
        self.now = NOW

    def text(self, name: str) -> str | None:
        try:
            return (self.root / name).read_text("utf-8")
        except FileNotFoundError:
            return None

    def close(self) -> None:
        self.writer.close()
        self._lock.release()


def until(is_met: Callable[[], object]) -> None:
    wait = threading.Event()
    while not is_met():
        wait.wait(0.01)


ANY = Selector("", pattern="*")


def test_the_writer_writes_what_stands_and_what_changes(tmp_path: Path) -> None:
    written = Written(tmp_path / "text")
    present: dict[EntryId, bytes | None] = {("", "k"): b"1", ("show", "k"): b"2"}
    written.writer.start(present)
    until(lambda: written.text("k.txt") == "1")
    assert written.writer.failure is None
    written.now += 1000
    written.writer.take(ANY, UpdatePart([entry("k", 3), entry("new", "x")], 2, NOW))
    written.writer.take(ANY, UpdatePart([], 3, NOW))
    until(lambda: (written.text("k.txt"), written.text("new.txt")) == ("3", "x"))
    written.now += 1000
    written.writer.take(ANY, UpdatePart([Removal(4, "", "k", "delete")], 4, NOW))
    until(lambda: written.text("k.txt") == "")
    written.now += 1000
    written.writer.take(ANY, UpdatePart([entry("late", 1)], 5, NOW, is_reset=True))
    until(lambda: written.text("new.txt") == "")
    until(lambda: written.text("late.txt") == "1")
    assert written.text("show/k.txt") == "2", "it is of another namespace"
    written.close()


def test_a_stop_writes_what_waits(tmp_path: Path) -> None:
    written = Written(tmp_path / "text")
    written.writer.start({("", "k"): b"0"})
    until(lambda: written.text("k.txt") == "0")
    for number in range(1, 100):
        written.writer.take(ANY, UpdatePart([entry("k", number)], number, NOW))
    written.close()
    assert written.text("k.txt") == "99"


def test_a_bug_is_reported_and_does_not_end_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    written = Written(tmp_path / "text")

    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(folder_module, "render", fail)
    written.writer.start({})
    written.writer.take(ANY, UpdatePart([entry("k", 1)], 1, NOW))
    until(lambda: written.writer.failure == "text files cannot be written: a bug")
    monkeypatch.undo()
    until(lambda: written.text("k.txt") == "1" and written.writer.failure is None)
    assert written.writer.last_error == "text files cannot be written: a bug"
    assert written.writer.failures > 0
    written.close()
    assert caplog.text.count("text files could not be written") == 1


def test_a_disk_that_does_not_answer_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Written(tmp_path / "text")
    is_writing, answers = threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> None:
        is_writing.set()
        answers.wait()

    monkeypatch.setattr(written.folder, "write", hang)
    written.writer.start({})
    is_writing.wait()
    written.now += STUCK_MS - 1
    assert written.writer.failure is None
    written.now += 1
    assert written.writer.failure == "text files are not written: the disk does not answer"
    answers.set()
    until(lambda: written.writer.failure is None)
    written.close()


def test_a_thread_that_does_not_run_is_a_failure(tmp_path: Path) -> None:
    written = Written(tmp_path / "text")
    assert written.writer.failure == "no text files are written"
    written.writer.start({})
    assert written.writer.failure is None
    written.close()
