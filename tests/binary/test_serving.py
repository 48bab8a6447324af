"""The executable serves what a dunena run from source serves."""

import json
import shutil
import ssl
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest
import trustme
from websockets.sync.client import ClientConnection, connect

import dunena
from tests.binary.program import SECONDS_MAX, WINDOWS, Program, free_port, wait_until

WEB = Path(dunena.__file__).parent / "web"
ASSETS = sorted(
    path.relative_to(WEB).as_posix()
    for path in WEB.rglob("*.*")
    if path.suffix in (".css", ".html", ".js", ".svg") and path.parent != WEB / "client"
)


def get(url: str, context: ssl.SSLContext | None = None) -> bytes:
    with urllib.request.urlopen(url, timeout=SECONDS_MAX, context=context) as answer:
        return bytes(answer.read())


def open_websocket(url: str, context: ssl.SSLContext | None = None) -> ClientConnection:
    return connect(url, ssl=context, open_timeout=SECONDS_MAX)


def test_the_executable_serves_both_dialects_and_http(program: Program):
    with program.server() as server:
        with open_websocket(f"{server.ws_url}?protocol=dunena") as client:
            assert json.loads(client.recv(SECONDS_MAX))["type"] == "connected"
            client.send(json.dumps({"type": "set", "key": "greeting", "value": "grüß dich"}))
            messages = [json.loads(client.recv(SECONDS_MAX)) for _ in range(2)]
            assert {"key": "greeting", "ok": True} in [one["data"] for one in messages]
            assert {"key": "greeting", "size": 11} in [one["data"] for one in messages]
        with open_websocket(f"{server.ws_url}?protocol=object-store") as client:
            client.send(json.dumps({"action": "subscribe", "key": "greeting"}))
            update = json.loads(client.recv(SECONDS_MAX))
            assert update == {"key": "greeting", "value": "grüß dich"}
            client.send(json.dumps({"action": "set", "key": "nested", "value": {"a": [1, None]}}))
            wait_until(lambda: b'"a"' in get(f"{server.url}/get/nested"), "the value there")
        assert json.loads(get(f"{server.url}/get/nested"))["value"] == {"a": [1, None]}
    program.assert_nothing_left()


def test_the_executable_serves_the_page_byte_for_byte(program: Program):
    assert {"index.html", "lib/dom.js"} <= set(ASSETS)
    with program.server() as server:
        for name in ASSETS:
            place = "/test" if name == "index.html" else f"/test/{name}"
            assert get(server.url + place) == (WEB / name).read_bytes(), name


def test_the_executable_serves_the_client(program: Program):
    with program.server() as server:
        for name in ("dunena.js", "dunena.d.ts"):
            assert get(f"{server.url}/{name}") == (WEB / "client" / name).read_bytes(), name
        assert b"globalThis.dunena" in get(f"{server.url}/dunena.classic.js")
        assert b"/www/mine.html" in get(f"{server.url}/obs-loader.html?page=mine.html")


def test_the_executable_serves_the_www_folder_beside_it(program: Program):
    pages = program.path.parent / "www"
    pages.mkdir()
    (pages / "index.html").write_text("mine", encoding="utf-8")
    try:
        with program.server() as server:
            assert get(f"{server.url}/www/") == b"mine"
    finally:
        shutil.rmtree(pages)


def test_the_hot_modules_of_the_executable_are_compiled(program: Program):
    with program.server() as server:
        assert json.loads(get(f"{server.url}/info"))["compiled"] is True


def test_the_executable_serves_metrics(program: Program):
    with program.server() as server:
        assert b"# TYPE dunena_entries gauge" in get(f"{server.url}/metrics")


