"""The Python client against real servers: its calls, and how it reconnects."""

import asyncio
import inspect
import json
import re
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import pytest

import dunena
from dunena.client.protocol import ClientProtocol
from tests.e2e.processes import free_port, make_certificate
from tests.protocol.clients import http
from tests.support.fixtures import StartServer
from tests.support.patience import patiently
from tests.support.server import START_SECONDS_MAX, ServerProcess

SECONDS_MAX = 20.0


class Turned:
    """The asyncio store with the calls of the blocking one, so that a test can be for both."""

    def __init__(self, store: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._store, name)
        if name in (
            "watch",
            "updates",
            "events",
            "subscribe",
        ):  # plain calls, but of the loop's thread
            return lambda *words, **named: TurnedFeed(self._on_loop(attribute, words, named), self)
        if name == "txn":
            return lambda **named: TurnedTransaction(attribute(**named), self)
        return lambda *words, **named: self.wait(attribute(*words, **named))

    def wait(self, awaited: Any) -> Any:
        async def run() -> Any:
            return await awaited

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(SECONDS_MAX)

    def _on_loop(self, call: Callable[..., Any], words: Any, named: Any) -> Any:
        async def run() -> Any:
            return call(*words, **named)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(SECONDS_MAX)


class TurnedFeed:
    """An asyncio feed for a plain ``for``."""

    def __init__(self, feed: Any, store: Turned) -> None:
        self._feed = feed
        self._store = store

    def __iter__(self) -> "TurnedFeed":
        return self

    def __next__(self) -> Any:
        try:
            return self._store.wait(anext(self._feed))
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        self._store._on_loop(self._feed.close, (), {})


class TurnedTransaction:
    """An asyncio transaction for a plain ``with``."""

    def __init__(self, transaction: Any, store: Turned) -> None:
        self._transaction = transaction
        self._store = store

    def __enter__(self) -> Any:
        return self._store.wait(self._transaction.__aenter__())

    def __exit__(self, *details: object) -> None:
        self._store.wait(self._transaction.__aexit__(*details))


