"""Disks of their own for servers: file systems in files, which can be full, and can fail.

They are Linux's, and only root may mount them. A failure is that of a device that is gone: from
then on every access of the running server ends in an input/output error, and what had not been
forced to the device is lost. Or the file system becomes read-only, as the kernel does it after an
error.
"""

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.missing import report_missing

SIZE_MIB = 192

_SHUT_DOWN = 0x8004587D
"""The request of ext4 that ends all access, `EXT4_IOC_SHUTDOWN`."""

_WITHOUT_FLUSHING = 2
"""Not even the journal is written out: as when the power goes."""

_TOOLS = ("mount", "umount", "mkfs.ext4", "findmnt")


def why_no_disks(folder: Path) -> str | None:
    """Why no disk can be made; None if it can. It is tried in a folder, which is left as it is.

    A program that is not there is reported as missing; what the system does not permit is not.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        return "only root on Linux can mount file systems"
    for tool in _TOOLS:
        if not shutil.which(tool):
            report_missing(tool)
    try:
        with mounted(folder / "try") as disk:
            _ = disk.store
    except subprocess.CalledProcessError as error:
        return f"{error.cmd[0]}: {error.stderr.strip()}"
    return None


class Disk:
    """A mounted file system, with a folder ``store`` for the data of a server."""

    def __init__(self, folder: Path) -> None:
        self._image = folder.with_suffix(".img")
        self._folder = folder
        self.store = folder / "store"
        folder.mkdir()
        with self._image.open("wb") as image:
            image.truncate(SIZE_MIB << 20)
        _run("mkfs.ext4", "-q", str(self._image))
        self._mount()

    def fail(self) -> None:
        """Let every access fail from now on, and lose what was not forced to the device."""
        import fcntl  # which Windows lacks, where this file is read and not used

        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUT_DOWN, struct.pack("I", _WITHOUT_FLUSHING))
        finally:
            os.close(descriptor)

    def become_read_only(self) -> None:
        """Let the kernel find an error: reads go on, all writes fail."""
        device = _run("findmnt", "--noheadings", "--output", "SOURCE", str(self._folder)).strip()
        trigger = Path("/sys/fs/ext4", Path(device).name, "trigger_fs_error")
        trigger.write_text("the test wants one", "utf-8")

    def repair(self) -> None:
        """Mount it anew, with what had reached the device; no program may use it.

        What is mounted then is a copy: whatever holds the old one, in other mount namespaces for
        example, has nothing to do with it.
        """
        _run("umount", str(self._folder))
        old = self._image.with_suffix(".old")
        self._image.rename(old)
        _run("cp", "--sparse=always", str(old), str(self._image))
        old.unlink()
        self._mount()

    @contextmanager
    def filled(self) -> Iterator[None]:
        """Let no byte be free."""
        ballast = self._folder / "ballast"
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError:
                pass
        try:
            yield
        finally:
            ballast.unlink()

    def remove(self) -> None:
        """Take it away."""
        _run("umount", "--lazy", str(self._folder))
        self._image.unlink()
        self._folder.rmdir()

    def _mount(self) -> None:
        _run("mount", "-o", "loop,errors=remount-ro", str(self._image), str(self._folder))


@contextmanager
def mounted(folder: Path) -> Iterator[Disk]:
    """A disk for the time of a `with`."""
    disk = Disk(folder)
    try:
        yield disk
    finally:
        disk.remove()


def _run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout
