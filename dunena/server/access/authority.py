"""Strict parsing of Host and Origin headers: any other text is refused.

A lenient and a strict parser may find different hosts in the same text. The check would then be
made for another host than the browser meant.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address

from dunena import PORT_MAX

# RFC 3986, 3.2.2 and 3.2.3, without user information (RFC 9110, 4.2.4), and of a registered name
# only what a name service or a person writes: no percent-encoding, no sub-delimiters.
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]*))(?::([0-9]{0,5}))?").fullmatch
_ORIGIN = re.compile(r"(https?)://(.+)").fullmatch  # RFC 6454, 6.2


@dataclass(frozen=True, slots=True)
class Authority:
    """A lower-case host, an IPv6 address without brackets; the port as text, "" for none."""

    host: str
    port: str


def read_host(text: str) -> Authority | None:
    """Parse a Host header (RFC 9110, 7.2); return None if it is not valid."""
    match = _AUTHORITY(text)
    if match is None:
        return None
    address, name, port = match[1], match[2], match[3] or ""
    if port and int(port) > PORT_MAX:
        return None
    if address is not None:
        try:
            IPv6Address(address)
        except ValueError:
            return None
    return Authority((name if address is None else address).lower(), port)


def read_origin(text: str) -> Authority | None:
    """Parse the host and port of an http or https origin; return None for any other text."""
    match = _ORIGIN(text)
    authority = None if match is None else read_host(match[2])
    return authority if authority is not None and authority.host else None
