"""Operations on one key: what each makes of a present, missing or unfitting value and its parts."""

import copy
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.dialects.errors import (
    ClientError,
    InvalidFieldError,
    InvalidMessageError,
    LimitError,
    NoPathError,
    NoRevisionError,
    PatchTestError,
    TooLargeError,
    ValueKindError,
)
from dunena.dialects.ops.draft import DraftValue
from dunena.dialects.ops.missing import MISSING, Encoded
from dunena.dialects.ops.operation import (
    OPERATION_NAMES,
    Operation,
    Surroundings,
    check_revision,
    parse_operation,
)
from dunena.dialects.services import unicode_name
from dunena.store.limits import PARTIAL_BYTES_MAX

NOW = 1_710_000_000_000
EARLIER = {"was": [1, 2], "a": 7}
TIMER = {"timer": {"at": NOW, "ms": 0, "rate": 1, "running": True}}

FIELDS: dict[str, dict[str, Any]] = {
    "set": {"value": 5},
    "delete": {},
    "del": {},
    "merge": {"value": {"x": 1}},
    "patch": {"patch": [{"op": "add", "path": "", "value": 5}]},
    "incr": {"by": 2},
    "append": {"value": 5},
    "touch": {"ttl": 1000},
    "timer": {"do": "start"},
    "revert": {},
}
"""Fields with which each operation can be carried out."""

MADE: dict[str, tuple[Any, dict[str, Any]]] = {
    "set": (5, {}),
    "merge": ({"x": 1}, {}),
    "patch": (5, {}),
    "incr": (2, {"value": 2}),
    "append": ([5], {"length": 1}),
    "timer": (TIMER, {"value": TIMER}),
}
"""What an operation makes of nothing, and its answer; the others make nothing of it."""

WRITES = sorted(MADE)


def value_of_revision(ns: str, key: str, revision: int) -> bytes:
    assert (ns, key) == ("show", "match")
    if revision != 7:
        raise NoRevisionError(revision)
    return orjson.dumps(EARLIER)


def surroundings(*earlier: Any) -> Surroundings:
    """Make those of a key that had these values, the newest first."""
    values = [orjson.dumps(value) for value in earlier]
    return Surroundings(NOW, value_of_revision, lambda _ns, _key: values)


def make(name: str, path: str = "", **fields: Any) -> Operation:
    message = {"key": "match", "ns": "show", "path": path, **(fields or FIELDS[name])}
    return parse_operation(message, name, "", unicode_name)


def carry_out(
    operation: Operation, value: Any, around: Surroundings | None = None
) -> tuple[Any, dict[str, Any]]:
    """Return the decoded new value, `MISSING` for none, and the answer."""
    encoded = None if value is MISSING else orjson.dumps(value)
    result, answer = result_of(operation, encoded, around)
    return MISSING if result is None else orjson.loads(result), answer


def result_of(
    operation: Operation, encoded: bytes | None, around: Surroundings | None = None
) -> tuple[bytes | None, dict[str, Any]]:
    """Return the new value as JSON, None for none, and the answer."""
    draft = DraftValue(encoded)
    answer = operation.apply(draft, around or surroundings(EARLIER))
    if isinstance(answer.get("value"), Encoded):
        answer["value"] = orjson.loads(answer["value"].text)
    return draft.encoded(), answer


def test_each_operation_has_an_example_here() -> None:
    assert set(FIELDS) == OPERATION_NAMES


class TestMissingKey:
    @pytest.mark.parametrize("name", WRITES)
    def test_it_is_created(self, name: str) -> None:
        assert carry_out(make(name), MISSING) == MADE[name]

    @pytest.mark.parametrize("name", WRITES)
    def test_it_is_created_as_an_object_under_a_path(self, name: str) -> None:
        value, answer = MADE[name]
        assert carry_out(make(name, "/a"), MISSING) == ({"a": value}, answer)

    @pytest.mark.parametrize("path", ["", "/a", "/a/b"])
    @pytest.mark.parametrize("name", ["delete", "del"])
    def test_it_is_not_created_by_a_deletion(self, name: str, path: str) -> None:
        assert carry_out(make(name, path), MISSING) == (MISSING, {"deleted": False})

    @pytest.mark.parametrize("path", ["", "/a"])
    def test_it_cannot_be_touched(self, path: str) -> None:
        with pytest.raises(NoPathError) as caught:
            carry_out(make("touch", path), MISSING)
        assert caught.value.text == f'Nothing at "{path}" of "match"'

    def test_it_can_be_reverted(self) -> None:
        assert carry_out(make("revert"), MISSING) == (EARLIER, {"value": EARLIER})
        assert carry_out(make("revert", "/a"), MISSING) == ({"a": 7}, {"value": 7})


