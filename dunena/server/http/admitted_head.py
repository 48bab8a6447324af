"""The decision to admit requests with a header block that was sent before; no I/O.

Rule: it is `dunena.server.access.admission` that decides, and what it decided holds as long as
nothing has changed that it looked at.
"""

from dunena.dialects.grants import Grant
from dunena.dialects.services import Services


class AdmissionState:
    """What decisions on admission depend on besides the request: ``number`` changes with it."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = 0

    def change(self) -> None:
        """Make all decisions so far invalid."""
        self.number += 1


class AdmittedHead:
    """The decision to admit requests with a header block; valid while ``number`` is the state's.

    It is for paths that need a token. ``is_shared`` is where they came, as in `Request`, and
    ``has_token`` says that the block's first token or cookie has the ``grant``. ``cors`` are the
    lines of the headers for the page that asks. ``services`` are those of the grant, once they were
    looked up; ``second`` and the fields that begin with ``begin`` belong to
    `dunena.server.quick_answers`.
    """

    __slots__ = (
        "begin_created",
        "begin_get",
        "begin_kv",
        "begin_replaced",
        "cors",
        "grant",
        "has_token",
        "is_shared",
        "number",
        "second",
        "services",
    )

    def __init__(
        self, number: int, grant: Grant, cors: bytes, *, is_shared: bool, has_token: bool
    ) -> None:
        self.number = number
        self.grant = grant
        self.cors = cors
        self.is_shared = is_shared
        self.has_token = has_token
        self.services: Services | None = None
        self.second = -1
        self.begin_get = b""
        self.begin_kv = b""
        self.begin_created = b""
        self.begin_replaced = b""
