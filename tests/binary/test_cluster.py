"""Executables share a store at a real NATS server, with the library that is bundled."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.binary.conftest import linux_only
from tests.binary.program import SECONDS_MAX, BareServer, Program, free_port, wait_until
from tests.support.nats_cluster import Cluster

pytestmark = linux_only


@pytest.fixture
def cluster(nats_server: Path, tmp_path: Path) -> Iterator[Cluster]:
    """A server that speaks TLS, wants a password, and is trusted by `ca.pem`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued = authority.issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    pem = tmp_path / "server.pem"
    configuration = (
        f"tls {{ cert_file: {pem}, key_file: {pem} }}\n"
        "authorization { user: dunena, password: secret }"
    )
    with Cluster(nats_server, tmp_path / "servers", configuration=configuration) as made:
        yield made


def node(program: Program, cluster: Cluster, tmp_path: Path) -> BareServer:
    words = ["--store", cluster.urls[0].replace("nats:", "tls:"), "--store-user", "dunena"]
    words += ["--store-ca", str(tmp_path / "ca.pem")]
    server = program.server(*words, DUNENA_STORE_PASSWORD="secret")
    server.folder = None
    server.port = free_port()
    return server


def value_of(server: BareServer, key: str) -> object:
    """The value of a key, None if it is not there."""
    try:
        with urllib.request.urlopen(f"{server.url}/get/{key}", timeout=SECONDS_MAX) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError:
        return None


def test_two_executables_share_a_store(program: Program, cluster: Cluster, tmp_path: Path):
    with node(program, cluster, tmp_path) as one, node(program, cluster, tmp_path) as other:
        body = json.dumps({"key": "greeting", "value": "grüß dich"}).encode()
        request = urllib.request.Request(
            f"{one.url}/set", body, {"Content-Type": "application/json"}, method="POST"
        )
        urllib.request.urlopen(request, timeout=SECONDS_MAX).close()
        wait_until(lambda: value_of(other, "greeting") == "grüß dich", "the value there")


def test_an_executable_says_that_it_has_no_nkeys(program: Program, tmp_path: Path):
    file = tmp_path / "seed"
    file.write_text("SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU", "ascii")
    done = program.run("serve", "--store", "nats://localhost:1", "--store-nkey", str(file))
    assert done.returncode != 0
    assert "a login with an nkey needs the package cryptography" in done.stderr
