"""Backups over HTTP: of one moment, for who administers the server, and compared with the store."""

import io
import json
import threading
import time
import zipfile
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from dunena import __version__
from dunena.backup.reading import BackupReader
from dunena.server.limits import BACKUPS_MAX
from tests.protocol.clients import Reply, http, open_dunena
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess
from tests.support.tokens import write_tokens


def read(content: bytes) -> BackupReader:
    backup = BackupReader(io.BytesIO(content), len(content))
    backup.check()
    return backup


def values_of(backup: BackupReader) -> dict[tuple[str, str], Any]:
    return {(one.ns, one.key): json.loads(one.value) for one in backup.entries}


def put(server: ServerProcess, key: str, value: object, query: str = "") -> None:
    body = json.dumps(value)
    assert http(server, "PUT", f"/kv/{key}{query}", body, JSON).status in (201, 204)


JSON = {"Content-Type": "application/json"}


def test_a_backup_has_all_values_and_pages_as_one_zip(
    start_server: StartServer, tmp_path: Path
) -> None:
    pages = tmp_path / "www"
    (pages / "board").mkdir(parents=True)
    (pages / "board" / "panel.html").write_bytes(b"<h1>" * 50_000)
    (pages / ".secret").write_text("hidden", encoding="utf-8")
    server = start_server("--www", str(pages))
    put(server, "score", {"home": 1})
    put(server, "Score", "é", "?ns=show&ttl=60000")
    before = time.time() * 1000
    reply = http(server, "GET", "/backup")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/zip")
    assert reply.headers["cache-control"] == "no-store"
    disposition = reply.headers["content-disposition"]
    assert disposition.startswith('attachment; filename="dunena-2')
    assert disposition.endswith('.zip"')
    backup = read(reply.body)
    assert values_of(backup) == {("", "score"): {"home": 1}, ("show", "Score"): "é"}
    [timed] = [one.expires_at for one in backup.entries if one.expires_at is not None]
    assert before + 50_000 < timed < before + 70_000
    assert backup.pages == ["board/panel.html"]
    assert b"".join(backup.page("board/panel.html")) == b"<h1>" * 50_000
    manifest = backup.manifest
    assert (manifest.dunena, manifest.keys, manifest.pages) == (__version__, 2, 1)
    assert read(http(server, "GET", "/backup?pages=false").body).pages == []
    assert http(server, "GET", "/backup?pages=no").status == 400
    assert http(server, "GET", "/backup?page=false").status == 400


def test_only_who_administers_the_server_gets_a_backup(
    start_server: StartServer, tmp_path: Path
) -> None:
    rights = {"all": '["read", "write", "admin"]', "writer": '["read", "write"]'}
    rights |= {"admin": '["admin"]', "some": '["read", "admin"]\nkeys = ["score"]'}
    tables = [f'[{name}]\ntoken = "{name}"\nrights = {has}\n' for name, has in rights.items()]
    tokens = write_tokens(tmp_path, "".join(tables))
    server = start_server("--tokens", str(tokens))
    for token in rights:
        bearer = {"Authorization": f"Bearer {token}"}
        got = http(server, "GET", "/backup", None, bearer)
        compared = http(server, "POST", "/backup", b"zip", bearer)
        assert (got.status, compared.status) == ((200, 400) if token == "all" else (403, 403))
        if token in ("admin", "some"):
            assert got.json["error"].endswith("the rights admin and read, for all keys")


def test_keys_that_are_written_together_are_alike_in_every_backup(
    start_server: StartServer,
) -> None:
    server = start_server()
    is_over = threading.Event()
    filler = {f"filler{number}": "x" * 200 for number in range(2000)}
    http(server, "POST", "/txn", {"ops": [
        {"op": "set", "key": key, "value": value} for key, value in list(filler.items())[:1000]
    ]})  # fmt: skip
    acknowledged = [0]

    def write() -> None:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
        number = 0
        while not is_over.is_set():
            number += 1
            ops = [{"op": "set", "key": f"pair{one}", "value": number} for one in range(5)]
            connection.request("POST", "/txn", json.dumps({"ops": ops}))
            assert connection.getresponse().read()
            acknowledged[0] = number
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = set()
        for _ in range(20):
            at_least = acknowledged[0]
            values = values_of(read(http(server, "GET", "/backup").body))
            pair = {values["", f"pair{one}"] for one in range(5)} if at_least else {0}
            assert len(pair) == 1
            assert min(pair) >= at_least, "nothing that was acknowledged before is missing"
            seen |= pair
    finally:
        is_over.set()
        writer.join()
    assert len(seen) > 1


