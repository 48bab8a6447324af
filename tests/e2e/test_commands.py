"""The commands that ask a running server: effects, output and exit codes."""

import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Self

import pytest

from tests.e2e.folders import until
from tests.e2e.processes import (
    PROGRAM,
    ROOT,
    SECONDS_MAX,
    assert_failed,
    data_home,
    free_port,
    program_in,
    run_copy,
    run_program,
)
from tests.e2e.terminal import IS_POSSIBLE, Terminal
from tests.protocol.clients import http
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

NO_TEXT = "\udcff"
"""An argument that is no text: its byte is no UTF-8 on POSIX, and its character none on Windows."""

in_a_terminal = pytest.mark.skipif(not IS_POSSIBLE, reason="Windows has other terminals")


class Commands:
    """Runs commands against one server."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.environment = {"DUNENA_URL": server.url}

    def __call__(self, *arguments: str, code: int = 0, environment: Any = None) -> str:
        """What it printed; it must end with the code, and say why on standard error if not 0."""
        done = run_copy(*arguments, environment=self.environment | (environment or {}))
        assert done.returncode == code, (done.stdout, done.stderr)
        assert bool(done.stderr) == (code != 0), done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """The JSON it printed."""
        return json.loads(self(*arguments))

    def terminal(self, *arguments: str, **environment: str) -> Terminal:
        return Terminal(*arguments, environment=self.environment | environment)


@pytest.fixture
def run(server: ServerProcess) -> Commands:
    return Commands(server)


def shown(terminal: Terminal, code: int = 0) -> str:
    assert terminal.end() == code, terminal.text
    return terminal.text


# --- values ---


@pytest.mark.parametrize("value", ["null", "-0.5", "9223372036854775807", '{"b":[1,"ß"],"a":{}}'])
def test_get_prints_the_value_of_a_set(run: Commands, value: str):
    assert run("set", "k", value) == ""
    assert run("get", "k") == value + "\n"


def test_output_to_a_pipe_is_utf_8_in_any_locale(run: Commands):
    run("set", "k", '"ß"')
    done = subprocess.run(
        [*PROGRAM, "get", "k", "--url", run.server.url],
        capture_output=True,
        env={**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": "cp1252"},
        timeout=SECONDS_MAX,
        check=True,
    )
    assert done.stdout.decode().strip() == '"ß"'


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device is always full there")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "arguments",
    [("version",), ("version", "--json"), ("--help",), ("completion", "bash"), ("check", ".")],
)
def test_output_that_cannot_be_written_is_a_failure(
    arguments: tuple[str, ...], unbuffered: str, tmp_path: Path
):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*program_in(tmp_path), *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            timeout=SECONDS_MAX,
        )
    said = "dunena: standard output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device is always full there")
def test_a_server_whose_output_cannot_be_written_says_so_at_its_end(
    tmp_path: Path,
):
    with Path("/dev/full").open("w") as full:
        process = subprocess.Popen(
            [*program_in(tmp_path), "serve", "--port", "0"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    try:
        until((tmp_path / ".cache" / ".dunena" / "server").exists, "it does not start")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=SECONDS_MAX)
    finally:
        process.kill()
    assert process.returncode == 1
    said = "dunena: standard output cannot be written: No space left on device"
    assert errors.splitlines() == [said]


def test_arguments_are_not_expanded(run: Commands, tmp_path: Path):
    """Nor on Windows, where the shell leaves wildcards and variables to programs."""
    (tmp_path / "a-file").touch()
    for value in ('"$PATH"', '"%PATH%"', '["*"]', '"~"'):
        run("set", "k", value)
        assert run("get", "k") == value + "\n"
    done = run_program("keys", "*", "--url", run.server.url, program=program_in(tmp_path))
    assert json.loads(done.stdout) == ["k"], done.stderr


def test_set_reads_a_value_from_a_file_or_a_pipe(run: Commands, tmp_path: Path):
    (tmp_path / "v.json").write_text('{\n "x": 1.0\n}\n', "utf-8")
    run("set", "k", f"@{tmp_path / 'v.json'}")
    assert run("get", "k") == '{"x":1.0}\n'
    done = subprocess.run(
        [*PROGRAM, "set", "k", "-", "--text", "--url", run.server.url],
        input="two\nlines",
        text=True,
        cwd=ROOT,
        timeout=SECONDS_MAX,
    )
    assert done.returncode == 0
    assert run.json("get", "k") == "two\nlines"


def test_set_applies_text_namespace_ttl_and_durable(run: Commands):
    words = ("k", "v", "--text", "--ns", "app", "--ttl", "1h", "--durable")
    assert run.json("set", *words, "--json") == {"key": "k", "value": "v", "ns": "app"}
    entry = http(run.server, "GET", "/entries/k?ns=app").json
    assert 3_500_000 < entry["entry"]["expiresAt"] - entry["timestamp"] <= 3_600_000
    assert run("get", "k", "--ns", "app") == '"v"\n'


@pytest.mark.parametrize(
    "arguments",
    [
        ("set", "k", "@no-such-file"),
        ("set", "k", "1", "--ttl", "soon"),
        ("set", "k", "1", "--ttl", "5x"),
        ("set", "k"),
        ("get",),
        ("mset", "k"),
        ("mset", "=1"),
        ("incr", "k", "one"),
        ("incr", "k", "true"),
        ("incr", "k", "--mim", "5"),
        ("incr", "k", "1", "--max", "much"),
        ("merge", "k", "5"),
        ("merge", "k", "{half"),
        ("append", "k"),
        ("publish", "cheer"),
        ("publish", "cheer", "@no-such-file"),
        ("publish", NO_TEXT, "1"),
        ("events", NO_TEXT),
        ("append", "k", "--mx", "5"),
        ("append", "k", "1", "--max", "0"),
        ("touch", "k"),
        ("touch", "k", "soon"),
        ("history", "k", "--limit", "0"),
        ("revert", "k", "now"),
        *((name, NO_TEXT) for name in ("get", "del", "mget", "keys", "watch", "incr", "history")),
        *((name, NO_TEXT, "1") for name in ("set", "append", "touch", "revert")),
        ("merge", NO_TEXT, "{}"),
        ("mset", f"{NO_TEXT}=1"),
        ("get", "k", "--path", f"/{NO_TEXT}"),
        ("set", "k", "1", "--ns", NO_TEXT),
        ("info", "--token", NO_TEXT),
        ("info", "--url", NO_TEXT),
        ("set", "k", "1", "--if-rev", str(2**63)),
        ("set", "k", "1", "--ttl", f"{2**63}"),
        ("touch", "k", "9" * 5000),
        ("touch", "k", f"{2**60}h"),
        ("append", "k", "1", "--max", str(2**63)),
        ("history", "k", "--limit", str(2**63)),
        ("revert", "k", str(2**63)),
        ("watch",),
        ("watch", "a-*", "b"),
        ("watch", "k", "--max-rate", "0"),
        ("watch", "k", "--max-rate", "nan"),
        ("set", "k", "1", "--if-rev", "-1"),
        *(
            (*words, "--path", path)
            for path in ("home", "/a~b")
            for words in (
                ("get", "k"),
                ("set", "k", "1"),
                ("del", "k"),
                ("incr", "k"),
                ("merge", "k", "{}"),
                ("append", "k", "1"),
                ("timer", "k", "start"),
                ("revert", "k"),
                ("watch", "k"),
            )
        ),
        ("set", "k", "1", "--then", "{}"),
        ("set", "k", "1", "--ttl", "0", "--then", "{}"),
        ("set", "k", "1", "--ttl", "1s", "--then", "{half"),
        ("timer", "k"),
        ("timer", "k", "reset"),
        ("timer", "k", "set", "--ms", "soon"),
        ("timer", "k", "start", "--rate", "fast"),
        ("get", "k", "--url", "ftp://h"),
        ("import", "no-such-file"),
        ("completion", "tcsh"),
        ("bench", "--clients", "0"),
        ("flush",),
    ],
    ids=lambda arguments: " ".join(arguments)[:40],
)
def test_wrong_usage_exits_with_2_and_stores_nothing(run: Commands, arguments: tuple[str, ...]):
    assert run(*arguments, code=2) == ""
    assert run.json("keys") == []


@pytest.mark.parametrize("value", ["world", "", "NaN", "2 goals", "{not: JSON}", "ключ", "01"])
def test_set_stores_a_value_that_is_no_json_as_text_with_a_note(run: Commands, value: str):
    done = run_copy("set", "hello", value, environment=run.environment)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("hello was stored as text, since it is no JSON")
    assert len(done.stderr.splitlines()) == 1
    assert run.json("get", "hello") == value
    done = run_copy("set", "hello", value, "--text", environment=run.environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert run.json("get", "hello") == value


def test_mset_names_the_values_stored_as_text(run: Commands):
    done = run_copy("mset", "a=1", "b=word", 'c="x"', "--json", environment=run.environment)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"stored": 3})
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["b"]
    assert run.json("mget", "a", "b", "c") == {"a": 1, "b": "word", "c": "x"}


def test_set_refuses_a_file_that_is_no_json(run: Commands, tmp_path: Path):
    (tmp_path / "half.json").write_text('{"half":', "utf-8")
    done = run_copy("set", "k", f"@{tmp_path / 'half.json'}", environment=run.environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--text stores it as text" in done.stderr
    assert run.json("keys") == []


def test_mset_and_mget_handle_several_values(run: Commands):
    run("mset", "a=1", 'b={"c": "d=e"}', "--ns", "app")
    assert run.json("mget", "b", "missing", "a", "--ns", "app") == {
        "b": {"c": "d=e"},
        "missing": None,
        "a": 1,
    }
    assert run.json("mset", "x=y", "--text", "--json") == {"stored": 1}
    assert run.json("get", "x") == "y"


def test_a_missing_key_exits_with_3(run: Commands):
    run("set", "a", "null")
    assert run("get", "a") == "null\n"
    for command in ("get", "del"):
        done = run_copy(command, "b", environment=run.environment)
        assert_failed(done, says=("no key b",), code=3)
    assert run.json("del", "a", "b", "--json") == {"deleted": 1}


def test_incr_adds_to_a_number_and_prints_the_sum(run: Commands):
    assert run("incr", "k") == "1\n"
    assert run("incr", "k", "2.5") == "3.5\n"
    assert run("incr", "k", "-10", "--min", "-6.5", "--ns", "") == "-6.5\n"
    done = run_copy("incr", "k", "--max", "-7", environment=run.environment)
    assert_failed(done, says=('Out of range: "k"',))
    run("set", "match", '{"home":{"score":1},"n":"x"}')
    assert run("incr", "match", "--path", "/home/score", "--json") == "2\n"
    assert run.json("get", "match") == {"home": {"score": 2}, "n": "x"}
    done = run_copy("incr", "match", "--path", "/n", environment=run.environment)
    assert_failed(done, says=('Not a number: "match"',))
    assert run("incr", "k", "--ns", "app") == "1\n"


def test_merge_prints_the_merged_value(run: Commands, tmp_path: Path):
    run("set", "k", '{"a":{"b":1},"c":2}', "--ns", "app")
    merged = '{"a":{"b":1,"d":1.0}}\n'
    assert run("merge", "k", '{"a":{"d":1.0},"c":null}', "--ns", "app") == merged
    (tmp_path / "fields.json").write_text('{"e":3}', "utf-8")
    file = f"@{tmp_path / 'fields.json'}"
    assert run.json("merge", "k", file, "--path", "/a", "--ns", "app") == {
        "a": {"b": 1, "d": 1.0, "e": 3}
    }


def test_a_path_without_a_slash_is_refused_with_its_form(run: Commands):
    for command in ("get", "incr"):
        done = run_copy(command, "k", "--path", "home", environment=run.environment)
        says = " ".join(done.stderr.replace("\u2502", " ").split())
        assert done.returncode == 2
        assert 'home is no path: a path begins with "/", as /home does' in says


def test_a_path_that_is_too_long_is_refused(run: Commands):
    run("set", "k", "1")
    done = run_copy("get", "k", "--path", "/" + "a" * 1024, environment=run.environment)
    assert done.returncode == 2
    assert "longer than 1024 bytes" in done.stderr


def test_an_option_that_is_not_there_is_named(run: Commands):
    for words in (("set", "k", "1"), ("incr", "k", "1")):
        done = run_copy(*words, "--if_rev", "0", environment=run.environment)
        assert done.returncode == 2
        assert "no such option: --if_rev" in done.stderr
    assert run.json("set", "k", "-1", "--json")["value"] == -1


def test_set_says_what_is_merged_when_the_ttl_ends(run: Commands):
    words = ("lower", '{"name":"Ada","on":true}', "--ttl", "1h", "--then", '{"on": false}')
    assert run.json("set", *words, "--json")["value"] == {"name": "Ada", "on": True}
    entry = http(run.server, "GET", "/entries/lower").json
    assert 3_500_000 < entry["entry"]["expiresAt"] - entry["timestamp"] <= 3_600_000
    assert entry["entry"]["then"] == {"on": False}


def test_timer_prints_the_changed_timer(run: Commands):
    timer = run.json("timer", "clock", "set", "--ms", "5m", "--rate", "-1")["timer"]
    assert (timer["ms"], timer["rate"], timer["running"]) == (300_000, -1, False)
    assert run.json("timer", "clock", "add", "--ms", "-10s")["timer"]["ms"] == 290_000
    for do, is_running in (("start", True), ("stop", False), ("toggle", True)):
        assert run.json("timer", "clock", do)["timer"]["running"] is is_running
    assert run.json("get", "clock")["timer"]["running"] is True
    run("set", "match", "{}", "--ns", "app")
    run("timer", "match", "start", "--path", "/clock", "--ns", "app")
    assert run.json("get", "match", "--ns", "app")["clock"]["timer"]["running"] is True
    done = run_copy("timer", "clock", "add", environment=run.environment)
    assert_failed(done, says=("Missing field: ms",))


def test_get_prints_the_revision_for_writes_that_depend_on_it(run: Commands):
    run("set", "k", '{"n":1}')
    for arguments in (
        ("incr", "k", "--path", "/n"),
        ("merge", "k", '{"m":2}'),
        ("append", "k", "3", "--path", "/list"),
        ("timer", "k", "start", "--path", "/clock"),
    ):
        rev = run.json("get", "k", "--rev")["rev"]
        done = run_copy(*arguments, "--if-rev", str(rev - 1), environment=run.environment)
        assert_failed(done, says=(f'Revision conflict: "k" is at {rev}',))
        run(*arguments, "--if-rev", str(rev))
    got = run.json("get", "k", "--rev", "--path", "/n", "--json")
    entry = http(run.server, "GET", "/entries/k").json["entry"]
    assert got == {"value": 2, "rev": entry["revision"]}


def test_append_prints_the_length_of_the_list(run: Commands):
    assert run("append", "chat", "1", '{"a":[]}', "-3") == "3\n"
    assert run("append", "chat", "null", "--max", "2") == "2\n"
    assert run.json("get", "chat") == [-3, None]
    assert run("append", "chat", "--text", "5", "--", "--x") == "4\n"
    assert run.json("get", "chat") == [-3, None, "5", "--x"]
    done = run_copy("append", "chat", "a word", environment=run.environment)
    assert (done.returncode, done.stdout) == (0, "5\n")
    assert done.stderr.startswith("chat was stored as text, since it is no JSON")
    run("set", "deep", '{"list":[1],"n":1}')
    assert run("append", "deep", "2", "--path", "/list") == "2\n"
    done = run_copy("append", "deep", "2", "--path", "/n", environment=run.environment)
    assert_failed(done, says=('Not a list: "deep"',))


def test_touch_changes_the_expiry_of_a_key(run: Commands):
    run("set", "k", "1")
    assert run("touch", "k", "1h") == ""
    entry = http(run.server, "GET", "/entries/k").json
    assert 3_500_000 < entry["entry"]["expiresAt"] - entry["timestamp"] <= 3_600_000
    assert run.json("touch", "k", "0", "--json") == {"key": "k", "ttl": 0}
    assert http(run.server, "GET", "/entries/k").json["entry"]["expiresAt"] is None
    done = run_copy("touch", "missing", "1h", environment=run.environment)
    assert_failed(done, says=("there is no key missing",), code=3)


def test_history_lists_values_and_revert_stores_one_again(run: Commands):
    done = run_copy("history", "k", environment=run.environment)
    assert_failed(done, says=("there is no key k",), code=3)
    run("set", "k", '"first"')
    (first,) = run.json("history", "k")
    assert (first.keys(), first["value"]) == ({"rev", "timestamp", "value"}, "first")
    while http(run.server, "GET", "/entries/k").json["timestamp"] - first["timestamp"] < 1000:
        pass  # only what stood for a second is kept
    run("set", "k", '"second"')
    assert [entry["value"] for entry in run.json("history", "k")] == ["second", "first"]
    assert [entry["value"] for entry in run.json("history", "k", "--limit", "1")] == ["second"]
    assert run("revert", "k") == '"first"\n'
    assert run("revert", "k", str(first["rev"])) == '"first"\n'
    rev = run.json("get", "k", "--rev")["rev"]
    done = run_copy("revert", "k", "--if-rev", str(rev - 1), environment=run.environment)
    assert_failed(done, says=(f'Revision conflict: "k" is at {rev}',))
    done = run_copy("revert", "k", str(rev), "--path", "/a", environment=run.environment)
    assert_failed(done, code=3, says=('Nothing at "/a" of "k"',))
    for arguments, says in (
        (("k", "999999"), "the history of k has no value of revision 999999"),
        (("missing",), "the history of missing has no earlier value that differs"),
    ):
        done = run_copy("revert", *arguments, environment=run.environment)
        assert_failed(done, code=3, says=(says,))


def test_get_set_and_del_take_the_path_of_a_part(run: Commands):
    run("set", "match", '{"home":{"score":1},"a/b":[1,2]}')
    assert run("get", "match", "--path", "/home/score") == "1\n"
    assert run("get", "match", "--path", "/a~1b/1") == "2\n"
    assert run("get", "match", "--path", "") == run("get", "match")
    assert run("set", "match", "2", "--path", "/home/score") == ""
    answer = {"key": "match", "value": 3, "path": "/home/score"}
    assert run.json("set", "match", "3", "--path", "/home/score", "--json") == answer
    assert run("del", "match", "--path", "/a~1b") == ""
    assert run.json("get", "match") == {"home": {"score": 3}}
    for command in ("get", "del"):
        done = run_copy(command, "match", "--path", "/home/no", environment=run.environment)
        assert_failed(done, says=('Nothing at "/home/no" of "match"',), code=3)
    for command in (("get", "--path", "/a"), ("del",)):
        done = run_copy(*command, "missing", environment=run.environment)
        assert_failed(done, says=("there is no key missing",), code=3)
    done = run_copy("set", "match", "1", "--path", "/no/where", environment=run.environment)
    assert_failed(done, says=('Nothing at "/no/where" of "match"',))


def test_set_with_a_revision_stores_only_over_that(run: Commands):
    words = ("k", '{"ß": 1.0}', "--ns", "app", "--ttl", "1h", "--durable", "--json")
    answer = {"key": "k", "value": {"ß": 1.0}, "ns": "app"}
    assert run.json("set", *words, "--if-rev", "0") == answer
    entry = http(run.server, "GET", "/entries/k?ns=app").json["entry"]
    assert entry["expiresAt"] is not None
    done = run_copy("set", *words, "--if-rev", "0", environment=run.environment)
    assert_failed(done, says=(f'Revision conflict: "k" is at {entry["revision"]}',))
    assert run("set", "k", "5", "--ns", "app", "--if-rev", str(entry["revision"])) == ""
    assert run("get", "k", "--ns", "app") == "5\n"


@pytest.mark.parametrize("key", ["a b/c", "..", "schlüssel", "%41", "?x=1"])
def test_commands_handle_unusual_keys(run: Commands, key: str):
    run("set", key, "1")
    assert run.json("keys") == [key]
    assert run("get", key) == "1\n"
    assert run("incr", key) == "2\n"
    run("del", key)
    assert run.json("keys") == []


def test_keys_lists_the_keys_of_a_pattern(run: Commands):
    run("mset", "a1=1", "a2=2", "b=3")
    assert run.json("keys", "a*") == ["a1", "a2"]
    assert run.json("keys", "?") == ["b"]


def test_a_refusal_of_the_server_is_printed(run: Commands):
    done = run_copy("set", "k" * 513, "1", environment=run.environment)
    assert_failed(done, says=("Key exceeds max length (512)",))


# --- the server ---


def test_info_stats_and_flush_ask_the_server(run: Commands):
    run("set", "k", "1")
    assert run.json("info")["entries"] == 1
    assert run.json("stats")["cache"]["currentSize"] == 1
    assert run("flush", "--yes") == ""
    assert run.json("flush", "--yes", "--json") == {"flushed": True}
    assert run.json("keys") == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("get", "k"),
        ("set", "k", "1"),
        ("keys",),
        ("watch", "k"),
        ("events",),
        ("open",),
        ("bench",),
        ("incr", "k"),
        ("set", "k", "1", "--if-rev", "0"),
    ],
    ids=" ".join,
)
def test_commands_without_a_server_exit_with_4_and_a_hint(arguments: tuple[str, ...]):
    url = f"http://127.0.0.1:{free_port()}"
    done = run_copy(*arguments, "--url", url)
    assert_failed(done, says=(url, f"dunena serve --port {url.split(':')[-1]}"), code=4)


def test_commands_send_the_token_of_the_option_or_the_environment(start_server: StartServer):
    run = Commands(start_server("--token", "secret"))
    for arguments in (("get", "k"), ("watch", "k"), ("bench", "--seconds", "0.1")):
        done = run_copy(*arguments, environment=run.environment)
        assert_failed(done, says=("wants a token", "Unauthorized", "--token"))
    run("set", "k", "1", "--token", "secret")
    assert run("get", "k", environment={"DUNENA_AUTH_TOKEN": "secret"}) == "1\n"


@pytest.mark.parametrize("token", ["\u20ac", "schl\u00fcssel"])
@pytest.mark.parametrize("command", [("info",), ("get", "k"), ("watch", "k")])
def test_commands_refuse_a_token_that_is_not_ascii(command: tuple[str, ...], token: str):
    for arguments, environment in (
        ((*command, "--token", token), {}),
        (command, {"DUNENA_AUTH_TOKEN": token}),
    ):
        done = run_copy(*arguments, environment=environment)
        assert (done.returncode, done.stdout) == (2, "")
        assert "--token" in done.stderr
        assert done.stderr.endswith(": a client can only send a token of printable ASCII\n")


# --- following ---


class Followed:
    """A command whose lines are read as they come."""

    def __init__(self, run: Commands, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*PROGRAM, *arguments, "--url", run.server.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            cwd=ROOT,
        )

    def line(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(SECONDS_MAX)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def test_watch_continues_after_a_restart(run: Commands):
    run("set", "a", "1")
    with Followed(run, "watch", "a", "b") as watched:
        assert watched.line() == {"key": "a", "value": 1}
        assert watched.line() == {"key": "b", "value": None}
        run.server.restart()
        run("set", "b", '{"x":[2]}')
        assert watched.line() == {"key": "b", "value": {"x": [2]}}


def test_watch_of_a_pattern_prints_each_changed_key_and_continues_after_a_restart(run: Commands):
    run("set", "team-a", '{"score":1}', "--ns", "show")
    options = "--path", "/score", "--max-rate", "100", "--ns", "show"
    with Followed(run, "watch", "team-*", *options) as watched:
        assert watched.line() == {"key": "team-a", "value": 1}
        run("set", "other", '{"score":9}', "--ns", "show")
        run("set", "team-b", '{"score":[]}', "--ns", "show")
        assert watched.line() == {"key": "team-b", "value": []}
        run.server.restart()
        run("del", "team-a", "--ns", "show")
        assert watched.line() == {"key": "team-a", "value": None}
        run("incr", "team-c", "--path", "/score", "--ns", "show")
        assert watched.line() == {"key": "team-c", "value": 1}


def test_watch_over_http_prints_the_same_and_continues_after_a_restart(run: Commands):
    run("set", "team-a", '{"score":1}', "--ns", "show")
    options = "--path", "/score", "--max-rate", "50", "--ns", "show", "--http"
    with Followed(run, "watch", "team-*", *options) as watched:
        assert watched.line() == {"key": "team-a", "value": 1}
        run("set", "team-b", '{"score":[]}', "--ns", "show")
        assert watched.line() == {"key": "team-b", "value": []}
        run.server.restart()
        run("del", "team-a", "--ns", "show")
        assert watched.line() == {"key": "team-a", "value": None}
    with Followed(run, "watch", "a,b", "c", "--http") as watched:
        lines = [watched.line(), watched.line()]
        assert sorted(line["key"] for line in lines) == ["a,b", "c"]
        run("set", "a,b", "1")
        assert watched.line() == {"key": "a,b", "value": 1}
    server = http(run.server, "GET", "/stats").json
    assert server["cache"]["subscriptions"] == 0


def test_watch_over_http_needs_a_server_and_the_right_to_read(
    run: Commands, start_server: StartServer, tmp_path: Path
):
    done = run_copy("watch", "k", "--http", "--url", f"http://127.0.0.1:{free_port()}")
    assert_failed(done, says=("No server answers", "dunena serve"), code=4)
    guarded = Commands(start_server("--token", "secret", folder=tmp_path / "guarded"))
    done = run_copy("watch", "k", "--http", environment=guarded.environment)
    assert_failed(done, says=("wants a token", "--token"))


def test_watch_takes_the_path_of_a_part_of_several_keys(run: Commands):
    run("set", "match", '{"home":1}')
    with Followed(run, "watch", "match", "later", "--path", "/home") as watched:
        lines = [watched.line(), watched.line()]
        assert sorted((line["key"], line["value"]) for line in lines) == [
            ("later", None),
            ("match", 1),
        ]
        run("merge", "match", '{"guest":5}')
        run("incr", "match", "--path", "/home")
        assert watched.line() == {"key": "match", "value": 2}
    assert run("watch", "match", "--path", "home", code=2) == ""


def test_events_prints_each_event_as_a_json_line(run: Commands):
    with Followed(run, "events") as events:
        while http(run.server, "GET", "/stats").json["cache"]["subscriptions"] == 0:
            assert events.process.poll() is None
        run("set", "k", '"abc"', "--ns", "app")
        event = events.line()
        assert event.pop("timestamp") > 1_700_000_000_000
        assert event == {"event": "set", "key": "k", "ns": "app", "size": 3}


def wait_for_a_subscription(run: Commands, followed: "Followed") -> None:
    while http(run.server, "GET", "/stats").json["cache"]["subscriptions"] == 0:
        assert followed.process.poll() is None


def test_events_of_a_channel_prints_what_is_published(run: Commands, tmp_path: Path):
    (tmp_path / "cheer.json").write_text('{"by": "Bob"}', encoding="utf-8")
    with Followed(run, "events", "cheer") as messages:
        wait_for_a_subscription(run, messages)
        assert run("publish", "cheer", '{"by":"Ada"}') == ""
        run("publish", "other", "1")
        run("publish", "cheer", f"@{tmp_path / 'cheer.json'}")
        run("publish", "cheer", "5", "--text")
        for data in ({"by": "Ada"}, {"by": "Bob"}, "5"):
            message = messages.line()
            assert message.pop("timestamp") > 1_700_000_000_000
            assert message == {"data": data, "missed": 0}
        run.server.restart()
        wait_for_a_subscription(run, messages)
        run("publish", "cheer", "null")
        assert messages.line().items() >= {"data": None, "missed": None}.items()


def test_events_of_the_channel_of_changes_prints_changes(run: Commands):
    with Followed(run, "events", "cache-events") as events:
        wait_for_a_subscription(run, events)
        run("set", "k", "1")
        assert events.line()["event"] == "set"


def test_publish_sends_what_is_no_json_as_text_with_a_note(run: Commands):
    with Followed(run, "events", "cheer") as messages:
        wait_for_a_subscription(run, messages)
        done = run_copy("publish", "cheer", "hi Ada", environment=run.environment)
        assert (done.returncode, done.stdout) == (0, "")
        assert "cheer was sent text, since it is no JSON" in done.stderr
        assert messages.line()["data"] == "hi Ada"


def test_a_message_that_is_refused_is_no_success(run: Commands):
    done = run_copy("publish", "cache-events", "1", environment=run.environment)
    assert_failed(done, says=('Channel is reserved: "cache-events"',))
    done = run_copy("events", "c" * 600, environment=run.environment)
    assert_failed(done, says=("Channel exceeds max length",))


@in_a_terminal
def test_messages_are_readable_lines_in_a_terminal(run: Commands):
    with run.terminal("events", "cheer") as terminal:
        while http(run.server, "GET", "/stats").json["cache"]["subscriptions"] == 0:
            pass
        with run.terminal("publish", "cheer", '{"by": "Ada"}') as other:
            assert shown(other) == "Published to cheer.\n"
        terminal.wait_for('{"by":"Ada"}')


@pytest.mark.parametrize("command", [("watch", "k"), ("events",)], ids=" ".join)
def test_a_closed_pipe_ends_a_following_command(run: Commands, command: tuple[str, ...]):
    with Followed(run, *command) as followed:
        while http(run.server, "GET", "/stats").json["cache"]["subscriptions"] == 0:
            assert followed.process.poll() is None
        assert followed.process.stdout is not None
        followed.process.stdout.close()
        for number in range(50):  # a pipe may take a line before it notices
            run("set", "k", str(number))
            if followed.process.poll() is not None:
                break
        assert followed.process.wait(SECONDS_MAX) == 0
        assert followed.process.stderr is not None
        assert followed.process.stderr.read() == ""


@in_a_terminal
def test_ctrl_c_ends_a_watch_without_a_traceback(run: Commands):
    with run.terminal("watch", "k") as terminal:
        terminal.wait_for("k  null")
        terminal.process.send_signal(signal.SIGINT)
        terminal.end()
        assert "Traceback" not in terminal.text


# --- copies ---


@pytest.fixture
def filled(run: Commands) -> dict[tuple[str, str], Any]:
    """A store with all that a copy has to keep; its values by namespace and key."""
    values = {("", f"k{number:04}"): {"n": number} for number in range(2100)}
    values |= {("app", "schlüssel"): "x" * 500, ("app", "null"): None, ("b", "one"): 1.0}
    for (ns, key), value in values.items():
        body = {"key": key, "value": value} | ({"ns": ns} if ns else {})
        if len(values) > 50 and ns == "":
            continue
        assert http(run.server, "POST", "/set", body).status == 200
    from dunena.sync import connect

    with connect(run.server.url) as store:
        store.mset({key: value for (ns, key), value in values.items() if not ns})
        store.set("short", "lived", ttl=3_600_000, ns="b")
    return values | {("b", "short"): "lived"}


def everything(server: ServerProcess, values: dict[tuple[str, str], Any]) -> None:
    """The server has these values and no others."""
    from dunena.sync import connect

    with connect(server.url) as store:
        assert store.info()["entries"] == len(values)
        for ns in {ns for ns, _ in values}:
            wanted = {key: value for (space, key), value in values.items() if space == ns}
            assert store.mget(wanted, "missing", ns=ns) == wanted


@pytest.mark.parametrize("name", ["copy.jsonl", "copy.zip"])
def test_an_export_is_imported_completely(
    run: Commands, filled: dict[tuple[str, str], Any], tmp_path: Path, name: str
):
    file = tmp_path / name
    expected = {"exported": len(filled), "file": str(file)}
    for _ in range(2):
        assert run.json("export", str(file), "--json") == expected
    assert zipfile.is_zipfile(file) == (file.suffix == ".zip")
    before = http(run.server, "GET", "/entries/short?ns=b").json["entry"]["expiresAt"]
    run("flush", "--yes")
    for _ in range(2):
        done = run.json("import", str(file))
        assert done == {"stored": len(filled), "expired": 0, "skipped": 0}
        everything(run.server, filled)
    after = http(run.server, "GET", "/entries/short?ns=b").json["entry"]["expiresAt"]
    assert abs(after - before) < 5000
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [name]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such things")
def test_an_export_follows_a_link_and_refuses_a_pipe(run: Commands, tmp_path: Path):
    run("set", "k", "1")
    link, pipe = tmp_path / "link.jsonl", tmp_path / "pipe.jsonl"
    link.symlink_to("target.jsonl")
    os.mkfifo(pipe)
    run("export", str(link))
    assert link.is_symlink()
    assert json.loads((tmp_path / "target.jsonl").read_text())["key"] == "k"
    done = run_copy("export", str(pipe), environment=run.environment)
    assert_failed(done, says=("a pipe, not a plain file",))
    assert pipe.is_fifo()


def test_an_interrupted_export_continues(
    run: Commands, filled: dict[tuple[str, str], Any], tmp_path: Path
):
    file = tmp_path / "copy.jsonl"
    run("export", str(file))
    lines = file.read_bytes().splitlines(keepends=True)
    for kept in (1, 1500, 2101, len(lines)):
        draft = tmp_path / f"copy.jsonl.127.0.0.1-{run.server.port}.part"
        # What was written before is not asked for again, so that it is seen in the file.
        begun = [raw.replace(b'"n":', b'"kept":') for raw in lines[:kept]]
        draft.write_bytes(b"".join(begun) + b'{"key":"torn')
        run("export", str(file))
        assert file.read_bytes().splitlines(keepends=True) == begun + lines[kept:]
        assert not draft.exists()


def test_keys_deleted_during_an_export_hide_no_others(
    run: Commands, filled: dict[tuple[str, str], Any], tmp_path: Path
):
    file = tmp_path / "copy.jsonl"
    run("export", str(file))
    lines = file.read_bytes().splitlines(keepends=True)
    draft = tmp_path / f"copy.jsonl.127.0.0.1-{run.server.port}.part"
    draft.write_bytes(b"".join(lines[:1500]))
    run("del", *(f"k{number:04}" for number in range(0, 1500, 5)))
    run("export", str(file))
    assert file.read_bytes().splitlines(keepends=True) == lines


def test_an_interrupted_import_continues(
    run: Commands, filled: dict[tuple[str, str], Any], tmp_path: Path
):
    file = tmp_path / "copy.jsonl"
    run("export", str(file))
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    bad = [*lines[:1200], b"{\n", *lines[1201:]]
    file.write_bytes(b"".join(bad))
    run("flush", "--yes")
    done = run_copy("import", str(file), environment=run.environment)
    assert_failed(done, says=("line 1201",))
    mark = tmp_path / f"copy.jsonl.127.0.0.1-{run.server.port}.imported"
    *about, count = json.loads(mark.read_bytes())
    assert 0 < count < 1200
    run("flush", "--yes")
    file.write_bytes(whole)
    mark.write_text(json.dumps([file.stat().st_size, file.stat().st_mtime_ns, count]), "utf-8")
    assert run.json("import", str(file))["skipped"] == count
    assert run.json("info")["entries"] == len(filled) - count
    assert not mark.exists()
    mark.write_text(json.dumps([*about, count]), "utf-8")
    run("import", str(file))
    everything(run.server, filled)


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"{", "line 1"), (b'{"key":1,"value":1}', "line 1"), (b'{"key":"k"}\n', "line 1")],
)
def test_import_refuses_a_file_that_is_no_export(
    run: Commands, tmp_path: Path, content: bytes, says: str
):
    file = tmp_path / "copy"
    file.write_bytes(content)
    assert_failed(run_copy("import", str(file), environment=run.environment), says=(says,))
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("other", "x")
    done = run_copy("import", str(file), environment=run.environment)
    assert_failed(done, says=(str(file), "not exported by dunena"))


def test_import_merges_what_was_to_be_merged_meanwhile(run: Commands, tmp_path: Path):
    lines = [
        {"key": "lower", "value": {"on": True}, "expiresAt": 1, "then": {"on": False}},
        {"key": "null", "value": 1, "expiresAt": 1, "then": None, "ns": "b"},
    ]
    file = tmp_path / "old.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    assert run.json("import", str(file)) == {"stored": 2, "expired": 0, "skipped": 0}
    entry = http(run.server, "GET", "/entries/lower").json["entry"]
    assert (entry["value"], entry["expiresAt"]) == ({"on": False}, None)
    assert http(run.server, "GET", "/entries/null?ns=b").json["entry"]["value"] is None


def test_import_keeps_what_a_key_becomes_when_its_ttl_ends(run: Commands, tmp_path: Path):
    line = {"key": "lower", "value": 1, "expiresAt": 4_000_000_000_000, "then": 2, "ns": "b"}
    file = tmp_path / "later.jsonl"
    file.write_text(json.dumps(line) + "\n" + '{"key":"new","value":1}\n', "utf-8")
    assert run.json("import", str(file)) == {"stored": 2, "expired": 0, "skipped": 0}
    answer = http(run.server, "GET", "/entries/lower?ns=b").json
    assert answer["entry"]["then"] == 2, answer
    assert answer["entry"]["value"] == 1
    assert http(run.server, "GET", "/get/new").json["value"] == 1


def test_import_keeps_each_expiry_and_what_becomes_of_the_key_in_batches(
    run: Commands, tmp_path: Path
):
    at = 4_000_000_000_000
    lines: list[dict[str, Any]] = [
        {"key": f"k{number:04}", "value": {"n": number}, "ns": "ab"[number // 600]}
        | ({"expiresAt": at + number} if number % 3 else {})
        | ({"then": {"n": None}} if number % 3 == 2 else {})
        for number in range(1200)
    ]
    lines += [{"key": "twice", "value": n, "expiresAt": at, "then": n} for n in (1, 2)]
    file = tmp_path / "timed.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    before = run.json("stats")["messages"]
    assert run.json("import", str(file))["stored"] == len(lines)
    # Each of the 400 that last is a message, and of the others 500 at most are one.
    assert run.json("stats")["messages"] - before < 450
    for line in (*lines[:9], lines[-1]):
        path = f"/entries/{line['key']}?ns={line.get('ns', '')}"
        entry = http(run.server, "GET", path).json["entry"]
        assert entry["value"] == line["value"]
        wanted = ("then" in line, line.get("then"))
        assert ("then" in entry, entry.get("then")) == wanted, line
        if "expiresAt" in line:
            assert abs(entry["expiresAt"] - line["expiresAt"]) < 5000
        else:
            assert entry["expiresAt"] is None


def test_import_tries_again_what_was_refused(run: Commands, tmp_path: Path):
    lines = [{"key": f"k{number}", "value": 1} for number in range(1000)]
    lines[600:701] = [{"key": "x" * 600 + str(number), "value": 1} for number in range(101)]
    file = tmp_path / "copy.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    done = run_copy("import", str(file), environment=run.environment)
    assert_failed(done, says=("the rest was not tried",))
    mark = tmp_path / f"copy.jsonl.127.0.0.1-{run.server.port}.imported"
    assert json.loads(mark.read_bytes())[-1] == 500


def test_import_skips_expired_entries(run: Commands, tmp_path: Path):
    file = tmp_path / "copy.jsonl"
    file.write_text('{"key":"old","value":1,"expiresAt":1}\n\n{"key":"new","value":1}\n', "utf-8")
    assert run.json("import", str(file)) == {"stored": 1, "expired": 1, "skipped": 0}
    assert run.json("keys") == ["new"]


def test_export_fails_for_a_file_that_cannot_be_written(run: Commands, tmp_path: Path):
    file = tmp_path / "missing" / "copy.jsonl"
    done = run_copy("export", str(file), environment=run.environment)
    assert_failed(done, says=(str(file), "cannot be written"))


@pytest.fixture
def guarded(start_server: StartServer, tmp_path: Path) -> Commands:
    """A server with tokens of several rights; a key in each of three namespaces, and two more."""
    rights = {
        "all": "rights = ['read', 'write', 'admin']",
        "stage": "rights = ['read', 'write']\nkeys = ['sc*']\nnamespaces = ['stage', '']",
        "sensor": "rights = ['write']",
        "overlay": "rights = ['read']",
        "nobody": "rights = ['read']\nkeys = []",
    }
    file = tmp_path / "tokens.toml"
    text = "\n".join(f"[{name}]\ntoken = '{name}'\n{table}" for name, table in rights.items())
    file.write_text(text, "utf-8")
    file.chmod(0o600)
    run = Commands(start_server("--tokens", str(file)))
    for ns in ("", "stage", "private"):
        run("set", "score", "1", "--ns", ns, "--token", "all")
    run("mset", "other=2", "scene=3", "--token", "all")
    return run


def as_whom(run: Commands, token: str, *arguments: str) -> Any:
    return run_copy(*arguments, "--token", token, environment=run.environment)


def keys_in(file: Path) -> list[str]:
    entries = map(json.loads, file.read_text("utf-8").splitlines())
    return [f"{entry.get('ns', '')}/{entry['key']}" for entry in entries]


def test_export_with_a_restricted_token_reports_the_keys_left_out(
    guarded: Commands, tmp_path: Path
):
    file = tmp_path / "copy.jsonl"
    done = as_whom(guarded, "stage", "export", str(file))
    says = ("3 keys are in", "2 of the server's 5 are not", "--token")
    assert_failed(done, says=(*says, "the keys sc* in namespace stage or in no namespace"))
    assert keys_in(file) == ["/scene", "/score", "stage/score"]

    for whole in ("all", "overlay"):
        assert as_whom(guarded, whole, "export", str(file)).returncode == 0
        assert len(keys_in(file)) == 5

    done = as_whom(guarded, "nobody", "export", str(tmp_path / "empty.jsonl"))
    assert_failed(done, says=("5 of the server's 5 are not", "sees only no keys", "--token"))


def test_export_with_a_token_that_sees_all_current_keys_succeeds(guarded: Commands, tmp_path: Path):
    guarded("del", "other", "--token", "all")
    guarded("del", "score", "--ns", "private", "--token", "all")
    file = tmp_path / "copy.jsonl"
    assert as_whom(guarded, "stage", "export", str(file)).returncode == 0
    assert keys_in(file) == ["/scene", "/score", "stage/score"]


def test_export_with_a_token_without_read_fails_and_keeps_the_file(
    guarded: Commands, tmp_path: Path
):
    file = tmp_path / "copy.jsonl"
    file.write_text("an older copy", "utf-8")
    done = as_whom(guarded, "sensor", "export", str(file))
    assert_failed(done, says=("may read nothing", "nothing was exported", "--token"))
    assert file.read_text("utf-8") == "an older copy"


def test_import_with_a_token_without_the_right_fails(guarded: Commands, tmp_path: Path):
    file = tmp_path / "copy.jsonl"
    lines = [{"key": "other", "ns": "x", "value": 9}, {"key": "more", "ns": "x", "value": 9}]
    lines.append({"key": "score", "value": 9})
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    done = as_whom(guarded, "overlay", "import", str(file))
    assert_failed(done, says=("may write nothing", "nothing was stored", "--token"))
    done = as_whom(guarded, "stage", "import", str(file))
    says = ("not stored: 2 of 3 keys, all others were", "other of namespace x: ", "no right")
    assert_failed(done, says=(*says, "--token"))
    assert guarded.json("get", "score", "--token", "all") == 9


@pytest.mark.parametrize("command", ["export", "import"])
def test_wrong_address_wrong_token_and_no_token_have_different_errors(
    guarded: Commands, tmp_path: Path, command: str
):
    file = tmp_path / "copy.jsonl"
    file.write_text('{"key":"k","value":1}\n', "utf-8")
    for url in (f"{guarded.server.url}/test", f"{guarded.server.url}/www/"):
        done = run_copy(command, str(file), "--token", "all", "--url", url)
        root = guarded.server.url.replace("http", "ws")
        assert_failed(done, says=("no dunena", f"at {root}, without the path", "--url"), code=4)
    done = as_whom(guarded, "wrong", command, str(file))
    assert_failed(done, says=("does not know this token", "Unauthorized", "--token"))
    done = run_copy(command, str(file), environment=guarded.environment)
    assert_failed(done, says=("wants a token", "Unauthorized", "--token"))


@pytest.mark.parametrize("command", [("get", "private"), ("watch", "private")])
def test_a_command_the_token_does_not_permit_fails_naming_the_right(
    guarded: Commands, command: tuple[str, ...]
):
    done = as_whom(guarded, "stage", *command)
    assert_failed(done, says=('Not permitted: read "private"', "no right", "--token"))


# --- load, advice ---


def test_bench_measures_both_dialects_and_leaves_no_key(run: Commands):
    rows = run.json("bench", "--seconds", "0.1", "--clients", "3")
    assert {row["dialect"] for row in rows} == {"dunena", "object store"}
    assert all(row["perSecond"] > 0 and row["p99Ms"] >= row["medianMs"] > 0 for row in rows)
    assert run.json("info")["entries"] == 0


def doctor(*arguments: str, code: int = 0) -> dict[str, dict[str, str]]:
    done = run_copy("doctor", *arguments)
    assert done.returncode == code, (done.stdout, done.stderr)
    report = json.loads(done.stdout)
    assert report["isWell"] is (code == 0)
    return {finding["about"]: finding for finding in report["findings"]}


def test_a_long_word_that_is_no_command_is_not_shown_in_full():
    done = run_copy("x" * 100_000)
    assert done.returncode == 2
    assert f"No such command '{'x' * 60}...'" in done.stderr
    assert len(done.stderr) < 300


def test_doctor_reports_ok_and_leaves_no_file(tmp_path: Path):
    found = doctor("--port", str(free_port()), "--cache-dir", str(tmp_path / "new" / "values"))
    assert {finding["level"] for finding in found.values()} == {"ok"}
    assert {"version", "platform", "folder", "port", "origins", "clock", "disk speed"} <= {*found}
    assert list(tmp_path.iterdir()) == []


def test_doctor_examines_the_users_folder_where_the_default_one_cannot_be_written(tmp_path: Path):
    current, home = tmp_path / "current", tmp_path / "home"
    current.mkdir()
    home.mkdir()
    (current / ".cache").write_text("in the way", "utf-8")
    done = run_program(
        "doctor", "--port", "0", environment=data_home(home), program=program_in(current)
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    found = {finding["about"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert found["folder"]["level"] == "ok"
    assert str(home) in found["folder"]["text"]
    assert found["default folder"]["level"] == "note"
    assert str(current / ".cache") in found["default folder"]["text"]
    assert list(home.iterdir()) == [], "nothing is made"


def test_doctor_reports_a_busy_port_and_an_unusable_folder(server: ServerProcess, tmp_path: Path):
    import socket

    (tmp_path / "file").write_text("", "utf-8")
    folder = tmp_path / "file" / "values"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        arguments = ("--cache-dir", str(folder), "--port", port, "--allow-origin", "example.com")
        found = doctor(*arguments, code=1)
    assert {about for about, one in found.items() if one["level"] == "bad"} == {
        "folder",
        "port",
        "origins",
    }
    assert "--cache-dir" in found["folder"]["advice"]
    found = doctor("--port", "0", "--host", "0.0.0.0", "--allow-origin", "null", "--no-persist")
    assert "--token" in found["who gets in"]["advice"]
    assert found["origins"]["level"] == "note"


@pytest.mark.parametrize("where", ["another folder", "no folder", "the folder, another host"])
def test_doctor_reports_the_port_of_another_dunena_as_a_problem(
    server: ServerProcess, tmp_path: Path, where: str
):
    arguments = {
        "another folder": ("--cache-dir", str(tmp_path / "another")),
        "no folder": ("--no-persist",),
        "the folder, another host": ("--cache-dir", str(server.folder), "--host", "0.0.0.0"),
    }[where]
    found = doctor("--port", str(server.port), *arguments, code=1)
    assert found["port"]["level"] == "bad"
    assert found["port"]["text"] == f"a dunena runs at {server.port} already"
    assert "--port 0" in found["port"]["advice"]
    if where == "the folder, another host":
        assert found["folder"]["level"] == "bad"


@pytest.mark.parametrize("port", [0, None])
def test_doctor_reports_a_folder_used_by_another_server_as_a_problem(
    server: ServerProcess, port: int | None
):
    wanted = free_port() if port is None else port
    found = doctor("--port", str(wanted), "--cache-dir", str(server.folder), code=1)
    assert [about for about, one in found.items() if one["level"] == "bad"] == ["folder"]
    assert found["folder"]["text"].endswith(
        f" used by the dunena at http://localhost:{server.port}"
    )
    assert "--cache-dir" in found["folder"]["advice"]


def test_doctor_reports_a_folder_that_cannot_be_locked_as_a_problem(tmp_path: Path):
    (tmp_path / ".dunena" / "lock").mkdir(parents=True)
    found = doctor("--port", "0", "--cache-dir", str(tmp_path), code=1)
    assert [about for about, one in found.items() if one["level"] == "bad"] == ["folder"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_doctor_notes_that_the_very_server_it_is_asked_about_runs(
    start_server: StartServer, host: str
):
    server = start_server("--host", host)
    arguments = ("--host", host, "--port", str(server.port))
    found = doctor(*arguments, "--cache-dir", str(server.folder))
    assert {about for about, one in found.items() if one["level"] == "note"} == {"folder", "port"}
    assert found["port"]["text"] == f"{server.port} is that server's"
    server.stop()
    found = doctor(*arguments, "--cache-dir", str(server.folder))
    assert {found[about]["level"] for about in ("folder", "port")} == {"ok"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_completion_prints_a_script_for_the_shell(shell: str):
    done = run_copy("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert "_DUNENA_COMPLETE" in done.stdout
    assert "\r" not in done.stdout


def test_the_shell_completion_lists_commands():
    program = "import sys; sys.argv[0] = 'dunena'; from dunena.cli import main; main()"
    environment = {
        "_DUNENA_COMPLETE": "complete_bash",
        "COMP_CWORD": "1",
    }
    for typed, names in (("mg", ["mget"]), ("inc", ["incr"]), ("rev", ["revert"])):
        words = environment | {"COMP_WORDS": f"dunena {typed}"}
        done = run_program(environment=words, program=(sys.executable, "-c", program))
        assert done.stdout.split() == names


# --- what a start costs ---

LOADED = """
import sys
from dunena.cli import main
try:
    main()
