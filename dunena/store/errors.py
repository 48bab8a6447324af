"""Why a store takes no change."""


class WriteRefusedError(Exception):
    """Changes cannot be kept at present; ``reason`` is one line for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StoreFullError(WriteRefusedError):
    """There is no room for the change; others may find some."""
