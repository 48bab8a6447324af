"""Real NATS servers for the tests of a file: one, or three that replicate each other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nats_cluster import Cluster


@pytest.fixture(scope="module")
def single(nats_server: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One server, which the tests of a file share: each has a bucket of its own."""
    with Cluster(nats_server, tmp_path_factory.mktemp("single")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def three(nats_server: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three servers, likewise; a test that stops some lets them run again."""
    with Cluster(nats_server, tmp_path_factory.mktemp("three"), size=3) as cluster:
        yield cluster
