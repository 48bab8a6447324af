"""The server's clock while the machine's clock is set."""

import time

import pytest

from dunena.server.clock import DRIFT_MS_MAX, Clock, sleepless_ns

NS_PER_MS = 1_000_000
START_MS = 1_750_000_000_000


class Machine:
    """A wall clock that is set, and one that only goes forward."""

    def __init__(self) -> None:
        self.wall_ms = START_MS
        self.forward_ms = 77
        self.slept_ms = 1234
        self.clock = Clock(
            lambda: self.wall_ms * NS_PER_MS,
            lambda: self.forward_ms * NS_PER_MS,
            lambda: (self.forward_ms + self.slept_ms) * NS_PER_MS,
        )

    def wait(self, ms: int, drift_ms: int = 0) -> None:
        self.forward_ms += ms
        self.wall_ms += ms + drift_ms

    def sleep(self, ms: int) -> None:
        self.slept_ms += ms
        self.wall_ms += ms


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_the_clock_starts_at_the_wall_clock_time(machine: Machine) -> None:
    assert machine.clock() == START_MS
    machine.wait(5)
    assert machine.clock() == START_MS + 5
    assert (machine.clock.detect_step(), machine.clock.step_ms) == (0, 0)


@pytest.mark.parametrize("step_ms", [259_200_000, -259_200_000, DRIFT_MS_MAX + 1])
def test_the_clock_does_not_follow_a_step_of_the_wall_clock(machine: Machine, step_ms: int) -> None:
    machine.wall_ms += step_ms
    machine.wait(1000)
    assert machine.clock() == START_MS + 1000
    assert machine.clock.detect_step() == step_ms
    assert machine.clock.step_ms == step_ms
    machine.wait(1000)
    assert machine.clock.detect_step() == 0, "it is told once"
    machine.wall_ms -= step_ms
    assert machine.clock.detect_step() == -step_ms
    assert machine.clock.step_ms == 0
    assert machine.clock() == START_MS + 2000


@pytest.mark.parametrize("drift_ms", [1, -1, DRIFT_MS_MAX])
@pytest.mark.parametrize("step_ms", [0, 259_200_000])
def test_the_clock_follows_a_drifting_wall_clock(
    machine: Machine, drift_ms: int, step_ms: int
) -> None:
    machine.wall_ms += step_ms
    machine.clock.detect_step()
    for _ in range(100):
        machine.wait(1000, drift_ms)
        assert machine.clock.detect_step() == 0
    assert machine.clock.step_ms == step_ms
    assert machine.clock() == START_MS + 100_000 + 100 * drift_ms


@pytest.mark.parametrize("step_ms", [0, 259_200_000])
def test_the_clock_advances_while_the_machine_sleeps(machine: Machine, step_ms: int) -> None:
    machine.sleep(28_800_000)
    machine.wall_ms += step_ms
    machine.wait(5)
    assert machine.clock.detect_step() == step_ms
    assert machine.clock() == START_MS + 28_800_005
    assert machine.clock.step_ms == step_ms


def test_the_clock_reads_the_real_clocks_of_the_machine() -> None:
    clock = Clock()
    assert abs(clock() - time.time() * 1000) < 60_000
    first = sleepless_ns()
    assert sleepless_ns() >= first
