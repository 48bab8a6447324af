"""`GET /kv/{key}` with `wait`: held while the client has what there is."""

import time
from contextlib import ExitStack
from typing import Any

import pytest

from tests.protocol.clients import Client, Clients, RawConnection, Reply, http, unique
from tests.protocol.test_event_streams import write
from tests.protocol.test_long_polls import wait_until_subscriptions_are
from tests.support.fixtures import StartServer
from tests.support.server import ServerProcess


@pytest.fixture
def writer(clients: Clients) -> Client:
    return clients.objects()


def known(tag: str) -> dict[str, str]:
    return {"If-None-Match": tag}


def test_a_request_waits_until_the_value_is_another(
    shared_server: ServerProcess, writer: Client, raw: RawConnection
) -> None:
    key = unique()
    write(writer, key=key, value={"a": 1})
    raw.request("GET", f"/kv/{key}?wait=30")
    reply = raw.read_reply()
    assert (reply.status, reply.json) == (200, {"a": 1}), "who says nothing is answered at once"
    for number in range(3):
        raw.request("GET", f"/kv/{key}?wait=30", known(reply.headers["etag"]))
        write(writer, key=unique(), value="another")
        rev = write(writer, key=key, value=number)
        reply = raw.read_reply()
        assert (reply.status, reply.json) == (200, number)
        assert reply.headers["etag"].endswith(f'-{rev}"')
        assert reply.headers["cache-control"] == "no-store"
    raw.request("GET", f"/kv/{key}?wait=30", known(reply.headers["etag"]))
    writer.send({"action": "delete", "key": key})
    reply = raw.read_reply()
    assert (reply.status, reply.json["code"]) == (404, "no_key")
    raw.request("GET", f"/kv/{key}?wait=30&rev=0")
    write(writer, key=key, value="back")
    assert raw.read_reply().json == "back"


@pytest.mark.parametrize("shown_as", ["text", "rows", "csv", "json"])
@pytest.mark.parametrize("path", ["", "&path=/clock"])
def test_a_running_timer_is_waited_for_in_every_format(
    writer: Client, raw: RawConnection, shown_as: str, path: str
) -> None:
    def value(ms: int) -> dict[str, Any]:
        timer = {"timer": {"at": 0, "ms": ms, "rate": 1, "running": True}}
        return timer if not path else {"clock": timer, "other": 0}

    key = unique()
    write(writer, key=key, value=value(0))
    target = f"/kv/{key}?wait=1&format={shown_as}{path}"
    raw.request("GET", target)
    first = raw.read_reply()
    tag = known(first.headers["etag"])
    began = time.monotonic()
    raw.request("GET", target, tag)
    if path:  # a change elsewhere wakes nobody, though the timer shows another time by then
        write(writer, key=key, value=value(0) | {"other": 1})
    unchanged = raw.read_reply()
    assert unchanged.status == 304
    assert time.monotonic() - began >= 1, "it shows another time, but is the same"
    raw.request("GET", target.replace("wait=1", "wait=30"), known(unchanged.headers["etag"]))
    write(writer, key=key, value=value(60_000))
    reply = raw.read_reply()
    assert (reply.status, reply.body != first.body) == (200, True)


def test_rev_says_the_same_as_the_header(writer: Client, raw: RawConnection) -> None:
    key = unique()
    write(writer, key=key, value=1)
    raw.request("GET", f"/kv/{key}?wait=30&rev=0")
    reply = raw.read_reply()
    assert reply.json == 1, "it is not missing"
    rev = reply.headers["etag"].strip('"')
    raw.request("GET", f"/kv/{key}?wait=30&rev={rev}")
    write(writer, key=key, value=2)
    assert raw.read_reply().json == 2
    raw.request("GET", f"/kv/{key}?wait=30&rev={rev}")
    assert raw.read_reply().json == 2, "an older one is answered at once"
    raw.request("GET", f"/kv/{key}?wait=30&rev=another-1")
    assert raw.read_reply().json == 2


