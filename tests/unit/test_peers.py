"""The address of a client behind a proxy, and its group."""

from ipaddress import ip_network

import pytest

from dunena.server.access.peers import NOBODY, Proxies, group_of


def proxies(*networks: str) -> Proxies:
    return Proxies([ip_network(network) for network in networks])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.5", "203.0.113.5"),  # the first was made up
        ("10.0.0.1", "1.1.1.1, 203.0.113.5, 10.0.0.2", "203.0.113.5"),  # two proxies of ours
        ("10.0.0.1", "10.0.0.2, 10.0.0.3", "10.0.0.2"),
        ("10.0.0.1", "203.0.113.5:4711", "203.0.113.5"),
        ("10.0.0.1", "[2001:db8::5]:80", "2001:db8::5"),
        ("10.0.0.1", "2001:db8::5", "2001:db8::5"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5, <script>", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("::ffff:10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("198.51.100.9", "203.0.113.5", "198.51.100.9"),  # no proxy of ours
    ],
)
def test_client_of_trusts_forwarded_addresses_of_known_proxies_only(
    peer: str, forwarded: str | None, client: str
) -> None:
    assert proxies("10.0.0.0/30").client_of(peer, forwarded) == client


def test_client_of_ignores_forwarded_addresses_without_known_proxies() -> None:
    assert proxies().client_of("127.0.0.1", "203.0.113.5") == "127.0.0.1"


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("127.0.0.1", NOBODY),
        ("::1", NOBODY),
        ("::ffff:127.0.0.1", NOBODY),
        ("", NOBODY),
    ],
)
def test_group_of_maps_an_address_to_its_group(address: str, group: str) -> None:
    assert group_of(address) == group
