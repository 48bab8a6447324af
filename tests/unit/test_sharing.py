"""Sharing a server on the network while it runs; the listeners are made up."""

import asyncio
from typing import Any

import orjson
import pytest

from dunena.server import sharing as module
from dunena.server.access.tokens import Tokens
from dunena.server.http.message import Request, Response
from dunena.server.listeners import BindError
from dunena.server.sharing import Sharing
from dunena.settings import Settings


class StubListeners:
    def __init__(self, host: str, house: "House") -> None:
        self.addresses = (f"{host}:3000",)
        self._host, self._house = host, house
        self.is_open = True

    async def start_serving(self) -> None:
        if self._host in self._house.refuses_late:
            raise BindError(self._host, OSError(98, "Address already in use"))

    def close(self) -> None:
        self.is_open = False


class House:
    """A server without sockets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
        self.hosts = ["192.168.1.10", "10.0.0.7"]
        self.refuses: set[str] = set()
        self.refuses_late: set[str] = set()
        self.opened: list[StubListeners] = []
        self.changes = 0
        self.tokens = Tokens(settings.get("token"))
        monkeypatch.setattr(module, "lan_addresses", lambda: list(self.hosts))
        loop: Any = None
        self.sharing = Sharing(
            loop, Settings(**settings), 3000, self.tokens, self._open, self._changed
        )

    async def _open(self, host: str) -> Any:
        if host in self.refuses:
            raise BindError(host, OSError(13, "Permission denied"))
        self.opened.append(StubListeners(host, self))
        return self.opened[-1]

    def _changed(self) -> None:
        self.changes += 1

    def begin(self) -> Response:
        return asyncio.run(self.sharing._begin())

    def end(self) -> Response:
        return asyncio.run(self.sharing._end())


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    return House(monkeypatch)


def test_a_server_is_shared_at_each_address_with_a_token_of_its_own(house: House) -> None:
    before = orjson.loads(orjson.dumps(house.sharing.state()))
    assert before == {
        "isForNetwork": False,
        "isShared": False,
        "hasToken": False,
        "token": None,
        "urls": ["http://192.168.1.10:3000", "http://10.0.0.7:3000"],
    }
    answer = house.begin()
    token = house.tokens.shared_token
    assert answer.status == 200
    assert orjson.loads(answer.body) == before | {"isShared": True, "token": token}
    assert token is not None
    assert len(token) >= 16
    assert house.sharing.addresses == ("192.168.1.10:3000", "10.0.0.7:3000")
    assert house.sharing.urls() == before["urls"]
    assert not house.tokens.are_needed, "programs of this machine need none, as before"
    assert house.changes == 1


def test_sharing_once_more_changes_nothing(house: House) -> None:
    house.begin()
    token = house.tokens.shared_token
    assert house.begin().status == 200
    assert house.tokens.shared_token == token
    assert len(house.opened) == 2


def test_the_end_closes_the_listeners_and_the_token_is_not_valid(house: House) -> None:
    house.begin()
    token = house.tokens.shared_token or ""
    assert house.tokens.grant_of(token.encode()) is not None
    assert house.end().status == 200
    assert [one.is_open for one in house.opened] == [False, False]
    assert house.tokens.shared_token is None
    assert house.tokens.grant_of(token.encode()) is None
    assert house.sharing.urls() == []
    assert house.changes == 2
    house.begin()
    assert house.tokens.shared_token not in (None, token), "each time another one"


def test_an_address_that_is_refused_is_left_out(house: House) -> None:
    house.refuses_late = {"192.168.1.10"}
    assert house.begin().status == 200
    assert house.sharing.addresses == ("10.0.0.7:3000",)
    assert house.opened[0].is_open is False


@pytest.mark.parametrize("how", ["refuses", "refuses_late", "hosts"])
def test_where_it_is_impossible_the_answer_says_how_to_restart(house: House, how: str) -> None:
    setattr(house, how, [] if how == "hosts" else set(house.hosts))
    answer = house.begin()
    body = orjson.loads(answer.body)
    assert answer.status == 409
    assert body["error"].startswith("It cannot be shared while it runs: ")
    assert set(body["commands"]) == {"bash", "windows"}
    assert "--host 0.0.0.0 --port 3000" in body["commands"]["bash"]
    assert not house.sharing.is_on
    assert house.tokens.shared_token is None
    assert house.changes == 0


def test_a_server_with_tokens_gets_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(monkeypatch, token="own")
    answer = orjson.loads(house.begin().body)
    assert (answer["isShared"], answer["hasToken"], answer["token"]) == (True, True, None)
    assert house.changes == 0


def test_a_server_on_the_network_is_not_shared_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(monkeypatch, host="192.168.1.10")
    answer = orjson.loads(house.begin().body)
    assert (answer["isForNetwork"], answer["isShared"]) == (True, False)
    assert answer["urls"] == ["http://192.168.1.10:3000"]
    assert house.opened == []


def test_only_this_machine_decides_without_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    far, near = Request(is_shared=True), Request()
    house = House(monkeypatch)
    assert (house.sharing.refusal(far) or Response(200)).status == 403
    assert house.sharing.refusal(near) is None
    assert House(monkeypatch, token="own").sharing.refusal(far) is None
