"""A budget shared by many holders: the largest holder is dropped when it is exceeded."""

from functools import partial

from dunena.server.budget import Budget


class Hall:
    """Holders by name, and who gave up."""

    def __init__(self, bytes_max: int) -> None:
        self.budget = Budget(bytes_max)
        self.gone: list[str] = []
        self._holders = {name: partial(self.gone.append, name) for name in "abc"}

    def hold(self, name: str, size: int) -> None:
        self.budget.hold(self._holders[name], size)


def test_no_holder_is_dropped_within_the_budget() -> None:
    hall = Hall(10)
    for size in (10, 3, 0, 10):
        hall.hold("a", size)
    assert (hall.gone, hall.budget.bytes, len(hall.budget)) == ([], 10, 1)
    hall.hold("a", 0)
    assert (hall.budget.bytes, len(hall.budget)) == (0, 0)


def test_the_largest_holder_is_dropped_whichever_exceeds_the_budget() -> None:
    hall = Hall(10)
    hall.hold("a", 6)
    hall.hold("b", 3)
    hall.hold("c", 2)
    assert (hall.gone, hall.budget.bytes) == (["a"], 5)


def test_the_first_of_equal_holders_is_dropped() -> None:
    hall = Hall(10)
    for name in "abc":
        hall.hold(name, 4)
    assert (hall.gone, hall.budget.bytes) == (["a"], 8)


def test_holders_are_dropped_until_the_budget_holds() -> None:
    hall = Hall(10)
    hall.hold("a", 5)
    hall.hold("b", 5)
    hall.hold("c", 8)
    assert (hall.gone, hall.budget.bytes) == (["c"], 10)
    hall.hold("c", 11)
    assert hall.gone == ["c", "c"]