@contextmanager
def open_turned(*words: Any, **named: Any) -> Iterator[Turned]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    stop = asyncio.Event()

    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        async with dunena.connect(*words, **named) as store:
            yield store

    async def live(ready: "asyncio.Future[Any]") -> None:
        async with opened() as store:
            ready.set_result(store)
            await stop.wait()

    async def begin() -> tuple[Any, Any]:
        ready: asyncio.Future[Any] = loop.create_future()
        task = asyncio.create_task(live(ready))
        await asyncio.wait([ready, task], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        return ready.result(), task

    try:
        future = asyncio.run_coroutine_threadsafe(begin(), loop)
        store, task = future.result(SECONDS_MAX)
        try:
            yield Turned(store, loop)
        finally:
            loop.call_soon_threadsafe(stop.set)

            async def end() -> None:
                await task

            asyncio.run_coroutine_threadsafe(end(), loop).result(SECONDS_MAX)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


Connect = Callable[..., Any]


@pytest.fixture(params=["asyncio", "blocking"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """`connect` of one of the two, as a plain context manager."""
    return open_turned if request.param == "asyncio" else dunena.sync.connect


@pytest.fixture
def store(connect: Connect, server: ServerProcess) -> Iterator[Any]:
    with connect(server.url) as store:
        yield store


# --- calls ---


@pytest.mark.parametrize(
    "value", [None, True, 0, 2**63 - 1, -1.5, "", "ß", [], {"b": 1, "a": [{}]}]
)
def test_get_returns_any_json_value_unchanged(store: Any, value: Any):
    store.set("k", value)
    got = store.get("k", "missing")
    assert json.dumps(got) == json.dumps(value)


def test_get_of_a_missing_key_returns_the_default(store: Any):
    assert store.get("k") is None
    assert store.get("k", 7) == 7
    store.set("k", None)
    assert store.get("k", 7) is None


def test_mset_mget_and_keys_handle_several_keys(store: Any):
    store.mset({"a": 1, "b": [2]})
    assert store.mget(["b", "missing", "a"], "-") == {"b": [2], "missing": "-", "a": 1}
    assert store.keys() == ["a", "b"]
    assert store.keys("b*") == ["b"]
    assert store.mget([]) == {}


@pytest.mark.parametrize("key", ["k", "schlüssel"])
def test_delete_returns_whether_the_key_existed(store: Any, key: str):
    store.set(key, None)
    assert store.delete(key) is True
    assert store.delete(key) is False
    assert store.keys() == []


def test_merge_replaces_fields_and_keeps_the_rest(store: Any):
    store.set("k", {"home": {"score": 1}, "guest": 2})
    merged = {"home": 3, "guest": 2, "by": "Ada"}
    assert store.merge("k", {"home": 3, "by": "Ada"}) == merged
    assert store.get("k") == merged


@pytest.mark.parametrize("before", [None, 5, [1], "text"])
def test_merge_into_a_value_that_is_no_object_replaces_it(store: Any, before: Any):
    assert store.merge("new", {"a": 1}) == {"a": 1}
    store.set("k", before)
    assert store.merge("k", {"a": 1}) == {"a": 1}


@pytest.mark.parametrize(
    "write",
    [
        lambda to: to.set("lock", "Bob", ifRev=0, ephemeral=True),
        lambda to: to.set("lock", "Bob", ttll=5),
        lambda to: to.incr("lock", bye=5),
        lambda to: to.delete("lock", If_rev=1),
    ],
)
def test_an_option_that_does_not_exist_raises_type_error(
    store: Any, write: Callable[[Any], object]
):
    store.set("lock", "Ada")
    says = r"^no option (ifRev|ttll|bye|If_rev): there are durable, ephemeral, if_rev, ns, path"
    with pytest.raises(TypeError, match=says):
        write(store)
    with pytest.raises(TypeError, match=says), store.txn() as changes:
        write(changes)
    assert store.get("lock") == "Ada"


def test_merge_accepts_the_options_of_set(store: Any, server: ServerProcess):
    store.set("k", {"a": 1}, ns="app")
    merged = store.merge("k", {"b": 2}, ns="app", ttl=3_600_000, durable=True)
    assert merged == {"a": 1, "b": 2}
    assert store.get("k") is None
    assert http(server, "GET", "/entries/k?ns=app").json["entry"]["expiresAt"] is not None
    with pytest.raises(dunena.RequestError, match="TTL must be"):
        store.merge("k", {"c": 3}, ns="app", ttl=-1)
    assert store.merge("k", {"c": 3}, ns="app") == {"a": 1, "b": 2, "c": 3}
    assert http(server, "GET", "/entries/k?ns=app").json["entry"]["expiresAt"] is not None
    store.merge("k", {"c": 4}, ns="app", ttl=0)
    assert http(server, "GET", "/entries/k?ns=app").json["entry"]["expiresAt"] is None


def test_concurrent_merges_of_one_client_lose_no_field(server: ServerProcess):
    async def run() -> None:
        async with dunena.connect(server.url) as store:
            await asyncio.gather(*(store.merge("k", {f"f{n}": n}) for n in range(20)))

    asyncio.run(run())
    with dunena.sync.connect(server.url) as store:
        threads = [
            threading.Thread(target=store.merge, args=("k", {f"f{n}": n})) for n in range(20, 40)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS_MAX)
        assert store.get("k") == {f"f{n}": n for n in range(40)}


def test_merge_goes_into_objects_and_removes_fields_that_are_none(store: Any):
    store.set("k", {"home": {"score": 1, "by": "Ada"}, "guest": 2})
    merged = {"home": {"score": 2, "by": "Ada"}}
    assert store.merge("k", {"home": {"score": 2}, "guest": None}) == merged


@pytest.mark.parametrize("key", ["k", "schlüssel"])
def test_incr_adds_to_a_number_within_limits_and_returns_the_sum(store: Any, key: str):
    assert store.incr(key) == 1
    assert store.incr(key, 2.5) == 3.5
    assert store.incr(key, -10, min=-6.5) == -6.5
    with pytest.raises(dunena.RequestError, match=f'^Out of range: "{key}"$') as refused:
        store.incr(key, -1, min=-7, max=0)
    assert refused.value.code == "range"
    assert store.get(key) == -6.5
    assert store.incr("deep", path="/home") == 1
    assert store.get("deep") == {"home": 1}


def test_append_keeps_the_newest_values_and_returns_the_length(store: Any):
    assert store.append("chat", "a", ["b"], None) == 3
    assert store.append("chat", 4, max=2) == 2
    assert store.get("chat") == [None, 4]
    with pytest.raises(dunena.RequestError, match="Not a list"):
        store.append("chat", 1, path="/1")


@pytest.mark.parametrize("patch", [{"name": "Ada"}, "add", ["add"], [["op", "add"]], None, 5])
def test_what_is_no_patch_is_refused_with_an_example(store: Any, patch: Any):
    says = r"^patch takes a list of operations, such as \[\{'op': 'add'"
    with pytest.raises(TypeError, match=says):
        store.patch("cues", patch)
    with pytest.raises(TypeError, match=says), store.txn() as changes:
        changes.patch("cues", patch)


@pytest.mark.parametrize("fields", [["a"], "text", None, 5])
def test_a_merge_of_what_is_no_dict_is_refused(store: Any, fields: Any):
    with pytest.raises(TypeError, match=r"^merge takes a dict of fields, and not (a |None)"):
        store.merge("cues", fields)
    with pytest.raises(TypeError, match=r"^merge takes a dict"), store.txn() as changes:
        changes.merge("cues", fields)


@pytest.mark.parametrize("ttl", ["8s", True, [8000]])
def test_a_ttl_that_is_no_number_is_refused(store: Any, ttl: Any):
    says = "^ttl is a number of ms, such as 8000 for 8 seconds, and not "
    for call in (
        lambda: store.set("k", 1, ttl=ttl),
        lambda: store.set("k", 1, ttl=ttl, then={}),
        lambda: store.mset({"k": 1}, ttl=ttl),
        lambda: store.incr("k", ttl=ttl),
        lambda: store.touch("k", ttl),
        lambda: store.update("k", lambda _value: 1, ttl=ttl),
    ):
        with pytest.raises(TypeError, match=says):
            call()
    assert store.get("k") is None


def test_patch_applies_all_steps_or_none(store: Any):
    store.set("k", {"a": 1, "b": [1, 2]})
    store.patch("k", [{"op": "add", "path": "/b/-", "value": 3}, {"op": "remove", "path": "/a"}])
    assert store.get("k") == {"b": [1, 2, 3]}
    steps = [{"op": "remove", "path": "/b"}, {"op": "test", "path": "/none", "value": 1}]
    with pytest.raises(dunena.RequestError):
        store.patch("k", steps)
    assert store.get("k") == {"b": [1, 2, 3]}


def test_touch_changes_only_the_expiry(store: Any, server: ServerProcess):
    store.set("k", [1])
    store.touch("k", 3_600_000)
    assert http(server, "GET", "/entries/k").json["entry"]["expiresAt"] is not None
    store.incr("k", path="/0")
    assert http(server, "GET", "/entries/k").json["entry"]["expiresAt"] is not None
    store.touch("k", 0)
    assert http(server, "GET", "/entries/k").json["entry"]["expiresAt"] is None
    assert store.get("k") == [2]
    with pytest.raises(dunena.RequestError) as refused:
        store.touch("missing", 5)
    assert refused.value.code == "no_path"


def test_timer_changes_a_timer_by_the_clock_of_the_server(store: Any):
    stopped = store.timer("clock", "set", ms=300_000, rate=-1)["timer"]
    assert (stopped["ms"], stopped["rate"], stopped["running"]) == (300_000, -1, False)
    assert store.timer("clock", "start")["timer"]["running"] is True
    assert store.timer("clock", "stop") == store.get("clock")
    with pytest.raises(dunena.RequestError):
        store.timer("clock", "jump")


def test_set_and_delete_change_a_part_of_a_value(store: Any):
    store.set("k", {"home": {"score": 1}, "list": [1, 2]})
    store.set("k", 5, path="/home/score")
    assert store.delete("k", path="/list/0") is True
    assert store.get("k") == {"home": {"score": 5}, "list": [2]}
    with pytest.raises(dunena.RequestError, match='Nothing at "/no/where" of "k"'):
        store.set("k", 5, path="/no/where")
    assert store.delete("k", path="/no") is False
    assert store.delete("missing", path="/no") is False


def test_a_write_for_another_revision_raises_a_conflict(store: Any):
    assert store.get("k", rev=True) == (None, 0)
    store.set("k", 1, if_rev=0)
    with pytest.raises(dunena.ConflictError, match=r"^Revision conflict") as caught:
        store.set("k", 2, if_rev=0)
    value, rev = store.get("k", rev=True)
    assert (value, rev) == (1, caught.value.rev)
    assert (caught.value.key, caught.value.code, caught.value.op) == ("k", "conflict", None)
    store.incr("k", if_rev=rev)
    with pytest.raises(dunena.ConflictError):
        store.delete("k", if_rev=rev)
    assert store.delete("k", if_rev=store.get("k", rev=True)[1]) is True
    assert store.get("k", "none", rev=True) == ("none", 0)


def test_null_has_a_revision(store: Any):
    store.set("k", None)
    value, rev = store.get("k", 5, rev=True)
    assert value is None
    assert rev > 0


@pytest.mark.parametrize("key", ["k", "schlüssel"])
def test_update_replaces_the_value_by_what_a_function_returns(store: Any, key: str):
    assert store.update(key, lambda old: [old]) == [None]
    assert store.update(key, lambda old: [old]) == [[None]]
    assert store.get(key) == [[None]]
    with pytest.raises(ZeroDivisionError):
        store.update(key, lambda _: 1 // 0)
    assert store.get(key) == [[None]]


def test_updates_of_threads_and_clients_lose_nothing(connect: Connect, server: ServerProcess):
    clients, times = 4, 25

    def work() -> None:
        with connect(server.url, timeout=SECONDS_MAX) as store:
            for _ in range(times):
                store.update("k", lambda old: {"n": (old or {"n": 0})["n"] + 1})

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS_MAX)
    with connect(server.url) as store:
        assert store.get("k") == {"n": clients * times}


def test_update_raises_a_conflict_when_others_write_at_each_try_for_as_long_as_a_call_may_take(
    connect: Connect, server: ServerProcess
):
    timeout = 2.0
    with connect(server.url, timeout=timeout) as store, dunena.sync.connect(server.url) as other:
        seen = []

        def change(old: Any) -> Any:
            seen.append(old)
            other.incr("k")
            return old

        began = time.monotonic()
        with pytest.raises(dunena.ConflictError):
            store.update("k", change)
        assert time.monotonic() - began >= timeout
        assert len(seen) > 3
        assert seen == [None, *range(1, len(seen))]
        assert store.get("k") == len(seen)


def test_a_transaction_is_carried_out_as_one_change(store: Any):
    store.set("scorer", "nobody")
    updates = store.watch("match", "scorer")
    assert len([next(updates), next(updates)]) == 2
    with store.txn() as transaction:
        transaction.incr("match", 2, path="/home")
        transaction.set("scorer", "Ada", ttl=3_600_000)
        transaction.append("schlüssel", 1, 2)
        transaction.delete("missing")
        assert transaction.results == []
        assert store.get("match") is None
    incr, stored, appended, deleted = transaction.results
    assert (incr["value"], appended["length"], deleted["deleted"]) == (2, 2, False)
    assert abs(stored["rev"] - incr["rev"]) == 1
    assert sorted([next(updates), next(updates)]) == [("match", {"home": 2}), ("scorer", "Ada")]
    with pytest.raises(dunena.ClosedError, match="has ended"):
        transaction.incr("match")


def test_a_transaction_that_cannot_be_done_names_its_operation_and_changes_nothing(store: Any):
    store.set("word", "text")

    def count(**options: Any) -> None:
        with store.txn() as transaction:
            transaction.incr("count")
            transaction.incr("word", **options)

    with pytest.raises(dunena.RequestError, match=r'^op 1: Not a number: "word"$') as refused:
        count()
    assert (refused.value.op, refused.value.code) == (1, "wrong_type")
    with pytest.raises(dunena.ConflictError) as conflict:
        count(if_rev=0)
    assert (conflict.value.op, conflict.value.key) == (1, "word")
    assert store.mget(["count", "word"]) == {"count": None, "word": "text"}


def test_an_exception_in_the_block_of_a_transaction_sends_nothing(store: Any):
    transaction = store.txn()

    def fail() -> None:
        with transaction as opened:
            opened.incr("count")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert store.get("count") is None
    with pytest.raises(dunena.ClosedError, match="has ended"), transaction as ended:
        ended.incr("count")


def test_an_empty_transaction_is_done(store: Any):
    with store.txn() as transaction:
        pass
    assert transaction.results == []


def test_a_transaction_is_in_its_namespace(connect: Connect, server: ServerProcess):
    with connect(server.url, ns="app") as store:
        with store.txn() as transaction:
            transaction.incr("k")
            transaction.incr("k", 5, ns="other")
        with store.txn(ns="other", durable=True) as transaction:
            transaction.incr("k")
        assert transaction.results[0]["value"] == 6
        assert (store.get("k"), store.get("k", ns="")) == (1, None)
        assert store.incr("k", 2) == 3
        assert store.incr("k", ns="") == 1
        assert store.update("k", lambda old: old * 2, ns="other") == 12
        assert store.history("k", ns="other")[0].value == 12


def test_history_lists_the_values_newest_first_and_revert_brings_one_back(
    store: Any, server: ServerProcess
):
    assert store.history("schlüssel") == []
    store.set("schlüssel", {"on": True})
    first = store.history("schlüssel")[0]
    assert isinstance(first, dunena.HistoryEntry)
    assert (first.value, first.rev) == ({"on": True}, store.get("schlüssel", rev=True)[1])
    # Only what stood for a second is kept.
    while http(server, "GET", "/entries/x").json["timestamp"] - first.timestamp < 1000:
        store.get("schlüssel")
    store.set("schlüssel", {"on": False})
    assert [entry.value["on"] for entry in store.history("schlüssel")] == [False, True]
    assert [entry.value["on"] for entry in store.history("schlüssel", 1)] == [False]
    assert store.revert("schlüssel") == {"on": True}
    assert store.get("schlüssel") == {"on": True}
    with pytest.raises(dunena.RequestError, match=r"^No such revision") as refused:
        store.revert("schlüssel", 10**9)
    assert refused.value.code == "no_rev"


def test_then_is_merged_in_when_the_ttl_ends(store: Any):
    updates = store.watch("lower")
    next(updates)
    store.set("lower", {"name": "Ada", "on": True}, ttl=50, then={"on": False})
    assert next(updates).value == {"name": "Ada", "on": True}
    assert next(updates).value == {"name": "Ada", "on": False}
    with store.txn() as transaction:
        transaction.set("lower", {"name": "Bob"}, ttl=50, then="gone")
    assert [next(updates).value for _ in range(2)] == [{"name": "Bob"}, "gone"]


def test_a_namespace_applies_to_the_store_or_to_one_call(connect: Connect, server: ServerProcess):
    with connect(server.url, ns="app") as store:
        store.set("k", 1)
        store.set("k", 2, ns="")
        assert (store.get("k"), store.get("k", ns=""), store.keys(ns="app")) == (1, 2, ["k"])
        updates = store.watch("k")
        assert next(updates) == ("k", 1)
        store.delete("k")
        assert next(updates) == ("k", None)


def test_set_sends_ttl_and_durable(store: Any, server: ServerProcess):
    store.set("k", 1, ttl=3_600_000, durable=True)
    entry = http(server, "GET", "/entries/k").json
    assert 3_500_000 < entry["entry"]["expiresAt"] - entry["timestamp"] <= 3_600_000


def test_info_stats_and_flush_ask_the_server(store: Any):
    store.set("k", 1)
    assert store.info()["entries"] == 1
    assert store.stats()["cache"]["currentSize"] == 1
    store.flush()
    assert store.keys() == []


def test_a_refused_call_raises_with_the_servers_text(store: Any):
    for call in (store.get, store.delete, lambda key: store.set(key, 1)):
        with pytest.raises(dunena.RequestError, match=r"^Key exceeds max length \(512\)$"):
            call("k" * 513)
    with pytest.raises(dunena.RequestError, match="TTL must be"):
        store.set("k", 1, ttl=-1)
    with pytest.raises(TypeError):
        store.set("k", {1})
    with pytest.raises(TypeError):
        store.incr("k", float("nan"))
    with pytest.raises(dunena.RequestError, match=r"^Key exceeds max length \(512\)$"):
        store.incr("k" * 513)
    with pytest.raises(dunena.RequestError, match="Path must be a JSON Pointer"):
        store.set("k", 1, path="home")
    store.set("k", "the connection is as good as before")


def test_a_large_value_is_set_read_and_watched(store: Any):
    value = "ß" * 1_900_000
    updates = store.watch("k")
    assert next(updates).value is None
    store.set("k", value)
    assert store.get("k") == value
    assert next(updates) == ("k", value)


@pytest.mark.parametrize("size", [80_000, 9_000_000])
def test_a_message_too_large_for_the_server_fails_at_once(
    connect: Connect, start_server: StartServer, size: int
):
    server = start_server("--max-value", "1000")  # a message may have 71,536 bytes
    with connect(server.url, timeout=None) as store:
        for call in (store.get, store.delete, lambda text: store.set("k", text)):
            with pytest.raises(dunena.RequestError, match="The message is too large"):
                call("x" * size)
        with pytest.raises(dunena.RequestError, match="The message is too large"):
            next(store.watch("x" * size))
        store.set("k", 1)
        assert store.get("k") == 1


def test_each_of_many_concurrent_requests_is_answered(server: ServerProcess):
    async def run() -> None:
        async with dunena.connect(server.url) as store:
            await asyncio.gather(*(store.set(f"k{n}", n) for n in range(2000)))
            found = await asyncio.gather(*(store.get(f"k{n}") for n in range(2000)))
            assert found == list(range(2000))

    asyncio.run(run())


def test_threads_can_share_a_store(server: ServerProcess):
    with dunena.sync.connect(server.url) as store:

        def work(worker: int) -> None:
            for number in range(100):
                store.set(f"{worker}", number)
                assert store.get(f"{worker}") == number

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS_MAX)
        assert store.mget([f"{worker}" for worker in range(8)]) == {f"{n}": 99 for n in range(8)}


def test_the_client_works_with_compression(connect: Connect, start_server: StartServer):
    server = start_server("--compression")
    with connect(server.url) as store:
        store.set("k", "x" * 10_000)
        assert store.get("k") == "x" * 10_000


def test_the_client_works_over_tls_and_checks_the_certificate(
    connect: Connect, start_server: StartServer, tmp_path: Path
):
    import ssl

    certificate, key = make_certificate(tmp_path)
    server = start_server("--tls-cert", str(certificate), "--tls-key", str(key))
    trust = ssl.create_default_context(cafile=str(certificate))
    with connect(server.ws_url, ssl=trust) as store:
        store.set("k", 1)
        assert (store.get("k"), store.keys()) == (1, ["k"])
    with pytest.raises(dunena.ConnectError, match="certificate"), connect(server.url):
        pass


# --- feeds ---


def test_a_watch_yields_changes_of_several_keys(store: Any):
    store.set("a", 1)
    updates = store.watch("a", "b")
    assert [next(updates), next(updates)] == [("a", 1), ("b", None)]
    store.mset({"b": 2, "a": 3})
    assert [next(updates), next(updates)] == [("b", 2), ("a", 3)]
    updates.close()
    assert list(updates) == []


def test_a_watch_of_a_pattern_yields_each_changed_key(store: Any):
    store.mset({"team-a": 1, "other": 1})
    updates = store.watch(pattern="team-*")
    assert next(updates) == ("team-a", 1)
    store.set("team-b", None)
    store.set("other", 2)
    store.set("team-ß", {"x": [1]})
    store.delete("team-a")
    expected = [("team-b", None), ("team-ß", {"x": [1]}), ("team-a", None)]
    assert [next(updates) for _ in range(3)] == expected


def test_a_watch_of_a_path_yields_what_stands_there(store: Any):
    store.set("match", {"home": {"score": 1}, "clock": 5}, ns="show")
    updates = store.watch("match", "later", path="/home/score", ns="show")
    assert sorted([next(updates), next(updates)]) == [("later", None), ("match", 1)]
    store.set("match", 4, path="/clock", ns="show")
    store.incr("match", path="/home/score", ns="show")
    assert next(updates) == ("match", 2)
    store.merge("match", {"home": None}, ns="show")
    assert next(updates) == ("match", None)


def test_a_watch_with_a_rate_yields_the_last_value(store: Any):
    updates = store.watch("votes", max_rate=20)
    assert next(updates) == ("votes", None)
    for number in range(200):
        store.set("votes", number)
    seen = [value for _, value in iter(lambda: next(updates), ("votes", 199))]
    assert len(seen) < 150
    assert seen == sorted(seen)


def test_updates_have_what_was_changed_together(store: Any):
    store.mset({"match": 0, "scorer": "nobody"})
    updates = store.updates("scorer", "match", "missing")
    first = next(updates)
    assert first.reset is True
    assert {key: change.value for key, change in first.changes.items()} == {
        "match": 0,
        "scorer": "nobody",
    }
    with store.txn() as transaction:
        transaction.incr("match")
        transaction.delete("scorer")
        transaction.set("elsewhere", 1)
    update = next(updates)
    results = transaction.results
    assert update == dunena.StateUpdate(
        {
            "match": dunena.KeyChange(results[0]["rev"], 1, None),
            "scorer": dunena.KeyChange(results[1]["rev"], None, "delete"),
        },
        results[2]["rev"],
        first.epoch,
        reset=False,
    )
    store.set("match", 5, if_rev=update.changes["match"].rev)
    store.touch("match", 1)
    store.txn()
    assert [next(updates).changes["match"][1:] for _ in range(2)] == [(5, None), (5, None)]
    assert next(updates).changes["match"].event == "expired"


def test_a_flush_is_an_update_that_removes_all_keys(store: Any):
    store.mset({"a": 1, "b": 2})
    updates = store.updates(pattern="*")
    assert set(next(updates).changes) == {"a", "b"}
    store.flush()
    update = next(updates)
    assert {key: change.event for key, change in update.changes.items()} == {
        "a": "delete",
        "b": "delete",
    }
    assert not update.reset


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"pattern": "*", "path": "home"}, "Path must be a JSON Pointer"),
        ({"pattern": "*", "max_rate": 1000}, "maxRate must be a number from 0.1 to 100"),
        ({"pattern": ""}, "Pattern must not be empty"),
    ],
)
def test_a_refused_watch_of_state_raises_request_error(store: Any, options: Any, text: str):
    for feed in (store.watch(**options), store.updates(**options)):
        with pytest.raises(dunena.RequestError, match=text) as refused:
            next(feed)
        assert refused.value.code in ("invalid", "limit")
    with pytest.raises(ValueError, match="keys or a pattern"):
        store.watch()
    with pytest.raises(ValueError, match="keys or a pattern"):
        store.watch("k", pattern="*")
    with pytest.raises(ValueError, match="keys or a pattern"):
        store.updates()


