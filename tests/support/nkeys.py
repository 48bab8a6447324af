"""New nkeys for tests."""

import base64
import binascii
import secrets
from enum import IntEnum

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class Kind(IntEnum):
    """Whose a key is, as it stands before the key."""

    OPERATOR = 14 << 3
    ACCOUNT = 0
    USER = 20 << 3


def encode_seed(kind: Kind) -> str:
    """A new seed."""
    head = bytes([18 << 3 | kind >> 5, (kind & 31) << 3])
    return _encode(head + secrets.token_bytes(32))


def encode_public(kind: Kind, key: Ed25519PrivateKey) -> str:
    """The public key of a pair."""
    return _encode(bytes([kind]) + key.public_key().public_bytes_raw())


def _encode(data: bytes) -> str:
    checksum = binascii.crc_hqx(data, 0).to_bytes(2, "little")
    return base64.b32encode(data + checksum).decode().rstrip("=")
