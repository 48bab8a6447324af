"""What becomes of the tests in the list of those that a shared store fails."""

from typing import Any, cast

import pytest

from tests.support import shared_plugin


class Item:
    def __init__(self, name: str) -> None:
        self.nodeid = f"tests/test_some.py::{name}"
        self.marks: list[pytest.MarkDecorator] = []

    def add_marker(self, mark: pytest.MarkDecorator) -> None:
        self.marks.append(mark)


def test_a_listed_test_has_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = {
        "tests/test_some.py::test_all": "all of it",
        "tests/test_some.py::test_one[2]": "one of it",
    }
    monkeypatch.setattr(shared_plugin, "BEYOND_SHARED", listed)
    names = ("test_all", "test_all[1]", "test_one[1]", "test_one[2]", "test_other")
    items = [Item(name) for name in names]
    shared_plugin.pytest_collection_modifyitems(cast("Any", items))
    reasons = [[mark.kwargs["reason"] for mark in item.marks] for item in items]
    assert reasons == [["all of it"], ["all of it"], [], ["one of it"], []]
    assert all(mark.kwargs["strict"] for item in items for mark in item.marks)
