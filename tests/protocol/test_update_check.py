"""The request by which the test page has the server look for a newer release."""

import pytest

from dunena import __version__
from tests.protocol.clients import http
from tests.support.release_feed import ReleaseFeed
from tests.support.server import ServerProcess

JSON_TYPE = {"Content-Type": "application/json"}


def own(server: ServerProcess) -> dict[str, str]:
    return JSON_TYPE | {"Origin": f"http://127.0.0.1:{server.port}"}


def test_the_servers_own_page_learns_of_a_newer_release(
    fed_server: ServerProcess, feed: ReleaseFeed
) -> None:
    for _ in range(2):
        answer = http(fed_server, "POST", "/update-check", {}, own(fed_server))
        assert (answer.status, answer.json) == (
            200,
            {
                "version": __version__,
                "newest": "1.1.0",
                "isNewer": True,
                "url": "https://github.com/dunena/dunena/releases/tag/v1.1.0",
            },
        )
    assert len(feed.requests) == 1, "an answer is remembered for a while"


def test_a_failure_is_said_and_not_remembered(fed_server: ServerProcess, feed: ReleaseFeed) -> None:
    feed.status = 429
    for _ in range(2):
        answer = http(fed_server, "POST", "/update-check", {}, own(fed_server))
        assert answer.status == 502
        assert answer.json["error"].startswith(
            "The newest version is not known: 127.0.0.1 answers only so many requests an hour"
        )
    assert len(feed.requests) == 2


@pytest.mark.parametrize(
    "headers",
    [
        JSON_TYPE,
        JSON_TYPE | {"Origin": "http://127.0.0.1:1"},
        JSON_TYPE | {"Origin": "null"},
        {"Content-Type": "text/plain", "Origin": "OWN"},
    ],
)
def test_nobody_but_a_page_of_the_server_makes_it_ask(
    fed_server: ServerProcess, feed: ReleaseFeed, headers: dict[str, str]
) -> None:
    sent = {name: own(fed_server)["Origin"] if it == "OWN" else it for name, it in headers.items()}
    assert http(fed_server, "POST", "/update-check", {}, sent).status in {400, 403}
    assert http(fed_server, "GET", "/update-check").status == 405
    assert feed.requests == []
