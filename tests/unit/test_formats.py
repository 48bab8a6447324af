"""Values as text, as rows and as CSV."""

import csv
import io
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.dialects.errors import TooLargeError
from dunena.dialects.formats import (
    Table,
    changes_by_itself,
    csv_head,
    csv_lines,
    text_of,
    timer_text,
)
from dunena.dialects.ops.timer import MS_MAX
from dunena.store.limits import PARTIAL_BYTES_MAX

AT = 1_710_000_000_000
MANY = 1_000_000


def timer(ms: float, rate: float = -1, running: bool = False) -> dict[str, Any]:
    return {"timer": {"at": AT, "ms": ms, "rate": rate, "running": running}}


def text(value: Any, now: int = AT) -> str:
    return text_of(orjson.dumps(value), now)


def rows(value: Any, now: int = AT, key: str | None = None) -> list[dict[str, Any]]:
    table = Table(MANY)
    table.add(value, now, key)
    return table.rows


def csv_text(*values: Any, key: str | None = None) -> str:
    table = Table(MANY)
    for value in values:
        table.add(value, AT, key)
    columns = list(table.columns)
    return (csv_head(columns) + csv_lines(columns, table.rows)).decode()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("GOAL", "GOAL"),
        ("", ""),
        ('a "quoted" ü', 'a "quoted" ü'),
        (3, "3"),
        (2.5, "2.5"),
        (True, "true"),
        (None, "null"),
        ([1, "a"], '[1,"a"]'),
        ({"score": 2}, '{"score":2}'),
        ({"timer": "5:00"}, '{"timer":"5:00"}'),
        ([timer(5_000)], orjson.dumps([timer(5_000)]).decode()),
    ],
)
def test_a_string_is_itself_as_text_and_all_but_timers_their_json(value: Any, shown: str) -> None:
    assert text(value) == shown


@pytest.mark.parametrize(
    ("ms", "rate", "running", "later", "shown"),
    [
        (300_000, -1, False, 0, "5:00"),
        (300_000, -1, False, 9_000, "5:00"),  # it stands
        (300_000, -1, True, 1, "5:00"),
        (300_000, -1, True, 1_000, "4:59"),
        (300_000, -1, True, 299_999, "0:01"),  # 0:00 only when it has ended
        (300_000, -1, True, 300_000, "0:00"),
        (300_000, -1, True, 900_000, "0:00"),
        (0, 1, True, 999, "0:00"),
        (0, 1, True, 1_000, "0:01"),
        (0, 2, True, 30_000, "1:00"),
        (-5_000, 1, True, 0, "-0:05"),
        (-5_000, 1, True, 5_000, "0:00"),
        (3_599_000, 1, True, 0, "59:59"),
        (3_599_000, 1, True, 1_000, "1:00:00"),
        (36_061_000, 1, False, 0, "10:01:01"),
        (1_500.5, 1, False, 0, "0:01"),
    ],
)
def test_a_timer_is_what_it_shows_at_the_time(
    ms: float, rate: float, running: bool, later: int, shown: str
) -> None:
    assert text(timer(ms, rate, running), AT + later) == shown
    assert text({"name": "half", **timer(ms, rate, running)}, AT + later) == shown


@pytest.mark.parametrize(
    "value",
    [
        timer(MS_MAX * 2.0, 1),
        timer(1e308, 1),
        timer(0, 1e308, running=True),
        {"timer": {"at": -1e308, "ms": 0, "rate": 1e308, "running": True}},
        {"timer": {"at": AT, "ms": 0, "rate": 1}},
        {"timer": None},
    ],
)
def test_what_no_timer_can_show_is_its_json(value: Any) -> None:
    assert timer_text(value, AT + 1_000) is None
    assert text(value, AT + 1_000) == orjson.dumps(value).decode()


def test_the_longest_time_of_a_timer_is_shown() -> None:
    assert text(timer(MS_MAX, 1)) == "2501999792:59:00"
    assert text(timer(-MS_MAX, 1)) == "-2501999792:59:01"


def test_a_timer_in_a_value_too_large_to_be_changed_in_part_is_json() -> None:
    value = {**timer(1_000), "notes": "x" * PARTIAL_BYTES_MAX}
    assert text(value) == orjson.dumps(value).decode()


