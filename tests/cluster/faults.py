"""What happens to a cluster: each fault begins, lasts, and ends with everything as it was.

A fault is a function of the cluster and of randomness for how long things last. When it returns,
all machines run and reach each other again, if they have not caught up yet.
"""

import random
import time
from collections.abc import Callable

from tests.cluster.machines import Cluster, Machine, NatsServer, Node
from tests.cluster.networks import Namespaces

Fault = Callable[[Cluster, random.Random], str]
"""Does something, and says what it was."""


def _restart_after(machine: Machine, seconds: float) -> None:
    time.sleep(seconds)
    machine.start()


def kill_the_leader(cluster: Cluster, chance: random.Random) -> str:
    """The stream has no leader until another one is chosen, after which this one is back."""
    leader = cluster.leader()
    leader.kill()
    began_at = time.monotonic()
    other = cluster.leader()
    seconds = time.monotonic() - began_at
    _restart_after(leader, chance.uniform(0, 2))
    return f"killed {leader.name}, the leader, which is {other.name} after {seconds:.1f} s"


def kill_the_leader_for_a_moment(cluster: Cluster, chance: random.Random) -> str:
    """It may be back before another one is chosen."""
    leader = cluster.leader()
    leader.kill()
    _restart_after(leader, chance.uniform(0.2, 5))
    return f"killed {leader.name}, the leader, for a moment"


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


def isolate_a_server(cluster: Cluster, chance: random.Random) -> str:
    """One that is not the leader; a node that is connected to it has to go to another."""
    server = cluster.follower()
    _isolate(cluster, server, chance.uniform(5, 12))
    return f"isolated {server.name}"


def split_in_halves(cluster: Cluster, chance: random.Random) -> str:
    """The leader with fewer servers than half, and a part of the nodes, on one side."""
    network = cluster.network
    assert isinstance(network, Namespaces)
    leader = cluster.leader()
    others = [server for server in cluster.servers if server is not leader]
    few = [leader, *others[: (len(cluster.servers) - 1) // 2 - 1]]
    nodes = chance.sample(cluster.nodes, len(cluster.nodes) // 2)
    one_side: list[Machine] = [*few, *nodes]
    other_side = [one for one in (*cluster.servers, *cluster.nodes) if one not in one_side]
    pairs = [(one.place, other.place) for one in one_side for other in other_side]
    for pair in pairs:
        network.split(*pair)
    time.sleep(chance.uniform(8, 14))
    for pair in pairs:
        network.join(*pair)
    return f"split {', '.join(one.name for one in one_side)} from the others"


# --- at servers with disks of their own


def fill_a_disk(cluster: Cluster, chance: random.Random) -> str:
    """A server's device is full for a time, and the server started again when it is not."""
    server = chance.choice(cluster.servers)
    with cluster.disks[server.name].filled():
        time.sleep(chance.uniform(3, 8))
    server.kill()
    server.start()
    return f"filled the disk of {server.name}"


def fail_the_disk_of_the_leader(cluster: Cluster, chance: random.Random) -> str:
    """Each access ends in an error, and what was not forced to the device is lost."""
    leader = cluster.leader()
    cluster.disks[leader.name].fail()
    return f"let the disk of {leader.name} fail, the leader; {_repair(cluster, [leader], chance)}"


def fail_the_disk_of_a_follower(cluster: Cluster, chance: random.Random) -> str:
    """As that of the leader."""
    server = cluster.follower()
    cluster.disks[server.name].fail()
    return f"let the disk of {server.name} fail; {_repair(cluster, [server], chance)}"


def make_a_disk_read_only(cluster: Cluster, chance: random.Random) -> str:
    """As the kernel does with a file system that it found an error in."""
    server = chance.choice(cluster.servers)
    cluster.disks[server.name].become_read_only()
    return f"made the disk of {server.name} read-only; {_repair(cluster, [server], chance)}"


def fail_most_disks(cluster: Cluster, chance: random.Random) -> str:
    """Of so many servers that the others are too few, the leader among them."""
    leader = cluster.leader()
    others = [server for server in cluster.servers if server is not leader]
    failing = [leader, *chance.sample(others, len(cluster.servers) // 2)]
    for server in failing:
        cluster.disks[server.name].fail()
    names = " and ".join(server.name for server in failing)
    return f"let the disks of {names} fail; {_repair(cluster, failing, chance)}"


def _repair(cluster: Cluster, servers: list[NatsServer], chance: random.Random) -> str:
    """After a while, put disks right and start their servers anew; how many had ended."""
    time.sleep(chance.uniform(8, 14))
    ended = sum(not server.is_running for server in servers)
    for server in servers:
        server.kill()
        cluster.disks[server.name].repair()
        server.start()
    return f"{ended} of {len(servers)} servers ended by themselves"


ANYWHERE: tuple[Fault, ...] = (
    kill_the_leader,
    kill_the_leader_for_a_moment,
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
    isolate_a_server,
    split_in_halves,
    split_two_servers,
    split_a_node_from_the_leader,
)

WITH_DISKS: tuple[Fault, ...] = (
    fill_a_disk,
    fail_the_disk_of_the_leader,
    fail_the_disk_of_a_follower,
    make_a_disk_read_only,
    fail_most_disks,
)
