"""The files that a release consists of."""

from dataclasses import dataclass

NAME = "dunena"


@dataclass(frozen=True, slots=True)
class Target:
    """A kind of machine that there is an executable for.

    `label` is `system-processor`, the part of the file names that tells them apart.
    """

    label: str
    title: str

    @property
    def system(self) -> str:
        """`linux`, `macos` or `windows`."""
        return self.label.partition("-")[0]

    @property
    def executable(self) -> str:
        """The file that runs."""
        return f"{NAME}-{self.label}{'.exe' if self.system == 'windows' else ''}"

    @property
    def archive(self) -> str:
        """The same file packed, so that a download keeps its right to be run."""
        return f"{NAME}-{self.label}{self._suffix}"

    @property
    def folder_archive(self) -> str:
        """The program as a folder, packed."""
        return f"{NAME}-{self.label}-folder{self._suffix}"

    @property
    def files(self) -> tuple[str, str, str]:
        """All files of this target."""
        return (self.executable, self.archive, self.folder_archive)

    @property
    def _suffix(self) -> str:
        return ".tar.gz" if self.system == "linux" else ".zip"


TARGETS = (
    Target("windows-x64", "Windows 10 or newer, 64-bit"),
    Target("windows-arm64", "Windows 11, ARM64"),
    Target("macos-arm64", "macOS, Apple silicon"),
    Target("macos-x64", "macOS, Intel"),
    Target("linux-x64", "Linux, x86-64, glibc 2.28 or newer"),
    Target("linux-arm64", "Linux, ARM64, glibc 2.28 or newer"),
)
