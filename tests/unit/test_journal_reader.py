"""What is made of a journal's segments, given as text: which changes count, and what is said."""

import os
from typing import Any

import pytest

from dunena.persistence.disk.disk import Names, Stamp, join
from dunena.persistence.disk.journal_format import MAGIC, VERSION, encode_line, seed_of
from dunena.persistence.disk.journal_reader import (
    Replay,
    Segment,
    base_path,
    read_journal,
    revision_before,
)
from dunena.persistence.interface import Damage, DamageKind
from dunena.plain_files import FileKind, FileTooLargeError, NotPlainError
from dunena.store.entry import ChangeKind

FOLDER = "journal"
A, B, C = Stamp(1, 1, 1), Stamp(2, 2, 2), Stamp(3, 3, 3)
END = ["end"]
UNREADABLE_LINE = b"this is no line of ours\n"

MISSING = "follows a part of the journal that is missing"
MISSING_AND_LOST = "follows a part of the journal that is missing; the changes in that are lost"
MOVED = "has lines that are not where they were written"
OTHER = "is damaged, or of another version of dunena"


class TextDisk:
    """A folder of texts; an exception stands for a file that cannot be read."""

    def __init__(self, files: dict[str, bytes | OSError], others: tuple[str, ...] = ()) -> None:
        self.files = files
        self.others = others

    def names(self, folder: str) -> Names:
        assert folder == FOLDER
        return Names(list(reversed(self.files)), [], list(self.others))

    def read(self, path: str) -> bytes:
        for name, text in self.files.items():
            if path == join(FOLDER, name):
                if isinstance(text, OSError):
                    raise text
                return text
        raise NotPlainError(path, FileKind.PIPE)


def name(first: int, before: int) -> str:
    return f"{first:020d}-{before:020d}.log"


def base_name(revision: int, number: int = 1) -> str:
    return f"{revision:020d}-base-{number:04d}.log"


def header(version: int = VERSION, *, forces: bool = True) -> list[Any]:
    return [MAGIC, version, forces]


def stored(revision: int, key: str = "k", *, synced: int = 0, stamp: Any = None) -> list[Any]:
    return [synced, ["set", revision, "", key, stamp, None, revision]]


def segment(name: str, *lines: list[Any] | bytes, head: list[Any] | None = None) -> bytes:
    """A segment's text; a line that is bytes stands as it is."""
    every = [header() if head is None else head, *lines]
    seed = seed_of(name)
    return b"".join(line if isinstance(line, bytes) else encode_line(seed, line) for line in every)


def files(*found: tuple[str, list[Any]]) -> dict[str, bytes]:
    return {name: segment(name, *lines) for name, lines in found}


def read(
    found: dict[str, Any],
    flushed: int | None = 0,
    *,
    same_boot: bool = False,
    others: tuple[str, ...] = (),
) -> Replay:
    """With ``same_boot`` nothing was lost; else what was not forced to the device may be."""
    boot, last = ("now", "now") if same_boot else ("now", "before")
    return read_journal(TextDisk(found, others), FOLDER, flushed, boot=boot, last_boot=last)


def revisions(replay: Replay) -> list[int]:
    return [change.revision for commit in replay.commits for change in commit]


def path(name: str) -> str:
    return join(FOLDER, name)


def damage(name: str, reason: str) -> Damage:
    return Damage(path(name), reason, DamageKind.RECORD)


def clean(replay: Replay) -> bool:
    fields = (
        replay.torn, replay.useless, replay.unreadable, replay.damaged, replay.damages,
        replay.dropped_bytes,
    )  # fmt: skip
    return not any(fields)


ONE = name(1, 0)


# --- segments that are whole ---


def test_a_missing_journal_is_read_as_an_empty_replay() -> None:
    for flushed, revision in ((None, 0), (0, 0), (7, 7)):
        replay = read({}, flushed)
        assert replay.is_empty
        assert clean(replay)
        assert (replay.base, replay.last_revision, replay.segments) == (revision, revision, [])
        assert replay.is_forced


