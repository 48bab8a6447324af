"""The errors of a store that refuses a change."""


class WriteRefusedError(Exception):
    """Changes cannot be stored at present; ``reason`` is one line for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StoreFullError(WriteRefusedError):
    """The change does not fit the store's limits; a smaller change may."""