finally:
    print(*sorted(sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "away"),
    [
        (
            ("version",),
            {"asyncio", "websockets", "rich", "http.client", "ssl", "orjson", "filelock"},
        ),
        (
            ("get", "k"),
            {"asyncio", "websockets", "rich", "http.client", "email", "ssl", "filelock"},
        ),
        (
            ("keys", "--json"),
            {"asyncio", "websockets", "rich", "http.client", "email", "ssl", "filelock"},
        ),
        (("watch", "k*"), {"asyncio", "rich", "dunena.server.app"}),
        (("incr", "k"), {"asyncio", "rich", "dunena.server.app", "dunena.dialects"}),
    ],
    ids=["version", "get", "keys", "watch", "incr"],
)
def test_a_command_imports_only_the_modules_it_uses(
    run: Commands, arguments: tuple[str, ...], away: set[str]
):
    """A limit on the cost of a start that does not depend on how busy the machine is."""
    program = (sys.executable, "-c", LOADED)
    environment = run.environment | ({"DUNENA_URL": "localhost:1"} if "watch" in arguments else {})
    done = run_program(*arguments, program=program, environment=environment)
    loaded = set(done.stderr.split("\n")[-2].split())
    assert f"dunena.cli.commands.{arguments[0]}" in loaded
    assert not loaded & (away | {"dunena.cli.commands.serve", "dunena.server", "watchfiles"})


