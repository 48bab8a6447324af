"""The configuration in packaging/cluster/nats, run: three servers, two nodes and a venue, with TLS.

Only addresses, ports and folders are others than in the files.
"""

import asyncio
import json
import shutil
import ssl
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import nats
import nats.errors
import pytest
import trustme

from dunena.persistence.jetstream.examination import examine_store
from dunena.persistence.policy import StoreSettings
from tests.cluster.machines import NATS_SERVER, Machine, Node, end, fetch, wait_until
from tests.cluster.networks import Loopback
from tests.cluster.test_venue import put, value_at
from tests.support.made_up_passwords import PASSWORDS

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "packaging" / "cluster" / "nats"

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="there is a NATS server for Linux alone"),
    pytest.mark.timeout(200),
]


class Packaged(Machine):
    """A NATS server with a file of the package; ``ports`` are what stands there -> what is here."""

    def __init__(
        self, name: str, folder: Path, file: str, ports: dict[int, int], variables: dict[str, str]
    ) -> None:
        network = Loopback()
        super().__init__(network.make_place(name), folder / f"{name}.log")
        self.ports = ports
        self.environment = {"NATS_NAME": name, "NATS_HOST": "localhost", **variables}
        own = folder / name
        shutil.copytree(FILES, own)
        self._file = own / file
        for path in own.glob("*.conf"):
            text = path.read_text("utf-8").replace("0.0.0.0", "127.0.0.1")
            text = text.replace("/etc/nats/tls", str(folder / "tls"))
            text = text.replace("/var/lib/nats", str(own / "data"))
            for wanted, port in ports.items():
                text = text.replace(f":{wanted}", f":{port}")
            path.write_text(text, "utf-8")

    def words(self) -> list[str]:
        return [str(NATS_SERVER), "--config", str(self._file)]

    @property
    def is_healthy(self) -> bool:
        """Whether it has caught up."""
        return fetch(f"http://127.0.0.1:{self.ports[8222]}/healthz") is not None


def free_ports() -> dict[int, int]:
    network = Loopback()
    return {wanted: network.find_port(wanted) for wanted in (4222, 6222, 7422, 8222)}


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """The certificate of an authority, which has signed one for the servers."""
    folder = tmp_path / "tls"
    folder.mkdir()
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")  # not for its address
    authority.cert_pem.write_to_path(folder / "authority.pem")
    certificate.private_key_pem.write_to_path(folder / "server.key")
    certificate.cert_chain_pems[0].write_to_path(folder / "server.pem")
    for name, password in PASSWORDS.items():
        (tmp_path / name).write_text(f"{password}\n", "utf-8")
    return folder / "authority.pem"


@pytest.fixture
def servers(tmp_path: Path, authority: Path) -> Iterator[list[Packaged]]:
    ports = [free_ports() for _ in range(3)]
    routes = {
        f"NATS_ROUTE_{number}": f"nats://route:made-up-1@localhost:{own[6222]}"
        for number, own in enumerate(ports, 1)
    }
    variables = {**PASSWORDS, **routes, "NATS_TLS_KEY": str(authority.with_name("server.key"))}
    with ExitStack() as stack:
        servers = []
        for number, own in enumerate(ports, 1):
            server = Packaged(f"n{number}", tmp_path, "machine.conf", own, variables)
            stack.callback(end, server)
            server.start()
            servers.append(server)
        yield servers


def start_node(
    stack: ExitStack, name: str, folder: Path, urls: list[str], password: str, *options: str
) -> Node:
    """Start a node that logs in with the password of a file."""
    network = Loopback()
    file = ("--store-password-file", str(folder / password))
    node = Node(network.make_place(name), folder, network, urls, *file, *options)
    stack.callback(end, node)
    node.start()
    return node


