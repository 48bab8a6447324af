"""The server's certificate, which is loaded again when its files change."""

import logging
import ssl
from pathlib import Path

from dunena.plain_files import require_plain
from dunena.server.limits import CERTIFICATE_BYTES_MAX
from dunena.server.tls_context import make_context

_Signature = tuple[tuple[int, int, int], ...] | None

_log = logging.getLogger(__name__)


class Certificate:
    """A certificate chain and its private key (PEM); ``context`` is the TLS context with them.

    Both are plain files or links to such, as secrets are in containers.
    Raises OSError (`ssl.SSLError` is one) if the files cannot be used at the start; later, such a
    change is logged and the former certificate stays in use.
    """

    def __init__(self, chain: Path, key: Path | None) -> None:
        self._chain = chain
        self._key = key
        self._seen = self._signature()
        self.context = self._load()

    def reload_if_changed(self) -> None:
        """Load the files if they changed; open connections keep their certificate."""
        seen = self._signature()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            # They are loaded into another context first: while only one of the two files is
            # replaced, loading would leave the context in use without a key.
            self._load()
            self.context.load_cert_chain(self._chain, self._key)
        except OSError as error:
            _log.warning("%s changed and cannot be used, the old one stays: %s", self._chain, error)
        else:
            _log.info("%s is used from now on", self._chain)

    def _load(self) -> ssl.SSLContext:
        for file in (self._chain, self._key):
            if file is not None:  # OpenSSL would block on a pipe, and read a device for ever
                require_plain(str(file), CERTIFICATE_BYTES_MAX)
        context = make_context()
        context.load_cert_chain(self._chain, self._key)
        return context

    def _signature(self) -> _Signature:
        """Return what changes when a file does: time, size and inode; None if one is missing."""
        try:
            found = [file.stat() for file in (self._chain, self._key) if file is not None]
        except OSError:
            return None
        return tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in found)
