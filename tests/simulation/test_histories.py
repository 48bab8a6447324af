"""Random histories on a simulated disk, and the detection of deliberate faults.

``DUNENA_SIMULATION_HISTORIES`` sets how many are played in all; ``DUNENA_SIMULATION_SEED`` plays
the one of that number alone, under every policy.
"""

import pytest

from dunena.persistence.disk import folder_storage, journal_format, journal_reader, recovery
from dunena.persistence.disk import journal as journal_module
from dunena.persistence.disk.folder_identity import FolderIdentity
from dunena.persistence.disk.folder_storage import FolderStorage
from dunena.persistence.disk.journal import Journal
from dunena.persistence.disk.journal_base import base_lines
from dunena.persistence.disk.journal_reader import Replay
from dunena.persistence.disk.journal_segments import Segments
from dunena.persistence.disk.mirror import Mirror
from dunena.persistence.disk.records import Records
from dunena.persistence.disk.value_files import ValueFiles
from dunena.persistence.policy import Fsync
from dunena.plain_files import NotPlainError
from dunena.store.entry import Change
from tests.simulation.history import BrokenPromiseError, History, Run
from tests.simulation.seeds import seeds_from, seeds_of
from tests.support.counts import count_of

HISTORIES = count_of("DUNENA_SIMULATION_HISTORIES", few=4000, many=10_000)
SEED = "DUNENA_SIMULATION_SEED"  # the variable that names the only one
PARTS = 4  # so that they can be shared by processes
SABOTAGE_HISTORIES_MAX = 3000


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several segments in a short history."""
    monkeypatch.setattr(journal_module, "SEGMENT_BYTES_MAX", 300)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("fsync", Fsync)
def test_every_random_history_keeps_the_durability_promise(fsync: Fsync, part: int) -> None:
    for seed in seeds_of(SEED, HISTORIES // len(Fsync) + 1, part, PARTS, FIRST_SEEDS.values()):
        try:
            History(seed, fsync).play()
        except Exception as error:
            raise AssertionError(f"{SEED}={seed}, --fsync {fsync.value}") from error


class AcknowledgedFirst(Run):
    """Replies before it commits."""

    def commit(self, changes: list[Change], *, durable: bool) -> bool:
        super().commit(changes, durable=durable)
        return True


class UnsyncedWhenDurable(Run):
    """Takes a write for a sync."""

    def commit(self, changes: list[Change], *, durable: bool) -> bool:
        self.fsync = Fsync.NO
        return super().commit(changes, durable=False)


def forget_before_files_are_synced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ValueFiles, "sync", lambda _files: None)


def forget_what_is_not_shown(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Mirror, "flushed_revision", property(lambda mirror: mirror._noted_revision))


def forget_without_a_record(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Records, "keep_flushed_revision", lambda *_, **__: None)


def show_before_the_journal_is_synced(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FolderStorage, "_journaled", lambda *_: None)


def read_on_behind_a_torn_line(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(journal_reader._Reader, "_goes_on", lambda *_: True)


def leave_torn_lines(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Segments, "cut_torn", lambda _segments: None)


def follow_on_anything(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(journal_reader._Reader, "_follows", lambda *_: True)


def keep_what_is_cleared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ValueFiles, "_remove", lambda *_: None)


def trust_a_sync_behind_a_failed_one(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Journal, "_failure", property(lambda _: None, lambda *_: None), raising=False)


def trust_files_behind_a_failed_sync(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Mirror, "write_again", lambda _mirror: None)


def overwrite_what_other_hands_did(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recovery, "_edited", lambda *_: set())


def take_every_file_for_another_hands(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recovery, "_edited", lambda standing, *_: set(standing))


def note_no_stamps(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Journal, "plan", lambda *_: None)
    patch.setattr(Journal, "carried_out", lambda *_: None)


def believe_half_of_what_stands_for_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(journal_module, "base_lines", _half_of(base_lines))


def _half_of(lines):
    def half(*arguments, **options):
        everything = list(lines(*arguments, **options))
        return iter([*everything[: len(everything) // 2], everything[-1]])

    return half


def forget_what_strangers_hold_up(patch: pytest.MonkeyPatch) -> None:
    prepare = ValueFiles.prepare

    def prepare_or_forget(*arguments, **options):
        try:
            return prepare(*arguments, **options)
        except NotPlainError:
            return None

    patch.setattr(ValueFiles, "prepare", prepare_or_forget)


def follow_a_folder_that_is_away(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FolderIdentity, "check", lambda _: None)


def believe_what_a_line_says(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(journal_format, "zlib", _OneChecksum)


class _OneChecksum:
    @staticmethod
    def crc32(*_: object) -> int:
        return 0


def say_nothing_of_damage(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FolderStorage, "damages", lambda _: [])
    patch.setattr(
        FolderStorage, "_put_in_order", lambda storage, replay: _put_in_order(storage, replay)
    )


def _put_in_order(storage: FolderStorage, replay: Replay) -> None:
    replay.dropped_bytes = 0
    storage.journal.cut_torn_ends(replay)


def reserve_no_revisions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Records, "reserve_revision", lambda *_: None)


def count_no_starts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(folder_storage, "revision_of_load", lambda _entries, revision: revision)


def keep_no_then_with_a_file(patch: pytest.MonkeyPatch) -> None:
    keep = Records.keep_expiry
    patch.setattr(Records, "keep_expiry", lambda *arguments: keep(*arguments[:-1], None))


def keep_no_then_in_the_journal(patch: pytest.MonkeyPatch) -> None:
    decode = journal_format._recorded
    patch.setattr(journal_format, "_recorded", lambda *members: decode(*members[:7]))


FIRST_SEEDS = {
    read_on_behind_a_torn_line: 878,
    trust_files_behind_a_failed_sync: 1080,
    follow_a_folder_that_is_away: 2156,
}
"""Where faults were found that few histories show. From another seed on it only takes longer."""


def is_found(fsync: Fsync, run_type: type[Run] = Run, first_seed: int = 0) -> bool:
    for seed in seeds_from(first_seed, SABOTAGE_HISTORIES_MAX):
        try:
            History(seed, fsync, run_type).play()
        except BrokenPromiseError:
            return True
    return False


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("run_type", "fsync"),
    [(AcknowledgedFirst, Fsync.NO), (AcknowledgedFirst, Fsync.ALWAYS)]
    + [(UnsyncedWhenDurable, fsync) for fsync in (Fsync.EVERYSEC, Fsync.ALWAYS)],
)
def test_the_simulation_detects_a_server_that_replies_too_early(
    run_type: type[Run], fsync: Fsync
) -> None:
    assert is_found(fsync, run_type)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "sabotage", [trust_a_sync_behind_a_failed_one, trust_files_behind_a_failed_sync]
)
def test_the_simulation_detects_storage_that_trusts_a_failing_device(sabotage, monkeypatch) -> None:
    sabotage(monkeypatch)
    monkeypatch.setattr(History, "failing_share", 0.9)
    monkeypatch.setattr(History, "acts_max", 40)
    assert is_found(Fsync.ALWAYS, first_seed=FIRST_SEEDS.get(sabotage, 0))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "sabotage",
    [
        forget_before_files_are_synced,
        forget_what_is_not_shown,
        forget_without_a_record,
        show_before_the_journal_is_synced,
        read_on_behind_a_torn_line,
        leave_torn_lines,
        follow_on_anything,
        keep_what_is_cleared,
        overwrite_what_other_hands_did,
        take_every_file_for_another_hands,
        note_no_stamps,
        believe_half_of_what_stands_for_all,
        reserve_no_revisions,
        count_no_starts,
        keep_no_then_with_a_file,
        keep_no_then_in_the_journal,
        forget_what_strangers_hold_up,
        follow_a_folder_that_is_away,
        believe_what_a_line_says,
        say_nothing_of_damage,
    ],
)
def test_the_simulation_detects_storage_broken_on_purpose(sabotage, monkeypatch) -> None:
    sabotage(monkeypatch)
    assert is_found(Fsync.EVERYSEC, first_seed=FIRST_SEEDS.get(sabotage, 0))
