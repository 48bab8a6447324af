"""The limits of sessions, each with its reason; the unit is in each name."""

from typing import Final

TIMEOUT_MS_MIN: Final = 2_000
"""Shortest silence that a client may have its connection ended for: a phone that changes from one
network to another is silent for a second."""

TIMEOUT_MS_MAX: Final = 60_000
"""Longest such silence: a connection that nobody uses any more costs memory for so long."""

TIMEOUT_MS_DEFAULT: Final = 40_000
"""Silence that ends the connection of a session that names none: as for any other connection, twice
`PING_SECONDS`."""

GRACE_MS_MAX: Final = 60_000
"""Time that a session can outlive its connection: a page is loaded anew, and a program started
anew, in less."""

SESSION_NAME_CHARS_MAX: Final = 64
"""Length of a session's name, which people read in a list of connections."""

SESSION_KEYS_MAX: Final = 1_000
"""Ephemeral keys of one session: they are deleted in one transaction, which takes some 10 ms."""

SHARED_SESSION_KEYS_MAX: Final = 797
"""The same on a shared store, which takes 998 changes at once: these keys go with two changes for
each operation of a will, and one for the session."""

WILL_OPERATIONS_MAX: Final = 100
"""Operations of a will: some ms of work, and many sessions may end at the same time."""

WILL_BYTES_MAX: Final = 65_536
"""A will as JSON: it is kept as long as its session."""

WILLS_BYTES_MAX: Final = 64 * 1024 * 1024
"""All wills together, each with `WILL_BYTES` more. Above it a further one is refused."""

WILL_BYTES: Final = 1_024
"""What a will counts for in `WILLS_BYTES_MAX` besides its JSON: about what its session takes in
memory."""

LOST_SESSIONS_MAX: Final = 10_000
"""Sessions without a connection that may still be resumed, some 10 MB. Above it the one that lost
its connection first ends at once."""

ENDED_AT_ONCE_MAX: Final = 200
"""Keys and operations of sessions that end in one turn, or one session with more: some 2 ms of
work. The others end in later turns, after the requests of others."""

SESSION_RETRY_MS: Final = 1_000
"""Time until the end of a session is tried again while changes are refused."""
