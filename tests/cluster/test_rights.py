"""Rights at NATS that a node loses while it runs, and gets back."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dunena.persistence.jetstream.permissions import permissions_of
from tests.cluster.test_serve import ask, node, wait_until_ready
from tests.protocol.clients import http
from tests.support.nats_cluster import Cluster, wait_for
from tests.support.server import ServerProcess

RIGHTS = permissions_of("show")
READER = permissions_of("show", is_reader=True)


def users(*denied: str) -> str:
    """The configuration of two users, from whom some rights were taken."""
    listed = [
        {
            "user": name,
            "password": "x",
            "permissions": {
                # An empty list would be all rights.
                "publish": ["none", *(one for one in rights.publish if one not in denied)],
                "subscribe": [one for one in rights.subscribe if one not in denied],
            },
        }
        for name, rights in (("dunena", RIGHTS), ("reader", READER))
    ]
    return f"authorization: {{ users: {json.dumps(listed)} }}"


@contextmanager
def two_at(cluster: Cluster, folder: Path, user: str, *more: str) -> Iterator[list[ServerProcess]]:
    """A node with the rights to write, and another one."""
    password = folder / "password"
    password.write_text("x", "utf-8")
    password.chmod(0o600)
    login = ["--store-password-file", str(password), "--store-user"]
    with (
        node(cluster, "show", *login, "dunena") as first,
        node(cluster, "show", *login, user, *more) as second,
    ):
        wait_until_ready(first)
        wait_until_ready(second)
        yield [first, second]


def put(server: ServerProcess, value: int) -> int:
    return http(server, "PUT", "/kv/k", body=str(value)).status


def wait_for_health(server: ServerProcess, word: str, reason: str = "") -> None:
    def is_so() -> bool:
        health = ask(server, "/health")
        return health["status"] == word and reason in health["checks"]["store"].get("reason", "")

    wait_for(is_so, lambda: f"{ask(server, '/health')} {server.log}")


def wait_for_line(server: ServerProcess, text: str) -> None:
    wait_for(lambda: text in server.log, lambda: server.log)


def test_a_node_that_may_write_no_more_refuses_it_until_it_may(nats_server: Path, tmp_path: Path):
    with (
        Cluster(nats_server, tmp_path / "n", configuration=users()) as cluster,
        two_at(cluster, tmp_path, "dunena") as (server, other),
    ):
        assert put(server, 1) == 201
        cluster.servers[0].reconfigure(users("$KV.show.>"))
        refused = http(server, "PUT", "/kv/k", body="2")
        assert refused.status == 503
        sentence = "NATS does not let this login publish to $KV.show.>"
        assert refused.json["error"] == f"Storage error: {sentence}; nothing was stored"
        for one in (server, other):  # the other one writes nothing but its sign of life
            wait_for_health(one, "unhealthy", sentence)
            wait_until_ready(one, 503)
            wait_for_line(one, f"nothing is stored: {sentence}")
        assert http(server, "GET", "/kv/k").json == 1
        cluster.servers[0].reconfigure(users())
        for one in (server, other):
            wait_for_health(one, "healthy")
        assert put(other, 3) == 204
        wait_for(lambda: http(server, "GET", "/kv/k").json == 3, lambda: server.log)
        # The servers deny each try; what is known is not told again and again.
        assert server.log.count("permissions violation") == 0


def test_a_node_without_the_flow_is_degraded_and_asks_for_what_is_new(
    nats_server: Path, tmp_path: Path
):
    with (
        Cluster(nats_server, tmp_path / "n", configuration=users()) as cluster,
        two_at(cluster, tmp_path, "reader", "--store-read-only") as (server, reader),
    ):
        assert put(server, 1) == 201
        cluster.servers[0].reconfigure(users("dn.show.log.>"))
        for one in (server, reader):
            wait_for_health(one, "degraded", "this login subscribe to dn.show.log.>")
            wait_for_line(one, "the store is not as it should be: NATS does")
        assert put(server, 2) == 204
        wait_for(lambda: http(reader, "GET", "/kv/k").json == 2, lambda: reader.log)
        cluster.servers[0].reconfigure(users())
        for one in (server, reader):
            wait_for_health(one, "healthy")
            wait_for_line(one, "the store is as it should be again")
        gaps = ask(reader, "/stats")["store"]["gaps"]
        assert put(server, 3) == 204
        wait_for(lambda: http(reader, "GET", "/kv/k").json == 3, lambda: reader.log)
        assert ask(reader, "/stats")["store"]["gaps"] == gaps


@pytest.mark.parametrize("api", [("$JS.API.STREAM.INFO.KV_show",), RIGHTS.publish[2:]])
def test_a_node_that_may_not_ask_says_so(nats_server: Path, tmp_path: Path, api: tuple[str, ...]):
    with (
        Cluster(nats_server, tmp_path / "n", configuration=users()) as cluster,
        two_at(cluster, tmp_path, "reader", "--store-read-only") as (server, reader),
    ):
        assert put(server, 1) == 201
        cluster.servers[0].reconfigure(users(*api))
        sentence = "this login publish to $JS.API.STREAM.INFO.KV_show"
        for one in (server, reader):
            wait_for_health(one, "degraded", sentence)
        assert put(server, 2) == 204
        wait_for(lambda: http(reader, "GET", "/kv/k").json == 2, lambda: reader.log)
        cluster.servers[0].reconfigure(users())
        for one in (server, reader):
            wait_for_health(one, "healthy")


def test_a_node_that_may_take_no_answers_says_so_as_long_as_that_is_so(
    nats_server: Path, tmp_path: Path
):
    with (
        Cluster(nats_server, tmp_path / "n", configuration=users()) as cluster,
        two_at(cluster, tmp_path, "reader", "--store-read-only") as (server, reader),
    ):
        cluster.servers[0].reconfigure(users("_INBOX.>"))
        began_at = time.monotonic()
        denied = "NATS does not let this login subscribe to _INBOX.>"
        wait_for_health(server, "degraded", denied)
        wait_for_line(reader, denied)
        while time.monotonic() - began_at < 8:
            for one in (server, reader):  # that one follows, as long as it misses nothing
                assert ask(one, "/health")["checks"]["store"].get("reason") == denied
        cluster.servers[0].reconfigure(users())
        for one in (server, reader):
            wait_for_health(one, "healthy")
        assert put(server, 1) == 201


def test_a_node_that_may_tell_no_messages_says_so(nats_server: Path, tmp_path: Path):
    with (
        Cluster(nats_server, tmp_path / "n", configuration=users()) as cluster,
        two_at(cluster, tmp_path, "dunena") as (server, _),
    ):
        cluster.servers[0].reconfigure(users("dn.show.ch.>"))
        assert http(server, "POST", "/publish/news", body=1).status == 204
        wait_for_health(server, "degraded", "this login publish to dn.show.ch.>")
        cluster.servers[0].reconfigure(users())
        wait_for_health(server, "healthy")


def test_a_node_that_has_never_had_a_right_says_which_while_it_waits(
    nats_server: Path, tmp_path: Path
):
    asked = "$JS.API.STREAM.INFO.KV_show"
    password = tmp_path / "password"
    password.write_text("x", "utf-8")
    password.chmod(0o600)
    login = ("--store-password-file", str(password), "--store-user", "dunena")
    configuration = users(asked)
    with (
        Cluster(nats_server, tmp_path / "n", configuration=configuration) as cluster,
        node(cluster, "show", *login) as server,
    ):
        wait_for_health(server, "unhealthy", f"this login publish to {asked}")
        cluster.servers[0].reconfigure(users())
        wait_until_ready(server)
