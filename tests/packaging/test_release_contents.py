"""build/release.py sbom and contents: what lies in each artefact, and that all of it has a licence.

The program is a made-up one as PyInstaller makes it, with two packages in an environment.
"""

import hashlib
import json
import marshal
import subprocess
import sys
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest

from tests.packaging import made_up
from tests.packaging.made_up import ROOT, load
from tests.packaging.test_release_licenses import install

ReleaseError = load("releasekit.errors").ReleaseError
TARGETS = {target.label: target for target in load("releasekit.targets").TARGETS}
LINUX, WINDOWS = TARGETS["linux-x64"], TARGETS["windows-x64"]

MODULES = ("orjson", "orjson.more", "json", "dunena.hub", "pyimod01_archive", "importlib.metadata")
FILES = ("libssl.so.3", "libffi.so.8", "dunena/web/index.html", "orjson/orjson.so")


def modules_archive(names):
    """PyInstaller's archive of modules: the magic numbers, where the table is, and the table."""
    table = marshal.dumps([(name, (0, 0, 0)) for name in names])
    head = b"PYZ\0" + MAGIC_NUMBER + (17).to_bytes(4, "big") + bytes(5)
    return head + table


def folder_archive(path, target, modules=MODULES, files=FILES):
    """The archive of a program's folder."""
    name = f"dunena-{target.label}-folder"
    suffix = ".exe" if target.system == "windows" else ""
    files_in_it = {"PYZ.pyz": modules_archive(modules)}
    program = made_up.packed(b"a program", files_in_it, deflated=False, kind=b"z")
    inner = {f"{name}/dunena{suffix}": program, f"{name}/LICENSE": b"text"}
    inner |= {f"{name}/_internal/{file}": b"bytes" for file in files}
    pack = made_up.tar if target.system == "linux" else made_up.zipped
    pack(path, inner)


@pytest.fixture
def environment(tmp_path):
    """An environment with packages, one of which is not bundled."""
    home = tmp_path / "python"
    (home / "bin").mkdir(parents=True)
    folder = tmp_path / "environment"
    folder.mkdir()
    (folder / "pyvenv.cfg").write_text(f"home = {home / 'bin'}\nversion = 3.12.1\n")
    fields = "License-Expression: MIT"
    for name, brought in {
        "orjson": ("orjson/more.py", "orjson/orjson.so"),
        "left-out": (),
        "mypy": (),
        "pyinstaller": (),
    }.items():
        install(folder, name, fields, {})
        (record,) = folder.rglob(f"{name}-1.0.dist-info/RECORD")
        record.write_text("\n".join([record.read_text(), *(f"{file},," for file in brought)]))
    return folder


@pytest.fixture
def find(tmp_path, environment):
    """Find the parts of a program with these modules and files."""

    def find(modules=MODULES, files=FILES, target=LINUX):
        contents = load("releasekit.contents")
        path = tmp_path / target.folder_archive
        folder_archive(path, target, modules, files)
        packages = load("releasekit.parts").Packages(environment)
        versions = {"Python": "3.12.1", "OpenSSL": "3.0.1", "zlib": "1.3"}
        return contents.find_parts(contents.read(path, target), packages, versions)

    return find


