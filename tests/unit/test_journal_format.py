"""The lines of the journal: their bytes when written, and what is made of them when read."""

import base64
import struct
import zlib
from typing import Any

import pytest

from dunena.persistence.disk.disk import Stamp
from dunena.persistence.disk.journal_format import (
    FileStates,
    FileStep,
    Line,
    Recorded,
    by_hand_line,
    carried_out_line,
    commit_line,
    encode_line,
    header_line,
    lines_of,
    plan_line,
    recorded,
    seed_of,
    stamp_of,
)
from dunena.persistence.disk.stamps import StampTable
from dunena.store.entry import Change, ChangeKind, Entry
from dunena.store.limits import EXPIRES_AT_MS_MAX
from tests.support.stamp_tables import table_of

NAME = "1-0.log"
SEED = zlib.crc32(b"dunena-journal 1-0.log\n")
A, B = Stamp(1, -(2**62), 3), Stamp(4, 5, 2**62)
STAMPS = table_of({("n", "k"): A, ("", "j"): B})
STEPS = [FileStep(("n", "k"), A, B), FileStep(("", "j"), None, None)]


def whole(payload: bytes) -> bytes:
    return f"{zlib.crc32(payload, SEED):08x} ".encode() + payload + b"\n"


def read(*lines: bytes) -> list[list[Any] | None]:
    return [line.members for line in lines_of(NAME, b"".join(lines))]


# --- writing ---


def test_the_checksum_begins_with_the_name_of_the_segment() -> None:
    assert seed_of(NAME) == SEED
    assert encode_line(SEED, ["é", 1]) == whole('["é",1]'.encode())


@pytest.mark.parametrize("forces", [True, False])
def test_the_first_line_names_the_format(forces: bool) -> None:
    text = f'["dunena-journal",3,{str(forces).lower()}]'
    assert header_line(SEED, forces=forces) == whole(text.encode())


def test_a_commit_line_has_every_change_with_the_stamp_of_its_file() -> None:
    entry = Entry("n", "k", b'{"a":1.0}', None, 8)
    changes = [
        Change(ChangeKind.SET, "n", "k", 8, entry=entry),
        Change(ChangeKind.DELETE, "", "j", 9, replaced=entry),
        Change(ChangeKind.EXPIRED, "", "k", 10, replaced=entry),
    ]
    line = commit_line(SEED, 7, changes, STAMPS)
    assert line == whole(
        b'[7,["set",8,"n","k",[1,%d,3],null,{"a":1.0}],' % A.modified_ns
        + b'["delete",9,"","j",[4,5,%d]],["expired",10,"","k",null]]' % B.size
    )


@pytest.mark.parametrize(
    ("expires_at", "step_ms", "written"),
    [
        (5, 0, 5),
        (5, 100, 105),
        (5, -3, 2),
        (EXPIRES_AT_MS_MAX - 1, 1, EXPIRES_AT_MS_MAX),
        (EXPIRES_AT_MS_MAX - 1, 2, EXPIRES_AT_MS_MAX),
        (0, 1, 1),
    ],
)
def test_a_deadline_is_written_in_wall_clock_time(
    expires_at: int, step_ms: int, written: int
) -> None:
    entry = Entry("", "k", b"1", expires_at, 8)
    change = Change(ChangeKind.SET, "", "k", 8, entry=entry)
    line = commit_line(SEED, 7, [change], StampTable(), step_ms)
    assert line == whole(b'[7,["set",8,"","k",null,%d,1]]' % written)
    if not step_ms:
        assert commit_line(SEED, 7, [change], StampTable()) == line


def test_a_clear_has_the_stamps_of_all_files() -> None:
    change = Change(ChangeKind.CLEAR, "", "", 8, cleared={})
    line = commit_line(SEED, 7, [change], STAMPS)
    packed = base64.b64encode(struct.pack("=6q", *A, *B))
    assert line == whole(b'[7,["clear",8,"%b"]]' % packed)
    (made,) = recorded(read(line)[0])
    assert made == Recorded(ChangeKind.CLEAR, 8, cleared=frozenset({A, B}))
    (made,) = recorded(read(commit_line(SEED, 7, [change], StampTable()))[0])
    assert made == Recorded(ChangeKind.CLEAR, 8, cleared=frozenset())


