"""`dunena serve --store`, as its users start it, and the commands around it."""

import json
import socket
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dunena.persistence.jetstream.stream_requests import stream_config
from dunena.persistence.jetstream.terms import LogTerms
from dunena.persistence.jetstream.wire import Message
from tests.cluster.room import room_at, run
from tests.e2e.processes import assert_failed, run_copy
from tests.protocol.clients import http
from tests.support.nats_cluster import Cluster, wait_for
from tests.support.patience import patiently
from tests.support.server import ServerProcess


def node(cluster: Cluster, bucket: str, *arguments: str) -> ServerProcess:
    """A server that shares a bucket with others of its name."""
    return ServerProcess(None, "--store", ",".join(cluster.urls), "--bucket", bucket, *arguments)


def ask(server: ServerProcess, path: str) -> dict[str, Any]:
    answer: dict[str, Any] = http(server, "GET", path).json
    return answer


def wait_until_ready(server: ServerProcess, status: int = 200) -> None:
    wait_for(
        lambda: http(server, "GET", "/health/ready").status == status,
        lambda: f"{http(server, 'GET', '/health').body!r} {server.log}",
    )


def test_two_servers_share_what_they_say_they_share(single: Cluster):
    with node(single, "shared") as one, node(single, "shared") as other:
        assert f"Data        bucket shared at {single.urls[0]} (0 keys)" in "".join(one.output)
        http(one, "POST", "/set", body={"key": "k", "value": 1})
        wait_for(lambda: ask(other, "/info")["entries"] == 1, lambda: other.log)
        wait_for(lambda: len(ask(one, "/info")["store"]["nodes"]) == 2, lambda: one.log)
        first, second = ask(one, "/info"), ask(other, "/info")
        assert (first["epoch"], first["revision"]) == (second["epoch"], second["revision"])
        assert first["store"]["node"] in second["store"]["nodes"]
        assert first["store"]["bucket"] == "shared"
        assert first["maxValueBytes"] == 1024 * 1024 - 2048
        assert first["settings"]["store"] == list(single.urls)
        assert ask(one, "/health")["checks"]["store"] == {
            "status": "healthy",
            "connected": True,
            "staleMs": 0,
        }
        assert ask(one, "/stats")["store"]["commits"] > 0
        assert ask(one, "/server")["store"]["nodes"] == first["store"]["nodes"]
    with node(single, "shared") as again:
        assert "(1 key)" in "".join(again.output)
        cache = ask(again, "/stats")["cache"]
        counted = ["changes", "puts", "deletes", "hits", "misses", "evictions"]
        assert {name: cache[name] for name in counted} == dict.fromkeys(counted, 0)
        http(again, "PUT", "/kv/k", body="2")
        cache = ask(again, "/stats")["cache"]
        assert (cache["changes"], cache["puts"], cache["revision"] > 2) == (1, 1, True)


def test_after_a_purge_at_nats_servers_agree_and_watches_begin_anew(single: Cluster):
    async def purge() -> None:
        body = json.dumps({"filter": "$KV.purged.=.a"}).encode()
        async with room_at(*single.urls) as room:
            await room.connected()
            answer = await room.ask("$JS.API.STREAM.PURGE.KV_purged", body)
            assert isinstance(answer, Message)
            assert json.loads(answer.data)["purged"] == 1

    with node(single, "purged") as one, node(single, "purged") as other:
        for key in "ab":
            assert http(one, "PUT", f"/kv/{key}", body="1").status == 201
        wait_for(lambda: ask(other, "/info")["entries"] == 2, lambda: other.log)
        first = ask(other, "/watch?pattern=*&wait=5")
        assert len(first["changes"]) == 2
        run(purge())
        for server in (one, other):
            wait_for(lambda at=server: ask(at, "/info")["epoch"] != first["epoch"], lambda: one.log)
            found = ask(server, f"/watch?pattern=*&wait=5&since={first['epoch']}-{first['rev']}")
            assert found["reset"] is True
            assert [change["key"] for change in found["changes"]] == ["b"]
            assert http(server, "GET", "/kv/a").status == 404
            assert ask(server, "/stats")["store"]["loads"] >= 2
        assert ask(one, "/info")["epoch"] == ask(other, "/info")["epoch"]
        assert "The stream KV_purged has lost messages" in one.log + other.log


