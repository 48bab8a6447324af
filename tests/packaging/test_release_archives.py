"""build/release.py: archives with executable programs, and checksums in standard formats."""

import shutil
import stat
import subprocess
import zipfile

import pytest

from tests.packaging import made_up
from tests.packaging.made_up import load

ReleaseError = load("releasekit.errors").ReleaseError
TARGETS = load("releasekit.targets").TARGETS


class TestArchives:
    def faults(self, dist):
        with pytest.raises(ReleaseError) as caught:
            load("releasekit.archives").check(dist)
        return str(caught.value).splitlines()

    def test_valid_archives_pass_the_check(self, run, dist):
        code, out, err = run("archives", dist)
        assert (code, err) == (0, "")
        assert len(out.splitlines()) == len(TARGETS)

    def test_only_existing_targets_are_checked(self, dist):
        for path in dist.glob("*macos*"):
            path.unlink()
        left = [target for target in TARGETS if target.system != "macos"]
        assert len(load("releasekit.archives").check(dist)) == len(left)

    def test_a_folder_without_executables_fails_the_check(self, tmp_path):
        assert self.faults(tmp_path) == [f"{tmp_path}: no executable in it"]

    def test_a_missing_archive_fails_the_check(self, dist):
        (dist / "dunena-macos-x64-folder.zip").unlink()
        assert self.faults(dist) == ["dunena-macos-x64-folder.zip is missing"]

    def test_a_damaged_archive_fails_the_check(self, dist):
        (dist / "dunena-macos-x64.zip").write_bytes(b"PK")
        (dist / "dunena-linux-x64.tar.gz").write_bytes(b"\x1f\x8b")
        first, second = self.faults(dist)
        assert first.startswith("dunena-macos-x64.zip cannot be read")
        assert second.startswith("dunena-linux-x64.tar.gz cannot be read")

    def test_an_archive_with_a_different_program_fails_the_check(self, dist):
        (dist / "dunena-windows-x64.exe").write_bytes(b"MZ other")
        assert self.faults(dist) == [
            "dunena-windows-x64.zip does not hold the bytes of dunena-windows-x64.exe"
        ]

    @pytest.mark.parametrize("pack", [made_up.tar, made_up.zipped])
    def test_an_archive_with_a_non_executable_program_fails_the_check(self, dist, pack):
        target = next(one for one in TARGETS if (pack is made_up.tar) == (one.system == "linux"))
        if target.system == "windows":
            target = next(one for one in TARGETS if one.system == "macos")
        program = made_up.PROGRAMS[target.system]
        pack(dist / target.archive, {target.executable: program}, mode=0o644)
        assert self.faults(dist) == [
            f"{target.archive}: {target.executable} has mode 644 instead of 755"
        ]

    @pytest.mark.parametrize("name", ["/dunena-linux-x64", "../dunena-linux-x64"])
    def test_an_archive_with_a_path_outside_its_folder_fails_the_check(self, dist, name):
        made_up.tar(dist / "dunena-linux-x64.tar.gz", {name: made_up.PROGRAMS["linux"]})
        assert self.faults(dist) == [
            f"dunena-linux-x64.tar.gz: {name} would be unpacked outside of the folder"
        ]

    def test_an_archive_without_a_program_fails_the_check(self, dist):
        made_up.zipped(dist / "dunena-macos-x64-folder.zip", {"README.md": b""})
        assert self.faults(dist) == ["dunena-macos-x64-folder.zip: no program in it"]

    def test_replace_keeps_name_mode_and_other_members(self, tmp_path):
        path = tmp_path / "x.zip"
        made_up.zipped(path, {"dunena.exe": b"old", "LICENSE": b"text"})
        load("releasekit.archives").replace(path, "dunena.exe", b"signed")
        with zipfile.ZipFile(path) as archive:
            assert archive.namelist() == ["dunena.exe", "LICENSE"]
            assert archive.read("dunena.exe") == b"signed"
            assert archive.read("LICENSE") == b"text"
            assert stat.S_IMODE(archive.infolist()[0].external_attr >> 16) == 0o755
        assert [entry.name for entry in tmp_path.iterdir()] == ["x.zip"]


class TestChecksums:
    def test_checksums_cover_every_file_in_order(self, run, dist):
        code, out, _ = run("checksums", dist)
        assert code == 0
        assert out.split() == [str(dist / "SHA2-256SUMS"), str(dist / "SHA2-512SUMS")]
        lines = (dist / "SHA2-256SUMS").read_text().splitlines()
        names = [line.split("  ")[1] for line in lines]
        assert names == sorted(path.name for path in dist.iterdir() if "SUMS" not in path.name)

    @pytest.mark.skipif(not shutil.which("sha256sum"), reason="there is no sha256sum")
    def test_sha256sum_and_sha512sum_read_the_checksums(self, run, dist):
        run("checksums", dist)
        for tool, name in (("sha256sum", "SHA2-256SUMS"), ("sha512sum", "SHA2-512SUMS")):
            subprocess.run([tool, "--strict", "--check", name], cwd=dist, check=True)
        (dist / "dunena-linux-x64").write_bytes(b"another")
        done = subprocess.run(["sha256sum", "--check", "SHA2-256SUMS"], cwd=dist, check=False)
        assert done.returncode == 1

    def test_checksums_are_the_same_when_written_twice(self, run, dist):
        run("checksums", dist)
        first = (dist / "SHA2-512SUMS").read_bytes()
        run("checksums", dist)
        assert (dist / "SHA2-512SUMS").read_bytes() == first

    def test_checksums_of_an_empty_folder_are_an_error(self, run, tmp_path):
        code, _, err = run("checksums", tmp_path)
        assert code == 1
        assert "nothing to sum up" in err

    def test_checksums_refuse_a_file_name_with_a_backslash(self, tmp_path):
        (tmp_path / "a\\b").touch()
        if not (tmp_path / "a\\b").is_file() or len(list(tmp_path.iterdir())) != 1:
            pytest.skip("no such file name here")
        with pytest.raises(ReleaseError, match="cannot stand"):
            load("releasekit.checksums").write(tmp_path)

    def test_manifests_fail_without_checksums(self, run, dist, tmp_path, version):
        code, _, err = run("manifests", f"v{version}", dist, tmp_path / "out")
        assert code == 1
        assert "`checksums` makes it" in err