def test_files_that_are_no_segments_are_ignored() -> None:
    replay = read({"1-0.txt": b"x", "log": b"x", ONE: segment(ONE, stored(1))})
    assert revisions(replay) == [1]
    assert clean(replay)


def test_segments_are_read_in_the_order_of_their_names() -> None:
    two = name(3, 2)
    texts = files((ONE, [stored(1), stored(2)]), (two, [stored(3)]))
    replay = read(texts)
    assert revisions(replay) == [1, 2, 3]
    assert clean(replay)
    assert (replay.base, replay.last_revision) == (0, 3)
    assert [(one.path, one.last_revision, one.size, one.seed) for one in replay.segments] == [
        (path(ONE), 2, len(texts[ONE]), seed_of(ONE)),
        (path(two), 3, len(texts[two]), seed_of(two)),
    ]
    assert all(one.is_named and one.file is None for one in replay.segments)


def test_a_change_is_read_with_all_its_fields() -> None:
    line = [0, ["set", 1, "n", "k", list(A), 99, {"a": 1}], ["delete", 2, "", "j", None]]
    (commit,) = read(files((ONE, [line]))).commits
    one, two = commit
    assert (one.kind, one.ns, one.key, one.stamp) == (ChangeKind.SET, "n", "k", A)
    assert (one.expires_at, one.value) == (99, b'{"a":1}')
    assert (two.kind, two.revision, two.ns, two.key) == (ChangeKind.DELETE, 2, "", "j")


@pytest.mark.parametrize(
    ("flushed", "found"), [(0, [1, 2, 3]), (1, [2, 3]), (2, [3]), (3, []), (9, [])]
)
def test_changes_up_to_the_flushed_revision_are_left_out(flushed: int, found: list[int]) -> None:
    replay = read(files((ONE, [stored(1), stored(2), stored(3)])), flushed)
    assert revisions(replay) == found
    assert (replay.base, replay.last_revision) == (flushed, max(flushed, 3))
    assert replay.files.keys() == {("", "k")}, "what a file may be counts all the same"


@pytest.mark.parametrize(
    ("boot", "last_boot", "is_complete"),
    [("a", "a", True), ("a", "b", False), (None, None, False), ("a", None, False)],
)
def test_no_loss_is_assumed_without_a_restart_of_the_machine(
    boot: str | None, last_boot: str | None, is_complete: bool
) -> None:
    disk = TextDisk(files((ONE, [stored(1)])))
    replay = read_journal(disk, FOLDER, 0, boot=boot, last_boot=last_boot)
    assert replay.is_complete is is_complete


@pytest.mark.parametrize(
    ("forced", "is_forced"), [((True, True), True), ((True, False), False), ((False, True), False)]
)
def test_files_were_forced_if_every_segment_says_so(
    forced: tuple[bool, bool], is_forced: bool
) -> None:
    two = name(2, 1)
    one, other = (header(forces=forces) for forces in forced)
    texts = {ONE: segment(ONE, stored(1), head=one), two: segment(two, stored(2), head=other)}
    assert read(texts).is_forced is is_forced


# --- what a key's file may be ---


def test_the_states_of_a_file_follow_its_lines() -> None:
    place = ["", "k"]
    lines = [
        stored(1, stamp=list(A)),
        ["plan", [*place, list(A), list(B)], ["n", "j", None, list(C)]],
    ]
    found = read(files((ONE, lines))).files
    assert found["", "k"].seen == found["", "k"].latest == {A, B}
    assert found["n", "j"].seen == found["n", "j"].latest == {None, C}
    assert found["", "k"].is_planned
    shown = read(files((ONE, [*lines, ["shown", [*place, list(B)], ["n", "j", None]]]))).files
    assert (shown["", "k"].seen, shown["", "k"].latest) == ({A, B}, {B})
    assert (shown["n", "j"].seen, shown["n", "j"].latest) == ({None, C}, {None})
    assert not shown["", "k"].is_planned