def test_a_server_whose_store_is_gone_says_so_and_answers_reads(nats_server: Path, tmp_path: Path):
    with Cluster(nats_server, tmp_path) as cluster, node(cluster, "gone") as server:
        wait_until_ready(server)
        http(server, "POST", "/set", body={"key": "k", "value": 1})
        cluster.kill()
        wait_until_ready(server, 503)
        health = http(server, "GET", "/health")
        assert health.status == 503
        check = health.json["checks"]["store"]
        assert (check["status"], check["connected"]) == ("unhealthy", False)
        assert check["staleMs"] >= 3_000
        assert check["reason"]
        assert http(server, "GET", "/get/k").json["value"] == 1
        assert http(server, "GET", "/health/live").status == 200
        assert "dunena_storage_failing 1.0" in http(server, "GET", "/metrics").body.decode()
        wait_for(lambda: "reads go on, writes are refused" in server.log, lambda: server.log)
        cluster.mend()
        wait_until_ready(server)
        wait_for(lambda: "the store answers again" in server.log, lambda: server.log)


@pytest.mark.parametrize("hangs", ["the leader", "two others"])
def test_an_idle_server_says_in_three_seconds_that_its_store_hangs(
    nats_server: Path, tmp_path: Path, hangs: str
):
    with Cluster(nats_server, tmp_path, size=3) as cluster, node(cluster, "idle") as server:
        wait_until_ready(server)
        cluster.wait_until_followed("KV_idle")
        leader = cluster.leader_of("KV_idle")
        stopped = [one for one in cluster.servers if (one is leader) is (hangs == "the leader")]
        for one in stopped:
            one.suspend()
        began_at = time.monotonic()
        words = []
        while not words or words[-1] != "unhealthy":
            words.append(ask(server, "/health")["status"])
            assert time.monotonic() - began_at < patiently(4.5), words
        assert "degraded" in words
        assert http(server, "GET", "/health/ready").status == 503
        cluster.mend()
        wait_until_ready(server)


def test_a_server_stops_in_five_seconds_while_its_store_hangs(nats_server: Path, tmp_path: Path):
    with Cluster(nats_server, tmp_path) as cluster, node(cluster, "hung") as server:
        wait_until_ready(server)
        before = ask(server, "/stats")["httpRequests"]
        clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
        cluster.servers[0].suspend()
        head = f"Host: 127.0.0.1:{server.port}\r\nContent-Length: 1\r\n\r\n1"
        for number, client in enumerate(clients):
            client.sendall(f"PUT /kv/k{number} HTTP/1.1\r\n{head}".encode())
        asked = before + len(clients)
        wait_for(lambda: ask(server, "/stats")["httpRequests"] > asked, lambda: server.log)
        began_at = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began_at < patiently(5)
        for client in clients:
            client.close()


def limit_bytes(cluster: Cluster, bucket: str, bytes_max: int) -> None:
    """Let the servers store no more than so many bytes of a bucket."""

    async def change() -> None:
        async with room_at(cluster.urls[0]) as room:
            await room.connected()
            config = stream_config(LogTerms(bucket, replicas=len(cluster.servers)))
            subject = f"$JS.API.STREAM.UPDATE.KV_{bucket}"
            answer = await room.ask(subject, json.dumps(config | {"max_bytes": bytes_max}).encode())
            assert isinstance(answer, Message)
            assert "error" not in json.loads(answer.data), answer

    run(change())


