"""Random histories of nodes that share a log, and the detection of deliberate faults.

``DUNENA_SIMULATION_LOGS`` sets how many are played in all, ``DUNENA_SIMULATION_LOSSES`` how many in
which somebody purges the stream or puts an older copy in its place while nodes write, and
``DUNENA_SIMULATION_LOG_SEED`` plays the one of that number alone.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Self

import pytest

from dunena.persistence.jetstream import (
    attempts,
    catching_up,
    delivery,
    floor,
    follower,
    headers,
    leader,
    loading,
    log,
    losses,
    places,
    proposals,
    records,
)
from dunena.persistence.jetstream.attempts import CurrentProposal, ProposalDraft
from dunena.persistence.jetstream.catching_up import CatchUp
from dunena.persistence.jetstream.clock import LogClock
from dunena.persistence.jetstream.epochs import Epochs
from dunena.persistence.jetstream.floor import Floor
from dunena.persistence.jetstream.follower import Flow
from dunena.persistence.jetstream.loading import StreamReading
from dunena.persistence.jetstream.log import JetStreamLog
from dunena.persistence.jetstream.losses import LossDetector
from dunena.persistence.jetstream.proposals import Proposals
from dunena.persistence.jetstream.settling import Settled, Settling
from dunena.persistence.jetstream.wire import Message
from dunena.persistence.log import OpKind, Refusal, RefusalKind
from tests.simulation.seeds import seeds_from, seeds_of
from tests.simulation.shared_log import SharedLogHistory, figures_of
from tests.simulation.spec_model import BrokenPromiseError
from tests.support.counts import count_of

HISTORIES = count_of("DUNENA_SIMULATION_LOGS", few=200, many=500)
LOSSES = count_of("DUNENA_SIMULATION_LOSSES", few=60, many=200)
SEED = "DUNENA_SIMULATION_LOG_SEED"  # the variable that names the only one
PARTS = 2  # so that they can be shared by processes
SABOTAGE_HISTORIES_MAX = 500


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes an hour takes as long as a node is away at most."""
    for module in (records, proposals, log):
        monkeypatch.setattr(module, "TOMBSTONE_S", 20)
    monkeypatch.setattr(records, "NOTE_FREED_S", 16)
    monkeypatch.setattr(leader, "AWAY_MS_MAX", 14_000)
    for module in (loading, delivery):
        monkeypatch.setattr(module, "TOMBSTONES_MS", 24_000)
        monkeypatch.setattr(module, "FREED_LATER_MS", 18_000)
    monkeypatch.setattr(places, "STEP_MS", 1000)
    monkeypatch.setattr(places, "SURE_MS", 1000)
    monkeypatch.setattr(floor, "KNOWN_MS", 12_000)
    monkeypatch.setattr(floor, "STEP_MS", 1000)
    monkeypatch.setattr(loading, "CLAIM_MS", 3000)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_random_history_keeps_what_the_log_promises(part: int) -> None:
    for seed in seeds_of(SEED, HISTORIES, part, PARTS):
        try:
            SharedLogHistory(seed, loses=False).play()
        except Exception as error:
            raise AssertionError(f"{SEED}={seed}") from error


@pytest.mark.timeout(3600)
def test_every_random_history_notices_what_a_stream_has_lost() -> None:
    for seed in seeds_of(SEED, LOSSES, 0, 1, (seed for _, seed in SABOTAGES)):
        try:
            SharedLogHistory(seed).play()
        except Exception as error:
            raise AssertionError(f"{SEED}={seed}, with losses") from error


def test_histories_meet_everything() -> None:
    figures = figures_of(range(60))
    for kind in ("conflict", "unknown", "unavailable", "full", "repairs", "own in a gap"):
        assert figures[kind] >= 10, (kind, figures)
    for kind in ("low floors", "loaded removals"):
        assert figures[kind] >= 10, (kind, figures)
    for kind in ("purged", "restored", "begin_epoch"):
        assert figures[kind] >= 5, (kind, figures)
    assert figures["acknowledged"] >= 1000


# --- the checker notices what it is for ---

Sabotage = Callable[[pytest.MonkeyPatch], None]