class TestPath:
    @pytest.mark.parametrize("name", WRITES)
    def test_a_missing_part_is_created(self, name: str) -> None:
        value, answer = MADE[name]
        assert carry_out(make(name, "/a/b"), {"a": {"c": 1}}) == (
            {"a": {"c": 1, "b": value}},
            answer,
        )

    @pytest.mark.parametrize("name", WRITES)
    def test_a_part_behind_the_end_of_a_list_is_appended(self, name: str) -> None:
        value, answer = MADE[name]
        assert carry_out(make(name, "/a/-"), {"a": [1]}) == ({"a": [1, value]}, answer)

    @pytest.mark.parametrize(
        "value", [MISSING, {}, {"a": 1}, {"a": []}, {"a": "text"}, [], 5, None]
    )
    @pytest.mark.parametrize("name", [*WRITES, "touch"])
    def test_a_part_without_a_parent_that_can_have_it_is_an_error(
        self, name: str, value: Any
    ) -> None:
        with pytest.raises(NoPathError) as caught:
            carry_out(make(name, "/a/b"), value)
        assert caught.value.text == 'Nothing at "/a/b" of "match"'

    @pytest.mark.parametrize("value", [{}, {"a": 1}, {"a": []}, {"a": "text"}, [], 5, None])
    @pytest.mark.parametrize("name", ["delete", "del"])
    def test_a_deletion_of_a_missing_part_changes_nothing(self, name: str, value: Any) -> None:
        assert carry_out(make(name, "/a/b"), value) == (value, {"deleted": False})

    def test_a_revert_to_a_value_without_the_part_is_an_error(self) -> None:
        with pytest.raises(NoPathError, match=r'^Nothing at "/b" of "match"$'):
            carry_out(make("revert", "/b"), {"b": 1})


