"""The folder of a server: file names, durability, damage and locking."""

import json
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.e2e.folders import (
    PRIVATE,
    get_value,
    journal,
    listing,
    read_json,
    set_value,
    until,
    value_files,
    write_files,
)
from tests.e2e.processes import FOLDS_CASE, IS_WINDOWS, assert_failed, program_in, run_program
from tests.protocol.clients import http, now_ms, open_dunena, open_objects
from tests.support.fixtures import StartServer
from tests.support.kept import Kept
from tests.support.server import ServerProcess

LATE_MS_MAX = 2000
"""How late a busy machine carries out what is due."""

# --- names ---

AWKWARD = [
    "a",
    "A",
    "%41",
    "%2541",
    "Foo",
    "foo",
    "FOO",
    "../x",
    "..",
    ".",
    "../../../../../../../../tmp/dunena-was-here",
    "/etc/passwd",
    "a/b",
    "a//b",
    "a/",
    "/",
    "//",
    "a\\b",
    "\\\\server\\share",
    "C:\\Windows",
    "C:",
    "CON",
    "con",
    "nul",
    "nul.txt",
    "NUL.tar.gz",
    "com1",
    "COM0",
    "lpt9.json",
    "aux ",
    "com¹",
    "prn.",
    "conout$",
    ".hidden",
    "..hidden",
    "~",
    "~root",
    "-rf",
    "--help",
    "a.json",
    "a.json.json",
    ".json",
    "a.JSON",
    "dot.",
    "dots...",
    "space ",
    " space",
    "spaces   ",
    "dot and space. ",
    "tab?",
    "a*b?c",
    'quoted "',
    "it's",
    "<a>|b",
    "a:b",
    "a:$DATA",
    "a;b",
    "a&b|c",
    "$(touch x)",
    "`touch x`",
    "%",
    "%%",
    "%zz",
    "%2F",
    "%2f",
    "%00",
    "%~0123456789abcdef0123456789abcdef",
    ".dunena",
    ".dunena/lock",
    ".DUNENA",
    "desktop.ini",
    "Thumbs.db",
    "\u00e9",
    "e\u0301",
    "\u0130",
    "\u0131",
    "ß",
    "SS",
    "ﬀ",
    "ключ",
    "キー",
    "🐢",
    "👩‍👩‍👧",
    "\u202egnp.exe",
    "\ufeff",
    "\u200b",
    "\u2028",
    "\U0010ffff",
    "\ue000",
    "x" * 250,
    "x" * 251,
    "x" * 255,
    "x" * 511,
    "x" * 512,
    "X" * 512,
    "x" * 511 + "y",
    "/" * 512,
    "%" * 512,
    "." * 512,
    " " * 512,
    "🐢" * 128,
    "🐢" * 126 + "ключ",
    "é" * 256,
]

PIECES = ["a", "A", ".", " ", "/", "%", "é", "🐢", "con", "~", "\\", ":", "json", "-", "%2E", "_"]


def generated(count: int) -> Iterator[str]:
    """Names of mixed pieces, the same ones every time."""
    for number in range(count):
        rest, pieces = number * 7919 + 1, []
        for _ in range(1 + number % 6):
            rest, index = divmod(rest * 31 + 17, len(PIECES))
            pieces.append(PIECES[index])
        yield "".join(pieces) + ("" if number % 2 else str(number))


NAMES = list(dict.fromkeys([*AWKWARD, *generated(1500)]))[:1000]


