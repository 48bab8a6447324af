"""Sessions: who holds one, until when it can be resumed, and when its end is due."""

from dataclasses import dataclass

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dunena.sessions.limits import (
    LOST_SESSIONS_MAX,
    SESSION_RETRY_MS,
    TIMEOUT_MS_DEFAULT,
    WILL_BYTES,
    WILL_BYTES_MAX,
    WILLS_BYTES_MAX,
)
from dunena.sessions.session import Session, SessionHolder, SessionRequest, SessionState
from dunena.sessions.session_table import NEVER, SessionTable, WillsFullError


@dataclass(frozen=True)
class Rights:
    scope: bytes = b"all"


ALL = Rights()


def made() -> SessionTable[Rights]:
    ids, secrets = iter(range(10**9)), iter(range(10**9))
    return SessionTable(lambda: f"s{next(ids)}", lambda: f"secret{next(secrets)}")


class Listener:
    """A connection that writes down what it learns."""

    def __init__(self) -> None:
        self.heard: list[int | str] = []

    def change_timeout(self, timeout_ms: int, /) -> None:
        self.heard.append(timeout_ms)

    def displace(self) -> None:
        self.heard.append("displaced")

    def expel(self) -> None:
        self.heard.append("expelled")


def connect(table: SessionTable[Rights], rights: Rights = ALL) -> SessionHolder[Rights]:
    return SessionHolder(table, rights)


def ask(
    holder: SessionHolder[Rights], now: int = 0, **fields: object
) -> tuple[Session[Rights], bool]:
    return holder.request(SessionRequest(**fields), now)  # type: ignore[arg-type]


def all_due(table: SessionTable[Rights], now: int) -> list[Session[Rights]]:
    found = []
    while (session := table.due(now)) is not None:
        found.append(session)
    return found


def test_a_connection_that_writes_an_ephemeral_key_has_a_session_without_grace() -> None:
    table = made()
    holder = connect(table)
    assert len(table) == 0
    assert holder.owner == holder.owner == "s0"
    holder.close(1000, is_at_once=False)
    assert table.next_end == 1000
    (ended,) = all_due(table, 1000)
    assert ended.state is SessionState.ENDING
    table.ended(ended)
    assert len(table) == 0
    assert table.ended_count == 1
    assert table.next_end == NEVER


def test_a_session_has_the_default_timeout_and_no_grace_until_it_asks_for_others() -> None:
    table = made()
    listener = Listener()
    holder = SessionHolder(table, ALL, listener)
    session, resumed = ask(holder)
    assert not resumed
    assert (session.timeout_ms, session.grace_ms, session.name) == (TIMEOUT_MS_DEFAULT, 0, "")
    again, resumed = ask(holder, timeout_ms=5000, grace_ms=3000, name="Ada", will=b"[1]")
    assert again is session
    assert not resumed
    third, _ = ask(holder, grace_ms=4000)
    assert (third.timeout_ms, third.grace_ms, third.name) == (5000, 4000, "Ada")
    assert third.will == b"[1]"
    assert listener.heard == [TIMEOUT_MS_DEFAULT, 5000, 5000]


def test_a_lost_session_ends_after_its_grace_and_not_before() -> None:
    table = made()
    holder = connect(table)
    session, _ = ask(holder, grace_ms=5000)
    holder.close(1000, is_at_once=False)
    assert table.lost_count == 1
    assert table.next_end == 6000
    assert table.due(5999) is None
    assert session.can_be_resumed(5999)
    assert not session.can_be_resumed(6000)
    assert table.due(6000) is session
    assert not session.can_be_resumed(5999)
    assert table.due(10_000) is None, "once"
    assert (table.lost_count, table.ending_count) == (0, 1)


def test_a_close_on_purpose_ends_a_session_without_its_grace() -> None:
    table = made()
    holder = connect(table)
    session, _ = ask(holder, grace_ms=5000)
    holder.close(1000, is_at_once=True)
    holder.close(1001, is_at_once=False)
    assert table.due(1000) is session


def test_a_session_resumed_within_its_grace_does_not_end() -> None:
    table = made()
    holder = connect(table)
    session, _ = ask(holder, grace_ms=5000, timeout_ms=3000)
    holder.close(1000, is_at_once=False)
    other = connect(table)
    assert ask(other, 5999, resume=session.secret) == (session, True)
    assert all_due(table, 100_000) == []
    assert session.timeout_ms == 3000
    assert (table.resumed_count, table.connected_count) == (1, 1)
    other.close(200_000, is_at_once=False)
    assert table.due(204_999) is None
    assert table.due(205_000) is session


def test_resuming_takes_a_session_from_a_connection_that_is_still_open() -> None:
    table = made()
    listener = Listener()
    first = SessionHolder(table, ALL, listener)
    session, _ = ask(first, grace_ms=5000)
    second = connect(table)
    assert ask(second, resume=session.secret) == (session, True)
    assert listener.heard == [TIMEOUT_MS_DEFAULT, "displaced"]
    assert first.session is None
    first.close(10, is_at_once=True)
    assert all_due(table, 100_000) == [], "the connection that lost it does not end it"
    assert ask(second, resume=session.secret) == (session, True)
    assert listener.heard == [TIMEOUT_MS_DEFAULT, "displaced"], "it has it already"
    assert table.resumed_count == 1


