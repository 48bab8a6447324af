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
        """Nobody reads it."""

    def close(self) -> None:
        """It is."""

    def abort(self) -> None:
        """The same."""

    def pause_reading(self) -> None:
        """Nothing comes."""

    def resume_reading(self) -> None:
        """The same."""


LOST: asyncio.Transport = _LostTransport()
"""Takes the place of a real one, which holds a good deal of memory over TLS and may otherwise be
kept until Python looks for garbage."""