def test_now_is_the_time_of_the_server(store: Any):
    for _ in range(3):
        before = time.time_ns() // 1_000_000
        now = store.now()
        assert type(now) is int
        # A test machine may be slow; the clock is the same.
        assert before - 1000 < now < time.time_ns() // 1_000_000 + 1000
        store.set("k", 1)


def test_a_refused_watch_raises_request_error(store: Any):
    with pytest.raises(dunena.RequestError, match="Key must not be empty"):
        next(store.watch(""))


def test_events_yields_each_event(store: Any):
    events = store.events()
    store.set("k", "abc", ns="app")
    store.delete("k", ns="app")
    store.flush()
    seen = [next(events) for _ in range(3)]
    assert [event[:4] for event in seen] == [
        ("set", "k", "app", 3),
        ("delete", "k", "app", None),
        ("clear", None, "", None),
    ]


def test_an_abandoned_watch_is_unsubscribed(server: ServerProcess):
    with dunena.sync.connect(server.url) as store:
        for _ in store.watch("k"):
            break
        while http(server, "GET", "/stats").json["cache"]["subscriptions"]:
            store.get("other")  # it is let go at a beat


def test_an_abandoned_watch_of_state_is_ended(server: ServerProcess):
    with dunena.sync.connect(server.url) as store:
        with store.updates(pattern="*") as updates:
            next(updates)
            assert http(server, "GET", "/stats").json["cache"]["subscriptions"] == 1
        store.set("k", 1)
        assert http(server, "GET", "/stats").json["cache"]["subscriptions"] == 0


