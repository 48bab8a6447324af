"""The text and the HTTP status of what a client can do wrong."""

from collections.abc import Callable

import pytest

from dunena.dialects.errors import (
    ClientError,
    ConflictError,
    ForbiddenError,
    InvalidMessageError,
    LimitError,
    RateLimitedError,
    StorageFailedError,
    TooLargeError,
    TooManyError,
    WrongTypeError,
)

NOT_SAID = (False, False)
SAID = (True, False)
LIMIT = (True, True)


@pytest.mark.parametrize(
    ("make", "text", "status", "kind"),
    [
        (lambda: ClientError("why"), "why", 400, NOT_SAID),
        (InvalidMessageError.not_json, "Invalid JSON", 400, NOT_SAID),
        (InvalidMessageError.body_not_json, "Invalid JSON body", 400, NOT_SAID),
        (lambda: InvalidMessageError.missing("key"), "Missing field: key", 400, NOT_SAID),
        (lambda: InvalidMessageError.unknown_type("x"), "Unknown message type: x", 400, NOT_SAID),
        (lambda: WrongTypeError("why"), "why", 400, NOT_SAID),
        (lambda: LimitError("why"), "why", 400, LIMIT),
        (lambda: TooManyError("Keys", 5), "Keys exceed max count (5)", 400, LIMIT),
        (lambda: TooLargeError("why"), "why", 413, LIMIT),
        (RateLimitedError, "Rate limit exceeded", 429, LIMIT),
        (lambda: ForbiddenError.to("read", "", "k"), 'Not permitted: read "k"', 403, SAID),
        (
            lambda: ForbiddenError.to("write", "n", "k"),
            'Not permitted: write "k" in "n"',
            403,
            SAID,
        ),
        (ForbiddenError.to_see_events, "Not permitted: read events", 403, SAID),
        (
            lambda: ForbiddenError.to_channel("read", "c"),
            'Not permitted: read channel "c"',
            403,
            SAID,
        ),
        (
            lambda: ForbiddenError.reserved_channel("stats"),
            'Channel is reserved: "stats"',
            403,
            SAID,
        ),
        (
            ForbiddenError.needs_admin,
            "Not permitted: this needs the right admin",
            403,
            SAID,
        ),
        (lambda: ConflictError("k", 7), 'Revision conflict: "k" is at 7', 409, SAID),
        (
            lambda: StorageFailedError("full"),
            "Storage error: full; nothing was stored",
            507,
            LIMIT,
        ),
    ],
)
def test_an_error_has_its_text_and_its_status(
    make: Callable[[], ClientError], text: str, status: int, kind: tuple[bool, bool]
) -> None:
    error = make()
    assert error.text == str(error) == text
    assert error.status == status
    assert (error.is_named, error.is_limit) == kind


def test_an_error_names_its_place_in_the_request() -> None:
    error = LimitError("why")
    assert error.within("here: ") is error
    assert error.text == "here: why"