def test_a_server_of_its_own_loads_nothing_of_a_shared_store():
    program = """
import asyncio, sys
from dunena.cli.running import Server
from dunena.cli.setting_options import settings_of
from dunena.setting_table import GivenSettings

async def run():
    server = Server(settings_of(GivenSettings(port=0), None, None))
    await server.start()
    await server.stop()

asyncio.run(run())
print(*sorted(sys.modules))
"""
    done = run_program(program=(sys.executable, "-c", program))
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.split()
    assert "dunena.server.app" in loaded
    of_store = ("nats", "dunena.persistence.jetstream", "dunena.server.shared")
    assert not [name for name in loaded if name.startswith(of_store)]
    assert not {
        "dunena.cli.store_options",
        "dunena.persistence.log",
        "dunena.server.status.store_notices",
        "dunena.server.status.store_report",
    } & set(loaded)


def test_no_garbage_collection_runs_while_a_start_imports():
    program = """
import gc, sys
from dunena import cli
collected = []
gc.callbacks.append(lambda phase, info: collected.append(phase))
sys.argv = ["dunena", "get", "k"]
cli.load()
assert "dunena.cli.commands.get" in sys.modules
print(collected, gc.isenabled(), gc.get_freeze_count() > 10_000)
"""
    done = run_program(program=(sys.executable, "-c", program))
    assert done.stdout == "[] True True\n"