def test_a_clear_is_of_no_key() -> None:
    replay = read(files((ONE, [[0, ["clear", 1, ""]]])))
    assert revisions(replay) == [1]
    assert replay.files == {}


def test_a_hand_edit_replaces_all_earlier_states_of_a_file() -> None:
    both = [0, ["set", 2, "", "k", None, None, 1], ["set", 3, "", "j", None, None, 1]]
    lines = [stored(1), both, ["by hand", ["", "k", list(A)]], stored(4, "k")]
    replay = read(files((ONE, lines)))
    assert revisions(replay) == [3, 4], "a commit of which nothing is left is none"
    assert len(replay.commits) == 2
    assert A in replay.files["", "k"].seen
    replay = read(files((ONE, lines[:3])))
    assert replay.files["", "k"].latest == {A}
    assert replay.last_revision == 3


def test_notes_on_written_files_do_not_remove_changes() -> None:
    replay = read(files((ONE, [stored(1), ["shown", ["", "k", list(A)]]])))
    assert revisions(replay) == [1]


# --- what was taken back ---


def test_a_commit_taken_back_is_not_read() -> None:
    lines = [stored(1), stored(2), stored(3), ["back", 2]]
    replay = read(files((ONE, lines)))
    assert revisions(replay) == [1]
    assert (replay.last_revision, replay.segments[0].last_revision) == (1, 1)
    replay = read(files((ONE, [*lines, stored(2, "j")])))
    assert [commit[0].key for commit in replay.commits] == ["k", "j"]
    assert replay.last_revision == 2
    assert clean(replay)


def test_a_repeated_revision_replaces_the_changes_from_it_on() -> None:
    two = name(2, 1)
    replay = read(files((ONE, [stored(1), stored(2), stored(3)]), (two, [stored(2, "j")])))
    assert [(commit[0].revision, commit[0].key) for commit in replay.commits] == [
        (1, "k"), (2, "j"),
    ]  # fmt: skip


# --- a torn end ---


@pytest.mark.parametrize("torn", [b"0", b"0123", encode_line(0, [1])[:-1]])
def test_a_torn_end_is_reported_to_be_truncated(torn: bytes) -> None:
    text = segment(ONE, stored(1))
    replay = read({ONE: text + torn})
    assert revisions(replay) == [1]
    assert [(one.path, one.size) for one in replay.torn] == [(path(ONE), len(text))]
    assert replay.torn == replay.segments
    assert replay.dropped_bytes == len(torn)
    assert (replay.damaged, replay.damages, replay.useless) == ([], [], [])


def test_lines_after_a_torn_line_are_ignored_and_a_copy_is_kept() -> None:
    start = segment(ONE, stored(1))
    text = segment(ONE, stored(1), UNREADABLE_LINE, stored(3), stored(4))
    replay = read({ONE: text})
    assert revisions(replay) == [1]
    assert [(one.path, one.size) for one in replay.torn] == [(path(ONE), len(start))]
    assert replay.dropped_bytes == len(text) - len(start)
    assert replay.damaged == [path(ONE)]
    assert replay.damages == []
    assert replay.last_revision == 1


@pytest.mark.parametrize("synced", [2, 3, 4])
def test_a_broken_line_that_a_later_line_records_as_synced_is_damaged(synced: int) -> None:
    text = segment(
        ONE, stored(1), UNREADABLE_LINE, UNREADABLE_LINE, stored(3), stored(9, synced=synced)
    )
    replay = read({ONE: text})
    if synced < 3:
        assert revisions(replay) == [1]
        return
    assert revisions(replay) == [1, 3, 9]
    reason = "2 of its lines cannot be read; the changes in them are lost"
    assert replay.damages == [damage(ONE, reason)]
    assert replay.damaged == [path(ONE)]
    assert (replay.torn, replay.dropped_bytes) == ([], 0)
    assert replay.segments[0].size == len(text)


