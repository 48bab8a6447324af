"""The list of what a cluster has to survive, for a proof on request, and what became of it."""

import random
from collections import Counter
from collections.abc import Callable

from tests.cluster import faults
from tests.cluster.faults import Fault

LEADER_KILLS = 20
NODE_KILLS = 20
RESTARTS = 3

PARTITIONS: tuple[Fault, ...] = (
    faults.isolate_the_leader,
    faults.isolate_a_server,
    faults.isolate_a_node,
    faults.split_in_halves,
    faults.split_two_servers,
)

FAILING_DISKS: tuple[Fault, ...] = (faults.fail_the_disk_of_the_leader, faults.fail_most_disks)


def make_list(chance: random.Random, *, has_networks: bool, has_disks: bool) -> list[Fault]:
    """Return all faults of a proof, in an order by chance."""
    plan = [
        *[faults.kill_the_leader] * LEADER_KILLS,
        *[faults.kill_a_node] * NODE_KILLS,
        *[faults.pause_the_leader] * 3,
        *[faults.pause_a_node] * 2,
        *[faults.restart_everything] * RESTARTS,
        *(PARTITIONS if has_networks else ()),
        *(FAILING_DISKS if has_disks else ()),
    ]
    chance.shuffle(plan)
    return plan


def describe(plan: list[Fault]) -> str:
    """Say what is in a list, in one line."""
    counts = Counter(map(name_of, plan))
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def name_of(fault: Callable[..., str]) -> str:
    """The name of a fault, as `DUNENA_CLUSTER_ONLY` has it."""
    return fault.__name__
