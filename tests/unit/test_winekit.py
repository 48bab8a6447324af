"""build/winekit/: what the tests under Wine say, and how it is counted, without a Wine."""

import contextlib
import importlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.named_tests import names_in
from tests.support.patience import patiently
from tests.support.read_anywhere import posix_names

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"


@pytest.fixture(scope="module", autouse=True)
def _import_path():
    """build/ is a folder of scripts and no package."""
    sys.path.insert(0, str(BUILD))
    yield
    sys.path.remove(str(BUILD))


def load(name):
    return importlib.import_module(f"winekit.{name}")


class TestBeyondWine:
    def test_beyond_wine_names_existing_tests(self):
        for name in load("beyond").BEYOND_WINE:
            module, _, function = name.partition("::")
            assert module.startswith(load("commands").SUITES), name
            assert (ROOT / module).is_file(), name
            if function:
                assert function.partition("[")[0] in names_in(ROOT / module), name

    def test_names_in_finds_this_test(self):
        assert "TestBeyondWine::test_names_in_finds_this_test" in names_in(Path(__file__))

    def test_beyond_wine_has_a_reason_for_each_name(self):
        assert all(reason.strip() for reason in load("beyond").BEYOND_WINE.values())


RUN_ALONE = {"tests/bench/footprint.py", "tests/bench/log_alone.py"}
"""Programs for Linux that no test imports."""


class TestReading:
    """What Windows reads of the tests before it runs one."""

    def test_files_of_tests_can_be_read_where_there_is_no_posix(self):
        places = {path.relative_to(ROOT).as_posix(): path for path in ROOT.glob("tests/**/*.py")}
        found = {
            place: posix_names(path) for place, path in places.items() if place not in RUN_ALONE
        }
        assert len(found) > 100
        assert {place: names for place, names in found.items() if names} == {}

    @pytest.mark.parametrize(
        ("text", "names"),
        [
            ("import os, fcntl", ["1: fcntl"]),
            ("from resource import getrlimit", ["1: resource"]),
            ("import ctypes\n_LIBC = ctypes.CDLL(None)", ["2: ctypes.CDLL(None"]),
            ("@mark(1, signal.SIGKILL)\ndef f(): pass", ["1: signal.SIGKILL"]),
            ("def f(number=signal.SIGHUP): pass", ["1: signal.SIGHUP"]),
            ("class A:\n    number = signal.SIGHUP", ["2: signal.SIGHUP"]),
            ("if sys.platform == 'win32':\n    pass\nelse:\n    import pty", ["4: pty"]),
            ("if sys.platform == 'linux':\n    import pty", []),
            ("if sys.platform == 'win32':\n    skip(allow_module_level=True)\nimport pty", []),
            ("def f():\n    import fcntl\n    os.fork()", []),
            ("root = hasattr(os, 'geteuid') and os.geteuid() == 0", []),
            ("stop = lambda: signal.SIGKILL", []),
            ("number = signal.SIGINT", []),
        ],
    )
    def test_posix_names_are_those_used_as_a_file_is_read(self, tmp_path, text, names):
        file = tmp_path / "file.py"
        file.write_text(text, encoding="utf-8")
        assert posix_names(file) == names


class TestPlugin:
    """The plugin for tests that Wine cannot run, in a pytest process of its own."""

    TESTS = """\
import os, pytest

@pytest.mark.parametrize("number", [1, 2])
def test_is_listed(number): assert number == 2

def test_passes(): pass

def test_ends_the_process(): os._exit(1)

def test_comes_behind_it(): pass
"""

    def run(self, folder):
        (folder / "test_them.py").write_text(self.TESTS, encoding="utf-8")
        (folder / "listing.py").write_text(
            "from winekit.beyond import BEYOND_WINE\n"
            "BEYOND_WINE['test_them.py::test_is_listed'] = 'why'\n",
            encoding="utf-8",
        )
        inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        path = filter(None, [str(folder), str(ROOT), str(BUILD), *inherited])
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
        words = [sys.executable, "-m", "pytest", "-p", "listing", *load("commands").OPTIONS]
        # Its own, as it would clear away that of the tests around it under Wine.
        words += ["--basetemp", str(folder / "temporary"), "--rootdir", str(folder), str(folder)]
        done = subprocess.run(
            words, env=environ, cwd=folder, capture_output=True, encoding="utf-8", check=False
        )
        return done.returncode, done.stdout

    def test_listed_tests_may_fail_and_tests_after_a_crash_are_run(self, tmp_path):
        code, output = self.run(tmp_path)
        assert code == 1
        assert "crashed while running 'test_them.py::test_ends_the_process'" in output
        assert "XPASS test_them.py::test_is_listed[2]" in output
        assert "1 failed, 2 passed, 1 xfailed, 1 xpassed" in output


