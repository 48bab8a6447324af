"""What one client may take of the server, and why; the unit is in each name.

The store's own limits stand in `dunena.store.limits`, that of one address, which is a setting, in
`dunena.setting_table`. Together they bound every queue, message and wait there is;
`tests/unit/test_limits.py` asserts how they hang together. Reaching one is an error to its cause, a
counter in `/metrics`, and nothing to anyone else.
"""

from typing import Final

# --- connections ---

CONNECTIONS_MAX: Final = 50_000
"""All together. Past it a new one gets 503 at once; a file descriptor each is the real price."""

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

PUBLIC_BODY_BYTES_MAX: Final = 16_384
"""A body that anybody may send, who has shown no token: it holds one, or it is none."""

SKIPPED_BODY_BYTES_MAX: Final = 65_536
"""A body that is not read, as one of a refused request, is skipped up to this size and the
connection goes on; behind a larger one it ends."""

LINGER_BYTES_MAX: Final = 64 * 1024 * 1024
"""What a peer may still send, unread, behind an answer that ends its connection: two of the largest
bodies. Who sends it reads the answer only then; a connection that is closed on it is reset, and
the answer with it."""

LINGER_SECONDS_MAX: Final = 5.0
"""And for how long."""

STRANGERS_BYTES_MAX: Final = 16 * 1024 * 1024
"""All connections together, before they have shown what is expected of them: heads that are not
whole, and bodies that anybody may send. Past it the one that holds the most is refused."""

CONNECTION_BYTES: Final = 4096
"""What a connection counts for among these while nothing has come from it."""

BODIES_BYTES_MAX: Final = 32 * 1024 * 1024
"""All bodies together that are not whole, of those who may send them; at least one of the largest.
Past it the request that holds the most gets 503, and may come again."""

MESSAGES_BYTES_MAX: Final = 64 * 1024 * 1024
"""All WebSocket messages together of which a part has come, or one of the largest where that is
more. Past it the connection with the most is closed with 1013, "try again later"."""

UNFINISHED_BYTES_MIN: Final = 65_536
"""What a message counts for among these: less than this is nothing."""

REQUEST_SECONDS_MAX: Final = 30.0
"""From a request's first byte to its last, and for the first one of a connection to begin: time
enough for the largest body over a slow link, and a bound for a peer that drips."""

IDLE_SECONDS_MAX: Final = 75.0
"""Between requests of a kept-alive connection."""

# --- turns ---

TURN_BYTES_MAX: Final = 256 * 1024
"""What a connection is answered in one go; the rest waits behind all others. As much as is read
from a socket at once, and so many frames as make `FRAME_BYTES` each."""

FRAME_BYTES: Final = 128
"""What a frame counts for, since an empty one is work too: some two thousand are a turn."""

REQUEST_BYTES: Final = 4096
"""What an HTTP request counts for beside its bytes: some sixty are a turn."""

TURN_LOOK_BYTES: Final = 4096
"""So much is done between two looks at the clock: 32 frames, a tenth of a millisecond. Whoever asks
for less at once never sees the clock."""

TURN_MS: Final = 2.0
"""How long a turn may take: a tenth of what others may notice, and long beside a look at the
clock."""

ROUND_MS: Final = 4.0
"""How long all those together may take who have had their turn and are not done, each time the
loop goes round: two such rounds stand between any other request and its answer."""

ROUND_REQUESTS_MAX: Final = 5_000
"""Requests that one tick gathers while an earlier one waits for the device. Past it those wait who
have more to do: it is kept in one go too, for which everyone waits."""

# --- compression ---

INFLATED_BYTES_MAX: Final = 8 * 1024 * 1024
"""A compressed message, once it is inflated, or one with a value of the permitted size where that
is more: a thousandth of it is enough to send, so it costs its sender nothing."""

INFLATE_STEP_BYTES: Final = 64 * 1024
"""Inflated in one go: a tenth of a millisecond. A turn has several, a message as many turns as it
takes."""

INFLATING_BYTES_MAX: Final = 32 * 1024 * 1024
"""All messages together that are being inflated. Past it the connection with the longest is closed
with 1013, "try again later"."""

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

UNREAD_BYTES_MAX: Final = 64 * 1024 * 1024
"""Replies of all connections together that wait for their readers. Past it the one that leaves
most unread is disconnected."""

UNREAD_SECONDS_MAX: Final = 60.0
"""How long a peer may read nothing at all while something waits for it; then it is disconnected.
The system holds some megabytes on the way, so 20 KB a second are enough."""

UNREAD_TLS_FACTOR: Final = 5
"""So many times longer over TLS, where what was read shows only when the most part of it was."""
