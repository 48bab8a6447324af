"""The command line of the server: settings, starting, output, logs and stopping."""

import json
import socket
import ssl
import sys
import threading
import time
from contextlib import ExitStack, suppress
from functools import partial
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.e2e.processes import (
    IS_WINDOWS,
    PROGRAM_WITHOUT_PORT,
    SECONDS_MAX,
    STOP_SIGNALS,
    assert_failed,
    data_home,
    free_port,
    make_certificate,
    program_in,
    run_copy,
    run_program,
    send_stop,
    wait_until,
)
from tests.protocol.clients import (
    RawConnection,
    frame,
    http,
    open_dunena,
    open_objects,
    text,
)
from tests.support.fixtures import StartServer
from tests.support.forked import PROGRAM
from tests.support.server import ServerProcess

STOP_SECONDS_MAX = 5
"""The contract's figure."""


@pytest.fixture
def start_server(start_server: StartServer) -> StartServer:
    """As it starts servers elsewhere, but none is forked: starts and stops are what is tested."""
    return partial(start_server, command=PROGRAM)


FLAGS = {
    "--host": "DUNENA_HOST",
    "--port": "DUNENA_PORT",
    "--cache-dir": "CACHE_DIR",
    "--protocol": "DUNENA_PROTOCOL",
    "--token": "DUNENA_AUTH_TOKEN",
    "--allow-origin": "DUNENA_ALLOW_ORIGIN",
    "--fsync": "DUNENA_FSYNC",
    "--no-watch": "DUNENA_NO_WATCH",
    "--max-value": "DUNENA_MAX_VALUE",
    "--no-persist": "DUNENA_NO_PERSIST",
    "--www": "DUNENA_WWW",
    "--log-level": "DUNENA_LOG_LEVEL",
    "--log-format": "DUNENA_LOG_FORMAT",
    "--tls-cert": "DUNENA_TLS_CERT",
    "--tls-key": "DUNENA_TLS_KEY",
}


def info(server: ServerProcess, **headers: str) -> Any:
    return http(server, "GET", "/info", headers=headers).json


# --- what can be asked ---


@pytest.mark.parametrize("word", ["version", "--version"])
def test_version_prints_the_version_of_the_server(shared_server: ServerProcess, word: str):
    done = run_program(word)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"dunena {info(shared_server)['version']}\n"


