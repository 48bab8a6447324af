"""`dunena backup` and `dunena restore`: of a server and of a folder, and what interrupts them."""

import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer import Exit

from dunena.backup.reading import BackupReader
from tests.e2e.folders import read_json, until, write_files
from tests.e2e.processes import PROGRAM, ROOT, assert_failed, run_copy, run_program
from tests.e2e.terminal import Terminal
from tests.protocol.clients import http
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

CAN_STOP = pytest.mark.skipif(sys.platform == "win32", reason="no process can be stopped there")


POSIX = pytest.mark.skipif(sys.platform == "win32", reason="its shell is another")


def by_shell(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script of sh in which "$@" is the program."""
    return subprocess.run(
        ["sh", "-c", script, "sh", *PROGRAM],
        capture_output=True, encoding="utf-8", errors="replace", cwd=ROOT, timeout=30, check=False,
    )  # fmt: skip


def put(server: ServerProcess, key: str, value: object, query: str = "") -> None:
    headers = {"Content-Type": "application/json"}
    reply = http(server, "PUT", f"/kv/{key}{query}", json.dumps(value), headers)
    assert reply.status in (201, 204)


def run(server: ServerProcess | None, *arguments: str, code: int = 0) -> Any:
    environment = {} if server is None else {"DUNENA_URL": server.url}
    done = run_copy(*arguments, environment=environment)
    assert done.returncode == code, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def refused(server: ServerProcess | None, *arguments: str, says: str) -> None:
    environment = {} if server is None else {"DUNENA_URL": server.url}
    assert_failed(run_copy(*arguments, environment=environment), says=(says,))


def fill(server: ServerProcess) -> None:
    put(server, "score", {"home": 1, "big": 9007199254740993})
    put(server, "Score", [1.5, None, "é"])
    put(server, "con", "device", "?ns=Show")
    put(server, "timed", {"a": 1}, "?ttl=3600000&then=%7B%22a%22%3A2%7D")


def everything(server: ServerProcess) -> list[Any]:
    listed = [http(server, "GET", f"/kv{query}").body for query in ("", "?ns=Show")]
    timed = http(server, "GET", "/entries/timed").json["entry"]
    return [*listed, round(timed["expiresAt"] / 10_000), timed["then"]]


def test_a_backup_restores_into_an_empty_server_what_was_in_the_other(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server()
    fill(server)
    file = tmp_path / "backup.zip"
    made = run(server, "backup", str(file))
    assert (made["file"], made["keys"], made["pages"]) == (str(file), 4, 0)
    assert made["bytes"] == file.stat().st_size
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["backup.zip"]
    other = start_server(folder=tmp_path / "other")
    report = run(other, "restore", str(file))
    assert (report["new"], report["same"], report["dryRun"]) == (4, 0, False)
    assert everything(other) == everything(server)
    assert run(other, "restore", str(file))["same"] == 4, "nothing is changed by a second time"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["backup.zip"]


def test_a_folder_is_backed_up_and_restored_while_no_server_uses_it(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server()
    fill(server)
    expected = everything(server)
    file, folder = tmp_path / "backup.zip", tmp_path / "values"
    refused(
        None,
        "backup",
        str(file),
        "--cache-dir",
        str(folder),
        says=f"--url http://localhost:{server.port}",
    )
    assert not file.exists()
    server.stop()
    assert run(None, "backup", str(file), "--cache-dir", str(folder))["keys"] == 4
    new = tmp_path / "new"
    plan = run(None, "restore", str(file), "--cache-dir", str(new), "--dry-run")
    assert (plan["new"], plan["dryRun"]) == (4, True)
    assert not new.exists()
    assert run(None, "restore", str(file), "--cache-dir", str(new))["new"] == 4
    assert run(None, "check", str(new), "--json")["inOrder"]
    assert everything(start_server(folder=new)) == expected


def test_the_pages_that_a_folders_server_shows_are_in_its_backup(tmp_path: Path) -> None:
    write_files(tmp_path / "values", {"a.json": "1"})
    write_files(tmp_path / "pages", {"board/panel.html": "<h1>", ".hidden": "x"})
    file, folder = tmp_path / "backup.zip", str(tmp_path / "values")
    www = ("--www", str(tmp_path / "pages"))
    assert run(None, "backup", str(file), "--cache-dir", folder, *www)["pages"] == 1
    without = ("--without-pages", "--force")
    assert run(None, "backup", str(file), "--cache-dir", folder, *www, *without)["pages"] == 0
    run(None, "backup", str(file), "--cache-dir", folder, *www, "--force")
    (tmp_path / "target" / "board").mkdir(parents=True)
    changed = tmp_path / "target" / "board" / "panel.html"
    changed.write_text("mine", encoding="utf-8")
    to = ("--cache-dir", str(tmp_path / "new"), "--www", str(tmp_path / "target"))
    assert run(None, "restore", str(file), *to)["pages"] == 1
    assert changed.read_text(encoding="utf-8") == "<h1>"
    aside = changed.with_name("panel.html.before-restore")
    assert aside.read_text(encoding="utf-8") == "mine"
    assert run(None, "restore", str(file), *to)["pages"] == 0, "they are there already"


@pytest.fixture
def with_a_page(tmp_path: Path) -> Path:
    """A backup with one page, panel.html."""
    write_files(tmp_path, {"pages/panel.html": "of the backup", "values/a.json": "1"})
    file, www = tmp_path / "backup.zip", ("--www", str(tmp_path / "pages"))
    run(None, "backup", str(file), "--cache-dir", str(tmp_path / "values"), *www)
    return file


def restore_page(backup: Path, target: Path) -> None:
    """Restore its page into a folder that has another, and its values into one of their own."""
    to = ("--cache-dir", str(target.with_name("new")), "--www", str(target))
    assert run(None, "restore", str(backup), *to)["pages"] == 1


def test_each_restore_keeps_the_page_that_it_replaces(with_a_page: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    for text in ("first", "second", "third"):
        write_files(target, {"panel.html": text})
        restore_page(with_a_page, target)
    kept = {path.name: path.read_text(encoding="utf-8") for path in target.iterdir()}
    assert kept == {
        "panel.html": "of the backup",
        "panel.html.before-restore": "first",
        "panel.html.before-restore-2": "second",
        "panel.html.before-restore-3": "third",
    }


def test_a_restore_writes_no_other_file_than_the_page(with_a_page: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    mine = {"panel.html.restoring": "mine", "other": "mine"}
    write_files(target, mine)
    restore_page(with_a_page, target)
    there = {path.name: path.read_text(encoding="utf-8") for path in target.iterdir()}
    assert there == mine | {"panel.html": "of the backup"}


@POSIX
def test_a_restore_writes_through_no_link(tmp_path: Path) -> None:
    from dunena.backup.pages import write_page

    victim, target = tmp_path / "victim", tmp_path / "target"
    victim.write_text("mine", encoding="utf-8")
    target.mkdir()
    (target / "panel.html.restoring").symlink_to(victim)
    (target / f".restoring-{os.getpid()}-1").symlink_to(victim)
    (target / "panel.html").symlink_to(victim)
    assert write_page(target, "panel.html", [b"of the backup"])
    assert victim.read_text(encoding="utf-8") == "mine"
    assert (target / "panel.html").read_text(encoding="utf-8") == "of the backup"
    assert not (target / "panel.html").is_symlink()


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    from dunena.backup.pages import write_page

    def pieces() -> Iterator[bytes]:
        yield b"x"
        raise OSError("full")

    with pytest.raises(OSError, match=r"^full$"):
        write_page(tmp_path, "panel.html", pieces())
    assert not list(tmp_path.iterdir())


def test_pages_beyond_the_limits_are_named_as_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from dunena.backup import pages
    from dunena.backup.writing import Snapshot, write_backup

    def left_out() -> list[str]:
        content = b"".join(write_backup(Snapshot([], 1, 0), "1", pages.read_pages(tmp_path)))
        return BackupReader(io.BytesIO(content), len(content)).manifest.left_out

    deep = "/".join("d" * (pages.FOLDERS_DEEP_MAX + 1))
    write_files(tmp_path, {f"{deep}/deep.html": "x", "a.html": "x", "b.html": "x"})
    assert left_out() == [f"{deep}: below {pages.FOLDERS_DEEP_MAX} other folders"]
    monkeypatch.setattr(pages, "PAGES_MAX", 1)
    assert left_out() == ["b.html: it and what follows are more than 1 files"]


def test_a_backup_replaces_no_file_unless_it_is_told_to(
    server: ServerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "backup.zip"
    file.write_text("mine", encoding="utf-8")
    refused(server, "backup", str(file), says="exists already; --force replaces it")
    assert file.read_text(encoding="utf-8") == "mine"
    run(server, "backup", str(file), "--force")
    assert zipfile.is_zipfile(file)


def test_a_backup_goes_into_a_pipe(server: ServerProcess) -> None:
    put(server, "score", 1)
    done = subprocess.run(
        [*PROGRAM, "backup", "-", "--url", server.url],
        capture_output=True, cwd=ROOT, timeout=30, check=True,
    )  # fmt: skip
    backup = BackupReader(io.BytesIO(done.stdout), len(done.stdout))
    backup.check()
    assert [one.key for one in backup.entries] == ["score"]


@POSIX
def test_a_file_that_cannot_be_written_is_no_fault_of_the_server(
    server: ServerProcess, tmp_path: Path
) -> None:
    put(server, "large", os.urandom(100_000).hex())
    file = tmp_path / "backup.zip"
    limited = f'ulimit -f 16; exec "$@" backup {shlex.quote(str(file))} --url {server.url}'
    assert_failed(by_shell(limited), says=(f"{file} cannot be written: File too large",))
    assert not list(tmp_path.glob("*.zip*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device is always full there")
def test_a_full_standard_output_is_a_sentence(server: ServerProcess) -> None:
    put(server, "large", os.urandom(100_000).hex())
    done = by_shell(f'exec "$@" backup - --url {server.url} > /dev/full')
    assert_failed(done, says=("standard output cannot be written: No space left on device",))


@POSIX
def test_a_closed_pipe_ends_a_backup_without_a_word(server: ServerProcess) -> None:
    put(server, "large", os.urandom(1_000_000).hex())
    done = by_shell(f'{{ "$@" backup - --url {server.url}; echo $? >&2; }} | head -c 100')
    assert done.stderr == "0\n"


def test_a_server_that_does_not_answer_is_no_fault_of_the_file(tmp_path: Path) -> None:
    from dunena.cli.archive import open_lines
    from dunena.cli.new_file import write_new
    from dunena.client.errors import NoAnswerError

    with pytest.raises(NoAnswerError, match="in 10 s"), write_new(tmp_path / "backup.zip"):
        raise NoAnswerError("No answer in 10 s")
    assert not list(tmp_path.iterdir())
    write_files(tmp_path, {"values.jsonl": ""})
    with pytest.raises(NoAnswerError, match="in 10 s"), open_lines(tmp_path / "values.jsonl"):
        raise NoAnswerError("No answer in 10 s")


def test_a_server_that_does_not_answer_an_export_is_no_fault_of_the_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from dunena.cli.commands.export import export
    from dunena.client.errors import NoAnswerError
    from dunena.client.http import Http

    answers = iter([
        {"permitted": {"rights": ["read"], "keys": ["*"], "namespaces": ["*"]}},
        {"total": 1, "namespaces": [{"ns": "", "keys": 1}]},
    ])  # fmt: skip

    def ask(*_arguments: object) -> Any:
        answer = next(answers, None)
        if answer is None:
            raise NoAnswerError("No answer in 10 s")
        return answer

    monkeypatch.setattr(Http, "ask", ask)
    with pytest.raises(Exit):
        export(tmp_path / "values.jsonl", token=None)
    assert capsys.readouterr().err == "dunena: No answer in 10 s\n"


def test_a_store_with_other_keys_is_only_changed_as_it_is_told(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server()
    file = tmp_path / "backup.zip"
    put(server, "score", 1)
    put(server, "other", 1)
    run(server, "backup", str(file))
    put(server, "score", 2)
    put(server, "extra", 3)
    refused(server, "restore", str(file), says="has 3 keys already, 2 of them not as in the backup")
    refused(server, "restore", str(file), "--replace", "--merge", says="exclude each other")
    plan = run(server, "restore", str(file), "--replace", "--dry-run")
    assert (plan["changed"], plan["deleted"], plan["same"]) == (1, 1, 1)
    assert http(server, "GET", "/kv").json == {"extra": 3, "other": 1, "score": 2}
    merged = run(server, "restore", str(file), "--merge")
    assert (merged["changed"], merged["kept"]) == (1, 1)
    assert "copy" not in merged
    put(server, "score", 2)
    replaced = run(server, "restore", str(file), "--replace")
    assert http(server, "GET", "/kv").json == {"other": 1, "score": 1}
    copy = Path(replaced["copy"])
    assert copy.parent == tmp_path
    assert run(server, "restore", str(copy), "--replace", "--without-copy")["new"] == 1
    assert http(server, "GET", "/kv").json == {"extra": 3, "other": 1, "score": 2}


def test_a_terminal_shows_sentences(server: ServerProcess, tmp_path: Path) -> None:
    environment = {"DUNENA_URL": server.url}
    put(server, "score", 1)
    file = tmp_path / "backup.zip"
    made = Terminal("backup", str(file), environment=environment)
    assert made.end() == 0
    assert f"{file.name} has 1 key: " in made.text.replace("\r\n", "")
    put(server, "score", 2)
    put(server, "extra", 1)
    restored = Terminal("restore", str(file), "--replace", environment=environment)
    assert restored.end() == 0
    for words in ("Added 0 keys and changed 1; 0 the same.", "Deleted 1 key.", "is in"):
        assert words in restored.text


def test_keys_that_expired_since_are_left_out_and_counted(tmp_path: Path) -> None:
    from dunena.backup.writing import Snapshot, write_backup
    from dunena.store.entry import Entry

    past = int(time.time() * 1000) - 60_000
    entries = [Entry("", "gone", b"1", past + 5, 1), Entry("", "due", b"{}", past, 1, then=b"7")]
    file = tmp_path / "backup.zip"
    file.write_bytes(b"".join(write_backup(Snapshot(entries, 1, past), "1")))
    report = run(None, "restore", str(file), "--cache-dir", str(tmp_path / "new"))
    assert (report["new"], report["expired"]) == (1, 1)
    assert read_json(tmp_path / "new" / "due.json") == 7


def test_a_damaged_backup_and_other_files_change_nothing(
    server: ServerProcess, tmp_path: Path
) -> None:
    put(server, "score", 1)
    file = tmp_path / "backup.zip"
    run(server, "backup", str(file))
    put(server, "score", 2)
    content = bytearray(file.read_bytes())
    content[content.index(b"score.json") + 10] ^= 1
    file.write_bytes(content)
    refused(server, "restore", str(file), "--replace", says=f"{file} cannot be restored: ")
    assert http(server, "GET", "/kv").json == {"score": 2}
    exported = tmp_path / "values.zip"
    run(server, "export", str(exported), "--json")
    refused(server, "restore", str(exported), says="dunena import reads it")
    run(server, "backup", str(file), "--force")
    refused(server, "import", str(file), says="is a backup: dunena restore reads it")


@CAN_STOP
def test_a_backup_that_is_killed_leaves_no_file_of_its_name(
    server: ServerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "backup.zip"
    server.process.send_signal(signal.SIGSTOP)
    try:
        process = subprocess.Popen(
            [*PROGRAM, "backup", str(file), "--url", server.url], cwd=ROOT, stderr=subprocess.PIPE
        )
        until(lambda: list(tmp_path.glob("*.part")), "it began")
        process.kill()
        process.communicate()
    finally:
        server.process.send_signal(signal.SIGCONT)
    assert not file.exists()
    run(server, "backup", str(file))


@CAN_STOP
def test_a_restore_that_is_killed_is_finished_by_the_next_one(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server()
    for begin in range(0, 20_000, 1_000):
        ops = [
            {"op": "set", "key": f"key-{number}", "value": number}
            for number in range(begin, begin + 1_000)
        ]
        assert http(server, "POST", "/txn", {"ops": ops}).status == 200
    file = tmp_path / "backup.zip"
    run(server, "backup", str(file))
    other = start_server(folder=tmp_path / "other")
    put(other, "mine", 1)
    process = subprocess.Popen(
        [*PROGRAM, "restore", str(file), "--replace", "--url", other.url],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    until(lambda: list(tmp_path.glob("*.restoring")) or process.poll() is not None, "it began")
    other.process.send_signal(signal.SIGSTOP)
    process.kill()
    process.communicate()
    other.process.send_signal(signal.SIGCONT)
    assert list(tmp_path.glob("*.restoring")), "it was killed in the middle"
    [copy] = tmp_path.glob("before-restore-*.zip")
    done = run_copy("restore", str(file), "--replace", environment={"DUNENA_URL": other.url})
    assert done.returncode == 0, done.stderr
    assert done.stderr == "An earlier restore of this file was interrupted: this one ends it.\n"
    report = json.loads(done.stdout)
    assert report["copy"] == str(copy), "that of before the first try"
    assert report["new"] + report["same"] == 20_000
    assert not list(tmp_path.glob("*.restoring"))
    assert run(other, "restore", str(file))["same"] == 20_000


def test_the_record_of_a_restore_has_its_name_only_when_it_is_whole(
    server: ServerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "backup.zip"
    mark = tmp_path / f"backup.zip.127.0.0.1-{server.port}.restoring"
    put(server, "score", 1)
    run(server, "backup", str(file))
    put(server, "score", 2)
    code = (
        "import os, pathlib, sys; from dunena.cli import main;"
        "write = pathlib.Path.write_bytes;"
        "pathlib.Path.write_bytes = lambda path, data: (write(path, data[:3]), os._exit(9));"
        f"sys.argv = ['dunena', 'restore', {str(file)!r}, '--replace', '--url', {server.url!r}];"
        "main()"
    )
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert killed.returncode == 9, "it ended while it wrote the record"
    assert not mark.exists()
    assert http(server, "GET", "/kv/score").json == 2
    assert run(server, "restore", str(file), "--replace")["changed"] == 1


def test_the_copy_of_an_interrupted_restore_is_used_again_only_if_it_has_what_is_lost(
    server: ServerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "backup.zip"
    mark = tmp_path / f"backup.zip.127.0.0.1-{server.port}.restoring"
    put(server, "score", 1)
    run(server, "backup", str(file))
    put(server, "score", 2)
    first = run(server, "restore", str(file), "--replace")["copy"]
    mark.write_text(json.dumps(first), encoding="utf-8")
    put(server, "score", 2)
    assert run(server, "restore", str(file), "--replace")["copy"] == first, "it has all"
    mark.write_text(json.dumps(first), encoding="utf-8")
    put(server, "work", "precious")
    second = run(server, "restore", str(file), "--replace")["copy"]
    assert second != first
    assert run(server, "restore", second, "--merge")["new"] == 1
    assert http(server, "GET", "/kv/work").json == "precious"
    mark.write_text(json.dumps(first), encoding="utf-8")
    put(server, "score", 3)
    Path(first).unlink()
    third = run(server, "restore", str(file), "--replace")["copy"]
    assert third != second
    assert Path(third).exists(), "made anew, maybe under the name of the one that is gone"
    run(server, "restore", third, "--merge")
    assert http(server, "GET", "/kv/score").json == 3


def test_a_folder_that_cannot_be_written_and_a_missing_one_are_sentences(
    server: ServerProcess, tmp_path: Path
) -> None:
    missing = tmp_path / "missing"
    refused(server, "backup", str(missing / "backup.zip"), says="cannot be written: No such file")
    file = str(tmp_path / "backup.zip")
    refused(None, "backup", file, "--cache-dir", str(missing), says="there is no folder")
    done = run_program("backup", file, "--url", "http://127.0.0.1:9")
    assert done.returncode == 4
    assert not list(tmp_path.glob("*backup*"))


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="every name is text there")
def test_commands_tell_of_names_that_are_no_text(tmp_path: Path) -> None:
    values = os.fsdecode(bytes(tmp_path) + b"/values\xff")
    write_files(Path(values), {"a.json": "1"})
    file = os.fsdecode(bytes(tmp_path) + b"/backup\xff.zip")
    made = run(None, "backup", file, "--cache-dir", values)
    assert made["file"] == f"{tmp_path}/backup\ufffd.zip"
    found = run(None, "doctor", "--cache-dir", values, "--port", "0", "--json")
    assert found["settings"]["cache-dir"]["value"] == f"{tmp_path}/values\ufffd"
    pages = os.fsdecode(bytes(tmp_path) + b"/www\xff")
    assert run(None, "new", "poll", pages)["folder"] == f"{tmp_path}/www\ufffd/poll"
