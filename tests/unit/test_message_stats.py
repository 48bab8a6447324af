"""What is counted of messages and of refusals."""

import pytest

from dunena.dialects.dialect import Dialect
from dunena.dialects.errors import ClientError, ForbiddenError, LimitError, TooLargeError
from dunena.dialects.message_stats import Kind, MessageStats, learn


def answer(*_: object) -> bytes:
    return b""


def test_a_kind_of_message_is_learnt_with_what_answers_it() -> None:
    kinds: dict[str, Kind] = {}
    kind = learn(kinds, {"get": answer}, "get")
    assert kind is not None
    assert kinds == {"get": kind}
    assert (kind.answer, kind.count) == (answer, 0)


@pytest.mark.parametrize("name", ["set", "", None, 1, ["get"], {}])
def test_what_nothing_answers_is_not_learnt(name: object) -> None:
    kinds: dict[str, Kind] = {}
    assert learn(kinds, {"get": answer}, name) is None
    assert kinds == {}


def test_everything_is_counted_from_zero() -> None:
    stats = MessageStats()
    assert stats.dunena == stats.object_store == {}
    assert stats.dunena is not stats.object_store
    assert stats.sessions == dict.fromkeys(Dialect, 0)
    assert (stats.cached_gets, stats.over_limit, stats.forbidden) == (0, 0, 0)


def test_refusals_are_counted_by_what_was_wrong() -> None:
    stats = MessageStats()
    errors = [
        ClientError("x"),
        LimitError("x"),
        TooLargeError("x"),
        TooLargeError("x"),
        ForbiddenError.needs_admin(),
        ForbiddenError.to_see_events(),
    ]
    for error in errors:
        stats.count(error)
    assert (stats.over_limit, stats.forbidden) == (3, 2)
