"""The two dialects by name."""

from enum import Enum


class Dialect(Enum):
    """What a connection speaks; the value is its name as subprotocol and in settings."""

    AUTO = "auto"
    DUNENA = "dunena"
    OBJECT_STORE = "object-store"