class TestContents:
    def test_the_parts_are_what_lies_in_the_program_and_nothing_else(self, find):
        assert [(part.name, part.version) for part in find()] == [
            ("OpenSSL", "3.0.1"),
            ("Python", "3.12.1"),
            ("libffi", ""),
            ("zlib", "1.3"),
            ("orjson", "1.0"),
            ("pyinstaller", "1.0"),
        ]

    @pytest.mark.parametrize(("version", "name"), [("1.1.1k", "OpenSSL"), ("3.0.1", "Apache-2.0")])
    def test_openssl_has_the_licence_of_its_version(self, version, name):
        (part,) = load("releasekit.parts").libraries({"OpenSSL"}, {"OpenSSL": version})
        assert part.license == name

    def test_libraries_of_windows_are_known_by_their_names(self, find):
        files = ("python313.dll", "VCRUNTIME140.dll", "libcrypto-3.dll", "_ssl.pyd", "_decimal.pyd")
        names = {part.name for part in find(files=files, target=WINDOWS)}
        assert {"Microsoft Visual C++ runtime", "OpenSSL", "libmpdec"} <= names

    def test_compiled_modules_bring_the_runtime_of_mypyc(self, find):
        names = [part.name for part in find(files=(*FILES, "dunena/native__mypyc.so"))]
        assert "mypy" in names

    @pytest.mark.parametrize(
        ("more", "line"),
        [
            ({"modules": (*MODULES, "sneaky.thing")}, "the module sneaky.thing"),
            ({"files": (*FILES, "libsneaky.so.1")}, "the file libsneaky.so.1"),
        ],
    )
    def test_what_belongs_to_no_part_raises(self, find, more, line):
        with pytest.raises(ReleaseError, match=f"nobody knows where {line} comes from"):
            find(**more)

    def test_a_program_that_is_none_of_pyinstallers_raises(self, tmp_path):
        made_up.tar(tmp_path / LINUX.folder_archive, {"dunena-folder/dunena": b"other"})
        with pytest.raises(ReleaseError, match="none of PyInstaller's"):
            load("releasekit.contents").read(tmp_path / LINUX.folder_archive, LINUX)


@pytest.fixture
def released(run, dist, environment, monkeypatch):
    """A `dist` of which one program can be looked into, with its bill."""
    for path in [path for path in dist.iterdir() if LINUX.label not in path.name]:
        path.unlink()
    folder_archive(dist / LINUX.folder_archive, LINUX)
    versions = {
        "Python": "3.12.1",
        "OpenSSL": "3.0.1",
        "zlib": "1.3",
        "zstd": "1.5.7",
        "glibc": "2.36",
    }
    monkeypatch.setattr(load("releasekit.bills"), "library_versions", lambda _: versions)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    assert run("sbom", "executable", dist, "--environment", environment)[0] == 0
    titles = [
        *("Python 3.12.1", "OpenSSL", "glibc", "libffi", "zlib", "zstd"),
        *("orjson 1.0", "pyinstaller 1.0"),
    ]
    bundled = load("releasekit.licenses").Bundled
    text = load("releasekit.licenses").render([bundled(title, "MIT", ("x",)) for title in titles])
    (dist / "THIRD_PARTY_LICENSES.txt").write_text(text)
    return dist


class TestBills:
    def bill(self, dist):
        return json.loads((dist / "dunena-linux-x64.cdx.json").read_text(encoding="utf-8"))

    def test_a_bill_names_the_program_its_files_and_its_parts(self, released, version):
        bill = self.bill(released)
        root = bill["metadata"]["component"]
        assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
        assert root["purl"] == f"pkg:github/dunena/dunena@{version}"
        stated = {one["url"]: one["hashes"][0]["content"] for one in root["externalReferences"]}
        assert stated == {
            name: hashlib.sha256((released / name).read_bytes()).hexdigest() for name in LINUX.files
        }
        assert {one["name"] for one in bill["components"]} == {
            *("OpenSSL", "Python", "glibc", "libffi", "zlib", "zstd", "orjson", "pyinstaller")
        }
        assert bill["metadata"]["timestamp"].startswith("2026-01-01T00:00:00")
        names = {one["cpe"] for one in bill["components"] if "cpe" in one}
        assert "cpe:2.3:a:openssl:openssl:3.0.1:*:*:*:*:*:*:*" in names

    def test_the_same_program_gives_the_same_bill(self, run, released, environment):
        first = (released / "dunena-linux-x64.cdx.json").read_bytes()
        run("sbom", "executable", released, "--environment", environment)
        assert (released / "dunena-linux-x64.cdx.json").read_bytes() == first

    def test_the_bill_is_summed_up_with_the_other_files(self, run, released):
        run("checksums", released)
        sums = load("releasekit.checksums").read(released)
        assert "dunena-linux-x64.cdx.json" in sums

    def test_bills_that_fit_pass_the_check(self, run, released):
        code, out, err = run("contents", released)
        assert (code, err) == (0, "")
        assert out == "dunena-linux-x64.cdx.json fits its files and THIRD_PARTY_LICENSES.txt\n"

    def test_a_part_without_a_licence_fails_the_check(self, run, released):
        path = released / "THIRD_PARTY_LICENSES.txt"
        path.write_text(path.read_text().replace("\norjson 1.0 (MIT)\n", "\nother 1.0\n"))
        line = "THIRD_PARTY_LICENSES.txt lacks orjson, which dunena-linux-x64.cdx.json names"
        assert run("contents", released)[2] == f"release: {line}\n"

    def test_a_bill_of_other_files_fails_the_check(self, run, released):
        (released / LINUX.executable).write_bytes(b"another")
        assert "is not of these files" in run("contents", released)[2]

    def test_a_missing_bill_fails_the_check(self, run, released):
        (released / "dunena-linux-x64.cdx.json").unlink()
        assert run("contents", released)[2] == "release: dunena-linux-x64.cdx.json is missing\n"

    @pytest.mark.parametrize(
        ("text", "reason"),
        [("{", "is no JSON"), ('{"bomFormat": "other"}', "does not follow the schema")],
    )
    def test_a_bill_that_does_not_follow_the_schema_fails_the_check(
        self, run, released, text, reason
    ):
        (released / "dunena-image.cdx.json").write_text(text)
        assert reason in run("contents", released)[2]

    def test_the_check_fails_without_licences(self, run, dist):
        assert "THIRD_PARTY_LICENSES.txt" in run("contents", dist)[2]

    def test_the_bill_of_the_python_package_has_what_is_installed_with_it(self, run, tmp_path):
        (tmp_path / "dunena-1.0.0-py3-none-any.whl").write_bytes(b"wheel")
        (tmp_path / "dunena-1.0.0.tar.gz").write_bytes(b"sources")
        code, out, err = run("sbom", "package", tmp_path)
        assert (code, err) == (0, "")
        bill = json.loads(Path(out.strip()).read_text(encoding="utf-8"))
        assert len(bill["metadata"]["component"]["externalReferences"]) == 2
        named = {one["name"]: one["version"] for one in bill["components"]}
        requirements = load("devkit.requirements")
        lines = requirements.read_pins(requirements.FOLDER / "serve.txt")
        pins = (line.partition(" ;")[0].partition("==") for line in lines)
        assert named == {name: version for name, _, version in pins}

    def test_the_bill_of_an_empty_folder_is_an_error(self, run, tmp_path):
        assert "no wheel" in run("sbom", "package", tmp_path)[2]

    def test_the_bill_of_the_image_has_its_packages_and_those_of_its_system(self, run, tmp_path):
        listing = tmp_path / "contents.json"
        found = {
            "python": "3.13.18",
            "packages": [{"name": "orjson", "version": "3.11.0"}],
            "system": "debian",
            "system_packages": [{"name": "libssl3t64", "version": "3.5.1-1"}],
        }
        listing.write_text(json.dumps(found))
        assert run("sbom", "image", listing)[0] == 0
        bill = json.loads((tmp_path / "dunena-image.cdx.json").read_text())
        assert bill["metadata"]["component"]["type"] == "container"
        assert {one["purl"] for one in bill["components"]} == {
            "pkg:generic/python@3.13.18",
            "pkg:pypi/orjson@3.11.0",
            "pkg:deb/debian/libssl3t64@3.5.1-1",
        }

    def test_a_broken_list_of_the_image_is_an_error(self, run, tmp_path):
        (tmp_path / "contents.json").write_text("[]")
        assert (
            "no list of an image's contents" in run("sbom", "image", tmp_path / "contents.json")[2]
        )


@pytest.mark.skipif(not Path("/var/lib/dpkg/status").is_file(), reason="no Debian, as the image is")
def test_the_list_of_a_container_has_the_packages_of_python_and_of_the_system():
    script = (ROOT / "packaging" / "docker" / "list-contents.py").read_bytes()
    done = subprocess.run([sys.executable, "-"], input=script, capture_output=True, check=True)
    found = json.loads(done.stdout)
    assert found["python"].startswith("3.")
    assert any(one["name"] == "orjson" for one in found["packages"])
    assert any(one["name"] == "libc6" for one in found["system_packages"])


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="this is no virtual environment")
def test_the_libraries_of_this_python_tell_their_versions():
    versions = load("releasekit.parts").library_versions(Path(sys.prefix))
    assert versions["Python"] == sys.version.split()[0]
    assert {"OpenSSL", "zlib", "libmpdec", "zstd"} <= versions.keys()
