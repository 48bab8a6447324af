"""Who is at the other end: the machine itself, or one for which a trusted proxy speaks.

A proxy adds the address it was called from to the end of ``X-Forwarded-For``; what stands before
that was sent by whoever called and may be made up. So the list is read from its end, for as long
as the next one to believe is a proxy that was named by ``--proxy-header``.
"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network

NOBODY = ""
"""The group of those who are not counted: programs of this machine, and proxies that speak for
many."""

_IPV6_PREFIX_BITS = 64  # what one customer gets: RFC 6177


class Proxies:
    """The proxies that are believed; without any, everyone is who calls."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = tuple(networks)

    def has(self, address: str) -> bool:
        """Whether a proxy of ours is at this address."""
        found = _parsed(address) if self._networks else None
        return found is not None and any(found in network for network in self._networks)

    def client_of(self, peer: str, forwarded: str | None) -> str:
        """The address a request really came from; ``forwarded`` is its X-Forwarded-For."""
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
    """The group an address counts for: itself for IPv4, its /64 for IPv6, `NOBODY` for loopback."""
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
    # An IPv4 peer of a socket that takes both.
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _without_port(hop: str) -> str:
    """Some proxies write a port: ``192.0.2.1:80``, ``[2001:db8::1]:80``."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
