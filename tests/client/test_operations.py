"""Changes that the JavaScript client leaves to the server: operations, transactions, timers."""

import time
from collections.abc import Iterator

import pytest

from tests.protocol.clients import http, unique
from tests.support.cutting_proxy import CuttingProxy
from tests.support.node_client import NodeClient
from tests.support.patience import patiently
from tests.support.server import ServerProcess


@pytest.fixture
def proxy(server: ServerProcess) -> Iterator[CuttingProxy]:
    with CuttingProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def cut_client(away: NodeClient, proxy: CuttingProxy) -> NodeClient:
    """A client whose connection to `server` can be cut."""
    away.open(proxy.url)
    return away


CALLS = [
    ("null", 'incr("K")', 1, 1),
    ('{"a":1}', 'incr("K", 2.5, { path: "/a" })', 3.5, {"a": 3.5}),
    ("5", 'incr("K", 3, { max: 8 })', 8, 8),
    ("null", 'append("K", { n: 1 })', 1, [{"n": 1}]),
    ("[1,2]", 'append("K", 3, { max: 2 })', 2, [2, 3]),
    ('{"a":{"b":1,"c":2}}', 'merge("K", { a: { b: null, d: 3 } })', *[{"a": {"c": 2, "d": 3}}] * 2),
    ('{"a":{"b":1}}', 'merge("K", { c: 2 }, { path: "/a" })', *[{"a": {"b": 1, "c": 2}}] * 2),
    ('{"a":[1,2]}', 'delete("K", { path: "/a/0" })', True, {"a": [2]}),
    ('{"a":1}', 'delete("K", { path: "/b" })', False, {"a": 1}),
    ("null", 'update("K", (old) => [old])', [None], [None]),
    ("4", 'update("K", async (old) => old + 1)', 5, 5),
    ("4", 'update("K", () => {})', 4, 4),
]


@pytest.mark.parametrize(
    ("before", "call", "result", "after"), CALLS, ids=[call for _, call, *_ in CALLS]
)
def test_a_change_is_made_and_its_result_returned(
    client: NodeClient, before: str, call: str, result: object, after: object
) -> None:
    call = call.replace('"K"', f'"{unique()}"')
    key = call.split('"')[1]
    start = f'await state.store.set("{key}", {before});' if before != "null" else ""
    found = client.run(
        f'{start} return [await state.store.{call}, await state.store.get("{key}")];'
    )
    assert found == [result, after]


def test_set_returns_the_revision_that_get_has(client: NodeClient) -> None:
    key = unique()
    rev, found, missing = client.run(
        f"""const rev = await state.store.set("{key}", 1);
        const missing = await state.store.get("no-{key}", {{ rev: true }});
        return [rev, await state.store.get("{key}", {{ rev: true }}), missing];"""
    )
    assert found == {"value": 1, "rev": rev, "epoch": found["epoch"]}
    assert missing == {"value": None, "rev": 0, "epoch": found["epoch"]}


ERRORS = [
    ('set("K", 2, { ifRev: 0 })', "conflict", 'Revision conflict: "K" is at REV'),
    ('set("K", 2, { path: "/a/b" })', "no_path", 'Nothing at "/a/b" of "K"'),
    ('set("K", 2, { then: 3 })', "invalid", "Then needs a ttl"),
    ('set("K", 2, { path: "a" })', "invalid", "Path must be a JSON Pointer"),
    ('incr("K")', "wrong_type", 'Not a number: "K"'),
    ('append("K", 1)', "wrong_type", 'Not a list: "K"'),
    ('timer("K", "start")', "wrong_type", 'Not a timer: "K"'),
    ('timer("K", "begin")', "invalid", "Do must be one of: start, stop, toggle, set, add"),
    ('incr("K", 5, { path: "/n", max: 3 })', "range", 'Out of range: "K"'),
    ('revert("K", { toRev: 9000000 })', "no_rev", "No such revision: 9000000"),
    ('merge("K", { a: "x".repeat(4194304) })', "limit", "Value exceeds max size (4194304 bytes)"),
]


