"""Keys with which a client of NATS proves who it is: nkeys, and files of credentials.

An nkey is a pair of Ed25519 keys. Its seed is written in base32 as two bytes that say whose it is,
32 bytes of seed and a checksum; the public key as one such byte, the key and a checksum
(github.com/nats-io/nkeys). A file of credentials has a signed description of the user (a JWT) and
the seed of the user's nkey.
"""

import base64
import binascii
import re
from dataclasses import dataclass

_SEED = 18 << 3
"""The first five bits of a seed, which base32 writes as `S`."""

_USER = 20 << 3
"""Whose a key is, as it stands in a seed and before a public key: a user's, written as `U`."""

_SEED_BYTES = 32
_CHECKSUM_BYTES = 2

_JWT = re.compile(r"-+BEGIN NATS USER JWT-+\s+(\S+)\s+-+END NATS USER JWT-+")
_SEED_BLOCK = re.compile(r"-+BEGIN USER NKEY SEED-+\s+(\S+)\s+-+END USER NKEY SEED-+")


class CredentialsError(Exception):
    """Credentials cannot be used; the text says why and never contains them."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a file of credentials has: the description of the user and the seed of its nkey."""

    jwt: str
    seed: str


def parse_credentials(text: str) -> Credentials:
    """Read the text of a file of credentials; raise `CredentialsError`."""
    jwt, seed = _JWT.search(text), _SEED_BLOCK.search(text)
    if jwt is None or seed is None:
        raise CredentialsError("it has no user's JWT and seed")
    return Credentials(jwt[1], seed[1])


class UserKey:
    """The nkey of a user."""

    def __init__(self, seed: str) -> None:
        """Take the text of a seed; raise `CredentialsError`."""
        try:
            from cryptography.hazmat.primitives.asymmetric import ed25519
        except ModuleNotFoundError:
            reason = (
                'a login with an nkey needs the package cryptography: pip install "dunena[nats]"'
            )
            raise CredentialsError(reason) from None

        self._key = ed25519.Ed25519PrivateKey.from_private_bytes(_seed_bytes(seed))

    @property
    def public(self) -> str:
        """The public key, by which the server knows the user."""
        return _encode(bytes([_USER]) + self._key.public_key().public_bytes_raw())

    def sign(self, nonce: str) -> bytes:
        """Return the signature of a server's nonce, in base64."""
        return base64.b64encode(self._key.sign(nonce.encode()))


def _encode(data: bytes) -> str:
    """Return bytes and their checksum in base32."""
    checksum = binascii.crc_hqx(data, 0).to_bytes(_CHECKSUM_BYTES, "little")
    return base64.b32encode(data + checksum).decode().rstrip("=")


def _seed_bytes(seed: str) -> bytes:
    """Return the 32 bytes in the text of a user's seed; raise `CredentialsError`."""
    try:
        raw = base64.b32decode(seed + "=" * (-len(seed) % 8))
    except binascii.Error:
        raise CredentialsError("it has no seed of an nkey") from None
    data, checksum = raw[:-_CHECKSUM_BYTES], raw[-_CHECKSUM_BYTES:]
    if len(data) != 2 + _SEED_BYTES or data[0] & 0xF8 != _SEED:
        raise CredentialsError("it has no seed of an nkey")
    if binascii.crc_hqx(data, 0) != int.from_bytes(checksum, "little"):
        raise CredentialsError("the seed of the nkey has a wrong checksum")
    if (data[0] & 0x07) << 5 | data[1] >> 3 != _USER:
        raise CredentialsError("the nkey is not that of a user")
    return data[2:]
