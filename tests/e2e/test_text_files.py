"""Text files of a real server: what is in them, when, and what becomes of them."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.folders import until as until_met
from tests.e2e.processes import run_copy
from tests.protocol.clients import http, open_dunena
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess
from tests.support.tokens import write_tokens

StartShown = Callable[..., ServerProcess]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return tmp_path / "texts"


@pytest.fixture
def start(start_server: StartServer, texts: Path) -> StartShown:
    """Start a server with text files for some keys."""

    def started(*arguments: str, keys: str = "score-*,clock,show/*") -> ServerProcess:
        return start_server("--text-dir", str(texts), "--text-keys", keys, *arguments)

    return started


def until(condition: Callable[[], object]) -> None:
    until_met(condition, "text files or health are not as expected")


def put(server: ServerProcess, key: str, value: Any, **fields: Any) -> None:
    assert http(server, "POST", "/set", {"key": key, "value": value, **fields}).status == 200


def read(texts: Path) -> dict[str, str]:
    """All text files, by their path below the folder."""
    return {
        path.relative_to(texts).as_posix(): path.read_text("utf-8")
        for path in texts.rglob("*.txt")
        if path.is_file()
    }


def health_of(server: ServerProcess) -> Any:
    return http(server, "GET", "/health").json


def test_values_are_written_as_text_and_follow_each_change(start: StartShown, texts: Path) -> None:
    server = start()
    assert health_of(server)["checks"]["textFiles"] == {"status": "healthy"}
    until(lambda: read(texts) == {"clock.txt": ""})
    put(server, "score-1", {"home": 2, "name": "Ada"})
    put(server, "other", 1)
    put(server, "lower", "Grüße", ns="show")
    expected = {
        "clock.txt": "",
        "score-1.txt": '{"home":2,"name":"Ada"}',
        "score-1.home.txt": "2",
        "score-1.name.txt": "Ada",
        "show/lower.txt": "Grüße",
    }
    until(lambda: read(texts) == expected)
    assert http(server, "DELETE", "/entries/score-1").status == 200
    put(server, "lower", "away", ns="show", ttl=1)
    until(lambda: set(read(texts).values()) == {""})
    assert read(texts).keys() == expected.keys()
    put(server, "score-2", 1)
    until(lambda: read(texts).get("score-2.txt") == "1")
    assert http(server, "POST", "/flush").status == 200
    until(lambda: read(texts)["score-2.txt"] == "")


def test_a_transaction_is_written_and_a_refused_one_is_not(start: StartShown, texts: Path) -> None:
    server = start()
    ops = [{"op": "incr", "key": "score-1"}, {"op": "incr", "key": "score-2", "max": 0}]
    with open_dunena(server) as client:
        client.send({"type": "txn", "ops": ops, "id": 1})
        while (answer := client.receive()).get("id") != 1:
            pass
        assert answer["type"] == "error"
        client.send({"type": "txn", "ops": ops[:1]})
    until(lambda: read(texts).get("score-1.txt") == "1")
    assert "score-2.txt" not in read(texts)


def test_a_timer_runs_in_its_file(start: StartShown, texts: Path) -> None:
    server = start()
    with open_dunena(server) as client:
        timer = {"type": "timer", "key": "clock", "rate": -1, "ms": 3000}
        client.send({**timer, "do": "start"})
        seen: list[str] = []
        while "0:00" not in seen:
            text = read(texts).get("clock.txt", "")
            if text and text not in seen:
                seen.append(text)
    # A busy machine may miss one; which there are is a matter of the unit tests.
    assert len(seen) > 1
    assert seen == sorted(seen, reverse=True)
    assert set(seen) <= {"0:03", "0:02", "0:01", "0:00"}


def test_a_restart_writes_what_has_changed_meanwhile(start: StartShown, texts: Path) -> None:
    server = start()
    put(server, "score-1", 1)
    put(server, "score-2", 2)
    until(lambda: read(texts).get("score-2.txt") == "2")
    assert server.stop() == 0
    assert server.folder is not None
    (server.folder / "score-1.json").unlink()
    (server.folder / "score-2.json").write_text("3", "utf-8")
    server.start()
    until(lambda: (read(texts)["score-1.txt"], read(texts)["score-2.txt"]) == ("", "3"))
    (server.folder / "score-2.json").write_text("4", "utf-8")
    until(lambda: read(texts)["score-2.txt"] == "4")


def test_the_last_changes_are_written_before_a_stop_ends(start: StartShown, texts: Path) -> None:
    server = start()
    for number in range(50):
        put(server, "score-1", number)
    assert server.stop() == 0
    assert read(texts)["score-1.txt"] == "49"


@pytest.mark.parametrize("is_killed", [False, True])
def test_what_a_stopped_server_has_no_more_is_shown_no_more(
    start: StartShown, texts: Path, is_killed: bool
) -> None:
    server = start(keys="score-*,clock")
    put(server, "score-kept", 1)
    with open_dunena(server) as client:
        client.send({"type": "session", "grace": 60_000, "id": 1})
        for key in ("score-1", "clock", "other"):
            client.send({"type": "set", "key": key, "value": {"a": 2}, "ephemeral": True})
        until(lambda: read(texts).get("score-1.a.txt") == "2" and read(texts).get("clock.a.txt"))
        if is_killed:
            server.kill()
            assert read(texts)["score-1.a.txt"] == "2"
            server.start()
        else:
            assert server.stop() == 0
    # Nothing is waited for: the start and the stop have done so.
    assert read(texts) == {
        "score-kept.txt": "1", "score-1.txt": "", "score-1.a.txt": "", "clock.txt": "",
        "clock.a.txt": "",
    }  # fmt: skip


def test_a_stopped_server_without_a_folder_shows_nothing(
    start_server: StartServer, texts: Path
) -> None:
    arguments = ("--no-persist", "--text-dir", str(texts), "--text-keys", "*")
    server = start_server(*arguments)
    put(server, "score-1", 1)
    assert server.stop() == 0
    assert read(texts) == {"score-1.txt": ""}


def test_a_kill_while_files_are_written_leaves_whole_ones(start: StartShown, texts: Path) -> None:
    server = start()
    whole = {letter * 100_000 for letter in "ab"}
    for round_number in range(3):
        with open_dunena(server) as client:
            for number in range(40):
                value = "ab"[number % 2] * 100_000
                client.send({"type": "mset", "entries": [
                    {"key": f"score-{key}", "value": value} for key in range(5)
                ]})  # fmt: skip
            until(lambda: len(read(texts)) > 3)
        server.kill()
        found = read(texts)
        found.pop("clock.txt")
        assert set(found.values()) <= whole, round_number
        server.start()
        until(lambda: set(read(texts).values()) <= whole | {""})
    put(server, "score-0", "after")
    until(lambda: read(texts)["score-0.txt"] == "after")
    assert not list(texts.rglob("*.tmp"))


def test_a_folder_that_vanishes_is_made_again(start: StartShown, texts: Path) -> None:
    server = start()
    put(server, "score-1", 1)
    until(lambda: read(texts).get("score-1.txt") == "1")
    moved = texts.with_name("moved")
    texts.rename(moved)
    until(lambda: texts.is_dir() and read(texts).get("score-1.txt") == "1")
    put(server, "score-1", 2)
    until(lambda: read(texts)["score-1.txt"] == "2")
    assert (moved / "score-1.txt").read_text() == "1"
    assert health_of(server)["status"] == "healthy"


def test_what_cannot_be_written_is_in_health_and_once_in_the_log(
    start: StartShown, texts: Path
) -> None:
    server = start()
    until(lambda: "clock.txt" in read(texts))
    (texts / "score-1.txt").mkdir()
    put(server, "score-1", 1)
    put(server, "score-2", 2)
    until(lambda: health_of(server)["status"] == "degraded")
    reason = "score-1.txt: a folder, not a plain file"
    assert health_of(server)["checks"]["textFiles"] == {
        "status": "degraded",
        "reason": reason,
        "lastError": reason,
    }
    metrics = http(server, "GET", "/metrics").body.decode()
    assert "dunena_text_files_failing 1.0" in metrics
    counts = dict(re.findall(r"^dunena_(text_file\w+)_total (\d+)", metrics, re.MULTILINE))
    assert int(counts["text_files_written"]) > 0
    assert int(counts["text_file_failures"]) > 0
    until(lambda: read(texts).get("score-2.txt") == "2")
    assert http(server, "GET", "/health/ready").status == 200, "changes are stored"
    (texts / "score-1.txt").rmdir()
    until(lambda: health_of(server)["status"] == "healthy")
    until(lambda: read(texts).get("score-1.txt") == "1")
    assert health_of(server)["checks"]["textFiles"] == {"status": "healthy", "lastError": reason}
    assert http(server, "GET", "/stats").json["textFiles"]["failures"] > 0
    assert server.stop() == 0
    assert server.log.count("are not as they should be: score-1.txt") == 1
    assert server.log.count("are written again") == 1


def test_a_file_that_was_there_is_replaced_and_the_log_says_so(
    start: StartShown, texts: Path
) -> None:
    texts.mkdir()
    (texts / "score-1.txt").write_text("of another program")
    (texts / "notes.txt").write_text("kept")
    server = start()
    put(server, "score-1", 1)
    until(lambda: read(texts)["score-1.txt"] == "1")
    server.restart()
    put(server, "score-1", 2)
    until(lambda: read(texts)["score-1.txt"] == "2")
    assert read(texts)["notes.txt"] == "kept"
    assert server.stop() == 0
    assert "was there before" not in server.log, "after the restart it is known"


def test_a_token_that_may_not_know_every_key_learns_no_name(
    start_server: StartServer, texts: Path, tmp_path: Path
) -> None:
    tokens = write_tokens(
        tmp_path,
        '[all]\ntoken = "of-all"\nrights = ["read", "write"]\n'
        '[one]\ntoken = "of-one"\nrights = ["read"]\nkeys = ["public"]\n',
    )
    (texts / "secret.txt").mkdir(parents=True)
    server = start_server(
        "--text-dir", str(texts), "--text-keys", "secret", "--tokens", str(tokens)
    )

    def check(token: str) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        return http(server, "GET", "/health", headers=headers).json["checks"]["textFiles"]

    until(lambda: check("of-all")["status"] == "degraded")
    assert check("of-all")["reason"].startswith("secret.txt: ")
    assert check("of-one") == {"status": "degraded", "reason": "a text file cannot be written"}
    assert http(server, "GET", "/health").json == {"status": "degraded"}


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["--text-dir", "{tmp}/texts"], 2, "--text-dir and --text-keys go together"),
        (["--text-keys", "a"], 2, "--text-dir and --text-keys go together"),
        (["--text-dir", "{tmp}/texts", "--text-keys", "show/"], 2, "Pattern must not be empty"),
        (["--text-dir", "{tmp}/.", "--text-keys", "a"], 1, "must not contain one another"),
        (["--text-dir", "{tmp}/values", "--text-keys", "a"], 1, "must not contain one another"),
        (["--text-dir", "{tmp}/values/x", "--text-keys", "a"], 1, "must not contain one another"),
        (
            ["--text-dir", "{tmp}/file/x", "--text-keys", "a"],
            1,
            "give another folder with --text-dir",
        ),
    ],
)
def test_a_start_with_settings_that_would_not_do_says_why(
    tmp_path: Path, arguments: list[str], code: int, reason: str
) -> None:
    (tmp_path / "file").touch()
    common = ["--cache-dir", str(tmp_path / "values"), "--port", "0"]
    arguments = [argument.replace("{tmp}", str(tmp_path)) for argument in arguments]
    done = run_copy("serve", *common, *arguments)
    assert done.returncode == code
    assert reason in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    doctor = run_copy("doctor", *common, *arguments, "--json")
    assert doctor.returncode == code
    if code == 1:
        findings = {found["about"]: found for found in json.loads(doctor.stdout)["findings"]}
        assert findings["text files"]["level"] == "bad"


def test_doctor_says_whether_text_files_can_be_written(tmp_path: Path) -> None:
    arguments = [
        "--text-dir",
        str(tmp_path / "texts"),
        "--text-keys",
        "a",
        "--no-persist",
        "--port",
        "0",
    ]
    doctor = run_copy("doctor", *arguments, "--json")
    findings = {found["about"]: found for found in json.loads(doctor.stdout)["findings"]}
    assert findings["text files"]["text"] == f"{tmp_path / 'texts'} will be made"
    assert findings["text files"]["level"] == "ok"
    assert not (tmp_path / "texts").exists()
    assert list(tmp_path.iterdir()) == []