@pytest.mark.parametrize(("call", "code", "text"), ERRORS, ids=[call for call, *_ in ERRORS])
def test_a_refused_change_rejects_with_a_code(
    client: NodeClient, call: str, code: str, text: str
) -> None:
    key = unique()
    rev, error = client.run(
        f"""const rev = await state.store.set("{key}", {{ n: 1 }});
        const error = await state.store.{call.replace('"K"', f'"{key}"')}.catch((error) => error);
        const isOne = error instanceof DunenaError;
        return [rev, {{ ...error, message: error.message, isOne }}];"""
    )
    assert error["isOne"]
    assert error["code"] == code
    assert error["message"] == text.replace('"K"', f'"{key}"').replace("REV", str(rev))
    if code == "conflict":
        assert (error["key"], error["rev"]) == (key, rev)


def test_a_transaction_makes_all_changes_or_none(client: NodeClient) -> None:
    key = unique()
    done, error, value = client.run(
        f"""const {{ store }} = state;
        const incr = (by, more) => ({{ op: "incr", key: "{key}", path: "/ada", by, ...more }});
        await store.set("{key}", {{ ada: 1 }});
        const done = await store.txn([incr(4), incr(-1)]);
        const error = await store.txn([incr(1), incr(-9, {{ min: 0 }})]).catch((error) => error);
        return [done, {{ ...error, text: error.message }}, await store.get("{key}")];"""
    )
    assert [result["value"] for result in done] == [5, 4]
    assert (error["code"], error["op"], error["text"]) == (
        "range",
        1,
        f'op 1: Out of range: "{key}"',
    )
    assert value == {"ada": 4}


def test_updates_of_two_clients_lose_nothing(
    client: NodeClient, shared_server: ServerProcess
) -> None:
    total = client.run(
        f"""const other = connect("{shared_server.url}", {{ WebSocket }});
        const key = "{unique()}", updates = [];
        for (let n = 0; n < 20; n++)
          for (const store of [state.store, other])
            updates.push(store.update(key, (old) => (old ?? 0) + 1));
        await Promise.all(updates);
        other.close();
        return await state.store.get(key);"""
    )
    assert total == 40


def test_a_value_changes_by_itself_when_its_ttl_ends(client: NodeClient) -> None:
    seen = client.run(
        f"""const key = "{unique()}", seen = [];
        const options = {{ ttl: 100, then: {{ on: false }} }};
        await state.store.set(key, {{ name: "Ada", on: true }}, options);
        const stop = state.store.watch(key, (value) => seen.push(value.on));
        await until(() => seen.length === 2);
        stop();
        return seen;"""
    )
    assert seen == [True, False]


def test_a_timer_is_changed_by_the_servers_clock(client: NodeClient) -> None:
    key = unique()
    timer, shown = client.run(
        f"""const {{ store }} = state, key = "{key}";
        await store.timer(key, "set", {{ ms: 60_000, rate: -1 }});
        const {{ timer }} = await store.timer(key, "start");
        const shown = timer.ms - (store.now() - timer.at);
        return [timer, shown];"""
    )
    assert (timer["ms"], timer["rate"], timer["running"]) == (60_000, -1, True)
    assert 55_000 < shown <= 60_010


def test_now_is_the_servers_time_whatever_the_clock_here(
    away: NodeClient, server: ServerProcess
) -> None:
    distance = away.run(
        f"""Object.defineProperty(performance, "timeOrigin", {{ value: 0, configurable: true }});
        state.store = connect("{server.url}", {{ WebSocket }});
        delete performance.timeOrigin;
        const distance = () => Math.abs(state.store.now() - Date.now());
        const before = distance();
        await until(() => distance() < 1000);
        return before;"""
    )
    assert distance > 1_000_000_000


