"""What is measured: every workload, and which of its figures are told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from .phrases import Phrases, Talk

Result = Mapping[str, float]
"""What `wsload` says of one run: `wsload.c` names the fields."""

STORE, WATCH, DUNENA, HTTP, OTHER = "store", "watch", "dunena", "http", "other"
"""Ways to talk to a contender. `STORE`: the object-store dialect, or what a server of another
protocol has in its place; `WATCH`: what only dunena has of that dialect; `OTHER`: another protocol
where what it does is more than that dialect."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One column: a field of the result, divided by ``divisor`` and told with ``places``."""

    field: str
    heading: str
    places: int = 1
    divisor: float = 1


CPU = Figure("cpu_us", "CPU us", 2)
RATE = Figure("ops_s", "per second", 0)
P50 = Figure("p50_us", "p50 us", 0)
P99 = Figure("p99_us", "p99 us", 0)
PER_READ = Figure("replies_per_read", "replies a read", 1)
RSS = Figure("server_rss_kb", "server MB", 1, 1024)
GROWTH = Figure("server_growth_kb", "grew by MB", 1, 1024)
PER_CONNECTION = Figure("kb_per_connection", "KB each", 2)
PER_CONNECTION_PSS = Figure("pss_kb_per_connection", "KB each, PSS", 2)
WHEN_IT_WOKE = (
    Figure("laggard_closed", "reader closed", 0),
    Figure("laggard_missing", "newest values it missed", 0),
    Figure("laggard_backwards", "older after newer", 0),
)
PUBLISHED = Figure("published_s", "published/s", 0)
BESIDE = "of_beside"
"""Field of the result: the first figure, divided by that of the workload `Workload.beside`."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One thing that is measured.

    ``ways`` are the ways to talk that do it; ``say`` asks a protocol's phrases for it. ``load`` are
    options of `wsload`. The first of ``figures`` is the one whose ratio to Bun's is told.
    ``keeps``: the server must write what it is given to the disk. ``rounds`` and ``seconds`` are
    its own where those of the command line make no sense for it. ``beside``: another workload that
    is measured right before it, in the same round. ``missed``: how many changes, of a hundred of
    its keys in turn, were made after the position that it resumes from.
    """

    name: str
    title: str
    say: Callable[[Phrases], Talk | None]
    connections: int
    load: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = (CPU, RATE, P50, P99, PER_READ, RSS)
    ways: tuple[str, ...] = (STORE,)
    keys: int = 1000
    fill: int = 0
    keeps: bool = False
    rounds: int | None = None
    seconds: float | None = None
    beside: "Workload | None" = None
    missed: int | None = None

    def options(self, talk: Talk, connections: int) -> list[str]:
        """Arguments of `wsload`."""
        shape = ["-c", str(connections), "-k", str(self.keys), "-z", str(self.fill)]
        return [*shape, *self.load, *talk.options()]


def _get(name: str, connections: int, depth: int, title: str, *ways: str) -> Workload:
    load = ("-d", str(depth))
    return Workload(name, title, lambda phrases: phrases.get(), connections, load, ways=ways)


def _set(name: str, title: str, *ways: str) -> Workload:
    return Workload(name, title, lambda phrases: phrases.set(), 64, ways=ways)


def _set_and_see(connections: int, *, keeps: bool) -> Workload:
    alone = "" if connections > 1 else "-1x1"
    kept, on_disk = ("-kept", ", kept on disk") if keeps else ("", "")
    return Workload(
        f"set-see{kept}{alone}",
        f"`set` of an own key and its update, {connections} x 1{on_disk}",
        lambda phrases: phrases.set_and_see(),
        connections,
        fill=64,
        keeps=keeps,
    )


def _large(name: str, size: str, fill: int) -> Workload:
    title = f"a value of {size}, set and seen"
    return Workload(name, title, lambda phrases: phrases.set_and_see(), 1, fill=fill)


def _fan_out(subscribers: int, ahead: int) -> Workload:
    return Workload(
        f"fan-out-{subscribers}-{ahead}",
        f"one update to {subscribers:,} subscribers, {ahead} ahead, per delivery",
        lambda phrases: phrases.fan_out(),
        subscribers + 1,
        ("-d", str(ahead)),
        keys=1,
    )


def _watch(subscribers: int, ahead: int) -> Workload:
    return replace(
        _fan_out(subscribers, ahead),
        name=f"watch-{subscribers}-{ahead}",
        title=f"one update to {subscribers:,} watches of its key, {ahead} ahead, per delivery",
        say=lambda phrases: phrases.watch(),
        figures=(CPU, Figure(BESIDE, "of `subscribe`'s", 2), RATE, P50, P99, PER_READ, RSS),
        ways=(WATCH,),
        beside=_fan_out(subscribers, ahead),
    )


def _resume(name: str, missed: int, title: str) -> Workload:
    return Workload(
        f"resume-{name}",
        f"a client comes back to 100,000 keys: {title}",
        lambda phrases: phrases.resume(),
        1,
        ("-R",),
        ways=(WATCH,),
        keys=100_000,
        missed=missed,
    )


