"""The environment's variables of the original dunena that this one does not have, with advice.

Variables that both have are not listed here; `dunena serve` reads them as settings.
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
"""What to use instead of each variable, or why nothing; in the order of
docs/recipes/replacing.md."""

MAX_ENTRIES = rows()["max_entries"].variable

_REFUSES = (
    f"{MAX_ENTRIES} is set and DUNENA_EVICTION is not: a full store refuses new keys;"
    " DUNENA_EVICTION=lru deletes what is unused instead, DUNENA_EVICTION=none is to have it so"
)


_PREFIX = "DUNENA_"

_OTHERS = ("DUNENA_URL", "DUNENA_TEST_")
"""Prefixes of variables that belong to other programs."""


def advice(environment: Mapping[str, str], *, says_eviction: bool) -> Iterator[str]:
    """Yield one line for each variable that has another effect here than in the original dunena.

    ``says_eviction`` tells whether the settings say what a full store does.
    """
    for name, instead in UNUSED.items():
        if environment.get(name):
            yield f"{name} has no meaning here: {instead}"
    if environment.get(MAX_ENTRIES, "0") not in ("", "0") and not says_eviction:
        yield _REFUSES


def misspelt(environment: Mapping[str, str], known: Collection[str]) -> Iterator[str]:
    """Yield one line for each unknown variable whose name resembles one of ``known``."""
    strangers = sorted(
        name
        for name, value in environment.items()
        if value and name.startswith(_PREFIX) and not name.startswith(_OTHERS)
        if name not in known and name not in UNUSED
    )
    if not strangers:
        return
    from difflib import get_close_matches  # imported here, as most starts do not need it

    by_end = {variable.removeprefix(_PREFIX): variable for variable in known}
    for name in strangers:
        near = get_close_matches(name.removeprefix(_PREFIX), by_end, n=2, cutoff=0.66)
        if near:
            meant = " or ".join(by_end[end] for end in near)
            yield f"{name} has no meaning here; is {meant} meant?"