def test_a_line_without_a_revision_does_not_say_that_a_broken_one_was_on_the_device() -> None:
    plan = ["plan", ["", "k", None, None]]
    text = segment(ONE, stored(1), UNREADABLE_LINE, plan, stored(3), stored(4, synced=3))
    assert revisions(read({ONE: text})) == [1, 3, 4]
    text = segment(ONE, stored(1), UNREADABLE_LINE, plan)
    assert revisions(read({ONE: text})) == [1]
    assert read({ONE: text}).torn != []


def test_a_later_segment_can_record_a_broken_line_as_synced() -> None:
    two = name(4, 3)
    texts = files((ONE, [stored(1), UNREADABLE_LINE, stored(3)]), (two, [stored(4, synced=3)]))
    assert revisions(read(texts)) == [1, 3, 4]


def test_without_loss_every_broken_line_except_the_last_is_damaged() -> None:
    text = segment(ONE, stored(1), UNREADABLE_LINE, stored(3))
    replay = read({ONE: text}, same_boot=True)
    assert revisions(replay) == [1, 3]
    reason = "1 of its lines cannot be read; the changes in them are lost"
    assert replay.damages == [damage(ONE, reason)]
    assert replay.damaged == [path(ONE)]
    assert replay.is_complete
    replay = read({ONE: text + UNREADABLE_LINE}, same_boot=True)
    assert revisions(replay) == [1, 3]
    assert replay.dropped_bytes == len(UNREADABLE_LINE)
    assert [(one.path, one.size) for one in replay.torn] == [(path(ONE), len(text))]
    assert replay.damages == [damage(ONE, reason)]


# --- segments of which nothing is whole ---


@pytest.mark.parametrize("text", [b"x", b"0" * 100])
@pytest.mark.parametrize("same_boot", [True, False])
def test_a_first_write_that_was_torn_is_useless(text: bytes, same_boot: bool) -> None:
    replay = read({ONE: text}, same_boot=same_boot)
    assert replay.useless == [path(ONE)]
    assert replay.dropped_bytes == len(text)
    assert (replay.unreadable, replay.damages, replay.segments) == ([], [], [])


def test_an_empty_segment_is_useless_unless_nothing_was_lost() -> None:
    replay = read({ONE: b""})
    assert (replay.useless, replay.unreadable, replay.damages) == ([path(ONE)], [], [])
    replay = read({ONE: b""}, same_boot=True)
    assert (replay.useless, replay.unreadable) == ([], [path(ONE)])
    assert replay.damages == [damage(ONE, "is empty")]
    assert replay.dropped_bytes == 0


@pytest.mark.parametrize(
    "text", [UNREADABLE_LINE, b"\n", segment(ONE, stored(1), head=header(VERSION + 1)),
             segment(ONE, stored(1), head=header(1))]
)  # fmt: skip
def test_a_segment_of_another_version_is_reported_and_kept(text: bytes) -> None:
    replay = read({ONE: text})
    assert replay.unreadable == [path(ONE)]
    assert replay.damages == [damage(ONE, OTHER)]
    assert (replay.useless, replay.segments, replay.commits) == ([], [], [])
    assert replay.dropped_bytes == 0


def test_a_segment_without_a_header_is_read() -> None:
    text = segment(ONE, stored(1), head=None)
    text = text[text.index(b"\n") + 1 :]
    replay = read({ONE: text})
    assert revisions(replay) == [1]
    assert clean(replay)


def test_an_unreadable_segment_does_not_affect_the_others() -> None:
    two = name(2, 1)
    found = {
        ONE: segment(ONE, stored(1)),
        "2-pipe.log": NotPlainError("2-pipe.log", FileKind.LINK),
        "3-large.log": FileTooLargeError("3-large.log", 5),
        two: segment(two, stored(2)),
    }
    replay = read(found, others=("4-other.log", "5-other.txt"))
    assert revisions(replay) == [1, 2]
    names = ["2-pipe.log", "3-large.log", "4-other.log"]
    assert replay.unreadable == [path(one) for one in names]
    assert [one.path for one in replay.damages] == [path(one) for one in names]
    assert {one.kind for one in replay.damages} == {DamageKind.RECORD}
    assert [one.reason for one in replay.damages] == [
        f"is {FileKind.LINK}, not a plain file",
        "is more than 5 bytes",
        f"is {FileKind.PIPE}, not a plain file",
    ]