@pytest.mark.parametrize("ns", [None, "App"])
def test_a_thousand_unusual_keys_are_stored_and_restored(
    start_server: StartServer, folder: Path, tmp_path: Path, ns: str | None
):
    assert len(NAMES) == 1000
    where = {} if ns is None else {"ns": ns}
    server = start_server("--fsync", "no")
    with open_objects(server) as client:
        for name in NAMES:
            set_value(client, name, {"name": name}, **where)
        assert client.heard() == []
    # A stop takes 1.5 s at most, which is too little for all of them on a busy machine.
    until(lambda: len(value_files(folder)) == len(NAMES), "not a file each")
    assert server.stop() == 0

    assert listing(tmp_path) == ["values"], "nothing outside the folder"
    files = value_files(folder)
    assert len(files) == len(NAMES), "a file each"
    assert {path.parent for path in files} == {folder if ns is None else folder / ns_folder(ns)}
    assert {path.suffix for path in files} == {".json"}
    assert sorted(json.loads(path.read_bytes())["name"] for path in files) == sorted(NAMES)
    folded = {path.name.rstrip(". ").lower() for path in files}
    assert not FOLDS_CASE or len(folded) == len(files)
    for path in files:
        assert len(path.name.encode()) <= 255
        assert path.name.isascii()
        assert path.name.isprintable()
        assert not path.name.startswith(".")
        assert not set(path.name) & set('<>:"/\\|?*')
        stem = path.name.split(".")[0].rstrip(" ").lower()
        assert stem not in ("con", "prn", "aux", "nul")
        assert stem[:3] not in ("com", "lpt") or not stem[3:].isdigit() or len(stem) != 4

    server.start()
    with open_objects(server) as client:
        for name in NAMES:
            assert get_value(client, name, **where) == {"name": name}
        # And each can be taken away again, alone.
        for name in NAMES[::2]:
            client.send({"action": "delete", "key": name, **where})
        left = [name for name in NAMES if get_value(client, name, **where) is not None]
        assert left == NAMES[1::2]
    server.stop()
    assert len(value_files(folder)) == len(left)


def ns_folder(ns: str) -> str:
    return ns if not FOLDS_CASE else "".join(f"%{ord(c):02X}" if c.isupper() else c for c in ns)


@pytest.mark.parametrize(
    "name", ["player-position", "a b", "Üx", "x.y", "100%", "a/b", ".x", "con"]
)
def test_the_file_name_of_a_key_is_escaped(start_server: StartServer, folder: Path, name: str):
    wanted = {
        "Üx": "%C3%9Cx",
        "100%": "100%25",
        "a/b": "a%2Fb",
        ".x": "%2Ex",
        "con": "%63on",
    }.get(name, name)
    server = start_server()
    http(server, "POST", "/set", {"key": name, "value": 1})
    server.stop()
    assert [path.name for path in value_files(folder)] == [f"{wanted}.json"]


def test_unusual_namespaces_are_stored_as_folders(
    start_server: StartServer, folder: Path, tmp_path: Path
):
    names = AWKWARD
    server = start_server("--fsync", "no")
    with open_objects(server) as client:
        for name in names:
            set_value(client, "k", name, ns=name)
        client.heard()
    server.restart()
    assert listing(tmp_path) == ["values"]
    files = value_files(folder)
    assert len(files) == len({path.parent for path in files}) == len(names)
    assert {path.parent.parent for path in files} == {folder}
    with open_objects(server) as client:
        for name in names:
            assert get_value(client, "k", ns=name) == name
        assert get_value(client, "k") is None


def test_a_namespace_is_stored_as_a_folder(start_server: StartServer, folder: Path):
    server = start_server()
    with open_dunena(server) as client:
        client.ask({"type": "set", "key": "session-42", "value": "v", "ns": "app"})
        client.ask({"type": "set", "key": "player-position", "value": "v"})
        server.stop()
    found = [path.relative_to(folder).as_posix() for path in value_files(folder)]
    assert found == ["app/session-42.json", "player-position.json"]


def test_a_namespace_named_like_a_value_file_does_not_collide(start_server: StartServer):
    server = start_server()
    with open_objects(server) as client:
        set_value(client, "a", "file")
        set_value(client, "k", "folder", ns="a.json")
        client.heard()
        server.restart()
    with open_objects(server) as client:
        assert get_value(client, "a") == "file"
        assert get_value(client, "k", ns="a.json") == "folder"