def test_resuming_ends_the_session_that_the_connection_had_before() -> None:
    table = made()
    lost = connect(table)
    session, _ = ask(lost, grace_ms=5000)
    lost.close(0, is_at_once=False)
    holder = connect(table)
    own = holder.owner
    assert ask(holder, 100, resume=session.secret) == (session, True)
    (ended,) = all_due(table, 100)
    assert ended.id == own


@pytest.mark.parametrize(
    "secret", ["", ".", "s0", "s0.", "s0.secret1", "s9.secret0", "s0.secret0.", "\u00fc.\u00fc"]
)
def test_a_wrong_secret_begins_a_new_session(secret: str) -> None:
    table = made()
    lost = connect(table)
    session, _ = ask(lost, grace_ms=5000)
    assert session.secret == "s0.secret0"
    lost.close(0, is_at_once=False)
    other, resumed = ask(connect(table), resume=secret)
    assert other is not session
    assert not resumed
    assert table.lost_count == 1


def test_a_wrong_secret_leaves_a_connection_the_session_that_it_has() -> None:
    table = made()
    holder = connect(table)
    session, _ = ask(holder)
    assert ask(holder, resume="s5.secret5", name="x") == (session, False)


def test_an_expired_secret_begins_a_new_session_before_and_after_the_end_is_stored() -> None:
    table = made()
    lost = connect(table)
    session, _ = ask(lost, grace_ms=10)
    lost.close(0, is_at_once=False)
    assert table.due(10) is session
    assert ask(connect(table), 10, resume=session.secret)[1] is False
    table.ended(session)
    assert ask(connect(table), 10, resume=session.secret)[1] is False


def test_another_token_does_not_resume_a_session() -> None:
    table = made()
    lost = connect(table)
    session, _ = ask(lost, grace_ms=5000)
    lost.close(0, is_at_once=False)
    assert ask(connect(table, Rights(b"some")), resume=session.secret)[1] is False
    assert ask(connect(table), resume=session.secret)[1] is True


def test_the_rights_of_a_session_follow_those_of_its_connection() -> None:
    table = made()
    holder = connect(table)
    session, _ = ask(holder, grace_ms=5000)
    holder.change_rights(Rights(b"less"))
    holder.close(0, is_at_once=False)
    assert session.rights == Rights(b"less")
    assert ask(connect(table), resume=session.secret)[1] is False
    assert ask(connect(table, Rights(b"less")), resume=session.secret)[1] is True


def test_rights_that_change_in_the_grace_count_for_the_will_and_prevent_resuming() -> None:
    table = made()
    holder = connect(table)
    session, _ = ask(holder, grace_ms=5000)
    holder.close(0, is_at_once=False)
    table.change_rights(lambda _: Rights(b"less"), 10)
    assert session.rights == Rights(b"less")
    assert ask(connect(table, Rights(b"less")), resume=session.secret)[1] is False
    assert table.due(4999) is None
    assert table.due(5000) is session


def test_a_lost_session_whose_token_is_invalid_ends_at_once_without_rights() -> None:
    table = made()
    lost, connected = connect(table), connect(table, Rights(b"other"))
    session, _ = ask(lost, grace_ms=5000)
    other, _ = ask(connected)
    lost.close(0, is_at_once=False)
    table.change_rights(lambda _: None, 10)
    assert all_due(table, 10) == [session]
    assert session.rights is None
    assert other.rights == Rights(b"other"), "its connection is told"
    table.change_rights(lambda _: None, 11)
    assert all_due(table, 11) == []


def test_an_end_that_cannot_be_stored_is_due_again_and_the_session_is_not_resumed() -> None:
    table = made()
    holder = connect(table)
    session, _ = ask(holder, grace_ms=10, will=b"[1]")
    holder.close(0, is_at_once=False)
    assert table.due(10) is session
    table.postpone(session, 10)
    assert table.postponed_count == 1
    assert table.due(10 + SESSION_RETRY_MS - 1) is None
    assert ask(connect(table), resume=session.secret)[1] is False
    assert table.due(10 + SESSION_RETRY_MS) is session
    table.ended(session)
    assert table.postponed_count == 0


def test_an_end_that_was_taken_back_is_due_again() -> None:
    table = made()
    holder = connect(table)
    session, _ = ask(holder, will=b"[1]")
    holder.close(0, is_at_once=False)
    assert table.due(0) is session
    table.ended(session)
    table.postpone(session, 5)
    assert (table.ended_count, table.ending_count, table.postponed_count) == (0, 1, 1)
    assert table.due(5 + SESSION_RETRY_MS) is session
    table.ended(session)
    assert (table.ended_count, table.ending_count, len(table)) == (1, 0, 0)


