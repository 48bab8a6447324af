"""The cases of json-patch-test-suite, which most implementations of RFC 6902 are tried with."""

import json
from pathlib import Path
from typing import Any

import pytest

from dunena.dialects.errors import ClientError
from dunena.dialects.ops.draft import Costs
from dunena.dialects.ops.json_patch import apply_patch, check_patch


def outcome(case: dict[str, Any]) -> str | None:
    """Apply a case's patch; return the result as JSON text, None if it was refused."""
    try:
        result = apply_patch(case["doc"], check_patch(case["patch"]), "key", Costs())
    except ClientError:
        return None
    return json.dumps(result, sort_keys=True)


def wanted(case: dict[str, Any]) -> str | None:
    """Return what a case must come to; one that says nothing else leaves the value as it was."""
    if "error" in case:
        return None
    return json.dumps(case.get("expected", case["doc"]), sort_keys=True)


@pytest.mark.parametrize("name", ["tests.json", "spec_tests.json"])
def test_each_enabled_case_has_the_result_or_error_of_the_suite(
    name: str, node_modules: Path
) -> None:
    text = (node_modules / "json-patch-test-suite" / name).read_text("utf-8")
    cases = [case for case in json.loads(text) if "patch" in case and not case.get("disabled")]
    assert len(cases) > 15
    results = [(case, wanted(case), outcome(case)) for case in cases]
    assert [(case, result) for case, expected, result in results if result != expected] == []