def break_the_chain_of_markers(patch: pytest.MonkeyPatch) -> None:
    class Unchained(Message):
        def __new__(cls, subject: str, values: dict[str, str], data: bytes) -> Self:
            rest = {name: text for name, text in values.items() if name != headers.EXPECTED}
            return super().__new__(cls, subject, rest, data)

    patch.setattr(proposals, "Message", Unchained)


def go_on_without_a_fence(patch: pytest.MonkeyPatch) -> None:
    give_up = Proposals._give_up

    def forget(self: Proposals) -> None:
        give_up(self)
        self._drop_attempt()
        self._current = None
        self.is_blocked = False

    patch.setattr(Proposals, "_give_up", forget)


def send_again_what_nobody_waits_for(patch: pytest.MonkeyPatch) -> None:
    send = Proposals._send
    patch.setattr(Proposals, "_send", lambda self, current: send(self, current or self._current))


def free_markers_soon(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(proposals, "TOMBSTONE_S", 1)


def ignore_gaps(patch: pytest.MonkeyPatch) -> None:
    take_other = Flow._take_other

    def take(self: Flow, sequence: int, timestamp: str, message: Message) -> None:
        if self.is_holding or sequence < self._next:
            take_other(self, sequence, timestamp, message)
        else:
            self._next = sequence
            self.take(message)

    patch.setattr(Flow, "_take_other", take)


def take_doubles(patch: pytest.MonkeyPatch) -> None:
    take_other = Flow._take_other

    def take(self: Flow, sequence: int, timestamp: str, message: Message) -> None:
        if self.is_holding or sequence >= self._next:
            take_other(self, sequence, timestamp, message)
        else:
            self._taken.append(message)
            self._ready()

    patch.setattr(Flow, "_take_other", take)


def cut_batches(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(follower.header, "BATCH", "None")


def ignore_conditions(patch: pytest.MonkeyPatch) -> None:
    init = ProposalDraft.__init__

    def forget(self: ProposalDraft, *args: object) -> None:
        init(self, *args)  # type: ignore[arg-type]
        self._bodies = [(values, data, False) for values, data, _ in self._bodies]
        self._is_guarded = False
        self.conditions.clear()

    patch.setattr(ProposalDraft, "__init__", forget)


def ignore_clears_in_conditions(patch: pytest.MonkeyPatch) -> None:
    init = ProposalDraft.__init__

    def forget(self: ProposalDraft, *args: object) -> None:
        init(self, *args)  # type: ignore[arg-type]
        self._is_guarded = False

    patch.setattr(ProposalDraft, "__init__", forget)


def guess_conflicts(patch: pytest.MonkeyPatch) -> None:
    begin = Settling.begin

    def guess(self: Settling, current, place, end, *, asks: bool) -> None:
        if asks and current is not None and not current.is_given_up:
            end(Settled.CHANGED)
        else:
            begin(self, current, place, end, asks=asks)

    patch.setattr(Settling, "begin", guess)


def take_silence_for_a_refusal(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        Proposals, "_refusal_of_unanswered", lambda *_: Refusal(RefusalKind.UNAVAILABLE, "")
    )


def refuse_what_is_full_after_a_silence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CurrentProposal, "may_be_stored", property(lambda _: False, lambda *_: None))


def trust_a_page(patch: pytest.MonkeyPatch) -> None:
    """Does not wait for what has replaced messages before they were fetched."""
    finish = CatchUp._finish
    patch.setattr(
        CatchUp, "_finish", lambda self, facts: finish(self, replace(facts, last_sequence=0))
    )


def trust_half_a_batch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CatchUp, "_is_whole", lambda *_: True)


def trust_a_page_with_holes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(headers, "SEQUENCE_BEFORE", "None")


def take_any_stream_for_the_same(patch: pytest.MonkeyPatch) -> None:
    goes_on = CatchUp._goes_on

    def ignore(self: CatchUp, facts: catching_up.StreamFacts) -> bool:
        return goes_on(self, replace(facts, created=self._leader.created or facts.created))

    patch.setattr(CatchUp, "_goes_on", ignore)
    patch.setattr(JetStreamLog, "_reload", lambda _: None)