# --- what is missing ---


def test_a_segment_after_a_possible_loss_is_ignored() -> None:
    three = name(4, 3)
    texts = files((ONE, [stored(1)]), (three, [stored(4)]))
    replay = read(texts)
    assert revisions(replay) == [1]
    assert replay.unreadable == [path(three)]
    assert replay.damages == [damage(three, MISSING)]
    assert [one.path for one in replay.segments] == [path(ONE)]
    assert replay.last_revision == 1


@pytest.mark.parametrize(("synced", "counts"), [(2, False), (3, True), (4, True)])
def test_a_missing_segment_recorded_as_synced_is_damage_and_later_ones_are_read(
    synced: int, counts: bool
) -> None:
    three = name(4, 3)
    replay = read(files((ONE, [stored(1)]), (three, [stored(4), stored(5, synced=synced)])))
    assert revisions(replay) == ([1, 4, 5] if counts else [1])
    if counts:
        assert replay.damages == [damage(three, MISSING_AND_LOST)]
        assert replay.unreadable == []


def test_without_loss_segments_after_a_missing_one_are_read() -> None:
    three = name(4, 3)
    replay = read(files((ONE, [stored(1)]), (three, [stored(4)])), same_boot=True)
    assert revisions(replay) == [1, 4]
    assert replay.damages == [damage(three, MISSING_AND_LOST)]


def test_the_first_segment_is_read_if_no_revision_is_known() -> None:
    three, five = name(4, 3), name(6, 5)
    replay = read(files((three, [stored(4), stored(5)]), (five, [stored(6)])), None)
    assert revisions(replay) == [4, 5, 6]
    assert (replay.base, replay.last_revision) == (3, 6)
    assert clean(replay)
    replay = read(files((three, [stored(4)]), (five, [stored(6)])), None)
    assert revisions(replay) == [4], "but not a later one"
    assert read(files((three, [stored(4)])), 0).unreadable == [path(three)]


def test_a_segment_without_revisions_in_its_name_is_read() -> None:
    other = "1-copy.log"
    replay = read({other: segment(other, stored(1))})
    assert revisions(replay) == [1]
    assert clean(replay)


# --- lines that were moved ---


@pytest.mark.parametrize(
    "order", [(1, 3, 2), (2, 1, 3), (1, 2, 2, 3), (1, 2, 3, 1), (3, 2, 1, 3, 2, 1)]
)
def test_moved_lines_are_sorted_and_reported(order: tuple[int, ...]) -> None:
    two = name(4, 3)
    lines = [stored(revision, f"k{revision}") for revision in order]
    replay = read(files((ONE, lines), (two, [stored(4)])), same_boot=True)
    assert revisions(replay) == [1, 2, 3, 4]
    assert replay.damages == [damage(ONE, MOVED)]
    assert replay.damaged == [path(ONE)]
    assert not replay.is_complete
    assert replay.last_revision == 4


def test_the_first_of_two_lines_with_one_revision_is_read() -> None:
    replay = read(files((ONE, [stored(1, "first"), stored(1, "second"), stored(2)])))
    assert [commit[0].key for commit in replay.commits] == ["first", "k"]


def test_an_earlier_segment_is_not_sorted_with_a_later_one() -> None:
    two = name(2, 1)
    texts = files((ONE, [stored(1, "old")]), (two, [stored(3), stored(2)]))
    replay = read(texts, same_boot=True)
    assert revisions(replay) == [1, 2, 3]
    assert replay.damages == [damage(two, MOVED)]


def test_a_broken_line_among_moved_ones_is_reported_as_the_worse_damage() -> None:
    replay = read(files((ONE, [stored(2), UNREADABLE_LINE, stored(1)])), same_boot=True)
    assert replay.damages == [damage(ONE, MOVED)]
    assert replay.damaged == [path(ONE)]


