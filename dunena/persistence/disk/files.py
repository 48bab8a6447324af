"""Key to file name and back; pure functions.

The rules (the contract, "On disk"). Letters, digits and ``-_.~@+=,()[]{}!'& `` and the space stand
for themselves; every other byte of the name's UTF-8 is ``%XX``. So also: a leading dot (it would
hide the file), a trailing dot or space (Windows drops them), the first letter of a Windows device
name (``con.json`` is the console there), and where the file system folds case, upper-case letters
and ``~``: ``Foo`` and ``foo`` do not share a file, nor ``longna~1`` and a longer name, which on
Windows may have that one as well. A namespace that ends like a value's file has
its last dot escaped, so that no folder stands where a file belongs.

A file name is 255 bytes at most. A longer one is cut and ended by ``%~`` and a hash of the whole
name; no escaped name contains ``%~``, and no name that is not ours is read as one by chance, since
the full name is looked up in a record.
"""

import hashlib
import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from dunena.store.names import is_name
from dunena.windows_names import PLAIN_DEVICES

SUFFIX = ".json"
FILE_NAME_BYTES_MAX = 255
"""NAME_MAX of the usual Linux file systems; APFS and NTFS allow as many characters."""

_SAFE = frozenset(
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~@+=,()[]{}!'& "
)
_AMBIGUOUS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ~")
"""What may be another name's where the file system folds case."""
SHORTENED = "%~"
"""Before the hash in a shortened name."""
SHORTENED_DIGITS = 32
"""Of the hash; 128 bits: two names of one store do not meet."""

_SHORTENED = re.compile(SHORTENED + r"([0-9a-f]{32})$")
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_PLAIN_BYTES_MAX = FILE_NAME_BYTES_MAX - len(SUFFIX)
_WHOLE_ESCAPES = re.compile(rb"(?:%[0-9A-F]{2}|[^%])*")


class FileName(NamedTuple):
    """A name as the file system sees it.

    ``record`` is the hash under which the full name must be kept, or None for a name that says
    all by itself.
    """

    text: str
    record: str | None


def key_file_name(key: str, *, folds_case: bool) -> FileName:
    """The name of a key's file."""
    return _file_name(key, SUFFIX, folds_case=folds_case)


def namespace_folder_name(ns: str, *, folds_case: bool) -> FileName:
    """The name of a namespace's folder."""
    return _file_name(ns, "", folds_case=folds_case)


def decode_file_name(text: str) -> str | None:
    """The key or namespace of a name without its suffix; None if it is none or needs a record.

    Reads every form: any byte may be escaped or not, and a percent sign that starts no escape
    stands for itself, as in files that other programs made. So does what would be an escape, where
    its reading is no name at all: ``a%0Ab`` is that key and not two lines.
    """
    if _SHORTENED.search(text):
        return None
    try:
        # Characters a file system could not decode arrive as lone surrogates and fail here.
        raw = unquote_to_bytes(text)
    except UnicodeEncodeError:
        return None
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        name = ""
    if is_name(name):
        return name
    return text if is_name(text) else None


def is_given_name(text: str, key: str) -> bool:
    """Whether a key's file has this name on some system, here or elsewhere."""
    return any(key_file_name(key, folds_case=folds).text == text for folds in (False, True))


def is_value_file_name(text: str) -> bool:
    """Whether a file's name is one of a value's file; which key it is for is another question."""
    return text.endswith(SUFFIX) and not text.startswith(".")


def name_hash(name: str) -> str:
    """What stands for a name that is too long."""
    return hashlib.sha256(name.encode()).hexdigest()[:SHORTENED_DIGITS]


def record_of(text: str) -> str | None:
    """The hash in a shortened name without its suffix; None for any other."""
    match = _SHORTENED.search(text)
    return match.group(1) if match else None


def is_plain(name: str, *, folds_case: bool) -> bool:
    """Whether a name stands for itself in a file's name, letter by letter; most do.

    Of such a name nothing else need be asked: it is a key's or a namespace's, and the file's name
    is the one that this server would give.
    """
    return (
        _PLAIN.fullmatch(name) is not None
        and len(name) <= _PLAIN_BYTES_MAX
        and (lower := name.lower()) not in PLAIN_DEVICES
        and (not folds_case or name == lower)
    )


def _file_name(name: str, suffix: str, *, folds_case: bool) -> FileName:
    if is_plain(name, folds_case=folds_case):
        return FileName(name + suffix, None)
    escaped = _escape(name, folds_case=folds_case, is_folder=not suffix)
    if len(escaped) + len(suffix) <= FILE_NAME_BYTES_MAX:
        return FileName(escaped.decode("ascii") + suffix, None)
    digest = name_hash(name)
    ending = f"{SHORTENED}{digest}{suffix}"
    cut = escaped[: FILE_NAME_BYTES_MAX - len(ending)]
    whole = _WHOLE_ESCAPES.match(cut)
    assert whole is not None, "the pattern matches the empty string"
    return FileName(whole.group().decode("ascii") + ending, digest)


def _escape(name: str, *, folds_case: bool, is_folder: bool) -> bytes:
    raw = name.encode()
    escaped_at = _positions_to_escape(raw, is_folder=is_folder)
    pieces = []
    for position, byte in enumerate(raw):
        is_safe = byte in _SAFE and position not in escaped_at
        if is_safe and not (folds_case and byte in _AMBIGUOUS):
            pieces.append(bytes((byte,)))
        else:
            pieces.append(b"%%%02X" % byte)
    return b"".join(pieces)


def _positions_to_escape(raw: bytes, *, is_folder: bool) -> set[int]:
    positions = set()
    if raw.startswith(b"."):
        positions.add(0)
    if raw.endswith((b".", b" ")):
        positions.add(len(raw) - 1)
    # Windows takes the part before the first dot, without spaces at its end.
    stem = raw.split(b".", 1)[0].rstrip(b" ").lower().decode("latin-1")
    if stem in PLAIN_DEVICES:
        positions.add(0)
    if is_folder and raw.lower().endswith(SUFFIX.encode()):
        positions.add(len(raw) - len(SUFFIX))
    return positions
