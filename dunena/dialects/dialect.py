"""The names of the two dialects, and the type of their messages."""

from enum import Enum
from typing import Any

Message = dict[str, Any]
"""A message of a client, decoded: a JSON object, not yet checked."""


class Dialect(Enum):
    """The dialect of a connection; the value is its name as subprotocol and in settings."""

    AUTO = "auto"
    DUNENA = "dunena"
    OBJECT_STORE = "object-store"
