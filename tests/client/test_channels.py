"""Channels in both clients, over real connections."""

import asyncio
import math
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import dunena
from tests.protocol.clients import open_objects, unique
from tests.support.cutting_proxy import CuttingProxy
from tests.support.far import Far
from tests.support.node_client import NodeClient, ScriptError
from tests.support.server import ServerProcess

SUBSCRIBE = """state.heard = [];
state.stop = state.store.subscribe("%s",
  (data, { missed, timestamp, channel }) => state.heard.push([data, missed, channel, timestamp]));
await state.store.get("subscribed");"""


@pytest.fixture
def proxy(server: ServerProcess) -> Iterator[CuttingProxy]:
    with CuttingProxy(server.port) as proxy:
        yield proxy


def heard(client: NodeClient, count: int) -> list[Any]:
    """The data and the missed ones of so many messages, as JSON writes them."""
    client.run(f"await until(() => state.heard.length >= {count})")
    found: list[Any] = client.run("return state.heard.map(([data, missed]) => [data, missed])")
    return found


def test_the_javascript_client_publishes_and_hears(
    client: NodeClient, shared_server: ServerProcess
) -> None:
    channel = unique("channel")
    client.run(SUBSCRIBE % channel)
    with dunena.sync.connect(shared_server.url) as store:
        messages = store.subscribe(channel)
        store.publish(channel, {"text": "ß"})
        client.run(f"await state.store.publish('{channel}', [null])")
        assert [next(messages)[:2] for _ in range(2)] == [({"text": "ß"}, 0), ([None], 0)]
        assert heard(client, 2) == [[{"text": "ß"}, 0], [[None], 0]]
        (_, _, named, at) = client.run("return state.heard[0]")
        assert named == channel
        assert abs(at - store.now()) < 20_000
        client.run("state.stop()")
        client.run("await state.store.get('ended')")
        store.publish(channel, "nobody hears it")
        client.run("await state.store.get('published')")
    assert len(heard(client, 2)) == 2
    assert client.run("return state.errors") == []


def test_each_listener_of_a_channel_has_its_own_copy(client: NodeClient) -> None:
    assert client.run(
        """const { store } = state, texts = [];
        const change = (data) => { texts.push(data.text); data.text = "changed"; };
        const stops = [1, 2].map(() => store.subscribe("copies", change));
        const heard = async (count) => {
          while (texts.length < count) await new Promise((done) => setTimeout(done, 1));
        };
        await store.publish("copies", { text: "hi" });
        await heard(2);
        stops[0]();
        await store.publish("copies", { text: "once more" });
        await heard(3);
        stops[1]();
        return texts;"""
    ) == ["hi", "hi", "once more"]


def test_a_channel_named_like_a_key_is_no_key_and_its_messages_are_no_events(
    client: NodeClient,
) -> None:
    assert client.run(
        """const { store } = state, seen = [];
        const stops = [store.watch("same", (value) => seen.push(["value", value])),
          store.subscribe("same", (data) => seen.push(["data", data])),
          store.events(({ event, data }) => seen.push([event, data.key]))];
        await until(() => seen.length === 1);
        await store.publish("same", 1);
        await store.set("same", 2);
        await store.get("same");
        for (const stop of stops) stop();
        await store.set("same", 3);
        await store.get("same");
        return [...seen.slice(0, 2), ...seen.slice(2).sort()];"""
    ) == [["value", None], ["data", 1], ["set", "same"], ["value", 2]]


def test_a_refused_message_has_the_servers_text(
    client: NodeClient, shared_server: ServerProcess
) -> None:
    refused = client.run(
        """const error = await state.store.publish("cache-events", 1).catch((error) => error);
        return [error.message, error.code];"""
    )
    with (
        dunena.sync.connect(shared_server.url) as store,
        pytest.raises(dunena.RequestError) as raised,
    ):
        store.publish("cache-events", 1)
    assert refused == [str(raised.value), raised.value.code]
    assert refused == ['Channel is reserved: "cache-events"', "forbidden"]


def test_a_refused_subscription_is_reported(
    client: NodeClient, shared_server: ServerProcess
) -> None:
    told = client.run(
        """const errors = [];
        state.store.subscribe("", () => {}, { onError: ({ message }) => errors.push(message) })
        const stop = state.store.subscribe("", () => {});
        await until(() => errors.length && state.errors.length);
        stop();
        return [errors[0], state.errors[0]];"""
    )
    with dunena.sync.connect(shared_server.url) as store, pytest.raises(dunena.Error) as raised:
        next(store.subscribe(""))
    assert told == [str(raised.value)] * 2
    assert "Channel" in told[0]


def test_javascript_listens_again_after_a_reconnect_and_does_not_know_what_it_missed(
    away: NodeClient, server: ServerProcess, proxy: CuttingProxy
) -> None:
    away.open(proxy.url)
    away.run(SUBSCRIBE % "chat")
    with dunena.sync.connect(server.url) as store:
        store.publish("chat", "before")
        heard(away, 1)
        proxy.cut()
        away.run("await until(() => state.store.status !== 'open')")
        store.publish("chat", "meanwhile")
        away.run("await until(() => state.store.status === 'open')")
        away.run("await state.store.get('again')")
        store.publish("chat", "after")
        store.publish("chat", "later")
    assert heard(away, 3) == [["before", 0], ["after", None], ["later", 0]]
    assert away.run("return state.heard[1][1] === Infinity")


