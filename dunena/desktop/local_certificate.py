"""Certificates for the local network, for which no public authority issues any.

A private certificate authority is kept in the folder: a device has to trust it only once, and new
server certificates can be issued. They are made by the package `trustme`, installed by the extra
``cert``.
"""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import trustme

VALID_DAYS = 820
"""Validity of a server certificate: Apple's systems accept none that is valid for over 825."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_OWNER_ONLY = 0o600


class MissingPackageError(Exception):
    """The package that makes certificates is not installed; the text says what to do."""


@dataclass(frozen=True, slots=True)
class LocalCertificate:
    """Paths of the PEM files: the server's chain and key, and the authority's."""

    chain: Path
    key: Path
    authority: Path
    authority_key: Path
    names: tuple[str, ...]
    not_after: datetime


def make(folder: Path, names: Sequence[str], addresses: Sequence[str] = ()) -> LocalCertificate:
    """Write a certificate for this machine and ``names``, signed by the folder's authority.

    Make the authority if the folder has none. Raise `MissingPackageError`, OSError if a file cannot
    be written, and ValueError for a name that cannot be in a certificate or an authority that
    cannot be read.
    """
    _check_package()
    host = socket.gethostname().lower()
    own = [host, *([] if "." in host else [f"{host}.local"])]
    wanted = tuple(dict.fromkeys(filter(None, [*_LOOPBACK, *own, *addresses, *names])))
    for name in wanted:
        _check(name)
    folder.mkdir(parents=True, exist_ok=True)
    made = LocalCertificate(
        chain=folder / "server.pem",
        key=folder / "server-key.pem",
        authority=folder / "authority.pem",
        authority_key=folder / "authority-key.pem",
        names=wanted,
        not_after=datetime.now(UTC) + timedelta(days=VALID_DAYS),
    )
    authority = _authority(made)
    issued = authority.issue_cert(
        *wanted,
        common_name=host or "localhost",
        organization_name="dunena",
        # Valid from yesterday on, as the clocks of devices may be behind.
        not_before=(made.not_after - timedelta(days=VALID_DAYS + 1)).replace(tzinfo=None),
        not_after=made.not_after.replace(tzinfo=None),
    )
    # The key is written first: a server that watches both files then finds the key when the chain
    # changes.
    _write_secret(made.key, issued.private_key_pem.bytes())
    made.chain.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    return made


def _check_package() -> None:
    try:
        import_module("trustme")
    except ImportError:
        raise MissingPackageError(
            'certificates are made by the package trustme: pip install "dunena[cert]"; one of any'
            " other maker serves as well"
        ) from None


def _authority(made: LocalCertificate) -> "trustme.CA":
    import trustme

    if made.authority.exists() and made.authority_key.exists():
        return trustme.CA.from_pem(made.authority.read_bytes(), made.authority_key.read_bytes())
    authority = trustme.CA(
        organization_name="dunena", organization_unit_name=f"authority of {socket.gethostname()}"
    )
    _write_secret(made.authority_key, authority.private_key_pem.bytes())
    made.authority.write_bytes(authority.cert_pem.bytes())
    return authority


def _check(name: str) -> None:
    """Raise ValueError if ``name`` is neither an address nor a host name."""
    try:
        ip_address(name)
    except ValueError:
        labels = name.removeprefix("*.").split(".")
        is_host = all(
            label.isascii() and label.replace("-", "").isalnum() and len(label) <= 63
            for label in labels
        )
        if not is_host:
            raise ValueError(f"{name!r} is no name of a host") from None


def _write_secret(file: Path, data: bytes) -> None:
    """Write a file that only its owner can read, from its creation on."""
    draft = file.with_name(f"{file.name}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
    draft.replace(file)