class TestPresentValue:
    @pytest.mark.parametrize(
        ("name", "fields", "value", "result", "answer"),
        [
            ("set", {}, {"old": 1}, 5, {}),
            ("set", {"value": None}, 1, None, {}),
            ("merge", {}, {"y": {"z": 1}}, {"y": {"z": 1}, "x": 1}, {}),
            ("merge", {"value": None}, {"y": 1}, None, {}),
            ("merge", {"value": {"y": None}}, {"y": 1}, {}, {}),
            ("patch", {}, {"old": 1}, 5, {}),
            ("incr", {}, 3, 5, {"value": 5}),
            ("incr", {"by": 1}, "3", "4", {"value": "4"}),
            ("incr", {"min": None, "max": 4}, 3, 4, {"value": 4}),
            ("append", {}, [1], [1, 5], {"length": 2}),
            ("append", {"values": [2, 3], "max": 2}, [1], [2, 3], {"length": 2}),
            ("timer", {}, TIMER, TIMER, {"value": TIMER}),
            ("touch", {}, [1], [1], {}),
        ],
    )
    @pytest.mark.parametrize("path", ["", "/a/0"])
    def test_each_operation_does_what_the_contract_says(
        self, name: str, fields: Any, value: Any, result: Any, answer: Any, path: str
    ) -> None:
        operation = make(name, path, **fields)
        if path:
            value, result = {"a": [value, 1]}, {"a": [result, 1]}
        assert carry_out(operation, value) == (result, answer)

    @pytest.mark.parametrize("name", ["delete", "del"])
    def test_a_deletion_removes_the_key_or_the_part(self, name: str) -> None:
        assert carry_out(make(name), {"a": 1}) == (MISSING, {"deleted": True})
        assert carry_out(make(name, "/a"), {"a": 1}) == ({}, {"deleted": True})
        assert carry_out(make(name, "/a/1"), {"a": [1, 2, 3]}) == ({"a": [1, 3]}, {"deleted": True})

    @pytest.mark.parametrize("fields", [{"toRev": 7}, {"toRev": None}, {}])
    def test_a_value_is_reverted(self, fields: dict[str, Any]) -> None:
        assert carry_out(make("revert", **fields), 1) == (EARLIER, {"value": EARLIER})

    def test_a_part_is_reverted_alone(self) -> None:
        value = {"was": [9, 9], "b": 1}
        assert carry_out(make("revert", "/was/1"), value) == (
            {"was": [9, 2], "b": 1},
            {"value": 2},
        )

    def test_a_part_is_reverted_past_changes_of_other_parts(self) -> None:
        around = surroundings({"a": 5, "b": 2}, {"a": 5, "b": 1}, {"a": 4, "b": 1}, {"a": 3})
        assert carry_out(make("revert", "/a"), {"a": 5, "b": 3}, around) == (
            {"a": 4, "b": 3},
            {"value": 4},
        )
        assert carry_out(make("revert", "/b"), {"a": 5, "b": 3}, around)[1] == {"value": 2}

    @pytest.mark.parametrize(
        ("present", "same", "other"),
        [({"x": 1, "y": 2}, {"y": 2, "x": 1}, {"x": 1}), (1, 1, True), (1, 1, 1.0), (0, 0, False)],
    )
    def test_a_part_differs_as_json_does(self, present: Any, same: Any, other: Any) -> None:
        around = surroundings({"a": same}, {"a": other})
        _, answer = carry_out(make("revert", "/a"), {"a": present, "b": 1}, around)
        assert repr(answer["value"]) == repr(other)

    def test_a_removed_part_is_brought_back(self) -> None:
        around = surroundings({"b": 2}, {"a": None, "b": 2})
        assert carry_out(make("revert", "/a"), {"b": 1}, around)[0] == {"b": 1, "a": None}
        assert carry_out(make("revert", "/a"), MISSING, around)[0] == {"a": None}

    def test_a_part_that_never_was_another_is_not_reverted(self) -> None:
        around = surroundings({"a": 1, "b": 2}, {"a": 1})
        with pytest.raises(NoRevisionError, match=r"^No such revision: 0$"):
            carry_out(make("revert", "/a"), {"a": 1}, around)
        with pytest.raises(NoPathError):
            carry_out(make("revert", "/c"), {"a": 1}, around)
        with pytest.raises(NoRevisionError, match=r"^No such revision: 0$"):
            carry_out(make("revert", "/a"), {"a": 1}, surroundings())

    def test_an_unknown_revision_is_an_error(self) -> None:
        with pytest.raises(NoRevisionError, match=r"^No such revision: 6$"):
            carry_out(make("revert", toRev=6), 1)

    @pytest.mark.parametrize(
        ("name", "kind"), [("incr", "number"), ("append", "list"), ("timer", "timer")]
    )
    @pytest.mark.parametrize("path", ["", "/a"])
    def test_null_is_a_value_of_another_kind(self, name: str, kind: str, path: str) -> None:
        with pytest.raises(ValueKindError, match=rf'^Not a {kind}: "match"$'):
            carry_out(make(name, path), {"a": None} if path else None)

    def test_null_is_not_missing(self) -> None:
        assert carry_out(make("delete"), None) == (MISSING, {"deleted": True})
        assert carry_out(make("delete", "/a"), {"a": None}) == ({}, {"deleted": True})
        assert carry_out(make("touch"), None) == (None, {})
        assert carry_out(make("touch", "/a"), {"a": None}) == ({"a": None}, {})
        assert carry_out(make("patch", patch=[]), None) == (None, {})


