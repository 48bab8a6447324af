"""Strict parsing of hosts and origins."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.server.access.admission import Admission
from dunena.server.access.authority import Authority, read_host, read_origin
from dunena.settings import Settings
from dunena.telemetry import Telemetry

odd = st.text("localhost127.:[]@/?#%\\\\, \t1aZ-_", max_size=12)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("localhost", "localhost", ""),
        ("LocalHost:", "localhost", ""),
        ("localhost.:80", "localhost.", "80"),
        ("[::1]:3000", "::1", "3000"),
        ("[::ffff:127.0.0.1]", "::ffff:127.0.0.1", ""),
        ("show_pc:65535", "show_pc", "65535"),
        ("", "", ""),
    ],
)
def test_read_host_parses_host_and_port(text: str, host: str, port: str) -> None:
    assert read_host(text) == Authority(host, port)


@pytest.mark.parametrize(
    "text",
    [
        "localhost:1@evil",
        "a@localhost",
        "localhost/",
        "localhost?x",
        "localhost#",
        "localhost:80:80",
        "localhost:x",
        "localhost:65536",
        "local host",
        "localhost, evil",
        "::1",
        "[::1",
        "[evil]",
        "[::1]evil",
        "[::1%25lo]",
        "%6cocalhost",
        "localhost\\@evil",
        "l\u00f6calhost",
        "localhost\n",
    ],
)
def test_an_invalid_host_is_rejected_alone_and_in_an_origin(text: str) -> None:
    assert read_host(text) is None
    assert read_origin(f"http://{text}") is None


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost?evil",
        "http://localhost/",
        "http://",
        "http:localhost",
        "//localhost",
        "null",
        "http://:80",
        "ftp://localhost",
        " http://localhost",
        "HTTP://localhost",
    ],
)
def test_read_origin_rejects_invalid_origins(text: str) -> None:
    assert read_origin(text) is None


@given(st.sampled_from(["", "localhost", "127.0.0.1", "[::1]", "localhost:1"]), odd)
def test_an_admitted_host_is_parsed_the_same_by_urlsplit(begin: str, rest: str) -> None:
    text = begin + rest
    rules = Admission(Settings(), 3000, Telemetry(0))
    if rules.allows_host(text):
        # No character by which another reader could find another host in it.
        assert not set(text) & set("@/?#%\\\\, \t")
        assert urlsplit(f"http://{text}").hostname == read_host(text).host
    if rules.allows_origin(f"http://{text}", None):
        assert rules.allows_host(text)
