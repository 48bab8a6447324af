"""Patches as RFC 6902 has them: what is refused, what each fault is called, and the limits."""

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.dialects.errors import (
    ClientError,
    InvalidFieldError,
    LimitError,
    NoPathError,
    PatchSyntaxError,
    PatchTestError,
    PathSyntaxError,
    TooLargeError,
    TooManyError,
)
from dunena.dialects.ops.draft import Costs
from dunena.dialects.ops.json_patch import apply_patch, check_patch
from dunena.store.limits import COPIES_BYTES_MAX
from dunena.store.values import encode
from tests.support.rfc_examples import PATCHES


def patched(value: Any, *operations: Any) -> Any:
    return apply_patch(value, check_patch(list(operations)), "match", Costs())


def operation(name: str, path: str, value: Any = None, **fields: Any) -> dict[str, Any]:
    return {"op": name, "path": path, "value": value, **fields}


@pytest.mark.parametrize(("original", "patch", "result"), PATCHES)
def test_an_example_of_the_rfc_keeps_the_order_of_members(
    original: Any, patch: list[Any], result: Any
) -> None:
    assert encode(patched(copy.deepcopy(original), *patch)) == encode(result)


class TestForm:
    @pytest.mark.parametrize(
        "patch",
        [
            None,
            {},
            "[]",
            [1],
            [None],
            [[]],
            [{}],
            [{"op": "add"}],
            [{"op": "add", "path": "/a"}],
            [{"op": "replace", "path": "/a"}],
            [{"op": "test", "path": "/a"}],
            [{"op": "move", "path": "/a"}],
            [{"op": "copy", "path": "/a"}],
            [{"op": "remove"}],
            [{"op": "append", "path": "/a", "value": 1}],
            [{"op": ["add"], "path": "/a", "value": 1}],
            [{"op": {}, "path": "/a", "value": 1}],
            [{"op": None, "path": "/a", "value": 1}],
        ],
    )
    def test_what_is_no_list_of_complete_operations_is_refused(self, patch: Any) -> None:
        with pytest.raises(PatchSyntaxError, match=r"^Patch must be a list of operations$"):
            check_patch(patch)

    def test_a_patch_leaves_a_value(self) -> None:
        with pytest.raises(InvalidFieldError, match=r"^Patch must not remove the whole value$"):
            check_patch([operation("add", "/a"), operation("remove", "")])

    @pytest.mark.parametrize("path", ["a", "/~", "/~2", 1, None, ["a"]])
    @pytest.mark.parametrize("name", ["path", "from"])
    def test_a_path_that_is_no_pointer_is_refused(self, name: str, path: Any) -> None:
        with pytest.raises(PathSyntaxError, match=r"^Path must be a JSON Pointer$"):
            check_patch([{"op": "copy", "path": "/a", "from": "/b", name: path}])

    def test_1000_operations_are_permitted_and_1001_are_not(self) -> None:
        one = {"op": "test", "path": "", "value": 1}
        assert apply_patch(1, check_patch([one] * 1000), "match", Costs()) == 1
        with pytest.raises(TooManyError, match=r"^Operations exceed max count \(1000\)$"):
            check_patch([one] * 1001)

    @pytest.mark.parametrize("name", ["path", "from"])
    def test_a_path_that_is_deeper_than_any_value_is_refused(self, name: str) -> None:
        check_patch([{"op": "copy", "path": "/a", "from": "/a", name: "/a" * 254}])
        with pytest.raises(LimitError, match=r"^Value is nested too deeply$"):
            check_patch([{"op": "copy", "path": "/a", "from": "/a", name: "/a" * 255}])


