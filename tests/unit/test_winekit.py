"""build/winekit/: running tests under Wine and counting results, tested without Wine."""

import ast
import contextlib
import importlib
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from tests.support.patience import patiently

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


def names_in(module: Path) -> set[str]:
    """The names of a module's test functions, with those of their classes before them."""
    found = set()
    for node in ast.parse(module.read_text(encoding="utf-8")).body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {
            f"{prefix}{one.name}"
            for one in inner
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
            and one.name.startswith("test_")
        }
    return found


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

    @pytest.mark.parametrize(
        ("test", "name"),
        [
            ("tests/a.py::test_one", "tests/a.py::test_one"),
            ("tests/a.py::test_one[x]", "tests/a.py::test_one"),
            ("tests/a.py::test_two[x]", "tests/a.py::test_two[x]"),
            ("tests/a.py::test_two[y]", None),
            ("tests/a.py::test_one_more", None),
            ("tests/b.py::TestThem::test_one", "tests/b.py"),
            ("tests/b.py", "tests/b.py"),
        ],
    )
    def test_name_in_matches_a_test_its_parameters_or_its_module(self, test, name):
        listed = dict.fromkeys(
            ["tests/a.py::test_one", "tests/a.py::test_two[x]", "tests/b.py"], "why"
        )
        assert load("beyond").name_in(listed, test) == name


class TestJudge:
    def judge(self, *results, beyond=()):
        return load("report").judge(results, dict.fromkeys(beyond, "why"))

    def test_each_test_is_counted_once_by_its_last_outcome(self):
        report = self.judge(
            ("m::a", "started"),
            ("m::a", "passed"),
            ("m::b", "started"),
            ("m::b", "skipped"),
            ("m::c", "started"),
            ("m::c", "passed"),
        )
        assert report.counts() == "2 passed, 0 failed, 1 skipped, 0 listed"
        assert report.is_good
        assert report.complaints() == []

    def test_an_unlisted_failure_fails_the_report(self):
        report = self.judge(("m::a", "passed"), ("m::b", "started"), ("m::b", "failed"))
        assert report.counts() == "1 passed, 1 failed, 0 skipped, 0 listed"
        assert not report.is_good
        assert report.complaints() == ["failed: m::b"]

    def test_a_test_without_an_outcome_counts_as_hung(self):
        report = self.judge(("m::a", "started"), ("m::b", "started"), ("m::b", "passed"))
        assert report.counts() == "1 passed, 1 failed, 0 skipped, 0 listed"
        assert not report.is_good
        assert report.complaints() == ["hung or ended its process: m::a"]

    def test_a_listed_failure_does_not_fail_the_report(self):
        results = [("m::a", "failed"), ("m::b", "started"), ("m::c", "passed")]
        report = self.judge(*results, beyond=["m::a", "m::b"])
        assert report.counts() == "1 passed, 0 failed, 0 skipped, 2 listed"
        assert report.is_good
        assert report.complaints() == []

    def test_a_listed_name_whose_tests_pass_is_reported(self):
        results = [("m::a[1]", "passed"), ("m::a[2]", "passed"), ("m::b", "skipped")]
        report = self.judge(*results, beyond=["m::a", "m::b", "m::never_run"])
        assert report.untrue == ["m::a"]
        assert report.complaints() == ["listed, but passes: m::a"]
        assert report.is_good

    def test_a_listed_name_is_not_reported_while_one_of_its_tests_fails(self):
        report = self.judge(("m::a[1]", "failed"), ("m::a[2]", "passed"), beyond=["m::a"])
        assert report.untrue == []
        assert report.counts() == "1 passed, 0 failed, 0 skipped, 1 listed"

    def test_a_suite_without_a_run_test_fails_the_report(self):
        assert not self.judge().is_good
        assert not self.judge(("m::a", "skipped")).is_good


