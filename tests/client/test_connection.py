"""The JavaScript client's connection: reconnecting, and no repeated or stale values."""

import signal
import sys
import time

import pytest

from tests.e2e.processes import free_port
from tests.protocol.clients import http
from tests.support.fixtures import StartServer
from tests.support.node_client import NodeClient, ScriptError
from tests.support.prefix_proxy import PrefixProxy
from tests.support.server import ServerProcess

DEAD_SECONDS_MAX = 4.0
"""For a client in haste; tests/browser looks at one that takes its time."""


WATCH = "state.seen = []; state.store.watch('k', (value) => state.seen.push(value));"


def put(server: ServerProcess, value: object) -> None:
    assert http(server, "POST", "/set", {"key": "k", "value": value}).status == 200


def expect_seen(client: NodeClient, *values: object) -> None:
    """Wait for the last of the values; there must be these and no others."""
    client.run(f"await until(() => state.seen.length >= {len(values)})")
    client.run("await state.store.get('k')")  # everything on its way is here now
    assert client.run("return state.seen") == list(values)


def test_the_client_connects_when_the_server_starts_later(
    away: NodeClient, start_server: StartServer
) -> None:
    server = start_server()
    assert server.stop() == 0
    away.connect(server.url)
    away.run(WATCH)
    away.run("state.early = state.store.set('k', 'early')")
    away.run(
        """state.warnings = [];
        console.warn = (text) => state.warnings.push(text);
        let waits = 0;
        state.stop = state.store.onStatus((status) => { waits += status === "waiting"; });
        await until(() => waits === 3);"""
    )
    text = f"No server at {server.url}/; start dunena there"
    assert away.run("return state.store.error.message") == text
    server.start()
    away.run("await state.early")
    assert away.run("return state.store.error") is None
    expect_seen(away, None, "early")
    assert away.run("return state.errors") == []


@pytest.mark.parametrize("is_killed", [False, True], ids=["stopped", "killed"])
def test_a_watch_continues_with_changed_values_after_a_restart(
    away: NodeClient, server: ServerProcess, *, is_killed: bool
) -> None:
    put(server, "before")
    away.open(server.url)
    away.run(WATCH)
    expect_seen(away, "before")
    server.kill() if is_killed else server.stop()
    away.run("await until(() => state.store.status === 'waiting')")
    (server.folder / "k.json").write_text('"meanwhile"', encoding="utf-8")
    server.start()
    expect_seen(away, "before", "meanwhile")
    put(server, "after")
    expect_seen(away, "before", "meanwhile", "after")


def test_unchanged_values_are_not_repeated_after_a_reconnect(
    away: NodeClient, server: ServerProcess
) -> None:
    put(server, {"home": 1, "guest": [2.5, "ß"]})
    away.open(server.url)
    away.run(WATCH)
    away.run("state.store.watch('missing', (value) => state.seen.push(['missing', value]));")
    away.run("await until(() => state.seen.length === 2)")
    for _ in range(2):
        server.restart()
        away.run("await until(() => state.store.status === 'open')")
        away.run("await state.store.get('k')")
    put(server, 1)
    expect_seen(away, {"home": 1, "guest": [2.5, "ß"]}, ["missing", None], 1)


def test_a_key_deleted_during_a_disconnect_is_reported_as_null(
    away: NodeClient, server: ServerProcess
) -> None:
    put(server, 1)
    away.open(server.url)
    away.run(WATCH)
    expect_seen(away, 1)
    assert server.stop() == 0
    (server.folder / "k.json").unlink()
    server.start()
    expect_seen(away, 1, None)


def test_a_watch_stays_in_order_through_many_kills(away: NodeClient, server: ServerProcess) -> None:
    """A writer and a watcher, and a server that is killed again and again under both."""
    away.open(server.url)
    away.run(
        """state.seen = [];
        state.store.watch("count", (value) => state.seen.push(value ?? 0));
        state.goesOn = true;
        state.writing = (async () => {
          let n = 0;
          while (state.goesOn) await state.store.set("count", ++n);
          return n;
        })();"""
    )
    for _ in range(4):
        seen = away.run("return state.seen.length")
        away.run(f"await until(() => state.seen.length > {seen} + 50)")
        server.kill()
        server.start()
    last = away.run("state.goesOn = false; return await state.writing;")
    away.run(f"await until(() => state.seen.at(-1) === {last})")
    seen = away.run("return state.seen")
    # A write that was stored but not confirmed is sent again, and its update is then an equal one.
    assert seen == sorted(seen)
    get_cache = len(seen) - len(set(seen))
    assert get_cache <= 4


