"""The errors of a failed connection attempt, by the answer of the server."""

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from dunena.client.address import Address
from dunena.client.errors import ConnectError, RefusedError, WrongAddressError
from dunena.client.options import failure


def answered(status: int, body: bytes, url: str = "ws://localhost:3000") -> Exception:
    return failure(InvalidStatus(Response(status, "", Headers(), body)), Address.parse(url))


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("http://localhost:3000/test", " at ws://localhost:3000, without the path"),
        ("https://[::1]/a/b/ws", " at wss://[::1]:443, without the path"),
        ("ws://localhost:3000/ws", "no dunena (HTTP 404)"),
    ],
)
def test_a_404_answer_raises_wrong_address_error_with_a_hint(url: str, hint: str) -> None:
    error = answered(404, b'{"error":"Not found"}', url)
    assert isinstance(error, WrongAddressError)
    assert str(error).endswith(hint)


@pytest.mark.parametrize("status", [401, 403])
def test_a_401_or_403_answer_raises_refused_error(status: int) -> None:
    error = answered(status, b'{"error":"Unauthorized"}')
    assert isinstance(error, RefusedError)
    assert error.status == status
    assert str(error) == "Unauthorized"


@pytest.mark.parametrize("status", [429, 503])
def test_a_429_or_503_answer_raises_connect_error(status: int) -> None:
    error = answered(status, b'{"error":"Too many connections"}')
    assert isinstance(error, ConnectError)
    assert "Too many connections" in str(error)
