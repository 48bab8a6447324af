"""Serving the user's folder of pages from disk.

These functions may block on a disk and run in a worker thread. Nothing is cached between requests,
so that a page is shown as it was last saved.
"""

import errno
import hashlib
import os
import stat
from contextlib import suppress
from io import FileIO
from pathlib import Path

from dunena.plain_files import open_plain
from dunena.server.access.refusals import Refusals
from dunena.server.http.message import Prepared, Request, Response
from dunena.server.static.media_types import media_type
from dunena.server.static.page_list import list_pages, say_missing, wants_page
from dunena.server.static.ranges import ByteRange, UnsatisfiableError, wanted_range
from dunena.server.static.request_path import RequestPath
from dunena.windows_names import is_plain_name

PIECE_BYTES = 256 * 1024
"""Bytes of a file that are read and handed to the transport at once: a small part of what may wait
for a slow reader. The ETag of a file up to this size is made of its content, that of a larger one
of its date and size."""

_NOT_FOUND = 404
_OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})


class FileCutShortError(OSError):
    """The file became shorter than the Content-Length that was sent."""


class _LedOutError(ValueError):
    """A link leads to a path outside the folder."""


class FileRest:
    """The unsent rest of an open file, ``left`` bytes; for one thread at a time."""

    __slots__ = ("_file", "_left")

    def __init__(self, file: FileIO, left: int) -> None:
        self._file = file
        self._left = left

    @property
    def is_empty(self) -> bool:
        """Whether all of the file was read."""
        return self._left == 0

    def read(self) -> bytes:
        """Return the next piece; raise `OSError` if it cannot be read."""
        piece = self._file.read(min(PIECE_BYTES, self._left))
        if not piece:
            raise FileCutShortError(f"{self._file.name} has {self._left} bytes less than before")
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class WwwFolder:
    """Answers requests for files of one folder of pages.

    ``root`` is the folder; None until there is one.
    """

    def __init__(self, root: Path | None, refusals: Refusals) -> None:
        self.root = root
        self._refusals = refusals

    def prepare(self, request: Request, request_path: RequestPath) -> Prepared:
        """Answer GET or HEAD of a path; every problem with the file becomes an error response.

        A browser gets the error as a page, and the list of pages for a folder without an index.
        """
        prepared = self._find(request, request_path)
        if prepared.response.status != _NOT_FOUND or not wants_page(request):
            return prepared
        if not request_path.names and self.root is not None:
            with suppress(OSError):  # the folder itself is missing, or may not be read
                return Prepared(list_pages(request, self.root))
        return Prepared(self.missing(request))

    def missing(self, request: Request) -> Response:
        """Answer that there is no such file: a browser with a page."""
        if wants_page(request):
            return say_missing(request, self.root)
        return Response.error(_NOT_FOUND, "Not found")

    def _find(self, request: Request, request_path: RequestPath) -> Prepared:
        try:
            return self._prepare(request, request_path)
        except PermissionError:
            self._refusals.tell_file(
                request.path,
                "may not be read by the user that the server runs as",
                "to serve it: let that user read the file and enter its folders",
            )
            return Prepared(Response.error(403, "Forbidden"))
        except OSError as error:
            if error.errno in _OUT_OF_DESCRIPTORS:
                return Prepared(Response.error(503, "Too many open files"))
            return Prepared(Response.error(_NOT_FOUND, "Not found"))
        except _LedOutError:
            self._refusals.tell_file(
                request.path,
                "is a link out of the folder of pages, and is not followed",
                "to serve it: put the file itself there",
            )
            return Prepared(Response.error(_NOT_FOUND, "Not found"))
        except ValueError:  # the system cannot encode the name, or the file is hidden
            return Prepared(Response.error(_NOT_FOUND, "Not found"))

    def _prepare(self, request: Request, request_path: RequestPath) -> Prepared:
        path = self._real_path(request_path.file_names)
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode) and not request_path.is_folder:
            return Prepared(request.with_slash)
        # Links were followed above. Anything but a plain file is refused: a pipe would block.
        file = FileIO(path, opener=lambda name, _flags: open_plain(name, follow=False)[0])
        try:
            prepared = _respond(request, file, media_type(request_path.file_names[-1]))
        except BaseException:
            file.close()
            raise
        if prepared.rest is None:
            file.close()
        return prepared

    def _real_path(self, names: tuple[str, ...]) -> Path:
        """Resolve names to a path; raise `ValueError` if it is hidden or outside the folder.

        The check follows all links: a link may lead to another path inside the folder, and on
        Windows the short name of a hidden file (`ENV~1`) is only then replaced by the real one.
        """
        # Not Path.resolve: it answers a loop of links with a RuntimeError before Python 3.13.
        if self.root is None:
            raise FileNotFoundError(errno.ENOENT, "there is no folder of pages")
        root = os.path.realpath(self.root, strict=True)
        path = Path(os.path.realpath(Path(root, *names), strict=True))
        if not path.is_relative_to(root):
            raise _LedOutError(path)
        if not all(map(is_plain_name, path.relative_to(root).parts)):
            raise ValueError(f"{path} is not to be shown")
        return path


def _respond(request: Request, file: FileIO, content_type: str) -> Prepared:
    status = os.fstat(file.fileno())
    content = _read_whole(file) if status.st_size <= PIECE_BYTES else None
    size = status.st_size if content is None else len(content)
    etag = _etag(content) if content is not None else f'"{status.st_mtime_ns:x}-{size:x}"'
    headers = {"Cache-Control": "no-cache", "ETag": etag, "Accept-Ranges": "bytes"}
    if request.knows(etag):
        return Prepared(Response(304, headers=headers))
    code, part = 200, ByteRange(0, size)
    wanted = request.headers.get("range")
    # RFC 9110, 13.1.5: of a file that has changed since, the whole file is sent.
    if wanted and request.method == "GET" and request.headers.get("if-range", etag) == etag:
        try:
            found = wanted_range(wanted, size)
        except UnsatisfiableError:
            refusal = Response.error(416, "Range not satisfiable")
            refusal.headers = headers | {"Content-Range": f"bytes */{size}"}
            return Prepared(refusal)
        if found is not None:
            code, part = 206, found
            headers["Content-Range"] = f"bytes {part.first}-{part.end - 1}/{size}"
    if content is not None:
        return Prepared(Response(code, content[part.first : part.end], content_type, headers))
    response = Response(code, b"", content_type, headers, length=len(part))
    if request.method == "HEAD":
        return Prepared(response)
    file.seek(part.first)
    rest = FileRest(file, len(part))
    response.body = rest.read()
    return Prepared(response, None if rest.is_empty else rest)


def _read_whole(file: FileIO) -> bytes | None:
    """Return the content of a small file; None if it has become large meanwhile."""
    pieces, size = [], 0
    while piece := file.read(PIECE_BYTES + 1 - size):
        pieces.append(piece)
        size += len(piece)
        if size > PIECE_BYTES:
            return None
    return b"".join(pieces)


def _etag(contents: bytes) -> str:
    return f'"{hashlib.blake2b(contents, digest_size=16).hexdigest()}"'
