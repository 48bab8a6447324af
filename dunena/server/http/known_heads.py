"""The header blocks that clients have sent before, so that none is parsed again; no I/O.

Theory of operation. A client sends the same header lines with each request of a connection, and the
same program does so on all of its connections. What httptools made of a block is therefore kept
(`KnownHead`), with the block as it was sent: everything between the request line and the body,
without the digits of a Content-Length. A later request whose block is the same byte by byte is read
without httptools (`KnownHeads.find`).

What keeps the two ways from ever differing about where a request ends: a block is kept only when
httptools took a whole request out of exactly the bytes that this module would take, in HTTP/1.1,
kept alive, with nothing in it that decides how to go on (`_is_plain`). And only request lines of
one strict form are read here. Everything else goes to httptools.
"""

from typing import Final

from dunena.server.http.admitted_head import AdmittedHead

HEADS_MAX: Final = 512
"""Blocks that are kept, and so at most some two megabytes."""

BLOCK_BYTES_MAX: Final = 1024
"""Size up to which a block is kept; those of browsers have about 700 bytes."""

LINE_BYTES_MAX: Final = 4096
"""Size up to which a request line is read here."""

_LENGTH_DIGITS_MAX: Final = 7  # of a body that is read here; a larger one costs more than its head
_VERSION: Final = b" HTTP/1.1"
_VERSION_BYTES: Final = 9

_METHODS: Final[dict[bytes, str]] = {
    name.encode(): name for name in ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
}

_DECIDING: Final = frozenset(
    ("expect", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)
"""Headers that may change how a connection goes on, besides Connection itself."""

_CONDITIONS: Final = frozenset(("if-match", "if-none-match", "idempotency-key"))


class KnownHead:
    """What a header block means: ``headers`` are shared by all requests and never changed.

    ``has_length``: it has a Content-Length, which is not among the headers. ``is_simple``: nothing
    in it changes how a value is read or written (a condition, an idempotency key, a type of the
    body that is not read as JSON). ``admitted`` is the last decision to admit it, if any.
    """

    __slots__ = ("admitted", "has_length", "headers", "is_simple")

    def __init__(self, headers: dict[str, str], *, has_length: bool) -> None:
        self.headers = headers
        self.has_length = has_length
        self.is_simple = _is_simple(headers)
        self.admitted: AdmittedHead | None = None


class FoundRequest:
    """A request that was read here; ``end`` is where the next one begins."""

    __slots__ = ("body_at", "end", "head", "method", "target")

    def __init__(self, head: KnownHead, method: str, target: str, body_at: int, end: int) -> None:
        self.head = head
        self.method = method
        self.target = target
        self.body_at = body_at
        self.end = end


class KnownHeads:
    """The header blocks of one server, the oldest of which goes when there are too many."""

    __slots__ = ("_heads",)

    def __init__(self) -> None:
        self._heads: dict[bytes, KnownHead] = {}

    def __len__(self) -> int:
        """Return the number of blocks."""
        return len(self._heads)

    def find(self, data: bytes, start: int) -> FoundRequest | None:
        """Return the request that begins at ``start``; None if httptools has to read it.

        It is whole: its body ends before ``data`` does, or with it.
        """
        line_end = data.find(b"\r\n", start)
        if line_end < 0 or line_end - start > LINE_BYTES_MAX:
            return None
        heads = self._heads
        body_at = end = len(data)
        head: KnownHead | None = None
        if end - line_end <= BLOCK_BYTES_MAX:
            head = heads.get(data[line_end:])  # most requests have no body
            if head is not None and head.has_length:
                return None  # there is no digit
        if head is None:
            body_at = data.find(b"\r\n\r\n", line_end) + 4
            if body_at < 4 or body_at - line_end > BLOCK_BYTES_MAX:
                return None
            block = data[line_end:body_at]
            length_at = _length_at(block)
            length_end = block.find(b"\r\n", length_at)
            length = block[length_at:length_end]
            if length_at:
                block = block[:length_at] + block[length_end:]
                if not _is_length(length):
                    return None
            head = heads.get(block)
            if head is None:
                return None
            size = int(length) if length_at else 0
            if size > end - body_at:
                return None
            end = body_at + size
        line = data[start:line_end]
        method_end = line.find(b" ")
        method = _METHODS.get(line[:method_end])
        if method is None or not line.endswith(_VERSION) or not line.isascii():
            return None
        target = line[method_end + 1 : -_VERSION_BYTES].decode("latin-1")
        if not (
            target.startswith("/")
            and target.isprintable()
            and " " not in target
            and "#" not in target
        ):
            return None
        return FoundRequest(head, method, target, body_at, end)

    def remember(self, data: bytes, headers: dict[str, str], body_bytes: int) -> KnownHead | None:
        """Keep the header block of a request that httptools took out of all of ``data``.

        It began with a path and is kept alive in HTTP/1.1. ``headers`` are what httptools made of
        the block, without the Content-Length, and ``body_bytes`` the size of the body. Return what
        is kept; None for a block that is not.
        """
        line_end = data.find(b"\r\n")
        body_at = data.find(b"\r\n\r\n", line_end) + 4
        block = data[line_end:body_at]
        if line_end < 0 or body_at + body_bytes != len(data) or not _is_plain(block, headers):
            return None
        length_at = _length_at(block)
        if block.lower().count(b"content-length") != (1 if length_at else 0):
            return None
        if length_at:
            length_end = block.find(b"\r\n", length_at)
            length = block[length_at:length_end]
            if not _is_length(length) or int(length) != body_bytes:
                return None
            block = block[:length_at] + block[length_end:]
        elif body_bytes:
            return None
        heads = self._heads
        head = heads.get(block)
        if head is None:
            if len(heads) >= HEADS_MAX:
                del heads[next(iter(heads))]
            head = heads[block] = KnownHead(headers, has_length=length_at > 0)
        return head


def _length_at(block: bytes) -> int:
    """Return where the digits of the Content-Length begin, as nearly all clients write it; or 0."""
    at = block.find(b"\r\nContent-Length: ")
    if at < 0:
        at = block.find(b"\r\ncontent-length: ")
    return at + 18 if at >= 0 else 0


def _is_length(text: bytes) -> bool:
    """Return whether the value of a Content-Length is one that is read here."""
    return (
        text.isdigit()
        and len(text) <= _LENGTH_DIGITS_MAX
        and (len(text) == 1 or not text.startswith(b"0"))
    )


def _is_plain(block: bytes, headers: dict[str, str]) -> bool:
    """Return whether a block is small, has well-formed lines and nothing that decides more."""
    if len(block) > BLOCK_BYTES_MAX:
        return False
    lines = block.count(b"\r\n")
    if block.count(b"\r") != lines or block.count(b"\n") != lines:
        return False
    if b"\r\n " in block or b"\r\n\t" in block or b"\0" in block:
        return False  # a line that continues the one before
    if headers.get("connection", "keep-alive").lower() != "keep-alive":
        return False
    return _DECIDING.isdisjoint(headers)


def _is_simple(headers: dict[str, str]) -> bool:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type != "text/plain" and _CONDITIONS.isdisjoint(headers)
