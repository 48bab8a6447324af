"""The list of tests that cannot hold on a store that several servers share."""

from pathlib import Path

from tests.support.beyond_shared import BEYOND_SHARED
from tests.support.named_tests import names_in
from tests.support.shared_mode import SUITES

ROOT = Path(__file__).resolve().parents[2]


def test_each_name_is_that_of_a_test():
    assert BEYOND_SHARED
    for name in BEYOND_SHARED:
        module, _, function = name.partition("::")
        assert module.startswith(SUITES), name
        assert function.partition("[")[0] in names_in(ROOT / module), name


def test_each_name_has_a_reason():
    assert all(reason.strip() for reason in BEYOND_SHARED.values())
