"""The Python client against real servers: its calls, and how it reconnects."""

import asyncio
import inspect
import json
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import pytest

import dunena
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
        if name in ("watch", "events"):  # plain calls, but of the loop's thread
            return lambda *words, **named: TurnedFeed(self._on_loop(attribute, words, named), self)
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


def test_merge_accepts_the_options_of_set(store: Any, server: ServerProcess):
    store.set("k", {"a": 1}, ns="app")
    merged = store.merge("k", {"b": 2}, ns="app", ttl=3_600_000, durable=True)
    assert merged == {"a": 1, "b": 2}
    assert store.get("k") is None
    assert http(server, "GET", "/entries/k?ns=app").json["entry"]["expiresAt"] is not None
    with pytest.raises(dunena.RequestError, match="TTL must be"):
        store.merge("k", {"c": 3}, ns="app", ttl=-1)
    assert store.merge("k", {"c": 3}, ns="app") == {"a": 1, "b": 2, "c": 3}
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


def test_connect_raises_when_no_server_answers(connect: Connect):
    with pytest.raises(dunena.ConnectError, match="No server answers"):
        connect(f"localhost:{free_port()}").__enter__()


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
            with pytest.raises(dunena.ConnectError, match="no dunena"):
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
    lambda store: store.keys(),
    lambda store: store.stats(),
    lambda store: store.info(),
    lambda store: store.flush(),
    lambda store: store.watch("k"),
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
        with pytest.warns(UserWarning, match=r"no key a-\*, and watch takes no patterns") as warned:
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
    """A server's stand-in that forwards, and can leave connections hanging without a word."""

    def __init__(self, server: ServerProcess) -> None:
        self._target = ("127.0.0.1", server.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._mute: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def hang(self) -> None:
        """What is connected now hears nothing any more, and is not told."""
        self._mute |= {end for pair in self._pairs for end in pair}

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._pairs.append((near, far))
                for pair in ((near, far), (far, near)):
                    self._threads.append(threading.Thread(target=self._forward, args=pair))
                    self._threads[-1].start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                if source not in self._mute:
                    target.sendall(data)
            target.shutdown(socket.SHUT_WR)

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


@pytest.mark.skipif(sys.platform == "win32", reason="an accept that waits cannot be ended there")
def test_the_client_replaces_a_silent_connection(
    connect: Connect, server: ServerProcess, monkeypatch: pytest.MonkeyPatch
):
    for shell in ("asynchronous", "blocking"):
        monkeypatch.setattr(f"dunena.client.{shell}.BEAT_SECONDS", 0.1)
    with Relay(server) as relay, connect(relay.url) as store:
        updates = store.watch("k")
        assert next(updates) == ("k", None)
        relay.hang()
        store.set("k", "sent again on the next one")
        assert next(updates) == ("k", "sent again on the next one")


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


@pytest.mark.timeout(patiently(240))  # forty starts of a process, on a machine that may be busy
def test_a_watch_loses_no_newest_value_through_twenty_kills(
    connect: Connect, server: ServerProcess
):
    """A writer and a watch, and a server that is killed and started again under both."""
    kills = 20
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


def test_both_stores_have_the_same_methods_and_docstrings():
    calls, blocking = (
        {name: getattr(store, name) for name in dir(store) if not name.startswith("_")}
        for store in (dunena.Store, dunena.sync.Store)
    )
    assert calls.keys() == blocking.keys() > {"get", "mset", "merge", "watch", "close"}
    for name, call in calls.items():
        assert inspect.iscoroutinefunction(call) == (name not in ("watch", "events")), name
        assert not inspect.iscoroutinefunction(blocking[name]), name
        assert inspect.signature(blocking[name]) == inspect.signature(call), name
        assert blocking[name].__name__ == call.__name__ == name
        assert blocking[name].__doc__ == call.__doc__, name
        assert call.__doc__, name
    assert inspect.signature(dunena.connect) == inspect.signature(dunena.sync.connect)
    assert "timeout" in inspect.getdoc(dunena.connect)


def test_dir_shows_the_public_names():
    assert dir(dunena) == sorted([*dunena.__all__, "__version__"])
