"""`dunena cert`: certificates for the local network."""

import ssl
import sys
from pathlib import Path

import pytest
from cryptography import x509
from websockets.sync.client import connect

from dunena.desktop.local_certificate import VALID_DAYS, make
from tests.e2e.processes import assert_failed, run_program
from tests.support.fixtures import StartServer


def test_a_client_that_trusts_the_authority_trusts_the_server(
    start_server: StartServer, tmp_path: Path
) -> None:
    folder = tmp_path / "tls files"
    done = run_program("cert", str(folder), "--name", "show.example", "--name", "10.1.2.3")
    assert done.returncode == 0, done.stderr
    assert "localhost, 127.0.0.1, ::1" in done.stdout
    assert "show.example, 10.1.2.3" in done.stdout
    chain, key = folder / "server.pem", folder / "server-key.pem"
    server = start_server("--tls-cert", str(chain), "--tls-key", str(key))
    trusting = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    for host in ("localhost", "127.0.0.1"):
        url = f"wss://{host}:{server.port}/ws"
        with connect(url, ssl=trusting, proxy=None) as client:
            assert "connected" in str(client.recv(timeout=10))
    with pytest.raises(ssl.SSLCertVerificationError):
        connect(f"wss://localhost:{server.port}/ws", ssl=ssl.create_default_context(), proxy=None)
    # Made again, while the server runs: the same authority vouches for the new one.
    assert run_program("cert", str(folder)).returncode == 0
    with connect(f"wss://localhost:{server.port}/ws", ssl=trusting, proxy=None) as client:
        assert "connected" in str(client.recv(timeout=10))


def test_a_certificate_is_valid_for_at_most_825_days(tmp_path: Path) -> None:
    made = make(tmp_path, [])
    certificate = x509.load_pem_x509_certificate(made.chain.read_bytes())
    assert abs(certificate.not_valid_after_utc - made.not_after).total_seconds() < 2
    days = (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days
    assert VALID_DAYS <= days <= 825


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps rights elsewhere")
def test_key_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    for made in (make(tmp_path, []), make(tmp_path, [])):
        for secret in (made.key, made.authority_key):
            assert secret.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["two words", "a_b", "ü.example", "a..b", "x" * 64])
def test_an_invalid_host_name_is_refused(tmp_path: Path, name: str) -> None:
    done = run_program("cert", str(tmp_path / "tls"), "--name", name)
    assert_failed(done, says=("is no name of a host",))
    assert not (tmp_path / "tls").exists()


def test_cert_fails_for_a_folder_with_an_invalid_authority(tmp_path: Path) -> None:
    (tmp_path / "authority.pem").write_text("nonsense")
    (tmp_path / "authority-key.pem").write_text("nonsense")
    assert_failed(run_program("cert", str(tmp_path)), says=(str(tmp_path),))


def test_cert_without_trustme_names_the_extra_to_install(tmp_path: Path) -> None:
    (tmp_path / "trustme.py").write_text("raise ImportError")
    done = run_program("cert", str(tmp_path / "tls"), environment={"PYTHONPATH": str(tmp_path)})
    assert_failed(done, says=('pip install "dunena[cert]"',))
