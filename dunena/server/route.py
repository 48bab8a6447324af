"""What a route is: one method of one path, who may ask it, what answers, how it is described."""

from collections.abc import Callable, Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from dunena.dialects.grants import Right
from dunena.server.http.message import Request, Response

if TYPE_CHECKING:
    from dunena.server.handlers import Handlers


class Access(Enum):
    """Who may come to a path, where the server has a token.

    ``PROBE`` answers in short to who shows none, ``PUBLIC`` in full. ``PAGE`` is one of the user's
    own: a link from anywhere may lead to it, as to a public one.
    """

    TOKEN = auto()
    PROBE = auto()
    PUBLIC = auto()
    PAGE = auto()


class Route(NamedTuple):
    """One method of one path; what is in braces at its end is any text.

    A token needs one of ``rights``, by what the request names; none for any token. The right admin
    is asked for before the handler is, reading and writing by the store for the keys at hand. All
    routes of a path have the same ``access``.

    The rest is for the description, which has the routes with a ``summary``: ``parameters`` are
    names of the path's and the query's, ``request`` that of the body's schema, and ``responses`` of
    those of the answers, by status.

    (A frozen dataclass would cost each start a millisecond.)
    """

    method: str
    path: str
    handler: "Callable[[Handlers, Request, int], Response]"
    rights: tuple[Right, ...] = ()
    access: Access = Access.TOKEN
    summary: str = ""
    parameters: tuple[str, ...] = ()
    request: str = ""
    responses: Mapping[int, str] = MappingProxyType({})