def test_watches_end_when_the_store_is_closed(connect: Connect, server: ServerProcess):
    with connect(server.url) as store:
        updates = store.watch("k")
        next(updates)
    if connect is not open_turned:
        assert list(updates) == []
        with pytest.raises(dunena.ClosedError):
            store.get("k")


# --- who does not get in, and where nobody is ---


def test_connect_sends_the_token_and_raises_for_a_wrong_one(
    connect: Connect, start_server: StartServer
):
    server = start_server("--token", "secret")
    with connect(server.url, token="secret") as store:
        store.set("k", 1)
        assert store.keys() == ["k"]
    for token in (None, "wrong"):
        with (
            pytest.raises(dunena.RefusedError, match="Unauthorized") as refused,
            connect(server.url, token=token),
        ):
            pass
        assert refused.value.status == 401


@pytest.mark.parametrize("token", ["schl\u00fcssel", "\u20ac", "a\nb"])
def test_connect_refuses_what_cannot_be_a_token(connect: Connect, token: str):
    with (
        pytest.raises(ValueError, match=r"^a client can only send a token of printable ASCII$"),
        connect("ws://localhost:1", token=token),
    ):
        pass


def test_operations_with_a_token_that_may_only_write_return_no_value(
    connect: Connect, start_server: StartServer, tmp_path: Path
):
    file = tmp_path / "tokens.toml"
    table = '[{0}]\ntoken = "{0}"\nrights = ["{0}"]\n'
    file.write_text(table.format("write") + table.format("read"), "utf-8")
    server = start_server("--tokens", str(file))
    with connect(server.url, token="write") as store:
        assert store.incr("count") is None
        assert store.append("list", 1) is None
        assert store.timer("clock", "start") is None
        for call in (lambda: store.merge("k", {"a": 1}), lambda: store.history("k")):
            with pytest.raises(dunena.RequestError, match="Not permitted"):
                call()
        with store.txn() as transaction:
            transaction.merge("k", {"a": 1})
            transaction.incr("count")
        assert "value" not in transaction.results[1]
    with connect(server.url, token="read") as store:
        assert store.mget(["count", "list", "k"]) == {"count": 2, "list": [1], "k": {"a": 1}}
        with pytest.raises(dunena.RequestError, match="Not permitted"):
            store.incr("count")


