"""The page "Devices and apps": its examples do what it says, and get what the page shows.

Programs that can be had here run the examples as they are written. For the others the requests of
the page are sent as their documentation or sources say that they send them.
"""

import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from ruamel.yaml import YAML

from tests.e2e.folders import until, write_files
from tests.protocol.clients import RawConnection, Reply, http, open_client
from tests.support.command_lines import literals_of_powershell, words_of_cmd
from tests.support.documents import (
    ROOT,
    at,
    blocks,
    try_curl_examples,
    try_examples,
    try_stream_example,
)
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess

PAGE = "docs/devices.md"
TEXT = (ROOT / PAGE).read_text("utf-8")

STORE = "http://192.168.1.10:3000"
SECRET = "a-secret-of-the-banner"


@pytest.fixture
def match(server: ServerProcess) -> ServerProcess:
    """A server with the values of the page."""
    put(server, "match", {"home": {"score": 2}, "guest": {"score": 1}})
    put(server, "sensor-1", {"celsius": 20.1})
    return server


def put(server: ServerProcess, key: str, value: Any) -> None:
    assert http(server, "PUT", f"/kv/{key}", json.dumps(value)).status in (201, 204)


def home_score(server: ServerProcess) -> Any:
    return http(server, "GET", "/kv/match?path=/home/score").json


def path_of(address: str) -> str:
    """What a request for an address of the page asks for."""
    parts = urlsplit(address)
    assert f"{parts.scheme}://{parts.netloc}" == STORE
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def section(heading: str) -> str:
    """What is below a heading, up to the next of its level."""
    return TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


# --- before anything else ---


