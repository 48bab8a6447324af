"""A disk that reads but does not write.

With it, the code that opens and repairs a folder can be run to find out what it would do. What
would be written as a whole, which records are, is read back from memory.
"""

from collections.abc import Collection

from dunena.persistence.disk.disk import AppendFile, Draft, Names, Stamp
from dunena.persistence.disk.real_disk import RealDisk


class DryDisk(RealDisk):
    """Reads like `RealDisk` and changes nothing; folders that it should make appear empty."""

    def __init__(self) -> None:
        super().__init__()
        self._made: set[str] = set()
        self._replaced: dict[str, bytes] = {}

    def read_stamped(self, path: str, bytes_max: int | None = None) -> tuple[bytes, Stamp]:
        content = self._replaced.get(path)
        if content is None:
            return super().read_stamped(path, bytes_max)
        return content, Stamp(0, 0, len(content))

    def names(self, folder: str) -> Names:
        return Names([], [], []) if folder in self._made else super().names(folder)

    def make_folder(self, path: str) -> None:
        if not self.exists(path):
            self._made.add(path)

    def make_root(self, path: str) -> None:
        self.make_folder(path)

    def replace_file(self, path: str, content: bytes, temporary: str, *, sync: bool) -> Stamp:
        self._replaced[path] = content
        return Stamp(0, 0, len(content))

    def write_draft(
        self, path: str, content: bytes, temporary: str, *, sync: bool = False
    ) -> Draft:
        return Draft("", Stamp(0, 0, len(content)))

    def put_in_place(self, draft: Draft, path: str) -> Stamp:
        return draft.stamp

    def discard(self, draft: Draft) -> None:
        pass

    def rename(self, source: str, target: str) -> None:
        pass

    def remove(self, path: str) -> None:
        pass

    def remove_folder(self, path: str) -> None:
        pass

    def append_to(self, path: str) -> AppendFile:
        return _NoFile()

    def sync(self, paths: Collection[str]) -> None:
        pass


class _NoFile:
    inode = 0

    def append(self, data: bytes) -> None:
        pass

    def cut(self, size: int) -> None:
        pass

    def sync(self) -> None:
        pass

    def close(self) -> None:
        pass