def test_an_obstructed_value_file_does_not_prevent_writes(start_server: StartServer, folder: Path):
    write_files(folder, {"blocked": "a file where a namespace wants its folder"})
    (folder / "k.json").mkdir()
    server = start_server()
    with open_objects(server) as client:
        set_value(client, "x", 1, ns="blocked")
        set_value(client, "k", 2)
        for number in range(50):
            set_value(client, f"free {number}", number)
        assert client.heard() == []
        until(
            lambda: all((folder / f"free {number}.json").exists() for number in range(50)),
            "the others do not follow",
        )
        health = http(server, "GET", "/health")
        assert health.status == 200
        assert health.json["status"] == "degraded"
        assert health.json["checks"]["files"]["behind"] == 2
        assert health.json["checks"]["files"]["reason"]
        assert http(server, "GET", "/health/ready").status == 200
    server.kill()
    server.start()  # the journal has them
    with open_objects(server) as client:
        assert get_value(client, "x", ns="blocked") == 1
        assert get_value(client, "k") == 2
    (folder / "k.json").rmdir()
    (folder / "blocked").rename(folder / "moved out of the way")
    until(lambda: read_json(folder / "blocked" / "x.json") == 1, "it did not catch up")
    until(lambda: read_json(folder / "k.json") == 2, "it did not catch up")
    until(lambda: http(server, "GET", "/health").json["status"] == "healthy", "it is not healthy")
    server.stop()
    assert len(server.errors) < 10, server.log
    assert journal(folder) == []


@pytest.mark.skipif(FOLDS_CASE, reason="the two names are one there")
def test_the_regular_file_of_two_for_one_key_is_loaded(start_server: StartServer, folder: Path):
    write_files(folder, {"A.json": "1", "%41.json": "2"})
    server = start_server()
    assert http(server, "GET", "/get/A").json["value"] == 1, "the name we write goes first"
    assert "%41.json" in http(server, "GET", "/health").body.decode()
    assert "%41.json" in server.log
    http(server, "POST", "/set", {"key": "A", "value": 3})
    server.restart()
    assert http(server, "GET", "/get/A").json["value"] == 3
    assert json.loads((folder / "%41.json").read_bytes()) == 2


def test_files_named_by_unescaped_keys_are_taken_over(start_server: StartServer, folder: Path):
    write_files(folder, {"a%20b.json": "1", "a%0Ab.json": "2", "100%.json": "3", "50%25.json": "4"})
    server = start_server()
    assert "another program's files (1) have %XX" in server.log
    assert "50%25.json is the key 50%" in server.log
    for _ in range(2):
        with open_objects(server) as client:
            for key, value in {"a%20b": 1, "a%0Ab": 2, "100%": 3, "50%": 4}.items():
                assert get_value(client, key) == value
        assert http(server, "GET", "/health").json["status"] == "healthy"
        server.restart()


# --- content ---


def test_a_value_file_holds_only_the_value_indented_by_two_spaces(
    start_server: StartServer, folder: Path
):
    server = start_server()
    value = '{"b":[1,2.50,{"c":null}],"a":"żółw","n":18446744073709551615,"e":{},"l":[]}'
    http(server, "POST", "/set", f'{{"key":"k","value":{value}}}')
    http(server, "POST", "/cache/text", {"value": '{"not":"parsed"}'})
    server.stop()
    wanted = """{
  "b": [
    1,
    2.5,
    {
      "c": null
    }
  ],
  "a": "żółw",
  "n": 18446744073709551615,
  "e": {},
  "l": []
}"""
    assert (folder / "k.json").read_bytes().decode() == wanted
    assert json.loads((folder / "text.json").read_bytes()) == '{"not":"parsed"}'


