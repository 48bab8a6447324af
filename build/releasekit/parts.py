"""What an artefact consists of: packages, Python itself, and libraries in C."""

import importlib.metadata
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name
from piplicenses_lib import get_package_info

from releasekit.errors import ReleaseError
from releasekit.licenses import license_name, package_folder

# Asked of the Python that was packed: the versions of what it was linked with.
_PROBE = """
import decimal, json, os, platform, ssl, sys, zlib
openssl = ssl.OPENSSL_VERSION.split()[1]
versions = {"Python": platform.python_version(), "OpenSSL": openssl}
versions |= {"zlib": zlib.ZLIB_RUNTIME_VERSION, "libmpdec": decimal.__libmpdec_version__}
try:
    import zstandard
    versions["zstd"] = ".".join(map(str, zstandard.ZSTD_VERSION))
except ImportError:
    pass
if sys.platform == "linux":
    versions["glibc"] = os.confstr("CS_GNU_LIBC_VERSION").split()[1]
print(json.dumps(versions))
"""


@dataclass(frozen=True, slots=True)
class Part:
    """Something that others made.

    `version` is empty where nothing tells it. `kind` is the type of its package URL (`pypi`, `deb`,
    `generic`), `namespace` the part of that before the name. `license` is an SPDX expression or the
    name that its makers use, or empty. `product` is `vendor:product` in the names of the National
    Vulnerability Database (CPE), by which scanners know what has no package; or empty.
    """

    name: str
    version: str
    license: str
    kind: str
    namespace: str = ""
    product: str = ""


# What is no package, each with its licence and its product. libffi and libgcc tell nobody their
# version.
_LIBRARIES = {
    "Python": ("PSF-2.0", "python:python"),
    "OpenSSL": ("Apache-2.0", "openssl:openssl"),
    "zlib": ("Zlib", "zlib:zlib"),
    "libmpdec": ("BSD-2-Clause", ""),
    "zstd": ("BSD-3-Clause", "facebook:zstandard"),
    "libffi": ("MIT", "libffi_project:libffi"),
    "glibc": ("LGPL-2.1-or-later", "gnu:glibc"),
    "libgcc": ("GPL-3.0-or-later WITH GCC-exception-3.1", ""),
    "Microsoft Visual C++ runtime": ("LicenseRef-Microsoft-Distributable-Code", ""),
}


def libraries(names: set[str], versions: dict[str, str]) -> list[Part]:
    """The parts of these names, which are keys of the table above."""
    return [_library(name, versions.get(name, "")) for name in sorted(names)]


def _library(name: str, version: str) -> Part:
    license_, product = _LIBRARIES[name]
    if name == "OpenSSL" and version.startswith("1."):
        license_ = "OpenSSL"  # the Apache License is that of version 3 and later
    return Part(name, version, license_, "generic", product=product)


def library_versions(environment: Path) -> dict[str, str]:
    """The versions of what the Python of a virtual environment was linked with, by name."""
    python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    try:
        done = subprocess.run(
            [python, "-I", "-c", _PROBE], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise ReleaseError(f"{python} cannot be asked for its libraries: {error}") from error
    versions: dict[str, str] = json.loads(done.stdout)
    return versions


class Packages:
    """The packages of a virtual environment."""

    __slots__ = ("_folder", "_owners", "_parts")

    def __init__(self, environment: Path) -> None:
        self._folder = package_folder(environment)
        self._parts: dict[str, Part] = {}
        self._owners: dict[str, str] = {}
        for found in importlib.metadata.distributions(path=[str(self._folder)]):
            info = get_package_info(found)
            name = canonicalize_name(info.name)
            self._parts[name] = Part(name, info.version, license_name(info), "pypi")
            for file in found.files or ():
                self._owners.setdefault(file.as_posix(), name)

    def named(self, name: str) -> Part:
        """The package of this name. Raises ReleaseError when it is not there."""
        try:
            return self._parts[name]
        except KeyError:
            raise ReleaseError(f"{name} is not installed in {self._folder}") from None

    def owner(self, *places: str) -> str:
        """The name of the package that brought the first of these files; empty for none."""
        return next((self._owners[place] for place in places if place in self._owners), "")
