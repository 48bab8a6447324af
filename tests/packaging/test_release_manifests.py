"""build/release.py manifests: files that winget, Homebrew and Scoop can read."""

import json
import re
import shutil
import subprocess

import pytest
from ruamel.yaml import YAML

from tests.packaging.made_up import load

ReleaseError = load("releasekit.errors").ReleaseError
TARGETS = load("releasekit.targets").TARGETS


class TestManifests:
    @pytest.fixture
    def out(self, run, dist, tmp_path, version, monkeypatch):
        monkeypatch.setenv("GITHUB_REPOSITORY", "someone/else")
        assert run("checksums", dist)[0] == 0
        code, _, err = run("manifests", f"v{version}", dist, tmp_path / "out")
        assert (code, err) == (0, "")
        return tmp_path / "out"

    def digest(self, dist, name):
        return load("releasekit.checksums").read(dist)[name]

    def test_of_winget_are_three_that_agree(self, out, dist, version):
        yaml = YAML(typ="safe", pure=True)
        files = {path.name: yaml.load(path) for path in (out / "winget").iterdir()}
        assert {file["ManifestType"] for file in files.values()} == {
            "version",
            "installer",
            "defaultLocale",
        }
        for name, file in files.items():
            assert name.startswith(f"{file['PackageIdentifier']}.")
            assert file["PackageVersion"] == version
        (installer,) = files["Dunena.Dunena.installer.yaml"]["Installers"]
        assert installer["InstallerSha256"] == self.digest(dist, "dunena-windows-x64.exe")
        assert installer["InstallerUrl"].endswith(f"/v{version}/dunena-windows-x64.exe")

    def test_of_scoop(self, out, dist, version):
        manifest = json.loads((out / "scoop" / "dunena.json").read_text())
        file = manifest["architecture"]["64bit"]
        assert manifest["version"] == version
        assert file["hash"] == self.digest(dist, "dunena-windows-x64.exe")
        assert file["url"].startswith("https://github.com/someone/else/releases/download/v")
        # Filled in by Scoop for the versions to come, and not by us.
        assert "/v$version/" in manifest["autoupdate"]["architecture"]["64bit"]["url"]

    def test_of_homebrew_have_an_archive_for_each_machine(self, out, dist):
        text = (out / "homebrew" / "dunena.rb").read_text()
        pairs = re.findall(r'url ".*/(.+)"\n\s+sha256 "(.+)"', text)
        assert dict(pairs) == {
            name: self.digest(dist, name)
            for name in (target.archive for target in TARGETS if target.system != "windows")
        }

    @pytest.mark.skipif(not shutil.which("ruby"), reason="there is no Ruby")
    def test_of_homebrew_is_ruby(self, out):
        subprocess.run(["ruby", "-c", out / "homebrew" / "dunena.rb"], check=True)

    def test_need_every_target(self, run, dist, tmp_path, version):
        (dist / "dunena-macos-arm64.zip").unlink()
        run("checksums", dist)
        code, _, err = run("manifests", f"v{version}", dist, tmp_path / "out")
        assert code == 1
        assert "'macos_arm64_archive'" in err

    @pytest.mark.parametrize("repository", ["", "a", 'a/b"', "a/b/c"])
    def test_refuse_what_is_no_repository(self, tmp_path, repository):
        write = load("releasekit.manifests").write
        with pytest.raises(ReleaseError, match="no repository"):
            write("1.0.0", repository, tmp_path, tmp_path, tmp_path)

    def test_refuse_a_checksum_that_is_none(self, dist, tmp_path):
        (dist / "SHA2-256SUMS").write_text('x"  dunena-windows-x64.exe\n')
        with pytest.raises(ReleaseError, match="checksum that is none"):
            load("releasekit.manifests").write("1.0.0", "a/b", dist, tmp_path, tmp_path)