@pytest.mark.parametrize("fsync", ["no", "everysec", "always"])
def test_value_files_are_written_at_once(start_server: StartServer, folder: Path, fsync: str):
    server = start_server("--fsync", fsync)
    with open_dunena(server) as client:
        waits = []
        for number in range(20):
            client.ask({"type": "set", "key": f"k{number}", "value": str(number)})
            began = time.monotonic()
            until(
                lambda number=number: read_json(folder / f"k{number}.json") == str(number),
                "the file did not follow",
                pause=0.001,
            )
            waits.append(time.monotonic() - began)
        assert waits[0] < 0.25, "ten ms, the device's time, and some for a busy machine"
        assert max(waits) < 1.25, "no file shows what a power cut could take back"
        if fsync == "no":
            assert sorted(waits)[10] < 0.01, "the usual file is there in ten ms"
        client.ask({"type": "del", "key": "k0"})
        until(lambda: not (folder / "k0.json").exists(), "the file did not go")


def test_the_file_of_a_frequently_changed_key_is_written_at_intervals(
    start_server: StartServer, folder: Path
):
    server = start_server()
    path, contents = folder / "k.json", set()
    began = time.monotonic()
    with open_dunena(server) as client:
        for number in range(240):
            client.ask({"type": "set", "key": "k", "value": str(number)})
            due = time.monotonic() + 1 / 60
            while time.monotonic() < due:
                with suppress(FileNotFoundError):
                    status = path.stat()
                    contents.add((status.st_ino, status.st_mtime_ns))
                time.sleep(0.002)
        ended = time.monotonic()
        until(lambda: read_json(path) == "239", "the last value is missing")
        assert time.monotonic() - ended < 1.2, "a second, and some for a busy machine"
    # Four-odd in four seconds; a busy machine takes longer for the same number of sets.
    assert 3 <= len(contents) <= 6 + (ended - began)


def test_a_stop_leaves_an_empty_journal(start_server: StartServer, folder: Path):
    server = start_server("--fsync", "no")
    took_writes = False
    with open_objects(server) as client:
        for number in range(500):
            set_value(client, f"k{number % 7}", number)
            client.heard()
            took_writes = took_writes or bool(journal(folder))
        client.send({"action": "delete", "key": "k6"})
        client.heard()
    assert took_writes
    server.stop()
    assert journal(folder) == []
    assert [path.name for path in value_files(folder)] == [f"k{number}.json" for number in range(6)]


def test_a_reader_of_a_file_never_sees_half_a_value(start_server: StartServer, folder: Path):
    server = start_server("--fsync", "no")
    with open_objects(server) as client:
        set_value(client, "k", ["x" * 100_000, 0])
        client.heard()
        until(lambda: (folder / "k.json").exists(), "the file did not follow")
        for number in range(200):
            set_value(client, "k", [chr(97 + number % 26) * 100_000, number])
            text, _ = json.loads((folder / "k.json").read_bytes())
            assert len(set(text)) == 1


def test_a_stop_leaves_all_values_in_files(start_server: StartServer, folder: Path, tmp_path: Path):
    server = start_server()
    with open_objects(server) as client:
        for number in range(300):
            set_value(client, f"k{number % 50}", number)
        client.heard()
    server.stop()
    values = {path.stem: read_json(path) for path in value_files(folder)}
    assert values == {f"k{number % 50}": number for number in range(250, 300)}
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in value_files(folder):
        shutil.copy(path, copy)
    other = start_server(folder=copy)
    with open_objects(other) as client:
        assert {key: get_value(client, key) for key in values} == values


# --- a folder of the original ---


def test_a_folder_of_the_original_server_is_loaded_unchanged(
    start_server: StartServer, folder: Path
):
    files = {
        "player-position.json": '{\n  "x": 100,\n  "y": 200\n}',
        "some-key.json": '{\n  "foo": "bar"\n}',
        "Score Board.json": "[\n  1,\n  2\n]",
        "text.json": '"just text"',
        "number.json": "1e21",
        "big.json": "100000000000000000000",
        "null.json": "null",
        "100%.json": "true",
        "user@example.com.json": "0",
        "clock.12:30.json": "1230",
        "ключ.json": '"unicode"',
        "🐢.json": '"turtle"',
        "a.b.json": "1.5",
        "team[1].json": "{}",
    }
    if IS_WINDOWS:
        del files["clock.12:30.json"]
    write_files(folder, files)
    server = start_server()
    with open_objects(server) as client:
        for name, content in files.items():
            assert get_value(client, name.removesuffix(".json")) == json.loads(content), name
        assert http(server, "GET", "/info").json["entries"] == len(files)
    server.stop()
    assert {path.name for path in value_files(folder)} == set(files), "reading changes nothing"
    assert server.errors == []


