"""What happens to a cluster: each fault begins, lasts, and ends with everything as it was.

A fault is a function of the cluster and of randomness for how long things last. When it returns,
all machines run and reach each other again, if they have not caught up yet.
"""

import random
import time
from collections.abc import Callable
from pathlib import Path

from tests.cluster.machines import Cluster, Machine, NatsServer, Node
from tests.cluster.networks import Namespaces

Fault = Callable[[Cluster, random.Random], str]
"""Does something, and says what it was."""

DISK_MIB = 64
"""The size of the device that `fill_a_disk` fills."""


def _restart_after(machine: Machine, seconds: float) -> None:
    time.sleep(seconds)
    machine.start()


def kill_the_leader(cluster: Cluster, chance: random.Random) -> str:
    """The stream has no leader until another one is chosen."""
    leader = cluster.leader()
    leader.kill()
    _restart_after(leader, chance.uniform(0.5, 8))
    return f"killed {leader.name}, the leader"


def kill_a_follower(cluster: Cluster, chance: random.Random) -> str:
    """Nodes that were connected there go to another server."""
    server = cluster.follower()
    server.kill()
    _restart_after(server, chance.uniform(0.5, 8))
    return f"killed {server.name}"


def stop_the_leader(cluster: Cluster, chance: random.Random) -> str:
    """As an upgrade does."""
    leader = cluster.leader()
    leader.stop()
    _restart_after(leader, chance.uniform(0.2, 3))
    return f"stopped {leader.name}, the leader"


def pause_the_leader(cluster: Cluster, chance: random.Random) -> str:
    """A server that hangs still has its connections, and wakes up with old ones."""
    leader = cluster.leader()
    _pause(leader, chance.uniform(2, 8))
    return f"paused {leader.name}, the leader"


def kill_a_node(cluster: Cluster, chance: random.Random) -> str:
    """Its clients go to other nodes, with what they have not got an answer for."""
    node = chance.choice(cluster.nodes)
    node.kill()
    _restart_after(node, chance.uniform(0.1, 2))
    return f"killed {node.name}"


def stop_a_node(cluster: Cluster, chance: random.Random) -> str:
    """As an upgrade does."""
    node = chance.choice(cluster.nodes)
    assert node.stop() == 0, node.log
    _restart_after(node, chance.uniform(0.1, 1))
    return f"stopped {node.name}"


def pause_a_node(cluster: Cluster, chance: random.Random) -> str:
    """It wakes up in the middle of what it did, and the others have gone on."""
    node = chance.choice(cluster.nodes)
    _pause(node, chance.uniform(1, 8))
    return f"paused {node.name}"


def restart_all_servers(cluster: Cluster, chance: random.Random) -> str:
    """A power cut of the whole place, as far as processes can have one."""
    for server in cluster.servers:
        server.kill()
    time.sleep(chance.uniform(0, 3))
    for server in cluster.servers:
        server.start()
    return "killed all servers"


def restart_everything(cluster: Cluster, chance: random.Random) -> str:
    """Servers and nodes at once."""
    machines: list[NatsServer | Node] = [*cluster.nodes, *cluster.servers]
    for machine in machines:
        machine.kill()
    time.sleep(chance.uniform(0, 2))
    chance.shuffle(machines)
    for machine in machines:
        machine.start()
    return "killed everything"


def _pause(machine: Machine, seconds: float) -> None:
    machine.pause()
    time.sleep(seconds)
    machine.resume()


# --- on machines with networks of their own


def isolate_the_leader(cluster: Cluster, chance: random.Random) -> str:
    """The leader alone on one side: it must not acknowledge anything."""
    leader = cluster.leader()
    _isolate(cluster, leader, chance.uniform(5, 12))
    return f"isolated {leader.name}, the leader"


def isolate_a_node(cluster: Cluster, chance: random.Random) -> str:
    """Nobody reaches it, and it reaches nobody; its clients' requests are lost on the way."""
    node = chance.choice(cluster.nodes)
    _isolate(cluster, node, chance.uniform(2, 10))
    return f"isolated {node.name}"


def split_two_servers(cluster: Cluster, chance: random.Random) -> str:
    """The leader and a follower no longer reach each other, but all others reach both."""
    network = cluster.network
    assert isinstance(network, Namespaces)
    leader = cluster.leader()
    other = next(server for server in cluster.servers if server is not leader)
    network.split(leader.place, other.place)
    time.sleep(chance.uniform(4, 12))
    network.join(leader.place, other.place)
    return f"split {leader.name} from {other.name}"


def split_a_node_from_the_leader(cluster: Cluster, chance: random.Random) -> str:
    """The node reaches the other servers, which pass on what it asks."""
    network = cluster.network
    assert isinstance(network, Namespaces)
    node, leader = chance.choice(cluster.nodes), cluster.leader()
    network.split(node.place, leader.place)
    time.sleep(chance.uniform(3, 8))
    network.join(node.place, leader.place)
    return f"split {node.name} from {leader.name}"


def _isolate(cluster: Cluster, machine: Machine, seconds: float) -> None:
    network = cluster.network
    assert isinstance(network, Namespaces)
    network.cut(machine.place)
    time.sleep(seconds)
    network.mend(machine.place)


def fill_the_disk(cluster: Cluster, chance: random.Random, *, store: Path) -> str:
    """A server's device is full for a time, and the server started again when it is not.

    ``store`` is its folder, on a device of its own.
    """
    (server,) = [one for one in cluster.servers if one.store == store]
    ballast = store.parent / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            pass
    time.sleep(chance.uniform(3, 8))
    ballast.unlink()
    server.kill()
    server.start()
    return f"filled the disk of {server.name}"


ANYWHERE: tuple[Fault, ...] = (
    kill_the_leader,
    kill_a_follower,
    stop_the_leader,
    pause_the_leader,
    kill_a_node,
    stop_a_node,
    pause_a_node,
    restart_all_servers,
    restart_everything,
)

IN_NAMESPACES: tuple[Fault, ...] = (
    isolate_the_leader,
    isolate_a_node,
    split_two_servers,
    split_a_node_from_the_leader,
)
