"""The names of the two dialects."""

from enum import Enum


class Dialect(Enum):
    """The dialect of a connection; the value is its name as subprotocol and in settings."""

    AUTO = "auto"
    DUNENA = "dunena"
    OBJECT_STORE = "object-store"
