"""The counters and the health of a server.

Code that counts something adds to an int here; figures derived from counters are computed only when
they are requested.
"""

from dataclasses import dataclass, field

from dunena.histogram import Histogram


@dataclass(slots=True)
class Telemetry:
    """The counters of one server's connections, messages and ticks.

    ``bytes_received`` and ``bytes_sent`` are those of all connections, without TLS. ``ticks`` has
    the duration of each tick, from its first request until its last reply was handed to the system:
    no request of the tick waited longer. ``conflated`` counts updates that were not sent to a slow
    reader because a newer one replaced them, ``messages_missed`` messages of channels that a slow
    reader lost. ``storage_failure`` is the reason why changes cannot
    be stored at present, None if they can.
    """

    started_at_ms: int
    messages: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    http_requests: int = 0
    changes: int = 0
    websocket_connections: int = 0
    http_connections: int = 0
    event_streams: int = 0
    refused_hosts: int = 0
    refused_origins: int = 0
    refused_tokens: int = 0
    refused_tries: int = 0
    refused_connections: int = 0
    refused_requests: int = 0
    slow_readers_closed: int = 0
    conflated: int = 0
    messages_missed: int = 0
    storage_failures: int = 0
    storage_failure: str | None = None
    ticks: Histogram = field(default_factory=Histogram)
