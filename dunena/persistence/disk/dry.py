"""A disk that is only looked at: what would be written is not.

With it the very code that opens a folder, with all its mending, tells what it would do.
"""

from pathlib import Path

from dunena.persistence.disk.disk import AppendFile, Item, RealDisk, Stamp


class DryDisk(RealDisk):
    """Reads as the real one does; a folder that would have been made is an empty one."""

    def __init__(self) -> None:
        super().__init__()
        self._made: set[Path] = set()

    def items(self, folder: Path) -> list[Item]:
        return [] if folder in self._made else super().items(folder)

    def make_folder(self, path: Path) -> None:
        if not path.exists():
            self._made.add(path)

    def replace_file(self, path: Path, content: bytes, temporary: Path, *, sync: bool) -> Stamp:
        return Stamp(0, 0, len(content))

    def rename(self, source: Path, target: Path) -> None:
        pass

    def remove(self, path: Path) -> None:
        pass

    def remove_folder(self, path: Path) -> None:
        pass

    def append_to(self, path: Path) -> AppendFile:
        return _NoFile()

    def sync(self, paths: set[Path]) -> None:
        pass


class _NoFile:
    def append(self, data: bytes) -> None:
        pass

    def cut(self, size: int) -> None:
        pass

    def sync(self) -> None:
        pass

    def close(self) -> None:
        pass
