"""Sessions and presence in both clients, over real connections, as another client sees them."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import dunena
from tests.protocol.clients import Client, http, open_objects
from tests.support.cutting_proxy import CuttingProxy
from tests.support.node_client import NodeClient, ScriptError
from tests.support.server import ServerProcess

no_stop_on_windows = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows cannot stop a process in its tracks"
)

SESSION = 'ns: "lobby", session: { timeout: 2000, grace: 60000, name: "Ada" }'


class Lobby:
    """Another client's watch of who is there: each change as ``(key, value)``, None for gone."""

    def __init__(self, client: Client) -> None:
        self._client = client
        client.send({"action": "watch", "pattern": "*", "ns": "lobby"})
        assert self.next() == []

    def next(self) -> list[tuple[str, Any]]:
        """The changes of the next update that has any, or of the first one."""
        while True:
            message = self._client.receive()
            if "update" in message:
                changes = message["update"]["changes"]
                return [(change["key"], change.get("value")) for change in changes]

    def is_quiet(self) -> bool:
        """Whether nothing was told since the last call, when everything on its way is here."""
        self._client.send({"action": "ping", "id": 1})
        return "pong" in self._client.receive()


@pytest.fixture
def lobby(server: ServerProcess) -> Iterator[Lobby]:
    with open_objects(server) as client:
        yield Lobby(client)


@pytest.fixture
def slow_proxy(server: ServerProcess) -> Iterator[CuttingProxy]:
    """A network on which an answer takes longer than a beat at an impossible timeout would."""
    with CuttingProxy(server.port, delay=0.05) as proxy:
        yield proxy


@pytest.fixture
def proxy(server: ServerProcess) -> Iterator[CuttingProxy]:
    with CuttingProxy(server.port) as proxy:
        yield proxy


def session_names(server: ServerProcess) -> set[str]:
    """What the server calls its clients."""
    return {
        one["sessionName"] for one in http(server, "GET", "/server").json["connections"]["shown"]
    }


# --- JavaScript ---


def test_a_page_is_seen_changes_and_leaves(
    away: NodeClient, server: ServerProcess, lobby: Lobby
) -> None:
    away.open(server.url, SESSION)
    away.run("await state.store.present('ada', { name: 'Ada', ready: false })")
    assert lobby.next() == [("ada", {"name": "Ada", "ready": False})]
    away.run("await state.store.present('ada', { ready: true })")
    assert lobby.next() == [("ada", {"name": "Ada", "ready": True})]
    away.run("await state.store.present('ada', null)")
    assert lobby.next() == [("ada", None)]
    away.run("await state.store.present('ada', 'here')")
    assert lobby.next() == [("ada", "here")]
    assert not (server.folder / "lobby").exists()
    away.run("state.store.close()")
    assert lobby.next() == [("ada", None)], "at once, although the grace is a minute"
    assert away.run("return state.errors") == []


def test_a_reconnect_within_the_grace_is_not_seen(
    away: NodeClient, lobby: Lobby, proxy: CuttingProxy
) -> None:
    away.open(proxy.url, SESSION)
    away.run("await state.store.present('ada', 1)")
    assert lobby.next() == [("ada", 1)]
    for _ in range(3):
        proxy.cut()
        away.run("await until(() => state.store.status !== 'open')")
        away.run("await until(() => state.store.status === 'open')")
        away.run("await state.store.get('after the session was resumed')")
        assert lobby.is_quiet()
    away.run("await state.store.present('ada', 2)")
    assert lobby.next() == [("ada", 2)]


def test_without_a_grace_a_page_comes_again_by_itself(
    away: NodeClient, lobby: Lobby, proxy: CuttingProxy
) -> None:
    away.open(proxy.url, 'ns: "lobby"')
    away.run("await state.store.present('ada', { name: 'Ada' })")
    away.run("await state.store.present('ada', { ready: true })")
    assert [lobby.next() for _ in range(2)][1] == [("ada", {"name": "Ada", "ready": True})]
    proxy.cut()
    assert lobby.next() == [("ada", None)]
    assert lobby.next() == [("ada", {"name": "Ada", "ready": True})]