class TestPlugin:
    """The results that the plugin writes, in a pytest process of its own."""

    TESTS = """\
import os, pytest

def test_passes(): pass

def test_fails(): assert False

@pytest.mark.skip
def test_is_skipped(): pass

@pytest.fixture
def broken():
    yield
    raise ValueError

def test_fails_when_it_is_over(broken): pass

def test_ends_the_process(): os._exit(1)

def test_comes_behind_it(): pass
"""

    def run(self, folder):
        results = folder / "results"
        inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        environ = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), str(BUILD), *inherited])),
            "DUNENA_WINE_RESULTS": str(results),
            # Those that are installed take longer to load than these tests to run.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        words = [sys.executable, "-m", "pytest", "-p", "winekit.pytest_wine"]
        words += ["-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
        subprocess.run(words, env=environ, cwd=folder, capture_output=True, check=False)
        return load("results").read_results(results)

    def test_outcomes_are_recorded_and_the_next_process_continues(self, tmp_path):
        (tmp_path / "test_them.py").write_text(self.TESTS, encoding="utf-8")
        first = self.run(tmp_path)
        assert first[-1] == ("test_them.py::test_ends_the_process", "started")
        assert dict(first) == {
            "test_them.py::test_passes": "passed",
            "test_them.py::test_fails": "failed",
            "test_them.py::test_is_skipped": "skipped",
            "test_them.py::test_fails_when_it_is_over": "failed",
            "test_them.py::test_ends_the_process": "started",
        }
        assert self.run(tmp_path)[len(first) :] == [
            ("test_them.py::test_comes_behind_it", "started"),
            ("test_them.py::test_comes_behind_it", "passed"),
            ("", "ended"),
        ]

    def test_a_module_that_cannot_be_imported_is_recorded_as_failed(self, tmp_path):
        (tmp_path / "test_broken.py").write_text("import nothing_of_that_name\n", encoding="utf-8")
        assert ("test_broken.py", "failed") in self.run(tmp_path)


class TestRunTests:
    """How many processes follow each other; written results stand in for Wine."""

    @pytest.fixture
    def run(self, tmp_path, monkeypatch):
        suites, bench = load("suites"), load("bench")

        def run(*written):
            turns = iter(written)

            def run_process(_bench, _path, _log, results, _extra):
                for test, outcome in next(turns):
                    load("results").write_result(results, test, outcome)
                copying = threading.Thread(target=lambda: None)
                copying.start()
                return copying

            monkeypatch.setattr(suites, "_run_process", run_process)
            monkeypatch.setattr(bench.Bench, "running", contextlib.nullcontext)
            found = suites.run_tests(bench.Bench(tmp_path), "tests/unit", tmp_path / "unit.log")
            assert next(turns, None) is None
            return found

        return run

    def test_one_process_suffices_when_it_finishes(self, run):
        assert run([("a", "started"), ("a", "passed"), ("", "ended")]) == [
            ("a", "started"),
            ("a", "passed"),
        ]

    def test_another_process_continues_after_one_that_ended_within_a_test(self, run):
        hung = [("a", "started")]
        rest = [("b", "started"), ("b", "passed"), ("", "ended")]
        assert run(hung, rest) == [*hung, *rest[:-1]]

    def test_no_process_follows_one_that_recorded_nothing(self, run):
        assert run([("a", "started")], []) == [("a", "started")]


def test_patiently_extends_a_timeout_by_the_patience_variable(monkeypatch):
    monkeypatch.delenv("DUNENA_TEST_PATIENCE", raising=False)
    assert patiently(20) == 20
    monkeypatch.setenv("DUNENA_TEST_PATIENCE", load("suites").PATIENCE)
    assert patiently(20) == 120


def test_read_results_skips_an_incomplete_line(tmp_path):
    (tmp_path / "results").write_bytes(b'["a", "started"]\n["a", "pas')
    assert load("results").read_results(tmp_path / "results") == [("a", "started")]
    assert load("results").read_results(tmp_path / "none") == []


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