def test_setting_a_key_of_the_original_server_leaves_one_file_for_it(
    start_server: StartServer, folder: Path
):
    write_files(folder, {"ключ.json": "1", "100%.json": "1", "plain.json": "1"})
    server = start_server()
    with open_objects(server) as client:
        for key in ("ключ", "100%", "plain"):
            set_value(client, key, 2)
        client.heard()
    server.restart()
    assert [read_json(path) for path in value_files(folder)] == [2, 2, 2]
    with open_objects(server) as client:
        for key in ("ключ", "100%", "plain"):
            assert get_value(client, key) == 2
            client.send({"action": "delete", "key": key})
        client.heard()
    server.stop()
    assert value_files(folder) == []


def test_files_that_are_no_values_are_left_alone(start_server: StartServer, folder: Path):
    files = {
        "README.md": "about this folder",
        "notes.txt": "{}",
        ".DS_Store": b"\0\1",
        ".hidden.json": "1",
        "k.json.bak": "1",
        "k.json~": "1",
        "sub/deeper/k.json": "1",
        "empty-folder/keep.txt": "",
    }
    write_files(folder, files)
    server = start_server()
    assert http(server, "GET", "/info").json["entries"] == 0
    assert http(server, "GET", "/health").json["status"] == "healthy"
    http(server, "POST", "/flush")
    server.stop()
    left = {path.relative_to(folder).as_posix() for path in value_files(folder)}
    assert left == set(files)


# --- surviving ---


@pytest.mark.parametrize("fsync", ["no", "everysec", "always"])
def test_acknowledged_writes_survive_a_kill(start_server: StartServer, fsync: str):
    server = start_server("--fsync", fsync)
    with open_dunena(server) as client:
        for number in range(100):
            client.ask({"type": "set", "key": f"k{number}", "value": str(number)})
        client.ask({"type": "set", "key": "k0", "value": "replaced"})
        client.ask({"type": "del", "key": "k1"})
        client.ask({"type": "set", "key": "in", "value": "ns", "ns": "app"})
        client.ask({"type": "set", "key": "temporary", "value": "v", "ttl": 3_600_000})
        server.kill()
    server.start()
    with open_dunena(server) as client:
        keys = [f"k{number}" for number in range(100)]
        values = client.ask({"type": "mget", "keys": keys})["data"]["result"]
        wanted = {f"k{number}": str(number) for number in range(2, 100)}
        assert values == {"k0": "replaced", "k1": None, **wanted}
        assert client.ask({"type": "get", "key": "in", "ns": "app"})["data"]["value"] == "ns"
        assert client.ask({"type": "get", "key": "temporary"})["data"]["value"] == "v"
    server.stop()
    assert "Traceback" not in server.log


def test_a_kill_during_writes_loses_no_acknowledged_write(start_server: StartServer):
    server = start_server()
    for round_number in range(3):
        acknowledged = -1
        with open_dunena(server) as client:
            client.send({"type": "unsubscribe", "channel": "cache-events"})
            for number in range(3000):
                client.send({"type": "set", "key": f"k{number % 40}", "value": f"{number:01000}"})
            while acknowledged < 200 * (round_number + 1):
                assert client.receive()["data"]["ok"] is True
                acknowledged += 1
            server.kill()
        server.start()
        with open_objects(server) as client:
            for key in range(40):
                value = int(get_value(client, f"k{key}"))
                assert value % 40 == key
                latest = acknowledged - (acknowledged - key) % 40
                assert value >= latest, "it was acknowledged and is gone"


