"""Which file a request means: the rules for names, without looking at a disk.

What is refused is refused on every system, so that pages that work on one work on all: a name
that climbs (`..`), is hidden (a leading dot), holds a separator or a colon (a drive or a stream of
NTFS), ends in a dot or space (Windows drops them) or names a device of Windows.
"""

import re
from dataclasses import dataclass

from dunena.server.http.message import BadTargetError, decode_component
from dunena.windows_names import is_device

INDEX = "index.html"
"""What a folder is shown as."""

_BAD_CHARACTER = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')


@dataclass(frozen=True, slots=True)
class RequestPath:
    """Names from the root down; ``is_folder`` when the request ended in a slash."""

    names: tuple[str, ...]
    is_folder: bool

    @property
    def file_names(self) -> tuple[str, ...]:
        """The names of the file that is meant."""
        return (*self.names, INDEX) if self.is_folder else self.names


def parse_request_path(path: str) -> RequestPath | None:
    """The place that a percent-encoded path below the root means; None if it can mean none."""
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
    """Whether a file or folder of this name may be shown."""
    return (
        bool(name)
        and not name.startswith(".")
        and not name.endswith((".", " "))
        and _BAD_CHARACTER.search(name) is None
        and not is_device(name)
    )
