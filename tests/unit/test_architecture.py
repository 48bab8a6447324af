"""The house keeps its directions: what may import what."""

import ast
from pathlib import Path

import pytest

import dunena

PACKAGE = Path(dunena.__file__).parent

IO_MODULES = {
    "asyncio", "http", "multiprocessing", "os", "pathlib", "random", "select", "selectors",
    "shutil", "signal", "socket", "ssl", "subprocess", "tempfile", "threading", "time",
    "httptools", "websockets", "watchfiles", "filelock",
}  # fmt: skip

NO_IO_ROOMS = {
    "client/address.py": set(),
    "client/protocol.py": set(),
    "client/feeds.py": set(),
    "client/requests.py": set(),
    "store": set(),
    "dialects": set(),
    "hub.py": set(),
    "frames.py": {"websockets"},  # its unmasking, which is arithmetic
    "histogram.py": set(),
    "server/backlog.py": set(),
    "server/compression.py": {"websockets"},  # its negotiation, which is text
    "server/websocket/fragments.py": {"websockets"},  # its frames, which are data
    "server/websocket/lifecycle.py": set(),
    "server/websocket/special_frames.py": {"websockets"},  # its protocol core, which has no I/O
    "server/turn.py": set(),
    "server/http/parser.py": {"httptools"},
    "server/limits.py": set(),
    "server/access/peers.py": set(),
    "server/access/token_rate_limiter.py": set(),
    "server/static/request_path.py": set(),
    "server/static/ranges.py": set(),
}

# A room may import what stands to the right of it, and itself.
DIRECTIONS = {
    "client": set(),
    "sync.py": {"client"},
    "store": set(),
    "hub.py": set(),
    "frames.py": set(),
    "histogram.py": set(),
    "dialects": {"store", "hub", "frames"},
    "plain_files.py": set(),
    "persistence": {"histogram", "plain_files", "store"},
    "telemetry.py": {"histogram"},
    "settings.py": {"dialects", "persistence", "store"},
    "desktop": set(),
    "logs.py": {"desktop", "settings"},
    "server": {
        "dialects", "histogram", "hub", "frames", "persistence", "plain_files", "store",
        "telemetry", "settings",
    },
    "cli": {
        "client", "sync", "server", "settings", "store", "dialects", "persistence", "desktop",
        "logs", "plain_files",
    },
}  # fmt: skip


def modules_of(room: str) -> list[Path]:
    path = PACKAGE / room
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


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
def test_rooms_without_io_import_none(room: str) -> None:
    for path in modules_of(room):
        found = {name.split(".")[0] for name in imports_of(path)} & (IO_MODULES - NO_IO_ROOMS[room])
        assert not found, f"{path} imports {found}"


@pytest.mark.parametrize("room", DIRECTIONS)
def test_imports_point_one_way(room: str) -> None:
    own = room.removesuffix(".py")
    for path in modules_of(room):
        ours = {name.split(".")[1] for name in imports_of(path) if name.startswith("dunena.")}
        assert ours <= DIRECTIONS[room] | {own}, path


def test_every_room_has_a_direction() -> None:
    rooms = {
        path.name
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert rooms - {"__init__.py", "__main__.py", "web"} == set(DIRECTIONS)


def test_everything_is_printed_in_one_place() -> None:
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
