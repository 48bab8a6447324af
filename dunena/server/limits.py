"""The limits for clients of the server, each with its reason; the unit is in each name.

The store's limits are in `dunena.store.limits`; the limit of connections per address, a setting, is
in `dunena.setting_table`. Together they limit every queue, message and wait;
`tests/unit/test_limits.py` asserts the relations between them. A client that exceeds a limit gets
an error and is counted in `/metrics`; other clients are not affected.
"""

from typing import Final

# --- connections ---

CONNECTIONS_MAX: Final = 50_000
"""All open connections. Above it a new one gets 503 at once. Each costs a file descriptor."""

TLS_SECONDS_MAX: Final = 15.0
"""Duration of a TLS handshake; a client that does not complete it is gone or hostile."""

PING_SECONDS: Final = 20.0
"""A WebSocket that was silent for this time gets a ping, and is closed if it is silent for as long
again."""

COMMENT_SECONDS: Final = 15.0
"""Time between two comments in an event stream: proxies end connections that are silent for a
minute, some for half of it."""

STREAM_SILENT_SECONDS_MAX: Final = 25
"""Time for which the client of an event stream may take nothing of what is sent to it, a comment at
least. With the time until the next comment it is as long as a silent WebSocket stays."""

CLOSE_SECONDS_MAX: Final = 5.0
"""Time that the peer has to close the connection after the closing handshake began."""

# --- requests ---

HEAD_BYTES_MAX: Final = 65_536
"""Request line and headers together; browsers with many cookies send less than a quarter."""

HEADERS_MAX: Final = 128
"""Header lines of one request."""

PUBLIC_BODY_BYTES_MAX: Final = 16_384
"""A body that is accepted without a token: such a body holds at most a token."""

SKIPPED_BODY_BYTES_MAX: Final = 65_536
"""An unwanted body, as of a refused request, is skipped up to this size; a larger one ends the
connection."""