def test_connect_says_how_to_start_a_server_when_none_answers(connect: Connect):
    port = free_port()
    with pytest.raises(dunena.ConnectError) as caught:
        connect(f"localhost:{port}").__enter__()
    assert str(caught.value).startswith(f"No server answers at http://localhost:{port} (")
    assert str(caught.value).endswith(f"); start a server with: dunena serve --port {port}")


def test_a_plain_with_of_the_asyncio_store_names_the_other_one():
    with (
        pytest.raises(TypeError, match=r"use `async with`, or .*`with dunena\.sync\.connect\(\)`"),
        dunena.connect(),
    ):
        pass


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_connect_raises_when_another_program_answers(connect: Connect, version: str):
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = version

        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        try:
            with pytest.raises(dunena.WrongAddressError, match="no dunena"):
                connect(f"http://127.0.0.1:{other.server_port}").__enter__()
        finally:
            other.shutdown()
            thread.join()


CALLS: list[Callable[[Any], Any]] = [
    lambda store: store.get("k"),
    lambda store: store.mget(["k"]),
    lambda store: store.set("k", 1),
    lambda store: store.mset({"k": 1}),
    lambda store: store.delete("k"),
    lambda store: store.delete("ß"),
    lambda store: store.merge("k", {}),
    lambda store: store.patch("k", []),
    lambda store: store.incr("k"),
    lambda store: store.append("k", 1),
    lambda store: store.touch("k", 1),
    lambda store: store.timer("k", "start"),
    lambda store: store.revert("k"),
    lambda store: store.update("k", str),
    lambda store: store.history("k"),
    lambda store: store.keys(),
    lambda store: store.stats(),
    lambda store: store.info(),
    lambda store: store.flush(),
    lambda store: store.watch("k"),
    lambda store: store.watch(pattern="*"),
    lambda store: store.updates("k"),
    lambda store: store.now(),
    lambda store: store.events(),
]


