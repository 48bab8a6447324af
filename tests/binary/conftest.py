"""The executable under test: DUNENA_TEST_EXECUTABLE, else what was built into dist/."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.binary.program import FOLDER_NAME, WINDOWS, Program, open_folder

ROOT = Path(__file__).resolve().parents[2]
IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false", "no")

posix_only = pytest.mark.skipif(WINDOWS, reason="signals and terminals of POSIX")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="about Linux")


@pytest.fixture(scope="session")
def executable() -> Path:
    """The built file. Without one the tests are skipped, but fail under CI."""
    named = os.environ.get("DUNENA_TEST_EXECUTABLE")
    path = Path(named) if named else ROOT / "dist" / _own_name()
    if path.is_file():
        return path.resolve()
    reason = f"there is no {path}; `python build/executable.py` makes it"
    if named or IN_CI:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture
def program(executable: Path) -> Iterator[Program]:
    """A copy of it, alone in a folder with an awkward name."""
    with open_folder() as base:
        place = base / FOLDER_NAME
        place.mkdir()
        yield Program(Path(shutil.copy2(executable, place)), base)


def _own_name() -> str:
    sys.path.insert(0, str(ROOT / "build"))
    try:
        from packkit.choice import host_label
        from releasekit.targets import Target
    finally:
        sys.path.remove(str(ROOT / "build"))
    return Target(host_label(sys.platform, platform.machine()), "").executable
