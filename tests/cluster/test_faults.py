"""A cluster to which bad things happen keeps its promises to clients that write and follow.

A few faults by default, each of another kind. On request

- `DUNENA_CLUSTER_PROOF="3 5"` runs the list of tests/cluster/proof.py with three NATS servers and
  three nodes, and with five and five; at best that is a quarter of an hour each;
- `DUNENA_CLUSTER_FAULTS` says how many random faults there are in place of the few,
  `DUNENA_CLUSTER_ONLY` of which kinds (names of tests/cluster/faults.py with spaces between), and
  `DUNENA_CLUSTER_SERVERS` and `DUNENA_CLUSTER_NODES` for how many machines (3 and 3).

Which ones and how long they last follows from a seed that is printed; `DUNENA_CLUSTER_SEED` has it
done again, as far as real machines let that be. Networks are cut and disks fail where that can be
done (as root).
"""

import os
import pickle
import random
import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.cluster import faults, proof
from tests.cluster.cast import Clients
from tests.cluster.checks import problems
from tests.cluster.clients import NS
from tests.cluster.counts import summarize
from tests.cluster.disks import Disk, mounted, why_no_disks
from tests.cluster.faults import Fault
from tests.cluster.history import longest_silence
from tests.cluster.machines import Cluster
from tests.cluster.networks import Loopback, Namespaces, why_no_namespaces

PROOF_SIZES = [int(size) for size in os.environ.get("DUNENA_CLUSTER_PROOF", "").split()]
FAULTS = int(os.environ.get("DUNENA_CLUSTER_FAULTS", "0"))
SERVERS = int(os.environ.get("DUNENA_CLUSTER_SERVERS", "3"))
NODES = int(os.environ.get("DUNENA_CLUSTER_NODES", "3"))
SEED = int(os.environ.get("DUNENA_CLUSTER_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)

ONLY = os.environ.get("DUNENA_CLUSTER_ONLY", "").split()

SHORT: tuple[Fault, ...] = (faults.kill_the_leader, faults.kill_a_node, faults.pause_a_node)
SHORT_IN_NAMESPACES: tuple[Fault, ...] = (faults.isolate_the_leader,)
SHORT_WITH_DISKS: tuple[Fault, ...] = (faults.fail_the_disk_of_the_leader,)

is_loss = re.compile(r" lost own-| is lost: | counted ").search
"""The contradictions of which each is an acknowledged write that is not there."""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="there is a NATS server for Linux alone"
)


class Place:
    """Where machines are, and what can happen to them there."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.why_no_networks = why_no_namespaces()
        self.why_no_disks = why_no_disks(folder)
        for reason in (self.why_no_networks, self.why_no_disks):
            if reason:
                say(f"some faults are left out: {reason}")
        self.kinds = (
            *faults.ANYWHERE,
            *(() if self.why_no_networks else faults.IN_NAMESPACES),
            *(() if self.why_no_disks else faults.WITH_DISKS),
        )

    @contextmanager
    def cluster(self, servers: int, nodes: int, *, has_disks: bool) -> Iterator[Cluster]:
        """Start a cluster of which every server keeps everything."""
        disks: dict[str, Disk] = {}
        if has_disks and not self.why_no_disks:
            for number in range(1, servers + 1):
                disk = self._stack.enter_context(mounted(self._folder / f"disk-{number}"))
                disks[f"n{number}"] = disk
        network = Loopback() if self.why_no_networks else Namespaces()
        options = ("--store-replicas", str(servers))
        with Cluster(
            self._folder, network, servers=servers, nodes=nodes, disks=disks, options=options
        ) as cluster:
            yield cluster


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        yield Place(tmp_path, stack)


def say(text: str) -> None:
    """Tell whoever watches a long run, or looks at a failed one."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def run_through(cluster: Cluster, plan: list[Fault], chance: random.Random) -> None:
    """Let clients work while one fault after the other happens; nothing promised is broken."""
    clients = Clients([node.ws_url for node in cluster.nodes], SEED)
    clients.start()
    began_at = time.monotonic()
    for number, fault in enumerate(plan, 1):
        # Not into what the fault before it has left, but also not always into peace.
        time.sleep(chance.uniform(0.2, 2))
        at = time.monotonic()
        what = fault(cluster, chance)
        cluster.wait_until_ready()
        ready_at = time.monotonic()
        silence = longest_silence(clients.history, at, ready_at)
        say(
            f"{at - began_at:6.1f} s, {number} of {len(plan)}: {what}; ready again after "
            f"{ready_at - at:.1f} s, longest time without an acknowledgement {silence:.1f} s"
        )
    time.sleep(1)
    history = clients.finish(lambda node: cluster.read_all(node, NS), len(cluster.nodes))
    found = problems(history)
    say(f"{len(plan)} faults in {time.monotonic() - began_at:.0f} s: {proof.describe(plan)}")
    say(summarize(history))
    lost = sum(bool(is_loss(one)) for one in found)
    say(f"acknowledged writes lost: {lost}; contradictions of a promise in all: {len(found)}")
    if found:
        # For a look at what led to it.
        kept = cluster.folder / "history.pickle"
        kept.write_bytes(pickle.dumps(history))
        pytest.fail("\n".join([f"{len(found)} problems; {kept}", *found[:30]]))
    assert len(history.counted) > 10 * len(plan)


@pytest.mark.timeout(600 + 60 * FAULTS)
def test_faults_break_no_promise(place: Place) -> None:
    chance = random.Random(SEED)
    say(f"DUNENA_CLUSTER_SEED={SEED} DUNENA_CLUSTER_FAULTS={FAULTS}")
    named = [kind for kind in place.kinds if proof.name_of(kind) in ONLY]
    plan = [
        *SHORT,
        *(() if place.why_no_networks else SHORT_IN_NAMESPACES),
        *(() if place.why_no_disks else SHORT_WITH_DISKS),
    ]
    if FAULTS:
        plan = chance.choices(named or place.kinds, k=FAULTS)
    has_disks = not set(faults.WITH_DISKS).isdisjoint(plan)
    with place.cluster(SERVERS, NODES, has_disks=has_disks) as cluster:
        run_through(cluster, plan, chance)


@pytest.mark.timeout(3600)
@pytest.mark.skipif(not PROOF_SIZES, reason='takes long: DUNENA_CLUSTER_PROOF="3 5" runs it')
@pytest.mark.parametrize("size", PROOF_SIZES or [3])
def test_the_whole_list_breaks_no_promise(place: Place, size: int) -> None:
    chance = random.Random(SEED)
    say(f"DUNENA_CLUSTER_SEED={SEED} DUNENA_CLUSTER_PROOF={size}")
    plan = proof.make_list(
        chance, has_networks=not place.why_no_networks, has_disks=not place.why_no_disks
    )
    with place.cluster(size, size, has_disks=True) as cluster:
        run_through(cluster, plan, chance)
