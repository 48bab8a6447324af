"""The limits of requests that wait for the log."""

LANE_REQUESTS_MAX = 256
"""Requests of one connection that wait for the log."""

LANE_BYTES_MAX = 4 * 1024 * 1024
"""Bytes of these requests, unless it is a single one."""

PARKED_REQUESTS_MAX = 20_000

PARKED_BYTES_MAX = 64 * 1024 * 1024
"""Requests of all connections that wait for the log, and their bytes."""

TRIES_MAX = 64
"""How often a request is proposed before its sender is told that others are always quicker."""
