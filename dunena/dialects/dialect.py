"""The names of the two dialects, and what their messages have in common."""

from enum import Enum
from typing import Any

from dunena.watches.updates import RequestId as RequestId

Message = dict[str, Any]
"""A message of a client, decoded: a JSON object, not yet checked."""


class Dialect(Enum):
    """The dialect of a connection; the value is its name as subprotocol and in settings."""

    AUTO = "auto"
    DUNENA = "dunena"
    OBJECT_STORE = "object-store"


def request_id_of(message: Message) -> RequestId:
    """Return the ``id`` to repeat in the reply: a string or a number; None for anything else."""
    request_id = message.get("id")
    if request_id is None:
        return None
    return request_id if type(request_id) in (str, int, float) else None