def test_a_plan_has_both_stamps_of_a_file_and_other_notes_the_new_one() -> None:
    first, second = b"[1,%d,3]" % A.modified_ns, b"[4,5,%d]" % B.size
    assert plan_line(SEED, STEPS) == whole(
        b'["plan",["n","k",%b,%b],["","j",null,null]]' % (first, second)
    )
    shown = b'["n","k",%b],["","j",null]]' % second
    assert carried_out_line(SEED, STEPS) == whole(b'["shown",' + shown)
    assert by_hand_line(SEED, STEPS) == whole(b'["by hand",' + shown)


# --- reading ---


def test_lines_are_read_with_their_positions() -> None:
    one, other = whole(b"[1]"), whole(b'["x"]')
    broken = b"nothing\n"
    assert list(lines_of(NAME, one + broken + other)) == [
        Line(0, len(one), [1]),
        Line(len(one), len(one) + len(broken), None),
        Line(len(one) + len(broken), len(one) + len(broken) + len(other), ["x"]),
    ]
    assert list(lines_of(NAME, b"")) == []


def test_a_line_without_its_end_is_invalid() -> None:
    one = whole(b"[1]")
    assert list(lines_of(NAME, one + one[:-1])) == [
        Line(0, len(one), [1]),
        Line(len(one), 2 * len(one) - 1, None),
    ]


def test_a_line_of_another_segment_is_invalid() -> None:
    assert [line.members for line in lines_of("2-0.log", whole(b"[1]"))] == [None]


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b" \n",
        whole(b"[1]").replace(b" ", b"\t"),
        whole(b"[1]").replace(b" ", b""),
        b"0" + whole(b"[1]"),
        whole(b"[1]").replace(b"[1]", b"[2]"),
        whole(b"[]"),
        whole(b"{}"),
        whole(b'{"a":1}'),
        whole(b"1"),
        whole(b'"text"'),
        whole(b"null"),
        whole(b"[1"),
        whole(b""),
        b"xxxxxxxx [1]\n",
        b"\xff\xff\xff\xff\xff\xff\xff\xff [1]\n",
    ],
)
def test_a_line_of_another_format_is_invalid(line: bytes) -> None:
    assert read(line, whole(b"[1]")) == [None, [1]]


def test_a_commit_is_read_as_it_was_written() -> None:
    value = b'{"a":[18446744073709551615,1.0,null]}'
    entries = [Entry("n", "k", value, 99, 8), Entry("", "null", b"null", None, 9)]
    changes = [Change(ChangeKind.SET, one.ns, one.key, one.revision, entry=one) for one in entries]
    changes += [Change(ChangeKind.DELETE, "n", "k", 10), Change(ChangeKind.EXPIRED, "", "k", 11)]
    (members,) = read(commit_line(SEED, 7, changes, table_of({("n", "k"): A})))
    assert members is not None
    assert members[0] == 7
    assert recorded(members) == [
        Recorded(ChangeKind.SET, 8, "n", "k", A, 99, value),
        Recorded(ChangeKind.SET, 9, "", "null", None, None, b"null"),
        Recorded(ChangeKind.DELETE, 10, "n", "k", A),
        Recorded(ChangeKind.EXPIRED, 11, "", "k"),
    ]


def test_a_stamp_is_three_numbers_or_none() -> None:
    assert stamp_of(None) is None
    stamp = stamp_of([4, 5, 6])
    assert stamp == Stamp(4, 5, 6)
    assert type(stamp) is Stamp


# --- what a file may be ---


def test_a_change_leaves_one_state_unless_the_file_is_being_replaced() -> None:
    states = FileStates()
    assert (states.seen, states.latest, states.is_planned) == (set(), set(), False)
    states.changed(A)
    states.changed(None)
    assert (states.seen, states.latest) == ({A, None}, {None})
    states.planned(None, B)
    assert (states.seen, states.latest, states.is_planned) == ({A, B, None}, {None, B}, True)
    states.changed(A)
    assert states.latest == {None, A, B}
    states.carried_out(B)
    assert (states.seen, states.latest, states.is_planned) == ({A, B, None}, {B}, False)
    states.changed(A)
    assert states.latest == {A}


def test_every_state_of_a_file_is_remembered() -> None:
    for step in (lambda s: s.changed(A), lambda s: s.planned(A, A), lambda s: s.carried_out(A)):
        states = FileStates()
        step(states)
        assert states.seen == states.latest == {A}
    states = FileStates()
    states.carried_out(A)
    states.planned(B, None)
    assert states.seen == {A, B, None}
    assert states.latest == {B, None}
    assert FileStates() != FileStates(), "each is one of its own"
