"""Getting started, the recipes and the first lines of the JavaScript client: each example does
what its page says.

What needs a browser is in tests/browser/test_recipe_pages.py.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.folders import until, write_files
from tests.protocol.clients import http
from tests.support.documents import (
    ROOT,
    SECONDS_MAX,
    at,
    blocks,
    python_code,
    try_curl_examples,
    try_python_example,
)
from tests.support.fixtures import StartServer
from tests.support.node_client import CLIENT
from tests.support.server import ServerProcess

STARTED = "docs/getting-started.md"
GRAPHICS = "docs/recipes/graphics.md"
SENSOR = "docs/recipes/sensor.md"
LOBBY = "docs/recipes/lobby.md"
REPLACING = "docs/recipes/replacing.md"


@contextmanager
def running(command: list[Any], **options: Any) -> "Iterator[subprocess.Popen[str]]":
    """A program whose lines are read while it runs."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, encoding="utf-8", **options) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_line(process: "subprocess.Popen[str]", wanted: str) -> None:
    """Read until a line is the one; the suite's time limit ends it where it never comes."""
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if lines[-1] == wanted:
            return
    pytest.fail(f"it ended without {wanted!r}: {lines}")


def run_dunena(command: str, server: ServerProcess) -> str:
    """What a command of the program, as it is written in a page, prints."""
    words = [sys.executable, "-m", *shlex.split(command)]
    environment = {**os.environ, "DUNENA_URL": server.ws_url}
    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX, check=True
    )
    return done.stdout


# --- getting started ---


def test_each_first_key_example_runs_as_documented(server: ServerProcess, curl: Path):
    assert try_curl_examples(STARTED, server, curl) == 2

    (terminal,) = [block for block in blocks(STARTED, "sh") if block.startswith("dunena set")]
    written, read = terminal.splitlines()
    run_dunena(written, server)
    assert json.loads(run_dunena(read, server)) == {"home": 3, "guest": 1}

    (example,) = blocks(STARTED, "python")
    try_python_example(example, server)
    (expected,) = blocks(STARTED, "json")
    path = server.folder / "score.json"
    until(lambda: path.read_text("utf-8") == expected.rstrip("\n"), "the file of the page")


# --- the JavaScript client ---


def test_the_first_javascript_client_example_follows_a_value(
    server: ServerProcess, tmp_path: Path, node: Path, node_modules: Path
):
    example = blocks("docs/client.md", "js")[0]
    for written, here in (
        ('"/dunena.js"', '"./dunena.mjs"'),
        ("connect()", f'connect("http://localhost:{server.port}")'),
    ):
        assert example.count(written) == 1
        example = example.replace(written, here)
    (printed,) = re.findall(r"console\.log\(.*\); // (.*)$", example, re.MULTILINE)
    write_files(tmp_path, {"example.mjs": example})
    shutil.copyfile(CLIENT / "dunena.js", tmp_path / "dunena.mjs")
    (tmp_path / "node_modules").mkdir()
    shutil.copytree(node_modules / "ws", tmp_path / "node_modules" / "ws")
    with running([node, tmp_path / "example.mjs"]) as program:
        wait_for_line(program, printed)
        assert http(server, "POST", "/set", {"key": "score", "value": "over"}).status == 200
        wait_for_line(program, "over")


# --- vMix ---


def test_the_graphics_recipe_has_a_table_for_vmix(server: ServerProcess, curl: Path):
    assert try_curl_examples(GRAPHICS, server, curl) == 2


# --- a sensor ---


def test_the_sensor_recipe_writes_and_reads_a_value(server: ServerProcess):
    sensor, reader = (python_code(example, server) for example in blocks(SENSOR, "python"))
    assert "SECONDS = 5\n" in sensor
    sensor = sensor.replace("SECONDS = 5\n", "SECONDS = 1\n")
    assert server.stop() == 0
    with running([sys.executable, "-c", sensor]) as measuring:
        server.start()
        with running([sys.executable, "-c", reader]) as watching:
            wait_for_line(watching, "greenhouse is there")
            reading = http(server, "GET", "/get/greenhouse").json["value"]
            assert reading.keys() == {"celsius", "at"}
            measuring.kill()
            wait_for_line(watching, "greenhouse is silent")
    assert http(server, "GET", "/get/greenhouse").json["value"] is None


# --- a lobby ---

PLAYER = """
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [, , modules, name] = process.argv;
globalThis.WebSocket = createRequire(modules + "/")("ws");
const { join, follow } = await import("./lobby.mjs");
const me = join({ name, ready: false });
follow((players) => {
  const shown = Object.values(players).map(({ name, ready }) => (ready ? `${name}!` : name));
  console.log(shown.sort().join(" "));
});
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "ready") await me.change({ ready: true });
  if (line === "leave") await me.leave();
  if (line === "talk") {
    const { say, vote, followChat, followVotes, clearVotes } = await import("./talk.mjs");
    followChat((lines) => console.log(`chat ${lines.map(({ text }) => text).join(" ")}`));
    followVotes((votes) => console.log(`votes ${JSON.stringify(votes)}`));
    await Promise.all([say(name, "hi"), say(name, "there"), vote("forest"), vote("forest")]);
    await vote("desert");
    await clearVotes();
    console.log("talked");
  }
}
"""
"""A page's part of the lobby, told by lines what its player does."""