@pytest.mark.parametrize("size", [1, 3])
def test_a_server_whose_bucket_is_full_says_so(nats_server: Path, tmp_path: Path, size: int):
    value = "x" * 1000
    with Cluster(nats_server, tmp_path, size=size) as cluster, node(cluster, "full") as server:
        wait_until_ready(server)
        limit_bytes(cluster, "full", 20_000)
        for number in range(100):
            status = http(server, "PUT", f"/kv/k{number}", body=json.dumps(value)).status
            if status == 507:
                break
            assert status == 201
        assert status == 507
        wait_until_ready(server, 503)
        check = http(server, "GET", "/health").json["checks"]["store"]
        assert (check["status"], check["reason"]) == ("unhealthy", "maximum bytes exceeded")
        assert check["staleMs"] == 0
        metrics = http(server, "GET", "/metrics").body.decode()
        assert "dunena_storage_failing 1.0" in metrics
        assert 'dunena_refusals_total{cause="storage"} 1.0' in metrics
        assert ask(server, "/stats")["storage"]["failures"] == 1
        wait_for(lambda: "changes are refused" in server.log, lambda: server.log)
        limit_bytes(cluster, "full", 200_000)
        wait_until_ready(server)
        wait_for(lambda: "changes are stored again" in server.log, lambda: server.log)
        assert http(server, "PUT", "/kv/k99", body=json.dumps(value)).status == 201


def test_a_server_waits_for_its_store_and_says_so(nats_server: Path, tmp_path: Path):
    with Cluster(nats_server, tmp_path) as cluster:
        cluster.kill()
        with node(cluster, "late") as server:
            assert "(not loaded yet)" in "".join(server.output)
            assert http(server, "GET", "/health/ready").status == 503
            assert http(server, "GET", "/health/live").status == 200
            assert http(server, "GET", "/info").status == 503
            wait_for(lambda: "waiting for the store: " in server.log, lambda: server.log)
            cluster.mend()
            wait_until_ready(server)
            assert ask(server, "/info")["entries"] == 0


def test_text_files_keep_their_values_while_the_store_is_away(nats_server: Path, tmp_path: Path):
    texts = tmp_path / "texts"
    options = ("--text-dir", str(texts), "--text-keys", "score")
    file = texts / "score.txt"
    with Cluster(nats_server, tmp_path / "nats") as cluster:
        with node(cluster, "texts", *options) as server:
            wait_until_ready(server)
            http(server, "POST", "/set", body={"key": "score", "value": "1:0"})
            wait_for(lambda: file.is_file() and "1:0" in file.read_text(), lambda: server.log)
        assert "1:0" in file.read_text(), "the store keeps it"
        cluster.kill()
        with node(cluster, "texts", *options) as server:
            assert "1:0" in file.read_text(), "nothing is known yet"
            cluster.mend()
            wait_until_ready(server)
            http(server, "POST", "/set", body={"key": "score", "value": "2:0"})
            wait_for(lambda: "2:0" in file.read_text(), lambda: server.log)


