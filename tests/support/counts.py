"""How many examples the tests play that choose them at random: few, or many on request."""

import os

IS_LONG = os.environ.get("DUNENA_TEST_LONG", "") not in ("", "0")


def count_of(variable: str, few: int, many: int) -> int:
    """Return the number that an environment variable has.

    Without it ``few``, which every change waits for, and ``many`` where ``DUNENA_TEST_LONG`` is
    set.
    """
    return int(os.environ.get(variable) or (many if IS_LONG else few))
