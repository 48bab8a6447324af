"""JSON Pointers: reading them, and reading, putting and removing what they point at."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunena.dialects.errors import LimitError, PathSyntaxError
from dunena.dialects.ops.pointer import (
    NothingThereError,
    parse_pointer,
    put_at,
    remove_at,
    value_at,
)
from dunena.store.limits import PATH_BYTES_MAX
from tests.support.rfc_examples import POINTED, POINTERS


@pytest.mark.parametrize("path", POINTERS)
def test_each_pointer_of_the_rfc_has_its_value(path: str) -> None:
    assert value_at(POINTED, parse_pointer(path)) == POINTERS[path]


@pytest.mark.parametrize("path", ["foo", " /foo", "/~", "/~2", "/a~", "~0", None, 1, ["foo"]])
def test_a_path_that_is_no_pointer_is_refused(path: Any) -> None:
    with pytest.raises(PathSyntaxError, match=r"^Path must be a JSON Pointer$"):
        parse_pointer(path)


@pytest.mark.parametrize("char", ["a", "\u00e9", "\U0001f600"])
def test_a_path_that_is_too_long_is_refused(char: str) -> None:
    size = len(char.encode())
    name = char * ((PATH_BYTES_MAX - 1) // size)
    longest = "/" + name + "x" * (PATH_BYTES_MAX - 1 - len(name.encode()))
    assert parse_pointer(longest) == (longest[1:],)
    with pytest.raises(LimitError, match=r"^Path exceeds max length \(1024\)$"):
        parse_pointer(longest + "x")


def test_an_escaped_tilde_is_not_read_as_an_escaped_slash() -> None:
    assert parse_pointer("/~01") == ("~1",)


@pytest.mark.parametrize(
    "path", ["/foo/2", "/foo/-", "/foo/00", "/foo/01", "/foo/+1", "/foo/-1", "/foo/\uff11",
             "/foo/1e0", "/foo/", "/foo/99999999999999999999", "/foo/0/x", "/missing", "/a~1b/x"],
)  # fmt: skip
def test_a_value_without_such_a_part_has_nothing_there(path: str) -> None:
    with pytest.raises(NothingThereError):
        value_at(POINTED, parse_pointer(path))


@pytest.mark.parametrize(
    ("value", "path", "result"),
    [
        ({"a": 1}, "", 9),
        ({"a": 1}, "/a", 9),
        ({"a": 1}, "/b", 9),
        ([1, 2], "/0", 9),
        ([1, 2], "/2", 9),
        ({"a": {"b": [{}]}}, "/a/b/0/c", 9),
    ],
)
def test_what_was_put_is_read_again(value: Any, path: str, result: int) -> None:
    pointer = parse_pointer(path)
    assert value_at(put_at(value, pointer, result), pointer) == result


def test_putting_at_an_index_replaces_the_element() -> None:
    assert put_at([1, 2, 3], ("1",), 9) == [1, 9, 3]


@pytest.mark.parametrize("token", ["-", "2"])
def test_putting_behind_the_last_element_appends(token: str) -> None:
    assert put_at([1, 2], (token,), 9) == [1, 2, 9]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({}, "/a/b"),
        ([1], "/2"),
        ([1], "/a"),
        ("text", "/0"),
        (5, "/a"),
        (None, "/a"),
        ([[]], "/-/0"),
    ],
)
def test_a_part_without_a_parent_is_not_put(value: Any, path: str) -> None:
    with pytest.raises(NothingThereError):
        put_at(value, parse_pointer(path), 9)


def test_removing_an_element_closes_the_gap() -> None:
    value = {"a": [1, 2, 3]}
    remove_at(value, ("a", "1"))
    assert value == {"a": [1, 3]}


def test_removing_a_member_leaves_the_others() -> None:
    value = {"a": 1, "b": 2}
    remove_at(value, ("a",))
    assert value == {"b": 2}


@pytest.mark.parametrize("path", ["/b", "/a/0", "/list/-", "/list/2"])
def test_a_part_that_is_missing_is_not_removed(path: str) -> None:
    value = {"a": 1, "list": [1, 2]}
    with pytest.raises(NothingThereError):
        remove_at(value, parse_pointer(path))
    assert value == {"a": 1, "list": [1, 2]}


@given(st.lists(st.text()))
def test_every_member_name_can_be_written_as_a_token(names: list[str]) -> None:
    path = "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)
    assert parse_pointer(path) == tuple(names)
