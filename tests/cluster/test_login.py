"""Every way to log in at a real server, with TLS and without."""

import asyncio
import base64
import json
import secrets
import socket
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dunena.persistence.jetstream.connection import NatsConnectError, NatsConnection
from dunena.persistence.jetstream.credentials import UserKey
from dunena.persistence.jetstream.login import Login
from dunena.persistence.jetstream.wire import Message
from dunena.persistence.policy import StoreSettings
from tests.cluster.room import room_at, run
from tests.support.nats_cluster import Cluster
from tests.support.nkeys import Kind, encode_public, encode_seed

TRIES = 30


async def expect_login(server: str, **login: Any) -> None:
    """Log in, and be answered."""
    async with room_at(server, **login) as room:
        await room.connected()
        assert isinstance(await room.ask("$JS.API.INFO"), Message)


async def expect_refusal(server: str, reason: str, **login: Any) -> None:
    """Fail to log in, with a reason: at once, or after the server's cutting was quicker than it."""
    async with room_at(server, **login) as room:
        await room.until(lambda: reason in str(room.reason))
        assert room.changes == []


def written(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_a_user_with_its_password_gets_in_and_nobody_else(nats_server: Path, tmp_path: Path):
    configuration = 'authorization { user: dunena, password: "Käse" }'
    with Cluster(nats_server, tmp_path / "servers", configuration=configuration) as cluster:
        url = cluster.urls[0]
        file = written(tmp_path / "password", "Käse\n")
        run(expect_login(url, user="dunena", password="Käse"))
        run(expect_login(url, user="dunena", password_file=file))
        run(expect_refusal(url, "Authorization Violation", user="dunena", password="wrong"))
        run(expect_refusal(url, "Authorization Violation"))
        missing = tmp_path / "none"
        reason = f"{missing} cannot be read: No such file"
        run(expect_refusal(url, reason, user="dunena", password_file=missing))


def test_a_password_file_is_read_anew_for_each_try(nats_server: Path, tmp_path: Path):
    async def test(url: str, file: Path) -> None:
        async with room_at(url, user="dunena", password_file=file) as room:
            await room.refused()
            await asyncio.to_thread(file.write_text, "new")
            await room.connected()

    configuration = "authorization { user: dunena, password: new }"
    with Cluster(nats_server, tmp_path / "servers", configuration=configuration) as cluster:
        run(test(cluster.urls[0], written(tmp_path / "password", "old")))


def test_who_has_the_token_gets_in(nats_server: Path, tmp_path: Path):
    configuration = "authorization { token: letmein }"
    with Cluster(nats_server, tmp_path / "servers", configuration=configuration) as cluster:
        url = cluster.urls[0]
        run(expect_login(url, token="letmein"))
        run(expect_login(url, token_file=written(tmp_path / "token", "letmein\n")))
        run(expect_refusal(url, "Authorization Violation", token="wrong"))


def test_who_has_the_nkey_gets_in(nats_server: Path, tmp_path: Path):
    seed, other = encode_seed(Kind.USER), encode_seed(Kind.USER)
    configuration = f"authorization {{ users: [ {{ nkey: {UserKey(seed).public} }} ] }}"
    with Cluster(nats_server, tmp_path / "servers", configuration=configuration) as cluster:
        url = cluster.urls[0]
        run(expect_login(url, nkey_file=written(tmp_path / "seed", seed + "\n")))
        wrong = written(tmp_path / "other", other)
        run(expect_refusal(url, "Authorization Violation", nkey_file=wrong))
        garbled = written(tmp_path / "garbled", "x")
        reason = f"{garbled}: it has no seed of an nkey"
        run(expect_refusal(url, reason, nkey_file=garbled))


def test_who_has_the_file_of_credentials_gets_in(nats_server: Path, tmp_path: Path):
    operator, system, account = (Ed25519PrivateKey.generate() for _ in range(3))
    seed = encode_seed(Kind.USER)
    limits = dict.fromkeys(
        ("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1
    ) | {"wildcards": True}
    storage = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1)
    of_system = encode_public(Kind.ACCOUNT, system)
    of_account = encode_public(Kind.ACCOUNT, account)
    claims: dict[str, Any] = {"type": "account", "limits": limits}
    preload = {
        of_system: _jwt(Kind.OPERATOR, operator, of_system, claims),
        of_account: _jwt(
            Kind.OPERATOR, operator, of_account, claims | {"limits": limits | storage}
        ),
    }
    own = encode_public(Kind.OPERATOR, operator)
    operator_jwt = _jwt(
        Kind.OPERATOR, operator, own, {"type": "operator", "system_account": of_system}
    )
    configuration = "\n".join(
        [
            f"operator: {operator_jwt}",
            f"system_account: {of_system}",
            "resolver: MEMORY",
            f"resolver_preload: {json.dumps(preload)}",
        ]
    )
    user = {"type": "user", "subs": -1, "data": -1, "payload": -1}
    jwt = _jwt(Kind.ACCOUNT, account, UserKey(seed).public, user)
    file = written(tmp_path / "creds", _credentials(jwt, seed))
    with Cluster(nats_server, tmp_path / "servers", configuration=configuration) as cluster:
        url = cluster.urls[0]
        run(expect_login(url, creds_file=file))
        stranger = written(tmp_path / "other", _credentials(jwt, encode_seed(Kind.USER)))
        run(expect_refusal(url, "Authorization Violation", creds_file=stranger))


def test_with_tls_a_server_and_a_client_know_each_other_by_their_certificates(
    nats_server: Path, tmp_path: Path
):
    authority, stranger = trustme.CA(), trustme.CA()
    ca = _write(tmp_path / "ca.pem", authority.cert_pem)
    other = _write(tmp_path / "other.pem", stranger.cert_pem)
    server = authority.issue_cert("localhost")
    mine = authority.issue_cert("dunena@example.org")
    cert, key = _write_pair(tmp_path, "client", mine)
    pair = _write_pair(tmp_path, "server", server)
    configuration = (
        f"tls {{ cert_file: {pair[0]}, key_file: {pair[1]}, ca_file: {ca}, verify: true }}"
    )
    with Cluster(nats_server, tmp_path / "servers", configuration=configuration) as cluster:
        url = cluster.urls[0]
        proof = {"cert_file": cert, "key_file": key}
        run(expect_login(url, ca_file=ca, **proof))
        run(expect_login(url.replace("nats:", "tls:"), ca_file=ca, **proof))
        run(expect_refusal(url, "its certificate is not trusted", ca_file=other, **proof))
        run(expect_refusal(url, "its certificate is not trusted"))
        by_address = url.replace("localhost", "127.0.0.1")
        run(expect_refusal(by_address, "its certificate is not trusted", ca_file=ca, **proof))
        run(expect_refusal(url, "certificate required", ca_file=ca))
        run(expect_refusal(url, f"no certificates in {key}", ca_file=key))


def test_a_login_that_is_refused_over_tls_is_told_as_such(
    nats_server: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    authority = trustme.CA()
    ca = _write(tmp_path / "ca.pem", authority.cert_pem)
    pair = _write_pair(tmp_path, "server", authority.issue_cert("localhost"))
    tls = f"tls {{ cert_file: {pair[0]}, key_file: {pair[1]} }}"
    configuration = f"{tls}\nauthorization {{ user: dunena, password: right }}"
    with Cluster(nats_server, tmp_path / "servers", configuration=configuration) as cluster:
        url = cluster.urls[0]
        run(expect_login(url, ca_file=ca, user="dunena", password="right"))

        async def be_refused() -> None:
            for _ in range(TRIES):  # the server's cutting must never be quicker than it
                connection = NatsConnection(url, lambda _: None, lambda _: None)
                login = Login(StoreSettings((url,), ca_file=ca, user="dunena", password="no"), url)
                with pytest.raises(NatsConnectError, match="Authorization Violation"):
                    await connection.open(login, "tests")

        run(be_refused(), debug=False)
    assert [record for record in caplog.records if record.name == "asyncio"] == []


def test_a_password_is_told_to_nobody_who_does_not_speak_tls_when_it_is_asked_for(tmp_path: Path):
    """Whoever is in the way could say that the server speaks none."""
    received = bytearray()
    talks: set[asyncio.Task[None]] = set()

    async def pretend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.current_task())
        info = {"server_id": "x", "version": "2.15.0", "max_payload": 1000, "nonce": "abc"}
        info |= {"auth_required": True, "headers": True}
        writer.write(f"INFO {json.dumps(info)}\r\n".encode())
        received.extend(await reader.read())
        writer.close()
        await writer.wait_closed()

    async def test(**login: Any) -> None:
        async with await asyncio.start_server(pretend, "localhost", 0, family=socket.AF_INET) as at:
            port = at.sockets[0].getsockname()[1]
            await expect_refusal(f"tls://localhost:{port}", "does not speak TLS", **login)
            await asyncio.gather(*talks)
        assert received == b""

    run(test(user="dunena", password="secret"))
    talks.clear()
    run(test(token="secret"))


def _write(path: Path, blob: trustme.Blob) -> Path:
    blob.write_to_path(path)
    return path


def _write_pair(folder: Path, name: str, issued: trustme.LeafCert) -> tuple[Path, Path]:
    return (
        _write(folder / f"{name}.pem", issued.cert_chain_pems[0]),
        _write(folder / f"{name}.key", issued.private_key_pem),
    )


def _jwt(kind: Kind, issuer: Ed25519PrivateKey, subject: str, claims: dict[str, Any]) -> str:
    """A signed description, as the tool `nsc` makes it."""
    payload = {
        "jti": secrets.token_hex(16),
        "iat": 1_700_000_000,
        "iss": encode_public(kind, issuer),
        "name": "test",
        "sub": subject,
        "nats": claims | {"version": 2},
    }
    header = {"typ": "JWT", "alg": "ed25519-nkey"}
    text = f"{_base64(json.dumps(header).encode())}.{_base64(json.dumps(payload).encode())}"
    return f"{text}.{_base64(issuer.sign(text.encode()))}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _credentials(jwt: str, seed: str) -> str:
    return f"""\
-----BEGIN NATS USER JWT-----
{jwt}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
{seed}
------END USER NKEY SEED------
"""
