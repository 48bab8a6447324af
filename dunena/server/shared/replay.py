"""Making what the log has stored, and running the own requests again at their place."""

import logging
from collections.abc import Sequence

from dunena.persistence.log import OpKind, Record
from dunena.server.shared.answers import SharedAnswers
from dunena.server.shared.parked import Planned
from dunena.server.shared.session_table import SharedSessionTable
from dunena.server.shared.store import SharedStore, UnplannedChangeError

_log = logging.getLogger(__name__)


class LogReplay:
    """Makes changes of the log in a store, and takes in the notes that are stored with them."""

    def __init__(
        self, store: SharedStore, answers: SharedAnswers, sessions: SharedSessionTable
    ) -> None:
        self._store = store
        self._answers = answers
        self._sessions = sessions

    def make_group(self, records: Sequence[Record], now: int) -> None:
        """Make the changes of one request as a whole; ``now`` is the log's time, Unix ms."""
        self._store.make_group(records)
        self._take_in_notes(records, now)

    def run(self, planned: Planned, records: Sequence[Record], now: int) -> bool:
        """Run a request of this node again, which makes the changes of its records.

        Return False if it only asked, and would change something now: it is to be planned again.
        """
        request, store = planned.request, self._store
        changes = [record for record in records if record.op.kind is not OpKind.NOTE]
        if records:  # an answer without changes names this place, as its note does
            store.reach(records[0].revision - 1)
        store.begin_replay(changes, planned.planned_at, planned.checks)
        self._sessions.begin_replay(records)
        is_as_planned = True
        try:
            request.replay(now)
        except UnplannedChangeError as change:
            is_as_planned = not planned.asks
            if is_as_planned:
                _log.error("a request did other than planned: %s", change)
                request.fail()
        except Exception:  # noqa: BLE001 - a bug costs one request its answer
            _log.exception("a request could not be answered")
            request.fail()
        self._sessions.end_replay()
        left = store.end_replay()
        if left:  # of keys that it has only looked at
            store.make_group(left)
        self._take_in_notes(records, now)
        return is_as_planned

    def _take_in_notes(self, records: Sequence[Record], now: int) -> None:
        for record in records:
            if record.op.kind is OpKind.NOTE:
                self._answers.take_in(record, now)
                self._sessions.take_in(record)