class TestRun:
    """The command, with another program in the place of Wine."""

    @pytest.fixture
    def run(self, tmp_path, monkeypatch):
        commands, bench = load("commands"), load("bench").Bench

        def run(paths, script):
            monkeypatch.setattr(commands, "cache_folder", lambda: tmp_path)
            for name in ("open", "running"):
                monkeypatch.setattr(bench, name, lambda _: contextlib.nullcontext())
            monkeypatch.setattr(
                bench, "command", lambda _, *words: [sys.executable, "-c", script, *words]
            )
            monkeypatch.setattr(commands, "build_executable", lambda _: Path("/made/dunena.exe"))
            return commands.run(paths)

        return run

    def test_run_prints_the_output_of_pytest_and_returns_its_code(self, run, capfdbinary):
        assert run(["tests/unit"], "import sys; print(sys.argv[-1]); sys.exit(3)") == 3
        assert b"tests/unit" in capfdbinary.readouterr().out.splitlines()

    @pytest.mark.parametrize("path", ["tests/binary", "tests/binary/test_life.py"])
    def test_run_passes_an_executable_to_the_tests_of_it(self, run, capfdbinary, path):
        run([path], "import os; print(os.environ['DUNENA_TEST_EXECUTABLE'])")
        assert b"dunena.exe" in capfdbinary.readouterr().out


def test_patiently_extends_a_timeout_by_the_patience_variable(monkeypatch):
    monkeypatch.delenv("DUNENA_TEST_PATIENCE", raising=False)
    assert patiently(20) == 20
    monkeypatch.setenv("DUNENA_TEST_PATIENCE", load("commands").PATIENCE)
    assert patiently(20) == 120


@pytest.mark.parametrize(
    "headers",
    [
        "[Ordinal/Name Pointer] Table\n\t[   0] PyList_New\n\t[  12] _Py_Dealloc\n\t[13] main\n",
        "Table\n\t[   0] +base[   1]  0000 PyList_New\n\t[  12] +base[  13]  000c _Py_Dealloc\n",
    ],
    ids=["binutils 2.40", "binutils 2.44"],
)
def test_forward_exports_the_stable_abi_of_python(headers):
    assert load("bench").forward(headers).splitlines() == [
        "LIBRARY python3.dll",
        "EXPORTS",
        "  PyList_New = python313.PyList_New",
        "  _Py_Dealloc = python313._Py_Dealloc",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="about paths of another system")
def test_as_windows_maps_a_path_to_drive_z():
    assert load("bench").as_windows(Path("/a/b c")) == "Z:\\a\\b c"


def test_the_digest_of_a_bench_changes_with_its_pins(monkeypatch):
    bench = load("bench")
    before = bench.digest()
    assert bench.digest() == before
    monkeypatch.setattr(bench, "_TEST_PINS", bench._TEST_PINS[:1])
    assert bench.digest() != before


def test_the_executable_is_built_with_only_its_own_packages(monkeypatch, tmp_path):
    module, bench = load("executable"), load("bench").Bench(tmp_path)
    ran = []

    def pack(_python, folder, _log, *, is_pure):
        folder.mkdir()
        with zipfile.ZipFile(folder / "dunena.whl", "w") as wheel:
            wheel.writestr("dunena/__init__.py", "")
        return folder / "dunena.whl"

    def build(command, _what, _log, environ, folder):
        ran.append((command, environ["PYTHONPATH"]))
        (folder / "made").mkdir()
        (folder / "made" / "dunena-windows-x64.exe").touch()

    monkeypatch.setattr(module.DEVELOPMENT.__class__, "prepare", lambda *_: None)
    monkeypatch.setattr(module, "build_wheel", pack)
    monkeypatch.setattr(module, "run_quietly", build)
    monkeypatch.setattr(type(bench), "running", contextlib.nullcontext)
    made = module.build_executable(bench)
    assert made.is_file()
    ((command, path),) = ran
    assert command[:2] == ["wine", str(bench.building_python / "python.exe")]
    site = bench.work / "executable" / "site"
    assert path == load("bench").as_windows(site)
    assert (site / "dunena" / "__init__.py").is_file()


def test_the_cache_folder_is_outside_the_source_tree(monkeypatch, tmp_path):
    bench = load("bench")
    assert not bench.cache_folder().is_relative_to(ROOT)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert bench.cache_folder().is_relative_to(tmp_path)


def test_missing_programs_raise_with_the_packages_to_install(monkeypatch):
    bench = load("bench")
    monkeypatch.setattr(bench, "can_use_apt", lambda: False)
    monkeypatch.setattr(bench.shutil, "which", lambda name, path=None: None)
    with pytest.raises(bench.CommandError, match="apt install wine wine64 gcc-mingw-w64"):
        bench.provide_programs()


def test_a_missing_test_path_raises_command_error():
    commands = load("commands")
    with pytest.raises(commands.CommandError, match="there is no tests/nothing"):
        commands.run(["tests/nothing"])
