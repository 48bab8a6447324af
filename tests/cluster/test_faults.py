"""A cluster to which bad things happen keeps its promises to clients that write and follow.

A few faults by default, each of another kind; `DUNENA_CLUSTER_FAULTS` says how many random ones
else, `DUNENA_CLUSTER_ONLY` of which kinds (names of tests/cluster/faults.py with spaces between),
and `DUNENA_CLUSTER_SERVERS` and `DUNENA_CLUSTER_NODES` of how many machines (3 and 3). Which
ones and how long they last follows from a seed that is printed; `DUNENA_CLUSTER_SEED` has it done
again, as far as real machines let that be. Networks are cut where that can be done (as root).
"""

import os
import pickle
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.cluster import faults
from tests.cluster.clients import NS, Clients
from tests.cluster.faults import Fault
from tests.cluster.history import longest_silence, problems, summarize
from tests.cluster.machines import Cluster
from tests.cluster.networks import Loopback, Namespaces, can_make_namespaces

FAULTS = int(os.environ.get("DUNENA_CLUSTER_FAULTS", "0"))
SERVERS = int(os.environ.get("DUNENA_CLUSTER_SERVERS", "3"))
NODES = int(os.environ.get("DUNENA_CLUSTER_NODES", "3"))
SEED = int(os.environ.get("DUNENA_CLUSTER_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)

ONLY = os.environ.get("DUNENA_CLUSTER_ONLY", "").split()

DISK_BYTES = faults.DISK_MIB << 20

SHORT: tuple[Fault, ...] = (faults.kill_the_leader, faults.kill_a_node, faults.pause_a_node)
SHORT_IN_NAMESPACES: tuple[Fault, ...] = (faults.isolate_the_leader,)

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="there is a NATS server for Linux alone"),
    pytest.mark.timeout(600 + 60 * FAULTS),
]


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A device that is soon full, in memory."""
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder], check=True
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def say(text: str) -> None:
    """Tell whoever watches a long run, or looks at a failed one."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def run_through(cluster: Cluster, plan: list[Fault], chance: random.Random) -> None:
    """Let clients work while one fault after the other happens; nothing promised is broken."""
    clients = Clients([node.ws_url for node in cluster.nodes], SEED)
    clients.start()
    began_at = time.monotonic()
    for fault in plan:
        # Not into what the fault before it has left, but also not always into peace.
        time.sleep(chance.uniform(0.2, 2))
        at = time.monotonic()
        what = fault(cluster, chance)
        cluster.wait_until_ready()
        ready_at = time.monotonic()
        silence = longest_silence(clients.history, at, ready_at)
        say(
            f"{at - began_at:6.1f} s: {what}; ready again after {ready_at - at:.1f} s, "
            f"longest time without an acknowledgement {silence:.1f} s"
        )
    time.sleep(1)
    history = clients.finish(lambda node: cluster.read_all(node, NS), len(cluster.nodes))
    say(summarize(history))
    found = problems(history)
    if found:
        # For a look at what led to it.
        kept = cluster.folder / "history.pickle"
        kept.write_bytes(pickle.dumps(history))
        pytest.fail("\n".join([f"{len(found)} problems; {kept}", *found[:30]]))
    assert len(history.counted) > 10 * len(plan)


def plan_of(kinds: Sequence[Fault], short: Sequence[Fault], chance: random.Random) -> list[Fault]:
    """The faults of this run, in their order."""
    if not FAULTS:
        return list(short)
    named = [kind for kind in kinds if getattr(kind, "__name__", "fill_the_disk") in ONLY]
    return chance.choices(named or kinds, k=FAULTS)


def test_faults_break_no_promise(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    say(f"DUNENA_CLUSTER_SEED={SEED} DUNENA_CLUSTER_FAULTS={FAULTS}")
    if not can_make_namespaces():
        with Cluster(tmp_path, Loopback(), servers=SERVERS, nodes=NODES) as cluster:
            run_through(cluster, plan_of(faults.ANYWHERE, SHORT, chance), chance)
        return
    with small_disk(tmp_path / "disk") as disk:
        stores = {"n1": disk / "store"}
        network = Namespaces()
        with Cluster(tmp_path, network, servers=SERVERS, nodes=NODES, stores=stores) as cluster:
            full = partial(faults.fill_the_disk, store=stores["n1"])
            kinds = (*faults.ANYWHERE, *faults.IN_NAMESPACES, full)
            short = (*SHORT, *SHORT_IN_NAMESPACES)
            run_through(cluster, plan_of(kinds, short, chance), chance)
