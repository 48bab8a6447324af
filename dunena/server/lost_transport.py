"""The object that replaces the transport of a lost connection."""

import asyncio
from typing import Any


class _LostTransport(asyncio.Transport):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return True

    def can_write_eof(self) -> bool:
        return False

    def write(self, data: Any) -> None:
        """Drop the data: there is no peer to read it."""

    def close(self) -> None:
        """Do nothing: the transport is closed already."""

    def abort(self) -> None:
        """Do nothing: the transport is closed already."""

    def pause_reading(self) -> None:
        """Do nothing: no more data will come."""

    def resume_reading(self) -> None:
        """Do nothing: no more data will come."""


LOST: asyncio.Transport = _LostTransport()
"""Replaces a real transport, which holds much memory over TLS and would otherwise stay in memory
until the garbage collector runs."""
