"""Sessions over real sockets: clients that close, die, freeze, and are cut off."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from dunena.sessions.limits import (
    SESSION_KEYS_MAX,
    SHARED_SESSION_KEYS_MAX,
    WILL_BYTES_MAX,
    WILL_OPERATIONS_MAX,
)
from tests.e2e.processes import run_copy
from tests.protocol.clients import (
    CLOSE,
    PING,
    SECONDS_MAX,
    TEXT,
    Client,
    RawConnection,
    frame,
    http,
    open_client,
    open_dunena,
    open_objects,
    text,
    unique,
)
from tests.support.cutting_proxy import CuttingProxy
from tests.support.fixtures import StartServer
from tests.support.patience import patiently
from tests.support.server import ServerProcess
from tests.support.shared_mode import is_shared

LONG_GRACE = 60_000
"""So long that no test waits for its end."""

CLIENT = """
import json, sys, time
from websockets.sync.client import connect
with connect(sys.argv[1], proxy=None) as socket:
    for message in json.loads(sys.argv[2]):
        socket.send(json.dumps(message))
        print(socket.recv(), flush=True)
    while True:
        try:
            socket.recv(60)
        except TimeoutError:
            pass
"""
"""A client that sends messages, prints the answers and stays."""


def session(client: Client, **fields: Any) -> dict[str, Any]:
    answer = client.ask({"action": "session", "id": 1, **fields})
    assert "result" in answer, answer
    result: dict[str, Any] = answer["result"]
    return result


def put(client: Client, key: str, value: Any = "here", **fields: Any) -> Any:
    message = {"action": "set", "key": key, "value": value, "ephemeral": True, "id": 1, **fields}
    return client.ask(message)


def value_of(server: ServerProcess, key: str) -> Any:
    return http(server, "GET", f"/get/{key}").json["value"]


@contextmanager
def watching(server: ServerProcess, key: str) -> Iterator[Client]:
    """A client that is told when the key goes."""
    with open_objects(server) as client:
        client.send({"action": "watch", "key": key})
        client.receive()
        yield client


def is_told_of_the_end(watcher: Client, key: str) -> None:
    changes = watcher.receive()["update"]["changes"]
    assert [(change["key"], change.get("event")) for change in changes] == [(key, "delete")]


@contextmanager
def started(server: ServerProcess, *messages: Any) -> Iterator["subprocess.Popen[str]"]:
    """A client in a process of its own that has had its answers."""
    url = server.ws_url.removesuffix("/ws") + "/"
    process = subprocess.Popen(
        [sys.executable, "-c", CLIENT, url, json.dumps(messages)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        for _ in messages:
            assert "error" not in json.loads(process.stdout.readline())
        yield process
    finally:
        process.kill()
        process.wait(SECONDS_MAX)
        assert process.stdout is not None
        process.stdout.close()


def ephemeral(key: str) -> dict[str, Any]:
    return {"action": "set", "key": key, "value": "here", "ephemeral": True, "id": 2}


def asking(**fields: Any) -> dict[str, Any]:
    return {"action": "session", "id": 1, **fields}


@pytest.mark.parametrize(
    "code", [b"", (1000).to_bytes(2), (1001).to_bytes(2)], ids=["no code", "1000", "1001"]
)
def test_a_client_that_closes_on_purpose_leaves_nothing_whatever_its_grace(
    shared_server: ServerProcess, code: bytes
) -> None:
    key = unique()
    with RawConnection(shared_server) as raw, watching(shared_server, key) as watcher:
        raw.open("/")
        raw.send(text(asking(grace=LONG_GRACE)) + text(ephemeral(key)) + frame(CLOSE, code))
        assert watcher.receive()["update"]["changes"][0]["value"] == "here"
        is_told_of_the_end(watcher, key)


@pytest.mark.parametrize(
    "last_word",
    [b"", frame(CLOSE, (4000).to_bytes(2)), b"\xff\xff"],
    ids=["cut", "4000", "no frame"],
)
def test_a_connection_lost_in_another_way_leaves_its_keys_for_the_grace(
    shared_server: ServerProcess, last_word: bytes
) -> None:
    key, grace = unique(), 300
    with RawConnection(shared_server) as raw, watching(shared_server, key) as watcher:
        raw.open("/")
        sent_at = time.monotonic()
        raw.send(text(asking(grace=grace)) + text(ephemeral(key)) + last_word)
        assert watcher.receive()["update"]["changes"][0]["value"] == "here"
        raw.socket.close()
        is_told_of_the_end(watcher, key)
        assert time.monotonic() - sent_at >= grace / 1000


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be held still there")
def test_a_killed_process_leaves_nothing_after_its_grace(shared_server: ServerProcess) -> None:
    key = unique()
    grace = 700
    with (
        started(shared_server, asking(grace=grace), ephemeral(key)) as process,
        watching(shared_server, key) as watcher,
    ):
        killed_at = time.monotonic()
        process.kill()
        is_told_of_the_end(watcher, key)
        assert time.monotonic() - killed_at >= grace / 1000


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be held still there")
def test_a_stopped_process_leaves_nothing_after_timeout_and_grace(
    shared_server: ServerProcess,
) -> None:
    key = unique()
    timeout, grace = 2000, 500
    with (
        started(shared_server, asking(timeout=timeout, grace=grace), ephemeral(key)) as process,
        watching(shared_server, key) as watcher,
    ):
        os.kill(process.pid, signal.SIGSTOP)
        stopped_at = time.monotonic()
        is_told_of_the_end(watcher, key)
        lasted = time.monotonic() - stopped_at
    assert lasted >= (timeout / 2 + grace) / 1000, "it was heard at most half a timeout before"
    assert lasted <= patiently((timeout * 9 / 8 + grace) / 1000 + 1)


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be held still there")
def test_a_stopped_process_with_much_unread_leaves_nothing_either(
    shared_server: ServerProcess,
) -> None:
    key, busy = unique(), unique()
    follow = {"action": "watch", "key": busy, "id": 3}
    with (
        open_objects(shared_server) as writer,
        started(shared_server, asking(timeout=2000), ephemeral(key), follow) as process,
        watching(shared_server, key) as watcher,
    ):
        os.kill(process.pid, signal.SIGSTOP)
        value = "x" * 1_000_000

        def is_full() -> bool:
            writer.ask({"action": "set", "key": busy, "value": value, "id": 1})
            shown = http(shared_server, "GET", "/server").json["connections"]["shown"]
            return any(one["unsentBytes"] > 100_000 for one in shown)

        wait_for(is_full)
        is_told_of_the_end(watcher, key)


def test_a_client_that_only_answers_pings_stays(shared_server: ServerProcess) -> None:
    key = unique()
    with open_objects(shared_server) as client, watching(shared_server, key) as watcher:
        session(client, timeout=2000)
        put(client, key)
        watcher.receive()
        with pytest.raises(TimeoutError):
            client.connection.recv(3)  # longer than the timeout
        assert watcher.heard() == []
        assert value_of(shared_server, key) == "here"


def test_a_silent_connection_is_closed_with_1011(shared_server: ServerProcess) -> None:
    with RawConnection(shared_server) as raw:
        raw.open()
        raw.send(text({"type": "session", "timeout": 2000}))
        opcodes = []
        while True:
            heard = raw.read_frame()
            opcodes.append(heard.opcode)
            if heard.opcode == CLOSE:
                break
        assert heard.close_code == 1011
        assert opcodes.count(PING) == 1
        assert set(opcodes) <= {TEXT, PING, CLOSE}


def test_a_client_cut_off_by_a_proxy_resumes_and_nobody_sees_a_gap(
    shared_server: ServerProcess,
) -> None:
    key = unique()
    with (
        CuttingProxy(shared_server.port) as proxy,
        watching(shared_server, key) as watcher,
    ):
        url = proxy.url.replace("http", "ws") + "/"
        secret = None
        for number in range(5):
            with connected(url) as client:
                answer = session(client, grace=LONG_GRACE, **({"resume": secret} if secret else {}))
                assert answer["resumed"] is (secret is not None)
                secret = answer["resume"]
                if not number:
                    put(client, key)
                    assert watcher.receive()["update"]["changes"][0]["value"] == "here"
                proxy.cut()
                with pytest.raises(ConnectionClosed):
                    client.receive()
        assert watcher.heard() == []
        with connected(url) as client:
            assert session(client, resume=secret)["resumed"] is True
        is_told_of_the_end(watcher, key)


def test_a_client_whose_answers_a_proxy_drops_is_silent(shared_server: ServerProcess) -> None:
    key = unique()
    with CuttingProxy(shared_server.port) as proxy:
        url = proxy.url.replace("http", "ws") + "/"
        with connected(url) as client, watching(shared_server, key) as watcher:
            session(client, timeout=2000)
            put(client, key)
            watcher.receive()
            proxy.hold_answers()  # pings among them
            is_told_of_the_end(watcher, key)
            proxy.cut()


@contextmanager
def connected(url: str) -> Iterator[Client]:
    with connect(url, proxy=None, close_timeout=2, ping_interval=None) as connection:
        yield Client(connection, speaks_dunena=False)


def test_a_session_that_is_resumed_elsewhere_closes_the_old_connection_with_4001(
    shared_server: ServerProcess,
) -> None:
    key = unique()
    with open_objects(shared_server) as old, open_dunena(shared_server) as new:
        secret = session(old, grace=LONG_GRACE)["resume"]
        put(old, key)
        answer = new.ask({"type": "session", "resume": secret})
        assert answer["data"]["resumed"] is True
        with pytest.raises(ConnectionClosed) as closed:
            old.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4001
        assert closed.value.rcvd.reason == "session resumed elsewhere"
        assert value_of(shared_server, key) == "here"


def test_a_lock_goes_to_the_next_when_its_holder_dies(shared_server: ServerProcess) -> None:
    key = unique("lock")
    with (
        started(shared_server, ephemeral(key) | {"ifRev": 0}) as process,
        open_objects(shared_server) as other,
        watching(shared_server, key) as watcher,
    ):
        assert put(other, key, "other", ifRev=0)["code"] == "conflict"
        process.kill()
        is_told_of_the_end(watcher, key)
        assert "result" in put(other, key, "other", ifRev=0)
    wait_for(lambda: value_of(shared_server, key) is None)


def test_a_lock_that_went_with_its_session_is_not_acknowledged_again(
    shared_server: ServerProcess,
) -> None:
    key = unique("lock")
    lock = ephemeral(key) | {"ifRev": 0, "idempotencyKey": unique("id")}
    together = {"action": "txn", "ops": [{"op": "set", **lock}], "idempotencyKey": unique("id")}
    del together["ops"][0]["idempotencyKey"], together["ops"][0]["action"]
    for request in (lock, {**together, "id": 3}):
        with watching(shared_server, key) as watcher:
            with open_objects(shared_server) as first:
                assert "result" in first.ask(request)
                assert first.ask(request)["result"]["duplicate"] is True
                assert watcher.receive()["update"]["changes"][0]["value"] == "here"
            is_told_of_the_end(watcher, key)
        with open_objects(shared_server) as other, open_objects(shared_server) as again:
            assert "result" in put(other, key, "other", ifRev=0)
            refused = again.ask(request)
            assert refused["code"] == "session_ended"
            assert refused["error"].startswith("The session of this request has ended")
            assert value_of(shared_server, key) == "other"
        wait_for(lambda: value_of(shared_server, key) is None)


def test_a_request_of_a_resumed_session_is_acknowledged_again(
    shared_server: ServerProcess,
) -> None:
    key = unique("lock")
    lock = ephemeral(key) | {"ifRev": 0, "idempotencyKey": unique("id")}
    with open_objects(shared_server) as first:
        resume = first.ask(asking(grace=LONG_GRACE))["result"]["resume"]
        revision = first.ask(lock)["result"]["rev"]
        with open_objects(shared_server) as again:
            assert again.ask(asking(resume=resume))["result"]["resumed"] is True
            answer = again.ask(lock)["result"]
            assert (answer["rev"], answer["duplicate"]) == (revision, True)


def test_http_refuses_ephemeral(shared_server: ServerProcess) -> None:
    body = {"value": "1", "ephemeral": True}
    refusal = "ephemeral is for operations: use the WebSocket"
    for path, extra in (("/set", {"key": "k"}), ("/cache/k", {})):
        reply = http(shared_server, "POST", path, body | extra)
        assert (reply.status, reply.json) == (400, {"error": refusal})
    entries = [{"key": "k", "value": "1", "ephemeral": True}]
    reply = http(shared_server, "POST", "/cache", {"action": "mset", "entries": entries})
    assert reply.status == 400
    assert value_of(shared_server, "k") is None


def test_the_server_tells_of_its_sessions(start_server: StartServer) -> None:
    server = start_server()
    with open_objects(server) as client, open_objects(server):
        mine = session(client, name="scoreboard", grace=LONG_GRACE)
        put(client, "me")
        shown = http(server, "GET", "/server").json["connections"]["shown"]
        names = sorted((one["session"] or "", one["sessionName"]) for one in shown)
        assert names == [("", ""), (mine["session"], "scoreboard")]
        (listed,) = http(server, "GET", "/entries").json["entries"]
        assert listed["session"] == mine["session"]
        assert mine["resume"] not in json.dumps(shown) + server.log
        sessions = http(server, "GET", "/stats").json["sessions"]
        assert (sessions["connected"], sessions["ephemeralKeys"]) == (1, 1)
        metrics = http(server, "GET", "/metrics").body.decode()
        assert 'dunena_sessions{state="connected"} 1.0' in metrics
        assert "dunena_ephemeral_keys 1.0" in metrics
        info = http(server, "GET", "/info").json
        assert "session" in info["features"]
        assert info["session"] == {
            "minTimeout": 2000,
            "maxTimeout": 60_000,
            "defaultTimeout": 40_000,
            "maxGrace": 60_000,
            "maxKeys": SHARED_SESSION_KEYS_MAX if is_shared() else SESSION_KEYS_MAX,
            "maxWillOps": WILL_OPERATIONS_MAX,
            "maxWillBytes": WILL_BYTES_MAX,
        }
        assert http(server, "GET", "/health").json["checks"]["sessions"] == {"status": "healthy"}
    wait_for(lambda: http(server, "GET", "/stats").json["sessions"]["ended"] == 1)


def wait_for(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS_MAX
    while not holds():
        assert time.monotonic() < until


# --- the disk ---


def found_on_disk(folder: Path, marks: tuple[str, ...]) -> list[str]:
    """Files whose name or content has one of the marks."""
    found = []
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        if any(mark in path.name or mark.encode() in content for mark in marks):
            found.append(path.name)
    return found


@pytest.mark.parametrize("fsync", ["no", "everysec", "always"])
@pytest.mark.parametrize("ends", ["kill", "stop"])
def test_no_ephemeral_value_is_on_disk_and_what_it_replaced_does_not_come_back(
    start_server: StartServer, tmp_path: Path, fsync: str, ends: str
) -> None:
    server = start_server("--fsync", fsync)
    with open_objects(server) as client:
        session(client, grace=LONG_GRACE, will=[{"op": "set", "key": "will-ran", "value": 1}])
        for key in ("replaced", "ordinary-again", "stays"):
            client.ask({"action": "set", "key": key, "value": f"stored {key}", "id": 1})
        put(client, "key-7f3a", "value-9c1d")
        put(client, "replaced", "value-9c1d", durable=True)
        put(client, "ordinary-again", "value-9c1d")
        client.ask({"action": "set", "key": "ordinary-again", "value": "stored anew", "id": 1})
        client.ask({"action": "incr", "key": "count", "durable": True, "id": 1})
        revision = http(server, "GET", "/info").json["revision"]
        put(client, "key-7f3a", "value-9c1d again")
        assert found_on_disk(tmp_path / "values", ("7f3a", "9c1d")) == []
        server.kill() if ends == "kill" else server.stop()
    assert found_on_disk(tmp_path / "values", ("7f3a", "9c1d", "will-ran")) == []
    server.start()
    assert http(server, "GET", "/keys").json["keys"] == ["count", "ordinary-again", "stays"]
    assert value_of(server, "ordinary-again") == "stored anew"
    assert http(server, "GET", "/info").json["revision"] > revision + 1


def test_a_file_written_by_hand_replaces_an_ephemeral_key(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server()
    folder = tmp_path / "values"
    with open_objects(server) as client:
        for key in ("other-value", "same-value"):
            put(client, key, "here")
            with watching(server, key) as watcher:
                draft = folder / f"{key}.tmp"
                draft.write_text('"by hand"' if key == "other-value" else '"here"', "utf-8")
                draft.replace(folder / f"{key}.json")
                watcher.receive()
        put(client, "back", "here")
    assert value_of(server, "other-value") == "by hand"
    wait_for(lambda: value_of(server, "back") is None)
    server.restart()
    assert http(server, "GET", "/keys").json["keys"] == ["other-value", "same-value"]


def test_an_export_has_no_ephemeral_keys(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    with open_objects(server) as client:
        put(client, "me")
        client.ask({"action": "set", "key": "stored", "value": 1, "id": 1})
        run_copy("export", str(tmp_path / "all.jsonl"), "--url", server.url)
    lines = (tmp_path / "all.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["stored"]


# --- tokens ---


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@contextmanager
def authorized(server: ServerProcess, token: str) -> Iterator[Client]:
    with open_client(server, "/", speaks_dunena=False, additional_headers=bearer(token)) as client:
        yield client


def write_tokens(file: Path, *names: str) -> None:
    tables = [f'[{name}]\ntoken = "{name}-s3cret"\nrights = ["read", "write"]\n' for name in names]
    draft = file.with_suffix(".tmp")
    draft.write_text("\n".join(tables), "utf-8")
    draft.chmod(0o600)
    draft.replace(file)


def test_a_session_belongs_to_its_token(start_server: StartServer, tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    write_tokens(file, "ada", "bob", "eve")
    server = start_server("--tokens", str(file))
    with authorized(server, "eve-s3cret") as watcher:
        watcher.send({"action": "watch", "key": "me"})
        watcher.receive()
        with authorized(server, "ada-s3cret") as ada, authorized(server, "bob-s3cret") as bob:
            will = [{"op": "set", "key": "will-ran", "value": 1}]
            secret = session(ada, grace=LONG_GRACE, will=will)["resume"]
            put(ada, "me")
            watcher.receive()
            assert session(bob, resume=secret)["resumed"] is False
            assert secret not in server.log
            write_tokens(file, "bob", "eve")
            with pytest.raises(ConnectionClosed):
                ada.receive()
            is_told_of_the_end(watcher, "me")
        answer = watcher.ask({"action": "get", "key": "will-ran"})
        assert answer["value"] is None
        assert "did not run: its token is not valid any more" in server.log
        assert (
            http(server, "GET", "/stats", headers=bearer("eve-s3cret")).json["sessions"][
                "failedWills"
            ]
            == 1
        )
