"""What becomes of a test whose program is not there."""

import os
from typing import NoReturn

import pytest

IS_CI = os.environ.get("CI", "").lower() not in ("", "0", "false", "no")


def report_missing(what: str) -> NoReturn:
    """Skip the test that needs `what`; under CI fail it: a skipped one is missed by nobody."""
    reason = f"{what} is missing; `python3 build/dev.py test` looks for it"
    if IS_CI:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
