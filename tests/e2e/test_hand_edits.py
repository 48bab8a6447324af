"""Files edited by hand become changes that subscribers get."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.folders import (
    get_value,
    listing,
    read_json,
    set_value,
    until,
    write_files,
)
from tests.protocol.clients import http, open_dunena, open_objects
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess


@pytest.fixture
def edited(start_server: StartServer) -> ServerProcess:
    """A server whose folder is watched, from the moment it says it is there."""
    return start_server()


def test_creating_a_file_by_hand_sets_its_key(edited: ServerProcess, folder: Path):
    with open_objects(edited) as client, open_dunena(edited) as listener:
        client.follow("made")
        write_files(folder, {"made.json": '{ "by": "hand" }'})
        assert client.receive() == {"key": "made", "value": {"by": "hand"}}
        assert listener.event("made")["data"] == {"key": "made", "size": 13}
    assert http(edited, "GET", "/get/made").json["value"] == {"by": "hand"}


def test_changing_a_file_by_hand_sets_its_key(edited: ServerProcess, folder: Path):
    with open_objects(edited) as client:
        set_value(client, "k", 0)
        assert client.ask({"action": "subscribe", "key": "k"})["value"] == 0
        until((folder / "k.json").exists, "the file did not follow")
        for number in range(1, 4):
            write_files(folder, {"k.json": str(number)})
            assert client.receive() == {"key": "k", "value": number}
        # As an editor saves: written beside, then moved over it.
        write_files(folder, {"k.json.tmp": "[4]"})
        (folder / "k.json.tmp").replace(folder / "k.json")
        assert client.receive() == {"key": "k", "value": [4]}
    edited.restart()
    assert http(edited, "GET", "/get/k").json["value"] == [4]


def save_by_rename(path: Path, content: str) -> None:
    draft = path.with_name(path.name + ".tmp")
    draft.write_text(content, "utf-8")
    draft.replace(path)


def save_by_hidden_rename(path: Path, content: str) -> None:
    draft = path.with_name(f".{path.name}.swp")
    draft.write_text(content, "utf-8")
    draft.replace(path)


def save_with_backup(path: Path, content: str) -> None:
    path.replace(path.with_name(path.name + "~"))
    path.write_text(content, "utf-8")


def save_by_remove(path: Path, content: str) -> None:
    path.unlink()
    path.write_text(content, "utf-8")


def save_in_pieces(path: Path, content: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        for character in content:
            file.write(character)
            file.flush()


def save_from_elsewhere(path: Path, content: str) -> None:
    draft = path.parent.parent / "draft"
    draft.write_text(content, "utf-8")
    draft.replace(path)


@pytest.mark.parametrize(
    "save",
    [
        save_by_rename,
        save_by_hidden_rename,
        save_with_backup,
        save_by_remove,
        save_in_pieces,
        save_from_elsewhere,
    ],
)
def test_hand_edits_are_seen_for_every_way_editors_save(
    edited: ServerProcess, folder: Path, save: Callable[[Path, str], None]
):
    with open_objects(edited) as client:
        set_value(client, "k", 0)
        assert client.ask({"action": "subscribe", "key": "k"})["value"] == 0
        until((folder / "k.json").exists, "the file did not follow")
        for number in range(1, 4):
            save(folder / "k.json", f'{{"saved": {number}}}')
            update = client.receive()
            if update["value"] is None:  # it was seen in the moment without a file
                update = client.receive()
            assert update == {"key": "k", "value": {"saved": number}}
            assert client.heard() == []
        set_value(client, "k", "from a client")
        assert client.receive()["value"] == "from a client"
    edited.stop()
    assert read_json(folder / "k.json") == "from a client"
    assert edited.errors == []


LITTER = {
    ".k.json.swp": b"b0VIM",
    "4913": b"",
    "k.json~": b"{half",
    "#k.json#": b"{half",
    "k.json.tmp": b"{half",
    "k.json.crdownload": b"{half",
    "._k.json": b"\0\5\x16\7",
    ".~lock.k.json#": b"",
    ".sync/k.json": b"{half",
    ".git/config.json": b"{}",
    "desktop.ini": b"[.ShellClassInfo]",
    "Thumbs.db": b"\xd0\xcf",
    ".DS_Store": b"\0",
    "app/deeper/k.json": b"1",
}


def test_temporary_files_of_editors_are_ignored(edited: ServerProcess, folder: Path):
    with open_dunena(edited) as listener:
        write_files(folder, LITTER)
        for name in LITTER:
            (folder / name).unlink()
        write_files(folder, LITTER)
        write_files(folder, {"seen.json": "1"})
        assert listener.receive()["data"]["key"] == "seen"
        assert listener.heard() == []
    assert http(edited, "GET", "/health").json["status"] == "healthy"
    assert edited.errors == []


def test_a_folder_copied_in_sets_only_its_value_files(
    edited: ServerProcess, folder: Path, tmp_path: Path
):
    files = {f"{name}.json": f'"{name}"' for name in ("a", "b", "ключ", "with space")}
    write_files(tmp_path / "copied", {**files, "notes.txt": "no value", "sub/deep.json": "1"})
    with open_dunena(edited) as listener:
        shutil.copytree(tmp_path / "copied", folder / "copied")
        keys = {listener.receive()["data"]["key"] for _ in files}
        assert keys == {name.removesuffix(".json") for name in files}
        write_files(folder, {"seen.json": "1"})
        assert listener.receive()["data"]["key"] == "seen"
        shutil.rmtree(folder / "copied")
        gone = [listener.receive() for _ in files]
    assert {(event["event"], event["data"]["ns"]) for event in gone} == {("delete", "copied")}
    assert http(edited, "GET", "/keys?ns=copied").json["keys"] == []


def test_a_hand_edit_survives_a_kill(edited: ServerProcess, folder: Path):
    with open_objects(edited) as client:
        set_value(client, "k", "from a client")
        assert client.ask({"action": "subscribe", "key": "k"})["value"] == "from a client"
        until((folder / "k.json").exists, "the file did not follow")
        write_files(folder, {"k.json": '"by hand"'})
        assert client.receive()["value"] == "by hand"
        edited.kill()
    edited.start()
    assert http(edited, "GET", "/get/k").json["value"] == "by hand"
    assert read_json(folder / "k.json") == "by hand"


def test_a_hand_edit_while_the_server_was_stopped_overrides_the_journal(
    edited: ServerProcess, folder: Path
):
    with open_objects(edited) as client:
        for key in ("edited", "left"):
            set_value(client, key, "from a client")
        client.heard()
        until((folder / "left.json").exists, "the file did not follow")
        edited.kill()
    write_files(folder, {"edited.json": '"by hand"'})
    later = time.time() + 60
    os.utime(folder / "edited.json", (later, later))
    edited.start()
    assert http(edited, "GET", "/get/edited").json["value"] == "by hand"
    assert http(edited, "GET", "/get/left").json["value"] == "from a client"
    edited.stop()
    assert read_json(folder / "edited.json") == "by hand"


def test_removing_a_file_by_hand_deletes_its_key(edited: ServerProcess, folder: Path):
    with open_objects(edited) as client, open_dunena(edited) as listener:
        set_value(client, "k", 1)
        assert client.ask({"action": "subscribe", "key": "k"})["value"] == 1
        until((folder / "k.json").exists, "the file did not follow")
        (folder / "k.json").unlink()
        assert client.receive() == {"key": "k", "value": None}
        listener.event("k", "delete")
    edited.restart()
    assert http(edited, "GET", "/get/k").json["value"] is None


def test_renaming_a_file_by_hand_deletes_the_old_key_and_sets_the_new(
    edited: ServerProcess, folder: Path
):
    with open_objects(edited) as client:
        set_value(client, "old", 1)
        client.heard()
        until((folder / "old.json").exists, "the file did not follow")
        client.ask({"action": "subscribe", "key": "old"})
        client.follow("new")
        (folder / "old.json").rename(folder / "new.json")
        heard = [client.receive(), client.receive()]
    assert {"key": "old", "value": None} in heard
    assert {"key": "new", "value": 1} in heard


def test_creating_and_removing_a_folder_by_hand_sets_and_deletes_its_keys(
    edited: ServerProcess, folder: Path
):
    with open_objects(edited) as client:
        client.follow("k", ns="by hand")
        write_files(folder, {"by hand/k.json": "1"})
        assert client.receive() == {"key": "k", "value": 1, "ns": "by hand"}
        write_files(folder, {"by hand/k.json": "2"})
        assert client.receive() == {"key": "k", "value": 2, "ns": "by hand"}
        shutil.rmtree(folder / "by hand")
        assert client.receive() == {"key": "k", "value": None, "ns": "by hand"}


def test_moving_a_folder_in_by_hand_sets_its_keys(
    edited: ServerProcess, folder: Path, tmp_path: Path
):
    write_files(tmp_path / "ready", {f"k{number}.json": str(number) for number in range(20)})
    with open_objects(edited) as client:
        for number in range(20):
            client.follow(f"k{number}", ns="moved")
        (tmp_path / "ready").rename(folder / "moved")
        heard = {client.receive()["key"] for _ in range(20)}
    assert heard == {f"k{number}" for number in range(20)}


def test_an_incomplete_file_is_read_again_when_complete(edited: ServerProcess, folder: Path):
    with open_objects(edited) as client:
        set_value(client, "k", "before")
        assert client.ask({"action": "subscribe", "key": "k"})["value"] == "before"
        until((folder / "k.json").exists, "the file did not follow")
        with (folder / "k.json").open("w", encoding="utf-8") as file:
            file.write('{"half": ')
            file.flush()
            # Something else goes live in between: the watcher has looked.
            client.follow("other")
            write_files(folder, {"other.json": "1"})
            assert client.receive() == {"key": "other", "value": 1}
            assert get_value(client, "k") == "before"
            file.write("2}")
        assert client.receive() == {"key": "k", "value": {"half": 2}}


def test_a_file_that_stays_invalid_is_logged_and_changes_no_value(
    edited: ServerProcess, folder: Path
):
    with open_objects(edited) as client:
        set_value(client, "k", "before")
        client.heard()
        until((folder / "k.json").exists, "the file did not follow")
        client.ask({"action": "subscribe", "key": "k"})
        write_files(folder, {"k.json": "{broken"})
        until(lambda: "k.json" in edited.log, "no line in the log")
        assert client.heard() == []
        assert get_value(client, "k") == "before"
        assert (folder / "k.json").read_text("utf-8") == "{broken"
        write_files(folder, {"k.json": '"mended"'})
        assert client.receive() == {"key": "k", "value": "mended"}
    assert "Traceback" not in edited.log


def test_setting_a_key_replaces_its_broken_file(edited: ServerProcess, folder: Path):
    with open_objects(edited) as client:
        set_value(client, "k", "before")
        client.heard()
        until((folder / "k.json").exists, "the file did not follow")
        write_files(folder, {"k.json": "{broken"})
        until(lambda: "k.json" in edited.log, "no line in the log")
        set_value(client, "k", "after")
        client.heard()
    edited.restart()
    assert http(edited, "GET", "/get/k").json["value"] == "after"
    assert read_json(folder / "k.json") == "after"
    assert http(edited, "GET", "/health").json["status"] == "healthy"


def test_own_writes_are_not_taken_for_hand_edits(edited: ServerProcess, folder: Path):
    with open_objects(edited) as client:
        client.follow("k")
        client.follow("by hand")
        for number in range(300):
            set_value(client, "k", number)
        client.heard()
        # When this is seen, everything written before it was looked at.
        until(lambda: read_json(folder / "k.json") == 299, "the file did not follow")
        write_files(folder, {"by hand.json": "1"})
        assert client.receive() == {"key": "by hand", "value": 1}
        assert client.heard() == []


def test_a_hand_edit_removes_the_ttl_of_the_old_value(edited: ServerProcess, folder: Path):
    with open_objects(edited) as client:
        set_value(client, "k", "temporary", ttl=1500)
        client.ask({"action": "subscribe", "key": "k"})
        until((folder / "k.json").exists, "the file did not follow")
        write_files(folder, {"k.json": '"by hand"'})
        assert client.receive() == {"key": "k", "value": "by hand"}
        client.follow("later")
        set_value(client, "later", 1, ttl=1600)
        assert [client.receive()["value"] for _ in range(2)] == [1, None]
        assert get_value(client, "k") == "by hand"


def test_no_watch_ignores_hand_edits_until_the_next_start(start_server: StartServer, folder: Path):
    server = start_server("--no-watch")
    write_files(folder, {"made.json": "1"})
    with open_objects(server) as client:
        client.follow("made")
        # There is nothing to wait for: a watcher would have had this long.
        with open_dunena(server) as clock:
            clock.ask({"type": "set", "key": "clock", "value": "v", "ttl": 700})
            clock.event("clock", "expired")
        assert client.heard() == []
    server.restart()
    assert http(server, "GET", "/get/made").json["value"] == 1


def test_links_out_of_the_folder_are_not_followed(
    start_server: StartServer, folder: Path, tmp_path: Path
):
    outside = tmp_path / "outside"
    write_files(outside, {"secret.json": '"secret"'})
    folder.mkdir()
    try:
        (folder / "linked").symlink_to(outside, target_is_directory=True)
    except OSError:
        pytest.skip("no symbolic links here")
    server = start_server()
    with open_objects(server) as client:
        assert get_value(client, "secret", ns="linked") is None
        set_value(client, "new", 1, ns="linked")
        client.heard()
    http(server, "POST", "/flush")
    server.stop()
    assert listing(outside) == ["secret.json"], "no key leaves the folder"
