"""A watch over HTTP, with a server that a test plays."""

from typing import Any, Self

import pytest

from dunena.client import polling
from dunena.client.address import Address
from dunena.client.errors import ConnectError, RequestError
from dunena.client.options import Options
from dunena.client.polling import poll_updates
from dunena.client.state import Selection

OPTIONS = Options(Address.parse("ws://localhost"), None, "", 10.0, wait=False, tls=None)


class OverError(Exception):
    """The server has no more answers."""


class Served:
    """Answers requests one after another, and has the position that each asked for."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[Any] = []

    def __call__(self, options: Options) -> "Served":
        assert options.timeout is not None
        assert options.timeout > polling.WAIT_SECONDS
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ask(self, _method: str, _path: str, query: dict[str, object]) -> Any:
        self.asked.append(query.get("since"))
        if not self.answers:
            raise OverError
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def update(epoch: str, rev: int, *, reset: bool = False, **values: Any) -> dict[str, Any]:
    changes = [
        {"key": key, "rev": rev} | ({"event": "delete"} if value is None else {"value": value})
        for key, value in values.items()
    ]
    return {"epoch": epoch, "rev": rev, "changes": changes} | ({"reset": True} if reset else {})


@pytest.fixture
def polled(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a watch yields of a server's answers."""
    monkeypatch.setattr("dunena.client.polling.time.sleep", lambda _: None)

    def run(server: Served, selection: Selection) -> list[Any]:
        monkeypatch.setattr(polling, "Http", server)
        found: list[Any] = []
        with pytest.raises((OverError, ConnectError, RequestError)):
            found.extend(iter_into(found, poll_updates(OPTIONS, selection)))
        return found

    return run


def iter_into(found: list[Any], updates: Any) -> list[Any]:
    for key, value in updates:
        found.append((key, value))
    return []


def test_each_request_names_the_position_of_the_update_before(polled: Any):
    server = Served(
        update("e", 5, reset=True, a=1), None, update("e", 7, a=2, b=3), update("e", 9, a=None)
    )
    found = polled(server, Selection("", pattern="*"))
    assert found == [("a", 1), ("a", 2), ("b", 3), ("a", None)]
    assert server.asked == [None, "e-5", "e-5", "e-7", "e-9"]


def test_named_keys_that_are_missing_are_told_at_first(polled: Any):
    server = Served(update("e", 5, reset=True, a=1))
    assert sorted(polled(server, Selection("", keys=("a", "b")))) == [("a", 1), ("b", None)]


def test_after_a_restart_only_what_differs_is_told(polled: Any):
    server = Served(
        update("e", 5, reset=True, a=1, b=2),
        ConnectError("away"),
        ConnectError("away"),
        update("f", 2, reset=True, b=3),
    )
    found = polled(server, Selection("", pattern="*"))
    assert found == [("a", 1), ("b", 2), ("a", None), ("b", 3)]
    assert server.asked == [None, "e-5", "e-5", "e-5", "f-2"]


@pytest.mark.parametrize("error", [ConnectError("away"), RequestError("Not permitted")])
def test_the_first_failure_and_every_refusal_is_raised(polled: Any, error: Exception):
    assert polled(Served(error), Selection("", key="a")) == []
