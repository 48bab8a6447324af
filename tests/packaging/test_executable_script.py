"""build/executable.py: its decisions, its archives and its answers, without PyInstaller."""

import importlib
import os
import stat
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def _import_path():
    """build/ is a folder of scripts and no package; they find packkit beside them."""
    sys.path.insert(0, str(ROOT / "build"))
    yield
    sys.path.remove(str(ROOT / "build"))


def load(name):
    return importlib.import_module(name)


class TestChoice:
    @pytest.mark.parametrize(
        ("system", "machine", "label"),
        [
            ("linux", "x86_64", "linux-x64"),
            ("linux", "aarch64", "linux-arm64"),
            ("win32", "AMD64", "windows-x64"),
            ("win32", "ARM64", "windows-arm64"),
            ("darwin", "x86_64", "macos-x64"),
            ("darwin", "arm64", "macos-arm64"),
            ("linux", "riscv64", "linux-riscv64"),
            ("freebsd14", "amd64", "freebsd14-x64"),
        ],
    )
    def test_host_label_names_system_and_machine(self, system, machine, label):
        assert load("packkit.choice").host_label(system, machine) == label

    @pytest.mark.parametrize(
        ("word", "names"),
        [
            ("linux", ["dunena-linux-x64"]),
            ("linux-arm64", ["dunena-linux-arm64"]),
            ("windows", ["dunena-windows-x64.exe"]),
            ("windows-arm64", ["dunena-windows-arm64.exe"]),
            ("macos-intel", ["dunena-macos-x64"]),
            ("macos-arm", ["dunena-macos-arm64"]),
            ("", ["dunena-macos-arm64"]),
        ],
    )
    def test_asked_for_maps_a_word_to_its_targets(self, word, names):
        asked = load("packkit.choice").asked_for(word, "macos-arm64")
        assert [target.executable for target in asked] == names

    def test_asked_for_all_is_every_target(self):
        targets = load("releasekit.targets").TARGETS
        assert load("packkit.choice").asked_for("all", "linux-x64") == list(targets)

    def test_every_target_can_be_asked_for_by_a_word(self):
        labels = {target.label for target in load("releasekit.targets").TARGETS}
        assert set(load("packkit.choice").WORDS.values()) == labels

    def test_main_returns_1_on_an_unsupported_machine(self):
        assert load("packkit.choice").asked_for("", "freebsd14-x64") == []

    def test_not_here_names_the_workflow_that_builds_a_target(self):
        choice = load("packkit.choice")
        (target,) = choice.asked_for("windows", "linux-x64")
        line = choice.not_here(target)
        assert line.startswith("dunena-windows-x64.exe ")
        assert "release.yml does, in its job build" in line
        workflow = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
        assert "\n  build:\n" in workflow
        assert "workflow_dispatch" in workflow


