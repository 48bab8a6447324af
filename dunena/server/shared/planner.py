"""Planning of parked requests: as many as one proposal holds."""

import logging
from collections import deque
from dataclasses import replace
from typing import Final

from dunena.dialects.errors import (
    ClientError,
    StorageFailedError,
    TooLargeError,
    TooManyError,
)
from dunena.persistence.log import GROUP_OPS_MAX, PROPOSAL_BYTES_MAX, Log, Op, OpKind
from dunena.server.shared.answers import PREFIX as ANSWERS
from dunena.server.shared.answers import PlannedAnswers
from dunena.server.shared.parked import ParkedRequest, Planned, PlanResult, bytes_of
from dunena.server.shared.planned_sessions import PlannedSessions
from dunena.server.shared.planning import PlanStore

REQUESTS_MAX: Final = GROUP_OPS_MAX
"""Requests of a proposal."""

_log = logging.getLogger(__name__)


class Planner:
    """Plans requests on a store, answers and sessions, as far as a log stores them."""

    def __init__(
        self,
        store: PlanStore,
        answers: PlannedAnswers,
        sessions: PlannedSessions,
        log: Log,
    ) -> None:
        self._store = store
        self._answers = answers
        self._sessions = sessions
        self._log = log

    def take(self, waiting: deque[ParkedRequest], now: int, count_max: int) -> list[Planned]:
        """Plan the first requests, at most so many, and remove them; ``now`` is Unix ms.

        They fit one proposal. One that only asks what is there is the last: whether something has
        to be planned after all is known when it runs again.
        """
        self._store.begin_proposal(now)
        self._answers.begin_proposal()
        self._sessions.begin_proposal()
        try:
            return self._take(waiting, now, count_max)
        finally:
            self._sessions.end_proposal()

    def _take(self, waiting: deque[ParkedRequest], now: int, count_max: int) -> list[Planned]:
        batch: list[Planned] = []
        op_count = size = 0
        while waiting and len(batch) < count_max:
            planned = self._plan(waiting[0], now)
            op_count += planned.op_count
            size += planned.bytes
            is_full = op_count > GROUP_OPS_MAX or size > PROPOSAL_BYTES_MAX
            if batch and (is_full or planned.clears):
                break  # it is planned anew in the next proposal
            batch.append(planned)
            waiting.popleft()
            if planned.asks or planned.clears or planned.error is not None:
                break
        return batch

    def _plan(self, request: ParkedRequest, now: int) -> Planned:
        store, answers = self._store, self._answers
        store.begin_request()
        answers.begin_request()
        self._sessions.begin_request()
        planned = Planned(request)
        try:
            outcome = request.plan(now)
        except Exception:  # noqa: BLE001 - a bug costs one request its answer
            _log.exception("a request could not be planned")
            outcome = PlanResult.WRONG
        planned.checks = store.checks
        planned.ends = store.overdue_ops
        if outcome is not PlanResult.DONE:
            self._sessions.drop_request()
            planned.is_certain = outcome is PlanResult.WRONG
            if store.checks and store.checks[-1] is not None:
                planned.error = StorageFailedError(store.checks[-1])
            return planned
        if request.is_conditional:
            planned.planned_at = now
            if store.ops or answers.has_notes:
                store.guard()
            notes = answers.notes(len(store.ops))
            planned.ops = [replace(op, is_conditional=True) for op in store.ops] + notes
        else:
            planned.ops = store.ops
        entry_count = len(store.ops)
        planned.ops = planned.ops + self._sessions.ops
        planned.bytes = sum([bytes_of(op) for op in (*planned.ends, *planned.ops)])
        if len(planned.ops) <= GROUP_OPS_MAX < planned.op_count:
            planned.ops = []  # keys end first, and the request is planned again
        planned.error = self._excess(planned, entry_count)
        if planned.error is not None:
            planned.ops, planned.ends, planned.bytes = [], [], 0
        if not planned.ops:
            self._sessions.drop_request()
        return planned

    def _excess(self, planned: Planned, entry_count: int) -> ClientError | None:
        """Return the error for what no log stores, of a request that changes so many entries."""
        if len(planned.ops) > GROUP_OPS_MAX:
            notes_count = len(planned.ops) - entry_count
            return TooManyError("Entries", GROUP_OPS_MAX - notes_count)
        # Asked each time: a log knows it when it is connected, and servers may be set otherwise.
        value_bytes_max = self._log.value_bytes_max
        if planned.bytes > value_bytes_max:
            for op in planned.ops:
                if len(op.value) + len(op.then or b"") > value_bytes_max:
                    return TooLargeError(_excess_of(op, value_bytes_max))
        size = planned.bytes
        if size > PROPOSAL_BYTES_MAX and size - planned.largest_bytes > PROPOSAL_BYTES_MAX:
            return TooLargeError(f"Entries exceed max size ({PROPOSAL_BYTES_MAX} bytes)")
        return None


def _excess_of(op: Op, value_bytes_max: int) -> str:
    """Return the text of the error for an op that is too large."""
    if op.kind is OpKind.NOTE and op.key.startswith(ANSWERS):
        return f"Answer exceeds max size to be remembered ({value_bytes_max} bytes)"
    if op.then is not None:
        return f"Value and then exceed max size together ({value_bytes_max} bytes)"
    return f"Value exceeds max size ({value_bytes_max} bytes)"