def test_writes_made_while_disconnected_are_sent_after_the_reconnect(
    away: NodeClient, server: ServerProcess
) -> None:
    away.open(server.url)
    assert server.stop() == 0
    away.run("await until(() => state.store.status === 'waiting')")
    away.run(
        """state.writes = [];
        for (let n = 0; n < 100; n++) state.writes.push(state.store.set("k" + n % 10, n));"""
    )
    server.start()
    away.run("await Promise.all(state.writes)")
    found = away.run("return await state.store.mget([...Array(10).keys()].map((n) => 'k' + n))")
    assert found == {f"k{n}": 90 + n for n in range(10)}


def test_writes_while_disconnected_are_rejected_with_while_away_refuse(
    away: NodeClient, server: ServerProcess
) -> None:
    away.open(server.url, 'whileAway: "refuse"')
    assert server.stop() == 0
    away.run("await until(() => state.store.status === 'waiting')")
    for call in ("set('k', 1)", "get('k')", "delete('k')", "keys()", "merge('k', {})"):
        with pytest.raises(ScriptError, match=r"^DunenaError: Not connected$"):
            away.run(f"await state.store.{call}")
    server.start()
    away.run("await until(() => state.store.status === 'open')")
    assert away.run("return await state.store.get('k')") is None


@pytest.fixture
def narrow(start_server: StartServer) -> ServerProcess:
    """A server that closes connections whose message is over 71,536 bytes."""
    return start_server("--max-value", "1000")


TOO_LARGE = "Value exceeds max size (1000 bytes)"


@pytest.mark.parametrize("mode", ["wait", "refuse"])
def test_a_value_too_large_for_a_message_is_rejected_and_not_sent(
    away: NodeClient, narrow: ServerProcess, mode: str
) -> None:
    away.open(narrow.url, f'whileAway: "{mode}"')
    away.run(WATCH)
    expect_seen(away, None)
    assert away.run(
        """const { store } = state, told = (error) => error.message;
        const statuses = [];
        store.onStatus((status) => statuses.push(status));
        const calls = [
            store.set("k", 1).then(() => null),
            store.set("h", "x".repeat(80_000)).catch(told),
            store.set("k", 2).then(() => null),
        ];
        const [before, large, after] = await Promise.all(calls);
        await store.set("k", 3);
        const connections = statuses.filter((status) => status === "connecting").length;
        return [before, large, after, connections, await store.get("h"), store.error];"""
    ) == [None, TOO_LARGE, None, 0, None, None]
    assert away.run("return [state.seen.at(-1), state.errors]") == [3, []]


def test_only_the_values_too_large_for_a_message_are_rejected(
    away: NodeClient, narrow: ServerProcess
) -> None:
    # Of the second each character is three bytes. The third fits a message but is no value.
    away.open(narrow.url)
    assert away.run(
        """const { store } = state;
        const texts = ["y".repeat(900), "\u20ac".repeat(30_000), "x".repeat(60_000), "z"];
        const calls = texts.map((text, n) => store.set("k" + n, text));
        calls.push(store.mset({ a: 1, b: "x".repeat(100_000), c: 1 }), store.set("last", 1));
        const found = await Promise.allSettled(calls);
        return found.map(({ reason }) => reason?.message ?? null);"""
    ) == [None, TOO_LARGE, TOO_LARGE, None, TOO_LARGE, None]
    assert away.run("return await state.store.mget(['k3', 'last'])") == {"k3": "z", "last": 1}