class TestMain:
    @pytest.fixture
    def made(self, monkeypatch):
        """What would be made on a Linux machine, without making it."""
        commands = load("packkit.commands")
        made = []
        monkeypatch.setattr(commands, "make", lambda target, *_, **__: made.append(target.label))
        monkeypatch.setattr(commands.choice, "host_label", lambda *_: "linux-x64")
        return made

    @pytest.mark.parametrize("arguments", [[], ["linux"]])
    def test_main_builds_the_target_of_this_machine(self, made, capsys, arguments):
        assert load("packkit.commands").main(arguments) == 0
        assert made == ["linux-x64"]
        assert capsys.readouterr().err == ""

    def test_main_with_all_builds_this_target_and_names_the_rest(self, made, capsys):
        assert load("packkit.commands").main(["all"]) == 0
        assert made == ["linux-x64"]
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == len(load("releasekit.targets").TARGETS) - 1
        assert all("release.yml" in line for line in lines)

    @pytest.mark.parametrize("word", ["windows", "macos-intel", "macos-arm", "linux-arm64"])
    def test_main_returns_1_when_no_target_can_be_built(self, made, capsys, word):
        assert load("packkit.commands").main([word]) == 1
        assert made == []
        assert len(capsys.readouterr().err.splitlines()) == 1

    def test_main_returns_1_on_an_unsupported_machine(self, made, monkeypatch, capsys):
        commands = load("packkit.commands")
        monkeypatch.setattr(commands.choice, "host_label", lambda *_: "plan9-x64")
        assert commands.main([]) == 1
        assert "there is no executable for plan9-x64" in capsys.readouterr().err

    def test_wrong_usage_returns_2(self, made, capsys):
        with pytest.raises(SystemExit) as ended:
            load("packkit.commands").main(["solaris"])
        assert ended.value.code == 2
        assert "solaris" in capsys.readouterr().err

    def test_a_failure_prints_one_line_and_returns_1(self, made, monkeypatch, capsys):
        commands = load("packkit.commands")

        def fail(*_, **__):
            raise load("devkit.console").CommandError("no luck")

        monkeypatch.setattr(commands, "make", fail)
        assert commands.main([]) == 1
        assert capsys.readouterr().err == "executable: no luck\n"

    def test_an_interrupt_returns_130(self, made, monkeypatch):
        commands = load("packkit.commands")

        def interrupt(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr(commands, "make", interrupt)
        assert commands.main([]) == 130


class TestMake:
    def target(self):
        return load("releasekit.targets").TARGETS[0]

    def test_a_work_folder_that_is_not_empty_is_refused(self, tmp_path):
        (tmp_path / "old").touch()
        with pytest.raises(load("devkit.console").CommandError, match="is not empty"):
            load("packkit.commands").make(self.target(), tmp_path / "dist", tmp_path)

    def test_the_temporary_work_folder_is_removed_after_success(
        self, tmp_path, monkeypatch, capsys
    ):
        commands = load("packkit.commands")
        used = []

        def build(target, output, work, *, is_pure):
            used.append(work)
            (output / "a").write_bytes(bytes(1_900_000))
            return [output / "a"]

        monkeypatch.setattr(commands.builder, "build", build)
        commands.make(self.target(), tmp_path, None)
        assert not used[0].exists()
        assert "a (1.9 MB)" in capsys.readouterr().out

    @pytest.mark.parametrize(("words", "is_pure"), [([], False), (["--pure"], True)])
    def test_pure_python_is_built_only_with_the_pure_option(
        self, tmp_path, monkeypatch, words, is_pure
    ):
        commands = load("packkit.commands")
        asked = []
        monkeypatch.setattr(commands.choice, "host_label", lambda *_: "linux-x64")
        monkeypatch.setattr(
            commands.builder, "build", lambda *_, is_pure: asked.append(is_pure) or []
        )
        assert commands.main([*words, "--work", str(tmp_path / "work")]) == 0
        assert asked == [is_pure]

    def test_the_temporary_work_folder_is_kept_after_a_failure(self, tmp_path, monkeypatch):
        commands = load("packkit.commands")
        used = []

        def build(target, output, work, *, is_pure):
            used.append(work)
            raise PermissionError(13, "Permission denied", "dist")

        monkeypatch.setattr(commands.builder, "build", build)
        with pytest.raises(load("devkit.console").CommandError, match=r"cannot build .*dist"):
            commands.make(self.target(), tmp_path, None)
        assert used[0].is_dir()
        used[0].rmdir()


class TestBuilder:
    def test_build_environ_makes_builds_reproducible(self, tmp_path):
        environ = load("packkit.builder").build_environ(tmp_path, tmp_path, 123)
        assert environ["SOURCE_DATE_EPOCH"] == "123"
        assert environ["PYTHONHASHSEED"].isdecimal()

    @pytest.mark.parametrize(
        ("system", "level"), [("linux", "0"), ("darwin", "0"), ("win32", None)]
    )
    def test_modules_are_compressed_only_where_no_launcher_is(
        self, monkeypatch, tmp_path, system, level
    ):
        monkeypatch.setattr(sys, "platform", system)
        environ = load("packkit.builder").build_environ(tmp_path, tmp_path, 123)
        assert environ.get("PYINSTALLER_ZLIB_COMPRESSION_LEVEL") == level

    def test_source_time_is_source_date_epoch_or_a_fixed_time_without_git(
        self, monkeypatch, tmp_path
    ):
        dates = load("devkit.dates")
        assert dates.source_time({"SOURCE_DATE_EPOCH": "86400"}) == 86_400
        monkeypatch.setattr(dates, "ROOT", tmp_path)
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
        assert dates.source_time({}) == dates._FALLBACK_TIME

    def test_source_time_rejects_an_invalid_source_date_epoch(self):
        with pytest.raises(load("devkit.console").CommandError, match="SOURCE_DATE_EPOCH"):
            load("devkit.dates").source_time({"SOURCE_DATE_EPOCH": "yesterday"})

    def test_a_missing_strip_names_the_package_to_install(self, monkeypatch):
        builder = load("packkit.builder")
        monkeypatch.setattr(builder.sys, "platform", "linux")
        with pytest.raises(load("devkit.console").CommandError, match="apt install binutils"):
            builder._check_tools(None)

    def test_a_missing_compiler_names_the_package_and_on_windows_the_pure_option(
        self, tmp_path, monkeypatch
    ):
        """And never makes the slower one by itself."""
        compiled = load("devkit.compiled")
        hint = load("packkit.builder").PURE_HINT
        said = []

        def fail(*_, hint, **__):
            said.append(hint)
            raise load("devkit.console").CommandError("no gcc")

        monkeypatch.setattr(compiled, "run_quietly", fail)
        for is_pure in (False, True):
            with pytest.raises(load("devkit.console").CommandError):
                compiled.build_wheel(
                    Path("python"), tmp_path, tmp_path / "log", is_pure=is_pure, hint=hint
                )
        assert said == [compiled.NO_COMPILER + hint, ""]
        assert "apt install gcc" in said[0]
        assert "--pure" in said[0]

    @pytest.mark.parametrize("label", ["linux-x64", "windows-x64", "macos-arm64"])
    def test_deliver_writes_all_files_of_a_target(self, tmp_path, label):
        target = next(one for one in load("releasekit.targets").TARGETS if one.label == label)
        program = "dunena.exe" if target.system == "windows" else "dunena"
        executable, folder = tmp_path / "made" / target.executable, tmp_path / "made" / "folder"
        folder.mkdir(parents=True)
        executable.write_bytes(b"single")
        (folder / program).write_bytes(b"of folder")
        deliver = load("packkit.builder")._deliver
        made = deliver(target, executable, folder, tmp_path / "dist", 1_700_000_000)
        assert [path.name for path in made] == list(target.files)
        assert made[0].read_bytes() == b"single"
        read = load("releasekit.archives").read
        packed = [{one.name: (one.data, one.mode) for one in read(path)} for path in made[1:]]
        top, right = f"dunena-{label}", stat.S_IFREG | 0o755
        assert packed[0].pop(f"{top}/{target.executable}") == (b"single", right)
        assert packed[1].pop(f"{top}-folder/{program}") == (b"of folder", right)
        assert [list(names) for names in packed] == [[f"{top}/LICENSE"], [f"{top}-folder/LICENSE"]]

    def test_signing_command_uses_a_stable_identifier(self):
        builder = load("packkit.builder")
        bare = builder.signing_command(Path("x"), "")
        assert bare[bare.index("--sign") + 1] == "-"
        assert bare[bare.index("--identifier") + 1] == builder.BUNDLE_IDENTIFIER
        assert "runtime" not in bare

    def test_signing_command_with_an_identity_uses_hardened_runtime_and_entitlements(self):
        signed = load("packkit.builder").signing_command(Path("x"), "Developer ID Application")
        assert signed[signed.index("--options") + 1] == "runtime"
        assert Path(signed[signed.index("--entitlements") + 1]).is_file()
        assert signed[-1] == Path("x")


class TestArchives:
    @pytest.fixture
    def folder(self, tmp_path):
        folder = tmp_path / "top"
        (folder / "_internal").mkdir(parents=True)
        (folder / "dunena").write_bytes(b"program")
        (folder / "_internal" / "library.so").write_bytes(b"library")
        return folder

    def pack(self, folder, path, seconds=1_700_000_000):
        load("packkit.archives").pack(path, folder, "dunena", seconds)
        return path

    @pytest.mark.parametrize("name", ["a.tar.gz", "a.zip"])
    def test_an_archive_has_the_same_bytes_for_any_order_times_and_modes(
        self, folder, tmp_path, name, monkeypatch
    ):
        first = self.pack(folder, tmp_path / name)
        second = tmp_path / f"other-{name}"
        for path in folder.rglob("*"):
            os.utime(path, (1, 1))
        (folder / "dunena").chmod(0o700)
        order = list(folder.rglob("*"))
        monkeypatch.setattr(type(folder), "rglob", lambda *_: reversed(order))
        assert first.read_bytes() == self.pack(folder, second).read_bytes()

    def test_a_tar_archive_keeps_modes_and_has_no_owner_names(self, folder, tmp_path):
        with tarfile.open(self.pack(folder, tmp_path / "a.tar.gz")) as archive:
            members = {member.name: member for member in archive}
        assert list(members) == ["top/_internal/library.so", "top/dunena"]
        assert members["top/dunena"].mode == 0o755
        assert members["top/_internal/library.so"].mode == 0o644
        for member in members.values():
            assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
            assert member.mtime == 1_700_000_000

    def test_a_zip_archive_keeps_modes(self, folder, tmp_path):
        with zipfile.ZipFile(self.pack(folder, tmp_path / "a.zip")) as archive:
            modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
            assert archive.read("top/dunena") == b"program"
            assert archive.infolist()[0].date_time == (2023, 11, 14, 22, 13, 20)
        assert modes == {
            "top/_internal/library.so": stat.S_IFREG | 0o644,
            "top/dunena": stat.S_IFREG | 0o755,
        }

    def test_a_zip_archive_has_no_time_before_1980(self, folder, tmp_path):
        with zipfile.ZipFile(self.pack(folder, tmp_path / "a.zip", seconds=0)) as archive:
            assert archive.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)

    @pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
    def test_archives_keep_links_as_links(self, folder, tmp_path):
        (folder / "link").symlink_to("_internal/library.so")
        with tarfile.open(self.pack(folder, tmp_path / "a.tar.gz")) as archive:
            assert archive.getmember("top/link").linkname == "_internal/library.so"
        with zipfile.ZipFile(self.pack(folder, tmp_path / "a.zip")) as archive:
            assert stat.S_ISLNK(archive.getinfo("top/link").external_attr >> 16)
            assert archive.read("top/link") == b"_internal/library.so"

    def test_the_gzip_header_contains_no_file_name(self, folder, tmp_path):
        """Which would be another one in every work folder."""
        data = self.pack(folder, tmp_path / "a.tar.gz").read_bytes()
        assert b"a.tar" not in data[:40]
        assert data[3] == 0


def test_the_script_tells_an_old_python_which_version_it_needs():
    """The script itself must be readable by one: no annotations, no new syntax."""
    text = (ROOT / "build" / "executable.py").read_text(encoding="utf-8")
    compile(text, "executable.py", "exec", flags=0, dont_inherit=True)
    assert "->" not in text
    assert 'f"' not in text
    assert "needs Python 3.11" in text