LINGER_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bytes that are read and ignored after an answer that ends the connection: two of the largest
bodies. A client that is still sending reads the answer afterwards; if the connection were closed
before, it would be reset and the answer lost."""

LINGER_SECONDS_MAX: Final = 5.0
"""Time for which bytes are read and ignored after such an answer."""

STRANGERS_BYTES_MAX: Final = 16 * 1024 * 1024
"""Memory for all requests that are not admitted yet: incomplete heads, and bodies that are accepted
without a token. Above it the connection that holds the most is refused."""

CONNECTION_BYTES: Final = 4096
"""What a connection counts for in `STRANGERS_BYTES_MAX` before it has sent anything."""

BODIES_BYTES_MAX: Final = 32 * 1024 * 1024
"""Memory for all incomplete bodies of admitted requests; at least one of the largest body. Above it
the request that holds the most gets 503 and may be sent again."""

MESSAGES_BYTES_MAX: Final = 64 * 1024 * 1024
"""Memory for all incomplete WebSocket messages, or one of the largest message if that is more.
Above it the connection that holds the most is closed with 1013, "try again later"."""

UNFINISHED_BYTES_MIN: Final = 65_536
"""Size from which an incomplete message counts for `MESSAGES_BYTES_MAX`."""

REQUEST_SECONDS_MAX: Final = 30.0
"""Time from a request's first byte to its last, and from the start of a connection to its first
byte: enough for the largest body over a slow link, and a limit for a client that sends slowly on
purpose."""

IDLE_SECONDS_MAX: Final = 75.0
"""Time between two requests of a connection that is kept alive."""

# --- turns ---

TURN_BYTES_MAX: Final = 256 * 1024
"""Bytes of requests of one connection that are answered in one turn; the rest waits for the other
connections. It is as much as the loop reads from a socket at once; a small frame counts as
`FRAME_BYTES`."""

FRAME_BYTES: Final = 128
"""Size that a WebSocket frame below `TURN_LOOK_BYTES` counts for in a turn, as empty ones are work
too: some 2,000 fill a turn."""

REQUEST_BYTES: Final = 4096
"""Size that an HTTP request counts for besides its bytes: some sixty fill a turn."""

TURN_LOOK_BYTES: Final = 4096
"""Bytes answered between two readings of the clock: 32 frames, a tenth of a millisecond. For fewer
bytes at once the clock is not read."""

TURN_MS: Final = 2.0
"""Duration of a turn: a tenth of what people notice, and long compared with reading the clock."""

ROUND_MS: Final = 4.0
"""Duration of all further turns in one iteration of the loop, for connections that had a turn and
have more to do: another request waits for two such rounds at most."""

ROUND_REQUESTS_MAX: Final = 5_000
"""Requests that a tick gathers while an earlier tick waits for the device. Above it, connections
with more to do wait: this tick is committed in one go, which delays all clients."""

AHEAD_SECONDS_MAX: Final = 2.0
"""Time for which a watch waits that continues from a position ahead of this server."""

AHEAD_RETRY_SECONDS: Final = 0.1
"""Time between two looks whether the position was reached."""

AHEAD_MESSAGES_MAX: Final = 100
"""Such watches that wait in one connection."""

# --- compression ---

INFLATED_BYTES_MAX: Final = 8 * 1024 * 1024
"""Size of a compressed message after inflating, or of one with the largest value if that is more. A
sender needs only a thousandth of it to make the server inflate so much."""

INFLATE_STEP_BYTES: Final = 64 * 1024
"""Bytes inflated in one step: a tenth of a millisecond. A turn has several steps, a message takes
as many turns as it needs."""

INFLATING_BYTES_MAX: Final = 32 * 1024 * 1024
"""Memory for all messages that are being inflated. Above it the connection with the longest one is
closed with 1013, "try again later"."""

# --- tokens ---

TRIES_AT_ONCE_MAX: Final = 10
"""Different wrong tokens that an address may try at once: more than a person mistypes."""

TRY_SECONDS: Final = 1.0
"""Time until an address that used up its tries may try once more. That is 86,400 tries a day, far
too few to guess a random token."""

TRIES_ADDRESSES_MAX: Final = 10_000
"""Addresses whose tries are stored; those that tried longest ago are removed first."""

INVITE_SECONDS: Final = 600
"""Time for which an invitation can be used: enough to pass a phone around."""

INVITES_MAX: Final = 100
"""Invitations with the rights of one token that wait to be used; above it no more are made with
them until one is used or ends."""

TOKENS_FILE_BYTES_MAX: Final = 1024 * 1024
"""Size of the file of tokens: some 10,000 tokens."""

CERTIFICATE_BYTES_MAX: Final = 1024 * 1024
"""Size of a certificate chain or key file; the longest chains have some ten thousand bytes."""

# --- what waits to be sent ---

BACKLOG_BYTES_MAX: Final = 4 * 1024 * 1024
"""Events that wait for a slow reader, some 30,000; above it the connection is closed. Replies do
not count, as the reader's further requests wait instead, nor do updates, of which only the newest
of each key waits."""

CHANNEL_BACKLOG_BYTES_MAX = 1024 * 1024
"""Messages of one channel that wait for a slow reader, some 10,000; above it the reader loses the
oldest, and is told how many."""

CHANNELS_BACKLOG_BYTES_MAX = 4 * 1024 * 1024
"""Messages of all channels that wait for a slow reader, or one message if that is larger; above it
the reader loses the oldest of all."""

WAITING_MESSAGES_BYTES_MAX: Final = 64 * 1024 * 1024
"""Memory for the messages of channels that wait for all slow readers. A message counts once,
however many readers it waits for. Above it the reader for whom the most waits loses the older half,
is told how many, and so on until an eighth is free."""

MESSAGE_PLACE_BYTES: Final = 256
"""What a message counts for in `WAITING_MESSAGES_BYTES_MAX` for each reader that it waits for,
besides its bytes: as much as a place in a queue takes."""

BATCH_BYTES_MAX: Final = 1024 * 1024
"""Replies of one connection in a tick; above it its further requests wait for the next tick, so
that many small requests for large values cannot fill the memory."""

PORTION_BYTES: Final = 256 * 1024
"""Bytes handed to the transport at once, unless one message is larger: the transport may have to
copy what the system does not accept, for every connection."""

UNREAD_BYTES_MAX: Final = 64 * 1024 * 1024
"""Memory for the replies of all connections that wait for their readers. Above it the connection
with most unread bytes is ended."""

UNREAD_SECONDS_MAX: Final = 60.0
"""Time after which a peer is disconnected if data waits for it and it reads nothing. The system
buffers some megabytes, so reading 20 KB a second is enough."""

UNREAD_TLS_FACTOR: Final = 5
"""Factor of `UNREAD_SECONDS_MAX` over TLS, where the server notices reading only after most of the
data was read."""

# --- backups ---

BACKUPS_MAX: Final = 2
"""Backups that are made at the same time: each holds on to all values of its moment, until it is
read."""

BACKUP_UNPACKED_BYTES_MAX: Final = 32 * 1024 * 1024
"""All files together of a backup that a client sends to be compared; `dunena restore` has no such
limit."""

BACKUP_FILES_MAX: Final = 100_000
"""Files in a backup that a client sends: Python's list of them takes some 600 bytes for each."""

# --- text files ---

TEXT_PATTERNS_MAX: Final = 100
"""Patterns of `--text-keys`: more than anybody writes on a command line."""

TEXT_GLOBS_MAX: Final = 64
"""What the patterns of `--text-keys` may count for among `GLOBS_MAX`: a quarter, so that clients
have theirs."""

TEXT_FILES_MAX: Final = 10_000
"""Text files. Above it, those of keys that are gone are removed for new ones, and then no more are
made: a folder with more of them is slow in every program that shows it."""

TEXT_MEMBERS_MAX: Final = 100
"""Members of one object that have text files: one with more is a table, and shown otherwise."""

TEXT_PERIOD_MS: Final = 200
"""Time between two changes of one text file: programs look at a file once a second or so."""