def test_only_a_value_with_a_running_timer_changes_by_itself() -> None:
    assert changes_by_itself(orjson.dumps(timer(0, running=True)))
    assert changes_by_itself(orjson.dumps({"half": [timer(0, running=True)]}))
    assert not changes_by_itself(orjson.dumps(timer(0)))
    assert not changes_by_itself(orjson.dumps({"running": True}))
    assert not changes_by_itself(orjson.dumps('"timer":{"running":true'))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"score": 2}, [{"score": 2}]),
        ({"home": {"score": 2, "name": {"short": "FCB"}}, "on": True},
         [{"home.score": 2, "home.name.short": "FCB", "on": True}]),
        ([{"a": 1}, {"b": None}], [{"a": 1}, {"b": None}]),
        (3, [{"value": 3}]),
        ("text", [{"value": "text"}]),
        (None, [{"value": None}]),
        ([1, "a", {"b": 2}, [3, 4], None],
         [{"value": 1}, {"value": "a"}, {"b": 2}, {"value": "[3,4]"}, {"value": None}]),
        ({"tags": ["a", {"b": 1}], "none": [], "empty": {}},
         [{"tags": '["a",{"b":1}]', "none": "[]", "empty": "{}"}]),
        ([], []),
        ({}, [{}]),
        ([[]], [{"value": "[]"}]),
        ({"home.score": 1, "home": {"score": 2}}, [{"home.score": 2}]),
        ({"": {"": 1}}, [{".": 1}]),
    ],
)  # fmt: skip
def test_the_rows_of_each_kind_of_value(value: Any, expected: list[dict[str, Any]]) -> None:
    assert rows(value) == expected


def test_rows_show_timers_as_text_and_keep_the_members_beside_them() -> None:
    value = {"clock": {"period": 2, **timer(61_000, running=True)}, "timer": 5}
    assert rows(value, AT + 1_000) == [{"clock.period": 2, "clock.timer": "1:00", "timer": 5}]
    assert rows(timer(61_000)) == [{"timer": "1:01"}]


def test_rows_of_a_key_begin_with_it_and_lose_no_member_of_that_name() -> None:
    assert rows({"score": 2, "key": "own"}, key="team-a") == [
        {"key": "team-a", "score": 2, "value.key": "own"}
    ]
    assert rows({"home": {"key": 1}}, key="k") == [{"key": "k", "home.key": 1}]
    assert rows([1, {"a": 2}], key="k") == [{"key": "k", "value": 1}, {"key": "k", "a": 2}]
    assert rows([], key="k") == []


def test_csv_has_the_columns_of_all_rows_in_the_order_in_which_they_came() -> None:
    assert csv_text({"a": 1, "b": 2}, {"c": 3, "a": 4}) == "a,b,c\r\n1,2,\r\n4,,3\r\n"


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("plain", "plain"),
        ('a "b"', '"a ""b"""'),
        ("a,b", '"a,b"'),
        ("two\r\nlines", '"two\r\nlines"'),
        ("Zoë", "Zoë"),
        (None, '""'),  # the only cell of a line: else the line would be empty
        (True, "true"),
        (-5, "-5"),
        (1e-7, "1e-7"),
        (2**64 - 1, "18446744073709551615"),
        (["a", 1], '"[""a"",1]"'),
    ],
)
def test_cells_are_written_by_rfc_4180(cell: Any, written: str) -> None:
    assert csv_text({"x": cell}) == f"x\r\n{written}\r\n"


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+49 170", "'+49 170"),
        ("-cmd", "'-cmd"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1", "'  =1"),
        ("\uff1d1", "'\uff1d1"),
        ("-5", "-5"),
        ("+5.25", "+5.25"),
        ("-5,25", '"-5,25"'),
        ("-", "'-"),
        ("a=1", "a=1"),
    ],
)
def test_no_text_of_a_cell_is_a_formula_of_a_spreadsheet(cell: str, written: str) -> None:
    assert csv_text({"x": cell}) == f"x\r\n{written}\r\n"
    head = f"'{cell}" if written.startswith("'") else cell
    assert next(csv.reader(io.StringIO(csv_text({cell: 1}), newline=""))) == [head]


def test_rows_without_columns_are_no_csv() -> None:
    assert csv_text() == ""
    assert csv_text({}) == ""
    assert csv_text({}, {"a": 1}) == 'a\r\n""\r\n1\r\n'


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


@given(st.lists(json_values, max_size=4))
def test_a_reader_gets_a_cell_for_each_column_of_each_row(values: list[Any]) -> None:
    table = Table(MANY)
    for value in values:
        table.add(value, AT, "k")
    columns = list(table.columns)
    lines = csv_head(columns) + csv_lines(columns, table.rows)
    read = list(csv.reader(io.StringIO(lines.decode(), newline="")))
    assert all(not isinstance(cell, dict | list) for row in table.rows for cell in row.values())
    assert len(read) == (len(table.rows) + 1 if columns else 0)
    assert all(len(line) == len(columns) for line in read)


def test_names_of_columns_cannot_make_the_rows_larger_than_permitted() -> None:
    value = {"n" * 1_000: {str(number): 0 for number in range(2_000)}}
    with pytest.raises(TooLargeError) as caught:
        Table(MANY).add(value, AT)
    assert caught.value.text == f"Rows exceed max size ({MANY} bytes)"


def test_empty_cells_of_csv_count_for_its_size() -> None:
    table = Table(MANY)
    for number in range(1_000):
        table.add({f"column-{number}": 1}, AT)
    with pytest.raises(TooLargeError):
        table.check_csv_size()
    small = Table(MANY)
    small.add({"a": 1}, AT)
    small.check_csv_size()
