"""Connections with more work than one turn take turns in rounds."""

from collections.abc import Callable

from dunena.server.limits import ROUND_MS
from dunena.server.turns import Turns


class Hall:
    """Turns of a loop that goes round when a test says so, with a clock that work moves."""

    def __init__(self) -> None:
        self.now_ms = 0.0
        self.soon: list[Callable[[], None]] = []
        self.is_laden = False
        self.done: list[str] = []
        self.turns = Turns(
            self.soon.append,
            lambda: self.now_ms,
            lambda: self.done.append("answers"),
            lambda: self.is_laden,
        )

    def wait(self, name: str, *, takes_ms: float = 0.0, times: int = 1) -> None:
        def work() -> None:
            self.done.append(name)
            self.now_ms += takes_ms
            if times > 1:
                self.wait(name, takes_ms=takes_ms, times=times - 1)

        self.turns.wait(work)

    def go_round(self) -> list[str]:
        """A round of those who wait, after one of those who do not."""
        self.done.clear()
        for _ in range(2):
            assert self.done == []
            soon, self.soon[:] = list(self.soon), []
            for action in soon:
                action()
        answers, rest = self.done[:1], self.done[1:]
        assert answers in ([], ["answers"]), "what others asked is answered first"
        return rest


def test_each_waiting_connection_has_one_turn_per_round() -> None:
    hall = Hall()
    hall.wait("a", times=3)
    hall.wait("b", times=2)
    assert [hall.go_round() for _ in range(4)] == [["a", "b"], ["a", "b"], ["a"], []]


def test_a_round_ends_at_its_time_limit_and_the_next_continues_in_order() -> None:
    hall = Hall()
    for name in "abc":
        hall.wait(name, takes_ms=ROUND_MS / 2, times=2)
    assert hall.go_round() == ["a", "b"]
    assert hall.go_round() == ["c", "a"]
    assert hall.go_round() == ["b", "c"]
    assert hall.soon == [], "nobody waits, so the loop may sleep"


def test_no_turn_is_given_while_the_tick_is_overloaded() -> None:
    hall = Hall()
    hall.wait("a", times=2)
    hall.is_laden = True
    assert hall.go_round() == []
    assert hall.soon == [], "the loop turns in vain"
    hall.is_laden = False
    hall.turns.go_on()
    hall.turns.go_on()
    assert len(hall.soon) == 1
    assert hall.go_round() == ["a"]