@pytest.mark.parametrize("options", [SESSION, 'ns: "lobby", whileAway: "refuse"'])
def test_a_page_comes_again_after_a_restart_of_the_server(
    away: NodeClient, server: ServerProcess, options: str
) -> None:
    away.open(server.url, options)
    away.run("await state.store.present('ada', 1)")
    server.kill()
    server.start()
    away.run("await until(() => state.store.status === 'open')")
    with open_objects(server) as client:
        client.send({"action": "watch", "key": "ada", "ns": "lobby"})
        while not client.receive()["update"]["changes"]:
            pass
    # Those of a shared store answer 503 with the reason until they have loaded it.
    assert [e for e in away.run("return state.errors") if not e.startswith("The store is ")] == []


def test_a_page_may_present_before_it_is_connected(
    away: NodeClient, server: ServerProcess, lobby: Lobby
) -> None:
    away.connect(server.url, SESSION)
    away.run(
        """state.store.present("ada", { name: "Ada" });
        await state.store.present("ada", { ready: true });"""
    )
    assert lobby.next() == [("ada", {"name": "Ada"})]
    assert lobby.next() == [("ada", {"name": "Ada", "ready": True})]
    assert lobby.is_quiet()


def test_what_is_refused_is_not_presented_later(
    away: NodeClient, server: ServerProcess, lobby: Lobby
) -> None:
    away.open(server.url, SESSION)
    away.run("await state.store.present('ada', { name: 'Ada' })")
    with pytest.raises(ScriptError, match="Value exceeds max size"):
        away.run("await state.store.present('ada', { bio: 'x'.repeat(5_000_000) })")
    with pytest.raises(ScriptError, match="Key must not be empty"):
        away.run("await state.store.present('', 1)")
    away.run("await state.store.present('ada', { ready: true })")
    assert lobby.next() == [("ada", {"name": "Ada"})]
    assert lobby.next() == [("ada", {"name": "Ada", "ready": True})]


def test_a_wrong_session_is_reported_and_the_page_goes_on(
    away: NodeClient, slow_proxy: CuttingProxy, lobby: Lobby
) -> None:
    away.open(slow_proxy.url, 'ns: "lobby", session: { timeout: 1 }')
    away.run("await until(() => state.errors.length)")
    away.run("await state.store.present('ada', 1)")
    assert away.run("return state.errors") == ["Timeout must be 2000 to 60000 ms"]
    assert lobby.next() == [("ada", 1)]


def test_a_will_is_carried_out_in_the_namespace_of_the_store(
    away: NodeClient, server: ServerProcess, lobby: Lobby
) -> None:
    away.open(
        server.url, 'ns: "lobby", session: { will: [{ op: "set", key: "mic", value: "off" }] }'
    )
    away.run("await state.store.get('begun')")
    away.run("state.store.close()")
    assert lobby.next() == [("mic", "off")]


@no_stop_on_windows
def test_a_killed_node_process_is_gone_after_the_grace(
    server: ServerProcess, lobby: Lobby, node: Path, node_modules: Path, tmp_path: Path
) -> None:
    with NodeClient(node, node_modules, tmp_path / "client") as client:
        client.open(server.url, 'ns: "lobby", session: { grace: 500 }')
        client.run("await state.store.present('ada', 1)")
        assert lobby.next() == [("ada", 1)]
        client.signal(signal.SIGKILL)
        assert lobby.next() == [("ada", None)]


@no_stop_on_windows
def test_a_stopped_node_process_is_gone_and_comes_back(
    away: NodeClient, server: ServerProcess, lobby: Lobby
) -> None:
    away.open(server.url, 'ns: "lobby", session: { timeout: 2000, grace: 0 }')
    away.run("await state.store.present('ada', 1)")
    assert lobby.next() == [("ada", 1)]
    away.signal(signal.SIGSTOP)
    try:
        assert lobby.next() == [("ada", None)]
    finally:
        away.signal(signal.SIGCONT)  # or the end of the test would wait for it for ever
    assert lobby.next() == [("ada", 1)]


# --- Python ---

PROGRAM = """
import asyncio, sys, time
import dunena

session = dunena.Session(timeout=2000, grace=int(sys.argv[3]))


def block():
    with dunena.sync.connect(sys.argv[2], ns="lobby", session=session) as store:
        store.present("ada", {"name": "Ada"})
        time.sleep(60)  # idle: what keeps the session alive is the client


async def wait():
    async with dunena.connect(sys.argv[2], ns="lobby", session=session) as store:
        await store.present("ada", {"name": "Ada"})
        await asyncio.sleep(60)


block() if sys.argv[1] == "blocking" else asyncio.run(wait())
"""

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(params=["blocking", "asyncio"])
def start(request: pytest.FixtureRequest, server: ServerProcess) -> Iterator[Start]:
    """Start a program that is there, with a timeout of two seconds, and does nothing else."""
    begun: list[subprocess.Popen[bytes]] = []

    def start(*, grace: int) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-c", PROGRAM, request.param, server.url, str(grace)]
        begun.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.wait()


