"""The secret in the addresses of GET writes, which a server makes once and keeps.

It is in a file of its own in the server's own folder beside the values, which only its owner may
read: whoever has the secret can write. To get another one, remove the file and start anew.
"""

import logging
import os
import re
import secrets
from pathlib import Path

from dunena.plain_files import read_plain

FILE_NAME = "get-secret"

SECRET_FORM = "16 to 128 letters, digits and -._~, and begins with a letter or digit"
"""What a secret looks like. A shorter one could be guessed: a web page that is open on this machine
may try as often as it likes. Other characters would not stand in an address as they are."""

_is_secret = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{15,127}").fullmatch
_MADE_BYTES = 16
_FILE_BYTES_MAX = 4096
_OWNER_ONLY = 0o600

_log = logging.getLogger(__name__)


def is_get_secret(text: str) -> bool:
    """Return whether a text may be the secret of GET writes."""
    return _is_secret(text) is not None


def make_or_read_secret(folder: Path | None) -> str:
    """Return the secret kept in ``folder``; make and keep one if there is none.

    Without a folder each call makes another one. Raise OSError if it cannot be read or kept.
    """
    if folder is None:
        return secrets.token_hex(_MADE_BYTES)
    file = folder / FILE_NAME
    try:
        kept = read_plain(str(file), _FILE_BYTES_MAX, follow=False).decode("latin-1").strip()
    except FileNotFoundError:
        kept = None
    if kept is not None and is_get_secret(kept):
        return kept
    if kept is not None:
        _log.warning("%s has no secret, so another one was made: addresses have changed", file)
    made = secrets.token_hex(_MADE_BYTES)
    _keep(file, made)
    return made


def _keep(file: Path, secret: str) -> None:
    """Write a file that only its owner can read, from its creation on, and force it to the device:
    after a power cut the addresses must still be right."""
    draft = file.with_suffix(".tmp")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as out:
        out.write(secret.encode() + b"\n")
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)
