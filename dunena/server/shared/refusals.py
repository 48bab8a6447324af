"""The errors that requests are answered with when the log has not stored what they change."""

from typing import Final

from dunena.dialects.errors import (
    ClientError,
    OutcomeUnknownError,
    StorageFailedError,
    StoreUnavailableError,
    TooLargeError,
)
from dunena.persistence.log import Refusal, RefusalKind

_BUSY: Final = "others change the same keys all the time"
_LOST: Final = "the log was lost for a moment"


def busy_error() -> ClientError:
    """Return the answer to a request that others were quicker than, too often."""
    return StoreUnavailableError(_BUSY)


def lost_error() -> ClientError:
    """Return the answer to a request that was stored at a place of which too little is known."""
    return OutcomeUnknownError(_LOST)


def error_of(refusal: Refusal) -> ClientError:
    """Return the answer to the requests of a proposal that was refused."""
    reason = refusal.reason
    if refusal.kind is RefusalKind.UNKNOWN:
        return OutcomeUnknownError(reason)
    if refusal.kind is RefusalKind.FULL:
        return StorageFailedError(reason)
    if refusal.kind is RefusalKind.INVALID:
        return TooLargeError(f"Storage error: {reason}; nothing was stored")
    return StoreUnavailableError(reason)
