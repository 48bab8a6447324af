"""How long tests wait for what other processes do."""

import os

VARIABLE = "DUNENA_TEST_PATIENCE"


def patiently(seconds: float) -> float:
    """A limit in seconds, made longer where the variable says that everything lasts longer."""
    return seconds * float(os.environ.get(VARIABLE, "1"))