class TestBytes:
    @pytest.mark.parametrize("text", [b"1", b"-0.0", b'{"b":1,"a":[1.0,1e300]}', b'"\xc3\xa9"'])
    def test_touch_keeps_the_very_bytes(self, text: bytes) -> None:
        assert result_of(make("touch"), text) == (text, {})

    @pytest.mark.parametrize("name", ["set", "delete", "touch", "revert"])
    def test_the_whole_value_is_not_decoded_where_it_does_not_matter(self, name: str) -> None:
        result_of(make(name), b"no JSON, so that decoding would fail")

    @pytest.mark.parametrize("text", [b"1", b'{"b":1,"a":[1.0,18446744073709551615]}'])
    @pytest.mark.parametrize(
        "operation", [make("patch", patch=[]), make("merge", value={}), make("delete", "/x/y")]
    )
    def test_what_is_not_named_stays_as_it_is(self, operation: Operation, text: bytes) -> None:
        if operation.name == "merge" and text == b"1":
            assert result_of(operation, text) == (b"{}", {})
        else:
            assert result_of(operation, text)[0] == text

    def test_a_part_of_a_value_that_is_too_large_is_not_changed(self) -> None:
        too_large = b'"' + b"x" * (PARTIAL_BYTES_MAX - 1) + b'"'
        for name in OPERATION_NAMES - {"set", "delete", "del", "touch", "revert"}:
            with pytest.raises(TooLargeError) as caught:
                result_of(make(name), too_large)
            assert caught.value.text == (
                "Value exceeds max size for partial changes (1048576 bytes)"
            )
        for name in OPERATION_NAMES:
            with pytest.raises(TooLargeError):
                result_of(make(name, "/a"), too_large)

    def test_a_value_of_the_largest_size_is_changed_and_any_is_set(self) -> None:
        largest = b'{"a":"' + b"x" * (PARTIAL_BYTES_MAX - 8) + b'"}'
        assert len(largest) == PARTIAL_BYTES_MAX
        assert result_of(make("set", "/a"), largest) == (b'{"a":5}', {})
        assert result_of(make("set"), largest + b" " * 9) == (b"5", {})
        assert result_of(make("delete"), largest + b" " * 9) == (None, {"deleted": True})

    @pytest.mark.parametrize("name", ["set", "append"])
    def test_a_result_that_is_nested_too_deeply_is_refused(self, name: str) -> None:
        deep = orjson.loads(b"[" * 254 + b"]" * 254)
        with pytest.raises(LimitError, match=r"^Value is nested too deeply$"):
            carry_out(make(name, "/a", value=deep), {})

    def test_a_patch_that_fails_on_its_way_leaves_the_stored_value(self) -> None:
        stored = b'{"a":[1]}'
        patch = [
            {"op": "add", "path": "/a/-", "value": 2},
            {"op": "test", "path": "/a/0", "value": 2},
        ]
        operation = make("patch", patch=patch)
        with pytest.raises(PatchTestError, match=r'^Patch test failed: "/a/0"$'):
            result_of(operation, stored)
        assert stored == b'{"a":[1]}'
        assert result_of(make("patch", patch=patch[:1]), stored) == (b'{"a":[1,2]}', {})

    @pytest.mark.parametrize("path", ["", "/a"])
    @pytest.mark.parametrize("name", WRITES)
    def test_an_operation_can_be_carried_out_twice(self, name: str, path: str) -> None:
        operation = make(name, path)
        once = result_of(operation, None)
        result_of(operation, once[0])
        assert result_of(operation, None) == once


