"""packaging/: what goes into the executable, decided without PyInstaller."""

import ast
import html
import importlib
import plistlib
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

import dunena

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"
SPEC = PACKAGING / "dunena.spec"
SYSTEMS = ["linux", "darwin", "win32"]


@pytest.fixture(scope="module", autouse=True)
def _import_path():
    """packaging/ is a folder of data and scripts, and no package."""
    sys.path.insert(0, str(PACKAGING))
    yield
    sys.path.remove(str(PACKAGING))


@pytest.fixture
def plan():
    return importlib.import_module("plan")


@pytest.fixture
def icons():
    return importlib.import_module("icons")


def imported_modules(source):
    """What a module's code imports, at its top or later, with the packages around it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            found |= {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
    return found


class TestExclusions:
    def test_every_exclusion_has_a_reason_and_a_system(self, plan):
        for one in plan.EXCLUSIONS:
            assert len(one.reason) > 20
            assert one.modules()
            assert set(one.systems) <= set(SYSTEMS)
            assert one.systems

    @pytest.mark.parametrize("system", SYSTEMS)
    def test_every_excluded_module_is_named_once(self, plan, system):
        excluded = plan.excluded_modules(system)
        assert len(excluded) == len(set(excluded))

    def test_no_module_imported_by_dunena_is_excluded(self, plan):
        everywhere = set(plan.excluded_modules("linux")) & set(plan.excluded_modules("win32"))
        for path in (ROOT / "dunena").rglob("*.py"):
            found = imported_modules(path.read_text(encoding="utf-8"))
            assert not found & everywhere, path

    def test_windows_keeps_its_own_modules_and_encodings(self, plan):
        excluded = set(plan.excluded_modules("win32", ["cp1251", "mbcs"]))
        assert excluded.isdisjoint(
            {"ctypes", "_ctypes", "colorama", "asyncio.windows_events", "asyncio.proactor_events"}
        )
        assert excluded.isdisjoint({"encodings.cp1251", "encodings.mbcs", "_codecs_jp"})

    @pytest.mark.parametrize("system", ["linux", "darwin"])
    def test_other_systems_exclude_encodings_except_utf_8(self, plan, system):
        excluded = set(plan.excluded_modules(system, ["cp1251", "utf_8", "idna", "latin_1"]))
        assert "encodings.cp1251" in excluded
        assert excluded.isdisjoint({"encodings.utf_8", "encodings.idna", "encodings.latin_1"})

    def test_every_module_imports_without_the_excluded_ones(self, plan):
        """Every module of ours and of what it needs is imported, with those away."""
        words = [sys.executable, "-X", "utf8", "-c", IMPORT_ALL, str(PACKAGING), sys.platform]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) > 30


# Runs in a process of its own: what is loaded already cannot be left out any more.
IMPORT_ALL = """
import encodings, importlib, os, pkgutil, sys
sys.path[:0] = [sys.argv[1], os.getcwd()]
import plan
os.environ["TYPER_USE_RICH"] = "0"
away = set(plan.excluded_modules(
    sys.argv[2], [module.name for module in pkgutil.iter_modules(encodings.__path__)]
))
for name in away:
    sys.modules.pop(name, None)
class Away:
    def find_spec(self, name, path=None, target=None):
        if name in away:
            raise ModuleNotFoundError(f"{name} is left out", name=name)
sys.meta_path.insert(0, Away())
for name, stand_in in plan.STAND_INS.items():
    module = type(sys)(name)
    exec(stand_in.source, vars(module))
    sys.modules[name] = module
import dunena
count = 0
for module in pkgutil.walk_packages(dunena.__path__, "dunena."):
    if module.name != "dunena.__main__":
        importlib.import_module(module.name)
        count += 1
needed = plan.hidden_imports(sys.argv[2])
for name in (*needed, "prometheus_client.exposition", "ssl", "webbrowser"):
    importlib.import_module(name)
if "watchfiles" in needed:
    import watchfiles
    watchfiles.watch