def test_a_key_too_large_for_a_message_is_not_subscribed_to_again(
    away: NodeClient, narrow: ServerProcess
) -> None:
    away.open(narrow.url)
    assert away.run(
        """const { store } = state, key = "k".repeat(80_000);
        const text = await store.get(key).catch((error) => error.message);
        const stop = store.watch(key, () => {});
        await until(() => state.errors.length);
        await store.set("k", 1);
        stop();
        return [text, await store.get("k"), state.errors];"""
    ) == [TOO_LARGE, 1, [TOO_LARGE]]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot stop a process in its tracks")
@pytest.mark.parametrize("mode", ["wait", "refuse"])
def test_the_client_replaces_a_dead_connection(
    hasty: NodeClient, server: ServerProcess, mode: str
) -> None:
    put(server, 1)
    hasty.open(server.url, f'whileAway: "{mode}"')
    hasty.run(WATCH)
    expect_seen(hasty, 1)
    server.process.send_signal(signal.SIGSTOP)
    try:
        stopped_at = time.monotonic()
        hasty.run(
            "state.write = state.store.set('k', 2).then(() => null, (error) => error.message)"
        )
        hasty.run("await until(() => state.store.status !== 'open')")
        assert time.monotonic() - stopped_at < DEAD_SECONDS_MAX
    finally:
        server.process.send_signal(signal.SIGCONT)
    if mode == "refuse":
        assert hasty.run("return await state.write") == "Connection lost"
    hasty.run("await until(() => state.store.status === 'open')")
    assert hasty.run("return await state.write") in (None, "Connection lost")
    hasty.run("await until(() => state.seen.at(-1) === 2)")
    assert hasty.run("return state.seen")[0] == 1


def test_a_server_that_accepts_and_never_answers_is_given_up(hasty: NodeClient) -> None:
    import socket

    with socket.create_server(("127.0.0.1", free_port())) as listener:
        hasty.connect(f"http://127.0.0.1:{listener.getsockname()[1]}")
        hasty.run("await until(() => state.store.status === 'waiting')")


def test_an_idle_connection_that_answers_pings_is_kept(
    hasty: NodeClient, server: ServerProcess
) -> None:
    told = hasty.run(
        f"""let beats = 0;
        class Counting extends WebSocket {{
          send(text) {{ beats += 1; super.send(text); }}
        }}
        state.store = connect("{server.url}", {{ WebSocket: Counting }});
        await until(() => state.store.status === "open");
        const seen = [];
        state.store.onStatus((status) => seen.push(status));
        beats = 0;
        await until(() => beats === 3);
        return seen;"""
    )
    assert told == ["open"]


def test_on_status_is_called_at_each_change(away: NodeClient, server: ServerProcess) -> None:
    away.connect(server.url)
    away.run(
        """state.told = [];
        state.stop = state.store.onStatus((status) => state.told.push(status));
        await until(() => state.told.at(-1) === "open");"""
    )
    assert server.stop() == 0
    away.run("await until(() => state.told.filter((it) => it === 'connecting').length === 3)")
    told = away.run("state.stop(); state.store.close(); return state.told;")
    assert told[:4] == ["connecting", "open", "waiting", "connecting"]


def test_many_clients_reconnect_at_spread_out_times(
    away: NodeClient, server: ServerProcess
) -> None:
    spread = away.run(
        f"""const stores = [...Array(30)].map(() => connect("{server.url}", {{ WebSocket }}));
        await until(() => stores.every((store) => store.status === "open"));
        state.times = [];
        const note = (status) => status === "connecting" && state.times.push(Date.now());
        for (const store of stores) store.onStatus(note);
        state.stores = stores;"""
    )
    assert spread is None
    assert server.stop() == 0
    times = away.run(
        """await until(() => state.times.length >= 30);
        for (const store of state.stores) store.close();
        return state.times.slice(0, 30);"""
    )
    assert max(times) - min(times) >= 30


@pytest.mark.parametrize("end", ["", "/", "/ws", "/ws/"])
def test_the_client_connects_below_a_path_prefix(
    away: NodeClient, server: ServerProcess, end: str
) -> None:
    put(server, 1)
    with PrefixProxy(server.port, "/store") as proxy:
        away.open(f"{proxy.url}{end}")
        assert away.run("return state.store.get('k')") == 1
        assert away.run("return state.store.keys()") == ["k"]
        away.run("state.store.close()")
