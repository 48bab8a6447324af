"""The limits of a turn in bytes and time, and heavy connections."""

from dunena.server.limits import TURN_BYTES_MAX, TURN_MS
from dunena.server.turn import Turn


def test_a_turn_ends_after_its_byte_limit() -> None:
    turn = Turn()
    assert not turn.use(TURN_BYTES_MAX - 1, 0.0)
    assert turn.use(1, 0.0)


def test_a_turn_ends_after_its_time_limit() -> None:
    turn = Turn()
    assert not turn.use(1, 1_000.0)
    assert not turn.use(1, 1_000.0 + TURN_MS / 2)
    assert turn.use(1, 1_000.0 + TURN_MS)


def test_the_next_turn_has_its_full_byte_and_time_limits() -> None:
    turn = Turn()
    assert turn.use(TURN_BYTES_MAX, 0.0)
    turn.done_bytes = 0
    assert not turn.use(TURN_BYTES_MAX - 1, 10 * TURN_MS)
    assert not turn.use(0, 10.5 * TURN_MS)
    assert turn.use(0, 11 * TURN_MS)


def test_a_new_connection_is_heavy_until_the_first_sweep() -> None:
    turn = Turn()
    assert turn.is_heavy
    turn.sweep()
    assert not turn.is_heavy


def test_a_connection_marked_heavy_stays_heavy_for_two_sweeps() -> None:
    turn = Turn()
    turn.sweep()
    turn.mark_heavy()
    assert turn.is_heavy
    turn.sweep()
    assert turn.is_heavy
    turn.sweep()
    assert not turn.is_heavy


def test_a_connection_waiting_for_its_turn_stays_heavy() -> None:
    turn = Turn()
    turn.is_waiting = True
    for _ in range(3):
        turn.sweep()
        assert turn.is_heavy
    turn.is_waiting = False
    turn.sweep()
    assert not turn.is_heavy
