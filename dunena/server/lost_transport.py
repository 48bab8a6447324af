"""What stands in the place of a transport once its connection is lost."""

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
        """Drop the data: nobody is there to read it."""

    def close(self) -> None:
        """Do nothing: the transport is closed already."""

    def abort(self) -> None:
        """The same."""

    def pause_reading(self) -> None:
        """Do nothing: no more data will come."""

    def resume_reading(self) -> None:
        """The same."""


LOST: asyncio.Transport = _LostTransport()
"""Takes the place of a real one, which holds a good deal of memory over TLS and may otherwise be
kept until Python looks for garbage."""
