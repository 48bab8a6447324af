"""The folder on disk: a place becomes an open file and the head of a response.

Everything here may wait for a disk and runs in a worker thread. Nothing is remembered between two
requests, so a page that was just saved is the page that is shown.
"""

import errno
import hashlib
import os
import stat
from io import FileIO
from pathlib import Path

from dunena.plain_files import open_plain
from dunena.server.access.refusals import Refusals
from dunena.server.http.message import Prepared, Request, Response
from dunena.server.static.media_types import media_type
from dunena.server.static.ranges import ByteRange, UnsatisfiableError, wanted_range
from dunena.server.static.request_path import RequestPath, is_plain_name

PIECE_BYTES = 256 * 1024
"""Read and handed to the transport in one go: a small part of what may wait for a slow reader. A
file up to this size is known by its contents, a larger one by its date and size."""

_OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})


class FileCutShortError(OSError):
    """The file has become shorter than the response that was begun promised."""


class _LedOutError(ValueError):
    """A link leads out of the folder."""


class FileRest:
    """What is left to send of an open file; one thread at a time."""

    __slots__ = ("_file", "_left")

    def __init__(self, file: FileIO, left: int) -> None:
        self._file = file
        self._left = left

    @property
    def is_empty(self) -> bool:
        """Whether all of it was read."""
        return self._left == 0

    def read(self) -> bytes:
        """The next piece; raise `OSError` when it cannot be had."""
        piece = self._file.read(min(PIECE_BYTES, self._left))
        if not piece:
            raise FileCutShortError(f"{self._file.name} has {self._left} bytes less than before")
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class WwwFolder:
    """One folder of pages."""

    def __init__(self, root: Path, refusals: Refusals) -> None:
        self._root = root
        self._refusals = refusals

    def prepare(self, request: Request, place: RequestPath) -> Prepared:
        """The answer to GET or HEAD of a place; never raises for what is or is not on disk."""
        try:
            return self._prepare(request, place)
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
            return Prepared(Response.error(404, "Not found"))
        except _LedOutError:
            self._refusals.tell_file(
                request.path,
                "is a link out of the folder of pages, and is not followed",
                "to serve it: put the file itself there",
            )
            return Prepared(Response.error(404, "Not found"))
        except ValueError:  # a name that this system has no encoding for, or that is hidden
            return Prepared(Response.error(404, "Not found"))

    def _prepare(self, request: Request, place: RequestPath) -> Prepared:
        path = self._real_path(place.file_names)
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode) and not place.is_folder:
            return Prepared(request.with_slash)
        # Links were followed above, and what is no file is refused: a pipe would wait for its end.
        file = FileIO(path, opener=lambda name, _flags: open_plain(name, follow=False)[0])
        try:
            prepared = _respond(request, file, media_type(place.file_names[-1]))
        except BaseException:
            file.close()
            raise
        if prepared.rest is None:
            file.close()
        return prepared

    def _real_path(self, names: tuple[str, ...]) -> Path:
        """Where the names lead; raise `ValueError` if that is hidden or outside the folder.

        Looked at after all links were followed: a link may lead about inside, and on Windows a
        second, short name of a hidden file (`ENV~1`) shows its real one only here.
        """
        # Not Path.resolve: it answers a loop of links with a RuntimeError before Python 3.13.
        root = os.path.realpath(self._root, strict=True)
        path = Path(os.path.realpath(Path(root, *names), strict=True))
        if not path.is_relative_to(root):
            raise _LedOutError(path)
        if not all(map(is_plain_name, path.relative_to(root).parts)):
            raise ValueError(f"{path} is not to be shown")
        return path


def _respond(request: Request, file: FileIO, content_type: str) -> Prepared:
    status = os.fstat(file.fileno())
    whole = _read_whole(file) if status.st_size <= PIECE_BYTES else None
    size = status.st_size if whole is None else len(whole)
    etag = _etag(whole) if whole is not None else f'"{status.st_mtime_ns:x}-{size:x}"'
    headers = {"Cache-Control": "no-cache", "ETag": etag, "Accept-Ranges": "bytes"}
    if request.knows(etag):
        return Prepared(Response(304, headers=headers))
    code, part = 200, ByteRange(0, size)
    wanted = request.headers.get("range")
    # RFC 9110, 13.1.5: of a file that has changed since, the whole is sent.
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
    if whole is not None:
        return Prepared(Response(code, whole[part.first : part.end], content_type, headers))
    response = Response(code, b"", content_type, headers, length=len(part))
    if request.method == "HEAD":
        return Prepared(response)
    file.seek(part.first)
    rest = FileRest(file, len(part))
    response.body = rest.read()
    return Prepared(response, None if rest.is_empty else rest)


def _read_whole(file: FileIO) -> bytes | None:
    """The contents of a small file; None if it has grown large meanwhile."""
    pieces, size = [], 0
    while piece := file.read(PIECE_BYTES + 1 - size):
        pieces.append(piece)
        size += len(piece)
        if size > PIECE_BYTES:
            return None
    return b"".join(pieces)


def _etag(contents: bytes) -> str:
    return f'"{hashlib.blake2b(contents, digest_size=16).hexdigest()}"'
