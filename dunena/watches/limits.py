"""The limits of watches, each with its reason; the unit is in each name."""

from typing import Final

WATCH_KEYS_MAX: Final = 1_000
"""Keys that one watch names: each update repeats them, as they name the watch."""

PATTERNS_MAX: Final = 100
"""Patterns that one connection watches."""

REQUEST_ID_CHARS_MAX: Final = 1_024
"""Length of the ``id`` of a watch, which is kept until the first update was sent."""

PATHS_MAX: Final = 100
"""Watches with a path of one connection: what stands at each is encoded at every change of a key.
The value is decoded once for all."""

GLOBS_MAX: Final = 256
"""Patterns of all connections that are more than a prefix: each is compared with the key of every
change of its namespace, which takes 0.2 us if it has one wildcard, or several side by side."""

STARS_MAX: Final = 4
"""Stars of a pattern that is watched: what stands between two of them is looked for in the whole
key."""

SEVERAL_WILDCARDS_WEIGHT: Final = 4
"""What any other of these patterns counts for among them: it is compared in up to 2 us."""

PART_BYTES_MAX: Final = 256 * 1024
"""Changes in one part of an update, unless one value is larger: as much as is handed to the
transport at once."""

PART_CHANGES_MAX: Final = 2_000
"""Entries looked at for one part: some 2 ms of work if values are decoded for a path. Between two
parts other requests are served."""

PART_DECODED_BYTES_MAX: Final = 1_048_576
"""Values that are decoded for one part of an update, as of watches with a path: 13 ms of work, or
as long as one value takes."""

PARTS_KEPT_BYTES_MAX: Final = 16 * 1024 * 1024
"""What stands at the paths of the last value, kept for readers that are told of it later."""

SMALL_UPDATE_CHANGES_MAX: Final = 100
"""Entries of a first update that is made at once, like a reply: a larger one is made in parts, as
its reader takes them."""

SMALL_UPDATE_BYTES_MAX: Final = 65_536
"""All values of a first update that is made at once."""

SUPERSEDED_BYTES_MAX: Final = 3 * 1024 * 1024
"""Outdated entries that are held for an update which is being sent in parts to one reader. Above it
the parts go on with newer values. With it, a reader of 100,000 keys costs less than 5 MB."""

RATE_MIN: Final = 0.1
"""Fewest updates a second that a watch may ask for: one in ten seconds."""

RATE_MAX: Final = 100.0
"""Most updates a second that a watch may ask for: no screen shows more."""

QUIET_MS: Final = 60_000
"""Time after which a watch that nothing happened to is told the present position."""

QUIET_LOOK_MS: Final = 30_000
"""Time between two looks at whether a watch is quiet: one is told after 60 to 90 seconds, and then
once a minute."""

QUIET_AT_ONCE_MAX: Final = 1_000
"""Feeds that are told so in one turn: some 2 ms of work."""

WAIT_SECONDS_MIN: Final = 1.0
"""Shortest time that a request waits for an update: a client that asks more often should ask for a
stream."""

WAIT_SECONDS_MAX: Final = 60.0
"""Longest time that a request waits for an update: many proxies end one that takes longer."""
