"""Which epoch a stream is in, and when another one has to begin."""

import json

import pytest

from dunena.persistence.jetstream.epochs import (
    BELIEVED_S,
    QUIET_MS,
    TRIES_MAX,
    EpochMark,
    Epochs,
    Suspicion,
    epoch_of,
    mark_of,
)
from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.wire import LinkFault, Message

NAMES = SubjectNames("show")
NOW = 1_796_025_600_000  # 08:00
CREATED = "2026-11-30T07:00:00Z"
MARK = EpochMark(1, NOW - 3_600_000, b"{}")


@pytest.fixture
def epochs() -> Epochs:
    return Epochs("KV_show", NAMES, "n1", is_reader=False)


def follow(epochs: Epochs, mark: EpochMark = MARK) -> None:
    """Load what was written a moment ago."""
    epochs.begin_loading()
    assert not epochs.needs_mark(mark, NOW, CREATED, NOW)
    epochs.take_loaded(mark, NOW, CREATED, NOW)


def test_an_epoch_is_of_one_stream_and_one_mark() -> None:
    names = {
        epoch_of("KV_show", CREATED, MARK),
        epoch_of("KV_show", CREATED, EpochMark(1, NOW - 3_600_000, b"{}")),
        epoch_of("KV_other", CREATED, MARK),
        epoch_of("KV_show", "2026-11-30T07:00:01Z", MARK),
        epoch_of("KV_show", CREATED, MARK._replace(time=NOW)),
        epoch_of("KV_show", CREATED, MARK._replace(data=b"")),
        epoch_of("KV_show", CREATED, EpochMark()),
        epoch_of("KV_show", CREATED, MARK, own="n1 1"),
    }
    assert len(names) == 7


def test_a_mark_is_read_as_it_is_stored() -> None:
    headers = {"Nats-Sequence": "7", "Nats-Time-Stamp": "2026-11-30T08:00:00Z"}
    assert mark_of(Message("", headers, b"by hand")) == EpochMark(7, NOW, b"by hand")


def test_a_stream_without_a_mark_needs_one(epochs: Epochs) -> None:
    epochs.begin_loading()
    assert epochs.needs_mark(EpochMark(), 0, CREATED, NOW)
    subject, headers, data = epochs.message(EpochMark())
    assert subject == "$KV.show.=epoch"
    assert headers == {"Nats-Expected-Last-Subject-Sequence": "0"}
    assert json.loads(data) == {"node": "n1"}


def test_nodes_that_load_the_same_are_in_the_same_epoch(epochs: Epochs) -> None:
    other = Epochs("KV_show", NAMES, "n2", is_reader=True)
    for one in (epochs, other):
        follow(one)
    assert epochs.current == other.current == epoch_of("KV_show", CREATED, MARK)
    assert not epochs.is_own


def test_after_a_loss_a_mark_is_needed_unless_somebody_else_has_stored_one(epochs: Epochs) -> None:
    follow(epochs)
    before = epochs.current
    assert epochs.lose()
    assert not epochs.lose()
    younger = EpochMark(9, MARK.time + 1)
    older = EpochMark(1, MARK.time - 1)  # of an older copy
    for mark, needs_it in ((MARK, True), (older, True), (younger, False)):
        epochs.begin_loading()
        assert epochs.needs_mark(mark, NOW, CREATED, NOW) is needs_it
    epochs.take_loaded(younger, NOW, CREATED, NOW)
    assert epochs.current != before
    follow(epochs, younger)  # the loss is over


def test_another_stream_has_lost_nothing(epochs: Epochs) -> None:
    follow(epochs)
    epochs.lose()
    epochs.begin_loading()
    assert not epochs.needs_mark(MARK, NOW, "2026-11-30T07:30:00Z", NOW)


def test_a_node_stores_one_mark_whatever_the_clocks_say(epochs: Epochs) -> None:
    follow(epochs)
    epochs.lose()
    epochs.begin_loading()
    assert epochs.needs_mark(MARK, NOW, CREATED, NOW)
    epochs.take_answer(Message("", {}, b'{"stream":"KV_show","seq":9}'))
    early = EpochMark(9, MARK.time - 500)
    assert not epochs.needs_mark(early, NOW, CREATED, NOW)
    epochs.take_loaded(early, NOW, CREATED, NOW)
    assert not epochs.is_own


def test_who_starts_where_nothing_was_written_for_long_begins_an_epoch(epochs: Epochs) -> None:
    epochs.begin_loading()
    assert not epochs.needs_mark(MARK, NOW - QUIET_MS, CREATED, NOW)
    assert epochs.needs_mark(MARK, NOW - QUIET_MS - 1, CREATED, NOW)
    follow(epochs)
    epochs.begin_loading()
    assert not epochs.needs_mark(MARK, NOW - QUIET_MS - 1, CREATED, NOW), "it has followed"


@pytest.mark.parametrize("how", ["reader", "unanswered", "refused"])
def test_who_cannot_store_a_mark_has_an_epoch_of_its_own(how: str) -> None:
    epochs = Epochs("KV_show", NAMES, "n1", is_reader=how == "reader")
    epochs.begin_loading()
    for _ in range(TRIES_MAX):
        if how == "unanswered":
            assert epochs.needs_mark(EpochMark(), 0, CREATED, NOW)
            epochs.take_answer(LinkFault.TIMEOUT)
        elif how == "refused":
            epochs.take_answer(refusal(10077))
    assert not epochs.needs_mark(EpochMark(), 0, CREATED, NOW)
    found = set()
    for _ in range(2):
        epochs.take_loaded(EpochMark(), 0, CREATED, NOW)
        assert epochs.is_own
        found.add(epochs.current)
    assert len(found | {epoch_of("KV_show", CREATED, EpochMark())}) == 3


def refusal(number: int) -> Message:
    error = {"code": 400, "err_code": number, "description": "no"}
    return Message("", {}, json.dumps({"error": error}).encode())


def test_who_comes_second_looks_what_the_first_one_has_stored(epochs: Epochs) -> None:
    epochs.begin_loading()
    for _ in range(TRIES_MAX + 1):
        epochs.take_answer(refusal(10071))
        assert epochs.needs_mark(EpochMark(), 0, CREATED, NOW)
    assert not epochs.needs_mark(MARK, NOW, CREATED, NOW)


def test_what_shows_for_a_moment_is_not_believed() -> None:
    suspicion = Suspicion()
    assert not suspicion.look(True, 0.0)
    assert not suspicion.look(False, BELIEVED_S)
    assert not suspicion.look(True, BELIEVED_S + 1)
    assert not suspicion.look(True, 2 * BELIEVED_S)
    assert suspicion.look(True, 2 * BELIEVED_S + 1)
    suspicion.end()
    assert not suspicion.look(True, 2 * BELIEVED_S + 1)
