"""The fields that a request may have: one that is spelt otherwise must not go unnoticed.

The older messages are the exception: what they do not know is ignored, as it always was.
"""

from collections.abc import Iterable, Sequence

from dunena.dialects.errors import InvalidFieldError

ENVELOPE = ("type", "action", "id")
"""Fields of every message; over HTTP they are ignored."""

_NAME_CHARS_MAX = 64  # an error text does not repeat megabytes of the request


def refuse_unknown_but_ns(message: Iterable[str], known: Sequence[str]) -> None:
    """Do the same for a message that is about no key, where ``ns`` means nothing.

    A client that keeps to one namespace names it in all of its messages.
    """
    refuse_unknown([name for name in message if name != "ns"], known)


def refuse_unknown(names: Iterable[str], known: Sequence[str]) -> None:
    """Raise `InvalidFieldError` for a name that is none of the ``known`` ones or of the envelope.

    What begins with ``_`` is ignored: some programs add such a field so that no cache answers.
    """
    for name in names:
        if name not in known and name not in ENVELOPE and not name.startswith("_"):
            there_are = f"there are {', '.join(known)}" if known else "there are none"
            raise InvalidFieldError(f"Unknown field: {name[:_NAME_CHARS_MAX]} ({there_are})")
