"""What the list of releases may answer, and what is said of it."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from dunena import __version__, tls_trust, update_check
from dunena.update_check import (
    FEED_VARIABLE,
    UpdateCheckError,
    find_newest,
    is_newer_version,
    proxy_for,
    read_release,
)
from tests.support.release_feed import ReleaseFeed, release_feed

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReleaseFeed]:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with release_feed() as feed:
        monkeypatch.setenv(FEED_VARIABLE, feed.url)
        yield feed


def failure(feed: ReleaseFeed) -> str:
    with pytest.raises(UpdateCheckError) as caught:
        find_newest()
    assert caught.value.is_unreachable is False
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_one_request_asks_for_the_newest_release_and_says_nothing_of_this_one(
    feed: ReleaseFeed,
) -> None:
    newest = find_newest()
    assert (newest.version, newest.is_newer) == ("1.1.0", True)
    assert newest.url == "https://github.com/dunena/dunena/releases/tag/v1.1.0"
    ((method, path, headers),) = feed.requests
    assert (method, path) == ("GET", "/releases/latest")
    assert headers == {
        "host": f"127.0.0.1:{feed.port}",
        "accept-encoding": "identity",
        "accept": "application/vnd.github+json",
        "user-agent": "dunena",
    }


@pytest.mark.parametrize(
    ("version", "own", "is_newer"),
    [
        ("1.1.0", "1.0.0", True),
        ("1.0.10", "1.0.9", True),
        ("2.0", "1.9.9", True),
        ("1.0.0", "1.0.0", False),
        ("0.9.0", "1.0.0", False),
        ("1.0.0", "1.0.0-rc.1", True),
        ("1.0.0", "1.0.0rc1", True),
        ("1.0.0", "1.0.0.dev3", True),
        ("1.0.0", "1.0.1-rc.1", False),
        ("1.0.0+build.7", "1.0.0", False),
    ],
)
def test_a_later_release_is_newer_and_a_pre_release_comes_before_its_own(
    version: str, own: str, is_newer: bool
) -> None:
    assert is_newer_version(version, own) is is_newer


@pytest.mark.parametrize("version", [__version__, "0.0.1"])
def test_the_same_and_an_older_release_are_not_newer(feed: ReleaseFeed, version: str) -> None:
    feed.newest(version)
    newest = find_newest()
    assert (newest.version, newest.is_newer) == (version, False)


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        ("9.0.0", {"prerelease": True}),
        ("9.0.0", {"draft": True}),
        ("9.0.0-rc.1", {}),
        ("9.0rc1", {}),
    ],
)
def test_a_pre_release_is_not_offered(
    feed: ReleaseFeed, version: str, fields: dict[str, bool]
) -> None:
    feed.newest(version, **fields)
    assert failure(feed) == f"127.0.0.1 knows no release but {version}, which is not final"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Sign in to the hotel's network</html>",
        b"[]",
        b"7",
        b"{}",
        b'{"tag_name":7}',
        b'{"tag_name":"newest"}',
        b'{"tag_name":"v1.1.0/../../evil"}',
        b'{"tag_name":"v1"}',
        b"\xff\x00",
        b"[" * 100_000,
    ],
)
def test_an_answer_that_is_no_release_is_one_sentence(feed: ReleaseFeed, body: bytes) -> None:
    feed.body = body
    assert failure(feed) == "what 127.0.0.1 answers is no release of dunena"


def test_an_answer_that_is_too_large_is_not_read_to_its_end(
    feed: ReleaseFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(update_check, "ANSWER_BYTES_MAX", 1000)
    feed.body = bytes(1001)
    assert failure(feed).endswith("it is too large")


def test_an_answer_that_never_ends_is_given_up(
    feed: ReleaseFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(update_check, "ANSWER_SECONDS_MAX", -1.0)
    with pytest.raises(UpdateCheckError, match=r"127\.0\.0\.1 does not answer") as caught:
        find_newest()
    assert caught.value.is_unreachable


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (403, "answers only so many requests an hour from one address (403); try again in an hour"),
        (429, "answers only so many requests an hour from one address (429); try again in an hour"),
        (404, "knows no release of dunena yet"),
        (301, "have moved (301); look at https://github.com/dunena/dunena"),
        (503, "answers with 503; try again later"),
    ],
)
def test_a_refusal_says_what_to_do(feed: ReleaseFeed, status: int, says: str) -> None:
    feed.status = status
    feed.headers = {"Location": feed.url} if status == 301 else {}
    assert says in failure(feed)
    assert len(feed.requests) == 1, "a redirect is not followed"


@pytest.mark.parametrize(
    ("headers", "after"),
    [
        ({"X-RateLimit-Reset": "1796077800"}, 1796077800),
        ({"Retry-After": "60"}, None),
        ({"X-RateLimit-Reset": "soon"}, None),
        ({"X-RateLimit-Reset": "9" * 30}, None),
    ],
)
def test_a_rate_limit_says_until_when(
    feed: ReleaseFeed, headers: dict[str, str], after: int | None
) -> None:
    feed.status, feed.headers = 403, headers
    said = failure(feed)
    if after is not None:
        assert said.endswith(f"try again after {time.strftime('%H:%M', time.localtime(after))}")
    elif "Retry-After" in headers:
        assert "try again after " in said
    else:
        assert said.endswith("try again in an hour")


def test_no_network_is_one_sentence_that_names_the_proxy_too(feed: ReleaseFeed) -> None:
    for address in ("http://127.0.0.1:1/x", "https://127.0.0.1:1/x", "http://no.such.invalid/x"):
        with pytest.raises(UpdateCheckError, match=r"cannot be reached \(.*HTTPS_PROXY") as caught:
            find_newest(address)
        assert caught.value.is_unreachable
    assert feed.requests == []


def test_a_server_that_says_nothing_is_given_up(
    feed: ReleaseFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(update_check, "TIMEOUT_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(UpdateCheckError, match="does not answer") as caught:
            find_newest(address)
    assert caught.value.is_unreachable


def test_what_is_no_http_is_one_sentence(feed: ReleaseFeed) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with listener.accept()[0] as connection:
                connection.recv(1000)
                connection.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(UpdateCheckError, match="answers is no HTTP"):
            find_newest(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        thread.join()


@pytest.mark.parametrize("address", ["ftp://example.com/", "releases", "https:///x"])
def test_an_address_that_cannot_be_asked_is_refused(address: str) -> None:
    with pytest.raises(UpdateCheckError, match="is no address for releases"):
        find_newest(address)


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy:8080"}, "proxy:8080"),
        ({"https_proxy": "proxy:8080"}, "proxy:8080"),
        ({"ALL_PROXY": "http://proxy"}, "proxy"),
        ({"HTTP_PROXY": "http://proxy"}, None),
        ({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "localhost, github.com"}, None),
        ({"HTTPS_PROXY": "http://proxy", "NO_PROXY": ".github.com"}, None),
        ({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "hub.com"}, "proxy"),
    ],
)
def test_the_proxy_is_that_of_the_environment(
    environment: dict[str, str], proxy: str | None
) -> None:
    found = proxy_for("https", "api.github.com", environment)
    assert (None if found is None else found.netloc) == proxy


def test_a_proxy_that_is_none_of_http_is_refused() -> None:
    with pytest.raises(UpdateCheckError, match="the proxy socks5://proxy is none of HTTP"):
        proxy_for("https", "api.github.com", {"ALL_PROXY": "socks5://proxy:1080"})


def test_a_plain_request_goes_to_the_proxy_with_its_login(
    feed: ReleaseFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://ann:p%40ss@127.0.0.1:{feed.port}")
    assert find_newest("http://releases.invalid/latest").version == "1.1.0"
    ((method, target, headers),) = feed.requests
    assert (method, target) == ("GET", "http://releases.invalid/latest")
    assert headers["proxy-authorization"] == "Basic YW5uOnBAc3M="


def test_an_encrypted_request_asks_the_proxy_for_a_tunnel(
    feed: ReleaseFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{feed.port}")
    feed.status = 407
    with pytest.raises(UpdateCheckError, match="Tunnel connection failed: 407") as caught:
        find_newest("https://releases.invalid/latest")
    assert caught.value.is_unreachable
    assert [request[:2] for request in feed.requests] == [("CONNECT", "releases.invalid:443")]


def test_a_certificate_that_is_not_trusted_is_one_sentence(
    feed: ReleaseFeed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        error = update_check.ssl.SSLCertVerificationError(1, "failed")
        error.verify_message = "self-signed certificate"
        raise error

    monkeypatch.setattr(update_check.http.client.HTTPSConnection, "request", fail)
    with pytest.raises(UpdateCheckError, match="is not trusted: self-signed certificate"):
        find_newest("https://releases.invalid/latest")


def test_the_default_is_the_projects_own_list() -> None:
    assert update_check.FEED == "https://api.github.com/repos/dunena/dunena/releases/latest"
    assert read_release(b'{"tag_name":"v1.1.0"}', "x").url.startswith(update_check.PROJECT)


def test_the_systems_certificates_are_found_where_openssl_does_not_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ssl

    nowhere = ssl.DefaultVerifyPaths(None, None, "", "", "", "")  # type: ignore[arg-type]
    monkeypatch.setattr(tls_trust.ssl, "get_default_verify_paths", lambda: nowhere)
    monkeypatch.setattr(
        tls_trust.ssl, "create_default_context", lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )
    loaded: list[str] = []
    monkeypatch.setattr(
        ssl.SSLContext, "load_verify_locations", lambda _, path: loaded.append(path)
    )
    tls_trust.make_context(("/no/such/file", __file__))
    assert loaded == [__file__]
    tls_trust.make_context(("/no/such/file",))
    assert loaded == [__file__]
