"""The rules for paths of files in requests; no I/O.

Every system refuses the same names, so that pages that work on one system work on all: a name that
leads up (`..`), is hidden (a leading dot), has a separator or a colon (a drive or a stream of
NTFS), ends in a dot or space (Windows drops them) or is that of a Windows device.
"""

import re
from dataclasses import dataclass

from dunena.server.http.message import BadTargetError, decode_component
from dunena.windows_names import is_device

INDEX = "index.html"
"""Name of the file that is served for a folder."""

_BAD_CHARACTER = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')


@dataclass(frozen=True, slots=True)
class RequestPath:
    """The names of a path from the root down; ``is_folder`` if it ends in a slash."""

    names: tuple[str, ...]
    is_folder: bool

    @property
    def file_names(self) -> tuple[str, ...]:
        """The names of the requested file; for a folder, of its index."""
        return (*self.names, INDEX) if self.is_folder else self.names


def parse_request_path(path: str) -> RequestPath | None:
    """Parse a percent-encoded path below the root; return None if it is refused."""
    *folders, last = path.split("/")
    encoded = [*folders, last] if last else folders
    try:
        names = tuple(decode_component(part) for part in encoded)
    except BadTargetError:
        return None
    if not all(map(is_plain_name, names)):
        return None
    return RequestPath(names, is_folder=not last)


def is_plain_name(name: str) -> bool:
    """Return whether files and folders of this name may be served."""
    return (
        bool(name)
        and not name.startswith(".")
        and not name.endswith((".", " "))
        and _BAD_CHARACTER.search(name) is None
        and not is_device(name)
    )
