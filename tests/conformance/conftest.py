"""Fixtures of the protocols' tests, for the same server."""

from tests.protocol.conftest import raw

__all__ = ["raw"]