def test_a_flush_survives_a_kill(start_server: StartServer, folder: Path):
    server = start_server()
    with open_objects(server) as client:
        for number in range(20):
            set_value(client, f"k{number}", 1, **({"ns": "app"} if number % 2 else {}))
        client.heard()
    http(server, "POST", "/flush")
    server.kill()
    server.start()
    assert http(server, "GET", "/info").json["entries"] == 0
    server.stop()
    assert value_files(folder) == []


def test_the_revision_never_goes_back(start_server: StartServer):
    server = start_server()
    revisions = []
    for ending in (server.stop, server.kill, server.stop):
        with open_dunena(server) as client:
            client.ask({"type": "set", "key": "k", "value": "v"})
        revisions.append(http(server, "GET", "/info").json["revision"])
        ending()
        server.start()
        revisions.append(http(server, "GET", "/info").json["revision"])
    assert revisions == sorted(set(revisions)), "a start counts as a change"


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_a_conditional_write_does_not_overwrite_a_file_that_was_edited_between_two_runs(
    start_server: StartServer, folder: Path, ending: str
):
    server = start_server()
    http(server, "POST", "/set", {"key": "k", "value": 1})
    server.stop()
    server.start()
    epoch = http(server, "GET", "/info").json["epoch"]
    # It has the revision of this start, and nothing is changed until the next one.
    revision = http(server, "GET", "/entries/k").json["entry"]["revision"]
    getattr(server, ending)()
    (folder / "k.json").write_text('"edited"')
    server.start()
    reply = http(server, "POST", "/set", {"key": "k", "value": 2, "ifRev": revision})
    assert (reply.status, http(server, "GET", "/get/k").json["value"]) == (409, "edited")
    assert http(server, "GET", "/info").json["epoch"] != epoch


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_no_file_is_behind_after_a_start_that_changed_nothing(
    start_server: StartServer, ending: str
):
    server = start_server()
    http(server, "POST", "/set", {"key": "k", "value": 1})
    getattr(server, ending)()
    server.start()
    until(lambda: not http(server, "GET", "/stats").json["storage"]["filesBehind"], "still behind")
    assert http(server, "GET", "/health").json["status"] == "healthy"


# --- expiry ---


def test_a_ttl_survives_restarts(start_server: StartServer):
    server = start_server()
    with open_dunena(server) as client:
        ttl = 8000  # two starts on a busy machine take some of it
        written_at = client.ask({"type": "set", "key": "k", "value": "v", "ttl": ttl})["timestamp"]
        client.ask({"type": "set", "key": "stays", "value": "v"})
    deadline = written_at + ttl
    server.restart()
    server.kill()
    server.start()
    with open_dunena(server) as client:
        assert client.ask({"type": "get", "key": "k"})["data"]["value"] == "v"
        assert http(server, "GET", "/entries/k").json["entry"]["expiresAt"] == deadline
        event = client.event("k", "expired")
        assert 0 <= event["timestamp"] - deadline <= LATE_MS_MAX
        assert client.ask({"type": "get", "key": "stays"})["data"]["value"] == "v"


def test_a_key_that_expired_while_the_server_was_stopped_is_removed(
    start_server: StartServer, folder: Path
):
    server = start_server()
    with open_dunena(server) as client:
        for ns in (None, "app"):
            where = {"ns": ns} if ns else {}
            reply = client.ask({"type": "set", "key": "k", "value": "v", "ttl": 300, **where})
        server.stop()
    until(lambda: now_ms() > reply["timestamp"] + 300, "time stands still")
    server.start()
    assert http(server, "GET", "/get/k").json["value"] is None
    assert http(server, "GET", "/get/k?ns=app").json["value"] is None
    assert http(server, "GET", "/keys").json["keys"] == []
    until(lambda: http(server, "GET", "/info").json["entries"] == 0, "they are still counted")
    until(lambda: value_files(folder) == [], "their files are still there")


