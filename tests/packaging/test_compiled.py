"""The wheel with compiled modules: its contents, and that it runs with and without them.

`python3 build/dev.py test --compiled` makes it, and runs this in the copy that it was unpacked to.
"""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile

import pytest

import dunena
from tests.packaging.made_up import ROOT

pytestmark = pytest.mark.skipif(
    "DUNENA_TEST_COMPILED" not in os.environ,
    reason="`python3 build/dev.py test --compiled` makes the wheel and runs this",
)

CHECKOUT = ROOT.parents[1]  # its .venv holds the copy that is ROOT here
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SOURCES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["modules"]
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
EXTENSIONS = {source.removesuffix(".py") + SUFFIX for source in SOURCES} | {
    f"dunena/native__mypyc{SUFFIX}",
    f"dunena/_unmasking{SUFFIX}",
    f"dunena/store/_plain_json{SUFFIX}",
}
if sys.platform != "win32":
    EXTENSIONS.add(f"dunena/server/sockets/_system_calls{SUFFIX}")


@pytest.fixture
def wheel():
    (path,) = (ROOT / "dist").glob("*.whl")
    return path


@pytest.fixture
def unpacked(wheel, tmp_path):
    """A folder to import it from."""
    folder = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def try_wheel(folder, tmp_path):
    """What the script that tries the wheels of a release says of this folder's code."""
    return subprocess.run(
        [sys.executable, "-P", ROOT / "packaging" / "try_wheel.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_compiled_wheel_is_tagged_for_this_python_and_system(wheel):
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert re.fullmatch(rf"dunena-{dunena.__version__}-{tag}-{tag}-\w+\.whl", wheel.name)
    assert "any" not in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"dunena-{dunena.__version__}.dist-info/WHEEL").decode()
    assert "Root-Is-Purelib: false" in metadata


def test_the_compiled_wheel_has_every_extension_module_and_its_source(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name for name in names if name.endswith((".so", ".pyd"))} == EXTENSIONS
    assert set(SOURCES) <= names


def test_the_compiled_wheel_has_only_the_package_at_its_top(wheel):
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert tops == {"dunena", f"dunena-{dunena.__version__}.dist-info"}


def test_the_compiled_wheel_runs_compiled(unpacked, tmp_path):
    done = try_wheel(unpacked, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"try_wheel: dunena {dunena.__version__} runs compiled\n"


def test_the_compiled_wheel_runs_as_pure_python_without_its_extension_modules(unpacked, tmp_path):
    for name in EXTENSIONS:
        (unpacked / name).unlink()
    done = try_wheel(unpacked, tmp_path)
    assert (done.returncode, done.stderr) == (1, "try_wheel: the hot modules are not compiled\n")


def test_the_extension_modules_contain_no_build_path(unpacked):
    for name in EXTENSIONS:
        data = (unpacked / name).read_bytes()
        assert b"dunena-compile-" not in data, name
        assert str(ROOT).encode() not in data, name
        assert str(CHECKOUT).encode() not in data, name


@pytest.mark.skipif(sys.platform == "win32", reason="Windows' compiler is not named by CC")
def test_a_build_without_a_compiler_fails_with_the_reason(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    missing = {**os.environ, "DUNENA_COMPILE": "1", "CC": "no-such-compiler"}
    done = subprocess.run(
        [*command, "--directory", tmp_path],
        cwd=ROOT,
        env=missing,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert re.search(r"^error: .*no-such-compiler", done.stdout + done.stderr, re.MULTILINE)
    assert "Without DUNENA_COMPILE" in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