def test_the_help_of_serve_names_every_flag():
    done = run_program("serve", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    for flag in FLAGS:
        assert flag in done.stdout, flag
    assert "serve" in run_program("--help").stdout


@pytest.mark.parametrize("words", [["--help"], ["get", "--help"], ["get"], ["nonsense"]])
def test_the_usage_names_the_program_dunena_however_it_was_started(words: list[str]):
    done = run_program(*words)
    said = done.stdout + done.stderr
    assert said.startswith("Usage: dunena ")
    assert "python" not in said


# --- wrong usage ---


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["serve", "--nonsense"],
        ["serve", "extra"],
        ["serve", "--port"],
        ["serve", "--port", "x"],
        ["serve", "--port", "-1"],
        ["serve", "--port", "65536"],
        ["serve", "--protocol", "mqtt"],
        ["serve", "--fsync", "sometimes"],
        ["serve", "--max-value", "0"],
        ["serve", "--max-value", "1MB"],
        ["serve", "--log-level", "loud"],
        ["serve", "--log-format", "xml"],
        ["serve", "--token", ""],
        ["serve", "--host", ""],
        ["serve", "--tls-cert", "cert.pem"],
        ["serve", "--www", "no-such-folder"],
        ["serve", "--tls-key", "key.pem"],
        ["version", "extra"],
        ["--nonsense"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2_and_names_the_argument(arguments: list[str]):
    done = run_copy(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert arguments[1 if len(arguments) > 1 else 0].lstrip("-") in done.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DUNENA_PORT", "x"),
        ("DUNENA_PROTOCOL", "mqtt"),
        ("DUNENA_FSYNC", "sometimes"),
        ("DUNENA_MAX_VALUE", "x"),
        ("DUNENA_LOG_LEVEL", "loud"),
        ("DUNENA_LOG_FORMAT", "xml"),
        ("DUNENA_NO_WATCH", "maybe"),
        ("DUNENA_NO_PERSIST", "maybe"),
    ],
)
def test_an_invalid_variable_exits_with_2_and_names_the_value(variable: str, value: str):
    done = run_copy("serve", environment={variable: value})
    assert done.returncode == 2
    assert value in done.stderr


# --- flags and variables ---


def settings_of(server: ServerProcess, token: str, origin: str) -> dict[str, Any]:
    """What a server runs with, as far as it can be seen from outside."""
    bearer = {"Authorization": f"Bearer {token}"}
    shown = info(server, **bearer)
    return {
        "port": server.port,
        "protocol": shown["protocol"],
        "max_value": shown["maxValueBytes"],
        "persistent": shown["persistent"],
        "token": http(server, "GET", "/info").status == 401,
        "origin": http(server, "GET", "/info", headers={"Origin": origin, **bearer}).status == 200,
        "json_log": all(line.startswith("{") for line in server.errors),
    }


def test_a_flag_overrides_a_variable_and_a_variable_the_default(tmp_path: Path):
    port, other_port = free_port(), free_port()
    of_variable, of_flag = tmp_path / "of variable", tmp_path / "of flag"
    environment = {
        "DUNENA_HOST": "0.0.0.0",
        "DUNENA_PORT": str(port),
        "CACHE_DIR": str(of_variable),
        "DUNENA_PROTOCOL": "object-store",
        "DUNENA_AUTH_TOKEN": "of-variable",
        "DUNENA_ALLOW_ORIGIN": "https://of-variable.example",
        "DUNENA_FSYNC": "always",
        "DUNENA_NO_WATCH": "1",
        "DUNENA_MAX_VALUE": "1000",
        "DUNENA_LOG_LEVEL": "warning",
        "DUNENA_LOG_FORMAT": "json",
    }
    options = {"command": PROGRAM_WITHOUT_PORT, "environment": environment}
    with ServerProcess(None, **options) as server:
        assert settings_of(server, "of-variable", "https://of-variable.example") == {
            "port": port,
            "protocol": "object-store",
            "max_value": 1000,
            "persistent": True,
            "token": True,
            "origin": True,
            "json_log": True,
        }
    assert of_variable.is_dir()
    arguments = ["--host", "127.0.0.1", "--port", str(other_port), "--cache-dir", str(of_flag)]
    arguments += ["--protocol", "dunena", "--token", "of-flag", "--max-value", "2000"]
    arguments += ["--allow-origin", "https://of-flag.example", "--log-format", "text"]
    arguments += ["--fsync", "no", "--log-level", "info"]
    # The first --port is the helper's own, which is taken out again.
    with ServerProcess(None, *arguments, **options) as server:
        assert settings_of(server, "of-flag", "https://of-flag.example") == {
            "port": other_port,
            "protocol": "dunena",
            "max_value": 2000,
            "persistent": True,
            "token": True,
            "origin": True,
            "json_log": True,
        }
        assert http(server, "GET", "/info", headers={"Host": "example.com"}).status == 403
    (line,) = server.errors
    assert "--allow-host example.com" in line
    assert of_flag.is_dir()


def test_serve_without_settings_uses_the_documented_defaults(tmp_path: Path):
    environment = {"DUNENA_PORT": str(free_port())}
    command = (*PROGRAM_WITHOUT_PORT,)
    with ServerProcess(tmp_path / "values", command=command, environment=environment) as server:
        shown = info(server)
        assert shown["protocol"] == "auto"
        assert shown["maxValueBytes"] == 4_194_304
        assert shown["persistent"] is True
        assert shown["entries"] == 0
    done = run_program("serve", "--help")
    assert "3000" in done.stdout
    assert "localhost" in done.stdout
    assert "everysec" in done.stdout


def test_the_no_persist_variable_turns_persistence_off(start_server: StartServer):
    server = start_server(environment={"DUNENA_NO_PERSIST": "1"})
    assert info(server)["persistent"] is False


def test_one_variable_can_allow_several_origins(start_server: StartServer):
    origins = ["https://a.example", "null"]
    server = start_server(environment={"DUNENA_ALLOW_ORIGIN": " ".join(origins)})
    for origin in origins:
        assert http(server, "GET", "/info", headers={"Origin": origin}).status == 200
    assert http(server, "GET", "/info", headers={"Origin": "https://c.example"}).status == 403


# --- the default folder ---


def test_the_default_folder_is_in_the_current_folder(tmp_path: Path):
    with ServerProcess(None, command=program_in(tmp_path)) as server:
        http(server, "POST", "/set", {"key": "k", "value": 1})
        assert any(str(tmp_path / ".cache") in line for line in server.output)
    assert json.loads((tmp_path / ".cache" / "k.json").read_bytes()) == 1


def test_an_unwritable_default_folder_is_replaced_by_the_users(tmp_path: Path):
    current, home = tmp_path / "current", tmp_path / "home"
    current.mkdir()
    home.mkdir()
    (current / ".cache").write_text("in the way", "utf-8")
    environment = data_home(home)
    with ServerProcess(None, command=program_in(current), environment=environment) as server:
        http(server, "POST", "/set", {"key": "k", "value": 1})
        said = "".join(server.output) + server.log
        assert str(current / ".cache") in said
        assert str(home) in said
        assert "cannot be written" in said
    (stored,) = home.rglob("k.json")
    assert json.loads(stored.read_bytes()) == 1


# --- what cannot start ---


def test_a_port_of_another_dunena_is_reported_as_in_use(
    shared_server: ServerProcess, tmp_path: Path
):
    port = str(shared_server.port)
    done = run_program("serve", "--port", port, "--cache-dir", str(tmp_path / "values"))
    assert_failed(done, says=(port, "in use", "--port"))


def test_a_port_of_another_program_is_reported_as_in_use(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        done = run_program("serve", "--port", port, "--cache-dir", str(tmp_path / "values"))
    assert_failed(done, says=(port, "in use", "--port"))


@pytest.mark.parametrize("host", ["203.0.113.1", "no-such-host.invalid", "256.1.1.1"])
def test_a_host_of_another_machine_fails_naming_the_host(tmp_path: Path, host: str):
    arguments = ["--host", host, "--port", "0", "--cache-dir", str(tmp_path / "values")]
    assert_failed(run_program("serve", *arguments), says=(host,))


def test_a_folder_that_cannot_be_created_fails_naming_the_option(tmp_path: Path):
    (tmp_path / "file").write_text("", "utf-8")
    folder = tmp_path / "file" / "below"
    done = run_program("serve", "--port", "0", "--cache-dir", str(folder))
    assert_failed(done, says=(str(folder), "--cache-dir"))


def test_a_cache_dir_that_is_a_file_fails_naming_it(tmp_path: Path):
    folder = tmp_path / "file"
    folder.write_text("", "utf-8")
    done = run_program("serve", "--port", "0", "--cache-dir", str(folder))
    assert done.returncode in (1, 2)
    assert str(folder) in done.stderr
    assert "Traceback" not in done.stderr


def test_an_invalid_or_missing_certificate_fails_naming_the_file(tmp_path: Path):
    file = tmp_path / "file.pem"
    file.write_text("nonsense", "utf-8")
    for path in (file, tmp_path / "missing.pem"):
        arguments = ["--tls-cert", str(path), "--tls-key", str(path), "--no-persist"]
        done = run_program("serve", "--port", "0", *arguments)
        assert_failed(done, says=(str(path), "certificate"))


# --- what is said ---


def test_the_banner_shows_addresses_folder_and_keys(start_server: StartServer, tmp_path: Path):
    server = start_server()
    for key in ("a", "b"):
        http(server, "POST", "/set", {"key": key, "value": 1})
    server.restart()
    lines = [line.strip() for line in server.output]
    port = server.port
    assert lines[0] == f"dunena {info(server)['version']}"
    for wanted in (
        f"http://localhost:{port}/test",
        f"ws://localhost:{port}/ws",
        f"http://localhost:{port}/kv/<key>",
        f"127.0.0.1:{port}",
        f"{tmp_path / 'values'} (2 keys)",
        "Press Ctrl+C to stop.",
    ):
        assert any(wanted in line for line in lines), wanted
    assert all(len(line) < 120 or str(tmp_path) in line for line in lines)
    assert server.errors == []
    server.stop()
    assert server.output[-1].strip() == "Stopped."


def test_ordinary_use_logs_nothing(start_server: StartServer):
    server = start_server()
    with open_dunena(server) as client:
        client.ask({"type": "set", "key": "k", "value": "v"})
        client.ask({"type": "nonsense"})
    for path in ("/get/k", "/no-such", "/metrics", "/test"):
        http(server, "GET", path)
    with RawConnection(server) as raw:
        raw.send(b"\x16\x03\x01 is no HTTP\r\n\r\n")
        raw.read_to_end()
    with RawConnection(server) as raw:
        raw.open()
        raw.send(b"\xff\xff")
        raw.read_close()
    server.stop()
    assert server.errors == []


def test_log_format_json_writes_one_object_per_line(start_server: StartServer):
    server = start_server("--log-format", "json", "--host", "0.0.0.0")
    http(server, "GET", "/info", headers={"Origin": 'https://"ż".example'.encode()})
    server.stop()
    lines = [json.loads(line) for line in server.errors]
    assert len(lines) == 2
    for line in lines:
        assert line["level"] == "warning"
        assert isinstance(line["message"], str)
        assert line["time"].startswith("20")
        assert line["time"].endswith("Z")


def test_log_level_debug_logs_no_libraries(start_server: StartServer):
    server = start_server("--log-level", "debug", "--log-format", "json")
    with open_dunena(server) as client:
        client.ask({"type": "set", "key": "k", "value": "v"})
    http(server, "GET", "/metrics")
    server.stop()
    lines = [json.loads(line) for line in server.errors]
    assert {line["logger"].partition(".")[0] for line in lines} <= {"dunena"}


def test_log_level_error_leaves_out_warnings(start_server: StartServer):
    server = start_server("--log-level", "error", "--host", "0.0.0.0")
    http(server, "GET", "/info", headers={"Origin": "https://foreign.example"})
    server.stop()
    assert server.errors == []


# --- TLS ---


@pytest.fixture
def encrypted(start_server: StartServer, tmp_path: Path) -> tuple[ServerProcess, Path]:
    """A server that speaks TLS, and its certificate."""
    certificate, key = make_certificate(tmp_path)
    return start_server("--tls-cert", str(certificate), "--tls-key", str(key)), certificate


def test_a_server_with_a_certificate_serves_https_and_wss(encrypted: tuple[ServerProcess, Path]):
    server, certificate = encrypted
    assert any(f"wss://localhost:{server.port}/ws" in line for line in server.output)
    assert any(f"https://localhost:{server.port}/test" in line for line in server.output)
    trust = ssl.create_default_context(cafile=str(certificate))
    with open_dunena(server, ssl=trust) as client:
        assert client.ask({"type": "set", "key": "k", "value": "v"})["data"]["ok"] is True
    connection = HTTPSConnection("127.0.0.1", server.port, context=trust, timeout=10)
    try:
        connection.request("GET", "/cache/k")
        assert json.loads(connection.getresponse().read())["value"] == "v"
    finally:
        connection.close()
    server.stop()
    assert server.errors == []


def presented_certificate(server: ServerProcess) -> str:
    return ssl.get_server_certificate(("127.0.0.1", server.port), timeout=10)


def test_a_replaced_certificate_is_used_without_a_restart(
    encrypted: tuple[ServerProcess, Path], tmp_path: Path
):
    server, certificate = encrypted
    before = presented_certificate(server)
    trust = ssl.create_default_context(cafile=str(certificate))
    with open_dunena(server, ssl=trust) as client:
        other = tmp_path / "other"
        other.mkdir()
        new_certificate, new_key = make_certificate(other)
        key = certificate.with_name(new_key.name)
        certificate.write_bytes(new_certificate.read_bytes())
        wait_until(lambda: any("cannot be used" in line for line in server.errors))
        assert presented_certificate(server) == before  # half of a pair changes nothing
        key.write_bytes(new_key.read_bytes())
        wait_until(lambda: presented_certificate(server) != before)
        assert client.ask({"type": "ping"})["type"] == "pong"
    assert presented_certificate(server).split() == new_certificate.read_text().split()


def test_large_values_are_transferred_over_tls(encrypted: tuple[ServerProcess, Path]):
    server, certificate = encrypted
    trust = ssl.create_default_context(cafile=str(certificate))
    value = "x" * 4_000_000
    with open_objects(server, ssl=trust) as client:
        client.follow("k")
        for _ in range(3):
            client.send({"action": "set", "key": "k", "value": value})
            assert client.receive()["value"] == value
    assert server.stop() == 0


@pytest.mark.parametrize("event_loop", ["standard", "auto"])
@pytest.mark.parametrize(
    ("method", "body"), [("GET", b""), ("HEAD", b""), ("POST", b"x" * 3_000_000), ("PUT", b"")]
)
def test_a_plain_http_request_to_a_tls_port_is_told_to_use_https(
    start_server: StartServer, tmp_path: Path, event_loop: str, method: str, body: bytes
):
    certificate, key = make_certificate(tmp_path)
    files = ["--tls-cert", str(certificate), "--tls-key", str(key)]
    server = start_server(*files, "--event-loop", event_loop)
    with RawConnection(server) as raw:
        for piece in (method[:1], method[1:], " /info HTTP/1.1\r\nHost: localhost\r\n"):
            raw.send(piece)
        raw.send(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        reply = raw.read_reply()
        assert (reply.status, reply.headers["connection"]) == (400, "close")
        assert reply.json == {"error": "This port speaks https and wss", "code": "invalid"}
        raw.end_writing()
        assert raw.read_to_end() == b""
    with open_dunena(server, ssl=ssl.create_default_context(cafile=str(certificate))) as client:
        assert client.ask({"type": "ping"})["type"] == "pong"
    server.stop()
    assert server.errors == []


def test_a_failed_tls_handshake_closes_the_connection_and_is_not_logged(
    encrypted: tuple[ServerProcess, Path],
):
    server, certificate = encrypted
    with RawConnection(server) as raw:
        raw.send(b"\x00\x01\x02\x03 is neither\r\n\r\n")
        assert raw.read_to_end() == b""
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    # Distrust looks the same to a server: the client goes in the middle of the handshake.
    with (
        socket.create_connection(("127.0.0.1", server.port), SECONDS_MAX) as plain,
        pytest.raises(ssl.SSLError),
    ):
        ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")
    with (
        socket.create_connection(("127.0.0.1", server.port), SECONDS_MAX) as plain,
        old.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        assert wrapped.version() == "TLSv1.2"
    with open_dunena(server, ssl=ssl.create_default_context(cafile=str(certificate))) as client:
        assert client.ask({"type": "ping"})["type"] == "pong"
    server.stop()
    assert server.errors == []


# --- stopping ---


def stop_by(server: ServerProcess, name: str) -> tuple[int, float]:
    """The exit code, and how long it took."""
    began = time.monotonic()
    send_stop(server.process, name)
    server.process.wait(2 * STOP_SECONDS_MAX)
    took = time.monotonic() - began
    return server.stop(), took  # it has stopped; this takes leave of its pipes


@pytest.mark.skipif(IS_WINDOWS, reason="it has no SIGHUP")
def test_a_server_under_nohup_survives_sighup(start_server: StartServer):
    server = start_server(command=("nohup", sys.executable, "-m", "dunena"))
    send_stop(server.process, "SIGHUP")
    for _ in range(20):  # the first may still be answered by one that stops
        assert http(server, "GET", "/health/live").status == 200
    assert server.stop() == 0


@pytest.mark.parametrize("name", STOP_SIGNALS)
def test_a_stop_closes_every_connection_within_two_seconds(start_server: StartServer, name: str):
    server = start_server()
    with ExitStack() as stack:
        idle = [stack.enter_context(open_dunena(server)) for _ in range(5)]
        subscriber = stack.enter_context(open_objects(server))
        subscriber.follow("k")
        kept_alive = stack.enter_context(RawConnection(server))
        kept_alive.request("GET", "/info")
        kept_alive.read_reply()
        half = stack.enter_context(RawConnection(server))
        half.send("POST /set HTTP/1.1\r\nHost: localhost\r\nContent-Len")
        code, took = stop_by(server, name)
        assert code == 0
        assert took < STOP_SECONDS_MAX
        for client in (*idle, subscriber):
            with pytest.raises(ConnectionClosed) as closed:
                client.receive()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
        assert kept_alive.read_to_end() == b""
        half.read_to_end()
    assert took < 2, "nobody kept it waiting"
    assert server.errors == []


@pytest.mark.parametrize("name", STOP_SIGNALS)
def test_a_stop_under_load_loses_no_acknowledged_write(start_server: StartServer, name: str):
    server = start_server()
    acknowledged: list[int] = [-1] * 4
    codes: list[int | None] = [None] * 4
    busy = threading.Barrier(5)

    def work(worker: int) -> None:
        with open_dunena(server) as client, suppress(ConnectionClosed):
            try:
                for number in range(1_000_000):
                    client.ask(
                        {"type": "set", "key": f"{worker}", "value": str(number)},
                    )
                    acknowledged[worker] = number
                    if number == 20:
                        busy.wait()
            except ConnectionClosed as closed:
                codes[worker] = closed.rcvd and closed.rcvd.code

    workers = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for worker in workers:
        worker.start()
    busy.wait(10)
    code, took = stop_by(server, name)
    for worker in workers:
        worker.join()
    assert code == 0
    assert took < STOP_SECONDS_MAX
    assert codes == [1001] * 4
    server.start()
    with open_dunena(server) as client:
        for worker, number in enumerate(acknowledged):
            value = client.ask({"type": "get", "key": f"{worker}"})["data"]["value"]
            assert int(value) >= number


_SLOW_READER = """
import sys, time
from dunena.cli import main
from dunena.persistence.disk import value_files

def read_slowly(files, found, read=value_files.ValueFiles.read):
    print("reading", file=sys.stderr, flush=True)
    time.sleep(0.2)
    return read(files, found)

value_files.ENTRIES_PER_PROGRESS = 1
value_files.ValueFiles.read = read_slowly
main()
"""


@pytest.mark.parametrize("name", STOP_SIGNALS)
def test_a_stop_ends_a_start_that_is_loading_a_large_folder(tmp_path: Path, name: str) -> None:
    for number in range(300):  # a minute's reading
        (tmp_path / f"{number}.json").write_text("1")
    slow = ServerProcess(tmp_path, command=(sys.executable, "-c", _SLOW_READER))
    process = slow.launch()
    assert process.stderr is not None
    assert process.stderr.readline() == "reading\n"
    send_stop(process, name)
    output, errors = process.communicate(timeout=2 * STOP_SECONDS_MAX)
    assert (process.returncode, output) == (0, "Stopped.\n")
    assert set(errors.splitlines()) <= {"reading"}
    with ServerProcess(tmp_path) as server:
        assert http(server, "GET", "/info").json["entries"] == 300


def test_a_client_that_does_not_close_cannot_delay_a_stop(start_server: StartServer):
    server = start_server()
    with RawConnection(server) as deaf, RawConnection(server) as sleeper:
        deaf.open()
        sleeper.open("/")
        sleeper.send(text({"action": "set", "key": "k", "value": "x" * 4_000_000}))
        sleeper.send(text({"action": "get", "key": "k"}) * 20)
        sleeper.wait_for_data()
        code, took = stop_by(server, STOP_SIGNALS[0])
        assert code == 0
        assert took < STOP_SECONDS_MAX
        assert deaf.read_close().close_code == 1001


def test_repeated_stop_signals_act_like_one(start_server: StartServer):
    server = start_server()
    with RawConnection(server) as deaf:
        deaf.open()
        for _ in range(3):
            send_stop(server.process, STOP_SIGNALS[0])
        deaf.read_close()
        send_stop(server.process, STOP_SIGNALS[0])
        deaf.send(frame(0x8, (1001).to_bytes(2)))
        deaf.read_to_end()
    server.process.wait(2 * STOP_SECONDS_MAX)
    assert server.stop() == 0
    assert server.errors == []


def test_a_stopping_server_accepts_no_new_connections(start_server: StartServer):
    server = start_server()
    with RawConnection(server) as deaf:
        deaf.open()
        send_stop(server.process, STOP_SIGNALS[0])
        deaf.read_close()
        with pytest.raises(ConnectionError):
            socket.create_connection(("127.0.0.1", server.port), 5).close()
    server.process.wait(2 * STOP_SECONDS_MAX)
    assert server.stop() == 0


def test_a_server_can_restart_on_its_port_right_after_a_stop(start_server: StartServer):
    server = start_server()
    with open_dunena(server) as client:
        client.ask({"type": "ping"})
        server.stop()
    server.start()
    with open_dunena(server) as client:
        assert client.ask({"type": "ping"})["type"] == "pong"
