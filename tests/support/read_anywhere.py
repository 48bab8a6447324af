"""What a file uses as it is read that only POSIX has.

Every system reads the files of tests, to find those that it leaves out. One that cannot be read
ends the run.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

_MODULES = frozenset({"fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"})
_NAMES = re.compile(
    r"ctypes\.CDLL\(None"  # the C library of the process
    r"|os\.(fork|geteuid|getpgid|getuid|killpg|mkfifo|openpty|setsid|uname)\b"
    r"|select\.(epoll|poll)\b"
    r"|signal\.SIG(ALRM|CHLD|CONT|HUP|KILL|PIPE|QUIT|STOP|USR\d)\b"
    r"|socket\.AF_UNIX\b"
)
_ASKS_FOR_IT = re.compile(r"\bsys\.platform\b|\bhasattr\(|\bWINDOWS\b")


def posix_names(path: Path) -> list[str]:
    """The names, each with its line: ``12: fcntl``."""
    return list(_of_statements(ast.parse(path.read_text(encoding="utf-8")).body))


def _of_statements(statements: list[ast.stmt]) -> Iterator[str]:
    for one in statements:
        if isinstance(one, ast.If) and _ASKS_FOR_IT.search(ast.unparse(one.test)):
            if "allow_module_level" in ast.unparse(one):
                return  # what follows is not read there
            yield from _of_statements(one.orelse)
        elif isinstance(one, ast.ClassDef):
            yield from _of_statements(one.body)
        else:
            yield from _of_statement(one)


def _of_statement(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.Import):
        names = [alias.name for alias in statement.names]
    elif isinstance(statement, ast.ImportFrom):
        names = [statement.module or ""]
    else:
        for part in _read_parts(statement):
            text = ast.unparse(part)
            if not _ASKS_FOR_IT.search(text):
                yield from (f"{part.lineno}: {found.group()}" for found in _NAMES.finditer(text))
        return
    yield from (f"{statement.lineno}: {name}" for name in names if name in _MODULES)


def _read_parts(statement: ast.stmt) -> Iterator[ast.stmt | ast.expr]:
    """What of a statement runs as it is read: not the bodies of functions."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from statement.decorator_list
        yield from statement.args.defaults
        yield from filter(None, statement.args.kw_defaults)
    elif not any(isinstance(part, ast.Lambda) for part in ast.walk(statement)):
        yield statement