def test_a_key_set_again_without_a_ttl_has_none_after_a_restart(start_server: StartServer):
    server = start_server()
    with open_dunena(server) as client:
        client.ask({"type": "set", "key": "k", "value": "v", "ttl": 400})
        client.ask({"type": "set", "key": "k", "value": "v"})
        reply = client.ask({"type": "set", "key": "witness", "value": "v", "ttl": 400})
    server.kill()
    until(lambda: now_ms() > reply["timestamp"] + 400, "time stands still")
    server.start()
    assert http(server, "GET", "/get/k").json["value"] == "v"
    assert http(server, "GET", "/get/witness").json["value"] is None


@pytest.mark.parametrize("is_in_file", [True, False])
def test_what_is_to_be_merged_into_a_value_survives_kills(
    start_server: StartServer, folder: Path, *, is_in_file: bool
):
    kept = Kept(folder)
    began_at = now_ms()
    soon = began_at + 8000  # two starts on a busy machine take some of it
    kept.set("past", {"name": "Ada", "on": True}, expires_at=began_at - 1, then={"on": False})
    kept.set("soon", {"name": "Ada", "on": True}, expires_at=soon, then={"on": False})
    kept.commit() if is_in_file else kept.append()
    kept.storage.journal.close()
    server = start_server()
    hidden = {"name": "Ada", "on": False}
    assert http(server, "GET", "/get/past").json["value"] == hidden
    assert http(server, "GET", "/entries/past").json["entry"]["expiresAt"] is None
    server.kill()
    server.start()
    with open_dunena(server) as client:
        assert http(server, "GET", "/get/past").json["value"] == hidden
        assert http(server, "GET", "/get/soon").json["value"] == {"name": "Ada", "on": True}
        assert http(server, "GET", "/entries/soon").json["entry"]["expiresAt"] == soon
        event = client.event("soon", "set")
        assert 0 <= event["timestamp"] - soon <= LATE_MS_MAX
    server.kill()
    server.start()
    assert http(server, "GET", "/get/soon").json["value"] == hidden
    server.stop()
    assert read_json(folder / "soon.json") == read_json(folder / "past.json") == hidden
    assert listing(folder / PRIVATE / "expiry") == []


# --- damage ---

BROKEN = {
    "half.json": '{"x": 10',
    "empty.json": "",
    "binary.json": b"\0\xff\xfe",
    "twice.json": '{"a": 1, "a": 2}',
    "nan.json": "NaN",
    "app/inside.json": "nonsense",
}


def test_damaged_files_are_logged_and_reported_by_health(start_server: StartServer, folder: Path):
    write_files(folder, {**BROKEN, "good.json": "1"})
    server = start_server()
    assert http(server, "GET", "/get/good").json["value"] == 1
    assert http(server, "GET", "/get/half").json["value"] is None
    health = http(server, "GET", "/health")
    assert health.status == 200
    assert health.json["status"] != "healthy"
    for name in BROKEN:
        base = name.rpartition("/")[2]
        assert base in health.body.decode()
        assert any(base in line for line in server.errors), f"{name} is not in the log"
        content = BROKEN[name]
        raw = content if isinstance(content, bytes) else content.encode()
        assert (folder / name).read_bytes() == raw, "it is left as it is"
    server.restart()
    assert len(value_files(folder)) == len(BROKEN) + 1


def test_a_damaged_file_is_quarantined_when_its_key_is_set(start_server: StartServer, folder: Path):
    write_files(folder, BROKEN)
    server = start_server()
    with open_objects(server) as client:
        set_value(client, "half", 1)
        set_value(client, "inside", 2, ns="app")
        client.heard()
    server.stop()
    assert read_json(folder / "half.json") == 1
    assert read_json(folder / "app" / "inside.json") == 2
    aside = [path for path in (folder / PRIVATE / "quarantine").rglob("*") if path.is_file()]
    assert sorted(path.read_text("utf-8") for path in aside) == sorted(['{"x": 10', "nonsense"])
    server.start()
    health = http(server, "GET", "/health").body.decode()
    assert "half.json" not in health
    assert "inside.json" not in health
    assert "empty.json" in health


