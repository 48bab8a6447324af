"""A turn ends after so much work or so much time; who had a whole one is heavy for a while."""

from dunena.server.limits import TURN_BYTES_MAX, TURN_MS
from dunena.server.turn import Turn


def test_a_turn_ends_after_so_many_bytes() -> None:
    turn = Turn()
    assert not turn.use(TURN_BYTES_MAX - 1, 0.0)
    assert turn.use(1, 0.0)


def test_a_turn_ends_so_long_after_the_first_look() -> None:
    turn = Turn()
    assert not turn.use(1, 1_000.0)
    assert not turn.use(1, 1_000.0 + TURN_MS / 2)
    assert turn.use(1, 1_000.0 + TURN_MS)


def test_the_next_turn_has_all_of_its_bytes_and_its_time() -> None:
    turn = Turn()
    assert turn.use(TURN_BYTES_MAX, 0.0)
    turn.done_bytes = 0
    assert not turn.use(TURN_BYTES_MAX - 1, 10 * TURN_MS)
    assert not turn.use(0, 10.5 * TURN_MS)
    assert turn.use(0, 11 * TURN_MS)


def test_a_new_connection_is_heavy_until_it_was_seen_to_ask_for_little() -> None:
    turn = Turn()
    assert turn.is_heavy
    turn.sweep()
    assert not turn.is_heavy


def test_a_whole_turn_makes_heavy_until_the_sweep_after_the_next() -> None:
    turn = Turn()
    turn.sweep()
    turn.mark_heavy()
    assert turn.is_heavy
    turn.sweep()
    assert turn.is_heavy
    turn.sweep()
    assert not turn.is_heavy


def test_who_waits_for_its_turn_stays_heavy() -> None:
    turn = Turn()
    turn.is_waiting = True
    for _ in range(3):
        turn.sweep()
        assert turn.is_heavy
    turn.is_waiting = False
    turn.sweep()
    assert not turn.is_heavy