def test_the_history_has_earlier_values_and_revert_brings_one_back(client: NodeClient) -> None:
    key = unique()
    entries, back, value = client.run(
        f"""const {{ store }} = state, key = "{key}";
        await store.set(key, "Ada");
        await new Promise((resolve) => setTimeout(resolve, 1100)); // shorter ones are not kept
        await store.set(key, "Bob");
        const entries = await store.history(key, {{ limit: 5 }});
        return [entries, await store.revert(key), await store.get(key)];"""
    )
    assert [entry["value"] for entry in entries] == ["Bob", "Ada"]
    assert entries[0]["rev"] > entries[1]["rev"]
    assert (back, value) == ("Ada", "Ada")


def stored(server: ServerProcess, key: str) -> object:
    return http(server, "GET", f"/get/{key}").json["value"]


def wait_for(server: ServerProcess, key: str, value: object) -> None:
    """Wait until the server has a value."""
    end = time.monotonic() + patiently(20)
    while stored(server, key) != value:
        assert time.monotonic() < end, stored(server, key)
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("call", "after"),
    [
        ('incr("k")', 1),
        ('append("k", 1)', [1]),
        ('txn([{ op: "incr", key: "k" }])', 1),
        ('set("k", 1, { ifRev: 0 })', 1),
    ],
)
def test_a_change_whose_answer_was_lost_is_made_once(
    cut_client: NodeClient, server: ServerProcess, proxy: CuttingProxy, call: str, after: object
) -> None:
    proxy.hold_answers()
    cut_client.run(f"state.change = state.store.{call}; state.change.catch(() => {{}})")
    wait_for(server, "k", after)
    proxy.cut()
    cut_client.run("await state.change")
    assert stored(server, "k") == after
    assert cut_client.run("return await state.store.get('k')") == after


def test_a_change_is_rejected_as_unknown_if_the_server_has_restarted(
    cut_client: NodeClient, server: ServerProcess, proxy: CuttingProxy
) -> None:
    proxy.hold_answers()
    cut_client.run(
        """state.calls = [state.store.incr("k"), state.store.set("plain", 1)];
        state.settled = Promise.allSettled(state.calls);"""
    )
    wait_for(server, "plain", 1)
    server.kill()
    server.start()
    proxy.cut()
    found = cut_client.run("return (await state.settled).map((it) => it.reason?.code ?? it.status)")
    assert found == ["unknown", "fulfilled"]
    assert stored(server, "k") == 1


def test_a_change_is_rejected_as_unknown_when_the_server_may_have_forgotten_it(
    cut_client: NodeClient, server: ServerProcess, proxy: CuttingProxy
) -> None:
    proxy.hold_answers()
    cut_client.run("state.settled = Promise.allSettled([state.store.incr('k')])")
    wait_for(server, "k", 1)
    cut_client.run(
        """const now = performance.now.bind(performance);
        performance.now = () => now() + 101_000;"""
    )
    proxy.cut()
    found = cut_client.run(
        "const [{ reason }] = await state.settled; delete performance.now; return reason?.code;"
    )
    assert found == "unknown"
    assert stored(server, "k") == 1


def test_a_change_made_while_disconnected_is_made_once_later(
    away: NodeClient, server: ServerProcess
) -> None:
    away.open(server.url)
    assert server.stop() == 0
    away.run("await until(() => state.store.status === 'waiting')")
    away.run("state.calls = [state.store.incr('k'), state.store.incr('k')]")
    server.start()
    assert away.run("return await Promise.all(state.calls)") == [1, 2]


def test_calls_without_a_connection_reject_with_codes(
    away: NodeClient, server: ServerProcess
) -> None:
    away.open(server.url, 'whileAway: "refuse"')
    server.kill()
    away.run("await until(() => state.store.status === 'waiting')")
    assert away.run("return await state.store.incr('k').catch((error) => error.code)") == "away"
