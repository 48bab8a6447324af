"""The two dialects by name, and what their messages have in common."""

from enum import Enum
from typing import Any

Message = dict[str, Any]
"""A message of a client, decoded: a JSON object, not yet checked."""


class Dialect(Enum):
    """What a connection speaks; the value is its name as subprotocol and in settings."""

    AUTO = "auto"
    DUNENA = "dunena"
    OBJECT_STORE = "object-store"
