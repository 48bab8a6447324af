"""build/release.py glibc: what a Linux program needs, and all that is packed into it."""

import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.made_up import elf, launcher, load, packed, tar, zipped

ReleaseError = load("releasekit.errors").ReleaseError


def needs(path):
    return [(need.name, need.version) for need in load("releasekit.glibc").needs(path)]


class TestElf:
    def test_needed_versions_returns_every_symbol_version(self):
        data = elf("GLIBC_2.2.5", "GLIBC_2.28", "OPENSSL_3.0.0")
        versions = load("releasekit.glibc").needed_versions(data)
        assert versions == {"GLIBC_2.2.5", "GLIBC_2.28", "OPENSSL_3.0.0"}

    def test_needed_versions_of_a_static_program_are_empty(self):
        assert load("releasekit.glibc").needed_versions(elf()) == set()

    @pytest.mark.parametrize(
        "data",
        [b"", b"MZ", elf("GLIBC_2.28")[:200], elf()[:40]],
        ids=["empty", "Windows", "cut", "cut in its head"],
    )
    def test_needed_versions_raises_for_an_invalid_elf_file(self, data):
        with pytest.raises(ReleaseError, match="damaged ELF file"):
            load("releasekit.glibc").needed_versions(data)

    def test_a_program_without_a_section_table_raises_release_error(self):
        program = bytearray(elf("GLIBC_2.28"))
        segment = struct.pack("<IIQQQQQQ", 2, 4, 0, 0, 0, 16, 16, 8)
        program[32:48] = struct.pack("<QQ", len(program), 0)
        program[56:64] = struct.pack("<HHHH", 1, 0, 0, 0)
        with pytest.raises(ReleaseError, match="table of sections"):
            load("releasekit.glibc").needed_versions(bytes(program) + segment)

    @pytest.mark.skipif(
        sys.platform != "linux" or not shutil.which("objdump"), reason="needs Linux and objdump"
    )
    def test_needed_versions_agree_with_objdump(self):
        python = Path(sys.executable).resolve()
        done = subprocess.run(["objdump", "-p", python], capture_output=True, text=True, check=True)
        _, _, references = done.stdout.partition("Version References:")
        expected = set(re.findall(r" ([A-Z][A-Za-z]+_\S+)$", references, re.MULTILINE))
        assert expected
        assert load("releasekit.glibc").needed_versions(python.read_bytes()) == expected


class TestBundle:
    def names(self, path):
        return [name for name, _ in load("releasekit.bundle").walk(path)]

    @pytest.mark.parametrize("deflated", [True, False])
    def test_walk_yields_the_files_inside_an_executable(self, tmp_path, deflated):
        file = tmp_path / "dunena"
        file.write_bytes(packed(elf(), {"a.so": b"one", "b/c.so": b"two"}, deflated))
        walked = dict(load("releasekit.bundle").walk(file))
        assert walked["dunena: a.so"] == b"one"
        assert walked["dunena: b/c.so"] == b"two"

    def test_walk_yields_the_files_inside_archives(self, tmp_path):
        tar(tmp_path / "x.tar.gz", {"inner": packed(elf(), {"a.so": b"one"})})
        zipped(tmp_path / "y.zip", {"folder/file": b"two"})
        assert self.names(tmp_path) == [
            "x.tar.gz",
            "x.tar.gz: inner",
            "x.tar.gz: inner: a.so",
            "y.zip",
            "y.zip: folder/file",
        ]

    def test_walk_yields_the_files_inside_a_launcher(self, tmp_path):
        file = tmp_path / "dunena"
        file.write_bytes(launcher({"a.so": b"one", "b/c.so": b"two"}))
        walked = dict(load("releasekit.bundle").walk(file))
        assert list(walked) == ["dunena", "dunena: a.so", "dunena: b/c.so"]
        assert walked["dunena: b/c.so"] == b"two"

    def test_the_magic_number_in_a_launcher_is_not_taken_for_an_archive(self, tmp_path):
        """It can come about in what is compressed; here it is, as bytes that nothing shortens."""
        mark = b"MEI\x0c\x0b\x0a\x0b\x0e" + bytes(range(200, 100, -1))
        file = tmp_path / "dunena"
        file.write_bytes(launcher({"a.so": mark}))
        assert mark in file.read_bytes()
        assert self.names(file) == ["dunena", "dunena: a.so"]

    def test_the_magic_number_alone_is_not_taken_for_an_archive(self, tmp_path):
        file = tmp_path / "dunena"
        file.write_bytes(elf() + b"MEI\x0c\x0b\x0a\x0b\x0e" + bytes(90))
        assert self.names(file) == ["dunena"]

    def test_walk_raises_for_a_damaged_executable(self, tmp_path):
        file = tmp_path / "dunena"
        good = packed(elf(), {"a.so": b"one" * 100})
        file.write_bytes(elf() + b"\xff" * 6 + good[len(elf()) + 6 :])
        with pytest.raises(ReleaseError, match="cannot be read"):
            self.names(file)

    def test_walk_raises_for_a_missing_file(self, tmp_path):
        with pytest.raises(ReleaseError, match="no such file"):
            self.names(tmp_path / "none")


