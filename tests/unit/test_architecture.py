"""The house keeps its directions: what may import what."""

import ast
import re
import tomllib
from collections import defaultdict
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import dunena

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(dunena.__file__).parent

IO_MODULES = {
    "asyncio", "http", "multiprocessing", "os", "pathlib", "random", "select", "selectors",
    "shutil", "signal", "socket", "ssl", "subprocess", "tempfile", "threading", "time",
    "httptools", "websockets", "watchfiles", "filelock",
}  # fmt: skip

NETWORK_MODULES = {"asyncio", "selectors", "signal", "socket", "ssl"}

# What connects to NATS servers, of which the log on it knows nothing but an interface.
NETWORK_BELOW_THE_SERVER = {
    "persistence/jetstream/connection.py",
    "persistence/jetstream/examination.py",
    "persistence/jetstream/link.py",
    "persistence/jetstream/link_request.py",
    "persistence/jetstream/login.py",
    "persistence/jetstream/nats_client.py",
    "persistence/jetstream/opening.py",
    "update_check.py",
}

NO_IO_ROOMS = {
    "backup/form.py": set(),
    "backup/reading.py": set(),
    "backup/restore_plan.py": set(),
    "backup/transactions.py": set(),
    "backup/writing.py": set(),
    "backup/zip_stream.py": set(),
    "client/address.py": set(),
    "client/protocol.py": set(),
    "client/feeds.py": set(),
    "client/requests.py": set(),
    "client/server_clock.py": set(),
    "client/state.py": set(),
    "client/transactions.py": set(),
    "store": set(),
    "unmasking.py": {"websockets"},  # which has it in C; it is arithmetic
    "dialects": set(),
    "hub.py": set(),
    "frames.py": set(),
    "histogram.py": set(),
    "persistence/jetstream/attempting.py": set(),
    "persistence/jetstream/attempts.py": set(),
    "persistence/jetstream/catching_up.py": set(),
    "persistence/jetstream/channels.py": set(),
    "persistence/jetstream/clock.py": set(),
    "persistence/jetstream/credentials.py": set(),
    "persistence/jetstream/delivery.py": set(),
    "persistence/jetstream/epochs.py": set(),
    "persistence/jetstream/findings.py": set(),
    "persistence/jetstream/floor.py": set(),
    "persistence/jetstream/follower.py": set(),
    "persistence/jetstream/harmless.py": set(),
    "persistence/jetstream/headers.py": set(),
    "persistence/jetstream/health.py": set(),
    "persistence/jetstream/leader.py": set(),
    "persistence/jetstream/loading.py": set(),
    "persistence/jetstream/log.py": set(),
    "persistence/jetstream/losses.py": set(),
    "persistence/jetstream/missing_rights.py": set(),
    "persistence/jetstream/naming.py": set(),
    "persistence/jetstream/nodes.py": set(),
    "persistence/jetstream/paging.py": set(),
    "persistence/jetstream/permissions.py": set(),
    "persistence/jetstream/places.py": set(),
    "persistence/jetstream/proposal_host.py": set(),
    "persistence/jetstream/proposals.py": set(),
    "persistence/jetstream/records.py": set(),
    "persistence/jetstream/settling.py": set(),
    "persistence/jetstream/stream_requests.py": set(),
    "persistence/jetstream/terms.py": set(),
    "persistence/jetstream/wire.py": set(),
    "persistence/log.py": set(),
    "server/backlog.py": set(),
    "server/compression.py": {"websockets"},  # its negotiation, which is text
    "server/websocket/fragments.py": {"websockets"},  # its frames, which are data
    "server/websocket/lifecycle.py": set(),
    "server/websocket/special_frames.py": {"websockets"},  # its protocol core, which has no I/O
    "server/turn.py": set(),
    "server/http/lifecycle.py": set(),
    "server/http/admitted_head.py": set(),
    "server/http/known_heads.py": set(),
    "server/http/parser.py": {"httptools"},
    "server/http/request_queue.py": set(),
    "server/shared/answers.py": set(),
    "server/shared/channels.py": set(),
    "server/shared/coordinator.py": set(),
    "server/shared/expiry.py": set(),
    "server/shared/kinds.py": set(),
    "server/shared/lane.py": set(),
    "server/shared/limits.py": set(),
    "server/shared/parked.py": set(),
    "server/shared/planner.py": set(),
    "server/shared/planning.py": set(),
    "server/shared/replay.py": set(),
    "server/shared/routes.py": set(),
    "server/shared/planned_sessions.py": set(),
    "server/shared/session_notes.py": set(),
    "server/shared/session_requests.py": set(),
    "server/shared/session_table.py": set(),
    "server/shared/store.py": set(),
    "server/shared/takeover.py": set(),
    "sessions": set(),
    "watches": set(),
    "windows_names.py": set(),
    "readable_text.py": set(),
    "qr_code.py": set(),
    "server/limits.py": set(),
    "server/message_budget.py": set(),
    "server/access/invites.py": set(),
    "server/access/own_path.py": set(),
    "server/access/peers.py": set(),
    "server/access/token_rate_limiter.py": set(),
    "server/static/request_path.py": set(),
    "server/status/store_notices.py": set(),
    "server/status/store_report.py": set(),
    "server/static/ranges.py": set(),
    "server/static/page_reports.py": {"threading"},
    "server/text_files/rendering.py": set(),
    "server/text_files/selection.py": set(),
}

