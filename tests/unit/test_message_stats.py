"""What is counted of messages and of refusals."""

from dunena.dialects.dialect import Dialect
from dunena.dialects.errors import ClientError, ForbiddenError, LimitError, TooLargeError
from dunena.dialects.message_stats import MessageStats


def test_everything_is_counted_from_zero() -> None:
    stats = MessageStats()
    assert stats.dunena == stats.object_store == {}
    stats.count_dunena("get")
    assert (stats.dunena, stats.object_store) == ({"get": 1}, {})
    stats.count_object_store("set")
    stats.count_object_store("set")
    assert (stats.dunena, stats.object_store) == ({"get": 1}, {"set": 2})
    assert stats.conversations == dict.fromkeys(Dialect, 0)
    assert (stats.cached_gets, stats.plain_sets) == (0, 0)
    assert (stats.over_limit, stats.forbidden) == (0, 0)


def test_refusals_are_counted_by_reason() -> None:
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
