"""The licences of what is bundled, with their texts: THIRD_PARTY_LICENSES.txt.

The packages are those of a requirements file; their texts come from an environment that they are
installed in. Python's comes from the Python of that environment, and with it on Windows those of
the libraries it brings. Texts of such libraries for the other systems lie in a folder of ours.
"""

import importlib.metadata
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from releasekit.errors import ReleaseError

_RULE = "=" * 78
_TEXT_NAME = re.compile(r"(licen[cs]e|copying|notice|authors)", re.IGNORECASE)
_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?P<marker>\s*;.*)?")

_HEAD = """\
dunena is distributed under the MIT License; see LICENSE.

Its executables contain the software below, each under the licence that follows its name.
"""


@dataclass(frozen=True, slots=True)
class Bundled:
    """A piece of bundled software and its licence texts."""

    title: str
    license: str
    texts: tuple[str, ...]


def collect(environment: Path, pins: Path, also: Sequence[str], extras: Path) -> list[Bundled]:
    """Everything to be named, Python first.

    `environment` is a virtual environment, `pins` the requirements file of what is bundled, `also`
    names of more packages in the environment, `extras` a folder of licence texts, each named after
    the software that it is of. Raises ReleaseError when one is missing.
    """
    packages = _package_folder(environment)
    installed = _installed(packages)
    found = [_python(environment)]
    missing = []
    for name, is_optional in [*_pinned(pins), *((_normalize(name), False) for name in also)]:
        bundled = installed.get(name)
        if bundled is None and not is_optional:
            missing.append(f"{name} is not installed in {packages}")
        elif bundled is not None and not bundled.texts:
            missing.append(f"{bundled.title} comes without the text of its licence")
        elif bundled is not None:
            found.append(bundled)
    if missing:
        raise ReleaseError("\n".join(missing))
    texts = sorted(extras.glob("*.txt"))
    return found + [Bundled(path.stem, "", (path.read_text(encoding="utf-8"),)) for path in texts]


def render(found: list[Bundled]) -> str:
    """The file's text."""
    parts = [_HEAD]
    for bundled in found:
        title = f"{bundled.title} ({bundled.license})" if bundled.license else bundled.title
        parts += [_RULE, title, _RULE, ""]
        parts += [f"{text.strip()}\n" for text in bundled.texts]
    return "\n".join(parts)


def _pinned(pins: Path) -> list[tuple[str, bool]]:
    """The names in a requirements file, and whether each is only for some systems."""
    lines = [line.partition("#")[0].strip() for line in pins.read_text("utf-8").splitlines()]
    found = [_PIN.fullmatch(line) for line in lines if line]
    return [(_normalize(pin["name"]), bool(pin["marker"])) for pin in found if pin]


def _package_folder(environment: Path) -> Path:
    found = [*environment.glob("lib/python3*/site-packages"), environment / "Lib/site-packages"]
    if not found[0].is_dir():
        raise ReleaseError(f"{environment} is no virtual environment")
    return found[0]


def _installed(packages: Path) -> dict[str, Bundled]:
    found = {}
    for distribution in importlib.metadata.distributions(path=[str(packages)]):
        name = distribution.metadata["Name"]
        title = f"{name} {distribution.version}"
        found[_normalize(name)] = Bundled(title, _license_name(distribution), _texts(distribution))
    return found


def _license_name(distribution: importlib.metadata.Distribution) -> str:
    """What the metadata calls the licence; some packages put its whole text there."""
    fields = distribution.metadata
    for field in ("License-Expression", "License"):
        name = "".join(fields.get_all(field, []))
        if name and "\n" not in name:
            return name
    classifiers = [line for line in fields.get_all("Classifier", []) if line.startswith("License")]
    return classifiers[-1].rpartition(" :: ")[2] if classifiers else ""


def _texts(distribution: importlib.metadata.Distribution) -> tuple[str, ...]:
    """The licence files in a package's metadata, and those of what it has copied into itself."""
    paths = [path for path in distribution.files or [] if _is_text(path)]
    located = sorted({Path(str(distribution.locate_file(path))) for path in paths})
    return tuple(path.read_text(encoding="utf-8") for path in located if path.is_file())


def _is_text(path: importlib.metadata.PackagePath) -> bool:
    in_metadata = path.parts[0].endswith(".dist-info")
    return in_metadata and ("licenses" in path.parts or bool(_TEXT_NAME.match(path.name)))


def _python(environment: Path) -> Bundled:
    """The licence of the Python that the environment was made with."""
    config = _read_config(environment)
    programs = Path(config.get("home", ""))
    home = programs.parent if programs.name == "bin" else programs
    version = config.get("version_info") or config.get("version") or ""
    name = f"python{'.'.join(version.split('.')[:2])}"
    # Where an installer or a build from source puts it; then where distributions keep licences.
    folders = [home / "lib" / name, home / "Lib", home]
    folders += [Path("/usr/share/licenses", f"{name}-libs"), Path("/usr/share/doc", name)]
    for folder in folders:
        for file in ("LICENSE.txt", "LICENSE", "copyright"):
            if (folder / file).is_file():
                text = (folder / file).read_text(encoding="utf-8", errors="replace")
                return Bundled(f"Python {version}", "PSF-2.0", (text,))
    raise ReleaseError(f"no licence of Python in {', '.join(map(str, folders))}")


def _read_config(environment: Path) -> dict[str, str]:
    """pyvenv.cfg, which says where the Python of the environment is installed."""
    lines = (environment / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
