"""After which place all removals are young."""

from random import Random

from dunena.persistence.jetstream.floor import KNOWN_MS, STEP_MS, Floor, YoungMessages


def test_the_floor_is_the_last_removal_that_is_old() -> None:
    floor = Floor()
    assert floor.at(KNOWN_MS) == 0
    floor.begin(3)
    floor.remove(5, 1000)
    floor.remove(9, 1000 + STEP_MS)
    assert floor.at(1000 + KNOWN_MS) == 3
    assert floor.at(1001 + KNOWN_MS) == 5
    assert floor.at(1001 + STEP_MS + KNOWN_MS) == 9
    floor.begin(4)
    assert floor.at(0) == 9


def test_another_floor_is_taken_over() -> None:
    floor, other = Floor(), Floor()
    floor.remove(5, 1000)
    other.begin(2)
    other.remove(7, 9000)
    floor.replace(other)
    assert floor.at(5000 + KNOWN_MS) == 2
    assert floor.at(9001 + KNOWN_MS) == 7


def test_no_old_removal_is_after_the_floor() -> None:
    random = Random(1)
    floor, young = Floor(), YoungMessages()
    now, removals, messages = 10**9, [], []
    for place in range(1, 5000):
        now += int(random.expovariate(1 / 5000))
        time = now + random.randrange(-200, 200)  # by several servers
        young.take(place, time)
        messages.append((place, time))
        if random.random() < 0.5:
            floor.remove(place, time)
            removals.append((place, time))
        old = [gone for gone, at in removals if at < now - KNOWN_MS]
        assert floor.at(now) <= max(old, default=0)
        assert floor.at(now) >= max(
            [gone for gone, at in removals if at < now - KNOWN_MS - STEP_MS - 1000], default=0
        )
        first = young.first(now)
        assert first is not None
        assert (
            now - KNOWN_MS <= messages[first - 1][1] <= max(now - KNOWN_MS + 60_000, messages[0][1])
        )
    assert young.first(now + KNOWN_MS + STEP_MS) is None
