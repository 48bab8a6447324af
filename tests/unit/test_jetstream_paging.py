"""How long a page is waited for."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from dunena.persistence.jetstream.paging import PAGE_TIMEOUT_MAX_S, PAGE_TIMEOUT_S, Pages
from dunena.persistence.jetstream.wire import LinkFault, Message


class Servers:
    """A link that tells a test what is asked, a scheduler that never waits, and requests."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.take: Callable[[Message], bool] = lambda _part: True
        self.end: Callable[[LinkFault | None], None] = lambda _fault: None
        self.taken: list[int] = []
        link: Any = SimpleNamespace(request_many=self._request_many)
        scheduler: Any = SimpleNamespace(call_later=lambda _pause, action: action())
        requests: Any = SimpleNamespace(page=lambda *_: Message("page", {}, b""))
        self.pages = Pages(link, scheduler, requests)
        self.pages.fetch(lambda sequence, _message: self.taken.append(sequence), lambda: None)

    def _request_many(
        self,
        _message: Message,
        timeout_s: float,
        take: Callable[[Message], bool],
        end: Callable[[LinkFault | None], None],
    ) -> None:
        self.waits.append(timeout_s)
        self.take, self.end = take, end

    def send(self, sequence: int) -> None:
        assert not self.take(Message("part", {"Nats-Sequence": str(sequence)}, b""))


@pytest.fixture
def servers() -> Servers:
    return Servers()


def test_a_server_that_sends_nothing_is_waited_for_longer_from_try_to_try(
    servers: Servers,
) -> None:
    for _ in range(6):
        servers.end(LinkFault.TIMEOUT)
    assert servers.waits == [PAGE_TIMEOUT_S, 1, 2, 4, PAGE_TIMEOUT_MAX_S] + [PAGE_TIMEOUT_MAX_S] * 2


def test_the_wait_is_short_again_once_something_has_come(servers: Servers) -> None:
    servers.end(LinkFault.TIMEOUT)
    servers.send(7)
    servers.end(LinkFault.TIMEOUT)
    assert servers.waits == [PAGE_TIMEOUT_S, 1, PAGE_TIMEOUT_S]
    assert servers.taken == [7]


def test_a_fault_that_is_no_silence_makes_no_wait_longer(servers: Servers) -> None:
    servers.end(LinkFault.NO_RESPONDERS)
    assert servers.waits == [PAGE_TIMEOUT_S] * 2