def test_an_idle_program_stays_and_a_killed_one_is_gone(start: Start, lobby: Lobby) -> None:
    process = start(grace=100)
    assert lobby.next() == [("ada", {"name": "Ada"})]
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(5)  # twice its timeout and more
    assert lobby.is_quiet()
    process.kill()
    assert lobby.next() == [("ada", None)]


@no_stop_on_windows
def test_a_stopped_program_is_gone_and_comes_back(start: Start, lobby: Lobby) -> None:
    process = start(grace=0)
    assert lobby.next() == [("ada", {"name": "Ada"})]
    os.kill(process.pid, signal.SIGSTOP)
    assert lobby.next() == [("ada", None)]
    os.kill(process.pid, signal.SIGCONT)
    assert lobby.next() == [("ada", {"name": "Ada"})]


@no_stop_on_windows
def test_a_program_that_is_interrupted_is_gone_at_once(start: Start, lobby: Lobby) -> None:
    process = start(grace=60_000)
    assert lobby.next() == [("ada", {"name": "Ada"})]
    process.send_signal(signal.SIGINT)
    assert lobby.next() == [("ada", None)]


def test_a_python_reconnect_within_the_grace_is_not_seen(lobby: Lobby, proxy: CuttingProxy) -> None:
    async def run() -> None:
        session = dunena.Session(grace=60_000)
        async with dunena.connect(proxy.url, ns="lobby", session=session) as store:
            await store.present("ada", {"name": "Ada", "ready": False})
            for _ in range(2):
                proxy.cut()
                await store.get("after the session was resumed")
            await store.present("ada", {"ready": True})

    asyncio.run(run())
    assert lobby.next() == [("ada", {"name": "Ada", "ready": False})]
    assert lobby.next() == [("ada", {"name": "Ada", "ready": True})]
    assert lobby.next() == [("ada", None)]


def test_a_blocking_store_comes_again_by_itself_and_is_gone_at_its_end(
    lobby: Lobby, proxy: CuttingProxy
) -> None:
    with dunena.sync.connect(proxy.url, ns="lobby") as store:
        store.present("ada", 1)
        assert lobby.next() == [("ada", 1)]
        proxy.cut()
        assert lobby.next() == [("ada", None)]
        assert lobby.next() == [("ada", 1)]
        store.present("ada", None)
        assert lobby.next() == [("ada", None)]
        store.present("ada", 2)
        assert lobby.next() == [("ada", 2)]
    assert lobby.next() == [("ada", None)]


def test_a_session_that_the_server_refuses_is_an_error_of_the_with(server: ServerProcess) -> None:
    async def run() -> None:
        async with dunena.connect(server.url, session=dunena.Session(grace=-1)):
            pass

    with pytest.raises(dunena.RequestError, match="Grace must be 0 to 60000 ms"):
        asyncio.run(run())
    wrong = dunena.Session(will=[{"op": "set", "key": "", "value": 1}])
    with (
        pytest.raises(dunena.RequestError, match="will op 0: Key must not be empty"),
        dunena.sync.connect(server.url, session=wrong),
    ):
        pass


def test_ephemeral_writes_go_with_their_client(server: ServerProcess) -> None:
    with dunena.sync.connect(server.url) as others, others.watch(pattern="*") as changes:
        session = dunena.Session(name="Ada", will=[{"op": "set", "key": "left", "value": True}])
        with dunena.sync.connect(server.url, session=session) as store:
            store.set("lock", "Ada", if_rev=0, ephemeral=True)
            store.set("plain", 1, ephemeral=True)
            store.mset({"many": 1}, ephemeral=True)
            store.append("list", 1, ephemeral=True)
            store.update("updated", lambda _: 1, ephemeral=True)
            with store.txn() as steps:
                steps.incr("hands", ephemeral=True)
            with pytest.raises(dunena.ConflictError):
                others.set("lock", "Bob", if_rev=0, ephemeral=True)
            assert len(store.keys()) == 6
            assert list(server.folder.glob("*.json")) == []
            assert "Ada" in session_names(server)
        keys = set()
        for key, value in changes:
            if value is None:
                keys.add(key)
            if key == "left":
                break
        assert keys == {"lock", "plain", "many", "list", "updated", "hands"}
        assert others.keys() == ["left"]