@pytest.mark.parametrize("call", CALLS)
def test_a_store_that_was_not_opened_raises_closed_error(call: Callable[[Any], Any]):
    async def use(store: Any) -> None:
        await call(store)

    with pytest.raises(dunena.ClosedError, match=r"with dunena\.sync\.connect\(\) as store"):
        call(dunena.sync.connect(timeout=None))
    with pytest.raises(dunena.ClosedError, match=r"async with dunena\.connect\(\) as store"):
        asyncio.run(use(dunena.connect(timeout=None)))


def test_watch_of_a_pattern_warns_when_iterated(connect: Connect, server: ServerProcess):
    with connect(server.url) as store:
        store.set("there-*", 1)
        with pytest.warns(UserWarning, match=r"no key a-\*; .* with pattern='a-\*'$") as warned:
            assert next(store.watch("a-*")) == ("a-*", None)
        updates = store.watch("there-*")
        assert next(updates) == ("there-*", 1)
        store.delete("there-*")  # it was a key
        assert next(updates) == ("there-*", None)
    assert len(warned) == 1


def test_a_warning_names_the_line_of_the_caller(server: ServerProcess):
    with dunena.sync.connect(server.url) as store, pytest.warns(match="no key") as warned:
        assert next(store.watch("a?")) == ("a?", None)
    assert [warning.filename for warning in warned] == [__file__]


# --- away and back ---


def test_connect_waits_for_a_server_within_the_timeout(connect: Connect, start_server: StartServer):
    server = start_server()
    assert server.stop() == 0
    later = threading.Timer(0.5, server.start)
    later.start()
    try:
        with connect(server.url, wait=True) as store:
            store.set("k", 1)
            assert store.get("k") == 1
    finally:
        later.join()


def test_a_call_without_a_server_raises_after_the_timeout(connect: Connect, server: ServerProcess):
    with connect(server.url, timeout=0.5) as store:
        assert server.stop() == 0
        with pytest.raises(dunena.NoAnswerError, match=r"in 0\.5 s"):
            store.set("k", 1)
        with pytest.raises(TimeoutError):
            store.get("k")
        server.start()
        for _ in range(50):  # the pause before the next try may be longer than a call
            try:
                assert store.get("k", "none") == "none"
                break
            except dunena.NoAnswerError:
                continue