class TestOperations:
    @pytest.mark.parametrize(
        ("value", "change", "result"),
        [
            ([1, 3], operation("add", "/1", 2), [1, 2, 3]),
            ([1], operation("add", "/-", 2), [1, 2]),
            ({"a": 1}, operation("add", "/a", 2), {"a": 2}),
            ({"-": 1}, operation("replace", "/-", 2), {"-": 2}),
            ([1, 2, 3], operation("remove", "/1"), [1, 3]),
            ([1, 2, 3], operation("move", "/2", **{"from": "/0"}), [2, 3, 1]),
            ({"a": 1}, operation("move", "/a", **{"from": "/a"}), {"a": 1}),
            ({"a": [1]}, operation("copy", "/b", **{"from": "/a"}), {"a": [1], "b": [1]}),
            ({"a": 1}, operation("copy", "/a", **{"from": ""}), {"a": {"a": 1}}),
            ({"a": {"b": 1}}, operation("move", "", **{"from": "/a"}), {"b": 1}),
            (5, operation("replace", "", {"a": 1}), {"a": 1}),
        ],
    )
    def test_each_operation_does_what_the_rfc_says(
        self, value: Any, change: dict[str, Any], result: Any
    ) -> None:
        assert patched(value, change) == result

    def test_a_replaced_member_keeps_its_place(self) -> None:
        assert list(patched({"a": 1, "b": 2}, operation("replace", "/a", 3))) == ["a", "b"]

    @pytest.mark.parametrize(
        ("value", "change", "path"),
        [
            ({}, operation("add", "/a/b", 1), "/a/b"),
            ([], operation("add", "/1", 1), "/1"),
            ([], operation("add", "/x", 1), "/x"),
            ("text", operation("add", "/0", 1), "/0"),
            (5, operation("add", "/a", 1), "/a"),
            ({}, operation("remove", "/a"), "/a"),
            ([1], operation("remove", "/-"), "/-"),
            ([1], operation("remove", "/1"), "/1"),
            ([1], operation("replace", "/-", 1), "/-"),
            ({}, operation("replace", "/a", 1), "/a"),
            ([1], operation("replace", "/01", 1), "/01"),
            ({"b": 1}, operation("move", "/b", **{"from": "/a"}), "/a"),
            ({"b": 1}, operation("move", "/c/d", **{"from": "/b"}), "/c/d"),
            ({"a": {}}, operation("move", "/a/b", **{"from": "/a"}), "/a/b"),
            ({}, operation("move", "/a", **{"from": ""}), "/a"),
            ([], operation("copy", "/-", **{"from": "/-"}), "/-"),
            ({"b": 1}, operation("copy", "/c/d", **{"from": "/b"}), "/c/d"),
        ],
    )
    def test_the_path_that_leads_nowhere_is_named(
        self, value: Any, change: dict[str, Any], path: str
    ) -> None:
        with pytest.raises(NoPathError) as caught:
            patched(value, change)
        assert caught.value.text == f'Nothing at "{path}" of "match"'

    def test_64_bit_integers_stay_exact(self) -> None:
        edges = [-(2**63), 2**63, 2**64 - 1, 2**53 + 1]
        value = patched({"old": edges}, operation("add", "/new", edges))
        value = patched(value, operation("copy", "/copy", **{"from": "/old"}))
        assert value == {"old": edges, "new": edges, "copy": edges}

    def test_the_patch_is_not_changed_by_later_operations(self) -> None:
        patch = [
            operation("add", "/list", [1]),
            operation("copy", "/copy", **{"from": "/list"}),
            operation("add", "/list/-", 2),
        ]
        before = copy.deepcopy(patch)
        assert patched({}, *patch) == {"list": [1, 2], "copy": [1]}
        assert patch == before


class TestTest:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (1, 1.0),
            (True, True),
            (None, None),
            ("1", "1"),
            ({"a": 1, "b": [2]}, {"b": [2.0], "a": 1}),
            (2**64 - 1, 2**64 - 1),
            (0.0, -0.0),
        ],
    )
    def test_equal_json_passes(self, value: Any, expected: Any) -> None:
        assert patched({"a": value}, operation("test", "/a", expected)) == {"a": value}

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (1, True),
            (True, 1),
            (0, False),
            (False, 0.0),
            ([1, {"x": 1}], [1, {"x": True}]),
            ("1", 1),
            (None, False),
            (2**53 + 1, 2.0**53),
            ([1], [1, 2]),
            ([1, 2], [2, 1]),
            ({"a": 1}, {"a": 1, "b": 2}),
            ({}, []),
            ([], {}),
            ("", None),
        ],
    )
    def test_other_json_fails(self, value: Any, expected: Any) -> None:
        with pytest.raises(PatchTestError, match=r'^Patch test failed: "/a"$'):
            patched({"a": value}, operation("test", "/a", expected))

    @pytest.mark.parametrize("path", ["/b", "/a/0", "/list/-", "/list/1"])
    def test_a_test_of_what_is_missing_fails(self, path: str) -> None:
        with pytest.raises(PatchTestError) as caught:
            patched({"a": 1, "list": [1]}, operation("test", path, None))
        assert caught.value.text == f'Patch test failed: "{path}"'