def test_health_recovers_when_a_damaged_file_is_repaired(start_server: StartServer, folder: Path):
    write_files(folder, {"half.json": '{"x": 10'})
    server = start_server()
    with open_objects(server) as client:
        client.follow("half")
        write_files(folder, {"half.json": '{"x": 10}'})
        assert client.receive() == {"key": "half", "value": {"x": 10}}
    assert http(server, "GET", "/health").json["status"] == "healthy"


def test_a_flush_keeps_damaged_files(start_server: StartServer, folder: Path):
    write_files(folder, {"half.json": '{"x": 10', "good.json": "1"})
    server = start_server()
    http(server, "POST", "/flush")
    server.stop()
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert b'{"x": 10' in contents
    assert not (folder / "good.json").exists()


# --- one server per folder ---


def test_a_second_server_on_the_same_folder_is_refused(start_server: StartServer, folder: Path):
    server = start_server()
    http(server, "POST", "/set", {"key": "k", "value": 1})
    done = run_program("serve", "--port", "0", "--cache-dir", str(folder))
    assert_failed(done, says=(str(folder), "another dunena"))
    assert http(server, "GET", "/get/k").json["value"] == 1
    server.kill()
    server.start()  # a lock dies with its process


def test_a_second_server_is_refused_through_a_link_to_the_folder(
    start_server: StartServer, folder: Path, tmp_path: Path
):
    start_server()
    link = tmp_path / "link"
    try:
        link.symlink_to(folder, target_is_directory=True)
    except OSError:
        pytest.skip("no symbolic links here")
    done = run_program("serve", "--port", "0", "--cache-dir", str(link))
    assert_failed(done, says=("another dunena",))


# --- nothing on disk ---


def test_no_persist_writes_no_file(tmp_path: Path):
    current = tmp_path / "current"
    current.mkdir()
    with ServerProcess(None, "--no-persist", command=program_in(current)) as server:
        http(server, "POST", "/set", {"key": "k", "value": 1})
        assert http(server, "GET", "/get/k").json["value"] == 1
        assert any("memory" in line for line in server.output)
        server.restart()
        assert http(server, "GET", "/get/k").json["value"] is None
    assert listing(current) == []


def test_no_persist_does_not_touch_the_given_folder(start_server: StartServer, folder: Path):
    write_files(folder, {"k.json": "1"})
    server = start_server("--no-persist")
    http(server, "POST", "/set", {"key": "k", "value": 2})
    http(server, "POST", "/flush")
    server.stop()
    assert {path.name: path.read_text("utf-8") for path in folder.iterdir()} == {"k.json": "1"}


# --- out of descriptors ---


@pytest.mark.skipif(IS_WINDOWS, reason="no limit on open files to lower")
def test_a_server_survives_running_out_of_file_descriptors(tmp_path: Path):
    command = ("sh", "-c", 'ulimit -n 40; exec "$0" "$@"', *program_in(tmp_path))
    with ServerProcess(tmp_path / "values", command=command) as server:
        with ExitStack() as held:
            for _ in range(60):
                held.enter_context(socket.create_connection(("127.0.0.1", server.port), 5))
            until(lambda: "(ulimit -n)" in server.log, "nobody was told")
        until(lambda: is_alive(server), "it did not recover")
        health = http(server, "GET", "/health").json
        assert health["status"] == health["checks"]["connections"]["status"] == "degraded"
        assert health["checks"]["connections"]["reason"]
        http(server, "POST", "/set", {"key": "k", "value": 1})
        assert http(server, "GET", "/get/k").json["value"] == 1


def is_alive(server: ServerProcess) -> bool:
    try:
        return http(server, "GET", "/health/live").status == 200
    except OSError:
        return False
