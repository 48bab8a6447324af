"""The epoch: the name of one unbroken run of revisions."""

import secrets
import string

_CHARACTERS = string.ascii_lowercase + string.digits

_LENGTH = 10
"""So many that two of a million starts share one with a chance of 1 in 7,000."""


def new_epoch() -> str:
    """Make an epoch: lower-case letters and digits, another one for each start."""
    return "".join(secrets.choice(_CHARACTERS) for _ in range(_LENGTH))