class TestLimits:
    def test_copies_that_double_the_value_are_refused(self) -> None:
        doubling = operation("copy", "/-", **{"from": ""})
        value: list[Any] = ["x"]
        with pytest.raises(TooLargeError, match=r"^Copies exceed max size \(1048576 bytes\)$"):
            patched(value, *[doubling] * 40)
        assert len(orjson.dumps(value)) <= 2 * COPIES_BYTES_MAX

    def test_copies_up_to_the_limit_are_permitted(self) -> None:
        part = "x" * (COPIES_BYTES_MAX // 8 - 2)
        one = operation("copy", "/-", **{"from": "/0"})
        assert patched([part], *[one] * 8) == [part] * 9
        with pytest.raises(TooLargeError):
            patched([part], *[one] * 9)

    def test_a_copy_of_what_earlier_operations_nested_too_deeply_is_refused(self) -> None:
        deep = orjson.loads(b"[" * 254 + b"]" * 254)
        wrap = [operation("add", "/x", {}), operation("move", "/x/y", **{"from": "/a"})]
        with pytest.raises(LimitError, match=r"^Value is nested too deeply$"):
            patched({"a": deep}, *wrap, operation("copy", "/z", **{"from": ""}))

    def test_a_test_of_a_value_that_is_nested_thousands_deep_only_fails(self) -> None:
        value = {"a": []}
        nest = [
            operation("add", "/b", [[]]),
            operation("move", "/b/0/-", **{"from": "/a"}),
            operation("move", "/a", **{"from": "/b"}),
        ]
        with pytest.raises(PatchTestError):
            patched(value, *nest * 333, operation("test", "", {}))

    @pytest.mark.parametrize(
        ("encoded", "operations", "size"),
        [
            (
                b"[" + b",".join([b"[]"] * 349_000) + b"]",
                [operation("move", "/-", **{"from": "/0"})] * 1000,
                3 * 349_000 + 1,
            ),
            (
                b'{"x":[' + b",".join([b"[]"] * 116_000) + b"]}",
                [operation("copy", "/y", **{"from": "/x"})] * 3,
                2 * (3 * 116_000 + 1) + len('{"x":,"y":}'),
            ),
            (
                b'{"a":' * 250 + b'{"x":1}' + b"}" * 250,
                [
                    operation("move", "/a" * 250 + "/y", **{"from": "/a" * 250 + "/x"}),
                    operation("move", "/a" * 250 + "/x", **{"from": "/a" * 250 + "/y"}),
                ]
                * 500,
                250 * len('{"a":}') + len('{"x":1}'),
            ),
        ],
        ids=["long list", "copies", "deep"],
    )
    def test_the_largest_patches_of_the_largest_values_are_applied(
        self, encoded: bytes, operations: list[Any], size: int
    ) -> None:
        assert len(orjson.dumps(patched(orjson.loads(encoded), *operations))) == size


SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=2)
NAMES = st.sampled_from(["a", "b", "-", "", "0", "1", "~", "/"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
TOKENS = st.sampled_from(
    ["a", "b", "-", "", "0", "1", "2", "01", "+1", "\uff11", "~0", "~1", "length"]
)
PATHS = st.lists(TOKENS, max_size=3).map(lambda tokens: "".join("/" + token for token in tokens))
OPERATIONS = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]),
        "path": PATHS,
        "from": PATHS,
        "value": VALUES,
    },
    optional={"extra": VALUES},
)


@given(VALUES, st.lists(OPERATIONS, max_size=6))
def test_any_patch_gives_a_value_or_an_error_of_the_client(value: Any, patch: list[Any]) -> None:
    before = copy.deepcopy(patch)
    try:
        result = apply_patch(value, check_patch(patch), "match", Costs())
    except ClientError:
        pass
    else:
        assert orjson.loads(encode(result)) == result
    assert patch == before


@given(VALUES, PATHS, VALUES)
def test_what_was_added_can_be_removed_again(value: Any, path: str, part: Any) -> None:
    try:
        with_part = patched(copy.deepcopy(value), operation("add", path, part))
    except NoPathError:
        return
    if not path.endswith("-"):
        patched(copy.deepcopy(with_part), operation("test", path, part))
        replaced = patched(with_part, operation("replace", path, 7))
        patched(replaced, operation("test", path, 7))
