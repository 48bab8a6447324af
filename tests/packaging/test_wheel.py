"""The Python package: its contents, and that it runs without the source tree."""

import importlib.metadata
import os
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import urllib.request
import venv
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import dunena
from tests.packaging.made_up import ROOT
from tests.support.server import ServerProcess

PACKAGE = ROOT / "dunena"


def build(source, folder, *targets):
    """Run the build backend in this environment, as an isolated one would fetch another."""
    words = [word for target in targets for word in ("--target", target)]
    command = [sys.executable, "-m", "hatchling", "build", *words, "--directory", folder]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build(ROOT, tmp_path_factory.mktemp("built"), "wheel", "sdist")


@pytest.fixture(scope="module")
def wheel(built):
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def unpacked(built, tmp_path_factory):
    """The source package, as a distribution has it."""
    (path,) = built.glob("*.tar.gz")
    folder = tmp_path_factory.mktemp("source")
    with tarfile.open(path) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(folder)
    return folder / f"dunena-{dunena.__version__}"


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A new environment with the wheel in it. The packages that it needs are those of ours, lent by
    a path: a registry is not there in every place where tests run.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.EnvBuilder(with_pip=False, symlinks=sys.platform != "win32").create(folder)
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    command = [sys.executable, "-m", "pip", "--python", programs / "python", "install", "--quiet"]
    offline = {**os.environ, "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    subprocess.run([*command, "--no-deps", wheel], check=True, env=offline)
    (packages,) = folder.rglob("site-packages")
    (packages / "lent.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    return programs


class TestContents:
    def names(self, wheel):
        with zipfile.ZipFile(wheel) as archive:
            return set(archive.namelist())

    def test_the_wheel_has_exactly_the_files_of_the_package(self, wheel):
        expected = {
            path.relative_to(ROOT).as_posix()
            for path in PACKAGE.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        metadata = f"dunena-{dunena.__version__}.dist-info/"
        assert {name for name in self.names(wheel) if not name.startswith(metadata)} == expected

    def test_the_wheel_has_the_page_the_types_and_the_licence(self, wheel):
        names = self.names(wheel)
        metadata = f"dunena-{dunena.__version__}.dist-info"
        page = {"dunena/web/index.html", "dunena/web/main.js", "dunena/web/lib/dom.js"}
        assert page | {"dunena/web/client/dunena.js", "dunena/py.typed"} <= names
        assert f"{metadata}/licenses/LICENSE" in names

    def test_the_wheel_is_tagged_for_every_system(self, wheel):
        assert wheel.name == f"dunena-{dunena.__version__}-py3-none-any.whl"

    def test_the_wheel_metadata_has_the_requirements_of_the_project(self, wheel):
        with zipfile.ZipFile(wheel) as archive:
            text = archive.read(f"dunena-{dunena.__version__}.dist-info/METADATA").decode()
        fields = HeaderParser().parsestr(text)
        asked = {Requirement(line) for line in fields.get_all("Requires-Dist")}
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        needed = {requirement for requirement in asked if "extra ==" not in str(requirement.marker)}
        assert needed == set(map(Requirement, project["dependencies"]))
        (watching,) = (requirement for requirement in needed if requirement.name == "watchfiles")
        assert not watching.marker.evaluate({"sys_platform": "linux", "extra": ""})
        assert watching.marker.evaluate({"sys_platform": "darwin", "extra": ""})
        assert fields["Requires-Python"] == project["requires-python"]
        assert fields["License-Expression"] == "MIT"


class TestSource:
    def test_the_source_distribution_builds_the_same_wheel(self, unpacked, wheel, tmp_path):
        (again,) = build(unpacked, tmp_path, "wheel").glob("*.whl")
        assert again.name == wheel.name
        assert again.read_bytes() == wheel.read_bytes()

    def test_the_source_distribution_has_tests_and_build_files(self, unpacked):
        for name in ("LICENSE", "README.md", "CHANGELOG.md", "tests/conftest.py", "build/dev.py"):
            assert (unpacked / name).is_file(), name


class TestInstalled:
    def test_the_installed_program_prints_its_version(self, installed, tmp_path):
        done = subprocess.run(
            [installed / "dunena", "version"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == f"dunena {dunena.__version__}\n"

    def test_the_installed_program_serves_its_page(self, installed, tmp_path):
        command = (str(installed / "dunena"),)
        with ServerProcess(tmp_path / "values", command=command) as server:
            with urllib.request.urlopen(f"{server.url}/test") as answer:
                assert answer.read().lower().startswith(b"<!doctype html>")
            with urllib.request.urlopen(f"{server.url}/info") as answer:
                assert dunena.__version__.encode() in answer.read()

    def test_the_installed_package_is_not_the_source_tree(self, installed, tmp_path):
        code = "import dunena; print(dunena.__file__)"
        command = [installed / "python", "-P", "-c", code]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert Path(done.stdout.strip()).is_relative_to(installed.parent)


def test_every_requirement_is_met_by_its_pin():
    """The environment of `installed` borrows packages, so pip refuses no version there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for requirement in map(Requirement, project["dependencies"]):
        version = importlib.metadata.version(requirement.name)
        assert requirement.specifier.contains(version), requirement
