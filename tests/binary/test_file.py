"""The executable file: its size, where it may be stored, and on which systems it runs."""

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.binary.conftest import ROOT, linux_only, posix_only
from tests.binary.program import SECONDS_MAX, WINDOWS, Program

MEGABYTES_MAX = 15 if WINDOWS else 12
"""What was promised to those who download it."""


def test_the_executable_is_smaller_than_its_limit(executable: Path):
    assert executable.stat().st_size <= MEGABYTES_MAX * 1_000_000


@posix_only
def test_the_executable_runs_through_a_link(program: Program):
    link = program.base / "dunena"
    link.symlink_to(program.path)
    program.path = link
    with program.server() as server:
        assert server.stop() == 0
    program.assert_nothing_left()


@posix_only
def test_a_read_only_executable_runs(program: Program):
    program.path.chmod(0o555)
    assert program.run("version").returncode == 0


def test_the_executable_keeps_values_beside_itself_by_default(program: Program):
    server = program.server()
    server.folder = None
    with server:
        assert str(program.path.parent / ".cache") in "".join(server.output)
        assert (program.path.parent / ".cache").is_dir()


@linux_only
def test_a_noexec_temporary_folder_does_not_matter(program: Program):
    """Programs may not be run from it: a common setting of hardened servers."""
    command = ["mount", "-t", "tmpfs", "-o", "noexec", "tmpfs", str(program.temporary)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        done = program.run("version")
        assert (done.returncode, done.stderr) == (0, "")
    finally:
        subprocess.run(["umount", str(program.temporary)], check=True)


@linux_only
def test_the_documents_explain_the_message_of_a_start_without_room(program: Program):
    command = ["/bin/sh", "-c", 'ulimit -n 4; exec "$0" version', str(program.path)]
    done = subprocess.run(
        command, env=program.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    text = (ROOT / "docs" / "executable.md").read_text(encoding="utf-8")
    assert done.stderr.splitlines()[0] in text


@linux_only
def test_the_executable_needs_no_newer_glibc_than_allowed(
    executable: Path, capsys: pytest.CaptureFixture[str]
):
    newest = os.confstr("CS_GNU_LIBC_VERSION").split()[1]
    command = [sys.executable, "build/release.py", "glibc", str(executable), "--max", newest]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with capsys.disabled():
        print(f"\n{done.stdout}")  # noqa: T201 - the figure is what people want to know


@linux_only
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may chroot")
def test_the_executable_runs_with_only_the_c_library(program: Program):
    root = program.base / "root"
    assert program.run("version").returncode == 0
    unpacked = program.version() / "dunena"
    for path in _c_library(unpacked):
        place = root / path.relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    (root / "tmp").mkdir()
    shutil.copy2(program.path, root / "dunena")
    program.prefix, program.path = ["/usr/sbin/chroot", str(root)], Path("/dunena")
    with program.server(folder=Path("/values"), TMPDIR="/tmp") as server:
        with urllib.request.urlopen(f"{server.url}/info", timeout=SECONDS_MAX) as answer:
            assert answer.status == 200
        assert server.stop() == 0
    assert (root / "values").is_dir()
    assert [path.name for path in (root / "tmp").iterdir()] == [f"dunena-{os.geteuid()}"]


@linux_only
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may chroot")
def test_the_executable_says_what_is_missing_where_there_is_no_c_library(program: Program):
    root = program.base / "root"
    (root / "tmp").mkdir(parents=True)
    shutil.copy2(program.path, root / "dunena")
    program.prefix, program.path = ["/usr/sbin/chroot", str(root)], Path("/dunena")
    done = program.run("version", TMPDIR="/tmp")
    assert done.returncode == 1
    assert done.stderr.startswith("dunena: this system has no glibc")
    assert list((root / "tmp" / f"dunena-{os.geteuid()}").iterdir()) == []


def _c_library(executable: Path) -> list[Path]:
    """What this machine's loader takes for the file, and the rest of the C library beside it."""
    listed = subprocess.run(
        ["/usr/bin/ldd", executable], capture_output=True, text=True, check=True
    )
    found = [Path(name) for name in re.findall(r"(/\S+) \(0x", listed.stdout)]
    (folder,) = {path.parent for path in found if path.name == "libc.so.6"}
    rest = [folder / name for name in ("libm.so.6", "librt.so.1", "libutil.so.1")]
    return found + [path for path in rest if path.exists()]
