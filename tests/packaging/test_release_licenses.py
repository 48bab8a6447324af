"""build/release.py licenses: the licence text of every bundled package."""

import sys
from pathlib import Path

import pytest

from tests.packaging.made_up import ROOT, load

ReleaseError = load("releasekit.errors").ReleaseError


@pytest.fixture
def environment(tmp_path):
    """An environment with two packages, made by a Python that has its licence."""
    home = tmp_path / "python"
    (home / "bin").mkdir(parents=True)
    (home / "lib" / "python3.12").mkdir(parents=True)
    (home / "lib" / "python3.12" / "LICENSE.txt").write_text("The licence of Python\n")
    folder = tmp_path / "environment"
    folder.mkdir()
    config = f"home = {home / 'bin'}\nversion = 3.12.1\n"
    (folder / "pyvenv.cfg").write_text(config)
    install(folder, "Good_One", "License-Expression: MIT", {"licenses/LICENSE": "Text of good"})
    install(folder, "other", "License: Whole\n        text of it", {"COPYING.txt": "Text of other"})
    return folder


def install(folder, name, fields, texts):
    packages = folder / "lib" / "python3.12" / "site-packages"
    metadata = packages / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{fields}\n"
    )
    record = [f"{metadata.name}/METADATA,,", f"{name}/__init__.py,,"]
    for place, text in texts.items():
        (metadata / place).parent.mkdir(exist_ok=True)
        (metadata / place).write_text(text)
        record.append(f"{metadata.name}/{place},,")
    (metadata / "RECORD").write_text("\n".join(record))


def collect(environment, pins, also=()):
    path = environment.parent / "pins.txt"
    path.write_text(pins)
    extras = environment.parent / "extras"
    extras.mkdir(exist_ok=True)
    (extras / "OpenSSL.txt").write_text("Text of OpenSSL\n")
    return load("releasekit.licenses").collect(environment, path, also, extras)


def test_python_packages_and_libraries_are_listed_in_this_order(environment):
    found = collect(environment, "# why\ngood-one==1.0\nother==1.0\n")
    assert [bundled.title for bundled in found] == [
        "Python 3.12.1",
        "Good_One 1.0",
        "other 1.0",
        "OpenSSL",
    ]
    assert [bundled.license for bundled in found] == ["PSF-2.0", "MIT", "", ""]


def test_the_licences_file_has_every_licence_text(environment):
    text = load("releasekit.licenses").render(collect(environment, "good-one==1.0\nother==1.0\n"))
    for line in ("The licence of Python", "Text of good", "Text of other", "Text of OpenSSL"):
        assert f"\n{line}\n" in text


def test_additional_packages_can_be_requested(environment):
    titles = [bundled.title for bundled in collect(environment, "", ["Other"])]
    assert titles == ["Python 3.12.1", "other 1.0", "OpenSSL"]


def test_every_missing_package_and_licence_is_named(environment):
    install(environment, "bare", "License: MIT", {})
    with pytest.raises(ReleaseError) as caught:
        collect(environment, "absent==2.0\nbare==1.0\n", ["gone"])
    absent, bare, gone = str(caught.value).splitlines()
    assert absent.startswith("absent is not installed in ")
    assert bare == "bare 1.0 comes without the text of its licence"
    assert gone.startswith("gone is not installed in ")


def test_a_package_for_another_system_may_be_missing(environment):
    found = collect(environment, "colorama==0.4.6 ; sys_platform == 'win32'\n")
    assert [bundled.title for bundled in found] == ["Python 3.12.1", "OpenSSL"]


def test_a_missing_licence_of_python_raises(environment):
    (environment.parent / "python/lib/python3.12/LICENSE.txt").unlink()
    with pytest.raises(ReleaseError, match="no licence of Python"):
        collect(environment, "")


def test_a_missing_environment_raises(tmp_path):
    with pytest.raises(ReleaseError, match="no virtual environment"):
        collect(tmp_path / "none", "")


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="this is no virtual environment")
def test_the_licences_of_all_dependencies_are_found(tmp_path, capsys):
    out = tmp_path / "LICENSES.txt"
    pins = ROOT / "build" / "requirements" / "serve.txt"
    assert load("releasekit.commands").main(["licenses", sys.prefix, str(pins), str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    for name in ("orjson", "websockets", "typer", "OpenSSL", "zlib"):
        assert f"\n{name}" in text
    assert str(Path.home()) not in text