from dunena.cli.output import say_table
sys.stdout, shown = sys.stderr, sys.stdout
say_table(["key"], [["ß"]])
print(count, file=shown)
"""


class TestTitles:
    def test_the_names_that_titles_of_pages_need_are_kept(self, plan, monkeypatch):
        kept: dict[str, Any] = {}
        exec(plan.STAND_INS["html.entities"].source, kept)
        monkeypatch.setattr(html, "_html5", kept["html5"])
        title = "Home &amp; guest &lt;live&gt; &quot;1&nbsp;&#45;&#x20;2&quot;"
        assert html.unescape(title) == 'Home & guest <live> "1\xa0- 2"'


class TestStorage:
    def test_only_linux_executables_are_stripped(self, plan):
        assert [system for system in SYSTEMS if plan.is_stripped(system)] == ["linux"]

    @pytest.mark.parametrize(
        ("place", "kept"),
        [
            ("dunena/web/index.html", True),
            ("dunena/templates/poll/vote.html", True),
            ("dunena/web/lib/dom.js", True),
            ("dunena/web/client/dunena.js", True),
            ("dunena/web/client/dunena.d.ts", True),
            ("dunena/web/__init__.py", False),
            ("websockets-17.4.dist-info/METADATA", False),
            ("websockets-17.4.dist-info\\METADATA", False),
            ("base_library.zip", True),
        ],
    )
    def test_is_kept_data_selects_the_bundled_data(self, plan, place, kept):
        assert plan.is_kept_data(place) is kept

    @pytest.mark.parametrize(
        ("place", "compressed"),
        [
            ("base_library.zip", True),
            ("dunena/web/index.html", True),
            ("dunena/templates/poll/vote.html", True),
            ("dunena\\web\\index.html", True),
            ("dunena/native__mypyc.so", False),
        ],
    )
    def test_is_compressed_data_selects_the_pages_and_the_library(self, plan, place, compressed):
        assert plan.is_compressed_data(place) is compressed

    def test_is_kept_script_drops_runtime_hooks_that_are_not_needed(self, plan):
        assert plan.is_kept_script("entry")
        assert not plan.is_kept_script("pyi_rth_inspect")

    def test_the_executable_is_built_with_utf_8_mode(self, plan):
        """By the name that the bootloader knows; tests/binary tries what comes of it."""
        assert ("X utf8=1", None, "OPTION") in plan.OPTIONS


class TestCompiledModules:
    @pytest.mark.parametrize(
        ("place", "name"),
        [
            ("dunena/hub.cpython-313-x86_64-linux-gnu.so", "dunena.hub"),
            ("dunena/store/entry.cp313-win_amd64.pyd", "dunena.store.entry"),
            ("dunena\\store\\entry.cp313-win_amd64.pyd", "dunena.store.entry"),
            ("dunena/native__mypyc.abi3.so", "dunena.native__mypyc"),
        ],
    )
    def test_module_of_names_a_compiled_module_by_its_path(self, plan, place, name):
        assert plan.module_of(place) == name


class TestStandIns:
    def test_every_stand_in_compiles_and_has_a_reason(self, plan):
        for name, stand_in in plan.STAND_INS.items():
            compile(stand_in.source, name, "exec")
            assert stand_in.reason.endswith(".")

    @pytest.mark.parametrize("importer", ["watchfiles", "prometheus_client.exposition", "nats.js"])
    def test_stand_ins_have_the_names_imported_from_them(self, plan, importer):
        module = importlib.import_module(importer)
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        checked = 0
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom):
                continue
            name = f"{module.__package__}.{node.module}" if node.level else node.module
            if name in plan.STAND_INS:
                names = {}
                exec(plan.STAND_INS[name].source, names)
                assert {alias.name for alias in node.names} <= names.keys(), name
                checked += 1
        assert checked

    def test_no_stand_in_replaces_a_module_imported_by_dunena(self, plan):
        for path in (ROOT / "dunena").rglob("*.py"):
            found = imported_modules(path.read_text(encoding="utf-8"))
            assert not found & plan.STAND_INS.keys(), path


class TestVersionResource:
    @pytest.mark.parametrize(
        ("version", "numbers"),
        [
            ("0.1.0", (0, 1, 0, 0)),
            ("1.2", (1, 2, 0, 0)),
            ("2.0.0rc1", (2, 0, 0, 0)),
            ("10.20.30.dev4", (10, 20, 30, 0)),
        ],
    )
    def test_version_numbers_parses_a_version(self, plan, version, numbers):
        assert plan.version_numbers(version) == numbers

    def test_version_numbers_rejects_an_invalid_version(self, plan):
        with pytest.raises(ValueError, match="latest"):
            plan.version_numbers("latest")

    def read(self, plan, version):
        text = plan.version_resource(version, "it's a store", "dunena-windows-x64.exe")
        ast.parse(text, mode="eval")
        # As PyInstaller does it: the text is an expression of these five.
        names = ["VSVersionInfo", "FixedFileInfo", "StringFileInfo", "StringTable", "StringStruct"]
        space = {
            name: lambda *words, **named: SimpleNamespace(words=words, **named)
            for name in [*names, "VarFileInfo", "VarStruct"]
        }
        return eval(text, space)

    def test_the_version_resource_has_the_strings_explorer_shows(self, plan):
        read = self.read(plan, dunena.__version__)
        (table,) = read.kids[0].words[0]
        strings = dict(entry.words for entry in table.words[1])
        assert strings["ProductVersion"] == strings["FileVersion"] == dunena.__version__
        assert strings["ProductName"] == "dunena"
        assert strings["FileDescription"] == "it's a store"
        assert strings["OriginalFilename"] == "dunena-windows-x64.exe"
        assert read.ffi.filevers == read.ffi.prodvers == plan.version_numbers(dunena.__version__)

    def test_the_languages_of_the_version_resource_agree(self, plan):
        read = self.read(plan, "1.0")
        (table,) = read.kids[0].words[0]
        (translation,) = read.kids[1].words[0]
        language, page = translation.words[1]
        assert table.words[0] == f"{language:04X}{page:04X}"

    @pytest.mark.parametrize(("version", "flags"), [("1.0.0", 0), ("1.0.0rc1", 2)])
    def test_the_version_resource_marks_a_pre_release(self, plan, version, flags):
        assert self.read(plan, version).ffi.flags == flags


class TestSpec:
    def test_the_spec_uses_only_names_of_the_plan(self, plan):
        tree = ast.parse(SPEC.read_text(encoding="utf-8"))
        used = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "plan"
        }
        assert used
        for name in used:
            assert hasattr(plan, name), name

    def test_the_spec_turns_upx_and_ignored_signals_off(self):
        text = SPEC.read_text(encoding="utf-8")
        assert '"upx": False' in text
        assert '"bootloader_ignore_signals": False' in text

    def test_files_named_by_the_spec_exist(self):
        for name in re.findall(r'HERE / "([\w.]+)"', SPEC.read_text(encoding="utf-8")):
            assert (PACKAGING / name).is_file(), name

    def test_the_entitlements_allow_only_unsigned_libraries(self):
        entitlements = plistlib.loads((PACKAGING / "entitlements.plist").read_bytes())
        assert entitlements == {"com.apple.security.cs.disable-library-validation": True}


class TestIcons:
    def test_the_icon_has_the_shapes_of_the_favicon(self):
        def shapes(path):
            return re.findall(r"<(?:rect|circle|path|svg) .*?>", path.read_text(encoding="utf-8"))

        assert shapes(PACKAGING / "icon.svg") == shapes(ROOT / "dunena" / "web" / "favicon.svg")

    def test_the_icons_are_made_from_the_current_drawing(self, icons):
        assert icons.MARK.read_text(encoding="ascii") == icons.drawing_hash(), "run icons.py"

    def test_the_windows_icon_has_every_size(self, icons):
        with Image.open(icons.ICO) as picture:
            assert picture.info["sizes"] == {(size, size) for size in icons.ICO_SIZES}

    def test_the_macos_icon_has_every_size(self, icons):
        with Image.open(icons.ICNS) as picture:
            sizes = {width * scale for width, _, scale in picture.info["sizes"]}
        assert sizes == set(icons.ICNS_SIZES)
