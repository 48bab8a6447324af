"""build/armkit/: what it unpacks, starts and expects, without a qemu."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.named_tests import names_in

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"

TOOLS = {"strip", "objdump", "objcopy"}
"""By these names our build and PyInstaller call the parts of binutils."""

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="about namespaces of Linux")


@pytest.fixture(scope="module", autouse=True)
def _import_path():
    """build/ is a folder of scripts and no package."""
    sys.path.insert(0, str(BUILD))
    yield
    sys.path.remove(str(BUILD))


def load(name):
    return importlib.import_module(f"armkit.{name}")


class TestBeyond:
    def test_the_lists_name_existing_tests_with_reasons(self):
        beyond = load("beyond")
        for name, reason in (beyond.BEYOND_QEMU | beyond.BEYOND_PURE).items():
            module, _, function = name.partition("::")
            assert module.startswith(f"{load('commands').SUITE}/"), name
            assert function in names_in(ROOT / module), name
            assert reason.strip(), name

    @pytest.mark.parametrize("is_pure", [False, True])
    def test_listed_tests_may_fail(self, tmp_path, is_pure):
        (tmp_path / "test_them.py").write_text(
            "def test_one(): assert not 'possible'\ndef test_pure(): assert not 'compiled'\n",
            encoding="utf-8",
        )
        (tmp_path / "listing.py").write_text(
            "from armkit import beyond\n"
            "beyond.BEYOND_QEMU['test_them.py::test_one'] = 'why'\n"
            "beyond.BEYOND_PURE['test_them.py::test_pure'] = 'why'\n",
            encoding="utf-8",
        )
        environ = load("commands").environ(Path("/made"), {}, is_pure=is_pure)
        environ["PYTHONPATH"] = os.pathsep.join([str(tmp_path), environ["PYTHONPATH"]])
        words = [sys.executable, "-m", "pytest", "-p", "listing", *load("commands").OPTIONS]
        words += ["--rootdir", str(tmp_path), str(tmp_path)]
        done = subprocess.run(
            words, env=environ, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
        )
        assert done.returncode == (0 if is_pure else 1)
        assert ("2 xfailed" if is_pure else "1 failed, 1 xfailed") in done.stdout


class TestRun:
    """The command, with another program in the place of qemu."""

    @pytest.fixture
    def run(self, tmp_path, monkeypatch):
        commands, bench = load("commands"), load("bench")
        built = []

        def run(arguments, script):
            monkeypatch.setattr(commands, "cache_folder", lambda: tmp_path)
            monkeypatch.setattr(bench, "check_machine", lambda *_, is_root: None)
            monkeypatch.setattr(bench, "provide_programs", lambda: None)
            monkeypatch.setattr(bench.Bench, "_make", lambda _: None)
            monkeypatch.setattr(
                commands.DEVELOPMENT.__class__, "prepare", lambda *_: Path("python")
            )
            monkeypatch.setattr(
                bench.Bench,
                "command_beside",
                lambda _, *words: [sys.executable, "-c", script, *words],
            )

            def build(_, *, is_pure):
                built.append(is_pure)
                return Path("/made/dunena-linux-arm64")

            monkeypatch.setattr(commands, "build_executable", build)
            return commands.run(arguments, {"DUNENA_TEST_BROWSER": "/a/browser"}), built

        return run

    @pytest.mark.skipif(not hasattr(os, "geteuid"), reason="the command is for Linux")
    def test_run_passes_the_executable_to_the_tests_and_returns_their_code(self, run, capfdbinary):
        script = "import os, sys; print(os.environ['DUNENA_TEST_EXECUTABLE'],"
        script += " os.environ['DUNENA_TEST_BROWSER'], sys.argv[-1]); sys.exit(3)"
        assert run([], script) == (3, [False])
        line = b"/made/dunena-linux-arm64 /a/browser tests/binary"
        assert line in capfdbinary.readouterr().out.splitlines()

    @pytest.mark.skipif(not hasattr(os, "geteuid"), reason="the command is for Linux")
    def test_pure_is_no_path(self, run, capfdbinary):
        path = "tests/binary/test_life.py"
        assert run(["--pure", path], "import sys; print(sys.argv[-1])") == (0, [True])
        assert path.encode() in capfdbinary.readouterr().out.splitlines()

    @pytest.mark.parametrize("path", ["tests/binary/nothing.py", "tests/unit", "--puer"])
    def test_what_is_no_test_of_the_executable_is_refused(self, run, path):
        commands = load("commands")
        with pytest.raises(commands.CommandError, match=f"there is no {path} in tests/binary"):
            run([path], "")


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        (("linux", "aarch64", True), "emulates nothing"),
        (("linux", "riscv64", True), "no other machine"),
        (("darwin", "x86_64", True), "no other machine"),
        (("linux", "x86_64", False), "only root"),
    ],
)
def test_machines_that_it_is_not_for_are_refused(machine, reason):
    bench = load("bench")
    with pytest.raises(bench.CommandError, match=reason):
        bench.check_machine(*machine[:2], is_root=machine[2])
    bench.check_machine("linux", "x86_64", is_root=True)


def test_missing_programs_raise_with_the_packages_to_install(monkeypatch):
    bench = load("bench")
    monkeypatch.setattr(bench, "can_use_apt", lambda: False)
    monkeypatch.setattr(bench.shutil, "which", lambda name: None)
    with pytest.raises(bench.CommandError, match="apt install mmdebstrap qemu-user-static"):
        bench.provide_programs()


def test_the_cache_folder_is_outside_the_source_tree(monkeypatch, tmp_path):
    bench = load("bench")
    assert not bench.cache_folder().is_relative_to(ROOT)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert bench.cache_folder() == tmp_path / "dunena-arm64"


def test_the_digest_of_a_bench_changes_with_its_pins(monkeypatch, tmp_path):
    bench = load("bench")
    before = bench.digest()
    assert bench.digest() == before
    (tmp_path / "executable.txt").write_text("other==1\n", encoding="utf-8")
    monkeypatch.setattr(bench, "_PINS", tmp_path / "executable.txt")
    assert bench.digest() != before


@linux_only
def test_programs_that_a_build_calls_have_their_names_in_the_bench(tmp_path):
    bench = load("bench").Bench(tmp_path)
    for folder in ("etc", "usr/bin", "usr/lib/aarch64-linux-gnu", "usr/share/base-passwd"):
        (bench.root / folder).mkdir(parents=True)
    for name in ("lib/ld-linux-aarch64.so.1", *(f"bin/aarch64-linux-gnu-{one}" for one in TOOLS)):
        (bench.root / "usr" / name).touch()
    for name in ("passwd.master", "group.master"):
        (bench.root / "usr/share/base-passwd" / name).touch()
    bench._finish()
    assert {name for name in TOOLS if (bench.root / "usr/bin" / name).is_file()} == TOOLS


def test_the_wheels_wanted_run_with_the_c_library_of_the_bench():
    platforms = load("bench")._PLATFORMS
    assert {"manylinux2014_aarch64", "manylinux_2_28_aarch64", "manylinux_2_36_aarch64"} <= {
        *platforms
    }
    assert "manylinux_2_37_aarch64" not in platforms


class TestExecutable:
    @pytest.fixture
    def build(self, tmp_path, monkeypatch):
        module, bench = load("executable"), load("bench").Bench(tmp_path)
        monkeypatch.setattr(module, "copy_checkout", lambda folder: None)
        (bench.root / "made").mkdir(parents=True)
        (bench.root / "made" / "dunena-linux-arm64").touch()
        ran = []

        def build(*, is_pure, makes=True):
            def run(command, _what, _log):
                ran.append([str(word) for word in command])
                (bench.root / "made").mkdir()
                if makes:
                    (bench.root / "made" / "dunena-linux-arm64").touch()

            monkeypatch.setattr(module, "run_quietly", run)
            made = module.build_executable(bench, is_pure=is_pure)
            return made, ran

        return build

    @pytest.mark.parametrize("is_pure", [False, True])
    def test_the_executable_is_built_by_the_script_without_a_network(self, build, is_pure):
        made, ((*command,),) = build(is_pure=is_pure)
        assert made.name == "dunena-linux-arm64"
        assert command[0] == sys.executable
        assert "build/executable.py" in command
        assert {"PIP_NO_INDEX=1", "PIP_FIND_LINKS=/wheels"} <= {*command}
        assert ("--pure" in command) == is_pure

    def test_an_executable_of_before_does_not_count(self, build):
        with pytest.raises(load("executable").CommandError, match="there is no dunena-linux-arm64"):
            build(is_pure=False, makes=False)

    def test_the_words_are_those_of_the_script(self, build):
        _, ((*command,),) = build(is_pure=True)
        words = command[command.index("build/executable.py") + 1 :]
        asked = importlib.import_module("packkit.commands").parser().parse_args(words)
        assert (asked.target, asked.pure) == ("linux-arm64", True)

    def test_a_copy_of_the_checkout_keeps_its_environment_and_no_old_source(self, tmp_path):
        (tmp_path / ".venv-executable").mkdir()
        (tmp_path / "dunena").mkdir()
        (tmp_path / "dunena" / "removed.py").touch()
        load("executable").copy_checkout(tmp_path)
        assert (tmp_path / ".venv-executable").is_dir()
        assert not (tmp_path / "dunena" / "removed.py").exists()
        for name in ("dunena/__init__.py", "build/executable.py", "packaging/dunena.spec"):
            assert (tmp_path / name).read_bytes() == (ROOT / name).read_bytes()


@linux_only
class TestNamespace:
    def test_options_come_before_the_command(self):
        asked = load("namespace").parse(
            ["--bind=/a=/b", "--overlay=/c=/d", "--root=/r", "run", "--bind", "-x"]
        )
        assert (asked.bind, asked.overlay) == ([("/a", "/b")], [("/c", "/d")])
        assert (asked.root, asked.command) == ("/r", ["run", "--bind", "-x"])

    def test_a_missing_command_is_wrong_usage(self, capsys):
        with pytest.raises(SystemExit) as ended:
            load("namespace").parse(["--root=/r"])
        assert ended.value.code == 2
        assert "a command is missing" in capsys.readouterr().err

    def test_the_script_says_in_a_line_why_it_cannot(self, tmp_path):
        command = [sys.executable, "-P", load("namespace").__file__]
        command += [f"--bind={tmp_path / 'missing'}={tmp_path}", "/bin/true"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith("namespace: ")

    @pytest.mark.parametrize("name", ["command_inside", "command_beside"])
    def test_the_commands_of_a_bench_are_understood(self, tmp_path, name):
        bench = load("bench").Bench(tmp_path)
        command = [str(word) for word in getattr(bench, name)("run", "--it")]
        assert command[2] == load("namespace").__file__
        asked = load("namespace").parse(command[3:])
        assert asked.command[-2:] == ["run", "--it"]
        assert (asked.root == str(bench.root)) == (name == "command_inside")