def test_revisions_after_a_commit_taken_back_count_as_ordered() -> None:
    commit = [0, ["set", 1, "", "a", None, None, 1], ["set", 2, "", "b", None, None, 1]]
    lines = [commit, stored(3), ["back", 2], stored(2), stored(3)]
    replay = read(files((ONE, lines)), same_boot=True)
    assert clean(replay)
    assert replay.is_complete
    # But not once more than was taken back.
    replay = read(files((ONE, [stored(1), stored(2), ["back", 2], stored(1)])), same_boot=True)
    assert replay.damages == [damage(ONE, MOVED)]
    # What was taken back does not put the count forward.
    replay = read(files((ONE, [stored(1), ["back", 5], stored(2)])), same_boot=True)
    assert clean(replay)


def test_a_commit_of_several_changes_ends_with_the_last_of_them() -> None:
    commit = [0, ["set", 1, "", "a", None, None, 1], ["set", 3, "", "b", None, None, 1]]
    replay = read(files((ONE, [commit, stored(2)])), same_boot=True)
    assert replay.damages == [damage(ONE, MOVED)]
    replay = read(files((ONE, [commit])))
    assert replay.last_revision == 3


# --- a segment that stands for all before it ---


def base(
    revision: int, *lines: list[Any] | bytes, number: int = 1, base: int = 0
) -> dict[str, Any]:
    name = base_name(revision, number)
    return {name: segment(name, ["base", base], *lines)}


def test_the_name_of_a_base_has_its_last_revision() -> None:
    assert base_path(FOLDER, 7, 3) == path(base_name(7, 3))
    assert base_path(FOLDER, 10**19, 12345) == path("10000000000000000000-base-12345.log")


@pytest.mark.parametrize(
    ("name", "before"),
    [("x/5-4.log", 4), (f"x/{name(10, 9)}", 9), ("4.log", None), ("5-base-0001.log", None),
     ("5-x.log", None), ("5-.log", None), ("5-4-3.log", None)],
)  # fmt: skip
def test_the_name_of_a_segment_has_the_revision_before_it(name: str, before: int | None) -> None:
    assert revision_before(name.replace("/", os.sep)) == before


def test_a_complete_base_replaces_all_earlier_segments() -> None:
    last = name(4, 3)
    texts = {
        **files((ONE, [stored(1, "gone", stamp=list(C)), UNREADABLE_LINE, stored(2, synced=2)])),
        **base(3, stored(1), stored(3), stored(3, "j"), END),
        **files((last, [stored(4)])),
    }
    replay = read(texts, 0)
    assert revisions(replay) == [1, 3, 3, 4]
    assert replay.useless == [path(ONE)]
    assert (replay.damages, replay.damaged, replay.torn) == ([], [], [])
    assert replay.files.keys() == {("", "k"), ("", "j")}
    assert [one.path for one in replay.segments] == [path(base_name(3)), path(last)]
    assert (replay.base, replay.last_revision) == (0, 4)


def test_a_base_replaces_torn_segments() -> None:
    texts = {ONE: segment(ONE, stored(1)) + b"torn", **base(3, stored(3), END)}
    replay = read(texts)
    assert (replay.torn, replay.useless) == ([], [path(ONE)])
    assert revisions(replay) == [3]


@pytest.mark.parametrize(
    ("said", "flushed", "found"), [(2, 0, 2), (2, None, 2), (1, 2, 2), (0, 0, 0)]
)
def test_a_base_has_the_flushed_revision(said: int, flushed: int | None, found: int) -> None:
    replay = read(base(3, stored(3), END, base=said), flushed)
    assert replay.base == found
    assert replay.last_revision == 3


def test_the_last_revision_of_a_base_is_that_of_its_name() -> None:
    replay = read({**base(9, stored(3), END), **files((name(10, 9), [stored(10)]))})
    assert revisions(replay) == [3, 10]
    assert clean(replay)