# A room may import what stands to the right of it, and itself.
DIRECTIONS = {
    "backup": {"persistence", "plain_files", "readable_text", "store", "windows_names"},
    "client": {"tls_trust"},
    "tls_trust.py": set(),
    "update_check.py": {"tls_trust"},
    "sync.py": {"client"},
    "store": set(),
    "hub.py": {"store"},
    "frames.py": {"unmasking"},
    "unmasking.py": set(),
    "histogram.py": set(),
    "watches": {"store", "hub"},
    "sessions": set(),
    "dialects": {"store", "hub", "frames", "sessions", "watches"},
    "plain_files.py": set(),
    "readable_text.py": set(),
    "windows_names.py": set(),
    "persistence": {"histogram", "plain_files", "store", "windows_names"},
    "telemetry.py": {"histogram"},
    "setting_table.py": {"dialects", "persistence", "store"},
    "settings.py": {"dialects", "persistence", "readable_text", "setting_table", "store"},
    "desktop": {"templates"},
    "templates": {"windows_names"},
    "logs.py": {"desktop", "readable_text", "setting_table"},
    "qr_code.py": set(),
    "server": {
        "dialects", "histogram", "hub", "frames", "persistence", "plain_files", "store",
        "sessions", "telemetry", "setting_table", "settings", "watches", "windows_names",
        "templates", "qr_code", "readable_text", "backup", "update_check",
    },
    "cli": {
        "client", "sync", "server", "setting_table", "settings", "store", "dialects", "persistence",
        "desktop", "logs", "plain_files", "templates", "qr_code", "readable_text", "backup",
        "update_check",
    },
}  # fmt: skip

# The same for the rooms inside the server. All of them know what a request and a response are;
# `http/` hands a connection over to `websocket/` after an upgrade. What is in no room is held to
# less: it makes no circle.
SERVER = PACKAGE / "server"
SERVER_DIRECTIONS = {
    "http.admitted_head": set(),
    "http.known_heads": {"http.admitted_head"},
    "http.message": {"http.known_heads"},
    "access": {"http.admitted_head", "http.known_heads", "http.message"},
    "status": {"http.message", "access"},
    "static": {"http.message", "access"},
    "text_files": set(),
    "sockets": set(),
    "websocket": {"http.message"},
    "http": {"http.admitted_head", "http.known_heads", "http.message", "access", "websocket"},
    "shared": {"http.message", "http", "websocket"},
}

# The same for the folders of the test page. Its `main.js` puts the parts together.
PAGE = PACKAGE / "web"
PAGE_DIRECTIONS = {"lib": set(), "net": {"lib"}, "views": {"lib", "net"}}
_PAGE_IMPORT = re.compile(r'\bfrom "(\.[\w./]+)";')

# Every other file of tests/unit is named after the module or the package that it tests.
TESTS_OF_NO_MODULE = {
    "architecture": "imports, of all modules",
    "compiled": "the modules that pyproject.toml compiles, wherever they are",
    "documents": "what is written in Markdown",
    "then": "a deadline at which a value changes, in the store and in a tick",
    "version": "all the places that tell the version",
}

# The two clients are the same to who writes with them, in one case with `await`; what they reach is
# a store too, with its transactions and conflicts. What clients send is called a message, and what
# NATS servers send too.
NAMED_ALIKE_ON_PURPOSE = {
    "ConflictError": ["client/errors.py", "dialects/errors.py"],
    "Feed": ["client/asynchronous.py", "client/blocking.py"],
    "Message": ["dialects/dialect.py", "persistence/jetstream/wire.py"],
    "Session": ["client/presence.py", "sessions/session.py"],
    "Store": ["client/asynchronous.py", "client/blocking.py", "store/store.py"],
    "Transaction": [
        "client/asynchronous.py", "client/blocking.py", "dialects/ops/transaction.py",
    ],
}  # fmt: skip

