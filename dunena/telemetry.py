"""Counters and health: what the server knows about itself.

Counting is adding to an int where the thing happens; whatever is derived from it is worked out
when somebody asks.
"""

from dataclasses import dataclass, field

from dunena.histogram import Histogram


@dataclass(slots=True)
class Telemetry:
    """What one server counts of its connections, messages and ticks.

    ``bytes_received`` and ``bytes_sent`` are of all connections, before TLS. ``ticks`` holds how
    long each tick took, from its first request to its last reply handed to the system: no request
    of the tick waited longer. ``conflated`` counts updates that a slow reader was spared for a
    newer one. ``storage_failure`` is the reason while changes cannot be kept.
    """

    started_at_ms: int
    messages: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    http_requests: int = 0
    changes: int = 0
    websocket_connections: int = 0
    http_connections: int = 0
    refused_hosts: int = 0
    refused_origins: int = 0
    refused_tokens: int = 0
    refused_tries: int = 0
    refused_connections: int = 0
    refused_requests: int = 0
    slow_readers_closed: int = 0
    conflated: int = 0
    storage_failures: int = 0
    storage_failure: str | None = None
    ticks: Histogram = field(default_factory=Histogram)
