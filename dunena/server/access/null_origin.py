"""The decision whether pages opened from disk are admitted, stored beside the values.

A browser gives such a page the origin ``null``, the same as a sandboxed frame on any web site. So
these pages are refused until a person admits them, by ``--allow-origin null`` or by the button on
the test page. The WebSockets of some browsers and many libraries of devices send ``file://``,
which no page of a web site can: the button admits it too, and ``--allow-origin file://`` admits it
without the frames. The button's decision is stored in ``pages.json`` in the server's own folder
beside the values, and can be revoked there; without a folder for values it lasts until the server
stops.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import orjson

from dunena.plain_files import read_plain

NULL_ORIGIN = "null"
"""The origin that browsers send for a page opened from disk (HTML standard, opaque origins)."""

FILE_ORIGIN = "file://"
"""The origin that other programs send for it (RFC 6454, 4, leaves it open), Arduino's libraries
by default."""

DISK_ORIGINS = frozenset({NULL_ORIGIN, FILE_ORIGIN})

FILE_NAME = "pages.json"

_RECORD_BYTES_MAX = 65_536  # a record has some thirty

_FIELD = "letPagesFromDiskIn"

_log = logging.getLogger(__name__)


class NullOriginPolicy:
    """The decision of one server; ``folder`` is where it is stored, None for nowhere.

    ``always``: the command line admits the pages, which the button cannot revoke.
    """

    def __init__(self, folder: Path | None, *, always: bool = False) -> None:
        self._file = None if folder is None else folder / FILE_NAME
        self.always = always
        self._is_chosen = False
        self._changed: Callable[[], None] = lambda: None

    def on_change(self, changed: Callable[[], None]) -> None:
        """Call ``changed`` after each further decision."""
        self._changed = changed

    def load(self) -> None:
        """Read the stored decision; a file that cannot be read counts as a refusal."""
        if self._file is None:
            return
        try:
            record = orjson.loads(read_plain(str(self._file), _RECORD_BYTES_MAX, follow=False))
            self._is_chosen = isinstance(record, dict) and record.get(_FIELD) is True
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            _log.warning("%s cannot be read, so pages from disk stay out: %s", self._file, error)

    @property
    def are_let_in(self) -> bool:
        """Whether pages opened from disk are admitted at present."""
        return self.always or self._is_chosen

    @property
    def is_remembered(self) -> bool:
        """Whether a decision is stored and so applies after a restart."""
        return self._file is not None

    @property
    def shown_file(self) -> str | None:
        """The path of the stored decision below the folder for the values; None for nowhere."""
        return None if self._file is None else f"{self._file.parent.name}/{self._file.name}"

    def choose(self, *, let_in: bool) -> None:
        """Set the decision; raise OSError and change nothing if it cannot be stored."""
        if self._file is not None:
            # The file is replaced, so that a reader finds the old or the new one. It is not synced:
            # if a power cut leaves it unreadable, it counts as a refusal.
            draft = self._file.with_suffix(".tmp")
            draft.write_bytes(orjson.dumps({_FIELD: let_in}))
            draft.replace(self._file)
        self._is_chosen = let_in
        self._changed()
        _log.info("pages opened from disk are %s", "let in" if let_in else "refused")
