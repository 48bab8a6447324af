"""The names of keys, notes and nodes as subjects of NATS, and back; no I/O.

``$KV.<bucket>.<ns>.<key>`` is a key: bytes of UTF-8 outside ``A-Z a-z 0-9 _ / -`` are ``=XX``, and
what is empty is ``=``. The letters of `nats kv` are a few more, and ``.`` would be another token.
Subjects with one token after the bucket are the log's own: ``=node-<id>`` is a node, ``=clear`` the
last CLEAR, ``=epoch`` the mark of an epoch, ``=note-<name>`` a note. No key can be taken for one of
them, as it has two tokens.
"""

import re
from typing import Final

from dunena.store.entry import EntryId
from dunena.store.names import is_name

SUBJECT_BYTES_MAX: Final = 3500
"""Of a key or a note. A server closes a connection that sends a line of 4,096 bytes, which has the
subject, an API prefix and the subject for the answer in it.
"""

_NODE: Final = "=node-"
_NOTE: Final = "=note-"
_PLAIN = re.compile(r"[A-Za-z0-9_/-]+")
_TOKEN = re.compile(r"(?:[A-Za-z0-9_/-]|=[0-9A-F]{2})+")
_TO_ENCODE = re.compile(rb"[^A-Za-z0-9_/-]")
_ENCODED: Final = {
    f"{byte:02X}": chr(byte) for byte in range(256) if not _PLAIN.fullmatch(chr(byte))
}

_KNOWN_MAX: Final = 8192
"""Of the keys whose names are kept ready: those that change often are among them."""


def encode_token(text: str) -> str:
    """Return a text as one token of a subject."""
    if _PLAIN.fullmatch(text):
        return text
    if not text:
        return "="
    encoded = _TO_ENCODE.sub(lambda match: b"=%02X" % match[0][0], text.encode())
    return encoded.decode("ascii")


def decode_token(token: str) -> str | None:
    """Return the text of a token; None if `encode_token` never makes it."""
    if "=" not in token:
        return token if _PLAIN.fullmatch(token) else None
    if token == "=":
        return ""
    if not _TOKEN.fullmatch(token):
        return None
    first, *rest = token.split("=")
    parts = [first]
    is_ascii = True
    for part in rest:
        code = part[:2]
        byte = _ENCODED.get(code)
        if byte is None:
            return None
        is_ascii = is_ascii and byte < "\x80"
        parts.append(byte)
        parts.append(part[2:])
    text = "".join(parts)
    if is_ascii:
        return text
    try:
        return text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return None


class SubjectNames:
    """The subjects of one bucket."""

    __slots__ = (
        "_known", "_writing", "all", "channels", "clear", "epoch", "flow", "keys", "node_prefix",
        "note_prefix", "prefix",
    )  # fmt: skip

    def __init__(self, bucket: str, domain: str | None = None) -> None:
        self.prefix = f"$KV.{bucket}."
        self.all = f"{self.prefix}>"
        self.keys = f"{self.prefix}*.>"  # at least two tokens
        self.clear = f"{self.prefix}=clear"
        self.epoch = f"{self.prefix}=epoch"
        self.node_prefix = f"{self.prefix}{_NODE}"
        self.note_prefix = f"{self.prefix}{_NOTE}"
        self.flow = f"dn.{bucket}.log.>"
        self.channels = f"dn.{bucket}.ch."
        self._known: dict[str, EntryId] = {}
        self._writing = f"$JS.{domain}.API." if domain else ""

    def written_to(self, subject: str) -> str:
        """Return what to publish to so that a message is stored under ``subject``."""
        return self._writing + subject

    def subject_of_key(self, ns: str, key: str) -> str:
        """Return the subject of a key."""
        return f"{self.prefix}{encode_token(ns)}.{encode_token(key)}"

    def subject_of_note(self, name: str) -> str:
        """Return the subject of a note."""
        return self.note_prefix + encode_token(name)

    def subject_of_node(self, node: str) -> str:
        """Return the subject of a node's markers."""
        return self.node_prefix + encode_token(node)

    def subject_of_channel(self, channel: str) -> str:
        """Return the subject of a channel, which is stored nowhere."""
        return self.channels + encode_token(channel)

    def key_of(self, subject: str) -> EntryId | None:
        """Return namespace and key; None if the subject is not that of a key that can be."""
        known = self._known.get(subject)
        if known is not None:
            return known
        ns, dot, key = subject[len(self.prefix) :].partition(".")
        if not dot:
            return None
        ns_text = decode_token(ns)
        key_text = decode_token(key)
        if ns_text is None or key_text is None:
            return None
        if not is_name(key_text) or (ns_text and not is_name(ns_text)):
            return None  # nobody could read it, or remove it
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        known = self._known[subject] = (ns_text, key_text)
        return known

    def note_of(self, subject: str) -> str | None:
        """Return the name of a note; None if the subject is not that of a note."""
        if not subject.startswith(self.note_prefix):
            return None
        return decode_token(subject[len(self.note_prefix) :])

    def node_of(self, subject: str) -> str | None:
        """Return the id of a node; None if the subject is not that of a node."""
        if not subject.startswith(self.node_prefix):
            return None
        return decode_token(subject[len(self.node_prefix) :])
