"""One session and its connection: its terms, its secret and its state; no I/O."""

from dataclasses import dataclass
from enum import Enum, auto
from hmac import compare_digest
from typing import Final, Generic, Protocol, TypeVar

from dunena.sessions.limits import TIMEOUT_MS_DEFAULT


class Rights(Protocol):
    """The rights of a client; ``scope`` is a digest of its token and of what it permits."""

    @property
    def scope(self) -> bytes:
        """The digest."""


RightsT = TypeVar("RightsT", bound=Rights)


class SessionState(Enum):
    """The states of a session: each leads only to later ones, but LOST back to CONNECTED."""

    CONNECTED = auto()
    LOST = auto()
    """Without a connection, until ``ends_at``; it can be resumed."""
    ENDING = auto()
    """Its keys are to be deleted and its will is to run; it cannot be resumed any more."""
    ENDED = auto()


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What a client wants of its session; None leaves a field as it is.

    ``resume`` is the secret of the session that it had. ``will`` is a JSON list of operations.
    """

    resume: str | None = None
    timeout_ms: int | None = None
    grace_ms: int | None = None
    name: str | None = None
    will: bytes | None = None


class Session(Generic[RightsT]):
    """A session; ``id`` is public, ``secret`` is known to its client alone and must not be logged.

    ``rights`` are those of its token at present, None once the token is invalid; ``scope`` is that
    of the rights with which it was last connected. ``ends_at`` is the Unix ms at which its end is
    due, if it is LOST or ENDING.
    """

    __slots__ = (
        "ends_at",
        "grace_ms",
        "holder",
        "id",
        "name",
        "rights",
        "scope",
        "secret",
        "state",
        "timeout_ms",
        "will",
    )

    def __init__(self, session_id: str, secret: str, holder: "SessionHolder[RightsT]") -> None:
        self.id = session_id
        self.secret = secret
        self.holder: SessionHolder[RightsT] | None = holder
        self.rights: RightsT | None = holder.rights
        self.scope = holder.rights.scope
        self.state = SessionState.CONNECTED
        self.timeout_ms = TIMEOUT_MS_DEFAULT
        self.grace_ms = 0
        self.name = ""
        self.will = b""
        self.ends_at = 0

    def is_opened_by(self, secret: str, rights: RightsT) -> bool:
        """Return whether a secret is that of this session, and the rights are those it had."""
        is_right = compare_digest(self.secret.encode(), secret.encode())
        return is_right and compare_digest(self.scope, rights.scope)

    def can_be_resumed(self, now: int) -> bool:
        """Return whether it can be, at Unix ms: its end has not begun and is not due."""
        is_lost = self.state is SessionState.LOST and now < self.ends_at
        return is_lost or self.state is SessionState.CONNECTED

    def __repr__(self) -> str:
        return f"Session({self.id!r}, {self.state.name})"


class Table(Protocol[RightsT]):
    """What a connection needs of the table of all sessions: `SessionTable` is one.

    ``keys_max`` is the number of ephemeral keys that one session may own.
    """

    @property
    def keys_max(self) -> int:
        """That number."""

    def begin(self, holder: "SessionHolder[RightsT]", /) -> Session[RightsT]:
        """Begin a session."""

    def request(
        self, holder: "SessionHolder[RightsT]", request: SessionRequest, now: int, /
    ) -> tuple[Session[RightsT], bool]:
        """Begin, change or resume a session."""

    def leave(self, holder: "SessionHolder[RightsT]", now: int, /, *, is_at_once: bool) -> None:
        """Take the session from the connection."""


class SessionListener(Protocol):
    """The connection of a session, as the session needs it."""

    def change_timeout(self, timeout_ms: int, /) -> None:
        """Learn after how many ms of silence the connection is to end."""

    def displace(self) -> None:
        """Learn that another connection resumed the session."""

    def expel(self) -> None:
        """Learn that another server has ended the session."""


class SessionHolder(Generic[RightsT]):
    """What a connection has of its session: ``session`` is None until it needs one.

    ``rights`` are those of the connection. ``listener`` learns what it has to do, until it has
    ended: then ``is_gone`` is set; a request of it may still be run again. Without one nobody is to
    be told.
    """

    __slots__ = ("is_gone", "listener", "rights", "session", "table")

    def __init__(
        self,
        table: "Table[RightsT]",
        rights: RightsT,
        listener: SessionListener | None = None,
    ) -> None:
        self.table = table
        self.rights = rights
        self.listener = _NOBODY if listener is None else listener
        self.session: Session[RightsT] | None = None
        self.is_gone = False

    @property
    def owner(self) -> str:
        """The id of the session, which begins if there is none: it owns what is written."""
        session = self.session
        return self.table.begin(self).id if session is None else session.id

    @property
    def keys_max(self) -> int:
        """The number of keys that the session may own."""
        return self.table.keys_max

    def request(self, request: SessionRequest, now: int) -> tuple[Session[RightsT], bool]:
        """Begin, change or resume the session, as `SessionTable.request` says."""
        return self.table.request(self, request, now)

    def change_rights(self, rights: RightsT) -> None:
        """Take over the changed rights of the connection."""
        self.rights = rights
        if self.session is not None:
            self.session.rights = rights
            self.session.scope = rights.scope

    def close(self, now: int, *, is_at_once: bool) -> None:
        """Report that the connection has ended; ``is_at_once``: the session gets no grace."""
        self.is_gone = True
        self.listener = _NOBODY
        self.table.leave(self, now, is_at_once=is_at_once)


class _Nobody:
    """Does nothing: there is no connection to end."""

    def change_timeout(self, timeout_ms: int, /) -> None: ...

    def displace(self) -> None: ...

    def expel(self) -> None: ...


_NOBODY: Final[SessionListener] = _Nobody()