def test_the_answers_that_the_page_explains_are_those_of_the_server(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server()
    secret = start_server("--get-writes", SECRET, folder=tmp_path / "secret")
    token = start_server("--token", "t0ken", folder=tmp_path / "token")
    body = http(server, "GET", "/health").body.decode()
    (beginning,) = re.findall(r"It shows\s+`(.*?)` and more", TEXT)
    assert body.startswith(beginning)

    stranger, page = {"Host": "show.example.com"}, {"Origin": "https://example.com"}
    answers = {
        "401": http(token, "GET", "/kv/match"),
        "403 Host": http(server, "GET", "/kv/match", headers=stranger),
        "403 Origin": http(server, "GET", "/kv/match", headers=page),
        "404 GET writes": http(server, "GET", f"/do/{SECRET}/incr/match"),
        "403 Wrong": http(secret, "GET", f"/do/{SECRET[:-1]}/incr/match"),
        "404 with": http(server, "GET", "/kv/match"),
    }
    table = section("Before anything else")
    rows = re.findall(r"^\| (\d{3})( with)? `(.*?)` \|", table, re.MULTILINE)
    assert len(rows) == len(answers)
    for (status, link, text), (name, reply) in zip(rows, answers.items(), strict=True):
        assert f"{status}{link or ' ' + text}".startswith(name)
        assert (reply.status, text in reply.body.decode()) == (int(status), True), name


def test_a_secret_in_an_address_replaces_the_token(start_server: StartServer) -> None:
    server = start_server("--token", "t0ken", "--get-writes", SECRET)
    assert http(server, "GET", f"/do/{SECRET}/incr/match").status == 200


# --- a terminal ---


def test_the_examples_for_curl_and_wget_print_what_is_written(
    server: ServerProcess, curl: Path, wget: Path
) -> None:
    # The tables that curl reads further down have the value that wget stores.
    assert try_examples(PAGE, server, wget, "-T", "10") == 2
    assert try_curl_examples(PAGE, server, curl) == 7


def test_the_lines_for_powershell_send_what_they_say(match: ServerProcess) -> None:
    (block,) = blocks(PAGE, "powershell")
    read, count, shown = block.splitlines()

    assert literals_of_powershell(read) == [f"{STORE}/kv/match?path=/home/score"]
    address, content_type, body = literals_of_powershell(count)
    assert "-Method POST -ContentType" in count
    headers = {"Content-Type": content_type}
    assert http(match, "POST", path_of(address), body, headers).json["value"] == 3
    assert http(match, "GET", path_of(literals_of_powershell(read)[0])).json == 3
    address, authorization = literals_of_powershell(shown)
    assert "-Headers @{ Authorization =" in shown
    headers = {"Authorization": authorization}
    assert http(match, "GET", path_of(address), headers=headers).json["home"] == {"score": 3}


def test_the_lines_for_cmd_reach_curl_whole(match: ServerProcess, curl: Path) -> None:
    (block,) = blocks(PAGE, "bat")
    printed = []
    for line in block.splitlines():
        name, *words = words_of_cmd(line)
        assert name == "curl"
        words = [at(match, word) for word in words]
        printed.append(subprocess.run([curl, *words], capture_output=True, check=True).stdout)
    assert json.loads(printed[0])["value"] == 3
    assert printed[1] == b"3"


# --- live graphics ---


def test_the_address_for_vmix_is_a_list_of_flat_objects(match: ServerProcess) -> None:
    (address,) = re.findall(f"^{STORE}/kv.*", section("vMix"), re.MULTILINE)
    put(match, "sensor-2", {"celsius": 7, "place": {"floor": 1}})
    rows = http(match, "GET", path_of(address)).json
    assert [row["key"] for row in rows] == ["sensor-1", "sensor-2"]
    cells = [cell for row in rows for cell in row.values()]
    assert not any(isinstance(cell, dict | list) for cell in cells)


def test_the_text_files_are_there_from_the_start_and_follow(
    start_server: StartServer, tmp_path: Path
) -> None:
    (command,) = [block for block in blocks(PAGE, "sh") if block.startswith("dunena")]
    _, serve, option, folder, *words = shlex.split(command)
    assert (serve, option) == ("serve", "--text-dir")
    server = start_server(option, str(tmp_path / folder), *words)
    name, clock = (
        tmp_path / path for path in re.findall(r"`(texts/.*?)`", section("Text sources of OBS"))
    )
    until(lambda: clock.exists() and clock.read_text("utf-8") == "", "the empty file")
    whole = name.with_name("lower.txt")
    until(lambda: whole.exists() and whole.read_text("utf-8") == "", "the key's empty file")
    assert not name.exists()
    put(server, "lower", {"name": ""})
    until(lambda: name.exists() and name.read_text("utf-8") == "", "the member's empty file")
    put(server, "lower", {"name": "Zo\u00eb", "role": "Pilot"})
    timer = {"op": "timer", "do": "set", "ms": 299_000, "rate": -1}
    assert http(server, "POST", "/kv/clock", timer).status == 200
    until(lambda: name.exists() and name.read_text("utf-8") == "Zo\u00eb", "the member's file")
    until(lambda: clock.read_text("utf-8") == "4:59", "the timer's file")


# --- buttons ---


@pytest.mark.parametrize("is_escaped", [True, False])
def test_the_addresses_for_a_stream_deck_do_what_they_say(
    start_server: StartServer, *, is_escaped: bool
) -> None:
    server = start_server("--get-writes", SECRET)
    put(server, "match", {"home": {"score": 2}})
    assert http(server, "POST", "/kv/clock", {"op": "timer", "do": "set", "ms": 5000}).status == 200
    block = next(block for block in blocks(PAGE, "text") if "/do/" in block)
    shown = []
    for address in block.splitlines():
        path = path_of(address.replace("SECRET", SECRET))
        with RawConnection(server) as connection:
            # As it is written, or as a browser writes what may not stand in an address.
            connection.request("GET", quote(path, safe="/?&=:,-{}") if is_escaped else path)
            reply = connection.read_reply()
        assert reply.status == 200, reply.body
        shown.append(reply.body.decode())
    assert shown == ["3", "2", "0:05", '{"on":true}']
    assert http(server, "GET", "/entries/lower").json["entry"]["then"] == {"on": False}


def test_the_fields_for_companion_send_what_they_say(match: ServerProcess) -> None:
    """As its module sends them: the body is parsed and written anew."""
    text = section("Companion")
    fields = dict(re.findall(r"^\| ([\w ()]+) \| [^`\n]*`(.*?)` \|$", text, re.MULTILINE))
    assert list(fields) == ["URL", "Body", "header input (JSON)", "Content Type"]
    headers = {"Content-Type": fields["Content Type"], **json.loads(fields["header input (JSON)"])}
    body = json.dumps(json.loads(fields["Body"]), separators=(",", ":"))
    assert http(match, "POST", path_of(fields["URL"]), body, headers).json["value"] == 3

    (address,) = re.findall(rf"`({STORE}/kv/match\?.*?)`", text)
    assert http(match, "GET", path_of(address)).body == b"3"


# --- tables ---


def test_a_program_for_csv_reads_the_address_for_excel(match: ServerProcess) -> None:
    text = section("Excel and Google Sheets")
    (table,) = re.findall(rf"`({STORE}/kv\?.*?)`", text)
    (cell,) = re.findall(rf'WEBSERVICE\("({STORE}.*?)"\)', text)
    put(match, "sensor-2", {"celsius": -3, "place": 'the "hall", left\nor right', "note": "=1+1"})
    reply = http(match, "GET", path_of(table))
    assert reply.headers["content-type"].startswith("text/csv; charset=utf-8")
    rows = list(csv.DictReader(reply.body.decode().splitlines(keepends=True)))
    assert rows == [
        {"key": "sensor-1", "celsius": "20.1", "place": "", "note": ""},
        {
            "key": "sensor-2",
            "celsius": "-3",
            "place": 'the "hall", left\nor right',
            "note": "'=1+1",
        },
    ]
    assert http(match, "GET", path_of(cell)).body == b"2"


# --- devices and games ---


def sent_by_esp(sketch: str, body: str, port: int) -> str:
    """The bytes that the library of the ESP32 sends for the request of a sketch."""
    (address,) = re.findall(r'http\.begin\(client, "(.*?)"\)', sketch)
    headers = re.findall(r'^ *http\.addHeader\("(.*?)", "(.*?)"\)', sketch, re.MULTILINE)
    lines = [
        f"PUT {path_of(address)} HTTP/1.1",
        f"Host: 192.168.1.10:{port}",
        "User-Agent: ESP32HTTPClient",
        "Connection: keep-alive",
        "Accept-Encoding: identity;q=1,chunked;q=0.1,*;q=0",
        *(f"{name}: {value}" for name, value in headers),
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", body])


def test_the_sketch_stores_a_value_that_goes_by_itself(start_server: StartServer) -> None:
    # As on another machine: the address in Host is no loopback address.
    server = start_server("--host", "0.0.0.0")
    sketch, _ = blocks(PAGE, "cpp")
    assert sketch.count("http.PUT(body)") == 1
    (parts,) = re.findall(r'body = "(.*)" \+ String\((.*), 1\) \+ "(.*)";', sketch)
    body = "".join(parts).replace('\\"', '"')
    with RawConnection(server) as connection:
        statuses = []
        for _ in range(2):
            connection.send(sent_by_esp(sketch, body, server.port))
            reply = connection.read_reply()
            statuses.append(reply.status)
            assert "transfer-encoding" not in reply.headers
    assert f"// {statuses[0]} the first time, then {statuses[1]}" in sketch
    entry = http(server, "GET", "/entries/sensor-1").json
    assert entry["entry"]["value"] == {"celsius": 20.1}
    assert 0 < entry["entry"]["expiresAt"] - entry["timestamp"] <= 15_000


def test_the_loop_of_the_sketch_waits_for_another_value(match: ServerProcess) -> None:
    _, loop = blocks(PAGE, "cpp")
    path = path_of(re.findall(r'http\.begin\(client, "(.*?)"\)', loop)[0])
    ((header,),) = [re.findall(r'addHeader\("(.*?)", tag\)', loop)]
    (name,) = re.findall(r'http\.header\("(.*?)"\)', loop)
    first = http(match, "GET", path)
    assert (first.status, first.body) == (200, b"2"), "at once, as there is no tag yet"
    with RawConnection(match) as waiting:
        waiting.request("GET", path, {header: first.headers[name.lower()]})
        until(lambda: http(match, "GET", "/server").json["connections"]["http"] >= 2, "the wait")
        put(match, "match", {"home": {"score": 3}})
        held = waiting.read_reply()
    assert (held.status, held.body) == (200, b"3")
    assert "transfer-encoding" not in held.headers
    assert held.headers[name.lower()] != first.headers[name.lower()]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_bytes_for_a_board_get_a_whole_answer_and_its_end(
    start_server: StartServer, version: str
) -> None:
    server = start_server("--host", "0.0.0.0")
    put(server, "match", {"home": {"score": 2}})
    block = next(block for block in blocks(PAGE, "text") if "HTTP/1.0" in block)
    assert block.endswith("\n\n")
    if version == "1.1":
        block = block.replace("HTTP/1.0", "HTTP/1.1\nConnection: close")
    with RawConnection(server) as connection:
        connection.send(block.replace("\n", "\r\n"))
        received = b""
        while data := connection.socket.recv(4096):
            received += data
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"\r\ncontent-length: 1\r\n" in head.lower() + b"\r\n"
    assert b"transfer-encoding" not in head.lower()
    assert body == b"2"


def test_the_requests_of_the_unity_script_count_and_wait(match: ServerProcess) -> None:
    (script,) = blocks(PAGE, "csharp")
    (address,) = re.findall('Match = "(.*?)"', script)
    (body, content_type) = re.findall(r'Match, "(.*)", "(.*?)"\);', script)[0]
    (query,) = re.findall(r'Get\(Match \+ "(.*?)"\)', script)
    path = path_of(address)

    first = http(match, "GET", path + query)
    assert first.status == 200, "at once, as there is no tag yet"
    headers = {"Content-Type": content_type}
    count = body.replace('\\"', '"')
    with RawConnection(match) as waiting:
        waiting.request("GET", path + query, {"If-None-Match": first.headers["etag"]})
        until(lambda: http(match, "GET", "/server").json["connections"]["http"] >= 2, "the wait")
        assert http(match, "POST", path, count, headers).json["value"] == 3
        held = waiting.read_reply()
    assert (held.status, held.json["home"]) == (200, {"score": 3})
    assert held.headers["etag"] != first.headers["etag"]


def test_the_messages_of_the_godot_script_follow_and_count(match: ServerProcess) -> None:
    (script,) = blocks(PAGE, "gdscript")
    subscribe, count = re.findall(r"send_text\('(.*?)'\)", script)
    assert script.count('connect_to_url("ws://" + SERVER + "/")') == 2
    shown = next(block for block in blocks(PAGE, "json") if block.startswith('{"key":"match"'))
    with open_client(match, "/", speaks_dunena=False) as client:
        client.send(subscribe)
        client.receive_text()
        client.send(count)
        assert client.receive_text() + "\n" == shown


# --- automation ---


def test_the_configuration_for_home_assistant_reads_and_writes(match: ServerProcess) -> None:
    (block,) = blocks(PAGE, "yaml")
    settings = YAML(typ="safe", pure=True).load(block)
    (resource,) = settings["rest"]
    (sensor,) = resource["sensor"]
    (member,) = re.fullmatch(r"\{\{ value_json\.(\w+) \}\}", sensor["value_template"]).groups()
    assert http(match, "GET", path_of(resource["resource"])).json[member] == 20.1

    commands = settings["rest_command"]
    count, store = (commands[name] for name in re.findall(r"`rest_command\.(\w+)`", TEXT))
    assert run_command(match, count).json["value"] == 3
    assert run_command(match, store, "21.5").status == 201
    assert http(match, "GET", "/kv/sensor-office").json == {"celsius": 21.5}
    assert run_command(match, store, "unavailable").status == 400
    quoted = {**store, "payload": re.sub(r"(\{\{.*?\}\})", r'"\1"', store["payload"])}
    assert run_command(match, quoted, "unavailable").status == 204


def run_command(server: ServerProcess, command: dict[str, str], state: str = "") -> Reply:
    """What a `rest_command` gets, with a state in its template."""
    payload = re.sub(r'\{\{ states\(".*?"\) \}\}', state, command["payload"])
    headers = {"Content-Type": command["content_type"]}
    return http(server, command["method"].upper(), path_of(command["url"]), payload, headers)


NODE_RED_SETTINGS = """
module.exports = {
  flowFile: "flow.json", credentialSecret: false, telemetry: { enabled: false },
  httpAdminRoot: false, httpNodeRoot: false,  // no editor, and so no port
};
"""


def test_the_flow_for_node_red_counts_and_follows(
    match: ServerProcess, node: Path, node_red: Path, tmp_path: Path
) -> None:
    flow = json.loads(at(match, next(block for block in blocks(PAGE, "json") if block[0] == "[")))
    (button,) = [part for part in flow if part["type"] == "inject"]
    button["once"] = True  # as nobody is there to press it
    files = {"flow.json": json.dumps(flow), "settings.js": NODE_RED_SETTINGS}
    write_files(tmp_path, files)
    command = [node, node_red, "--userDir", tmp_path, "--settings", tmp_path / "settings.js"]
    with printing(command, stderr=subprocess.STDOUT) as lines:
        shown = debugged(lines)
        seen: dict[str, str] = {}
        while seen != {"answer": "3", "match": "{ home: { score: 3 }, guest: { score: 1 } }"}:
            seen |= [next(shown)]
        match.stop()
        match.start()
        put(match, "match", "after a restart")
        while seen["match"] != "after a restart":
            seen |= [next(shown)]


def debugged(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """What debug nodes print: their names, and values, which may be in the next line."""
    for line in lines:
        if found := re.search(r"\[debug:(\w+)\] (.*)", line):
            yield found[1], found[2] or next(lines)


# --- streams of events ---


def test_the_stream_for_curl_prints_what_is_written(match: ServerProcess, curl: Path) -> None:
    put(match, "match", {"home": {"score": 3}})
    (example,) = blocks(PAGE, "console")
    try_stream_example(example, match, curl)


@pytest.mark.skipif(sys.platform == "win32", reason="it is for a POSIX shell")
def test_the_loop_of_a_shell_follows_a_value_across_a_restart(
    match: ServerProcess, curl: Path
) -> None:
    (loop,) = blocks(PAGE, "bash")
    loop = at(match, loop).replace("curl ", f"{shlex.quote(str(curl))} ")
    command = ["sh", "-c", loop]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stdout is not None
        try:
            assert running.stdout.readline() == "the score is 2\n"
            match.stop()
            match.start()
            assert running.stdout.readline() == "the score is 2\n"
            put(match, "match", {"home": {"score": 3}})
            assert running.stdout.readline() == "the score is 3\n"
        finally:
            os.killpg(running.pid, signal.SIGKILL)  # the loop's own programs too


@contextmanager
def printing(command: list[Any], **options: Any) -> Iterator[Iterator[str]]:
    """The lines that a program prints while it runs."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, encoding="utf-8", **options
    ) as running:
        assert running.stdout is not None
        try:
            yield (line.rstrip("\n") for line in running.stdout)
        finally:
            running.kill()


def assert_follows(server: ServerProcess, lines: Iterator[str]) -> None:
    assert next(lines) == "2"
    assert http(server, "POST", "/kv/match", {"op": "incr", "path": "/home/score"}).status == 200
    assert next(lines) == "3"
    assert http(server, "DELETE", "/kv/match").status == 204
    assert next(lines) == "gone"


def test_the_program_for_node_follows_a_value(
    match: ServerProcess, node: Path, node_modules: Path, tmp_path: Path
) -> None:
    (program,) = blocks(PAGE, "js")
    write_files(tmp_path, {"follow.mjs": at(match, program)})
    for name in ("eventsource", "eventsource-parser"):
        shutil.copytree(node_modules / name, tmp_path / "node_modules" / name)
    with printing([node, tmp_path / "follow.mjs"]) as lines:
        assert_follows(match, lines)


def test_the_program_for_python_follows_a_value(match: ServerProcess) -> None:
    (program,) = blocks(PAGE, "python")
    with printing([sys.executable, "-c", at(match, program)]) as lines:
        assert_follows(match, lines)
