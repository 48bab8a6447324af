"""A route: a method of a path with its access, its handler and its description."""

from collections.abc import Callable, Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from dunena.dialects.grants import Right
from dunena.server.http.message import Request, Response

if TYPE_CHECKING:
    from dunena.server.handlers import Handlers


_INSUFFICIENT_STORAGE = 507


class Access(Enum):
    """The access to a path on a server with tokens.

    ``PROBE`` gives clients without a token a short answer, ``PUBLIC`` a full one. ``PAGE`` is a
    page of the user's folder: it needs a token, but any site may link to it, as to a public one.
    """

    TOKEN = auto()
    PROBE = auto()
    PUBLIC = auto()
    PAGE = auto()


class Route(NamedTuple):
    """One method of one path; a name in braces at the path's end stands for any text.

    A token needs one of ``rights``; if there are none, any token will do. The right admin is
    checked before the handler is called, the rights to read and write by the store for each key.
    All routes of a path have the same ``access``, ``is_live`` and ``is_original``. The answers of a
    live one tell of the state at this moment, so that no cache may keep them, and the fields of its
    query are checked. The errors of an original one are ``{"error"}`` alone, as the documents have
    them that it is from; those of all others have a ``code`` and fields for programs, as those to
    operations over the WebSocket. One that ``makes_files`` makes pages, and changes no keys.

    The other fields are for the OpenAPI description, which has the routes with a ``summary``:
    ``parameters`` are names of path and query parameters, ``request`` is the name of the body's
    schema, ``responses`` are the names of the answers' schemas by status.

    (A frozen dataclass would cost each start a millisecond.)
    """

    method: str
    path: str
    handler: "Callable[[Handlers, Request, int], Response]"
    rights: tuple[Right, ...] = ()
    access: Access = Access.TOKEN
    is_live: bool = False
    is_original: bool = False
    makes_files: bool = False
    summary: str = ""
    parameters: tuple[str, ...] = ()
    request: str = ""
    responses: Mapping[int, str] = MappingProxyType({})

    @property
    def may_change(self) -> bool:
        """Whether it may change keys: then it may be that the change cannot be stored."""
        return _INSUFFICIENT_STORAGE in self.responses and not self.makes_files

    @property
    def query_fields(self) -> tuple[str, ...]:
        """The names of the parameters that are fields of the query.

        Others are in the path (``key``, ``channel``) or are headers. A parameter may be qualified,
        as ``one key`` or ``format of list``.
        """
        names = [
            name.removeprefix("ascii ").removeprefix("one ").partition(" of ")[0]
            for name in self.parameters
            if name not in ("key", "ascii key", "channel")
        ]
        return tuple([name for name in names if name[0].islower()])