def test_a_server_listens_before_importing_modules_for_the_first_client():
    program = """
import sys
from dunena import cli
sys.argv = ["dunena", "serve"]
cli.load()
assert "dunena.server.app" in sys.modules
late = {"typer", "filelock", "websockets.server", "websockets.frames", "platformdirs",
    "prometheus_client", "watchfiles",
    "dunena.server.status.openapi", "segno", "dunena.qr_code", "dunena.server.access.sign_in"}
print(late & set(sys.modules))
"""
    done = run_program(program=(sys.executable, "-c", program))
    assert done.stdout == "set()\n"


# --- somebody looks ---


@in_a_terminal
def test_commands_print_tables_and_sentences_in_a_terminal(run: Commands):
    with run.terminal("set", "score", '{"home":2}', "--ttl", "1h") as terminal:
        assert shown(terminal) == "Stored score.\n"
    with run.terminal("set", "title", "Hello") as terminal:
        said, stored = shown(terminal).splitlines()
        assert said.startswith("title was stored as text, since it is no JSON")
        assert stored == "Stored title."
    run("del", "title")
    with run.terminal("get", "score") as terminal:
        assert shown(terminal) == '{\n  "home": 2\n}\n'
    with run.terminal("get", "score", "--json") as terminal:
        assert shown(terminal) == '{"home":2}\n'
    with run.terminal("keys") as terminal:
        text = shown(terminal)
        assert "\x1b[" in terminal.raw
    assert "key" in text.splitlines()[0]
    assert re.search(r"in 3,(5\d\d|600) s", text)  # a busy machine takes some seconds
    assert '{"home":2}' in text
    assert text.endswith("1 key\n")
    with run.terminal("info") as terminal:
        assert "entries         1" in shown(terminal)
    with run.terminal("stats") as terminal:
        assert "  currentSize    1" in shown(terminal)
    with run.terminal("doctor", "--port", "0") as terminal:
        assert "ok    version" in shown(terminal)
    with run.terminal("del", "score", "other") as terminal:
        assert shown(terminal) == "Deleted 1 of 2.\n"