@pytest.fixture
def lobby(server: ServerProcess, tmp_path: Path) -> Path:
    """A folder with the module of the page, quicker, and with what a page of the server knows."""
    module, talk = blocks(LOBBY, "js")
    for written, here in (
        ('"/dunena.js"', '"./dunena.mjs"'),
        ("connect({", f'connect("http://localhost:{server.port}", {{'),
        ("grace: 5000", "grace: 500"),
    ):
        assert module.count(written) == 1
        module = module.replace(written, here)
    folder = tmp_path / "lobby"
    talk = talk.replace("./lobby.js", "./lobby.mjs")
    write_files(folder, {"lobby.mjs": module, "talk.mjs": talk, "player.mjs": PLAYER})
    shutil.copyfile(CLIENT / "dunena.js", folder / "dunena.mjs")
    return folder


def test_the_lobby_recipe_lists_players_as_they_join_and_leave(
    server: ServerProcess, lobby: Path, node: Path, node_modules: Path
):
    with ExitStack() as stack:

        def enter(name: str) -> "subprocess.Popen[str]":
            command = [node, lobby / "player.mjs", node_modules, name]
            return stack.enter_context(running(command))

        ada = enter("Ada")
        wait_for_line(ada, "Ada")
        bob = enter("Bob")
        wait_for_line(ada, "Ada Bob")
        wait_for_line(bob, "Ada Bob")
        tell(bob, "ready")
        wait_for_line(ada, "Ada Bob!")
        bob.kill()
        wait_for_line(ada, "Ada")
        cyd = enter("Cyd")
        wait_for_line(ada, "Ada Cyd")
        tell(cyd, "leave")
        wait_for_line(ada, "Ada")

        # Who came while a player had no connection is met when there is one again.
        assert server.stop() == 0
        write_files(server.folder, {"lobby/dan.json": '{"name": "Dan", "ready": false}'})
        server.start()
        wait_for_line(ada, "Ada Dan")


def test_the_lobby_recipe_has_a_chat_and_votes_that_are_no_players(
    server: ServerProcess, lobby: Path, node: Path, node_modules: Path
):
    command = [node, lobby / "player.mjs", node_modules, "Ada"]
    with running(command) as ada:
        wait_for_line(ada, "Ada")
        tell(ada, "talk")
        lines = []
        while "talked" not in lines:
            lines.append(ada.stdout.readline().rstrip("\n"))
    assert [line for line in lines if line.startswith("chat")][-1] == "chat hi there"
    votes = [json.loads(line.removeprefix("votes ")) for line in lines if line.startswith("votes")]
    assert {"forest": 2, "desert": 1} in votes
    assert votes[-1] == {}
    assert not any("chat" in line or "votes" in line for line in lines if line[:1].isupper())
    assert http(server, "GET", "/kv/chat?ns=talk").json[0] == {"by": "Ada", "text": "hi"}


def tell(process: "subprocess.Popen[str]", line: str) -> None:
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


# --- replacing a server ---


def test_the_replacing_recipe_takes_over_a_folder_of_files(
    start_server: StartServer, tmp_path: Path
):
    values = tmp_path / "values"
    files = {"player-position.json": '{"x":100,"y":200}', "Ångström.json": "[1, 2]"}
    write_files(values, files)
    check, serve = blocks(REPLACING, "sh")[0].splitlines()
    assert serve == "dunena serve --cache-dir values"
    words = [sys.executable, "-m", *shlex.split(check)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, timeout=SECONDS_MAX)
    assert done.returncode == 0
    write_files(values, {"broken.json": "{"})
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, timeout=SECONDS_MAX)
    assert done.returncode == 1

    server = start_server(folder=values)
    assert http(server, "GET", "/get/player-position").json["value"] == {"x": 100, "y": 200}
    assert http(server, "GET", "/get/%C3%85ngstr%C3%B6m").json["value"] == [1, 2]
    assert (values / "broken.json").read_text("utf-8") == "{"


def test_the_replacing_recipe_copies_the_keys_of_a_cache(start_server: StartServer, tmp_path: Path):
    (program,) = blocks(REPLACING, "python")
    command = blocks(REPLACING, "sh")[1]
    old, new = (start_server(folder=tmp_path / name) for name in ("old", "new"))
    values = {"greeting": "hello", "session-42": "[]"}
    for key, value in values.items():
        assert http(old, "POST", f"/cache/{key}", {"value": value}).status == 201
    write_files(tmp_path, {"move_keys.py": program})
    words = shlex.split(at(old, command).replace("localhost:3001", f"localhost:{new.port}"))
    assert words[:2] == ["python", "move_keys.py"]
    done = subprocess.run(
        [sys.executable, *words[1:], "nobody"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
    )
    assert (done.stdout, done.stderr) == ("{'stored': 2}\n", "")
    for key, value in values.items():
        assert http(new, "GET", f"/cache/{key}").json["value"] == value


def test_every_command_on_the_pages_exists():
    """Commands that start a server, or run until they are stopped, are not run here."""
    from dunena.cli.command_table import MODULES

    for page in (STARTED, GRAPHICS, SENSOR, LOBBY, REPLACING, "docs/recipes/obs.md"):
        inline = re.findall(r"`dunena ([a-z]+)", (ROOT / page).read_text("utf-8"))
        typed = re.findall(r"^dunena ([a-z]+)", "\n".join(blocks(page, "sh")), re.MULTILINE)
        for name in inline + typed:
            assert name in MODULES, f"{page}: {name}"
