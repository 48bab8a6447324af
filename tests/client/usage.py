"""What a type checker must say of code that uses the client; `test_python_types.py` asks it."""

from typing import Any, assert_type

import dunena


async def use() -> None:
    url = "ws://localhost"
    async with dunena.connect(url, token="t", ns="n", timeout=None, wait=True) as store:
        assert_type(store, dunena.Store)
        assert_type(await store.get("k", 1), Any)
        assert_type(await store.mget(["k"], 0, ns="n"), dict[str, Any])
        assert_type(await store.delete("k", durable=True), bool)
        assert_type(await store.merge("k", {"a": 1}, ttl=1), dict[str, Any])
        assert_type(await store.keys("*"), list[str])
        assert_type(await store.info(), dict[str, Any])
        assert_type(await store.get("k", rev=True), Any)
        assert_type(await store.incr("k", 2.5, path="/home", min=0), Any)
        assert_type(await store.append("k", 1, "a", max=5), int | None)
        assert_type(await store.history("k", 5), list[dunena.HistoryEntry])
        assert_type(await store.update("k", lambda old: old + 1, ttl=5), Any)
        async with store.txn(ns="n") as transaction:
            assert_type(transaction, dunena.Transaction)
            transaction.set("k", None, if_rev=0, ttl=5, then={"on": False})
            transaction.touch("k", 5, path="/home")
            transaction.touch("k")  # type: ignore[call-arg]
        assert_type(transaction.results, list[dict[str, Any]])
        await store.set("k")  # type: ignore[call-arg]
        async with store.watch("a", "b", ns="n") as updates:
            assert_type(updates, dunena.Feed[dunena.Update])
            async for update in updates:
                assert_type(update, dunena.Update)
        assert_type(store.watch(pattern="a*", path="/b", max_rate=2), dunena.Feed[dunena.Update])
        async with store.updates("a", pattern=None, ns="n") as whole:
            assert_type(whole, dunena.Feed[dunena.StateUpdate])
            async for step in whole:
                assert_type(step.changes, dict[str, dunena.KeyChange])
                assert_type(step.reset, bool)
        store.updates(rate=5)  # type: ignore[call-arg]
        assert_type(await store.now(), int)
        async for message in store.subscribe("chat"):
            assert_type(message, dunena.ChannelMessage)
            assert_type(message.missed, float)
        await store.publish("chat", {"text": "hi"})
        await store.present("ada", {"name": "Ada"}, ns="lobby")
        await store.set("lock", 1, if_rev=0, ephemeral=True)
        await store.delete("lock", ephemeral=True)  # type: ignore[call-arg]
        async for event in store.events():
            assert_type(event, dunena.Event)


def use_blocking() -> None:
    will = [{"op": "set", "key": "last", "value": "Ada"}]
    session = dunena.Session(timeout=8000, grace=5000, name="Ada", will=will)
    with dunena.sync.connect("ws://localhost", timeout=3, session=session) as store:
        assert_type(store, dunena.sync.Store)
        assert_type(store.mget(["k"], 0, ns="n"), dict[str, Any])
        assert_type(store.delete("k", durable=True), bool)
        assert_type(store.merge("k", {"a": 1}, ttl=1), dict[str, Any])
        assert_type(store.keys("*"), list[str])
        assert_type(store.info(), dict[str, Any])
        assert_type(store.incr("k", 2.5, path="/home", min=0), Any)
        assert_type(store.append("k", 1, "a", max=5), int | None)
        assert_type(store.history("k", 5), list[dunena.HistoryEntry])
        assert_type(store.update("k", lambda old: old + 1, ttl=5), Any)
        store.touch("k", 5, if_rev=3)
        store.patch("k", [{"op": "remove", "path": "/a"}])
        store.timer("k", "set", ms=1000, rate=-1)
        store.revert("k", 5, ns="n")
        with store.txn(durable=True) as transaction:
            assert_type(transaction, dunena.sync.Transaction)
            transaction.incr("k", max=5)
            transaction.incr("k", namespace="n")  # type: ignore[call-arg]
        store.set("k")  # type: ignore[call-arg]
        store.set("k", 1, ttl="1")  # type: ignore[arg-type]
        store.get("k", namespace="n")  # type: ignore[call-arg]
        with store.watch("a", "b", ns="n") as updates:
            assert_type(updates, dunena.sync.Feed[dunena.Update])
            for update in updates:
                assert_type(update, dunena.Update)
        assert_type(store.watch(pattern="a*", max_rate=0.5), dunena.sync.Feed[dunena.Update])
        with store.updates(pattern="*", path="/b") as whole:
            assert_type(whole, dunena.sync.Feed[dunena.StateUpdate])
            for step in whole:
                assert_type(step.changes["a"].event, str | None)
        assert_type(store.now(), int)
        for message in store.subscribe("chat"):
            assert_type(message, dunena.ChannelMessage)
        store.publish("chat")  # type: ignore[call-arg]
        store.present("ada", {"name": "Ada"}, ns="lobby")
        for event in store.events():
            assert_type(event, dunena.Event)
