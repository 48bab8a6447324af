"""Whether pages opened from disk are let in: a person's decision, remembered beside the values.

A browser gives such a page the origin ``null``, and gives the same to a sandboxed frame on any web
site; so they are refused until somebody says otherwise, by ``--allow-origin null`` or by the
button on the test page. Some browsers' WebSockets and many libraries of devices say ``file://``,
which no web site's page can: the button counts for it too, and it can be let in by its own name
without the frames. The button's answer is kept in ``pages.json`` in the server's own folder
beside the values, and can be taken back there; without a folder for values it lasts until the
server stops.
"""

import logging
from pathlib import Path

import orjson

from dunena.plain_files import read_plain

NULL_ORIGIN = "null"
"""What a browser sends for a page opened from disk (HTML standard, opaque origins)."""

FILE_ORIGIN = "file://"
"""What is sent for one elsewhere (RFC 6454, 4, leaves it open); Arduino's libraries by default."""

DISK_ORIGINS = frozenset({NULL_ORIGIN, FILE_ORIGIN})

FILE_NAME = "pages.json"

_RECORD_BYTES_MAX = 65_536  # it has some thirty

_FIELD = "letPagesFromDiskIn"

_log = logging.getLogger(__name__)


class NullOriginPolicy:
    """The decision of one server; ``folder`` is where it is kept, None for nowhere.

    ``always`` says that the command line lets them in, which no button takes back.
    """

    def __init__(self, folder: Path | None, *, always: bool = False) -> None:
        self._file = None if folder is None else folder / FILE_NAME
        self.always = always
        self._is_chosen = False

    def load(self) -> None:
        """Recall what was decided; whatever cannot be read lets nobody in."""
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
        """Whether they are at present."""
        return self.always or self._is_chosen

    @property
    def is_remembered(self) -> bool:
        """Whether a decision outlives the server."""
        return self._file is not None

    @property
    def shown_file(self) -> str | None:
        """Where it is kept, below the folder for the values; None for nowhere."""
        return None if self._file is None else f"{self._file.parent.name}/{self._file.name}"

    def choose(self, *, let_in: bool) -> None:
        """Decide, from now on; raise OSError, with nothing changed, if it cannot be kept."""
        if self._file is not None:
            # Replaced whole, so that a reader finds the old or the new. Not forced to the device:
            # what a power cut leaves behind counts as a refusal when it cannot be read.
            draft = self._file.with_suffix(".tmp")
            draft.write_bytes(orjson.dumps({_FIELD: let_in}))
            draft.replace(self._file)
        self._is_chosen = let_in
        _log.info("pages opened from disk are %s", "let in" if let_in else "refused")