TESTED = ["dunena", "build", "tests/support", "tests/bench", "tests/soak"]


def modules_of(room: str) -> list[Path]:
    path = PACKAGE / room
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


@cache
def imports_of(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("room", NO_IO_ROOMS)
def test_packages_without_io_import_no_io_module(room: str) -> None:
    for path in modules_of(room):
        found = {name.split(".")[0] for name in imports_of(path)} & (IO_MODULES - NO_IO_ROOMS[room])
        assert not found, f"{path} imports {found}"


@pytest.mark.parametrize("room", DIRECTIONS)
def test_packages_import_only_in_the_allowed_directions(room: str) -> None:
    own = room.removesuffix(".py")
    for path in modules_of(room):
        ours = {name.split(".")[1] for name in imports_of(path) if name.startswith("dunena.")}
        assert ours <= DIRECTIONS[room] | {own}, path


@pytest.mark.parametrize("room", sorted(DIRECTIONS["server"]))
def test_packages_below_the_server_import_no_network_module(room: str) -> None:
    for path in modules_of(room if (PACKAGE / room).is_dir() else f"{room}.py"):
        if path.relative_to(PACKAGE).as_posix() not in NETWORK_BELOW_THE_SERVER:
            found = {name.split(".")[0] for name in imports_of(path)} & NETWORK_MODULES
            assert not found, f"{path} imports {found}"


def test_no_class_has_a_compiled_base_unless_it_is_compiled_too() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    hook = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]
    compiled = {name.removesuffix(".py").replace("/", ".") for name in hook["modules"]}
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(ROOT).as_posix() in hook["modules"]:
            continue
        tree = ast.parse(path.read_text("utf-8"))
        native = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module in compiled
            for alias in node.names
        }
        bases = {
            base.id
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
            for base in node.bases
            if isinstance(base, ast.Name)
        }
        assert not native & bases, path


def test_only_one_module_imports_the_library_for_nats() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "nats" in {name.split(".")[0] for name in imports_of(path)}
    }
    assert found == {"persistence/jetstream/nats_client.py"}


