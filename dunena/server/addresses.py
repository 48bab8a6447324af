"""The addresses at which other machines reach this one.

The system is asked from which address it would send to places on the usual kinds of networks. That
sends nothing, and needs no name service, which may be slow or wrong.
"""

import socket
from ipaddress import ip_address

from dunena.settings import ANY_HOSTS, Settings, is_loopback_host

# The networks for documentation (RFC 5737, RFC 3849) have the same route as the internet; the
# private ones (RFC 1918) may be on other interfaces.
_IPV4_DESTINATIONS = ("192.0.2.1", "192.168.255.254", "172.31.255.254", "10.255.255.254")
_IPV6_DESTINATIONS = ("2001:db8::1", "fd00::1")
_ANY_PORT = 9  # nothing is sent to it


def network_urls(settings: Settings, port: int) -> list[str]:
    """Return the base URLs for other machines, without a slash at the end.

    There are none if the server listens on a loopback address only.
    """
    if settings.is_loopback:
        return []
    hosts = own_addresses(settings.host) if settings.host in ANY_HOSTS else [settings.host]
    return [url_of(settings, host, port) for host in hosts]


def url_of(settings: Settings, host: str, port: int) -> str:
    """Return the base URL of a server at an address, without a slash at the end."""
    scheme = "https" if settings.is_encrypted else "http"
    return f"{scheme}://{_bracketed(host)}:{port}"


def lan_addresses() -> list[str]:
    """Return the addresses at which a phone would reach this machine, the best first.

    Those of IPv4 if there are any: they can be typed, and are seldom reached from the internet.
    """
    return own_addresses("0.0.0.0") or own_addresses("::")


def own_addresses(host: str) -> list[str]:
    """Return the addresses of this machine that other machines can reach, the best first.

    ``host`` is "0.0.0.0" for IPv4 only, or another host of `ANY_HOSTS` for both kinds.
    """
    found = _sending_addresses(socket.AF_INET, _IPV4_DESTINATIONS)
    if host != "0.0.0.0":
        found += _sending_addresses(socket.AF_INET6, _IPV6_DESTINATIONS)
    return list(dict.fromkeys(found))


def _sending_addresses(family: socket.AddressFamily, destinations: tuple[str, ...]) -> list[str]:
    found = []
    for destination in destinations:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((destination, _ANY_PORT))  # with UDP this only chooses a route
                address = str(probe.getsockname()[0])
        except OSError:
            continue  # the machine has no such network
        if not (is_loopback_host(address) or ip_address(address.partition("%")[0]).is_link_local):
            found.append(address)
    return found


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