def test_a_value_limit_that_the_store_does_not_have_prevents_a_start(single: Cluster):
    done = run_copy(
        "serve", "--port", "0", "--store", single.urls[0], "--bucket", "big",
        "--max-value", "2000000",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    line = done.stderr.splitlines()[-1]
    assert "--max-value 2000000 is more than the store takes, 1046528 bytes" in line
    assert "max_payload" in line


def test_the_largest_value_is_that_of_the_servers(nats_server: Path, tmp_path: Path):
    value = "x" * 3_000_000
    with (
        Cluster(nats_server, tmp_path, configuration="max_payload: 8MB") as cluster,
        node(cluster, "large", "--max-value", "4000000") as server,
    ):
        wait_until_ready(server)
        assert ask(server, "/info")["maxValueBytes"] == 4_000_000
        assert http(server, "PUT", "/kv/k", body=json.dumps(value)).status == 201
        assert http(server, "GET", "/kv/k").json == value


def test_a_login_that_cannot_be_read_prevents_a_start(single: Cluster, tmp_path: Path):
    seed = tmp_path / "seed"
    done = run_copy("serve", "--port", "0", "--store", single.urls[0], "--store-nkey", str(seed))
    assert_failed(done, says=(str(seed),))


def test_doctor_examines_the_store(single: Cluster):
    done = run_copy("doctor", "--port", "0", "--store", single.urls[0], "--bucket", "none")
    found = {one["about"]: one for one in json.loads(done.stdout)["findings"]}
    assert done.returncode == 0, done.stdout
    assert found["store"]["text"] == "bucket none"
    assert found["rights"]["level"] == "ok"
    assert "folder" not in found
    done = run_copy("doctor", "--port", "0", "--store", single.urls[0], "--max-value", "2000000")
    assert done.returncode == 1
    found = {one["about"]: one for one in json.loads(done.stdout)["findings"]}
    assert found["largest value"]["level"] == "bad"


@pytest.mark.parametrize("name", ["copy.jsonl", "copy.zip"])
def test_values_of_a_folder_get_into_a_bucket_and_back(single: Cluster, tmp_path: Path, name: str):
    lines: list[dict[str, Any]] = [
        {"key": f"k{number:04}", "ns": "ab"[number // 700], "value": {"n": number}}
        | ({"expiresAt": 4_000_000_000_000} if number % 3 else {})
        | ({"then": {"n": -1}} if number % 3 == 2 else {})
        for number in range(1400)
    ]
    source, file, back = tmp_path / "source.jsonl", tmp_path / name, tmp_path / "back.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")

    def run(server: ServerProcess, *arguments: str) -> dict[str, Any]:
        done = run_copy(*arguments, "--json", environment={"DUNENA_URL": server.url})
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    with ServerProcess(tmp_path / "values") as folder:
        run(folder, "import", str(source))
        assert run(folder, "export", str(file))["exported"] == 1400
    with node(single, f"from-{file.suffix[1:]}") as server:
        wait_until_ready(server)
        assert run(server, "import", str(file))["stored"] == 1400
        run(server, "export", str(back))
        made = ask(server, "/stats")["store"]
        assert made["changes"] >= 1400
        assert made["commits"] < 100, "they are sent together"
    told = [json.loads(line) for line in back.read_text("utf-8").splitlines()]
    for line, wanted in zip(told, lines, strict=True):
        assert abs(line.pop("expiresAt", 0) - wanted.pop("expiresAt", 0)) < 60_000
        assert line == wanted


def test_a_write_waits_for_a_new_leader_and_ready_is_503_after_three_seconds(three: Cluster):
    with node(three, "led", "--store-timeout", "30") as server:
        wait_until_ready(server)
        http(server, "POST", "/set", body={"key": "k", "value": 1})
        leader = three.leader_of("KV_led")
        leader.kill()
        killed_at = time.monotonic()
        seen: list[tuple[float, int]] = []

        def is_over() -> bool:
            status = http(server, "GET", "/health/ready").status
            seen.append((time.monotonic() - killed_at, status))
            return status == 200 and seen[-1][0] > 2.0

        with ThreadPoolExecutor(1) as pool:
            write = pool.submit(put_patiently, server, "/kv/k", b"2")
            wait_for(lambda: is_over() and write.done(), lambda: f"{seen} {server.log}")
            assert write.result() in (200, 204)
        unready = [seconds for seconds, status in seen if status == 503]
        # The store was last heard of up to a second and some before its leader's end.
        assert not unready or min(unready) > 1.0
        assert http(server, "GET", "/get/k").json["value"] == 2
        assert ask(server, "/health")["status"] == "healthy"
        leader.restart()


def put_patiently(server: ServerProcess, path: str, body: bytes) -> int:
    request = urllib.request.Request(
        server.url + path, data=body, method="PUT", headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=patiently(40)) as answer:
        status: int = answer.status
        return status
