"""The licences of what is bundled, with their texts: THIRD_PARTY_LICENSES.txt.

The packages are those of a requirements file; their texts come from an environment that they are
installed in. Python's comes from the Python of that environment, and with it on Windows those of
the libraries it brings. Texts of such libraries for the other systems lie in a folder of ours.
"""

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devkit.requirements import read_pins
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from piplicenses_lib import LICENSE_UNKNOWN, PackageInfo, get_package_info

from releasekit.errors import ReleaseError

_RULE = "=" * 78
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
    packages = package_folder(environment)
    found_there = map(get_package_info, importlib.metadata.distributions(path=[str(packages)]))
    installed: dict[str, PackageInfo] = {one.name: one for one in found_there}
    found = [_license_of_python(environment)]
    missing = []
    for name, is_optional in [*_pinned(pins), *((canonicalize_name(one), False) for one in also)]:
        package = installed.get(name)
        if package is None and not is_optional:
            missing.append(f"{name} is not installed in {packages}")
        elif package is not None:
            title, texts = _title(package), _texts(package)
            found.append(Bundled(title, license_name(package), texts))
            if not texts:
                missing.append(f"{title} comes without the text of its licence")
    if missing:
        raise ReleaseError("\n".join(missing))
    own = sorted(extras.glob("*.txt"))
    return found + [Bundled(path.stem, "", (path.read_text(encoding="utf-8"),)) for path in own]


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
    found = map(Requirement, read_pins(pins))
    return [(canonicalize_name(one.name), one.marker is not None) for one in found]


def package_folder(environment: Path) -> Path:
    found = [*environment.glob("lib/python3*/site-packages"), environment / "Lib/site-packages"]
    if not found[0].is_dir():
        raise ReleaseError(f"{environment} is no virtual environment")
    return found[0]


def _title(package: PackageInfo) -> str:
    return f"{package.distribution.metadata['Name']} {package.version}"


def license_name(package: PackageInfo) -> str:
    """What the metadata calls the licence; some packages put its whole text there."""
    if package.license != LICENSE_UNKNOWN and "\n" not in package.license:
        return package.license
    return (package.license_classifiers or [""])[-1]


def _texts(package: PackageInfo) -> tuple[str, ...]:
    """The licence files in a package's metadata, and those of what it has copied into itself."""
    texts = dict([*package.licenses, *package.notices, *package.others])
    return tuple(texts[path].strip() for path in sorted(texts))


def _license_of_python(environment: Path) -> Bundled:
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
