"""What one request may ask of the store, and why; the unit is in each name.

Texts that quote a limit are built from these, so that an error never names another number than
the one that was checked.
"""

from dataclasses import dataclass
from enum import Enum

KEY_BYTES_MAX = 512
"""A key's or namespace's UTF-8 length. Both source documents' clients stay far below it; it keeps
a file name, a log line and a subscription small."""

VALUE_BYTES_MAX = 4_194_304
"""Default for a value's UTF-8 text: 4 MiB, the dunena document's figure."""

JSON_DEPTH_MAX = 254
"""Deepest nesting of a message: what the JSON encoder can write back (orjson stops past 254)."""

EXPIRES_AT_MS_MAX = 2**53
"""Latest expiry, Unix ms: the largest number every JSON reader holds exactly. A longer ttl ends
here, some 285,000 years from now."""

PAGE_KEYS_MAX = 1_000
"""Most keys in one page of a listing."""

PAGE_KEYS_DEFAULT = 100
"""Where a request names no number: what a person looks at."""

KEYS_PER_MESSAGE_MAX = 10_000
"""Keys of one ``mget`` or entries of one ``mset``: some 30 ms of work, for which everyone waits."""

SUBSCRIPTIONS_MAX = 100_000
"""Keys and channels that one connection follows: as many as a large store has keys, and at some
200 bytes each still a bounded price for one connection."""


class Eviction(Enum):
    """What a full store does with a new entry: refuse it, or make room.

    LRU removes what was neither read nor written for longest.
    """

    NONE = "none"
    LRU = "lru"


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that a server can be given other figures for.

    ``entries_max`` and ``memory_bytes_max`` (keys and values, as UTF-8) bound the whole store; 0
    is no bound.
    """

    value_bytes_max: int = VALUE_BYTES_MAX
    subscriptions_max: int = SUBSCRIPTIONS_MAX
    entries_max: int = 0
    memory_bytes_max: int = 0
    eviction: Eviction = Eviction.NONE

    @property
    def message_bytes_max(self) -> int:
        """Longest message: any value of the permitted size fits, however it is escaped.

        The longest escape of one byte of text is ``\\u0000``, six bytes; the rest of the message
        (two keys, its field names) is below 64 KiB.
        """
        return 6 * self.value_bytes_max + 65_536


EXPIRED_AT_ONCE_MAX = 200
"""Keys that expire in one turn: some 2 ms of work. The rest of a crowd is hidden already and has
its turn after the requests of others."""
