"""Freeing very many objects without delaying other threads.

Python frees what a dict or set holds in one go, during which no other thread can run: with 100,000
keys that is some ms. This module must not be compiled: compiled loops keep the interpreter, too.
"""

from typing import Any


def free_gradually(things: dict[Any, Any] | set[Any]) -> None:
    """Remove everything, one by one; others may run in between."""
    if isinstance(things, dict):
        while things:
            things.popitem()
    else:
        while things:
            things.pop()
