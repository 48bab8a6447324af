"""Whether a file carries a publisher's signature; the notes tell people what to expect."""

import struct
from pathlib import Path

# Stands in the certificate that Apple gives to those who publish outside of its store. The
# signature that every ARM program has, made without a certificate, does not hold it.
_APPLE_CERTIFICATE = b"Developer ID Application"

_PE_POINTER = 0x3C
_PE_SIGNATURE = b"PE\0\0"
_OPTIONAL_HEADER = 24
_PE32_PLUS = 0x20B
_DIRECTORIES_32, _DIRECTORIES_64 = 96, 112
_CERTIFICATE_DIRECTORY = 4


def is_signed(path: Path, system: str) -> bool:
    """Whether the executable is signed; `system` as in a target. Linux has no such thing."""
    if system == "linux":
        return False
    data = path.read_bytes()
    return _has_authenticode(data) if system == "windows" else _APPLE_CERTIFICATE in data


def _has_authenticode(data: bytes) -> bool:
    """Whether the table of a Windows program that points at its certificates is filled in."""
    try:
        (header,) = struct.unpack_from("<I", data, _PE_POINTER)
        if data[header : header + 4] != _PE_SIGNATURE:
            return False
        (kind,) = struct.unpack_from("<H", data, header + _OPTIONAL_HEADER)
        tables = _DIRECTORIES_64 if kind == _PE32_PLUS else _DIRECTORIES_32
        place = header + _OPTIONAL_HEADER + tables + 8 * _CERTIFICATE_DIRECTORY
        _, size = struct.unpack_from("<II", data, place)
    except struct.error:
        return False
    return bool(size)
