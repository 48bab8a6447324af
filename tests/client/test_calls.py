"""The results of the JavaScript client's calls, in Node with `ws`."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.protocol.clients import http, unique
from tests.support.fixtures import StartServer
from tests.support.node_client import CLIENT, NodeClient, ScriptError
from tests.support.server import ServerProcess

VALUES = [None, True, 0, -1.5, "", "5", "ß\u2028\U0001f600", [], {}, {"a": [1, {"b": None}]}]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_get_returns_a_value_unchanged(client: NodeClient, value: object) -> None:
    key = json.dumps(unique())
    stored = client.run(
        f"""await state.store.set({key}, {json.dumps(value)});
        return await state.store.get({key});"""
    )
    assert stored == value
    assert type(stored) is type(value)


def test_get_of_a_missing_key_is_null(client: NodeClient) -> None:
    assert client.run("return [await state.store.get('nowhere')]") == [None]


def test_a_set_is_stored_when_its_promise_resolves(
    client: NodeClient, shared_server: ServerProcess
) -> None:
    key = unique()
    client.run(f"await state.store.set('{key}', {{ a: 1 }})")
    assert http(shared_server, "GET", f"/get/{key}").json["value"] == {"a": 1}
    client.run(f"await state.store.delete('{key}')")
    assert http(shared_server, "GET", f"/get/{key}").json["value"] is None


def test_calls_are_carried_out_in_order_without_await(client: NodeClient) -> None:
    key = unique()
    values = client.run(
        f"""const {{ store }} = state;
        const calls = [];
        for (let n = 0; n < 50; n++) calls.push(store.set("{key}", n), store.get("{key}"));
        return (await Promise.all(calls)).filter((_, at) => at % 2);"""
    )
    # A get never misses the set before it; it may see the next one already.
    assert all(value >= number for number, value in enumerate(values))
    assert values == sorted(values)
    assert values[-1] == 49


def test_mset_and_mget_handle_several_values(client: NodeClient) -> None:
    found = client.run(
        """await state.store.mset({ "many-a": 1, "many-ß": [2], __proto__: 3 });
        return await state.store.mget(["many-a", "many-ß", "many-none"]);"""
    )
    assert found == {"many-a": 1, "many-ß": [2], "many-none": None}


def test_keys_lists_more_than_one_page(client: NodeClient) -> None:
    found = client.run(
        """const entries = {};
        for (let n = 0; n < 2500; n++) entries[`page-${String(n).padStart(4, "0")}`] = n;
        await state.store.mset(entries, { ns: "listed" });
        const elsewhere = await state.store.keys("page-*");
        return [await state.store.keys("page-*", { ns: "listed" }), elsewhere];"""
    )
    assert found == [[f"page-{n:04}" for n in range(2500)], []]


def test_merge_replaces_fields_and_keeps_the_rest(client: NodeClient) -> None:
    key = unique()
    merged = client.run(
        f"""await state.store.set("{key}", {{ home: 1, guest: 2 }});
        return [await state.store.merge("{key}", {{ home: 3 }}), await state.store.get("{key}")];"""
    )
    assert merged == [{"home": 3, "guest": 2}] * 2


@pytest.mark.parametrize("before", ["null", "5", "[1]", '"text"'])
def test_merge_into_a_value_that_is_no_object_replaces_it(client: NodeClient, before: str) -> None:
    key = unique()
    merged = client.run(
        f"""await state.store.set("{key}", {before});
        return await state.store.merge("{key}", {{ a: 1 }});"""
    )
    assert merged == {"a": 1}


def test_concurrent_merges_of_one_client_lose_no_field(client: NodeClient) -> None:
    key = unique()
    merged = client.run(
        f"""const merges = [];
        for (let n = 0; n < 20; n++) merges.push(state.store.merge("{key}", {{ ["f" + n]: n }}));
        await Promise.all(merges);
        return await state.store.get("{key}");"""
    )
    assert merged == {f"f{n}": n for n in range(20)}


def test_a_namespace_applies_to_all_calls_or_to_one(
    program: NodeClient, server: ServerProcess
) -> None:
    program.open(server.url, 'ns: "game"')
    found = program.run(
        """const { store } = state;
        await store.set("k", "in game");
        await store.set("k", "in other", { ns: "other" });
        await store.set("k", "in none", { ns: "" });
        return [await store.get("k"), await store.get("k", { ns: "other" }),
          await store.get("k", { ns: "" }), await store.keys()];"""
    )
    assert found == ["in game", "in other", "in none", ["k"]]
    assert http(server, "GET", "/get/k?ns=game").json["value"] == "in game"
    program.run("state.store.close()")


def test_a_value_with_a_ttl_expires(client: NodeClient) -> None:
    seen = client.run(
        """const seen = [];
        const stop = state.store.watch("brief", (value) => seen.push(value));
        await until(() => seen.length === 1);
        await state.store.set("brief", 1, { ttl: 100 });
        await until(() => seen.length === 3);
        stop();
        return seen;"""
    )
    assert seen == [None, 1, None]


REFUSED = [
    ('store.set("k", 1, { ttl: -1 })', "TTL must be a non-negative integer"),
    ('store.set("k", undefined)', "Missing value"),
    ('store.set("", 1)', "Key must not be empty"),
    ('store.get("k".repeat(513))', "Key exceeds max length (512)"),
    ('store.get("line\\nline")', "Key contains invalid characters"),
    ('store.delete("k", { ns: "n".repeat(513) })', "Namespace exceeds max length (512)"),
    ('store.set("k", "x".repeat(4194305))', "Value exceeds max size (4194304 bytes)"),
    ('store.merge("", { a: 1 })', "Key must not be empty"),
    ('store.mset({ a: 1, "": 2 })', "Key must not be empty"),
]


@pytest.mark.parametrize(("call", "text"), REFUSED, ids=[call for call, _ in REFUSED])
def test_a_refused_call_rejects_with_the_servers_text(
    client: NodeClient, call: str, text: str
) -> None:
    # Calls around it are not blamed for it.
    caught = client.run(
        f"""const {{ store }} = state;
        const before = store.set("before", 1), wrong = {call}.catch((error) => error);
        const [, error, value] = await Promise.all([before, wrong, store.get("before")]);
        return [error instanceof DunenaError, error.message, value];"""
    )
    assert caught == [True, text, 1]
    assert client.run("return state.errors") == []


MISTAKEN = [
    ('mset([["a", 1]])', "entries must be an object"),
    ('mset(new Map([["a", 1]]))', "entries must be an object"),
    ("mset()", "entries must be an object"),
    ('merge("m", "ab")', "fields must be an object"),
    ('merge("m", [1])', "fields must be an object"),
    ('merge("m", null)', "fields must be an object"),
    ('set("m", 1, 5000)', "options of set must be an object"),
    ('set("m", 1, { if_rev: 0 })', "set has no option if_rev"),
    ('set("m", 1, { max: 5 })', "set has no option max"),
    ('set("m", 1, { key: "other" })', "set has no option key"),
    ('delete("m", { ifrev: 1 })', "delete has no option ifrev"),
    ('merge("m", {}, { TTL: 5 })', "merge has no option TTL"),
    ('incr("m", 1, { by: 5 })', "incr has no option by"),
    ('append("m", 1, { min: 5 })', "append has no option min"),
    ('timer("m", "set", { seconds: 5 })', "timer has no option seconds"),
    ('revert("m", { to_rev: 5 })', "revert has no option to_rev"),
    ('update("m", () => 1, { path: "/a" })', "update has no option path"),
    ("mset({ m: 1 }, { ifRev: 0 })", "mset has no option ifRev"),
    ('mget(["m"], { rev: true })', "mget has no option rev"),
    ('get("m", { path: "/a" })', "get has no option path"),
    ('history("m", { count: 1 })', "history has no option count"),
    ('keys("*", { limit: 1 })', "keys has no option limit"),
    ('present("m", 1, { ttl: 5 })', "present has no option ttl"),
    ('txn([{ op: "incr", key: "m" }], { ifRev: 0 })', "txn has no option ifRev"),
    ('txn([{ op: "set", key: "m", value: 1, if_rev: 0 }])', "set has no option if_rev"),
]


@pytest.mark.parametrize(("call", "text"), MISTAKEN, ids=[call for call, _ in MISTAKEN])
def test_a_call_with_wrong_arguments_throws_type_error_and_stores_nothing(
    client: NodeClient, call: str, text: str
) -> None:
    client.run("for (const key of await state.store.keys()) await state.store.delete(key)")
    caught = client.run(
        f"""const error = await state.store.{call}.catch((error) => error);
        return [error.name, error.message, await state.store.keys()];"""
    )
    assert caught == ["TypeError", text, []]


MISTAKEN_AT_ONCE = [
    ('state.store.watch("m", () => {}, { maxrate: 1 })', "watch has no option maxrate"),
    ('state.store.watch({ patern: "m" }, () => {})', "watch has no option patern"),
    ('state.store.subscribe("m", () => {}, { ns: 1, since: 1 })', "subscribe has no option since"),
    ("connect({ whileaway: 1 })", "connect has no option whileaway"),
    ('connect("localhost", { session: { timeOut: 1 } })', "session has no option timeOut"),
    (
        'connect({ session: { will: [{ op: "set", key: "m", value: 1, if_rev: 0 }] } })',
        "set has no option if_rev",
    ),
]


@pytest.mark.parametrize(
    ("code", "text"), MISTAKEN_AT_ONCE, ids=[code for code, _ in MISTAKEN_AT_ONCE]
)
def test_an_unknown_option_of_what_returns_no_promise_is_thrown(
    client: NodeClient, code: str, text: str
) -> None:
    with pytest.raises(ScriptError, match=f"^TypeError: {text}$"):
        client.run(code)


def test_every_option_that_the_types_name_is_accepted(client: NodeClient) -> None:
    client.run(
        """const { store } = state, ns = "options";
        const written = { ns, ttl: 60_000, then: { b: 1 }, durable: true, ephemeral: true };
        const changed = () => ({ ...written, idempotencyKey: crypto.randomUUID() });
        await store.set("m", {}, { ...changed(), path: "", ifRev: 0 });
        const { rev, epoch } = await store.get("m", { ns, rev: true });
        await store.merge("m", { n: 1, l: [] }, { ...changed(), ifRev: rev, epoch });
        await store.incr("m", 1, { ...changed(), path: "/n", min: 0, max: 9 });
        await store.append("m", 1, { ...changed(), path: "/l", max: 9 });
        const error = await store.revert("m", { ...changed(), toRev: rev }).catch((error) => error);
        if (error.code !== "no_rev") throw error; // it did not stand long enough to be kept
        await store.timer("t", "set", { ...changed(), ms: 1, rate: -1 });
        await store.update("m", () => ({}), written);
        await store.mset({ m: {} }, written);
        await store.mget(["m"], { ns });
        await store.history("m", { ns, limit: 1 });
        await store.keys("*", { ns });
        await store.present("p", 1, { ns });
        await store.txn([{ op: "touch", key: "m", ttl: 0, return: true },
          { op: "patch", key: "m", patch: [], ns }, { op: "append", key: "x", values: [1] },
          { op: "timer", key: "t", do: "start" }], { ns, durable: true, idempotencyKey: "i" });
        const onError = () => {};
        store.watch({ key: "m", path: "/n", maxRate: 1, ns, onError }, () => {})();
        store.watch({ keys: ["m"] }, () => {}, { ns, path: "/n", maxRate: 1, onError })();
        store.watch({ pattern: "m" }, () => {})();
        store.subscribe("m", () => {}, { onError })();
        await store.delete("m", { ns, path: "/n", durable: true });"""
    )
    assert client.run("return state.errors") == []


def test_mset_and_merge_accept_objects_of_any_prototype(client: NodeClient) -> None:
    found = client.run(
        """class Team { a = 1; }
        await state.store.mset(Object.assign(Object.create(null), { bare: 1 }));
        await state.store.mset(new Team());
        return [await state.store.mget(["bare", "a"]), await state.store.merge("m", new Team())];"""
    )
    assert found == [{"bare": 1, "a": 1}, {"a": 1}]


def test_a_refused_subscription_is_reported_as_an_error(client: NodeClient) -> None:
    told = client.run(
        """const errors = [];
        const fail = (error) => errors.push(error.message);
        const stop = state.store.watch("", () => {}, { onError: fail });
        const stopOther = state.store.watch("", () => {});
        await until(() => errors.length && state.errors.length);
        stop(); stopOther();
        return [errors, state.errors];"""
    )
    assert told == [["Key must not be empty"], ["Key must not be empty"]]


def test_a_watcher_gets_the_value_and_each_change(client: NodeClient) -> None:
    seen = client.run(
        """const { store } = state;
        const early = [], late = [], ended = [];
        store.watch("followed", (value) => early.push(value));
        const stop = store.watch("followed", (value) => ended.push(value));
        await until(() => early.length === 1);
        await store.set("followed", { n: 1 });
        stop();
        await store.set("followed", 2);
        await store.set("followed", 2);
        store.watch("followed", (value) => late.push(value));
        await until(() => late.length === 1);
        await store.delete("followed");
        return [early, ended, late];"""
    )
    assert seen == [[None, {"n": 1}, 2, 2, None], [None, {"n": 1}], [2, None]]


def test_a_watcher_ended_within_a_callback_gets_no_further_change(client: NodeClient) -> None:
    seen = client.run(
        """const { store } = state;
        const seen = [];
        const stopFirst = store.watch("ending", (value) => {
          seen.push(["a", value]);
          stopFirst();
          stopOther();
        });
        const stopOther = store.watch("ending", (value) => seen.push(["b", value]));
        await store.set("ending", 1);
        const again = store.watch("ending", (value) => seen.push(["c", value]));
        await store.set("ending", 2);
        again();
        return seen;"""
    )
    assert seen == [["a", None], ["c", 1], ["c", 2]]


def test_a_watcher_that_is_ended_and_restarted_gets_no_value_twice(
    client: NodeClient, shared_server: ServerProcess
) -> None:
    """Updates of the subscription it ended are still on their way when it begins another."""
    runs = client.run(
        f"""const writer = connect("{shared_server.url}", {{ WebSocket }});
        let n = 0;
        const write = async () => {{ while (n < 3000) await writer.set("busy", ++n); }};
        const runs = [];
        const follow = () => {{
          const seen = [];
          runs.push(seen);
          const stop = state.store.watch("busy", (value) => {{
            seen.push(value ?? 0);
            if (seen.length < 3) return;
            stop();
            follow();
          }});
        }};
        follow();
        await Promise.all([...Array(8)].map(write));
        writer.close();
        return runs;"""
    )
    assert len(runs) > 10
    for seen in runs:
        assert seen == sorted(set(seen))


def test_a_get_does_not_disturb_watchers_of_the_key(client: NodeClient) -> None:
    seen = client.run(
        """const { store } = state;
        const seen = [];
        const stop = store.watch("read-too", (value) => seen.push(value));
        await store.set("read-too", 1);
        const read = [await store.get("read-too"), await store.get("read-too")];
        await store.set("read-too", 2);
        stop();
        return [seen, read];"""
    )
    assert seen == [[None, 1, 2], [1, 1]]


def test_a_watcher_that_throws_does_not_affect_others(client: NodeClient) -> None:
    seen = client.run(
        """const { store } = state;
        const seen = [];
        store.watch("thrown", () => { throw new Error("mine"); });
        store.watch("thrown", (value) => seen.push(value));
        await store.set("thrown", 1);
        return [seen, state.errors];"""
    )
    assert seen == [[None, 1], ["mine", "mine"]]


def test_a_watcher_gets_its_own_copy_of_a_value(client: NodeClient) -> None:
    seen = client.run(
        """const { store } = state;
        await store.set("shared", { n: 1 });
        const seen = [];
        store.watch("shared", (value) => { value.n = 99; });
        store.watch("shared", (value) => seen.push(value.n));
        await store.get("shared");
        return seen;"""
    )
    assert seen == [1]


def test_events_arrive_until_the_listener_stops(client: NodeClient) -> None:
    seen = client.run(
        """const { store } = state;
        const seen = [];
        await store.set("event", 0);
        const stop = store.events(({ event, data }) => seen.push([event, data.key]));
        await store.set("event", 1);
        await store.delete("event");
        stop();
        await store.set("event", 2);
        return seen;"""
    )
    assert seen == [["set", "event"], ["delete", "event"]]


def test_the_client_works_with_a_server_of_either_dialect(
    away: NodeClient, start_server: StartServer
) -> None:
    for protocol in ("dunena", "object-store"):
        server = start_server("--protocol", protocol)
        away.open(server.url)
        value = away.run("await state.store.set('k', [1]); return await state.store.get('k');")
        assert value == [1]
        away.run("state.store.close()")
        server.stop()


def test_the_token_is_sent_in_a_header(away: NodeClient, start_server: StartServer) -> None:
    server = start_server("--token", "open sesame")
    away.open(server.url, 'token: "open sesame"')
    assert away.run(
        """await state.store.set("k", 1);
        return [await state.store.get("k"), await state.store.keys()];"""
    ) == [1, ["k"]]


def test_a_missing_token_is_reported_once(away: NodeClient, start_server: StartServer) -> None:
    server = start_server("--token", "open sesame")
    away.connect(server.url)
    told = away.run(
        """let waits = 0;
        state.store.onStatus((status) => { waits += status === "waiting"; });
        await until(() => waits === 3);
        return [state.errors, state.store.error.message];"""
    )
    assert told == [["Unauthorized"], "Unauthorized"]


def test_a_rate_limit_delays_a_subscription_and_rejects_a_call(
    hasty: NodeClient, start_server: StartServer
) -> None:
    server = start_server("--rate", "30")
    for number in range(90):
        http(server, "POST", "/set", {"key": f"k{number}", "value": number})
    hasty.open(server.url)
    seen = hasty.run(
        """const seen = {};
        for (let n = 0; n < 90; n++) state.store.watch(`k${n}`, (value) => (seen[n] = value));
        const text = await state.store.set("over", 1).catch((error) => error.message);
        await until(() => Object.keys(seen).length === 90);
        return [text, Object.values(seen)];"""
    )
    assert seen == ["Rate limit exceeded", list(range(90))]


def test_connect_accepts_an_address_in_any_form(
    away: NodeClient, shared_server: ServerProcess
) -> None:
    site, ws, port = shared_server.url, shared_server.ws_url, shared_server.port
    for url in (site, f"{site}/", ws, f"127.0.0.1:{port}", f"localhost:{port}/"):
        away.open(url)
        away.run("state.store.close()")


def test_a_wrong_path_is_reported_with_the_address(
    away: NodeClient, shared_server: ServerProcess
) -> None:
    away.connect(f"{shared_server.url}/test")
    told = away.run("await until(() => state.store.error); return state.errors")
    assert told == [f"What answers at {shared_server.url}/test/ is no dunena"]


def run_script(node: Path, folder: Path, script: str, *options: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a Node program beside the client."""
    shutil.copyfile(CLIENT / "dunena.js", folder / "dunena.mjs")
    (folder / "main.mjs").write_text(script, encoding="utf-8")
    done = subprocess.run(
        [node, *options, "main.mjs"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_connect_finds_the_ws_package_without_a_given_class(
    node: Path, node_modules: Path, tmp_path: Path, shared_server: ServerProcess
) -> None:
    shutil.copytree(node_modules / "ws", tmp_path / "node_modules" / "ws")
    script = f"""
    import {{ connect }} from "./dunena.mjs";
    const store = connect("{shared_server.url}");
    await store.set("found", "by itself");
    console.log(await store.get("found"));
    store.close();
    """
    # It also ends: nothing is left that keeps the process alive.
    assert run_script(node, tmp_path, script) == (0, "by itself\n", "")


def test_connect_without_a_websocket_class_names_the_package_to_install(
    node: Path, tmp_path: Path, shared_server: ServerProcess
) -> None:
    script = f"""
    delete globalThis.WebSocket;
    const {{ connect }} = await import("./dunena.mjs");
    const store = connect("{shared_server.url}");
    let waits = 0;
    store.onStatus((status) => {{
      if (status !== "waiting" || ++waits < 3) return;
      console.log(store.error.name, store.error.message);
      store.close();
    }});
    """
    code, output, errors = run_script(node, tmp_path, script)
    assert code == 0
    assert output.startswith("Error Cannot find package 'ws'")
    assert errors.count("Cannot find package 'ws'") == 1


def test_connect_uses_the_websocket_class_of_node(
    node: Path, tmp_path: Path, start_server: StartServer
) -> None:
    server = start_server("--token", "open sesame")
    if not run_script(node, tmp_path, "console.log(typeof WebSocket)")[1].startswith("function"):
        options = ["--experimental-websocket", "--no-warnings"]
    else:
        options = []
    script = f"""
    import {{ connect }} from "./dunena.mjs";
    const store = connect("{server.url}", {{ token: "open sesame" }});
    await store.set("found", "by itself");
    console.log(await store.get("found"));
    store.close();
    """
    assert run_script(node, tmp_path, script, *options) == (0, "by itself\n", "")


def test_a_key_with_wildcards_is_watched_as_one_key(client: NodeClient) -> None:
    seen = client.run(
        """const seen = [];
        await state.store.set("player-1", 1);
        state.store.watch("player-*", (value) => seen.push(value));
        await state.store.get("player-*");
        await state.store.set("player-*", 2);
        await state.store.set("player-1", 3);
        return [seen, state.errors];"""
    )
    assert seen == [[None, 2], []]


def test_a_closed_store_rejects_calls(client: NodeClient) -> None:
    with pytest.raises(ScriptError, match="DunenaError: Not connected"):
        client.run("state.store.close(); await state.store.get('k')")
    assert client.run("return state.store.status") == "closed"