def test_keys_of_a_session_are_in_no_backup(start_server: StartServer) -> None:
    server = start_server()
    put(server, "stays", 1)
    with open_dunena(server) as client:
        client.ask({"type": "set", "key": "here", "value": "me", "ephemeral": True})
        assert http(server, "GET", "/kv").json == {"here": "me", "stays": 1}
        content = http(server, "GET", "/backup").body
        assert [one.key for one in read(content).entries] == ["stays"]
        plan = compare(server, content).json
        assert (plan["same"], plan["deleted"]) == (1, 0), "it is nobody's to delete"


def test_an_old_client_gets_a_backup_that_ends_with_its_connection(
    shared_server: ServerProcess,
) -> None:
    connection = HTTPConnection("127.0.0.1", shared_server.port, timeout=30)
    connection._http_vsn, connection._http_vsn_str = 10, "HTTP/1.0"  # type: ignore[attr-defined]
    connection.request("GET", "/backup")
    response = connection.getresponse()
    assert response.getheader("transfer-encoding") is None
    read(response.read())
    connection.close()


def test_two_backups_are_made_at_once_and_a_third_has_to_come_again(
    start_server: StartServer,
) -> None:
    server = start_server()
    for number in range(6):
        # They hardly get smaller, so that what nobody reads is more than a socket takes.
        put(server, f"large{number}", "".join(map(str, range(number, 600_000))))
    held = [HTTPConnection("127.0.0.1", server.port, timeout=30) for _ in range(BACKUPS_MAX)]
    answers = []
    for connection in held:
        connection.request("GET", "/backup")
        answers.append(connection.getresponse())
    refused = http(server, "GET", "/backup")
    assert (refused.status, refused.json["code"]) == (503, "busy")
    assert refused.headers["retry-after"] == "10"
    first, *others = answers
    assert len(read(first.read()).entries) == 6
    for answer in others:  # which are not read to their end
        answer.close()
    for connection in held:
        connection.close()
    deadline = time.monotonic() + 30
    while http(server, "GET", "/backup").status != 200:
        assert time.monotonic() < deadline


def compare(server: ServerProcess, content: bytes, query: str = "") -> Reply:
    return http(server, "POST", f"/backup{query}", content)


def test_a_backup_is_compared_and_its_transactions_restore_it(start_server: StartServer) -> None:
    server = start_server()
    put(server, "score", {"home": 9007199254740993})
    put(server, "gone", 1, "?ns=show")
    put(server, "timed", {"a": 1}, "?ttl=60000&then=%7B%22a%22%3A2%7D")
    content = http(server, "GET", "/backup").body
    same = compare(server, content).json
    assert {name: same[name] for name in ("new", "changed", "same", "deleted", "kept")} == {
        "new": 0, "changed": 0, "same": 3, "deleted": 0, "kept": 0,
    }  # fmt: skip
    assert "batches" not in same
    put(server, "score", 0)
    put(server, "extra", 1)
    assert http(server, "DELETE", "/kv/gone?ns=show").status == 204
    merged = compare(server, content, "?mode=merge").json
    assert (merged["new"], merged["changed"], merged["same"], merged["kept"]) == (1, 1, 1, 1)
    plan = compare(server, content, "?mode=replace&batches=true").json
    assert (plan["new"], plan["changed"], plan["same"], plan["deleted"]) == (1, 1, 1, 1)
    for batch in plan["batches"]:
        assert http(server, "POST", "/txn", batch, JSON).status == 200
    assert compare(server, content, "?mode=replace").json["same"] == 3
    again = read(http(server, "GET", "/backup").body)
    assert {one.key: one.value for one in again.entries}["score"] == b'{"home":9007199254740993}'


@pytest.mark.parametrize(
    ("content", "query", "reason"),
    [
        (b"hello", "", "The file cannot be restored: it is no zip"),
        (b"PK\x01\x02" * 100_001, "", "use dunena restore"),
        (b"hello", "?mode=other", "mode is replace or merge"),
        (b"hello", "?batches=1", "batches true or false"),
        (b"hello", "?dry=1", "dry"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_sentence(
    content: bytes, query: str, reason: str, shared_server: ServerProcess
) -> None:
    reply = compare(shared_server, content, query)
    assert reply.status == 400
    assert reason in reply.json["error"]


def test_a_bomb_is_refused(shared_server: ServerProcess) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("values/a.json", b"[" * 40_000_000)
    assert "more than 33,554,432" in compare(shared_server, out.getvalue()).json["error"]
