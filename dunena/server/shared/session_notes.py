"""The notes of sessions: what all nodes know of a session, so that each can resume or end it.

The secret of a session is not in the log, only its digest.
"""

from dataclasses import dataclass, replace
from hashlib import sha256
from hmac import compare_digest
from typing import Final

import orjson

from dunena.dialects.grants import Grant
from dunena.persistence.log import LEASE_MS, Op, OpKind
from dunena.sessions.limits import GRACE_MS_MAX, TIMEOUT_MS_DEFAULT, TIMEOUT_MS_MAX
from dunena.sessions.session import Session, SessionRequest
from dunena.store.limits import EXPIRES_AT_MS_MAX

PREFIX: Final = "session-"
"""What the names of these notes begin with."""


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """The terms of a session, as its note has them.

    ``scope`` is that of the rights that it has, and ``rights`` their name, for people. ``node`` is
    the one that holds it; ``lost_at`` is when its connection was lost, in Unix ms of the log's
    time, None while it has one as far as is known.
    """

    id: str
    secret_digest: bytes
    scope: bytes
    rights: str
    node: str
    timeout_ms: int = TIMEOUT_MS_DEFAULT
    grace_ms: int = 0
    name: str = ""
    will: bytes = b""
    lost_at: int | None = None

    def is_opened_by(self, secret: str, rights: Grant) -> bool:
        """Return whether a secret is that of the session, and the rights are those it had."""
        is_right = compare_digest(self.secret_digest, digest_of(secret))
        return is_right and compare_digest(self.scope, rights.scope)

    def due_at(self, last_sign: int) -> int:
        """Return when the session ends if its node is silent since ``last_sign``; all Unix ms."""
        lost_at = last_sign if self.lost_at is None else self.lost_at
        return max(last_sign + LEASE_MS, lost_at + self.grace_ms)

    def changed(self, request: SessionRequest) -> "SessionTerms":
        """Return the terms with what a client wants of them."""
        return replace(
            self,
            timeout_ms=self.timeout_ms if request.timeout_ms is None else request.timeout_ms,
            grace_ms=self.grace_ms if request.grace_ms is None else request.grace_ms,
            name=self.name if request.name is None else request.name,
            will=self.will if request.will is None else request.will,
        )

    def held_by(self, node: str, rights: Grant) -> "SessionTerms":
        """Return the terms with a connection to a node that has these rights."""
        return replace(self, node=node, scope=rights.scope, rights=rights.name, lost_at=None)

    def put_into(self, session: Session[Grant]) -> None:
        """Give a session these terms."""
        session.timeout_ms = self.timeout_ms
        session.grace_ms = self.grace_ms
        session.name = self.name
        session.will = self.will


def digest_of(secret: str) -> bytes:
    """Return what a note has of a secret, from which it cannot be found."""
    return sha256(secret.encode()).digest()


def id_of(note: str) -> str | None:
    """Return the id of the session that a note is about; None for another note."""
    return note.removeprefix(PREFIX) if note.startswith(PREFIX) else None


def op_of(session_id: str, terms: SessionTerms | None) -> Op:
    """Make the op that stores the note of a session, or removes it; none may have changed it."""
    value = b"" if terms is None else _encode(terms)
    return Op(OpKind.NOTE, key=PREFIX + session_id, value=value, is_conditional=True)


def read_terms(session_id: str, value: bytes) -> SessionTerms | None:
    """Return the terms in a note; None if it was removed or cannot be read."""
    if not value:
        return None
    try:
        fields = orjson.loads(value)
        will = str(fields["will"]).encode()
        if will:
            orjson.loads(will)  # it is to be read when it runs
        return SessionTerms(
            session_id,
            bytes.fromhex(fields["secret"]),
            bytes.fromhex(fields["scope"]),
            str(fields["rights"]),
            str(fields["node"]),
            _ms_in(fields["timeout"], TIMEOUT_MS_MAX),
            _ms_in(fields["grace"], GRACE_MS_MAX),
            str(fields["name"]),
            will,
            None if fields["lostAt"] is None else _ms_in(fields["lostAt"], EXPIRES_AT_MS_MAX),
        )
    except (ValueError, KeyError, TypeError):
        return None


def _ms_in(value: object, most: int) -> int:
    """Return a number of ms; raise ValueError for what no node writes."""
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{value!r} ms")
    return value


def _encode(terms: SessionTerms) -> bytes:
    return orjson.dumps(
        {
            "secret": terms.secret_digest.hex(),
            "scope": terms.scope.hex(),
            "rights": terms.rights,
            "node": terms.node,
            "timeout": terms.timeout_ms,
            "grace": terms.grace_ms,
            "name": terms.name,
            "will": terms.will.decode(),
            "lostAt": terms.lost_at,
        }
    )
