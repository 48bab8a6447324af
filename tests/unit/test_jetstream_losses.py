"""What a node concludes from what the leader says of messages that were delivered to it."""

import json
from collections.abc import Callable

import pytest

from dunena.persistence.jetstream.epochs import BELIEVED_S, EpochMark, Epochs
from dunena.persistence.jetstream.losses import LossDetector
from dunena.persistence.jetstream.naming import SubjectNames
from dunena.persistence.jetstream.places import Places
from dunena.persistence.jetstream.stream_requests import SILENT_S, StreamFacts, StreamRequests
from dunena.persistence.jetstream.terms import LogTerms
from dunena.persistence.jetstream.wire import LinkFault, Message, TakeAnswer

NAMES = SubjectNames("show")
NOW = 1_796_025_600_000  # 08:00
CREATED = "2026-11-30T07:00:00Z"
MARK = EpochMark(4, NOW, b"")


class Call:
    def cancel(self) -> None:
        """Nothing is ever cancelled here."""


class Leader:
    """A link on which only what is asked for is answered, and a clock."""

    def __init__(self) -> None:
        self.time_s = 0.0
        self.answers: list[TakeAnswer] = []

    def now_s(self) -> float:
        return self.time_s

    def call_later(self, seconds: float, action: Callable[[], None]) -> Call:
        raise AssertionError("nothing is done later")

    def request(self, message: Message, timeout_s: float, answer: TakeAnswer) -> Call:
        assert message.subject == "$JS.API.STREAM.MSG.GET.KV_show"
        assert json.loads(message.data) == {"last_by_subj": "$KV.show.=epoch"}
        self.answers.append(answer)
        return Call()


class Room:
    def __init__(self) -> None:
        self.leader = Leader()
        self.places = Places(NAMES)
        epochs = Epochs("KV_show", NAMES, "n1", is_reader=False)
        epochs.take_loaded(MARK, NOW, CREATED, NOW)
        self.lost: list[str] = []
        self.position: int | None = 9
        self.detector = LossDetector(
            self.leader,  # type: ignore[arg-type]
            self.leader,
            StreamRequests(LogTerms("show")),
            NAMES,
            self.places,
            epochs,
            self.lost.append,
        )

    def look(
        self, messages: int, *, first: int = 1, last: int = 9, created: str = CREATED,
        silent_s: float = 0.0,
    ) -> list[str]:  # fmt: skip
        """What is found out when the leader says the same for long enough."""
        facts = StreamFacts(created, messages, first, last, NOW, None, silent_s)
        for _ in range(2):
            self.detector.look(facts, 9, NOW)
            self.leader.time_s += BELIEVED_S
        return self.lost

    def ask(self, body: object) -> list[str]:
        """The same, when it answers with what its newest mark is."""
        for _ in range(2):
            self.detector.ask_for_mark(lambda: self.position)
            (answer,) = self.leader.answers
            self.leader.answers.clear()
            if isinstance(body, LinkFault):
                answer(body)
            else:
                answer(Message("", {}, json.dumps(body).encode()))
            self.leader.time_s += BELIEVED_S
        return self.lost


@pytest.fixture
def room() -> Room:
    room = Room()
    for key in "abc":
        room.places.put(NAMES.subject_of_key("", key), 5)
    room.places.put(NAMES.subject_of_key("", "d"), 5, freed_at=NOW + 1000)
    return room


def test_fewer_messages_than_there_must_be_are_a_loss(room: Room) -> None:
    assert room.look(2) == ["has lost messages"]


@pytest.mark.parametrize("messages", [3, 4, 100])
def test_what_ends_by_itself_is_none(room: Room, messages: int) -> None:
    assert room.look(messages) == []


def test_what_was_delivered_after_the_answer_may_be_more(room: Room) -> None:
    assert room.look(1, last=7) == []
    assert room.look(0, last=7) == ["has lost messages"]


def test_a_stream_that_begins_after_its_mark_has_lost_that(room: Room) -> None:
    assert room.look(100, first=MARK.sequence) == []
    assert room.look(100, first=MARK.sequence + 1) == ["has lost messages"]


def test_a_leader_that_may_be_cut_off_and_another_stream_are_not_listened_to(room: Room) -> None:
    assert room.look(0, silent_s=SILENT_S + 0.1) == []
    assert room.look(0, created="2026-11-30T07:30:00Z") == []


def test_a_loss_that_shows_for_a_moment_is_none(room: Room) -> None:
    facts = StreamFacts(CREATED, 0, 10, 9, NOW, None)
    room.detector.look(facts, 9, NOW)
    room.detector.end()
    room.leader.time_s += BELIEVED_S
    room.detector.look(facts, 9, NOW)
    assert room.lost == []


def mark_at(sequence: int, time: str = "2026-11-30T08:00:00Z") -> dict[str, object]:
    return {"message": {"seq": sequence, "subject": "$KV.show.=epoch", "time": time}}


@pytest.mark.parametrize(
    "answer",
    [
        mark_at(5),
        mark_at(4, "2026-11-30T08:00:00.001Z"),
        {"error": {"code": 404, "err_code": 10037, "description": "no message found"}},
    ],
    ids=["other place", "other time", "none"],
)
def test_another_mark_than_was_delivered_is_a_loss(room: Room, answer: object) -> None:
    assert room.ask(answer) == ["is in another epoch than was delivered"]


@pytest.mark.parametrize(
    "answer",
    [
        mark_at(4),
        mark_at(10),
        LinkFault.TIMEOUT,
        {"error": {"code": 404, "err_code": 10059, "description": "stream not found"}},
    ],
    ids=["the same", "not delivered yet", "silence", "no stream"],
)
def test_the_same_mark_one_that_follows_and_no_answer_are_none(room: Room, answer: object) -> None:
    assert room.ask(answer) == []


def test_while_it_is_not_known_what_was_delivered_no_mark_is_another_one(room: Room) -> None:
    room.position = None
    assert room.ask(mark_at(5)) == []
