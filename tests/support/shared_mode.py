"""The suites with every server on a store that several servers share: ``DUNENA_TEST_STORE=nats``.

Where a test asks for a server with a folder it gets one with a bucket of its own, named after the
folder, of a NATS server that the tests of a process share. What cannot hold there is listed with
its reason in `tests.support.beyond_shared`; those tests may fail, and one that passes is reported.
"""

import atexit
import hashlib
import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.nats_server import NatsServer

VARIABLE = "DUNENA_TEST_STORE"

SUITES = ("tests/protocol", "tests/client", "tests/conformance")
"""The folders whose tests hold for any store, but for those in the list."""


def is_shared() -> bool:
    """Return whether servers of tests are to use a shared store."""
    return os.environ.get(VARIABLE) == "nats"


def store_words(folder: Path) -> list[str]:
    """Return the options of `serve` that take the place of a folder."""
    digest = hashlib.blake2b(str(folder).encode(), digest_size=8).hexdigest()
    return ["--store", nats_url(), "--bucket", f"test-{digest}"]


@cache
def nats_url() -> str:
    """Start the NATS server of this process, once; return its URL."""
    folder = TemporaryDirectory(prefix="dunena-nats-")
    server = NatsServer(Path(folder.name))
    server.start()
    atexit.register(folder.cleanup)
    atexit.register(server.kill)
    return server.url
