"""Histories of sessions at several nodes; the checker finds broken variants of the server."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from dunena.server.shared.planning import PlanStore
from dunena.server.shared.session_notes import SessionTerms, op_of
from dunena.server.shared.session_table import SharedSessionTable
from dunena.server.shared.sessions import SharedSessions
from tests.simulation.seeds import seeds_of
from tests.simulation.session_world import SessionWorld, ViolationError

SEEDS = 150
STEPS = 120
PARTS = 3
SABOTAGE_SEEDS = 150


@pytest.mark.parametrize("part", range(PARTS))
def test_sessions_end_when_they_may_and_never_before(part: int) -> None:
    for seed in seeds_of("DUNENA_SESSION_SEED", SEEDS, part, PARTS):
        try:
            SessionWorld(seed).play(STEPS)
        except AssertionError as error:
            raise AssertionError(f"DUNENA_SESSION_SEED={seed}: {error}") from error


def end_without_condition(patch: pytest.MonkeyPatch) -> None:
    """The end of a session does not ask whether its note is still the same."""

    def op(session_id: str, terms: SessionTerms | None) -> object:
        return replace(op_of(session_id, terms), is_conditional=terms is not None)

    patch.setattr("dunena.server.shared.planned_sessions.op_of", op)


def end_without_lease(patch: pytest.MonkeyPatch) -> None:
    """A node need not be silent for long."""
    patch.setattr("dunena.server.shared.session_notes.LEASE_MS", 0)


def end_without_grace(patch: pytest.MonkeyPatch) -> None:
    """Only the lease counts when a node is gone."""
    due_at = SessionTerms.due_at

    def due(terms: SessionTerms, last_sign: int) -> int:
        return due_at(replace(terms, grace_ms=0), last_sign)

    patch.setattr(SessionTerms, "due_at", due)


def end_all_keys(patch: pytest.MonkeyPatch) -> None:
    """The keys that a session had when its end was due go, whoever has them."""
    owned_by = PlanStore.owned_by

    def owned(store: PlanStore, owner: str) -> object:
        found = owned_by(store, owner)
        return [*found, ("", "k0")] if store._find("", "k0") is not None else found

    patch.setattr(PlanStore, "owned_by", owned)


def forget_orphans(patch: pytest.MonkeyPatch) -> None:
    """A session that was stored without an answer is nobody's."""
    patch.setattr(SharedSessionTable, "_adopt", lambda _table, _terms: None)


def keep_displaced(patch: pytest.MonkeyPatch) -> None:
    """Who learns that another node has its session keeps it."""
    patch.setattr(SharedSessionTable, "_forget", lambda _table, _session, has_ended: None)


def end_nothing_of_others(patch: pytest.MonkeyPatch) -> None:
    """Nobody ends the sessions of a node that is gone."""
    patch.setattr(SharedSessions, "_found", lambda _sessions: [])


def skip_wills(patch: pytest.MonkeyPatch) -> None:
    """The wills of other nodes' sessions do not run."""
    patch.setattr(SharedSessions, "_rights_of", lambda _sessions, _terms: None)


SABOTAGES: list[Callable[[pytest.MonkeyPatch], None]] = [
    end_without_condition,
    end_without_lease,
    end_without_grace,
    end_all_keys,
    forget_orphans,
    keep_displaced,
    end_nothing_of_others,
    skip_wills,
]


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.__name__)
def test_a_broken_server_is_found(
    sabotage: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage(monkeypatch)
    for seed in range(SABOTAGE_SEEDS):
        try:
            SessionWorld(seed).play(STEPS)
        except ViolationError:
            return
    pytest.fail(f"{SABOTAGE_SEEDS} histories have not found it")
