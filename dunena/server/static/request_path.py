"""The rules for paths of files in requests; no I/O."""

from dataclasses import dataclass

from dunena.server.http.message import BadTargetError, decode_component
from dunena.windows_names import is_plain_name

INDEX = "index.html"
"""Name of the file that is served for a folder."""


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
