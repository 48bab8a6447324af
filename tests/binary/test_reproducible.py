"""Two builds of the same sources are identical."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.binary.conftest import ROOT

COPIED = "DUNENA_TEST_EXECUTABLE names a file that was built elsewhere"
BUILD = (sys.executable, "build/executable.py")


@pytest.mark.timeout(600)
@pytest.mark.skipif("DUNENA_TEST_EXECUTABLE" in os.environ, reason=COPIED)
def test_two_builds_are_identical(tmp_path: Path):
    builds = [tmp_path / "first", tmp_path / "and a second"]
    running = [
        subprocess.Popen(
            [*BUILD, "--output", str(folder / "made"), "--work", str(folder / "work")],
            cwd=ROOT,
            # Each of the two makes this one up for itself, and it must not matter.
            env={**os.environ, "PYTHONHASHSEED": str(number)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number, folder in enumerate(builds)
    ]
    for process in running:
        output, _ = process.communicate()
        assert process.returncode == 0, output
    one, other = (digests(folder / "made") for folder in builds)
    assert len(one) == 3
    assert one == other


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
