"""The rate limit on guessing tokens."""

import pytest

from dunena.server.access.token_rate_limiter import TokenRateLimiter
from dunena.server.limits import TRIES_ADDRESSES_MAX, TRIES_AT_ONCE_MAX, TRY_SECONDS


def used_up(tries: TokenRateLimiter, group: str, now: float = 0) -> TokenRateLimiter:
    for number in range(TRIES_AT_ONCE_MAX):
        assert tries.seconds_to_wait(group, now) == 0
        tries.failed(group, b"%f %d" % (now, number), now)
    return tries


def test_wrong_tokens_are_limited_to_a_burst_and_then_to_a_rate() -> None:
    tries = used_up(TokenRateLimiter(), "a")
    assert tries.seconds_to_wait("a", 0) == TRY_SECONDS
    assert tries.seconds_to_wait("a", TRY_SECONDS / 4) == pytest.approx(TRY_SECONDS * 3 / 4)
    assert tries.seconds_to_wait("a", TRY_SECONDS) == 0
    tries.failed("a", b"one more", TRY_SECONDS)
    assert tries.seconds_to_wait("a", TRY_SECONDS) == TRY_SECONDS


def test_a_long_wait_restores_no_more_than_the_full_burst() -> None:
    tries = used_up(TokenRateLimiter(), "a")
    later = 1000 * TRY_SECONDS * TRIES_AT_ONCE_MAX
    used_up(tries, "a", later)
    assert tries.seconds_to_wait("a", later) > 0


def test_a_repeated_wrong_token_does_not_count_as_a_guess() -> None:
    tries = TokenRateLimiter()
    for _ in range(3 * TRIES_AT_ONCE_MAX):
        for stale in (b"old", b"older"):
            tries.failed("a", stale, 0)
            assert tries.seconds_to_wait("a", 0) == 0


def test_only_as_many_wrong_tokens_are_remembered_as_the_burst_allows() -> None:
    tries = used_up(TokenRateLimiter(), "a")
    later = 10 * TRIES_AT_ONCE_MAX * TRY_SECONDS
    used_up(tries, "a", later)
    assert tries.seconds_to_wait("a", later) == TRY_SECONDS
    tries.failed("a", b"%f %d" % (0, 0), later)
    assert tries.seconds_to_wait("a", later) == 2 * TRY_SECONDS, "forgotten, so it is a new one"


def test_wrong_tokens_of_one_address_do_not_delay_another() -> None:
    assert used_up(TokenRateLimiter(), "a").seconds_to_wait("b", 0) == 0


@pytest.mark.parametrize(("others", "is_known"), [(-1, True), (0, False), (1, False)])
def test_a_limited_number_of_addresses_is_remembered(others: int, is_known: bool) -> None:
    tries = used_up(TokenRateLimiter(), "first")
    for number in range(TRIES_ADDRESSES_MAX + others):
        tries.failed(str(number), b"guess", 0)
    assert (tries.seconds_to_wait("first", 0) > 0) is is_known
