"""The limits of the store, each with its reason; the unit is in each name.

Error texts are built from these constants, so that they name the number that was checked.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

KEY_BYTES_MAX: Final = 512
"""UTF-8 length of a key or namespace. The clients of both source documents stay far below it; it
keeps file names, log lines and subscriptions small."""

PATH_BYTES_MAX = 1_024
"""UTF-8 length of a path in a value, in an operation or a watch: a watch keeps its path, and each
update repeats it."""

VALUE_BYTES_MAX = 4_194_304
"""Default limit of a value's UTF-8 text: 4 MiB, as in the dunena document."""

JSON_DEPTH_MAX = 254
"""Deepest nesting of a message that the JSON encoder can write (orjson's limit is 254)."""

EXPIRES_AT_MS_MAX: Final = 2**53
"""Latest expiry, Unix ms: the largest integer that every JSON reader represents exactly. A longer
ttl is cut to it, some 285,000 years from now."""

PAGE_KEYS_MAX = 1_000
"""Keys in one page of a listing."""

PAGE_KEYS_DEFAULT = 100
"""Keys in a page of a request without a number: as many as a person looks at."""

KEYS_PER_MESSAGE_MAX = 10_000
"""Keys of one ``mget`` or entries of one ``mset``: some 30 ms of work, which delays all clients."""

ANSWERS_MAX = 10_000
"""Answers that are remembered by their idempotency key."""

ANSWERS_BYTES_MAX = 16 * 1024 * 1024
"""All these answers together, in memory: with ``return`` they hold values. Past it the oldest are
forgotten."""

ANSWER_MS_MAX = 120_000
"""How long such an answer is remembered: longer than a client tries to send a request again."""

HISTORY_VALUES_DEFAULT = 10
"""Earlier values of a key that are kept unless a setting says otherwise."""

HISTORY_VALUES_MAX = 64
"""Most earlier values of a key that can be kept."""

HISTORY_BYTES_MAX = 64 * 1024 * 1024
"""All earlier values together, with all that they take in memory; past it the oldest are
dropped."""

HISTORY_MS_MIN: Final = 1_000
"""How long a value must have stood to be kept: so one that changes many times a second does not
push out what a person would want back."""

REMOVALS_MAX = 65_536
"""Removals that are remembered for readers that come back: some 12 MB."""

OPERATIONS_MAX = 1_000
"""Operations of one transaction or patch: some 10 ms of work, which delays all clients."""

BLIND_STEP_MAX = 2**43
"""Largest ``by`` of an ``incr`` without the right to read: all of one transaction together take no
usual number past 64 bits, which would tell what it was, although nothing is changed."""

PARTIAL_BYTES_MAX = 1_048_576
"""All values together of which one request changes a part: each is decoded and encoded anew, which
takes 13 ms for 1 MiB, and 200 ms if it is made of empty lists."""

COPIES_BYTES_MAX = 1_048_576
"""What all ``copy`` of one request copy: each can double a value, and takes as long as that."""

IDEMPOTENCY_KEY_CHARS_MAX = 64
"""Length of an idempotency key: an UUID or a hash in any form."""

REPLY_VALUES_BYTES_MAX = 8 * 1024 * 1024
"""All values of one ``mget``, one ``history`` or the answer to one ``txn`` together (or one value,
if the limit of a value is larger): a reply is made in one piece for one reader, and stays in memory
until it is read."""

LISTED_KEYS_MAX = 10_000
"""Keys whose values one request for all keys of a pattern returns: looking each up once more, when
the answer is sent, takes 10 ms."""

LISTED_BYTES_MAX = 16 * 1024 * 1024
"""All these values together, and the rows that are made of values: the answer stays in memory until
it is read."""

SEARCH_CHARS_MAX = 200
"""Length of a text that is searched for in all keys and values: what a person types or pastes."""

SEARCHED_KEYS_MAX = 100_000
"""Keys that one such request looks at, in portions of 1 ms, other requests in between. With the
cursor of its answer the next one goes on."""

SEARCHED_BYTES_MAX = 64 * 1024 * 1024
"""All their values together, for the same reason."""

SUBSCRIPTIONS_MAX = 100_000
"""Keys and channels that one connection follows: as many as a large store has keys; each takes some
200 bytes."""


class Eviction(Enum):
    """What a full store does with a new entry: refuse it, or evict others.

    LRU evicts the entry that was neither read nor written for the longest time.
    """

    NONE = "none"
    LRU = "lru"


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that are settings of a server.

    ``entries_max`` and ``memory_bytes_max`` (keys and values as UTF-8) limit the whole store; 0 is
    no limit.
    """

    value_bytes_max: int = VALUE_BYTES_MAX
    subscriptions_max: int = SUBSCRIPTIONS_MAX
    entries_max: int = 0
    memory_bytes_max: int = 0
    eviction: Eviction = Eviction.NONE

    @property
    def message_bytes_max(self) -> int:
        """Longest message in bytes: any value of the permitted size fits, however it is escaped.

        The longest escape of one byte of text is ``\\u0000``, six bytes; the rest of the message
        (two keys and the field names) is below 64 KiB.
        """
        return 6 * self.value_bytes_max + 65_536


MERGED_AT_ONCE_BYTES_MAX = 131_072
"""Values that a ``then`` is merged into in one turn, in bytes: some 2 ms of work. At least one is;
the others follow in later turns, or when they are read or written."""

EXPIRED_AT_ONCE_MAX = 200
"""Keys that expire in one turn: some 2 ms of work. Further expired keys are hidden at once, and are
removed in later turns, after the requests of others."""
