"""A plugin of pytest for `tests.support.shared_mode`: it expects the failures in its list."""

import pytest

from tests.support.beyond_shared import BEYOND_SHARED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        name = item.nodeid
        reason = BEYOND_SHARED.get(name) or BEYOND_SHARED.get(name.partition("[")[0])
        if reason is not None:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