@pytest.mark.parametrize(("flushed", "is_needless"), [(2, False), (3, True), (4, True)])
def test_a_base_that_needs_no_journal_is_useless(flushed: int, is_needless: bool) -> None:
    replay = read(base(3, stored(3), END), flushed)
    assert replay.useless == ([path(base_name(3))] if is_needless else [])
    assert revisions(replay) == ([] if is_needless else [3])


@pytest.mark.parametrize("same_boot", [True, False])
@pytest.mark.parametrize("cut", [[stored(3)], [stored(3), b"torn"], [stored(3), UNREADABLE_LINE]])
def test_an_incomplete_base_does_not_replace_earlier_segments(
    cut: list[Any], same_boot: bool
) -> None:
    texts = {**files((ONE, [stored(1), stored(2), stored(3)])), **base(3, *cut)}
    replay = read(texts, same_boot=same_boot)
    assert revisions(replay) == [1, 2, 3]
    assert replay.useless == [path(base_name(3))]
    assert replay.damages == []


def test_a_damaged_complete_base_is_read_if_it_alone_has_the_changes() -> None:
    broken = base(3, stored(1), UNREADABLE_LINE, stored(3), END)
    texts = {**files((ONE, [stored(1)])), **broken}
    replay = read(texts, same_boot=True)
    assert revisions(replay) == [1, 3]
    assert replay.useless == [path(ONE)]
    reason = "1 of its lines cannot be read; the changes in them are lost"
    assert replay.damages == [damage(base_name(3), reason)]
    # After a power cut nobody knows what of it was there.
    replay = read(texts)
    assert revisions(replay) == [1]
    assert replay.unreadable == [path(base_name(3))]
    assert replay.damages == [damage(base_name(3), OTHER)]
    # And where those before it reach as far, nobody misses it.
    whole = {**files((ONE, [stored(1), stored(2), stored(3)])), **broken}
    for same_boot in (True, False):
        replay = read(whole, same_boot=same_boot)
        assert revisions(replay) == [1, 2, 3]
        assert replay.useless == [path(base_name(3))]


@pytest.mark.parametrize(("same_boot", "found"), [(True, [1, 3]), (False, [1])])
def test_a_damaged_first_base_is_read_if_it_is_complete(same_boot: bool, found: list[int]) -> None:
    """What it was to stand for is gone: so much of it as can be trusted is better than nothing."""
    replay = read(base(3, stored(1), UNREADABLE_LINE, stored(3), END), same_boot=same_boot)
    assert revisions(replay) == found
    assert [one.path for one in replay.segments] == [path(base_name(3))]
    assert replay.last_revision == 3


def test_an_incomplete_first_base_is_read_if_it_was_synced() -> None:
    cut = base(3, stored(1), stored(3))
    replay = read(cut)
    assert replay.unreadable == [path(base_name(3))]
    assert replay.damages == [damage(base_name(3), OTHER)]
    assert revisions(read(cut, same_boot=True)) == [1, 3]
    for synced, found in ((2, []), (3, [1, 3, 4])):
        later = files((name(4, 3), [stored(4, synced=synced)]))
        replay = read({**cut, **later})
        assert revisions(replay) == found


def test_lines_of_a_base_may_repeat_a_revision_but_not_decrease() -> None:
    assert clean(read(base(3, stored(3, "a"), stored(3, "b"), END), same_boot=True))
    replay = read(base(3, stored(3, "a"), stored(2, "b"), END), same_boot=True)
    assert replay.damages == [damage(base_name(3), MOVED)]


def test_a_later_base_replaces_an_earlier_one() -> None:
    texts = {
        **base(3, stored(3, "a"), END),
        **files((name(4, 3), [stored(4)])),
        **base(5, stored(5, "b"), END, number=2),
    }
    replay = read(texts)
    assert revisions(replay) == [5]
    assert replay.useless == [path(base_name(3)), path(name(4, 3))]


def test_a_new_segment_has_no_file_and_no_size() -> None:
    fresh = Segment("p", 5)
    assert (fresh.size, fresh.file, fresh.is_named, fresh.seed) == (0, None, True, 0)