def test_the_executable_serves_over_tls(program: Program, tmp_path: Path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    authority, roots = trustme.CA(), tmp_path / "roots.pem"
    made = authority.issue_cert("127.0.0.1")
    made.private_key_pem.write_to_path(key)
    made.cert_chain_pems[0].write_to_path(certificate)
    authority.cert_pem.write_to_path(roots)
    words = ("--tls-cert", str(certificate), "--tls-key", str(key))
    with program.server(*words) as server:
        assert server.scheme == "https"
        context = ssl.create_default_context(cafile=roots)
        assert json.loads(get(f"{server.url}/info", context))["version"] == dunena.__version__
        with open_websocket(server.ws_url, context) as client:
            assert json.loads(client.recv(SECONDS_MAX))["type"] == "connected"


def test_the_executable_keeps_values_over_a_restart(program: Program):
    with program.server() as server:
        with open_websocket(f"{server.ws_url}?protocol=object-store") as client:
            client.send(json.dumps({"action": "set", "key": "kept", "value": 9007199254740993}))
            wait_until(lambda: b"9007" in get(f"{server.url}/get/kept"), "the value there")
        server.restart()
        assert json.loads(get(f"{server.url}/get/kept"))["value"] == 9007199254740993


def test_the_executable_sees_hand_edits(program: Program):
    with (
        program.server() as server,
        open_websocket(f"{server.ws_url}?protocol=object-store") as client,
    ):
        client.send(json.dumps({"action": "subscribe", "key": "edited"}))
        client.send(json.dumps({"action": "set", "key": "edited", "value": 1}))
        assert json.loads(client.recv(SECONDS_MAX))["value"] == 1
        assert server.folder is not None
        file = server.folder / "edited.json"
        wait_until(file.is_file, "the file there")
        file.write_text("2", encoding="utf-8")
        assert json.loads(client.recv(SECONDS_MAX))["value"] == 2


def test_two_executables_run_at_once(program: Program):
    with ExitStack() as stack:
        first = stack.enter_context(program.server(folder=program.base / "one"))
        second = stack.enter_context(program.server(folder=program.base / "two"))
        # On Windows each has unpacked its own files, elsewhere they share them.
        assert len(program.unpacked()) == 2 if WINDOWS else program.version().is_dir()
        assert first.stop() == 0
        assert json.loads(get(f"{second.url}/info"))["name"] == "dunena"
    program.assert_nothing_left()


def test_a_port_in_use_is_reported_in_one_line(program: Program):
    with program.server() as server:
        other = program.base / "other"
        done = program.run("serve", "--port", str(server.port), "--cache-dir", str(other))
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert "already in use" in done.stderr
        assert get(f"{server.url}/health/live")


class TestCommandLine:
    def test_version_prints_the_version(self, program: Program):
        done = program.run("version")
        assert (done.returncode, done.stdout) == (0, f"dunena {dunena.__version__}\n")
        assert done.stderr == ""
        program.assert_nothing_left()

    @pytest.mark.parametrize("words", [("--help",), ("serve", "--help")])
    def test_help_prints_the_usage(self, program: Program, words: tuple[str, ...]):
        done = program.run(*words)
        assert (done.returncode, done.stderr) == (0, "")
        assert "Usage: " in done.stdout
        assert "--help" in done.stdout
        if "serve" in words:
            # A command's description is its docstring, which must not have been stripped.
            assert "Run the server." in done.stdout

    @pytest.mark.parametrize("words", [("serve", "--prot", "1"), ("sevre",), ("serve", "--port=x")])
    def test_wrong_usage_exits_with_2_and_prints_the_usage(
        self, program: Program, words: tuple[str, ...]
    ):
        done = program.run(*words)
        assert done.returncode == 2
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert done.stderr.startswith("Usage: ")
        program.assert_nothing_left()

    def test_variables_of_python_and_locale_are_ignored(self, program: Program):
        hostile = {"PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere", "PYTHONOPTIMIZE": "2"}
        for locale in ("C", "POSIX", "de_DE.ISO-8859-1"):
            done = program.run("version", LC_ALL=locale, LANG=locale, **hostile)
            assert (done.returncode, done.stderr) == (0, "")


def test_the_executable_takes_port_and_folder_from_the_environment(program: Program):
    port, folder = free_port(), program.base / "from environment"
    server = program.server(DUNENA_LOG_LEVEL="debug", CACHE_DIR=str(folder))
    server.folder, server.port = None, port
    with server:
        assert server.port == port
        assert folder.is_dir()


def test_the_tested_copy_has_no_python_beside_it(program: Program):
    assert [path.name for path in program.path.parent.iterdir()] == [program.path.name]
    assert shutil.which("python3", path="") is None
