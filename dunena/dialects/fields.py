"""The fields that a request may have: one that is spelt otherwise must not go unnoticed.

The older messages are the exception: what they do not know is ignored, as it always was.
"""

from collections.abc import Iterable, Sequence

from dunena.dialects.errors import InvalidFieldError

ENVELOPE = ("type", "action", "id")
"""Fields of every message; over HTTP they are ignored."""

NAMESPACE = ("ns",)
"""What messages about no key ignore: a client that keeps to one namespace names it in all of its
messages."""

_NAME_CHARS_MAX = 64  # an error text does not repeat megabytes of the request


def refuse_unknown(names: Iterable[str], known: Sequence[str], ignored: Sequence[str] = ()) -> None:
    """Raise `InvalidFieldError` for a name that is none of the ``known`` ones or of the envelope.

    The error does not offer the ``ignored`` ones, which may be there too. So may what begins with
    ``_``: some programs add such a field so that no cache answers.
    """
    permitted = (*known, *ignored, *ENVELOPE)
    for name in names:
        if name not in permitted and not name.startswith("_"):
            there_are = f"there are {', '.join(known)}" if known else "there are none"
            raise InvalidFieldError(f"Unknown field: {name[:_NAME_CHARS_MAX]} ({there_are})")
