"""The JavaScript client's watches of keys and patterns, also over lost connections."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.protocol.clients import http, unique
from tests.support.cutting_proxy import CuttingProxy
from tests.support.node_client import NodeClient
from tests.support.server import ServerProcess

WATCH = """state.seen = [];
const note = (values, changes) => state.seen.push([values && structuredClone({ ...values }),
  changes.map(({ key, value, event }) => [key, event ?? value])]);
"""


@pytest.fixture
def proxy(server: ServerProcess) -> Iterator[CuttingProxy]:
    with CuttingProxy(server.port) as proxy:
        yield proxy


def watch(client: NodeClient, what: str) -> None:
    """Gather in ``state.seen`` what a watch calls back with; wait for the first call."""
    client.run(f"{WATCH} state.stop = state.store.watch({what}, note)")
    client.run("await until(() => state.seen.length === 1)")


def seen(client: NodeClient) -> list[Any]:
    """All calls back, when everything on its way is here."""
    client.run("await state.store.get('end')")
    calls: list[Any] = client.run("return state.seen")
    return calls


def put(server: ServerProcess, key: str, value: object) -> None:
    assert http(server, "POST", "/set", {"key": key, "value": value}).status == 200


def test_a_pattern_is_followed_until_the_watch_is_stopped(client: NodeClient) -> None:
    ns = json.dumps(unique())
    client.run(f"await state.store.set('team-a', {{ n: 1 }}, {{ ns: {ns} }})")
    watch(client, f"{{ pattern: 'team-*', ns: {ns} }}")
    client.run(
        f"""const {{ store }} = state, ns = {ns};
        await store.set("team-b", 2, {{ ns }});
        await store.set("other", 3, {{ ns }});
        await store.delete("team-a", {{ ns }});
        state.stop();
        await store.set("team-c", 4, {{ ns }});"""
    )
    assert seen(client) == [
        [{"team-a": {"n": 1}}, [["team-a", {"n": 1}]]],
        [{"team-a": {"n": 1}, "team-b": 2}, [["team-b", 2]]],
        [{"team-b": 2}, [["team-a", "delete"]]],
    ]


def test_a_pattern_without_keys_is_told_at_once(client: NodeClient) -> None:
    watch(client, f"{{ pattern: '*', ns: '{unique()}' }}")
    assert seen(client) == [[{}, []]]


def test_a_clear_of_the_store_is_one_call(away: NodeClient, server: ServerProcess) -> None:
    put(server, "a", 1)
    put(server, "b", 2)
    away.open(server.url)
    watch(away, "{ pattern: '*' }")
    assert http(server, "POST", "/flush").status == 200
    assert seen(away)[1:] == [[{}, [["a", "delete"], ["b", "delete"]]]]
    put(server, "a", 1)
    assert seen(away)[2:] == [[{"a": 1}, [["a", 1]]]]


def test_a_list_of_keys_gives_those_that_exist(client: NodeClient) -> None:
    ns = json.dumps(unique())
    client.run(f"await state.store.set('home', 1, {{ ns: {ns} }})")
    watch(client, f"{{ keys: ['home', 'guest'], ns: {ns} }}")
    client.run(f"await state.store.mset({{ guest: 2, other: 3 }}, {{ ns: {ns} }})")
    assert [values for values, _ in seen(client)] == [{"home": 1}, {"home": 1, "guest": 2}]


def test_a_path_gives_that_part_and_only_its_changes(client: NodeClient) -> None:
    key = unique()
    client.run(
        f"""const {{ store }} = state, key = "{key}";
        state.seen = [];
        store.watch({{ key, path: "/home/score" }}, (score) => state.seen.push(score));
        await store.set(key, {{ home: {{ score: 1 }} }});
        await store.set(key, 5, {{ path: "/clock" }});
        await store.incr(key, 1, {{ path: "/home/score" }});"""
    )
    assert seen(client) == [None, 1, 2]


def test_a_transaction_is_one_call(client: NodeClient) -> None:
    ns = unique()
    watch(client, f"{{ pattern: '*', ns: '{ns}' }}")
    client.run(
        f"""const op = (key) => ({{ op: "incr", key }});
        await state.store.txn([op("a"), op("b"), op("c")], {{ ns: "{ns}" }});"""
    )
    assert seen(client)[1:] == [[{"a": 1, "b": 1, "c": 1}, [["a", 1], ["b", 1], ["c", 1]]]]


def test_a_watch_with_max_rate_gets_the_last_value(client: NodeClient) -> None:
    key = unique()
    values = client.run(
        f"""const seen = [];
        state.store.watch({{ key: "{key}", maxRate: 5 }}, (value) => seen.push(value));
        await until(() => seen.length === 1);
        for (let n = 1; n <= 50; n++) await state.store.set("{key}", n);
        await until(() => seen.at(-1) === 50);
        return seen;"""
    )
    assert values[0] is None
    assert values[1:] == sorted(set(values[1:]))
    assert len(values) < 50


def test_the_namespace_of_a_watch_is_that_of_the_store_or_its_own(
    away: NodeClient, server: ServerProcess
) -> None:
    away.open(server.url, 'ns: "game"')
    found = away.run(
        """const { store } = state, found = {};
        for (const ns of [undefined, "", "other"])
          store.watch({ key: "k", ns }, (value) => (found[`${ns}`] = value));
        await store.set("k", "game");
        await store.set("k", "none", { ns: "" });
        await store.set("k", "other", { ns: "other" });
        return found;"""
    )
    assert found == {"undefined": "game", "": "none", "other": "other"}


def test_a_late_watcher_of_the_same_keys_gets_everything(client: NodeClient) -> None:
    ns = unique()
    watch(client, f"{{ pattern: '*', ns: '{ns}' }}")
    late = client.run(
        f"""const {{ store }} = state, ns = "{ns}", late = [];
        await store.set("a", {{ n: 1 }}, {{ ns }});
        const note = (values, changes) => late.push([{{ ...values }}, changes]);
        store.watch({{ pattern: "*", ns }}, note);
        await store.set("b", 2, {{ ns }});
        return late.map(([values, changes]) => [values, changes.map(({{ key }}) => key)]);"""
    )
    assert late == [[{"a": {"n": 1}}, ["a"]], [{"a": {"n": 1}, "b": 2}, ["b"]]]


def test_watchers_of_a_pattern_have_values_of_their_own(client: NodeClient) -> None:
    ns = unique()
    values = client.run(
        f"""const {{ store }} = state, ns = "{ns}";
        let found;
        store.watch({{ pattern: "*", ns }}, (values) => {{ if (values.a) values.a.n = 99; }});
        store.watch({{ pattern: "*", ns }}, (values) => (found = values));
        await store.set("a", {{ n: 1 }}, {{ ns }});
        return found;"""
    )
    assert values == {"a": {"n": 1}}


def test_a_name_of_object_prototype_is_a_key_like_others(client: NodeClient) -> None:
    ns = unique()
    keys = client.run(
        f"""const {{ store }} = state, ns = "{ns}";
        let found;
        store.watch({{ pattern: "*", ns }}, (values) => (found = values));
        for (const key of ["__proto__", "constructor"]) await store.set(key, {{ n: 1 }}, {{ ns }});
        return Object.keys(found);"""
    )
    assert keys == ["__proto__", "constructor"]


def test_an_update_in_several_parts_is_one_call(
    client: NodeClient, shared_server: ServerProcess
) -> None:
    calls, parts = client.run(
        f"""const ns = "{unique()}", calls = [];
        for (const key of ["a", "b", "c", "d"])
          await state.store.set(key, key.repeat(700_000), {{ ns }});
        let parts = 0;
        class Counting extends WebSocket {{
          emit(name, data, ...rest) {{
            if (name === "message" && data.toString().startsWith('{{"update"')) parts += 1;
            return super.emit(name, data, ...rest);
          }}
        }}
        const other = connect("{shared_server.url}", {{ WebSocket: Counting }});
        other.watch({{ pattern: "*", ns }}, (values, changes) =>
          calls.push([Object.keys(values), changes.length]));
        await until(() => calls.length);
        await other.get("end");
        other.close();
        return [calls, parts];"""
    )
    assert calls == [[["a", "b", "c", "d"], 4]]
    assert parts > 1


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("{ pattern: '' }", "limit"),
        ("{ keys: 5 }", "invalid"),
        ("{ key: 'a', pattern: '*' }", "invalid"),
        ("{ key: 'a', maxRate: 0 }", "invalid"),
        ("{ key: 'a', path: 'b' }", "invalid"),
        ("5", "invalid"),
    ],
)
def test_a_refused_watch_is_reported_with_a_code(client: NodeClient, what: str, code: str) -> None:
    told = client.run(
        f"""const told = [];
        const onError = (error) => told.push(error);
        const stop = state.store.watch({what}, () => {{}}, {{ onError }});
        await until(() => told.length);
        stop();
        return told[0].code;"""
    )
    assert told == code


def test_only_what_differs_is_told_after_a_lost_connection(
    away: NodeClient, server: ServerProcess, proxy: CuttingProxy
) -> None:
    for key in ("a", "b", "c"):
        put(server, key, 1)
    away.open(proxy.url)
    watch(away, "{ pattern: '*' }")
    proxy.cut()
    away.run("await until(() => state.store.status === 'open')")
    assert len(seen(away)) == 1, "nothing differs"
    proxy.hold_answers()
    put(server, "a", 2)
    put(server, "a", 1)
    put(server, "b", 2)
    http(server, "DELETE", "/cache/c")
    put(server, "d", 1)
    proxy.cut()
    away.run("await until(() => state.seen.length === 2)")
    values, changes = seen(away)[1]
    assert values == {"a": 1, "b": 2, "d": 1}
    assert sorted(changes) == [["b", 2], ["c", "delete"], ["d", 1]]


def test_only_what_differs_is_told_after_a_restart(away: NodeClient, server: ServerProcess) -> None:
    for key in ("a", "b", "c"):
        put(server, key, {"n": 1})
    away.open(server.url)
    watch(away, "{ pattern: '*' }")
    assert server.stop() == 0
    (server.folder / "b.json").write_text('{"n":2}', encoding="utf-8")
    (server.folder / "c.json").unlink()
    server.start()
    away.run("await until(() => state.seen.length === 2)")
    values, changes = seen(away)[1]
    assert values == {"a": {"n": 1}, "b": {"n": 2}}
    assert sorted(changes) == [["b", {"n": 2}], ["c", "delete"]]
    put(server, "a", {"n": 1})
    away.run("await until(() => state.seen.length === 3)")
    assert seen(away)[2][1] == [["a", {"n": 1}]]


def test_a_watch_resumes_from_its_position(
    away: NodeClient, server: ServerProcess, proxy: CuttingProxy
) -> None:
    put(server, "k", 1)
    away.run(
        f"""state.sent = [];
        class Noting extends WebSocket {{
          send(text) {{
            if (text.includes('"watch"')) state.sent.push(JSON.parse(text).since ?? null);
            super.send(text);
          }}
        }}
        state.store = connect("{proxy.url}", {{ WebSocket: Noting }});"""
    )
    watch(away, "{ pattern: '*' }")
    rev = away.run("return await state.store.set('k', 2)")
    away.run("await until(() => state.seen.length === 2)")
    proxy.cut()
    away.run("await until(() => state.sent.length === 2)")
    epoch = http(server, "GET", "/info").json["epoch"]
    assert away.run("return state.sent") == [None, {"epoch": epoch, "rev": rev}]
