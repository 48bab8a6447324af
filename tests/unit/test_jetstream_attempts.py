"""The messages of an attempt, and what errors mean."""

import pytest

from dunena.persistence.jetstream.attempts import Meaning, ProposalDraft, meaning_of
from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.places import Places
from dunena.persistence.jetstream.stream_requests import ApiFault
from dunena.persistence.jetstream.wire import Message
from dunena.persistence.log import GROUP_OPS_MAX, PROPOSAL_BYTES_MAX, Op, OpGroup, OpKind, Proposal

NAMES = SubjectNames("show", "hub")
MARKER = Message("$JS.hub.API.$KV.show.=node-n", {"Nats-TTL": "3600"}, b"{}")
EXPECTED = "Nats-Expected-Last-Subject-Sequence"


def draft_of(*groups: OpGroup, places: Places | None = None) -> ProposalDraft:
    return ProposalDraft(Proposal(1, groups), NAMES, places or Places(NAMES), 0)


def messages_of(draft: ProposalDraft) -> list[Message]:
    parts, last = draft.messages(MARKER, "dunena-n-1", draft.conditions)
    return [*parts, last]


def set_of(key: str, value: bytes = b"1", *, conditional: bool = False) -> Op:
    return Op(OpKind.SET, "", key, value, is_conditional=conditional)


def test_a_proposal_without_operations_is_its_marker() -> None:
    assert messages_of(draft_of()) == [MARKER]
    assert messages_of(draft_of(())) == [MARKER]


def test_an_attempt_is_one_batch_that_begins_with_the_marker() -> None:
    found = messages_of(draft_of((set_of("a"), set_of("b")), (set_of("c"),)))
    assert [message.subject for message in found] == [
        MARKER.subject,
        "$JS.hub.API.$KV.show.=.a",
        "$JS.hub.API.$KV.show.=.b",
        "$JS.hub.API.$KV.show.=.c",
    ]
    assert [m.headers["Nats-Batch-Sequence"] for m in found] == ["1", "2", "3", "4"]
    assert {m.headers["Nats-Batch-Id"] for m in found} == {"dunena-n-1"}
    assert ["Nats-Batch-Commit" in m.headers for m in found] == [False, False, False, True]
    assert ["Dunena-More" in m.headers for m in found] == [False, True, False, False]
    assert not any(EXPECTED in m.headers for m in found)


def test_a_condition_is_the_last_sequence_and_no_clear_since() -> None:
    places = Places(NAMES)
    places.put("$KV.show.=.a", 7)
    places.put(NAMES.clear, 5)
    ops = (set_of("a", conditional=True), set_of("a", conditional=True), set_of("b"))
    draft = draft_of(ops, places=places)
    _, guard, first, second, other = messages_of(draft)
    assert guard.subject == MARKER.subject
    assert guard.headers[EXPECTED] == "5"
    assert guard.headers[f"{EXPECTED}-Subject"] == NAMES.clear
    assert first.headers[EXPECTED] == "7"
    assert EXPECTED not in second.headers  # JetStream refuses it
    assert EXPECTED not in other.headers
    assert draft.conditions == {"$KV.show.=.a": 7, NAMES.clear: 5}


def test_a_clear_changes_no_note() -> None:
    note = Op(OpKind.NOTE, key="n", value=b"1", is_conditional=True)
    found = messages_of(draft_of((note,)))
    assert len(found) == 2
    assert found[1].headers[EXPECTED] == "0"


def test_another_attempt_has_other_conditions_and_leaves_the_first_as_it_was() -> None:
    draft = draft_of((set_of("a", conditional=True),))
    messages_of(draft)
    expected = {**draft.conditions, "$KV.show.=.a": 9}
    _, last = draft.messages(MARKER, "dunena-n-2", expected)
    assert last.headers[EXPECTED] == "9"
    assert messages_of(draft)[-1].headers[EXPECTED] == "0"


def test_what_no_server_stores_is_refused_before_it_is_sent() -> None:
    payload = 1000
    assert draft_of((set_of("a", b"x" * 600),)).refusal(payload) is None
    assert draft_of((set_of("a", b"x" * 800),)).refusal(payload) is not None
    most = tuple(set_of(str(number)) for number in range(GROUP_OPS_MAX))
    assert draft_of(most).refusal(payload) is None
    assert draft_of(most, (set_of("a"),)).refusal(payload) is not None
    assert draft_of((set_of("ü" * 600),)).refusal(payload) is not None
    then = Op(OpKind.SET, "", "a", b"1", ttl_ms=1, then=b'"' + b"x" * 61_000 + b'"')
    assert draft_of((then,)).refusal(1 << 20) is None
    assert draft_of((then,)).refusal(61_000) is not None
    # A value of that size may come with others of that size in all.
    large = tuple(set_of(str(n), b"x" * (PROPOSAL_BYTES_MAX // 4)) for n in range(5))
    assert draft_of(large[:4]).refusal(1 << 30) is None
    assert draft_of(large).refusal(1 << 30) is not None


@pytest.mark.parametrize(
    ("status", "number", "description", "meaning"),
    [
        (400, 10071, "wrong last sequence: 5", Meaning.CONFLICT),
        (400, 10164, "wrong last sequence", Meaning.PENDING),
        (400, 10176, "atomic publish batch is incomplete", Meaning.LATER),
        (503, 10077, "maximum bytes exceeded", Meaning.FULL),
        (503, 10077, "raft: not leader", Meaning.LATER),
        (503, 10008, "JetStream system temporarily unavailable", Meaning.LATER),
        (500, 0, "?", Meaning.LATER),
        (404, 10059, "stream not found", Meaning.LATER),
        (400, 10165, "invalid per-message TTL", Meaning.INVALID),
        (400, 12345, "something new", Meaning.INVALID),
        (400, 10174, "atomic publish is disabled", Meaning.UNFIT),
        (500, 10023, "insufficient resources", Meaning.FULL),
    ],
)
def test_errors_mean_what_servers_say(
    status: int, number: int, description: str, meaning: Meaning
) -> None:
    assert meaning_of(ApiFault(status, number, description)) is meaning