class TestGlibc:
    def test_files_are_listed_from_the_newest_glibc_version(self, tmp_path):
        libraries = {"libssl.so": elf("GLIBC_2.28"), "page.html": b"no library"}
        (tmp_path / "dunena").write_bytes(packed(elf("GLIBC_2.14"), libraries))
        assert needs(tmp_path) == [("dunena: libssl.so", (2, 28)), ("dunena", (2, 14))]

    def test_a_static_launcher_needs_what_the_program_in_it_does(self, tmp_path):
        program = packed(elf("GLIBC_2.14"), {"libssl.so": elf("GLIBC_2.28")})
        (tmp_path / "dunena").write_bytes(launcher({"dunena": program}))
        assert needs(tmp_path) == [
            ("dunena: dunena: libssl.so", (2, 28)),
            ("dunena: dunena", (2, 14)),
            ("dunena", ()),
        ]

    @pytest.mark.parametrize(
        ("names", "version"),
        [
            (["GLIBC_2.9", "GLIBC_2.28"], (2, 28)),
            (["GLIBC_2.2.5"], (2, 2, 5)),
            (["OPENSSL_3.9", "GCC_4.0"], ()),
            (["GLIBC_2.4", "GLIBC_ABI_DT_RELR"], (2, 36)),
        ],
    )
    def test_newest_returns_the_highest_glibc_version(self, names, version):
        assert load("releasekit.glibc").newest(set(names)) == version

    @pytest.mark.parametrize("name", ["GLIBC_PRIVATE", "GLIBC_ABI_NEW"])
    def test_a_private_glibc_symbol_raises(self, tmp_path, name):
        (tmp_path / "libx.so").write_bytes(elf(name))
        with pytest.raises(ReleaseError, match=rf"libx.so: needs {name}"):
            needs(tmp_path)

    def run(self, capsys, path, *arguments):
        code = load("releasekit.commands").main(["glibc", str(path), *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    def test_a_program_at_the_glibc_limit_passes(self, tmp_path, capsys):
        (tmp_path / "one").write_bytes(elf("GLIBC_2.28"))
        (tmp_path / "two").write_bytes(elf("GLIBC_2.17"))
        assert self.run(capsys, tmp_path) == (
            0,
            "glibc floor 2.28, of 2 programs and libraries\n  2.28  one\n",
            "",
        )

    def test_files_above_the_glibc_limit_are_named(self, tmp_path, capsys):
        for name, version in (("one", "2.34"), ("two", "2.29"), ("three", "2.17")):
            (tmp_path / name).write_bytes(elf(f"GLIBC_{version}"))
        code, out, err = self.run(capsys, tmp_path)
        assert (code, out) == (1, "")
        assert err == (
            "release: glibc floor 2.34, of 3 programs and libraries\n"
            "release:   2.34  one\n"
            "release:   2.29  two\n"
            "release: that is newer than 2.28, the newest one allowed\n"
        )

    def test_the_max_option_sets_the_glibc_limit(self, tmp_path, capsys):
        (tmp_path / "one").write_bytes(elf("GLIBC_2.34"))
        assert self.run(capsys, tmp_path, "--max", "2.34")[0] == 0

    def test_a_folder_without_linux_programs_is_an_error(self, tmp_path, capsys):
        (tmp_path / "text").write_text("x")
        code, _, err = self.run(capsys, tmp_path)
        assert code == 1
        assert "no Linux program" in err
