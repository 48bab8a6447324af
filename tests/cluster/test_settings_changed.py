"""Settings of the stream that somebody changes while nodes use it."""

import json
from typing import Any

import pytest

from dunena.persistence.jetstream.stream_requests import stream_config
from dunena.persistence.jetstream.terms import LogTerms
from dunena.persistence.jetstream.wire import Message
from tests.cluster.room import room_at, run
from tests.cluster.test_rights import put, wait_for_health, wait_for_line
from tests.cluster.test_serve import node, wait_until_ready
from tests.protocol.clients import http
from tests.support.nats_cluster import Cluster, wait_for


def change(cluster: Cluster, bucket: str, settings: dict[str, Any]) -> None:
    """Give the stream of a bucket the settings of a node, but for some."""

    async def update() -> None:
        async with room_at(cluster.urls[0]) as room:
            await room.connected()
            config = stream_config(LogTerms(bucket, replicas=1)) | settings
            answer = await room.ask(
                f"$JS.API.STREAM.UPDATE.KV_{bucket}", json.dumps(config).encode()
            )
            assert isinstance(answer, Message)
            assert "error" not in json.loads(answer.data), answer

    run(update())


@pytest.mark.parametrize(
    ("bucket", "settings", "reason"),
    [
        ("age", {"max_age": 3600 * 10**9}, "max_age of the stream KV_age is 3600000000000"),
        (
            "old",
            {"discard": "old", "max_bytes": 10**9},
            "discard of the stream KV_old is 'old' with max_bytes",
        ),
        ("flow", {"republish": None}, "republish of the stream KV_flow is {}"),
        (
            "elsewhere",
            {"republish": {"src": "$KV.elsewhere.>", "dest": "other.>"}},
            "republish of the stream KV_elsewhere is {'src'",
        ),
        ("many", {"max_msgs_per_subject": 5}, "max_msgs_per_subject of the stream KV_many is 5"),
        ("direct", {"allow_direct": False}, "allow_direct of the stream KV_direct is"),
    ],
)
def test_a_setting_that_endangers_values_is_told_and_writes_go_on(
    single: Cluster, bucket: str, settings: dict[str, Any], reason: str
):
    with node(single, bucket) as one, node(single, bucket) as other:
        wait_until_ready(one)
        wait_until_ready(other)
        assert put(one, 1) == 201
        change(single, bucket, settings)
        for server in (one, other):
            wait_for_health(server, "degraded", reason)
            wait_for_line(server, f"the store is not as it should be: {reason}")
            assert http(server, "GET", "/health/ready").status == 200
        assert put(one, 2) == 204
        wait_for(lambda: http(other, "GET", "/kv/k").json == 2, lambda: other.log)
        change(single, bucket, {})
        for server in (one, other):
            wait_for_health(server, "healthy")
            wait_for_line(server, "the store is as it should be again")
        assert put(other, 3) == 204
        wait_for(lambda: http(one, "GET", "/kv/k").json == 3, lambda: one.log)
