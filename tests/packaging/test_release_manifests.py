"""build/release.py manifests: manifests for winget, Homebrew and Scoop."""

import json
import re
import shutil
import subprocess

import pytest
from jsonschema_rs import Draft202012Validator
from ruamel.yaml import YAML

from dunena import DEFAULT_FOLDER
from tests.packaging.made_up import load
from tests.packaging.manifest_forms import SCOOP, WINGET

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

    def test_the_three_winget_manifests_agree(self, out, dist, version):
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
        installers = files["Dunena.Dunena.installer.yaml"]["Installers"]
        assert [installer["Architecture"] for installer in installers] == ["x64", "arm64"]
        for installer in installers:
            name = f"dunena-windows-{installer['Architecture']}.exe"
            assert installer["InstallerSha256"] == self.digest(dist, name)
            assert installer["InstallerUrl"].endswith(f"/v{version}/{name}")

    def test_each_winget_manifest_has_the_form_of_its_type(self, out):
        yaml = YAML(typ="safe", pure=True)
        types = set()
        for path in (out / "winget").iterdir():
            file = yaml.load(path)
            types.add(file["ManifestType"])
            Draft202012Validator(WINGET[file["ManifestType"]]).validate(file)
            schema = path.read_text("utf-8").splitlines()[0]
            words = f"{file['ManifestType']}.{file['ManifestVersion']}.schema.json"
            assert schema.endswith(words), "editors check it with that of another type"
        assert types == set(WINGET)

    def test_the_scoop_manifest_has_scoops_form(self, out):
        Draft202012Validator(SCOOP).validate(json.loads((out / "scoop/dunena.json").read_text()))

    @pytest.mark.parametrize(
        ("form", "file", "old", "new"),
        [
            ("installer", "winget/Dunena.Dunena.installer.yaml", "InstallerSha256", "Sha256"),
            ("installer", "winget/Dunena.Dunena.installer.yaml", "e: x64", "e: amd64"),
            ("installer", "winget/Dunena.Dunena.installer.yaml", "portable", "binary"),
            ("version", "winget/Dunena.Dunena.yaml", "Dunena.Dunena", "Dunena"),
            ("defaultLocale", "winget/Dunena.Dunena.locale.en-US.yaml", "A real", "A " * 120),
            ("defaultLocale", "winget/Dunena.Dunena.locale.en-US.yaml", "Moniker", "Nickname"),
            ("scoop", "scoop/dunena.json", '"64bit"', '"x64"'),
            ("scoop", "scoop/dunena.json", "v$version/", "v/"),
            ("scoop", "scoop/dunena.json", '"license"', '"licence"'),
        ],
    )
    def test_the_forms_refuse_what_the_managers_would(self, out, form, file, old, new):
        text = (out / file).read_text("utf-8")
        assert old in text
        spoilt = YAML(typ="safe", pure=True).load(text.replace(old, new))
        assert not Draft202012Validator({**WINGET, "scoop": SCOOP}[form]).is_valid(spoilt)

    def test_the_scoop_manifest_has_version_urls_and_hashes(self, out, dist, version):
        manifest = json.loads((out / "scoop" / "dunena.json").read_text())
        assert manifest["version"] == version
        for scoops, ours in (("64bit", "x64"), ("arm64", "arm64")):
            file, name = manifest["architecture"][scoops], f"dunena-windows-{ours}.exe"
            assert file["hash"] == self.digest(dist, name)
            assert file["url"].startswith("https://github.com/someone/else/releases/download/v")
            assert file["url"].endswith(f"/{name}#/dunena.exe")
            # Filled in by Scoop for the versions to come, and not by us.
            later = manifest["autoupdate"]["architecture"][scoops]["url"]
            assert later.endswith(f"/v$version/{name}#/dunena.exe")

    def test_the_scoop_manifest_persists_the_default_folder(self, out):
        """Scoop replaces the folder of the program, where the values are, with each version."""
        manifest = json.loads((out / "scoop" / "dunena.json").read_text())
        assert manifest["persist"] == DEFAULT_FOLDER

    def test_the_homebrew_formula_keeps_values_over_an_upgrade(self, out):
        text = (out / "homebrew" / "dunena.rb").read_text()
        assert 'CACHE_DIR: "${CACHE_DIR:-#{var}/dunena}"' in text
        assert not re.search(r"\bbin\.install", text), "never without it"

    def test_the_homebrew_formula_has_an_archive_for_each_machine(self, out, dist):
        text = (out / "homebrew" / "dunena.rb").read_text()
        pairs = re.findall(r'url ".*/(.+)"\n\s+sha256 "(.+)"', text)
        assert dict(pairs) == {
            name: self.digest(dist, name)
            for name in (target.archive for target in TARGETS if target.system != "windows")
        }

    @pytest.mark.skipif(not shutil.which("ruby"), reason="there is no Ruby")
    def test_the_homebrew_formula_is_valid_ruby(self, out):
        subprocess.run(["ruby", "-c", out / "homebrew" / "dunena.rb"], check=True)

    def test_manifests_fail_without_every_target(self, run, dist, tmp_path, version):
        (dist / "dunena-macos-arm64.zip").unlink()
        run("checksums", dist)
        code, _, err = run("manifests", f"v{version}", dist, tmp_path / "out")
        assert code == 1
        assert "'macos_arm64_archive'" in err

    @pytest.mark.parametrize("repository", ["", "a", 'a/b"', "a/b/c"])
    def test_manifests_refuse_an_invalid_repository(self, tmp_path, repository):
        write = load("releasekit.manifests").write
        with pytest.raises(ReleaseError, match="no repository"):
            write("1.0.0", repository, tmp_path, tmp_path, tmp_path)

    def test_manifests_refuse_an_invalid_checksum(self, dist, tmp_path):
        (dist / "SHA2-256SUMS").write_text('x"  dunena-windows-x64.exe\n')
        with pytest.raises(ReleaseError, match="checksum that is none"):
            load("releasekit.manifests").write("1.0.0", "a/b", dist, tmp_path, tmp_path)
