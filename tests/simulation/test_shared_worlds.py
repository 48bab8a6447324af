"""Nodes that share a simulated log keep what the contract promises, whatever becomes of the log."""

import os

import pytest

from tests.simulation.seeds import seeds_of
from tests.simulation.simulated_cluster import World

WORLDS = int(os.environ.get("DUNENA_SIMULATION_SHARED", "100"))
PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_the_promises_hold_in_random_worlds(part: int) -> None:
    for seed in seeds_of("DUNENA_SIMULATION_SHARED_SEED", WORLDS, part, PARTS):
        try:
            World(seed).play()
        except Exception as error:
            error.add_note(f"DUNENA_SIMULATION_SHARED_SEED={seed}")
            raise