def test_python_listens_again_after_a_reconnect_and_does_not_know_what_it_missed(
    server: ServerProcess, proxy: CuttingProxy
) -> None:
    async def run() -> list[tuple[Any, float]]:
        async with (
            dunena.connect(server.url) as other,
            dunena.connect(proxy.url) as store,
            store.subscribe("chat") as messages,
        ):
            await store.now()
            await other.publish("chat", "before")
            found = [await anext(messages)]
            proxy.cut()
            await store.get("after the reconnect")
            await other.publish("chat", "after")
            await other.publish("chat", "later")
            found += [await anext(messages), await anext(messages)]
            return [(message.data, message.missed) for message in found]

    assert asyncio.run(run()) == [("before", 0), ("after", math.inf), ("later", 0)]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot stop a process in its tracks")
def test_a_page_that_was_too_slow_knows_how_many_it_missed(
    away: NodeClient, server: ServerProcess
) -> None:
    away.open(server.url)
    away.run(SUBSCRIBE % "flood")
    count, text = 400, "x" * 32_000
    with dunena.sync.connect(server.url) as store:
        away.signal(signal.SIGSTOP)
        for number in range(count):
            store.publish("flood", [number, text])
        away.signal(signal.SIGCONT)
        store.publish("flood", [count, ""])
    away.run(f"await until(() => state.heard.at(-1)?.[0][0] === {count})")
    found = away.run("return state.heard.map(([[number], missed]) => [number, missed])")
    numbers = [number for number, _ in found]
    assert numbers == sorted(numbers)
    assert sum(missed for _, missed in found) == count + 1 - len(found) > 0
    before = -1
    for number, missed in found:
        assert number == before + 1 + missed
        before = number


def test_no_message_is_published_twice_however_often_the_connection_is_lost(
    away: NodeClient, server: ServerProcess
) -> None:
    with open_objects(server) as listener, Far(server.port, 0.005) as link:
        listener.send({"action": "subscribe", "channel": "votes", "id": 1})
        assert listener.receive() == {"subscribed": {"channel": "votes"}, "id": 1}
        away.open(f"http://127.0.0.1:{link.port}")
        away.run(
            """state.ends = [];
            const note = (number, end) => state.ends.push([number, end]);
            state.publishing = (async () => {
              for (let number = 0; number < 300; number++)
                await state.store.publish("votes", number).then(
                  () => note(number, "done"), (error) => note(number, error.code));
            })();"""
        )
        for rounds in range(4):
            away.run(f"await until(() => state.ends.length > {rounds * 40 + 20})")
            link.cut()
        away.run("await state.publishing")
        ends = dict(away.run("return state.ends"))
        listener.send({"action": "publish", "channel": "votes", "data": "end"})
        numbers = []
        while (data := listener.receive()["data"]) != "end":
            numbers.append(data)
    assert len(numbers) == len(set(numbers))
    assert set(ends.values()) == {"done", "unknown"}
    assert {number for number, end in ends.items() if end == "done"} <= set(numbers)


def test_what_is_published_while_away_waits_or_is_refused(
    away: NodeClient, server: ServerProcess
) -> None:
    with dunena.sync.connect(server.url) as store:
        messages = store.subscribe("chat")
        store.now()
        away.connect(server.url)
        away.run("await state.store.publish('chat', 'waited for the first connection')")
        assert next(messages).data == "waited for the first connection"
    away.run("state.store.close()")
    away.connect(server.url, 'whileAway: "refuse"')
    with pytest.raises(ScriptError, match="Not connected"):
        away.run("await state.store.publish('chat', 1)")


def test_python_drops_the_oldest_messages_that_are_not_read(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dunena.client.feeds.MESSAGES_PENDING_MAX", 5)
    with (
        dunena.sync.connect(server.url) as store,
        store.subscribe("chat") as messages,
        store.subscribe("chat") as others,
    ):
        for number in range(20):
            store.publish("chat", number)
            assert next(others).data == number
        found = [next(messages) for _ in range(5)]
    assert [message.data for message in found] == [15, 16, 17, 18, 19]
    assert [message.missed for message in found] == [15, 0, 0, 0, 0]


def test_the_channel_of_changes_has_a_call_of_its_own(shared_server: ServerProcess) -> None:
    says = r"^cache-events has no messages .* events\(\)"
    with dunena.sync.connect(shared_server.url) as store, pytest.raises(ValueError, match=says):
        store.subscribe("cache-events")


def test_a_feed_that_is_closed_is_unsubscribed(server: ServerProcess) -> None:
    with dunena.sync.connect(server.url) as store:
        first, second = store.subscribe("chat"), store.subscribe("chat")
        first.close()
        store.publish("chat", 1)
        assert next(second).data == 1
        assert store.stats()["cache"]["subscriptions"] == 1
        assert list(first) == []
        second.close()
        assert store.stats()["cache"]["subscriptions"] == 0