@pytest.mark.parametrize("is_there", [True, False])
def test_it_is_304_after_its_time(writer: Client, raw: RawConnection, *, is_there: bool) -> None:
    key = unique()
    tag = ""
    if is_there:
        write(writer, key=key, value={"a": 1, "b": 1})
        raw.request("GET", f"/kv/{key}?path=/a")
        tag = raw.read_reply().headers["etag"]
    query = f"rev={tag.strip(chr(34)) or 0}&path=/a"
    began = time.monotonic()
    raw.request("GET", f"/kv/{key}?wait=1&{query}")
    reply = raw.read_reply()
    assert (reply.status, reply.headers.get("etag", "")) == (304, tag)
    assert time.monotonic() - began >= 1


def test_only_a_change_of_the_place_wakes(
    shared_server: ServerProcess, writer: Client, raw: RawConnection
) -> None:
    key = unique()
    write(writer, key=key, value={"a": 1, "b": 1})
    raw.request("GET", f"/kv/{key}?path=/a")
    tag = raw.read_reply().headers["etag"]
    before = subscriptions_before(shared_server)
    raw.request("GET", f"/kv/{key}?path=/a&wait=30", known(tag))
    wait_until_subscriptions_are(shared_server, before + 1)
    write(writer, key=key, value={"a": 1, "b": 2})
    rev = write(writer, key=key, value={"a": 2, "b": 2})
    reply = raw.read_reply()
    assert (reply.json, reply.headers["etag"].endswith(f'-{rev}"')) == (2, True)
    raw.request("GET", f"/kv/{key}?path=/a&wait=30", known(reply.headers["etag"]))
    wait_until_subscriptions_are(shared_server, before + 1)
    write(writer, key=key, value={"b": 2})
    reply = raw.read_reply()
    assert (reply.status, reply.json["code"]) == (404, "no_path")


def subscriptions_before(server: ServerProcess) -> int:
    return http(server, "GET", "/stats").json["cache"]["subscriptions"]


def test_a_format_is_that_of_the_answer(writer: Client, raw: RawConnection) -> None:
    key = unique()
    raw.request("GET", f"/kv/{key}?wait=30&rev=0&format=text")
    write(writer, key=key, value="text\n")
    reply = raw.read_reply()
    assert (reply.body, reply.headers["content-type"]) == (
        b"text\n",
        "text/plain; charset=utf-8",
    )


WRONG = {
    "wait=0": "wait must be a number from 1 to 60",
    "wait=soon": "wait must be a number from 1 to 60",
    "wait=5&rev=5": "rev must be 0 or <epoch>-<rev>",
    "wait=5&path=a": "Path must be a JSON Pointer",
    "wait=5&format=xml": "format must be one of: json, text, rows, csv",
}


@pytest.mark.parametrize(("query", "text"), WRONG.items())
def test_a_wrong_query_is_400(raw: RawConnection, query: str, text: str) -> None:
    for _ in range(2):
        raw.request("GET", f"/kv/k?{query}")
        reply = raw.read_reply()
        assert (reply.status, reply.json["error"]) == (400, text)


def test_head_is_not_held(raw: RawConnection) -> None:
    raw.request("HEAD", "/kv/none?wait=60&rev=0")
    assert raw.read_reply(is_head=True).status == 404


def test_many_requests_wake_and_leave_nothing_behind(start_server: StartServer) -> None:
    server = start_server("--no-persist")
    replies: list[Reply] = []
    with ExitStack() as stack:
        waiting: list[Any] = [stack.enter_context(RawConnection(server)) for _ in range(100)]
        for raw in waiting:
            raw.request("GET", "/kv/k?wait=60&rev=0")
        wait_until_subscriptions_are(server, 100)
        http(server, "PUT", "/kv/k", "[1]")
        replies = [raw.read_reply() for raw in waiting]
        wait_until_subscriptions_are(server, 0)
        for raw, reply in zip(waiting, replies, strict=True):
            raw.request("GET", "/kv/k?wait=60", known(reply.headers["etag"]))
        wait_until_subscriptions_are(server, 100)
    assert {reply.body for reply in replies} == {b"[1]"}
    wait_until_subscriptions_are(server, 0)
