"""Sessions whose ids are numbers, and whose secrets are easy to read."""

from itertools import count

from dunena.dialects.grants import Grant
from dunena.sessions.session_table import SessionTable


def sessions() -> SessionTable[Grant]:
    """A table without sessions."""
    ids, secrets = count(1), count(1)
    return SessionTable(lambda: f"s{next(ids)}", lambda: f"secret{next(secrets)}")