def _delivery(rate: int) -> Workload:
    return Workload(
        f"delivery-{rate}",
        f"delivery to 100 subscribers at {rate:,} updates a second",
        lambda phrases: phrases.fan_out(),
        101,
        ("-r", str(rate)),
        (P99, P50, Figure("longest_us", "longest us", 0), CPU, RATE, RSS),
        keys=1,
    )


def _slow_reader(name: str, title: str, *slow: str) -> Workload:
    return Workload(
        name,
        title,
        lambda phrases: phrases.fan_out(),
        11 + bool(slow),
        ("-d", "4", *slow),
        (CPU, PUBLISHED, GROWTH, RSS, *(WHEN_IT_WOKE if slow else ())),
        keys=100,
        fill=1000,
    )


IDLE_CONNECTIONS = 20_000

STOPPED = "0.000000001"
"""A share so small that a reader does not read at all until it wakes."""

WORKLOADS = (
    _get("get-64x1", 64, 1, "`get`, 64 connections x 1 in flight", STORE),
    _get("get-16x16", 16, 16, "`get`, 16 connections x 16 in flight", STORE),
    _fan_out(100, 1),
    _fan_out(100, 4),
    _fan_out(100, 16),
    _fan_out(1000, 4),
    Workload(
        "fan-out-offered",
        "one update of 1 KB to 100 subscribers that offer compression, 4 ahead, per delivery",
        lambda phrases: phrases.fan_out(),
        101,
        ("-d", "4", "-Z"),
        keys=1,
        fill=1000,
    ),
    _watch(100, 1),
    _watch(100, 4),
    _set_and_see(64, keeps=False),
    _set_and_see(64, keeps=True),
    _set_and_see(1, keeps=False),
    _set_and_see(1, keeps=True),
    _get("dunena-get", 64, 1, "dunena dialect: `get`, 64 x 1", DUNENA),
    _set("dunena-set", "dunena dialect: `set` with its reply, 64 x 1", DUNENA, OTHER),
    Workload(
        "dunena-mget",
        "dunena dialect: `mget` of 50 keys, 64 x 1",
        lambda phrases: phrases.mget(50),
        64,
        ways=(DUNENA, OTHER),
    ),
    Workload(
        "incr-64x1",
        "dunena dialect: `incr`, 64 x 1",
        lambda phrases: phrases.incr(),
        64,
        ways=(DUNENA, OTHER),
    ),
    Workload(
        "txn-10",
        "dunena dialect: `txn` of ten `incr`, 64 x 1",
        lambda phrases: phrases.txn(10),
        64,
        ways=(DUNENA, OTHER),
    ),
    _resume("0", 0, "nothing changed"),
    _resume("100", 100, "100 keys changed"),
    _resume("10000", 10_000, "100 keys changed 100 times each"),
    _get("http-get", 64, 1, "`GET /get/{key}`, 64 x 1, kept alive", HTTP),
    _set("http-set", "`POST /set`, 64 x 1, kept alive", HTTP),
    Workload(
        "http-kv-get",
        "`GET /kv/{key}`, 64 x 1, kept alive",
        lambda phrases: phrases.get_plain(),
        64,
        ways=(HTTP,),
    ),
    Workload(
        "http-kv-put",
        "`PUT /kv/{key}`, 64 x 1, kept alive",
        lambda phrases: phrases.put_plain(),
        64,
        ways=(HTTP,),
    ),
    _delivery(60),
    _delivery(1000),
    Workload(
        "idle",
        f"memory of an idle connection, {IDLE_CONNECTIONS:,} open",
        lambda phrases: phrases.idle(),
        IDLE_CONNECTIONS,
        ("-i",),
        (
            PER_CONNECTION,
            PER_CONNECTION_PSS,
            Figure("cpu_us", "CPU us to open", 1),
            Figure("connections", "open", 0),
            RSS,
        ),
    ),
    _large("large-64k", "64 KB", 64_000),
    _large("large-1m", "1 MB", 1_000_000),
    _large("large", "4 MB", 4_000_000),
    _slow_reader("readers", "10 subscribers of 100 keys of 1 KB, 4 ahead, per delivery"),
    _slow_reader(
        "slow-reader",
        "10 subscribers of 100 keys of 1 KB and one that reads at 1 %, 4 ahead, per delivery",
        "-S",
        "0.01",
    ),
    replace(
        _slow_reader(
            "stopped-reader",
            "1,000 updates a second of 100 keys of 1 KB, one of 11 readers stopped for 30 s",
            "-S",
            STOPPED,
            "-r",
            "1000",
        ),
        rounds=1,
        seconds=30.0,
    ),
)


def named(names: list[str] | None) -> list[Workload]:
    """The workloads of these names in their own order; all when there are none.

    Raises `KeyError` with a name that is none.
    """
    if not names:
        return list(WORKLOADS)
    if unknown := set(names) - {workload.name for workload in WORKLOADS}:
        raise KeyError(min(unknown))
    return [workload for workload in WORKLOADS if workload.name in names]