def test_a_request_of_a_lost_connection_that_runs_again_leaves_no_session() -> None:
    table = made()
    holder = connect(table)
    holder.close(10, is_at_once=False)
    assert holder.owner == "s0"
    (session,) = all_due(table, 10)
    table.ended(session)
    lost = connect(table)
    other, _ = ask(lost, grace_ms=5000)
    lost.close(10, is_at_once=False)
    again, resumed = ask(holder, 11, resume=other.secret, grace_ms=5000, will=b"[1]")
    assert not resumed
    assert table.lost_count == 1
    assert again.will == b"", "the session that had it was lost with it"
    assert all_due(table, 11) == [again]


def test_only_so_many_sessions_wait_to_be_resumed_and_the_first_lost_ends_first() -> None:
    table = made()
    sessions = []
    for number in range(LOST_SESSIONS_MAX + 2):
        holder = connect(table)
        sessions.append(ask(holder, grace_ms=60_000 - number)[0])
        holder.close(0, is_at_once=False)
    assert table.lost_count == LOST_SESSIONS_MAX
    assert all_due(table, 0) == sessions[:2]


def test_all_wills_together_are_limited_and_the_room_of_ended_ones_is_free() -> None:
    table = made()
    will = b"[" + b" " * (WILL_BYTES_MAX - 2) + b"]"
    holders = [connect(table) for _ in range(WILLS_BYTES_MAX // (WILL_BYTES_MAX + WILL_BYTES))]
    for holder in holders:
        ask(holder, will=will)
    last = connect(table)
    with pytest.raises(WillsFullError):
        ask(last, will=will)
    assert last.session is None
    ask(holders[0], will=will, name="the same will again")
    holders[0].close(0, is_at_once=True)
    with pytest.raises(WillsFullError):
        ask(last, will=will)
    for session in all_due(table, 0):
        table.ended(session)
    ask(last, will=will)
    ask(last, will=b"")
    ask(connect(table), will=will)


def test_no_session_ends_after_the_table_was_stopped() -> None:
    table = made()
    holder = connect(table)
    ask(holder, will=b"[1]")
    table.is_stopped = True
    holder.close(0, is_at_once=True)
    assert all_due(table, 10**9) == []


def test_the_secret_is_not_in_what_is_shown_of_a_session() -> None:
    session, _ = ask(connect(made()))
    assert session.secret not in repr(session)


def test_who_waits_for_the_next_end_is_told_of_a_sooner_one() -> None:
    table = made()
    sooner: list[int] = []
    table.on_sooner(lambda: sooner.append(table.next_end))
    for grace in (5000, 6000, 2000):
        holder = connect(table)
        ask(holder, grace_ms=grace)
        holder.close(0, is_at_once=False)
    assert sooner == [5000, 2000]


class SessionRules(RuleBasedStateMachine):
    """A made-up time in which clients come, go, resume and end; a dict says what must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.table = made()
        self.now = 1000
        self.open: list[SessionHolder[Rights]] = []
        self.deadline: dict[str, int] = {}  # of a session without a connection
        self.secrets: list[tuple[str, str]] = []
        self.ended: set[str] = set()

    @rule(grace_ms=st.integers(0, 50))
    def begin(self, grace_ms: int) -> None:
        holder = connect(self.table)
        session, resumed = ask(holder, self.now, grace_ms=grace_ms)
        assert not resumed
        self.open.append(holder)
        self.secrets.append((session.id, session.secret))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), on_purpose=st.booleans())
    def leave(self, data: st.DataObject, on_purpose: bool) -> None:
        holder = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        session = holder.session
        holder.close(self.now, is_at_once=on_purpose)
        if session is not None:
            self.deadline[session.id] = self.now + (0 if on_purpose else session.grace_ms)

    @precondition(lambda self: self.secrets)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        session_id, secret = data.draw(st.sampled_from(self.secrets))
        holder = connect(self.table)
        session, resumed = ask(holder, self.now, resume=secret)
        is_in_time = self.deadline.get(session_id, NEVER) > self.now
        assert resumed is (is_in_time and session_id not in self.ended)
        if resumed:
            assert session.id == session_id
            self.deadline.pop(session_id, None)
        else:
            self.secrets.append((session.id, session.secret))
        self.open.append(holder)

    @rule(ms=st.integers(0, 60), is_refused=st.booleans())
    def pass_time(self, ms: int, is_refused: bool) -> None:
        self.now += ms
        due = {name for name, at in self.deadline.items() if at <= self.now}
        found = all_due(self.table, self.now)
        assert {session.id for session in found} <= due, "none ends before its time"
        assert len(found) == len({session.id for session in found})
        for session in found:
            if is_refused:
                self.table.postpone(session, self.now)
                self.deadline[session.id] = self.now + SESSION_RETRY_MS
            else:
                self.table.ended(session)
                del self.deadline[session.id]
            self.ended.add(session.id)
        assert due <= {session.id for session in found}, "none outlives its time"

    @invariant()
    def counts_agree(self) -> None:
        connected = sum(holder.session is not None for holder in self.open)
        assert self.table.connected_count == connected
        assert len(self.table) == connected + len(self.deadline)


TestSessionRules = SessionRules.TestCase