class Relay:
    """A server's stand-in that forwards; it can fall silent, and cut before an answer."""

    def __init__(self, server: ServerProcess) -> None:
        self._target = ("127.0.0.1", server.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._mute: set[socket.socket] = set()
        self.answers_until_cut: int | None = None
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def hang(self) -> None:
        """What is connected now hears nothing any more, and is not told."""
        self._mute |= {end for pair in self._pairs for end in pair}

    def _is_to_be_cut(self) -> bool:
        """Count a piece of what the server says; return whether it is dropped with its link."""
        if self.answers_until_cut is None:
            return False
        self.answers_until_cut -= 1
        if self.answers_until_cut >= 0:
            return False
        self.answers_until_cut = None
        return True

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(self._target)
                except OSError:  # the server is away
                    near.close()
                    continue
                self._pairs.append((near, far))
                for pair in ((near, far), (far, near)):
                    self._threads.append(threading.Thread(target=self._forward, args=pair))
                    self._threads[-1].start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if source.getpeername() == self._target and self._is_to_be_cut():
                    break
                if source not in self._mute:
                    target.sendall(data)
        for end in (source, target):  # also after a reset, which the other end has to learn of
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in (end for pair in self._pairs for end in pair):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(SECONDS_MAX)
        for end in (end for pair in self._pairs for end in pair):
            end.close()


no_relay_on_windows = pytest.mark.skipif(
    sys.platform == "win32", reason="an accept that waits cannot be ended there"
)


@no_relay_on_windows
def test_the_client_replaces_a_silent_connection(
    connect: Connect, server: ServerProcess, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("dunena.client.protocol.BEAT_SECONDS_MAX", 0.1)
    with Relay(server) as relay, connect(relay.url) as store:
        updates = store.watch("k")
        assert next(updates) == ("k", None)
        relay.hang()
        store.set("k", "sent again on the next one")
        assert next(updates) == ("k", "sent again on the next one")


def reconnect_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dunena.client.backoff.FIRST_SECONDS", 0.01)


@no_relay_on_windows
def test_an_operation_whose_answer_was_lost_is_carried_out_once(
    connect: Connect, server: ServerProcess, monkeypatch: pytest.MonkeyPatch
):
    reconnect_soon(monkeypatch)
    with Relay(server) as relay, connect(relay.url) as store:
        store.incr("count")
        for number in range(2, 12):
            relay.answers_until_cut = 0
            assert store.incr("count") == number
            assert relay.answers_until_cut is None
        relay.answers_until_cut = 0
        with store.txn() as transaction:
            transaction.incr("count")
            transaction.append("list", 1)
        assert transaction.results[0]["value"] == 12
        relay.answers_until_cut = 1
        assert store.update("count", lambda count: count + 1) == 13
        assert (store.get("count"), store.get("list")) == (13, [1])


@no_relay_on_windows
def test_increments_over_connections_that_are_cut_count_once_each(
    connect: Connect, server: ServerProcess, monkeypatch: pytest.MonkeyPatch
):
    reconnect_soon(monkeypatch)
    increments, writers = 200, 4
    cuts, unknown = [], []
    with Relay(server) as relay, connect(relay.url) as store:

        def work() -> None:
            for number in range(increments // writers):
                if number % 5 == 0 and relay.answers_until_cut is None:
                    relay.answers_until_cut = number % 3
                    cuts.append(number)
                try:
                    store.incr("count", path="/red")
                except dunena.NoAnswerError as error:
                    unknown.append(error)

        threads = [threading.Thread(target=work) for _ in range(writers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS_MAX)
        relay.answers_until_cut = None
        assert len(cuts) >= 10
        assert unknown == []
        assert store.get("count") == {"red": increments}


@no_relay_on_windows
def test_an_operation_whose_answer_a_restart_lost_raises_no_answer_error(
    connect: Connect, server: ServerProcess, monkeypatch: pytest.MonkeyPatch
):
    reconnect_soon(monkeypatch)
    with Relay(server) as relay, connect(relay.url, timeout=SECONDS_MAX) as store:
        store.incr("count")
        relay.hang()
        unknown: list[BaseException] = []

        def call() -> None:
            try:
                store.incr("count")
            except dunena.NoAnswerError as error:
                unknown.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        server.kill()
        server.start()
        thread.join(SECONDS_MAX)
        assert "The server was restarted before it answered" in str(unknown[0])
        assert store.incr("count") == 2, "the relay had let nothing through"


def test_acknowledged_increments_survive_kills_of_the_server(
    connect: Connect, server: ServerProcess, monkeypatch: pytest.MonkeyPatch
):
    reconnect_soon(monkeypatch)
    acknowledged, unknown = [], []
    is_over = threading.Event()
    with connect(server.url, timeout=SECONDS_MAX) as store:

        def work() -> None:
            while not is_over.is_set():
                try:
                    acknowledged.append(store.incr("count"))
                except dunena.NoAnswerError as error:
                    unknown.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        for _ in range(5):
            wanted = len(acknowledged) + 10
            while len(acknowledged) < wanted:
                store.get("count")
            server.kill()
            server.start()
        is_over.set()
        thread.join(SECONDS_MAX)
        assert len(set(acknowledged)) == len(acknowledged)
        count = store.get("count")
        assert len(acknowledged) <= count <= len(acknowledged) + len(unknown)


def test_calls_made_while_disconnected_complete_after_the_reconnect(
    connect: Connect, server: ServerProcess
):
    with connect(server.url, timeout=START_SECONDS_MAX) as store:
        assert server.stop() == 0
        back = threading.Thread(target=server.start)
        back.start()
        store.set("k", "meanwhile")
        back.join()
        assert http(server, "GET", "/get/k").json["value"] == "meanwhile"


def test_unchanged_values_are_not_repeated_after_a_reconnect(
    connect: Connect, server: ServerProcess
):
    with connect(server.url) as store:
        store.mset({"same": {"a": [1]}, "other": 1})
        updates = store.watch("same", "other", "missing")
        assert len([next(updates) for _ in range(3)]) == 3
        assert server.stop() == 0
        (server.folder / "other.json").write_text("2", "utf-8")
        server.start()
        assert next(updates) == ("other", 2)
        store.set("missing", 3)
        assert next(updates) == ("missing", 3)


@pytest.mark.timeout(patiently(120))  # sixteen starts of a process, if the machine is busy
def test_a_watch_loses_no_newest_value_through_eight_kills(connect: Connect, server: ServerProcess):
    """A writer and a watch, and a server that is killed and started again under both."""
    kills = 8
    seen: list[int] = []
    is_seen = threading.Condition()
    is_over = threading.Event()
    last: list[int] = []

    def write() -> None:
        with dunena.sync.connect(server.url, timeout=None) as writer:
            number = 0
            while not is_over.is_set():
                number += 1
                writer.set("count", number)
            last.append(number)

    with connect(server.url, timeout=None) as store:
        updates = store.watch("count")

        def follow() -> None:
            for _, value in updates:
                with is_seen:
                    seen.append(value or 0)
                    is_seen.notify_all()
                if last and seen[-1] == last[0]:
                    return

        threads = [threading.Thread(target=write), threading.Thread(target=follow)]
        for thread in threads:
            thread.start()
        for _ in range(kills):
            with is_seen:
                wanted = len(seen) + 10
                assert is_seen.wait_for(lambda wanted=wanted: len(seen) >= wanted, SECONDS_MAX)
            server.kill()
            server.start()
        is_over.set()
        threads[0].join(SECONDS_MAX)
        store.set("end", True)  # what was written before is here now
        with is_seen:
            is_seen.wait_for(lambda: seen[-1] == last[0], SECONDS_MAX)
        updates.close()
        threads[1].join(SECONDS_MAX)
    assert seen == sorted(seen)
    assert seen[-1] == last[0]
    # A write that was stored but not confirmed is sent again, and its update is then an equal one.
    assert len(seen) - len(set(seen)) <= kills


def test_a_watch_of_a_pattern_goes_on_over_a_restart_with_what_differs(
    connect: Connect, server: ServerProcess
):
    with connect(server.url, timeout=START_SECONDS_MAX) as store:
        store.mset({"same": {"a": [1]}, "edited": 1, "removed": 1})
        watch, updates = store.watch(pattern="*"), store.updates(pattern="*")
        assert len([next(watch) for _ in range(3)]) == 3
        first = next(updates)
        assert server.stop() == 0
        (server.folder / "edited.json").write_text("2", "utf-8")
        (server.folder / "removed.json").unlink()
        server.start()
        update = next(updates)
        assert (update.reset, update.epoch == first.epoch) == (False, False)
        changes = {key: change[1:] for key, change in update.changes.items()}
        assert changes == {"edited": (2, None), "removed": (None, "delete")}
        assert {next(watch), next(watch)} == {("edited", 2), ("removed", None)}
        store.set("edited", 3, if_rev=update.changes["edited"].rev)
        assert next(watch) == ("edited", 3)


@no_relay_on_windows
def test_after_a_lost_connection_the_server_tells_only_the_changes_since(
    connect: Connect, server: ServerProcess, monkeypatch: pytest.MonkeyPatch
):
    reconnect_soon(monkeypatch)
    heard: list[bytes] = []
    receive = ClientProtocol.receive

    def listen(protocol: ClientProtocol, raw: bytes) -> None:
        heard.append(raw)
        receive(protocol, raw)

    monkeypatch.setattr(ClientProtocol, "receive", listen)
    with (
        Relay(server) as relay,
        connect(relay.url) as store,
        dunena.sync.connect(server.url) as other,
    ):
        other.mset({f"key-{number}": number for number in range(100)})
        updates, watch = store.updates(pattern="key-*"), store.watch(pattern="key-*")
        assert len(next(updates).changes) == 100
        assert [next(watch)[1] for _ in range(100)] == [*range(100)]
        heard.clear()
        relay.answers_until_cut = 0
        other.delete("key-0")
        other.incr("key-1")
        update = next(updates)
        while "key-1" not in update.changes:
            update = next(updates)
        assert {next(watch), next(watch)} == {("key-0", None), ("key-1", 2)}
    told = [json.loads(raw)["update"] for raw in heard if b'"update"' in raw]
    assert sum(len(update["changes"]) for update in told) == 2
    assert not any("reset" in update for update in told)


def follow(updates: Any, states: list[dict[str, Any]], is_last: Callable[[], bool]) -> None:
    """Collect the states that the updates lead to until the last one is there."""
    state: dict[str, Any] = {}
    revs: dict[tuple[str, str], int] = {}
    for update in updates:
        assert update.reset == (not states)
        for key, change in update.changes.items():
            assert change.rev > revs.get((update.epoch, key), -1)
            revs[update.epoch, key] = change.rev
            if change.event is None:
                state[key] = change.value
            else:
                del state[key]
        states.append(dict(state))
        if is_last():
            return


@no_relay_on_windows
@pytest.mark.parametrize("ends", ["connections", "servers"])
def test_no_update_shows_a_transaction_in_part_whatever_is_cut(
    connect: Connect, server: ServerProcess, monkeypatch: pytest.MonkeyPatch, ends: str
):
    """Transfers between accounts whose values are large, so that updates have parts."""
    reconnect_soon(monkeypatch)
    accounts, padding = [f"account-{number}" for number in range(12)], "x" * 60_000
    with (
        Relay(server) as relay,
        connect(relay.url, timeout=SECONDS_MAX) as store,
        dunena.sync.connect(server.url, timeout=SECONDS_MAX) as writer,
    ):
        with writer.txn() as opening:
            for account in accounts:
                opening.set(account, {"amount": 100, "padding": padding})
        states: list[dict[str, Any]] = []
        updates = store.updates(pattern="*")
        arguments = updates, states, lambda: "end" in states[-1]
        thread = threading.Thread(target=follow, args=arguments)
        thread.start()
        cuts = number = 0
        while cuts < 12:
            number += 1
            with suppress(dunena.NoAnswerError), writer.txn() as transfer:
                for index, account in enumerate(accounts):
                    transfer.incr(account, number if index % 2 else -number, path="/amount")
            if ends == "connections" and relay.answers_until_cut is None:
                cuts += 1
                relay.answers_until_cut = cuts * 5 % 23
            elif ends == "servers" and len(states) > cuts:
                cuts += 3
                server.kill()
                server.start()
        relay.answers_until_cut = None
        writer.set("end", True)
        thread.join(SECONDS_MAX)
        assert not thread.is_alive()
        assert states[-1] == writer.mget([*accounts, "end"])
    for state in states:
        assert sum(value["amount"] for key, value in state.items() if key != "end") == 1200
    assert len(states) > 1, "the end alone says nothing of transfers"


def test_updates_that_are_not_read_become_few(connect: Connect, server: ServerProcess):
    with connect(server.url) as store, dunena.sync.connect(server.url) as writer:
        updates = store.updates(pattern="*")
        next(updates)
        for _ in range(30):
            with writer.txn() as transaction:
                for number in range(100):
                    transaction.incr(f"key-{number}")
        writer.set("end", True)
        store.get("end")  # all that was told before is here now
        count = 1
        while "end" not in next(updates).changes:
            count += 1
        assert count < 15


# --- the name ---


def test_importing_dunena_does_not_import_the_client():
    import subprocess
    import sys

    code = "import sys, dunena; print(any(name.startswith('dunena.') for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_every_public_name_exists():
    for name in dunena.__all__:
        assert getattr(dunena, name) is not None
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = dunena.nothing_such


def test_every_error_of_the_client_is_public_and_documented():
    from dunena.client import errors

    raised = {name for name, made in vars(errors).items() if isinstance(made, type)}
    assert {"Error", "ConnectError", "WrongAddressError"} < raised
    assert raised <= set(dunena.__all__)
    document = (Path(__file__).parents[2] / "docs" / "python.md").read_text("utf-8")
    assert raised - {"Error"} == set(re.findall(r"^\| `(\w+Error)` \|", document, re.MULTILINE))


def test_both_stores_have_the_same_methods_and_docstrings():
    calls, blocking = (
        {name: getattr(store, name) for name in dir(store) if not name.startswith("_")}
        for store in (dunena.Store, dunena.sync.Store)
    )
    assert calls.keys() == blocking.keys() > {"get", "mset", "incr", "txn", "watch", "close"}
    for name, call in calls.items():
        is_plain = name in ("watch", "updates", "events", "subscribe", "txn")
        assert inspect.iscoroutinefunction(call) != is_plain, name
        assert not inspect.iscoroutinefunction(blocking[name]), name
        assert inspect.signature(blocking[name]) == inspect.signature(call), name
        assert blocking[name].__name__ == call.__name__ == name
        assert blocking[name].__doc__ == call.__doc__, name
        assert call.__doc__, name
    assert inspect.signature(dunena.connect) == inspect.signature(dunena.sync.connect)
    assert "timeout" in inspect.getdoc(dunena.connect)


def test_dir_shows_the_public_names():
    assert dir(dunena) == sorted([*dunena.__all__, "__version__"])
