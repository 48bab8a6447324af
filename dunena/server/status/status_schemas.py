"""The JSON Schemas of what a server says of itself: the answers that `introspection` makes.

What is `required` always comes. Members of `settings` are named after the flags of the server.
"""

from dunena.server.status.json_schema import (
    BOOLEAN,
    COUNT,
    NUMBER,
    OBJECT,
    STRING,
    Schema,
    counts,
    fields,
    list_of,
    or_null,
)

_LIMIT = COUNT
"""0 is no limit."""
_STRINGS = list_of(STRING)

_PERMITTED = fields(
    rights=_STRINGS,
    keys=_STRINGS,
    namespaces=_STRINGS,
    channels=fields(read=_STRINGS, write=_STRINGS),
)
_SESSION_LIMITS = fields(
    **counts(
        "minTimeout",
        "maxTimeout",
        "defaultTimeout",
        "maxGrace",
        "maxKeys",
        "maxWillOps",
        "maxWillBytes",
    )
)
_STORE = fields(
    kind=STRING,
    bucket=or_null(STRING),
    node=STRING,
    nodes=_STRINGS,
    rev=COUNT,
    behind=COUNT,
    maxChanges=COUNT,
    maxChangesBytes=COUNT,
)
INFO = fields(
    name=STRING,
    version=STRING,
    compiled=BOOLEAN,
    entries=COUNT,
    namespaces=_STRINGS,
    revision=COUNT,
    epoch=STRING,
    uptime=COUNT,
    clockStepMs={"type": "integer"},
    connections=COUNT,
    addresses=_STRINGS,
    persistent=BOOLEAN,
    features=_STRINGS,
    protocol=STRING,
    eventLoop=STRING,
    hasToken=BOOLEAN,
    permitted=_PERMITTED,
    refusedOrigins=COUNT,
    maxValueBytes=COUNT,
    defaultTtlMs=COUNT,
    maxEntries=_LIMIT,
    maxMemoryBytes=_LIMIT,
    session=_SESSION_LIMITS,
    optional={"store": _STORE, "settings": OBJECT},
)
"""`/info`: `store` is there with a shared store, `settings` for the right admin."""

_LATENCY_MS = ("mean", "p50", "p95", "p99", "min", "max", "stdDev", "meanMs", "p50Ms", "p99Ms")
_STORE_COUNTS = fields(
    **counts("batches", "changes", "retries", "conflicts", "gaps"),
    **counts("fetchedEntries", "loads", "commits"),
    commitMs=NUMBER,
)
STATS = fields(
    cache=fields(
        **counts("hits", "misses", "evictions", "puts", "deletes", "currentSize"),
        hitRate=NUMBER,
        maxSize=_LIMIT,
        **counts("valueBytes", "changes", "revision", "subscriptions"),
    ),
    storage=fields(**counts("journalBytes", "filesBehind", "slowSyncs", "failures")),
    channels=fields(**counts("subscribed", "published", "delivered", "missed")),
    sessions=fields(
        **counts("connected", "lost", "ending", "resumed", "ended"),
        **counts("failedWills", "ephemeralKeys"),
    ),
    latency=fields(count=COUNT, **dict.fromkeys((*_LATENCY_MS, "maxMs"), NUMBER)),
    **counts("messages", "httpRequests", "eventStreams"),
    optional={"textFiles": fields(**counts("written", "failures")), "store": _STORE_COUNTS},
)
"""`/stats`: `textFiles` is there with text files, `store` with a shared store."""


def _check(**more: Schema) -> Schema:
    """Make the schema of a check of `/health`; it has a reason when something is wrong."""
    return fields(status=STRING, optional={"reason": STRING, **more})


_CHECKS = fields(
    storage=_check(),
    files=_check(
        behind=COUNT,
        count=COUNT,
        damaged=list_of(fields(path=STRING, reason=STRING)),
    ),
    watch=_check(state=STRING),
    connections=_check(),
    sessions=_check(count=COUNT),
    optional={
        "textFiles": _check(lastError=STRING),
        "store": _check(connected=BOOLEAN, staleMs=COUNT),
    },
)
HEALTH = fields(
    status=STRING,
    optional={"version": STRING, "timestamp": COUNT, "uptime": COUNT, "checks": _CHECKS},
)
"""`/health`: a client without a token gets only the status of a server that has tokens."""

STATUS = fields(status=STRING, optional={"reason": STRING})
"""`/health/live` and `/health/ready`: the second has a reason, for tokens, when it is not."""