class TestFields:
    @pytest.mark.parametrize(
        ("name", "fields", "error", "text"),
        [
            ("set", {}, InvalidMessageError, "Missing value"),
            ("merge", {}, InvalidMessageError, "Missing value"),
            ("patch", {}, ClientError, "Patch must be a list of operations"),
            ("patch", {"patch": {}}, ClientError, "Patch must be a list of operations"),
            ("incr", {"by": "1"}, InvalidFieldError, "By must be a number"),
            ("incr", {"by": True}, InvalidFieldError, "By must be a number"),
            ("incr", {"min": True}, InvalidFieldError, "Min must be a number"),
            ("incr", {"max": "9"}, InvalidFieldError, "Max must be a number"),
            ("append", {}, InvalidMessageError, "Missing value"),
            ("append", {"values": None}, InvalidMessageError, "Missing value"),
            ("append", {"value": 1, "values": []}, InvalidMessageError, "Missing value"),
            ("append", {"values": 1}, InvalidFieldError, "Values must be a list"),
            ("append", {"value": 1, "max": 0}, InvalidFieldError, "Max must be a positive integer"),
            ("touch", {}, InvalidMessageError, "Missing field: ttl"),
            ("timer", {"do": "run"}, InvalidFieldError,
             "Do must be one of: start, stop, toggle, set, add"),
            ("revert", {"toRev": -1}, InvalidFieldError, "toRev must be a non-negative integer"),
        ],
    )  # fmt: skip
    def test_what_is_missing_or_wrong_is_said(
        self, name: str, fields: Any, error: type[ClientError], text: str
    ) -> None:
        with pytest.raises(error) as caught:
            parse_operation({"key": "match", **fields}, name, "", unicode_name)
        assert caught.value.text == text

    @pytest.mark.parametrize(
        ("name", "fields", "value", "result"),
        [
            ("incr", {"ns": "show"}, 1, 2),
            ("incr", {"by": None, "min": None, "max": None}, 1, 2),
            ("append", {"value": None}, [], [None]),
            ("append", {"value": None, "values": None, "max": None}, [], [None]),
            ("append", {"value": None, "values": [1]}, [], [1]),
            ("timer", {"do": "start", "ms": None, "rate": None}, MISSING, TIMER),
        ],
    )
    def test_null_is_no_field_except_as_a_value(
        self, name: str, fields: dict[str, Any], value: Any, result: Any
    ) -> None:
        assert carry_out(make(name, **fields), value)[0] == result

    @pytest.mark.parametrize(("value", "revision"), [(0, 0), (7, 7), (7.0, 7), (2**53, 2**53)])
    def test_a_revision_is_a_non_negative_integer(self, value: float, revision: int) -> None:
        assert check_revision(value, "toRev") == revision

    @pytest.mark.parametrize("value", [-1, 1.5, True, "1", None, []])
    def test_anything_else_is_no_revision(self, value: Any) -> None:
        with pytest.raises(InvalidFieldError, match=r"^toRev must be a non-negative integer$"):
            check_revision(value, "toRev")


NUMBERS = (
    st.sampled_from([0, 1, -1, 2**53, 2**63, 2**64 - 1, -(2**63), 1e308, -1e308, -0.0, 0.5])
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
)
TIMERS = st.fixed_dictionaries(
    {"timer": st.fixed_dictionaries(
        {"at": NUMBERS, "ms": NUMBERS, "rate": NUMBERS, "running": st.booleans()}
    )}
)  # fmt: skip
ANY_VALUE = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.sampled_from(["", "5", "-0", "x"]) | TIMERS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "-", "0", ""]), inner, max_size=3)
    ),
    max_leaves=6,
)
ANY_PATH = st.lists(st.sampled_from(["a", "b", "-", "0", "1", ""]), max_size=3).map(
    lambda tokens: "".join("/" + token for token in tokens)
)
ANY_PATCH = st.lists(
    st.fixed_dictionaries(
        {
            "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]),
            "path": ANY_PATH,
            "from": ANY_PATH,
            "value": ANY_VALUE,
        }
    ),
    max_size=3,
)
ANY_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "value": ANY_VALUE,
        "values": st.lists(ANY_VALUE, max_size=2) | ANY_VALUE,
        "patch": ANY_PATCH | ANY_VALUE,
        "do": st.sampled_from(["start", "stop", "toggle", "set", "add"]) | ANY_VALUE,
        "ttl": ANY_VALUE,
        **dict.fromkeys(("by", "min", "max", "ms", "rate", "toRev"), NUMBERS | ANY_VALUE),
    },
)


@given(st.sampled_from(sorted(OPERATION_NAMES)), ANY_PATH, ANY_FIELDS, st.just(MISSING) | ANY_VALUE)
def test_any_operation_gives_a_value_or_an_error_of_the_client(
    name: str, path: str, fields: dict[str, Any], value: Any
) -> None:
    before = copy.deepcopy(fields)
    with suppress(ClientError):
        carry_out(make(name, path, **{"key": "match", **fields}), value)
    assert fields == before
