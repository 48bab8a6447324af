"""What one client may take of the server, and why; the unit is in each name.

The store's own limits stand in `dunena.store.limits`. Together the two modules bound every queue,
message and wait there is; `tests/unit/test_limits.py` asserts how they hang together. Reaching one
is an error to its cause, a counter in `/metrics`, and nothing to anyone else.
"""

from typing import Final

# --- connections ---

CONNECTIONS_MAX: Final = 50_000
"""All together. Past it a new one gets 503 at once; a file descriptor each is the real price."""

CONNECTIONS_PER_ADDRESS_MAX: Final = 1_000
"""Default for one other machine: more than a venue behind one router has, and a fraction of all, so
that no stranger takes every place. An IPv6 address counts as its /64, which is what one gets."""

TLS_SECONDS_MAX: Final = 15.0
"""For a TLS handshake; a peer that does not finish it is gone or means us harm."""

PING_SECONDS: Final = 20.0
"""A connection that was silent this long is asked whether it is there, and closed if it stays
silent as long again."""

CLOSE_SECONDS_MAX: Final = 5.0
"""How long the peer may take to close after the closing handshake began."""

# --- requests ---

HEAD_BYTES_MAX: Final = 65_536
"""Request line and headers together; browsers with many cookies stay below a quarter of it."""

HEADERS_MAX: Final = 128
"""Header lines of one request."""

REQUEST_SECONDS_MAX: Final = 30.0
"""From a request's first byte to its last, and for the first one of a connection to begin: time
enough for the largest body over a slow link, and a bound for a peer that drips."""

IDLE_SECONDS_MAX: Final = 75.0
"""Between requests of a kept-alive connection."""

# --- tokens ---

TRIES_AT_ONCE_MAX: Final = 10
"""Different wrong tokens of one address: more than a person mistypes."""

TRY_SECONDS: Final = 1.0
"""Until an address that used them up may try once more: 86,400 a day, of more than can be counted
for any token that deserves the name."""

TRIES_ADDRESSES_MAX: Final = 10_000
"""Addresses whose tries are remembered; those that tried longest ago are forgotten first."""

TOKENS_FILE_BYTES_MAX: Final = 1024 * 1024
"""The file of tokens: some 10,000 of them."""

CERTIFICATE_BYTES_MAX: Final = 1024 * 1024
"""A chain or a key; the longest chains have some ten thousand bytes."""

# --- what waits to be sent ---

BACKLOG_BYTES_MAX: Final = 4 * 1024 * 1024
"""Events that wait for a slow reader; past it the connection is closed: some 30,000 events. What
it asked for itself does not count, since its requests wait instead, and neither do values, of
which only the newest of each key waits."""

BATCH_BYTES_MAX: Final = 1024 * 1024
"""A connection's own replies in one tick: past this its further requests wait for the next one,
so that many small requests for large values cannot fill the memory."""

PORTION_BYTES: Final = 256 * 1024
"""What is handed to the transport at once, as long as single messages are smaller: the transport
may have to copy what the system does not take, once for every connection."""
