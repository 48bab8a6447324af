"""`GET /search`: a text in all keys and values."""

import select
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.protocol.clients import RawConnection, http, open_dunena
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess
from tests.support.shared_mode import ENTRIES_MAX, is_shared
from tests.support.tokens import write_tokens

KEYS = 20_000 if is_shared() else 100_000  # each write of a shared store goes to another process
NAMESPACES = 5


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def found(reply: Any) -> list[tuple[str, str]]:
    return [(entry["ns"], entry["key"]) for entry in reply.json["entries"]]


def test_a_search_says_where_a_text_is(server: ServerProcess) -> None:
    http(server, "PUT", "/kv/score", {"home": 2})
    http(server, "PUT", "/kv/title?ns=show", '"The High Score"')
    http(server, "PUT", "/kv/clock?ns=show", 1)
    reply = http(server, "GET", "/search?q=score")
    assert found(reply) == [("", "score"), ("show", "title")]
    assert [entry["match"] for entry in reply.json["entries"]] == ["key", "value"]
    assert reply.headers["cache-control"] == "no-store"
    assert found(http(server, "GET", "/search?q=C%3FOCK")) == [("show", "clock")]
    http(server, "DELETE", "/kv/score")
    assert found(http(server, "GET", "/search?q=score")) == [("show", "title")]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("", "q must be a text of 1 to 200 characters"),
        ("?q=" + "x" * 201, "q must be a text of 1 to 200 characters"),
        ("?q=x&count=0", "count must be at least 1"),
        ("?q=x&count=-1", "count must be a non-negative integer"),
        ("?q=x&cursor=nonsense", "cursor must be that of the answer before"),
        ("?q=x&limit=5", "Unknown field: limit"),
    ],
)
def test_a_wrong_search_is_refused(server: ServerProcess, query: str, error: str) -> None:
    reply = http(server, "GET", f"/search{query}")
    assert reply.status == 400
    assert reply.json["error"].startswith(error)


def test_a_token_finds_what_it_may_read(start_server: StartServer, tmp_path: Path) -> None:
    file = write_tokens(
        tmp_path,
        '[all]\ntoken = "all"\nrights = ["read", "write"]\n'
        '[some]\ntoken = "some"\nrights = ["read"]\nkeys = ["public-*"]\nnamespaces = ["show"]\n'
        '[none]\ntoken = "none"\nrights = ["write"]\n',
    )
    server = start_server("--tokens", str(file))
    for ns in ("", "?ns=show"):
        for key in ("public-one", "secret-one"):
            path = f"/kv/{key}{ns}"
            assert http(server, "PUT", path, '"a text"', bearer("all")).status == 201

    def search(token: str, q: str) -> list[tuple[str, str]]:
        return found(http(server, "GET", f"/search?q={q}", headers=bearer(token)))

    assert len(search("all", "text")) == 4
    assert search("some", "text") == search("some", "one") == [("show", "public-one")]
    assert search("some", "secret") == []
    assert search("none", "text") == []


@pytest.mark.timeout(180)
def test_100000_keys_are_searched_while_others_are_served(start_server: StartServer) -> None:
    server = start_server("--no-persist")
    for start in range(0, KEYS, ENTRIES_MAX):
        numbers = range(start, min(KEYS, start + ENTRIES_MAX))
        entries = [{"key": f"k{number:06}", "value": f"value {number}"} for number in numbers]
        body = {
            "action": "mset",
            "entries": entries,
            "ns": f"ns{start // ENTRIES_MAX % NAMESPACES}",
        }
        assert http(server, "POST", "/cache", body).status == 200
    with RawConnection(server) as searching, open_dunena(server) as client:
        searching.request("GET", "/search?q=absent")
        answers = 0
        while not select.select([searching.socket], [], [], 0)[0]:
            client.ask({"type": "ping"})
            answers += 1
        reply = searching.read_reply()
    assert (reply.json["searched"], reply.json["entries"]) == (KEYS, [])
    assert answers > 5, "each was answered between two portions"
    [(ns, key)] = found(http(server, "GET", f"/search?q={quote(f'Value {KEYS - 1}')}"))
    assert (ns[:2], key) == ("ns", f"k{KEYS - 1:06}")
    page = http(server, "GET", "/search?q=value&count=1000")
    seen = found(page)
    while page.json["cursor"] is not None and len(seen) < 5000:
        page = http(server, "GET", f"/search?q=value&count=1000&cursor={page.json['cursor']}")
        seen += found(page)
    assert len(set(seen)) == len(seen) == 5000