def test_every_package_has_allowed_import_directions() -> None:
    rooms = {
        path.name
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert rooms - {"__init__.py", "__main__.py", "web"} == set(DIRECTIONS)


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def offers_names(module: str, node: ast.AST) -> bool:
    """Whether this is where the package says what types its names have: it stands on them all."""
    is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    return is_for_types and module == "dunena"


@cache
def package_imports() -> dict[str, set[str]]:
    """Module of the package -> those that it imports, all by their dotted names.

    An import inside a function or for types alone counts like any other: it is there to start
    quicker, and never to hide a circle.
    """
    modules = {name_of(path): path for path in PACKAGE.rglob("*.py")}
    imports: dict[str, set[str]] = {}
    for module, path in modules.items():
        found = imports[module] = set()
        nodes: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
        while nodes:
            node = nodes.pop()
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                whole = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= whole & modules.keys() or {node.module or ""}
            elif not offers_names(module, node):
                nodes += ast.iter_child_nodes(node)
    return {module: found & imports.keys() for module, found in imports.items()}


def server_room_of(module: str) -> str:
    """The room inside the server, `""` for what is in none."""
    name = module.removeprefix("dunena.server.")
    return name if name in SERVER_DIRECTIONS else name.rpartition(".")[0].split(".")[0]


def test_packages_of_the_server_import_only_in_the_allowed_directions() -> None:
    rooms = {path.parent.name for path in SERVER.glob("*/__init__.py")}
    assert rooms == {name for name in SERVER_DIRECTIONS if "." not in name}
    for module, imported in package_imports().items():
        if module.startswith("dunena.server.") and (room := server_room_of(module)):
            names = {name for name in imported if name.startswith("dunena.server.")}
            found = {server_room_of(name) for name in names} - {"", room}
            assert found <= SERVER_DIRECTIONS[room], module


def test_python_modules_have_no_import_cycle() -> None:
    TopologicalSorter(package_imports()).prepare()  # raises CycleError, which names the circle


def page_imports() -> dict[str, set[str]]:
    """Module of the test page -> the modules that it imports, all by their path in `web/`."""
    modules = [path for path in PAGE.rglob("*.js") if path.parent != PAGE / "client"]
    return {
        path.relative_to(PAGE).as_posix(): {
            (path.parent / name).resolve().relative_to(PAGE.resolve()).as_posix()
            for name in _PAGE_IMPORT.findall(path.read_text("utf-8"))
        }
        for path in modules
    }


def test_modules_of_the_page_import_only_in_the_allowed_directions() -> None:
    imports = page_imports()
    assert imports.pop("main.js") <= set(imports)
    for module, imported in imports.items():
        room = module.split("/")[0]
        found = {name.split("/")[0] for name in imported}
        assert found <= PAGE_DIRECTIONS[room] | {room}, module


def test_modules_of_the_page_have_no_import_cycle() -> None:
    TopologicalSorter(page_imports()).prepare()  # raises CycleError, which names the circle


def names_for_tests() -> set[str]:
    """What a test of a module or package may be called: its name, with the folders before it or
    without, such as `connection` or `http_connection`.
    """
    names = set()
    for folder in TESTED:
        for path in (ROOT / folder).rglob("*.py"):
            module = path.parent if path.stem == "__init__" else path.with_suffix("")
            parts = module.relative_to(ROOT).parts
            names |= {"_".join(parts[start:]) for start in range(len(parts))}
    return names


def test_every_unit_test_file_is_named_after_its_module() -> None:
    found = {path.stem.removeprefix("test_") for path in (ROOT / "tests/unit").glob("test_*.py")}
    assert found - TESTS_OF_NO_MODULE.keys() - names_for_tests() == set()
    assert TESTS_OF_NO_MODULE.keys() <= found


def test_only_persistence_names_the_disk_engine_and_its_private_folder() -> None:
    names = re.compile(r"\bDiskEngine\b|\bPRIVATE_FOLDER\b|(?<!\w)\.dunena\b")
    for path in PACKAGE.rglob("*"):
        if path.suffix in {".py", ".js", ".html"} and "persistence" not in path.parts:
            assert names.findall(path.read_text("utf-8")) == [], path
    for room in set(DIRECTIONS) - {"persistence"}:
        for path in modules_of(room):
            assert not {name for name in imports_of(path) if "persistence.disk" in name}, path


def test_no_public_class_or_alias_is_defined_in_two_modules() -> None:
    modules: dict[str, list[str]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for name in defined_types(path):
            modules[name].append(path.relative_to(PACKAGE).as_posix())
    twice = {name: found for name, found in modules.items() if len(found) > 1}
    assert twice == NAMED_ALIKE_ON_PURPOSE


def test_print_is_called_only_in_the_terminal_module() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path == PACKAGE / "desktop" / "terminal.py":
            continue  # the one that survives a reader who has gone
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            is_print = (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "print"
            )
            assert not is_print, path


def test_the_tour_in_the_contributing_guide_names_existing_functions() -> None:
    guide = (PACKAGE.parent / "CONTRIBUTING.md").read_text("utf-8")
    steps = re.findall(r"^\| `(dunena/[\w/]+\.py)`: `([\w.]+)` \|", guide, re.MULTILINE)
    assert len(steps) >= 10
    for path, name in steps:
        assert name in defined_names(PACKAGE.parent / path), (path, name)


def defined_types(path: Path) -> set[str]:
    """Public classes, type aliases and type variables at a module's top: names with a small letter
    in them, so not constants.
    """
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return {name for name in names if name[0].isupper() and not name.isupper()}


def test_the_lists_of_contributing_name_existing_files_and_definitions() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    lists = guide.split("\n## For whoever adds")[1].split("\n## ")[0]
    paths = re.findall(r"`((?:\w+/)+\w+\.\w+|\w+\.(?:toml|md))`", lists)
    assert len(set(paths)) >= 30
    assert [path for path in paths if not (ROOT / path).is_file()] == []
    rows = re.findall(r"`([\w/]+\.py)`: ((?:`\w+`(?:, )?)+)", lists)
    assert len(rows) >= 12
    for path, names in rows:
        assert set(re.findall(r"\w+", names)) <= defined_names(ROOT / path), path
    tests = set(re.findall(r"`(test_\w+)`", lists))
    assert tests
    assert tests <= defined_names(ROOT / "tests/e2e/test_commands.py")


def defined_names(path: Path) -> set[str]:
    names = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.ClassDef):
            functions = [part for part in node.body if isinstance(part, ast.FunctionDef)]
            names |= {f"{node.name}.{function.name}" for function in functions}
    return names