def forget_removed_keys(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(records, "TOMBSTONE_S", 1)


def forget_ended_notes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(records, "NOTE_FREED_S", 1)


def overlook_purges(patch: pytest.MonkeyPatch) -> None:
    """Lets nodes notice only what takes their markers along."""
    patch.setattr(losses, "is_possible", lambda *_: True)
    patch.setattr(log, "is_possible", lambda *_: True)
    patch.setattr(LossDetector, "ask_for_mark", lambda *_: None)


def overlook_other_copies(patch: pytest.MonkeyPatch) -> None:
    """Loads what was restored, and goes on with the same epoch."""
    patch.setattr(Epochs, "lose", lambda _: True)


def load_what_replicas_still_have(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(log, "is_possible", lambda *_: True)


def follow_no_mark(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(JetStreamLog, "_take_mark", lambda *_: None)
    patch.setattr(LossDetector, "ask_for_mark", lambda *_: None)


def never_load_anew(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(leader, "AWAY_MS_MAX", 10**9)


def forget_how_old_removals_are(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Floor, "at", lambda _self, _now: 0)


def load_what_was_cleared(patch: pytest.MonkeyPatch) -> None:
    add_other = StreamReading._add_other

    def add(self: StreamReading, record: records.Record, subject: str, timestamp: int) -> None:
        if record.op.kind is not OpKind.CLEAR:
            add_other(self, record, subject, timestamp)

    patch.setattr(StreamReading, "_add_other", add)


def join_groups(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(attempts.header, "MORE", "Dunena-Less")
    patch.setattr(delivery.header, "MORE", headers.SEQUENCE)


def lose_an_own_batch_in_a_gap(patch: pytest.MonkeyPatch) -> None:
    repaired, take_marker = JetStreamLog.take_repaired, Proposals.take_marker

    def lose(self: JetStreamLog, messages: list[Message], position: int) -> int:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(Proposals, "take_marker", lambda *args: take_marker(*args) and None)
            return repaired(self, messages, position)

    patch.setattr(JetStreamLog, "take_repaired", lose)


def hurry_the_clock(patch: pytest.MonkeyPatch) -> None:
    now = LogClock.now
    patch.setattr(LogClock, "now", lambda self, now_s: now(self, now_s) + 500)


def wait_for_a_lost_rest(patch: pytest.MonkeyPatch) -> None:
    """A node waits for the rest of a batch that the stream has not got any more."""
    patch.setattr(CatchUp, "_is_ahead", lambda *_: False)


def find_fault(first_seed: int) -> str | None:
    for seed in seeds_from(first_seed, SABOTAGE_HISTORIES_MAX):
        try:
            SharedLogHistory(seed).play()
        except BrokenPromiseError as error:
            return str(error)
    return None


SABOTAGES: list[tuple[Sabotage, int]] = [
    (break_the_chain_of_markers, 2),
    (go_on_without_a_fence, 20),
    (send_again_what_nobody_waits_for, 0),
    (free_markers_soon, 146),
    (ignore_gaps, 3),
    (take_doubles, 2),
    (cut_batches, 0),
    (ignore_conditions, 0),
    (ignore_clears_in_conditions, 5),
    (guess_conflicts, 0),
    (take_silence_for_a_refusal, 3),
    (refuse_what_is_full_after_a_silence, 3),
    (trust_a_page, 61),
    (trust_half_a_batch, 50),
    (trust_a_page_with_holes, 16),
    (take_any_stream_for_the_same, 102),
    (forget_removed_keys, 21),
    (forget_ended_notes, 324),
    (overlook_purges, 136),
    (overlook_other_copies, 1),
    (load_what_replicas_still_have, 86),
    (follow_no_mark, 2),
    (never_load_anew, 201),
    (forget_how_old_removals_are, 201),
    (load_what_was_cleared, 4),
    (join_groups, 0),
    (lose_an_own_batch_in_a_gap, 4),
    (hurry_the_clock, 0),
    (wait_for_a_lost_rest, 494),
]
"""Each with a seed that shows it."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("sabotage", "seed"), SABOTAGES)
def test_the_checker_finds(sabotage: Sabotage, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sabotage(monkeypatch)
    assert find_fault(seed) is not None
