"""The record of the public surface in `tests/surface`: reading, comparing and writing it.

    python3 build/dev.py record-surface [--breaking]

runs `main` with the Python of .venv. A record is a JSON object with a line for each promise.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from devkit.requirements import ROOT

from surfacekit.areas import AREAS, Area
from surfacekit.comparison import Difference, compare
from surfacekit.facts import Surface

FOLDER = ROOT / "tests" / "surface"
BREAKING = "--breaking"

_ADVICE = f"""\
docs/stability.md promises it until the next major version. Put it back as it was, beside what is
to replace it, and deprecate it (CONTRIBUTING.md, "Compatibility"). If this is a major version, or
dunena is not at 1.0 yet: say in CHANGELOG.md what users have to do, then run
  python3 build/dev.py record-surface {BREAKING}"""


def read(folder: Path, area: Area) -> Surface:
    """Return what is recorded of an area; nothing if it never was."""
    path = folder / f"{area.name}.json"
    if not path.exists():
        return {}
    recorded: Surface = json.loads(path.read_text("utf-8"))
    return recorded


def write(folder: Path, area: Area, surface: Surface) -> None:
    """Record an area, sorted, with a line for each promise."""
    lines = [
        f"  {json.dumps(name, ensure_ascii=False)}: "
        f"{json.dumps(surface[name], ensure_ascii=False, sort_keys=True)}"
        for name in sorted(surface)
    ]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    (folder / f"{area.name}.json").write_text(text, "utf-8", newline="\n")


def complaint(area: Area, differences: Sequence[Difference]) -> str:
    """Say what a test or a person must know of the differences of an area; "" without any."""
    broken = [f"  {each.name}: {each.what}" for each in differences if each.is_breaking]
    others = [f"  {each.name}: {each.what}" for each in differences if not each.is_breaking]
    parts = []
    if broken:
        title = f"A promise to users is broken ({area.name}, {area.document}):"
        parts.append("\n".join([title, *broken, _ADVICE]))
    if others:
        title = f"Not recorded yet ({area.name}): run `python3 build/dev.py record-surface`"
        parts.append("\n".join([title, *others]))
    return "\n".join(parts)


def record(folder: Path, areas: Sequence[Area], *, may_break: bool) -> tuple[int, str]:
    """Record the areas anew; return an exit code and what to say.

    Without ``may_break`` nothing is written if a recorded promise would be lost in any area.
    """
    present = {area.name: area.derive() for area in areas}
    found = {area.name: compare(read(folder, area), present[area.name]) for area in areas}
    broken = {area.name: [each for each in found[area.name] if each.is_breaking] for area in areas}
    if any(broken.values()) and not may_break:
        texts = [complaint(area, broken[area.name]) for area in areas if broken[area.name]]
        return 1, "\n".join([*texts, "Nothing was recorded."])
    folder.mkdir(parents=True, exist_ok=True)
    for area in areas:
        write(folder, area, present[area.name])
    lines = [f"{each.kind.value}: {each.name}" for name in found for each in found[name]]
    return 0, "\n".join(lines) or "The record was up to date."


def main(arguments: Sequence[str]) -> int:
    """Record the surface of this checkout; return the exit code."""
    if set(arguments) - {BREAKING}:
        print(f"usage: python3 build/dev.py record-surface [{BREAKING}]", file=sys.stderr)
        return 2
    code, text = record(FOLDER, AREAS, may_break=BREAKING in arguments)
    print(text, file=sys.stderr if code else sys.stdout)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
