"""The names of tests, for lists of some of them."""

import ast
from pathlib import Path


def names_in(module: Path) -> set[str]:
    """Return the names of a module's test functions, with those of their classes before them."""
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