@in_a_terminal
def test_operations_print_values_and_sentences_in_a_terminal(run: Commands):
    run("set", "score", '{"home":2}')
    with run.terminal("incr", "score", "--path", "/home") as terminal:
        assert shown(terminal) == "3\n"
    with run.terminal("merge", "score", '{"guest":1}') as terminal:
        assert shown(terminal) == '{\n  "home": 3,\n  "guest": 1\n}\n'
    with run.terminal("append", "chat", "1", "2") as terminal:
        assert shown(terminal) == "chat has 2 values.\n"
    with run.terminal("touch", "score", "30s") as terminal:
        assert shown(terminal) == "score expires in 30 s.\n"
    with run.terminal("touch", "score", "0") as terminal:
        assert shown(terminal) == "score never expires.\n"
    with run.terminal("history", "score") as terminal:
        heading, _, row, *_ = shown(terminal).splitlines()
    assert heading.split() == ["revision", "time", "value"]
    entry = run.json("history", "score")[0]
    assert row.split()[0] == str(entry["rev"])
    assert row.split()[-1] == '{"home":3,"guest":1}'
    with run.terminal("del", "score", "--path", "/home") as terminal:
        assert shown(terminal) == "Deleted 1 of 1.\n"


@in_a_terminal
def test_no_color_turns_colours_off(run: Commands):
    run("set", "k", "1")
    with run.terminal("keys", NO_COLOR="1") as terminal:
        shown(terminal)
        assert "\x1b[3" not in terminal.raw
        assert "\x1b[9" not in terminal.raw


