"""The address of a client: that of the connection, or the one that a trusted proxy reports.

A proxy appends the address of its own client to ``X-Forwarded-For``; what precedes it was sent by
that client and may be forged. So the list is read from its end, as long as the address that
reported an entry is a proxy of ``--proxy-header``.
"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network

NOBODY = ""
"""The group of addresses that are not counted: programs of this machine, and proxies, which stand
for many clients."""

_IPV6_PREFIX_BITS = 64  # the network of one customer: RFC 6177


class Proxies:
    """The trusted proxies; without any, a client's address is that of its connection."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = tuple(networks)

    def has(self, address: str) -> bool:
        """Return whether a trusted proxy has this address."""
        found = _parsed(address) if self._networks else None
        return found is not None and any(found in network for network in self._networks)

    def client_of(self, peer: str, forwarded: str | None) -> str:
        """Return the address of the client of a request.

        ``peer`` is the address of its connection, ``forwarded`` its X-Forwarded-For header.
        """
        address = peer
        for hop in reversed((forwarded or "").split(",")):
            if not self.has(address):
                break
            found = _parsed(_without_port(hop.strip()))
            if found is None:
                break
            address = str(found)
        return address


@lru_cache(maxsize=1024)
def group_of(address: str) -> str:
    """Return the group that an address counts for: itself (IPv4), its /64 (IPv6) or `NOBODY`.

    `NOBODY` is for loopback addresses and texts that are no address.
    """
    found = _parsed(address)
    if found is None or found.is_loopback:
        return NOBODY
    if isinstance(found, IPv6Address):
        return str(IPv6Network((found, _IPV6_PREFIX_BITS), strict=False))
    return str(found)


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    # A socket for IPv4 and IPv6 reports the peer's IPv4 address as a mapped one.
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _without_port(hop: str) -> str:
    """Remove the port that some proxies write: ``192.0.2.1:80``, ``[2001:db8::1]:80``."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
