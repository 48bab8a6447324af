"""A plugin of pytest, for tests of an executable under qemu: `-p armkit.pytest_arm`.

It expects the failures of what qemu cannot do.
"""

import os

import pytest

from armkit.beyond import BEYOND_PURE, BEYOND_QEMU


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    listed = BEYOND_QEMU | (BEYOND_PURE if os.environ.get("DUNENA_TEST_ARM_PURE") else {})
    for item in items:
        reason = listed.get(item.nodeid.partition("[")[0])
        if reason is not None:
            item.add_marker(pytest.mark.xfail(reason=reason))
