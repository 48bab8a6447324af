"""A server whose files are gone has loaded all that its requests need."""

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dunena
from dunena.cli.late_modules import HTTP_API, OTHERS, WATCHING, import_late_modules

PACKAGE = Path(dunena.__file__).parent

NOT_OF_A_SERVER = {"cli", "client", "desktop"}
"""What the commands alone use. `cli` starts the server, and imports for it before it is ready."""

BEFORE_IT_LISTENS = {
    "cryptography.hazmat.primitives.asymmetric",
    "ctypes",
    "dunena.persistence.disk.engine",
    "dunena.persistence.disk.linux_watcher",
    "dunena.persistence.disk.older_forms",
    "dunena.persistence.jetstream.link",
    "dunena.server.access.get_secret",
    "dunena.server.shared.opening",
    "dunena.server.shared.routes",
    "dunena.server.shared.sessions",
    "dunena.server.sockets.epoll",
    "dunena.server.status.store_notices",
    "dunena.server.text_files.opening",
    "dunena.server.text_files.text_files",
    "fcntl",
    "filelock",
    "importlib",  # of the client's names, in programs
    "resource",
    "tomllib",
    "uvloop",
    "winreg",
}
"""What is imported late so that a start that does not need it is quicker."""


def late_imports(path: Path) -> Iterator[str]:
    """The modules that functions of a file import."""
    for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.module is not None
                for alias in node.names:
                    name = f"{node.module}.{alias.name}"
                    yield name if is_module(name) else node.module


def is_module(name: str) -> bool:
    if not name.startswith("dunena."):
        return False
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


FILES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.relative_to(PACKAGE).parts[0] not in NOT_OF_A_SERVER
]


def test_whatever_a_server_imports_late_is_imported_with_the_others() -> None:
    known = {*HTTP_API, *OTHERS, *WATCHING, *BEFORE_IT_LISTENS}
    unknown = {str(path): set(late_imports(path)) - known for path in FILES}
    assert {path: names for path, names in unknown.items() if names} == {}


def test_every_name_is_imported_by_some_function() -> None:
    found = {name for path in FILES for name in late_imports(path)}
    unused = {*HTTP_API, *OTHERS, *WATCHING, *BEFORE_IT_LISTENS} - found
    assert unused <= {"watchfiles"}


def test_all_of_them_can_be_imported() -> None:
    import_late_modules()
    assert set(HTTP_API) | set(OTHERS) <= sys.modules.keys()


def test_a_start_from_a_checkout_imports_few_of_them() -> None:
    code = (
        "import sys; from dunena.cli.running import load_rest; load_rest(is_everything=False);"
        "print('segno' in sys.modules, 'dunena.server.http.upgrade' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