@in_a_terminal
@pytest.mark.parametrize(("answer", "left", "code"), [("y", 0, 0), ("n", 1, 1), ("", 1, 1)])
def test_flush_asks_for_confirmation_in_a_terminal(
    run: Commands, answer: str, left: int, code: int
):
    run("set", "k", "1")
    with run.terminal("flush") as terminal:
        terminal.wait_for("Delete all 1 keys")
        terminal.press(f"{answer}\n")
        shown(terminal, code)
    assert run.json("info")["entries"] == left


@in_a_terminal
def test_export_and_import_show_a_progress_bar_in_a_terminal(
    run: Commands, filled: dict[tuple[str, str], Any], tmp_path: Path
):
    file = str(tmp_path / "copy.zip")
    with run.terminal("export", file) as terminal:
        text = shown(terminal)
    assert "Exporting [" in text
    assert text.endswith(f"Exported {len(filled):,} keys to {file}.\n")
    with run.terminal("import", file) as terminal:
        text = shown(terminal)
    assert "Importing [" in text
    assert text.endswith(f"Stored {len(filled):,} keys.\n")


@in_a_terminal
def test_watch_and_bench_print_readable_lines_in_a_terminal(run: Commands):
    with run.terminal("watch", "k") as terminal:
        terminal.wait_for("k  null")
        run("set", "k", '{"x":1}')
        terminal.wait_for('k  {"x":1}')
    with run.terminal("bench", "--seconds", "0.1") as terminal:
        assert "object store" in shown(terminal)
