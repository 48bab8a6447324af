"""Variables of the dunena that this one stands in for: what has no meaning here, and what to do.

The settings of both that share a name are not in here; `dunena serve` reads them.
"""

from collections.abc import Collection, Iterator, Mapping

from dunena.setting_table import rows

_NO_DATABASE = "there is no second store for queries here"
_NO_REDIS = "the Redis protocol is not spoken here"
_NO_FILTER = "a key that is missing costs nothing here"
_ALWAYS_KEPT = "every write is kept at once"

UNUSED: dict[str, str] = {
    "DUNENA_BLOOM_FILTER": _NO_FILTER,
    "DUNENA_BLOOM_SIZE": _NO_FILTER,
    "DUNENA_BLOOM_HASHES": _NO_FILTER,
    "DUNENA_COMPRESSION_THRESHOLD": (
        "values are kept as they are; DUNENA_COMPRESSION=1 compresses messages"
    ),
    "DUNENA_CORS_ORIGINS": "set DUNENA_ALLOW_ORIGIN to the origins of pages to let in",
    "DUNENA_RATE_MAX": "set DUNENA_RATE to the messages a second that one connection may send",
    "DUNENA_RATE_WINDOW": "DUNENA_RATE counts by the second",
    "DUNENA_WS": "the WebSocket is always there",
    "DUNENA_DASHBOARD": "the test page at /test is always there",
    "DUNENA_PERSIST": "values are kept on disk, unless DUNENA_NO_PERSIST=1",
    "DUNENA_PERSIST_PATH": "set CACHE_DIR to the folder for the values",
    "DUNENA_PERSIST_INTERVAL": f"{_ALWAYS_KEPT}; DUNENA_FSYNC says when it is forced to the device",
    "DUNENA_PERSIST_ON_SHUTDOWN": _ALWAYS_KEPT,
    "DUNENA_DB": _NO_DATABASE,
    "DUNENA_DB_PATH": _NO_DATABASE,
    "DUNENA_DB_PURGE_INTERVAL": "what has expired goes by itself",
    "DUNENA_QUERY_CACHE_TTL": _NO_DATABASE,
    "DUNENA_REDIS_ENABLED": _NO_REDIS,
    "DUNENA_REDIS_HOST": _NO_REDIS,
    "DUNENA_REDIS_PORT": _NO_REDIS,
}
"""By variable, in the order of docs/recipes/replacing.md: what to use instead, or why nothing."""

MAX_ENTRIES = rows()["max_entries"].variable

_REFUSES = (
    f"{MAX_ENTRIES} is set and DUNENA_EVICTION is not: a full store refuses new keys;"
    " DUNENA_EVICTION=lru deletes what is unused instead, DUNENA_EVICTION=none is to have it so"
)


_PREFIX = "DUNENA_"

_OTHERS = ("DUNENA_URL", "DUNENA_TEST_")
"""Beginnings of variables that are for other programs."""


def advice(environment: Mapping[str, str], *, says_eviction: bool) -> Iterator[str]:
    """One line for each variable that does not do here what it did there.

    ``says_eviction`` is whether somebody chose what a full store does.
    """
    for name, instead in UNUSED.items():
        if environment.get(name):
            yield f"{name} has no meaning here: {instead}"
    if environment.get(MAX_ENTRIES, "0") not in ("", "0") and not says_eviction:
        yield _REFUSES


def misspelt(environment: Mapping[str, str], known: Collection[str]) -> Iterator[str]:
    """One line for each variable of no setting whose name is close to one that is."""
    strangers = sorted(
        name
        for name, value in environment.items()
        if value and name.startswith(_PREFIX) and not name.startswith(_OTHERS)
        if name not in known and name not in UNUSED
    )
    if not strangers:
        return
    from difflib import get_close_matches  # most starts can do without it

    by_end = {variable.removeprefix(_PREFIX): variable for variable in known}
    for name in strangers:
        near = get_close_matches(name.removeprefix(_PREFIX), by_end, n=2, cutoff=0.66)
        if near:
            meant = " or ".join(by_end[end] for end in near)
            yield f"{name} has no meaning here; is {meant} meant?"
