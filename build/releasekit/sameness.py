"""Whether two builds are the same, byte for byte."""

from pathlib import Path

from releasekit.errors import ReleaseError


def check(one: Path, other: Path) -> list[str]:
    """The names of the files in a folder, all of which are in the other one with the same bytes.

    The other folder may hold more. Raises ReleaseError with a line for everything that is not so.
    """
    names = sorted(path.name for path in one.iterdir() if path.is_file())
    if not names:
        raise ReleaseError(f"{one}: there is nothing to compare")
    wrong = [line for name in names if (line := _difference(one / name, other / name))]
    if wrong:
        raise ReleaseError("\n".join(wrong))
    return names


def _difference(one: Path, other: Path) -> str:
    if not other.is_file():
        return f"{one.name} is missing in {other.parent}"
    first, second = one.read_bytes(), other.read_bytes()
    if first == second:
        return ""
    pairs = enumerate(zip(first, second, strict=False))
    place = next((at for at, (a, b) in pairs if a != b), min(len(first), len(second)))
    sizes = f"{len(first)} and {len(second)} bytes"
    return f"{one.name} is not the same in both: {sizes}, different from byte {place} on"