def test_nodes_readers_and_venues_work_with_the_files_of_the_package(
    tmp_path: Path, servers: list[Packaged], authority: Path
) -> None:
    urls = [f"tls://localhost:{server.ports[4222]}" for server in servers]
    trust = ("--store-ca", str(authority), "--bucket", "dunena")
    with ExitStack() as stack:
        node = start_node(
            stack, "d1", tmp_path, urls, "DUNENA_NATS_PASSWORD", "--store-user", "dunena", *trust
        )
        wait_until(lambda: node.is_ready, f"the node is ready\n{node.log}\n{servers[0].log}")
        assert put(node, "a", 1)[0] == 201

        reader_login = ("--store-user", "reader", "--store-read-only")
        reader = start_node(
            stack, "d2", tmp_path, urls, "DUNENA_READER_PASSWORD", *reader_login, *trust
        )
        wait_until(lambda: value_at(reader, "a") == 1, f"the reader reads\n{reader.log}")
        status, text = put(reader, "a", 2)
        assert (status, "nothing was stored" in text) == (503, True), text

        hubs = {
            f"NATS_HUB_{number}": f"tls://dunena:made-up-3@localhost:{server.ports[7422]}"
            for number, server in enumerate(servers, 1)
        }
        leaf_ports = free_ports()
        leaf = Packaged("v1", tmp_path, "venue.conf", leaf_ports, hubs)
        stack.callback(end, leaf)
        leaf.start()
        login = ("--store-domain", "hub", "--bucket", "dunena")
        network = Loopback()
        url = f"nats://127.0.0.1:{leaf_ports[4222]}"
        venue = Node(network.make_place("d3"), tmp_path, network, [url], *login)
        stack.callback(end, venue)
        venue.start()
        wait_until(lambda: venue.is_ready, f"the venue is ready\n{venue.log}\n{leaf.log}")
        assert value_at(venue, "a") == 1
        found = examine_store(StoreSettings((url,), bucket="dunena", domain="hub"), 1000)
        assert [one for one in found if one.level == "bad"] == []
        assert put(venue, "b", 3)[0] == 201
        wait_until(lambda: value_at(node, "b") == 3, "what the venue wrote is here")

        servers[0].kill()
        wait_until(lambda: put(venue, "b", 4)[0] == 204, f"it goes to another\n{leaf.log}")
        assert value_at(venue, "b") == 4
        for one in (node, reader, venue):
            assert "Traceback" not in one.log, one.log
        for server in (*servers, leaf):
            assert "handshake error" not in server.log, "certificates are for names, not addresses"


def test_the_owner_of_the_bucket_may_edit_it_and_nodes_may_not(
    tmp_path: Path, servers: list[Packaged], authority: Path
) -> None:
    urls = [f"tls://localhost:{server.ports[4222]}" for server in servers]
    with ExitStack() as stack:
        login = ("--store-user", "dunena", "--store-ca", str(authority), "--bucket", "dunena")
        node = start_node(stack, "d1", tmp_path, urls, "DUNENA_NATS_PASSWORD", *login)
        wait_until(lambda: node.is_ready, f"the node is ready\n{node.log}")
        trust = ssl.create_default_context(cafile=authority)
        assert asyncio.run(give_space(urls, trust, "owner", PASSWORDS["DUNENA_OWNER_PASSWORD"]))
        assert not asyncio.run(give_space(urls, trust, "dunena", PASSWORDS["DUNENA_NATS_PASSWORD"]))


async def give_space(urls: list[str], trust: ssl.SSLContext, user: str, password: str) -> bool:
    """Whether this user may give the bucket another size, as `nats stream edit` does."""
    size = 10_000_000

    async def ignore(_error: Exception) -> None:
        """The right that is missing is told like this, too."""

    client = await nats.connect(urls, user=user, password=password, tls=trust, error_cb=ignore)
    try:
        found = await client.request("$JS.API.STREAM.INFO.KV_dunena", timeout=10)
        config = json.loads(found.data)["config"] | {"max_bytes": size}
        edit = "$JS.API.STREAM.UPDATE.KV_dunena"
        edited = await client.request(edit, json.dumps(config).encode(), timeout=3)
    except nats.errors.TimeoutError:
        return False
    finally:
        await client.close()
    return bool(json.loads(edited.data)["config"]["max_bytes"] == size)


def test_the_password_of_another_is_refused(
    tmp_path: Path, servers: list[Packaged], authority: Path
) -> None:
    urls = [f"tls://localhost:{server.ports[4222]}" for server in servers]
    with ExitStack() as stack:
        node = start_node(
            stack, "d1", tmp_path, urls, "DUNENA_READER_PASSWORD",
            "--store-user", "dunena", "--store-ca", str(authority), "--bucket", "dunena",
        )  # fmt: skip
        wait_until(lambda: "uthoriz" in node.log, f"it says so\n{node.log}")
        assert not node.is_ready
