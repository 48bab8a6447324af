"""A folder of values as another program sees it."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.protocol.clients import Client
from tests.support.patience import patiently

PRIVATE = ".dunena"
WAIT_SECONDS = patiently(30)


def until(condition: Callable[[], Any], what: str, pause: float = 0.01) -> None:
    """Wait for what no message tells of; looked for every ``pause`` seconds."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(pause)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, the lock aside, which is taken for the moment."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def write_files(folder: Path, files: dict[str, str | bytes]) -> None:
    """Files made by hand."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def value_files(folder: Path) -> list[Path]:
    """Every file that is not the server's own."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] != PRIVATE
    ]


def journal(folder: Path) -> list[Path]:
    """The journal's segments that are there."""
    return sorted((folder / PRIVATE / "journal").iterdir())


def listing(folder: Path) -> list[str]:
    """The names in a folder."""
    return [path.name for path in folder.iterdir()]


def set_value(client: Client, key: str, value: Any, **fields: Any) -> None:
    client.send({"action": "set", "key": key, "value": value, **fields})


def get_value(client: Client, key: str, **fields: Any) -> Any:
    return client.ask({"action": "get", "key": key, **fields})["value"]


def read_json(path: Path) -> Any:
    return json.loads(path.read_bytes()) if path.exists() else None
