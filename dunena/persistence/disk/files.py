"""Converting keys to file names and back; pure functions.

Rules (the contract, "On disk"): letters, digits, ``-_.~@+=,()[]{}!'& `` and the space stand for
themselves; every other byte of the name's UTF-8 is ``%XX``. Also escaped are a leading dot (it
would hide the file), a trailing dot or space (Windows drops them), the first letter of a Windows
device name (``con.json`` is the console there) and, if the file system folds case, upper-case
letters and ``~``: so ``Foo`` and ``foo`` have different files, as have ``longna~1`` and a longer
name for which Windows makes this short name. The last dot of a namespace that ends like a value's
file is escaped, so that no folder has the name of a value's file.

A file name has at most 255 bytes. A longer one is cut and ends with ``%~`` and a hash of the whole
name. No escaped name contains ``%~``. The full name is looked up in a record, so that a file of
another program is not taken for a shortened name by chance.
"""

import hashlib
import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from dunena.store.names import is_name
from dunena.windows_names import PLAIN_DEVICES

SUFFIX = ".json"
TEXT_SUFFIX = ".txt"
FILE_NAME_BYTES_MAX = 255
"""NAME_MAX of the usual Linux file systems; APFS and NTFS permit as many characters."""

_SAFE = frozenset(
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~@+=,()[]{}!'& "
)
_AMBIGUOUS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ~")
"""Characters that may make two names equal if the file system folds case."""
SHORTENED = "%~"
"""Separator before the hash in a shortened name."""
SHORTENED_DIGITS = 32
"""Digits of the hash: with 128 bits two names of one store do not collide."""

_SHORTENED = re.compile(SHORTENED + r"([0-9a-f]{32})$")
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_PLAIN_BYTES_MAX = FILE_NAME_BYTES_MAX - len(SUFFIX)
_WHOLE_ESCAPES = re.compile(rb"(?:%[0-9A-F]{2}|[^%])*")


class FileName(NamedTuple):
    """The name of a file or folder.

    ``record`` is the hash under which the full name must be recorded; None for a complete name.
    """

    text: str
    record: str | None


def key_file_name(key: str, *, folds_case: bool) -> FileName:
    """Return the name of a key's file."""
    return _file_name(key, SUFFIX, folds_case=folds_case)


def namespace_folder_name(ns: str, *, folds_case: bool) -> FileName:
    """Return the name of a namespace's folder."""
    return _file_name(ns, "", folds_case=folds_case)


def text_file_name(key: str, member: str | None, *, folds_case: bool) -> str:
    """Return the name of the text file of a key, or of a member of its value.

    The key ``a.b`` and the member ``b`` of the key ``a`` have the same one.
    """
    name = key if member is None else f"{key}.{member}"
    return _file_name(name, TEXT_SUFFIX, folds_case=folds_case).text


def text_folder_name(ns: str, *, folds_case: bool) -> str:
    """Return the name of a namespace's folder of text files, which no text file has."""
    return _file_name(ns, "", folds_case=folds_case, of_files=TEXT_SUFFIX).text


def decode_file_name(text: str) -> str | None:
    """Decode a name without its suffix to a key or namespace; None if it is none or is shortened.

    Every form is accepted: any byte may be escaped or not, and a percent sign that begins no escape
    stands for itself, as in files of other programs. If decoding gives no valid name, the text
    itself is the name: ``a%0Ab`` is that key and not two lines.
    """
    if _SHORTENED.search(text):
        return None
    try:
        # Bytes that could not be decoded are lone surrogates in the text, and fail here.
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
    """Return whether a key's file has this name on a system that folds case or does not."""
    return any(key_file_name(key, folds_case=folds).text == text for folds in (False, True))


def is_value_file_name(text: str) -> bool:
    """Return whether a file's name has the form of a value's file, without decoding it."""
    return text.endswith(SUFFIX) and not text.startswith(".")


def name_hash(name: str) -> str:
    """Return the hash that a shortened name has for the full name."""
    return hashlib.sha256(name.encode()).hexdigest()[:SHORTENED_DIGITS]


def record_of(text: str) -> str | None:
    """Return the hash in a shortened name without its suffix; None for any other name."""
    match = _SHORTENED.search(text)
    return match.group(1) if match else None


def is_plain(name: str, *, folds_case: bool) -> bool:
    """Return whether a name needs no escapes, as most names do.

    Such a file name is also a valid key or namespace, and is the one that this server would write.
    """
    return (
        _PLAIN.fullmatch(name) is not None
        and len(name) <= _PLAIN_BYTES_MAX
        and (lower := name.lower()) not in PLAIN_DEVICES
        and (not folds_case or name == lower)
    )


def _file_name(name: str, suffix: str, *, folds_case: bool, of_files: str = SUFFIX) -> FileName:
    """Return a file's name; for ``suffix`` "" a folder's, which never ends with ``of_files``."""
    if is_plain(name, folds_case=folds_case):
        return FileName(name + suffix, None)
    escaped = _escape(name, folds_case=folds_case, no_ending="" if suffix else of_files)
    if len(escaped) + len(suffix) <= FILE_NAME_BYTES_MAX:
        return FileName(escaped.decode("ascii") + suffix, None)
    digest = name_hash(name)
    ending = f"{SHORTENED}{digest}{suffix}"
    cut = escaped[: FILE_NAME_BYTES_MAX - len(ending)]
    whole = _WHOLE_ESCAPES.match(cut)
    assert whole is not None, "the pattern matches the empty string"
    return FileName(whole.group().decode("ascii") + ending, digest)


def _escape(name: str, *, folds_case: bool, no_ending: str) -> bytes:
    raw = name.encode()
    forms = _FOLDED_FORMS if folds_case else _FORMS
    pieces = [forms[byte] for byte in raw]
    for position in _positions_to_escape(raw, no_ending):
        pieces[position] = _escaped(raw[position])
    return b"".join(pieces)


def _escaped(byte: int) -> bytes:
    return b"%%%02X" % byte


# What each byte of a name becomes, where it stands for itself and where it is ambiguous.
_FORMS = [bytes((byte,)) if byte in _SAFE else _escaped(byte) for byte in range(256)]
_FOLDED_FORMS = [_escaped(byte) if byte in _AMBIGUOUS else form for byte, form in enumerate(_FORMS)]


def _positions_to_escape(raw: bytes, no_ending: str) -> set[int]:
    positions = set()
    if raw.startswith(b"."):
        positions.add(0)
    if raw.endswith((b".", b" ")):
        positions.add(len(raw) - 1)
    # Windows compares the part before the first dot, without spaces at its end.
    stem = raw.split(b".", 1)[0].rstrip(b" ").lower().decode("latin-1")
    if stem in PLAIN_DEVICES:
        positions.add(0)
    if no_ending and raw.lower().endswith(no_ending.encode()):
        positions.add(len(raw) - len(no_ending))
    return positions
